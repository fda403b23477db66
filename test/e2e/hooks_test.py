"""The user's programs: a scan before a share goes to its place, and word when it stands there."""

import os
import shutil
import signal
import sys

from nodes import World, check, run, tree_of, wait_for, write_random

BAD = b"this is what the scan looks for"

SCAN = """#!/bin/sh
[ -e "{target}/$PEERNET_NAME" ] && echo 'it stands there already' && exit 3
[ "$PEERNET_NAME" = slow ] && echo $$ >{pid} && sleep 100
! grep -rq '{bad}' "$1" || {{ echo found it >&2; exit 1; }}
printf 'scanned \\033[31m%s\\n' "$PEERNET_NAME"
"""

COMPLETED = """#!/bin/sh
/usr/bin/env >"{told}.new"
ls /proc/$$/fd >>"{told}.new"
mv "{told}.new" "{told}"
"""


def program(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


def is_alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def scenario(world):
    target, told, pid = world.path("target"), world.path("told"), world.path("pid")
    scan = program(world.path("scan.sh"),
                   SCAN.format(target=target, bad=BAD.decode(), pid=pid))
    completed = program(world.path("completed.sh"), COMPLETED.format(told=told))
    seed = world.node("seed")
    node = world.node("scanned", bootstrap=[seed.port], hooks={
        "scan": [scan, "{path}"], "completed": [completed], "timeout": "10m"})

    def link_of(name, content):
        path = world.path("source", name)
        write_random(path, 300_000, seed=len(name))
        with open(path, "ab") as file:
            file.write(content)
        return seed.add(path) + f"&pe=127.0.0.1:{seed.port}"

    def quarantined(share):
        def is_kept_back():
            status = node.share(share)
            return status if status["cause"] == "quarantined" else None

        status = wait_for("the scan keeps it back", is_kept_back)
        check(status["state"] == "quarantined", f"another state: {status}")
        return status

    # What passes goes on to its place, and then the other program hears of it.
    share = node.fetch(link_of("good", b""), target)
    node.wait_complete(share)
    check(tree_of(os.path.join(target, "good")) == tree_of(world.path("source", "good")), "differs")
    wait_for("the program is told", lambda: os.path.exists(told))
    with open(told, encoding="utf-8") as file:
        heard = file.read().splitlines()
    variables = dict(line.split("=", 1) for line in heard if "=" in line)
    check(variables.pop("PATH", None) and variables.pop("LANG", None), f"no PATH: {heard}")
    for word in "PWD", "OLDPWD", "SHLVL", "_":  # the shell's own
        variables.pop(word, None)
    check(variables == {
        "PEERNET_HOOK": "completed", "PEERNET_ID": share, "PEERNET_NAME": "good",
        "PEERNET_PATH": os.path.join(target, "good"), "PEERNET_SIZE": "300000"}, f"{variables}")
    # 10 and above is the shell's own script.
    open_there = {int(line) for line in heard if line.isdigit() and int(line) < 10}
    check(open_there == {0, 1, 2}, f"it has inherited {open_there}")
    check("scanned \\x1b[31mgood" in node.log(), "its words are not in the log, escaped")

    # What does not pass stays where it is, also over a restart, until somebody accepts it.
    bad = node.fetch(link_of("bad", BAD), target)
    status = quarantined(bad)
    part = os.path.join(target, f".{bad}.part")
    check("found it" in status["reason"] and part in status["reason"], f"not said: {status}")
    check("peernet accept" in status["error"]["hint"], f"no way on: {status}")
    check(os.path.exists(part) and not os.path.exists(os.path.join(target, "bad")), "moved")
    check("found it" in node.cli("why", bad).stdout, "why does not say it")
    node.stop()
    node.start()
    quarantined(bad)
    node.cli("resume", bad)
    quarantined(bad)
    check(os.path.exists(part), "gone")
    node.cli("accept", share, expect=1)
    node.cli("accept", bad)
    node.wait_complete(bad)
    check(tree_of(os.path.join(target, "bad")) == tree_of(world.path("source", "bad")), "differs")

    # The daemon does not wait for a program, scans again after a crash, and leaves none behind.
    slow = node.fetch(link_of("slow", b""), target)

    def scanner_of():
        wait_for("the scan runs", lambda: os.path.exists(pid) and os.path.getsize(pid) > 0)
        with open(pid, encoding="utf-8") as file:
            return int(file.read())

    first = scanner_of()
    status = wait_for("it is said", lambda: node.share(slow)["cause"] == "scanning" and node.share(slow))
    check(status["state"] == "scanning", f"another state: {status}")
    node.kill()
    os.killpg(first, signal.SIGKILL)
    os.remove(pid)
    node.start()
    second = scanner_of()
    status = node.share(slow)
    check(second != first and status["state"] == "scanning", f"not scanned again: {status}")
    wait_for("they are connected", lambda: node.share(slow)["peers_connected"])
    (peer,) = seed.rpc("peer.list", id=slow)["peers"]
    check([share["done"] for share in peer["shares"] if share["id"] == slow] == [0],
          f"it is offered before it has passed: {peer}")
    check(not os.path.exists(os.path.join(target, "slow")), "it went to its place unscanned")
    node.stop()
    wait_for("the scan ends with the daemon", lambda: not is_alive(second), 5)

    # One that does not end in time has not let the share pass; removed, nothing of it is left.
    node.config["hooks"]["timeout"] = "1s"
    node.start()
    check("in time" in quarantined(slow)["reason"], "not said")
    node.cli("rm", slow)
    check(sorted(os.listdir(target)) == ["bad", "good"], f"left: {os.listdir(target)}")

    # Nor has one that is not there.
    node.config["hooks"]["scan"] = ["/nonexistent/scanner"]
    node.stop()
    node.start()
    lost = node.fetch(link_of("lost", b""), target)
    check("cannot run /nonexistent/scanner" in quarantined(lost)["reason"], "not said")


def selections(world):
    """Some files of a share, then more: each is scanned and told of when it is there, and once only."""
    target, runs = world.path("some"), world.path("runs")
    hook = program(world.path("count.sh"), f"""#!/bin/sh
echo "$PEERNET_HOOK $PEERNET_SIZE" $(ls -A "$PEERNET_PATH") >>{runs}
""")
    seed = world.node("chooser")
    for number, name in enumerate(("a", "b", "c")):
        write_random(world.path("source", "three", name), 100_000 + number, number)
    link = seed.add(world.path("source", "three")) + f"&pe=127.0.0.1:{seed.port}"
    node = world.node("choosing", bootstrap=[seed.port], hooks={"scan": [hook], "completed": [hook]})
    os.mkdir(target)

    def told():
        with open(runs, encoding="utf-8") as file:
            return file.read().splitlines()

    share = link.split(":")[1].split("?")[0]
    wanted = ["scan 100000 a", "completed 100000 a"]
    node.cli("fetch", link, "-o", target, "--only", "a")
    wait_for("the first file", lambda: told() == wanted)
    node.cli("fetch", link, "--only", "b")
    wanted += [f"scan 200001 .{share}.1.part a", "completed 200001 a b"]
    wait_for("one more", lambda: told() == wanted)
    node.cli("fetch", link, "--only", "b")
    node.cli("verify", share)
    node.kill()
    node.start()
    node.cli("verify", share)
    node.cli("fetch", link)
    wanted += [f"scan 300003 .{share}.2.part a b", "completed 300003 a b c"]
    wait_for("all of it", lambda: told() == wanted)
    node.stop()
    node.start()
    with open(os.path.join(target, "three", "a"), "r+b") as file:
        file.write(b"damaged")
    node.cli("verify", share, "--repair")
    # What is told after a repair would be there before what is told after a fetch that follows.
    write_random(world.path("source", "one"), 50_000)
    node.cli("fetch", seed.add(world.path("source", "one")) + f"&pe=127.0.0.1:{seed.port}", "-o", target)
    wait_for("one more share", lambda: any(line.startswith("completed 50000 ") for line in told()))
    after = [line.rsplit(" ", 1)[0] for line in told()[len(wanted):]]
    check(told()[:len(wanted)] == wanted and after == ["scan 50000", "completed 50000"],
          f"told of what is no completion: {told()}")


def clamscan(world):
    """Debian's virus scanner, with a signature file of one's own."""
    scanner = shutil.which("clamscan")
    if scanner is None:
        print("clamscan is not there: not shown with it")
        return
    signatures = world.path("own.ndb")
    with open(signatures, "w", encoding="utf-8") as file:
        file.write(f"PeerNet.Test:0:*:{BAD.hex()}\n")
    target = world.path("clean")
    seed = world.node("origin")
    node = world.node("clam", bootstrap=[seed.port], hooks={
        "scan": [scanner, "-d", signatures, "--no-summary", "-ri", "{path}"]})
    shares = {}
    for name, content in ("fine", b""), ("infected", BAD):
        directory = world.path("tree", name)
        write_random(os.path.join(directory, "a", "file"), 100_000, seed=len(name))
        with open(os.path.join(directory, "other"), "wb") as file:
            file.write(content + b".")
        shares[name] = node.fetch(seed.add(directory) + f"&pe=127.0.0.1:{seed.port}", target)
    node.wait_complete(shares["fine"])
    status = wait_for("clamscan has found it", lambda: node.share(shares["infected"])["cause"] == "quarantined"
                      and node.share(shares["infected"]))
    print("clamscan:", status["reason"])
    check("other: PeerNet.Test.UNOFFICIAL FOUND" in status["reason"], f"{status}")
    check(os.listdir(target).count("infected") == 0 and "fine" in os.listdir(target), os.listdir(target))
    fetched = node.cli("fetch", seed.cli("link", shares["infected"]).stdout.strip(), "--timeout", "20s",
                       expect=10)
    check("FOUND" in fetched.stderr and f"peernet --home {node.home} accept" in fetched.stderr, fetched.stderr)


def main():
    with World() as world:
        scenario(world)
        selections(world)
        clamscan(world)


if __name__ == "__main__":
    sys.exit(run(main))
