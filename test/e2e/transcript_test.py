"""Every command on a terminal of 80 columns and in a pipe, against transcripts.txt (what varies is
masked; `transcript_test.py --write` writes it anew); every --json answer against the schemas of
rpc.discover; every exit code of DESIGN.md 7; and that another user gets nothing."""

import difflib
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios

from nodes import PEERNET, PEERNETD, World, check, run, wait_for, write_random
from schema import faults

GOLDEN = os.path.join(os.path.dirname(__file__), "transcripts.txt")
NOBODY = 65534
TABLES = ("status", "ls", "peers", "dht")

MASKS = (
    (r"\b[sp][a-z2-7]{56}\b", lambda m: m.group(0)[0] + "[id]"),
    (r"\b(?!peernetd|standard)[sp][a-z2-7]{7}\b(?=[ \n\"?:]|$)", lambda m: m.group(0)[0] + "[short]"),
    (r"\b[0-9a-f]{40}\b", "[node]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
    (r"port +\d+", "port [port]"),
    (r"\d\d:\d\d:\d\d", "[time]"),
    (r"\d{4}-\d\d-\d\d", "[date]"),
    (r"[\d.]+ [KMGT]?i?B/s", "[rate]"),
    (r"up \d+ s", "up [age]"),
    (r"\d+ running or waiting", "[n] running or waiting"),
    (r" +\d+ (ms|s)\b", " [took]"),
    (r"/tmp/peernet-e2e\.[^/ \n]+", "/tmp/[world]"),
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


def on_terminal(home, *arguments, columns=80):
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([PEERNET, "--home", home, *arguments], stdin=subprocess.DEVNULL,
                               stdout=follower, stderr=follower,
                               env={**os.environ, "NO_COLOR": "1", "TERM": "xterm"})
    os.close(follower)
    data = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        data += part
    os.close(leader)
    return data.decode(), process.wait(60)


def transcripts(node, share_id, link):
    commands = (
        ["status"], ["status", share_id], ["ls"], ["ls", share_id], ["peers"], ["link", share_id],
        ["why", share_id], ["id"], ["limit"], ["limit", share_id], ["log"], ["dht"], ["config", "path"],
        ["config", "get", "limits.memory"], ["config", "check"], ["peers", "--banned"], ["version"],
        ["help"], ["help", "add"], ["status", "--fields", "name,size"], ["pause", share_id],
        ["resume", share_id], ["ls", "saaaaaaaa"], ["nonsense"], ["fetch", link + "x"], ["limit", "--up", "x"],
    )
    text = ""
    for command in commands:
        outputs = []
        for where, how in (("pipe", in_pipe), ("terminal", on_terminal)):
            output, code = how(node.home, *command)
            outputs.append((where, masked(output) + (f"exit {code}\n" if code else "")))
            wide = [line for line in output.splitlines() if len(line) > 80]
            check(where == "pipe" or command[0] not in TABLES or not wide,
                  f"{command}: wider than the terminal: {wide}")
        title = "$ peernet " + masked(" ".join(command))
        if outputs[0][1] == outputs[1][1]:
            text += f"{title}\n{outputs[0][1]}\n"
        else:
            text += "".join(f"{title}   ({where})\n{output}\n" for where, output in outputs)
    if "--write" in sys.argv:
        with open(GOLDEN, "w", encoding="utf-8") as file:
            file.write(text)
    with open(GOLDEN, encoding="utf-8") as file:
        golden = file.read()
    difference = difflib.unified_diff(golden.splitlines(), text.splitlines(), "golden", "now", lineterm="")
    check(golden == text, "the transcripts differ (transcript_test.py --write writes them anew):\n" + "\n".join(difference))


def schemas(node, share_id, path):
    document = json.loads(node.cli("rpc", "--json").stdout)
    results = {method["name"]: method["result"]["schema"] for method in document["methods"]}
    events = {event["kind"]: event["schema"] for event in document["x-events"]}

    def rows(method, name):
        return results[method]["properties"][name]

    def answer(*arguments):
        return json.loads(node.cli(*arguments, "--json", expect=None).stdout)

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
    error = answer("ls", "saaaaaaaa")["error"]
    check(error["exit_code"] == 3 and error["kind"] == "not_found" and error["hint"], f"{error}")


def exit_codes(world, first, second, link, share_id):
    def code(wanted, node, *arguments):
        node.cli(*arguments, expect=wanted)

    here = f"&pe=127.0.0.1:{first.port}"
    code(0, first, "status")
    os.makedirs(world.path("empty"))
    code(1, first, "add", world.path("empty"))
    code(2, first, "nonsense")
    code(3, first, "why", "saaaaaaaa")
    code(6, first, "peers", "--connect", "127.0.0.1:1")
    first.cli("pause", share_id)
    os.makedirs(world.path("got"), exist_ok=True)
    code(5, second, "fetch", link + here, "-o", world.path("got"), "--timeout", "2s")
    process = subprocess.Popen([PEERNET, "--home", second.home, "fetch", link], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    check(process.stdout.readline(), "the fetch says nothing")  # from here on it handles Ctrl-C
    process.send_signal(signal.SIGINT)
    check(process.wait(10) == 7, "an interrupted fetch")
    process.stdout.close()
    second.cli("rm", share_id)
    write_random(world.path("there", "data.bin"), 10)
    first.cli("resume", share_id)
    code(13, second, "fetch", link + here, "-o", world.path("there"), "--timeout", "30s")
    second.cli("rm", share_id)

    # A shared file of another size: integrity.
    write_random(world.path("rot", "rot.bin"), 100_000)
    rotten = first.add(world.path("rot", "rot.bin"))
    first.stop()
    write_random(world.path("rot", "rot.bin"), 50_000)
    code(4, first, "status")
    first.start()
    code(8, first, "fetch", rotten)


def no_space(world, node, link):
    """Fetched to a file system that is full; needs root."""
    place = world.path("small")
    os.makedirs(place)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], check=False,
                      capture_output=True).returncode != 0:
        print("no file system may be mounted: exit code 9 is not reached")
        return
    try:
        node.cli("fetch", link, "-o", place, "--timeout", "30s", expect=9)
    finally:
        subprocess.run(["umount", "-l", place], check=False)


def others(world, node):
    """Another user gets nothing, and a file that the daemon may not read is denied; needs root."""
    os.chmod(world.directory, 0o755)
    as_nobody = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    done = subprocess.run([*as_nobody, PEERNET, "--home", node.home, "status"], capture_output=True,
                          text=True, check=False)
    check(done.returncode == 4 and done.stdout == "", f"{done}")
    for name in ("identity", "state.db", "peernet.sock"):
        path = os.path.join(node.home, name)
        check(subprocess.run([*as_nobody, "cat", path], capture_output=True, check=False).returncode != 0, name)
    # Even where the modes let it in, the kernel is asked who it is.
    os.chmod(node.home, 0o777)
    os.chmod(os.path.join(node.home, "peernet.sock"), 0o777)
    script = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
              "s.settimeout(5)\ntry:\n s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"identity.show\"}\\n');"
              " print(s.recv(1))\nexcept OSError: print(b'')")
    done = subprocess.run([*as_nobody, sys.executable, "-c", script, os.path.join(node.home, "peernet.sock")],
                          capture_output=True, text=True, check=False)
    check(done.stdout.strip() == "b''", f"another user was answered: {done}")
    os.chmod(node.home, 0o700)
    os.chmod(os.path.join(node.home, "peernet.sock"), 0o600)

    home = world.path("nobody")
    os.makedirs(home, mode=0o700)
    write_random(world.path("secret.bin"), 1000)
    os.chmod(world.path("secret.bin"), 0o600)
    with open(os.path.join(home, "config.json"), "w", encoding="utf-8") as file:
        json.dump({"listen": ["127.0.0.1:0"]}, file)
    os.chown(home, NOBODY, NOBODY)
    os.chown(os.path.join(home, "config.json"), NOBODY, NOBODY)
    daemon = subprocess.Popen([*as_nobody, PEERNETD, "--home", home], stderr=subprocess.DEVNULL)
    try:
        def answers():
            return in_pipe(home, "id")[1] == 0

        wait_for("the daemon of nobody", answers, 10)
        check(in_pipe(home, "add", world.path("secret.bin"))[1] == 10, "a file it may not read")
    finally:
        daemon.terminate()
        daemon.wait(10)


def abuse(node, lines=2000, connections=300):
    """Mutated lines and many connections; the full size by hand: PEERNET_ABUSE=1000000,10000."""
    if "PEERNET_ABUSE" in os.environ:
        lines, connections = (int(number) for number in os.environ["PEERNET_ABUSE"].split(","))
    path = os.path.join(node.home, "peernet.sock")
    before = dict(line.rsplit(" ", 1) for line in node.cli("metrics").stdout.splitlines() if line[0] != "#")
    # One after the other, and as many at a time as this process may hold.
    held = []
    for number in range(connections):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(path)
        held.append(client)
        if number % 3 == 0 or len(held) == 500:
            held.pop(0).close()
    for client in held:
        client.close()
    methods = ("share.status", "share.list", "peer.list", "limit.show", "rpc.discover", "dht.status", "share.files",
               "share.preview", "limit.set", "config.edit", "events.subscribe", "transfer.why")
    seeds = [json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": {"id": "saaaaaaaa"}}) for name in methods]
    state = 1
    sent = 0
    while sent < lines:
        # As many as may come at once; then a new connection. What is not JSON ends one.
        batch = []
        for _ in range(min(100, lines - sent)):
            line = bytearray(seeds[state % len(seeds)], "ascii")
            for _ in range(state % 4):
                state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
                line[(state >> 33) % len(line)] = 32 + (state >> 50) % 96
            state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
            batch.append(bytes(line) + b"\n")
        sent += len(batch)
        while batch:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.connect(path)
                client.settimeout(30)
                heard = b""
                try:
                    client.sendall(b"".join(batch))
                    client.shutdown(socket.SHUT_WR)
                    while part := client.recv(1 << 20):
                        heard += part
                except ConnectionError:
                    pass
                # A line of blanks or a notification has no answer: then one is gone all the same.
                batch = batch[max(1, heard.count(b"\n")):]
    after = dict(line.rsplit(" ", 1) for line in node.cli("metrics").stdout.splitlines() if line[0] != "#")
    for name in ("peernet_resident_bytes", "peernet_descriptors", "peernet_loop_lag_p99_microseconds"):
        print(f"after {sent} lines, {connections} connections: {name} {before[name]} -> {after[name]}")
    judged = sum(int(after[name]) - int(before[name]) for name in after if "control_requests" in name)
    print(f"{judged} requests judged; {[line for line in after.items() if 'control_rej' in line[0]]}")
    check(judged >= lines * 9 // 10, f"only {judged} of {lines} lines were judged")
    check(int(after["peernet_descriptors"]) <= int(before["peernet_descriptors"]) + 8, "descriptors leak")
    check(int(after["peernet_resident_bytes"]) < int(before["peernet_resident_bytes"]) + (32 << 20), "memory grows")


def test():
    with World() as world:
        first = world.node("first")
        write_random(world.path("data.bin"), 3_000_000)
        link = first.add(world.path("data.bin"))
        share_id = link.split(":")[1].split("?")[0]
        transcripts(first, share_id, link)
        if "--write" in sys.argv:
            return
        second = world.node("second", bootstrap=[first.port])
        schemas(first, share_id, world.path("data.bin"))
        abuse(first)
        exit_codes(world, first, second, link, share_id)
        if os.geteuid() == 0:
            no_space(world, second, link + f"&pe=127.0.0.1:{first.port}")
            others(world, first)
        else:
            print("not root: what another user gets is not tested")


run(test)
