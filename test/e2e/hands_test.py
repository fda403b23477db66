"""What a user does by hand: one peer (connect, drop, ban, doctor --peer), what is shared of a tree,
standard input, chosen rows and columns, and tab completion in a real bash."""

import json
import os
import subprocess

from nodes import BUILD, PEERNET, World, check, run, wait_for, write_random


def refused(node, code, words, *arguments):
    done = node.cli(*arguments, expect=code)
    check(words in done.stderr + done.stdout, f"{arguments}: {done.stdout}{done.stderr}")


def steps(node, where, code):
    done = node.cli("doctor", "--peer", where, "--json", expect=code)
    return [(step["name"], step["is_good"]) for step in json.loads(done.stdout)["steps"]]


def sharing(world, node):
    for name in ("a.txt", "b.tmp", ".git/x/c", ".git/d"):
        write_random(world.path("tree", name), 1000, name)
    done = node.cli("add", world.path("tree"), "--exclude", ".git", "--exclude", "*.tmp")
    check("  .git  (excluded by .git)\n" in done.stderr and "b.tmp" in done.stderr, done.stderr)
    link = done.stdout.strip()
    share_id = link.split(":")[1].split("?")[0]
    files = json.loads(node.cli("ls", share_id, "--json").stdout)["files"]
    check([file["path"] for file in files] == ["a.txt"], f"{files}")
    refused(node, 1, "everything excluded", "add", world.path("tree"), "--exclude", "*")

    def pipe(data, *arguments):
        return subprocess.run([PEERNET, "--home", node.home, "add", "--stdin", *arguments],
                              input=data, capture_output=True, check=False)

    done = pipe(b"hello" * 100_000, "--name", "in.bin")
    check(done.returncode == 0 and b"dn=in.bin&xl=500000" in done.stdout, f"{done}")
    with open(os.path.join(node.home, "downloads", "in.bin"), "rb") as file:
        check(file.read() == b"hello" * 100_000, "what was piped in")
    check(pipe(b"x", "--name", "in.bin").returncode == 13, "a file is replaced")
    check(pipe(b"x", "--name", "../x").returncode == 2, "a path is taken for a name")
    check(pipe(b"x").returncode == 2, "no name is needed")
    check(len(os.listdir(os.path.join(node.home, "downloads"))) == 1, "something is left over")
    refused(node, 2, "what is to be shared", "add")
    return link, share_id


def peers(world, first, second, link, share_id):
    here = f"127.0.0.1:{first.port}"
    good = [(name, True) for name in ("resolve", "connect", "handshake", "identity", "share")]
    check(steps(second, f"{link}&pe=localhost:{first.port}", 0) == good, "a share that is offered")
    check(steps(second, here, 0) == good[:4], "no share in question")
    stranger = first.cli("add", world.path("tree", "b.tmp")).stdout.strip()
    first.cli("pause", stranger.split(":")[1].split("?")[0])
    check(steps(second, f"{stranger}&pe={here}", 3) == good[:4] + [("share", False)], "not offered")
    check(steps(second, "127.0.0.1:1", 6) == good[:1] + [("connect", False)], "a closed port")
    check(steps(second, "name.invalid:7341", 3) == [("resolve", False)], "no such name")
    check(steps(second, f"127.0.0.1:{second.port}", 6) == good[:2] + [("handshake", False)], "itself")
    refused(second, 2, "HOST:PORT", "doctor", "--peer", "somewhere")

    peer = first.rpc("identity.show")["id"]
    check(second.cli("peers", "--connect", here).stdout.strip() == peer, "who is there")
    check(json.loads(second.cli("peers", "--json").stdout)["peers"][0]["id"] == peer, "peers")
    second.cli("peers", "--drop", peer[:8])
    refused(second, 3, "not connected", "peers", "--drop", peer)
    second.cli("peers", "--ban", peer[:8], "--for", "1h")
    refused(second, 6, "banned here", "peers", "--connect", here)
    second.stop()
    second.start()
    check(peer in second.cli("peers", "--banned").stdout, "a restart lifts the ban")
    second.cli("peers", "--unban", peer)
    check(second.cli("peers", "--banned").stdout == "no peer is banned\n", "still banned")
    second.cli("peers", "--connect", here)
    refused(second, 2, "", "peers", "--drop", peer, "--ban", peer)
    refused(second, 2, "", "peers", "--for", "1h")
    refused(second, 2, "duration", "peers", "--ban", peer, "--for", "soon")

    # The limits of a share that were set for good are there after a restart; those for a time not.
    first.cli("limit", share_id, "--up", "2MB/s")
    first.cli("limit", share_id, "--up", "1KiB/s", "--for", "1h")
    first.stop()
    first.start()
    check(first.rpc("limit.show", id=share_id)["up"] == 2_000_000, "the limit after a restart")


def choosing(node, share_id):
    text = node.cli("status", "--fields", "name,state", "--filter", "name=tree").stdout
    check(text == "NAME  STATE\ntree  seeding\n", text)
    rows = json.loads(node.cli("ls", "--json", "--filter", "size>100KB").stdout)["shares"]
    check([row["name"] for row in rows] == ["in.bin"], f"{rows}")
    rows = json.loads(node.cli("ls", share_id, "--json", "--fields", "path").stdout)["files"]
    check(rows == [{"path": "a.txt"}], f"{rows}")
    refused(node, 2, 'did you mean "name"', "ls", "--fields", "nme")
    refused(node, 2, 'no field "nme"', "status", "--filter", "nme=x")
    # Of a list without rows only the daemon knows what they have.
    refused(node, 2, 'did you mean "rate_up"', "peers", "--fields", "rate_pu")
    refused(node, 2, "not a filter", "status", "--filter", "x")


COMPLETE = """source <(peernet completion bash)
COMP_WORDS=({words}); COMP_CWORD={last}; _peernet
printf '%s\\n' "${{COMPREPLY[@]}}" """


def completed(home, *words):
    quoted = " ".join(f"'{word}'" for word in ("peernet", *words))
    environment = {**os.environ, "PATH": BUILD + ":" + os.environ["PATH"], "PEERNET_HOME": home}
    done = subprocess.run(["bash", "-c", COMPLETE.format(words=quoted, last=len(words))],
                          env=environment, capture_output=True, text=True, check=True)
    check(done.stderr == "", f"{words}: {done.stderr}")
    return done.stdout.split()


def completion(world, node, share_id):
    check(completed(node.home, "sta") == ["status"], "a command")
    check(share_id[:8] in completed(node.home, "status", "s"), "a share")
    check(completed("/nowhere", "--home", node.home, "ls", share_id[:5]) == [share_id[:8]], "--home")
    check("limits.up" in completed(node.home, "config", "get", "limits."), "a config key")
    check("dht.ping" in completed(node.home, "rpc", "dht."), "a method")
    check("--fields" in completed(node.home, "status", "--f"), "an option")
    check(completed(node.home, "add", world.path("tree", "a")) == [world.path("tree", "a.txt")], "a file")
    check(completed(node.home, "completion", "b") == ["bash"], "a shell")
    node.stop()
    check(completed(node.home, "status", "s") == [], "without a daemon")
    check(completed(node.home, "sta") == ["status"], "a command without a daemon")


def test():
    with World() as world:
        first = world.node("first")
        second = world.node("second", bootstrap=[first.port])
        link, share_id = sharing(world, first)
        choosing(first, share_id)
        peers(world, first, second, link, share_id)
        wait_for("the first answers", lambda: first.rpc("daemon.status"))
        completion(world, first, share_id)
        second.stop()


run(test)
