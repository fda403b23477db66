"""Every command on a terminal of 80 columns and in a pipe, against transcripts.txt (what varies is
masked; `transcript_test.py --write` writes it anew); every --json answer against the schemas of
rpc.discover. A command that is in neither fails the test."""

import difflib
import fcntl
import hashlib
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading

from nodes import PEERNET, World, check, run, wait_for, write_random
from schema import faults

GOLDEN = os.path.join(os.path.dirname(__file__), "transcripts.txt")
TABLES = ("status", "ls", "peers", "dht")

MASKS = (
    # What a moving line showed before its last, and what a log tells of the way to the end.
    (r"\r\x1b\[K[^\r\n]*(?=\r\x1b)", ""), (r"\r\x1b\[K", ""),
    (r"(?m)^(\d+%  |looking for|opening|hashing).*\n", ""),
    (r"(?m)^\S+  [\d.]+ \w+   lookup .*\n", ""),
    (r"(?m)^\n(?=peernet: )", ""),
    (r"(?m)[\d.]+ ms", "[took]"),
    (r"\d+ peers? found", "[n] peers found"),
    # What this machine has and the moment gives.
    (r"(?m)^(peernet_\S+) \d+$", r"\1 [n]"),
    (r"(?m)^\w+ +(descriptors|udp buffers|reachable|downloads|state) .*\n( +fix: .*\n)?( {24}.*\n)*", ""),
    (r"[\d.]+ of \d+ nodes?", "[n] of [n] nodes"),
    (r"\bnetwork [0-9a-f]{16}\b", "network [network]"),
    (r"(?<=number )\d{6,}", "[seq]"),
    (r"\b[sp][a-z2-7]{56}\b", lambda m: m.group(0)[0] + "[id]"),
    (r"\b(?!peernetd|standard|shutdown|protocol)[sp][a-z2-7]{7}\b(?=[ \n\"?:,]|$)", lambda m: m.group(0)[0] + "[short]"),
    (r"\b[0-9a-f]{40}\b", "[node]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
    (r"port +\d+", "port [port]"),
    (r"\d\d:\d\d:\d\d", "[time]"),
    (r"\d{4}-\d\d-\d\d", "[date]"),
    (r"[\d.]+ [KMGT]?i?B/s", "[rate]"),
    (r"up \d+ s", "up [age]"),
    (r"\d+ running or waiting", "[n] running or waiting"),
    (r" +\d+ (ms|s)\b", " [took]"),
    (r"/tmp/peernet-e2e\.[^/ \n]+(/pipe|/terminal)?", "/tmp/[world]"),
)


def masked(text):
    text = text.replace("\r\n", "\n")
    for pattern, with_what in MASKS:
        text = re.sub(pattern, with_what, text)
    return text


def in_pipe(home, *arguments):
    done = subprocess.run([PEERNET, "--home", home, *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=60)
    return done.stdout, done.returncode


def on_terminal(home, *arguments):
    # Where a path is folded depends on its length.
    columns = 160 if arguments[0] == "log" else 80
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([PEERNET, "--home", home, *arguments], stdin=subprocess.DEVNULL,
                               stdout=follower, stderr=follower,
                               env={**os.environ, "NO_COLOR": "1", "TERM": "xterm"})
    # Who reads until the other side is closed may miss the end of what was written: it stays open until
    # a mark behind the last byte has come.
    def end():
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.write(follower, b"\0")

    ending = threading.Thread(target=end)
    ending.start()
    data = b""
    while not data.endswith(b"\0"):
        data += os.read(leader, 65536)
    ending.join()
    os.close(leader)
    os.close(follower)
    return data[:-1].decode(), process.returncode


def commands():
    """All there are, by what the program itself says: names and aliases, "config get" for those of two words."""
    page = subprocess.run([PEERNET, "--man-page"], capture_output=True, text=True, check=True).stdout
    found = []
    for line in page.splitlines():
        if line.startswith('.SS "peernet '):
            words = line.removeprefix('.SS "peernet ').rstrip('"').split()
            name = words[0]
            if len(words) > 1 and words[1].islower():
                name += " " + words[1]
            found.append(name)
        elif "Also: " in line:
            found += line.split("Also: ")[1].rstrip(".").split(", ")
    # Of these, only what stands below them can be typed.
    return [name for name in found if name not in ("config", "network")]


def name_of(command):
    words = [word for word in command[:2] if not word.startswith("-")]
    return " ".join(words[:2]) if words[0] in ("dht", "config", "network") else words[0]


def shown(make, run_, nodes):
    """The transcript of one command, which make() gives for each node: in a pipe, and on a terminal."""
    outputs = []
    for where, how in (("pipe", in_pipe), ("terminal", on_terminal)):
        command = make(where)
        run_.add(name_of(command))
        output, code = how(nodes[where].home, *command)
        if command[0] == "peers":  # how wide its columns are depends on the moment
            output = re.sub(" {2,}", "  ", output)
        outputs.append((where, masked(output) + (f"exit {code}\n" if code else "")))
        # What is to be typed is not folded, nor what has gone wrong.
        wide = [line for line in output.splitlines() if len(line) > 80 and "peernet --home" not in line
                and not line.startswith(("peernet: ", "hint: "))]
        check(where == "pipe" or command[0] not in TABLES or not wide, f"{command}: wider than the terminal: {wide}")
    title = "$ peernet " + masked(" ".join(command))
    if outputs[0][1] == outputs[1][1]:
        return f"{title}\n{outputs[0][1]}\n"
    return "".join(f"{title}   ({where})\n{output}\n" for where, output in outputs)


def quiet(node, share_id, link, run_):
    """A node that nobody else knows."""
    nodes = {"pipe": node, "terminal": node}
    return "".join(shown(lambda _, command=command: command, run_, nodes) for command in (
        ["status"], ["status", share_id], ["ls"], ["ls", share_id], ["peers"], ["link", share_id],
        ["why", share_id], ["id"], ["limit"], ["limit", share_id], ["log"], ["dht"], ["config", "path"],
        ["config", "get", "limits.memory"], ["config", "check"], ["config", "show"], ["peers", "--banned"], ["version"],
        ["help"], ["help", "add"], ["help", "all"], ["status", "--fields", "name,size"], ["pause", share_id],
        ["resume", share_id], ["ls", "saaaaaaaa"], ["nonsense"], ["fetch", link + "x"], ["limit", "--up", "x"],
        ["metrics"], ["rpc"], ["rpc", "limit.show"], ["completion", "fish"], ["accept", share_id], ["doctor"],
        ["config", "set", "limits.up", "8MB/s"], ["config", "set", "limits.up", "fast"],
        ["limit", "--up", "1MB/s"]))


STEPS = """\
fetch -n {link} --only *.pdf --skip old
fetch {link} --only nothing
fetch {link} --only docs --skip old
status {share}
ps
peers
ls {share}
ls
why {share}
fetch {link} --only nothing
get {link}
list
verify {share}
cat {share}/docs/c.txt
cat {share}/none
fetch {link} -d
fetch {link} -o /tmp
peers --drop paaaaaaaa
peers --ban {peer}
peers --banned
peers --unban {peer}
peers --connect {seed}
doctor --peer {seed}
dht ping {seed}
dht announce {key} 7341
dht lookup {key}
dht put words
dht get {words}
add {here}/own.bin
add {here}/own.bin
add {here}/own
add {here}/own --allow-unportable
network new {here}/key
network new {here}/key
rm {share}
rm {share}
shutdown
id"""


def exchange(world, run_):
    """For each a node that has what is asked for and one that asks: a share of some files, and what one does with it."""
    nodes, of = {}, {}
    for where in ("pipe", "terminal"):
        top = world.path(where, "tree")
        for name in ("docs/b.pdf", "docs/old/d.pdf", "a.bin"):
            write_random(os.path.join(top, name), 300_000, len(name))
        with open(os.path.join(top, "docs", "c.txt"), "w", encoding="utf-8") as file:
            file.write("words\n")
        write_random(world.path(where, "own", "odd:name"), 10)
        os.symlink("/etc/passwd", world.path(where, "own", "link"))
        write_random(world.path(where, "own.bin"), 100_000, where)
        seed = world.node(f"{where}/first", identity={"name": "first"})
        link = seed.add(top)
        nodes[where] = world.node(f"{where}/second", bootstrap=[seed.port], identity={"name": "second"})
        of[where] = {"link": f"{link}&pe=127.0.0.1:{seed.port}", "share": link.split(":")[1].split("?")[0],
                     "peer": seed.cli("id").stdout.strip(), "seed": f"127.0.0.1:{seed.port}", "key": "c" * 40,
                     "words": hashlib.sha1(b"5:words").hexdigest(), "here": world.path(where)}
    for node in nodes.values():
        wait_for("the DHT", lambda node=node: node.rpc("dht.status")["is_joined"])
    text = ""
    for line in STEPS.splitlines():
        for node in nodes.values() if line.startswith("status") else ():
            wait_for("it is quiet", lambda node=node: node.rpc("daemon.status")["rate_down"] == 0, 30)
        text += shown(lambda where, line=line: line.format(**of[where]).split(), run_, nodes)
    for node in nodes.values():
        node.process.wait(10)
        node.process = None
    return text


def compare(text):
    if "--write" in sys.argv:
        with open(GOLDEN, "w", encoding="utf-8") as file:
            file.write(text)
    with open(GOLDEN, encoding="utf-8") as file:
        golden = file.read()
    difference = difflib.unified_diff(golden.splitlines(), text.splitlines(), "golden", "now", lineterm="")
    check(golden == text, "the transcripts differ (transcript_test.py --write writes them anew):\n" + "\n".join(difference))


def schemas(world, node, share_id, path):
    document = json.loads(node.cli("rpc", "--json").stdout)
    results = {method["name"]: method["result"]["schema"] for method in document["methods"]}
    events = {event["kind"]: event["schema"] for event in document["x-events"]}

    def rows(method, name):
        return results[method]["properties"][name]

    told = set()

    def answer(*arguments, of=None):
        told.add(name_of(arguments))
        return json.loads((of or node).cli(*arguments, "--json", expect=None).stdout)

    def holds(what, value, schema):
        found = faults(value, schema)
        check(not found, f"{what}: {found[:5]}")

    for arguments, method in (
            (["add", path], "share.add"), (["why", share_id], "transfer.why"), (["id"], "identity.show"),
            (["link", share_id], "share.link"), (["limit"], "limit.show"), (["doctor"], "node.doctor"),
            (["pause", share_id], "share.pause"), (["resume", share_id], "share.resume"),
            (["config", "show"], "daemon.config"), (["dht"], "dht.stats"), (["config", "check"], "config.check"),
            (["doctor", "--peer", f"127.0.0.1:{node.port}"], "peer.connect"),
            (["rpc", "peer.list"], "peer.list"), (["rpc", "metrics.get"], "metrics.get"),
            (["rpc", "dht.status"], "dht.status")):
        holds(arguments, answer(*arguments), results[method])
    status = answer("status")
    holds("status", status["node"], results["daemon.status"])
    holds("status", status["shares"], rows("share.list", "shares"))
    holds("status ID", answer("status", share_id)["share"], results["share.status"])
    holds("ls", answer("ls")["shares"], rows("share.list", "shares"))
    holds("ls ID", answer("ls", share_id)["files"], rows("share.files", "files"))
    holds("peers", answer("peers")["peers"], rows("peer.list", "peers"))
    holds("metrics", answer("metrics"), rows("metrics.get", "metrics"))
    for line in node.cli("log", "--json").stdout.splitlines():
        event = json.loads(line)
        head = {name: event.pop(name) for name in ("seq", "time", "kind")}
        holds(head["kind"], event, events[head["kind"]])
    told.add("log")

    # With another node: what asks the network, and the shares it has.
    link = node.cli("link", share_id).stdout.strip() + f"&pe=127.0.0.1:{node.port}"
    other = world.node("other", bootstrap=[node.port])
    wait_for("the DHT", lambda: other.rpc("dht.status")["is_joined"])
    at, key = f"127.0.0.1:{node.port}", "b" * 40
    plan = answer("fetch", "-n", link, of=other)
    holds("fetch -n", plan.pop("files"), rows("share.files", "files"))
    holds("fetch -n", plan, results["share.preview"])
    for arguments, method in (
            (["fetch", link], "share.status"), (["get", link, "-d"], "share.fetch"), (["verify", share_id], "share.verify"),
            (["dht", "announce", key, "7341"], "dht.announce"), (["dht", "lookup", key], "dht.lookup"),
            (["dht", "ping", at], "dht.ping"), (["dht", "put", "words"], "dht.put"),
            (["dht", "get", hashlib.sha1(b"5:words").hexdigest()], "dht.get"),
            (["peers", "--connect", at], "peer.connect"),
            (["peers", "--ban", node.cli("id").stdout.strip()], "peer.ban"),
            (["network", "new", world.path("other", "key")], "network.new")):
        holds(arguments, answer(*arguments, of=other), results[method])
    holds("ps", answer("ps", of=other)["node"], results["daemon.status"])
    holds("list", answer("list", of=other)["shares"], rows("share.list", "shares"))
    holds("peers --banned", answer("peers", "--banned", of=other)["bans"], rows("peer.bans", "bans"))
    holds("rpc", [method["name"] for method in answer("rpc", of=other)["methods"]], {"type": "array"})
    # What the program itself says.
    for arguments, members in (
            (["config", "path"], {"config", "state", "identity", "database", "leaves", "socket", "downloads"}),
            (["config", "set", "limits.up", "8MB/s"], {"key", "path", "needs_restart", "need_restart"}),
            (["rm", share_id], {"id", "path", "is_data_deleted"}), (["version"], {"version"}),
            (["accept", share_id], {"error"}), (["shutdown"], {"is_stopped"})):
        said = answer(*arguments, of=other)
        check(set(said) == members, f"{arguments}: {said}")
    other.process.wait(10)
    other.process = None
    check(answer("config", "get", "limits.connections") == 512, "config get")
    # The answer of these is a text in any case.
    missing = set(commands()) - told - {"cat", "completion", "help"}
    check(not missing, f"no --json of {missing} is checked")

    error = answer("ls", "saaaaaaaa")["error"]
    check(error["exit_code"] == 3 and error["kind"] == "not_found" and error["hint"], f"{error}")


def test():
    with World() as world:
        first = world.node("first")
        write_random(world.path("data.bin"), 3_000_000)
        link = first.add(world.path("data.bin"))
        share_id = link.split(":")[1].split("?")[0]
        run_ = set()
        text = quiet(first, share_id, link, run_)
        text += exchange(world, run_)
        compare(text)
        if "--write" in sys.argv:
            return
        missing = [command for command in commands() if command not in run_]
        check(not missing, f"no transcript shows {missing}")
        schemas(world, first, share_id, world.path("data.bin"))


run(test)
