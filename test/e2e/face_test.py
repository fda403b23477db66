#!/usr/bin/env python3
"""The commands that look after a node, with real daemons: config, limits (exact to 5 % over 10 s), metrics,
log, doctor, aliases, help; and what they say to wrong input."""

import json
import os
import signal
import time

from nodes import World, check, run, wait_for, write_random

RATE = 4_000_000


def refused(node, code, words, *arguments):
    done = node.cli(*arguments, expect=code)
    check(done.stdout == "" and "peernet: " in done.stderr and "hint: " in done.stderr,
          f"{arguments}: {done.stdout!r} {done.stderr!r}")
    check(words in done.stderr, f"{arguments}: {done.stderr!r}")
    said = json.loads(node.cli(*arguments, "--json", expect=code).stdout)
    check(said["error"]["exit_code"] == code and said["error"]["hint"], f"{said}")


def config(world):
    node = world.node("config")
    path = os.path.join(node.home, "config.json")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write("// mine\n" + text)
    os.chmod(path, 0o640)

    done = node.cli("config", "set", "limits.up", "8MB/s")
    check("counts now" in done.stderr, done.stderr)
    with open(path, encoding="utf-8") as file:
        check(file.read().startswith("// mine\n"), "the comment is gone")
    check(os.stat(path).st_mode & 0o777 == 0o640, "the mode has changed")
    check(os.listdir(node.home).count("config.json") == 1 and
          not [name for name in os.listdir(node.home) if name.startswith("config.json.")], "litter")
    check(node.cli("config", "get", "limits.up").stdout == "8MB/s\n", "config get")
    check(node.rpc("daemon.config")["config"]["limits"]["up"] == "8MB/s", "config show")
    check(node.rpc("daemon.status")["limit_up"] == 8_000_000, "it does not count")

    done = node.cli("config", "set", "limits.connections", "77")
    check("restart" in done.stderr, done.stderr)
    check(node.cli("config", "get", "limits.connections").stdout == "512\n", "a restart was not needed")
    check("limits.connections" in node.cli("config", "check").stdout, "check says nothing")

    refused(node, 3, "limits.upp", "config", "set", "limits.upp", "1")
    refused(node, 2, "limits.up", "config", "set", "limits.up", "fast")
    refused(node, 3, "limits.nothing", "config", "get", "limits.nothing")
    refused(node, 2, "", "config", "set", "limits.up")
    check(node.cli("config", "get", "limits.up").stdout == "8MB/s\n", "a refused value was written")

    # By hand, and SIGHUP.
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("8MB/s", "3MB/s"))
    node.process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: node.rpc("daemon.config")["config"]["limits"]["up"] == "3MB/s", 5)
    check(node.rpc("daemon.status")["limit_up"] == 3_000_000, "SIGHUP does not count")
    with open(path, "w", encoding="utf-8") as file:
        file.write("{ broken")
    refused(node, 2, "", "config", "check")
    node.process.send_signal(signal.SIGHUP)
    wait_for("the refusal in the log", lambda: "not reloaded" in node.log(), 5)
    check(node.rpc("daemon.config")["config"]["limits"]["up"] == "3MB/s", "a broken file counts")
    node.cli("shutdown")
    node.process.wait(10)
    node.process = None


def config_offline(world):
    """While no daemon runs, `config set` writes what is valid all the same."""
    node = world.node("offline")
    node.stop()
    path = os.path.join(node.home, "config.json")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    refused(node, 3, "limits.upp", "config", "set", "limits.upp", "1")
    refused(node, 2, "limits.up", "config", "set", "limits.up", "fast")
    refused(node, 4, "no daemon is running", "config", "get", "limits.up")
    with open(path, encoding="utf-8") as file:
        check(file.read() == text, "a refused value was written")
    done = node.cli("config", "set", "limits.up", "7MB/s")
    check("when peernetd starts" in done.stderr, done.stderr)
    seeds = ["127.0.0.1:1", "[::1]:2"]
    node.cli("config", "set", "bootstrap", json.dumps(seeds))
    said = json.loads(node.cli("config", "set", "limits.connections", "99", "--json").stdout)
    check(said["path"] == path and not said["needs_restart"], f"{said}")
    node.port = None  # else the file would be written anew
    node.start()
    check(node.rpc("daemon.status")["limit_up"] == 7_000_000, "it does not count")
    check(node.cli("config", "get", "limits.connections").stdout == "99\n", "one of two is lost")
    check(node.rpc("daemon.config")["config"]["bootstrap"] == seeds, "a list is no list")
    # What stands in brackets is one path, and one pattern.
    for name in "[a,b]", "c", "d":
        write_random(world.path("[x] y [z]", name), 10)
    done = node.cli("add", "[x] y [z]", "--exclude", "[cd]", cwd=world.directory)
    check(done.stderr.count("excluded by [cd]") == 2, done.stderr)
    plan = json.loads(node.cli("fetch", "-n", "--only", "[a,b]", "--skip", "[ab]", done.stdout.strip(), "--json").stdout)
    check(len(plan["files"]) == 1, f"{plan}")


def measured(node, share_id, key, seconds=10):
    """Bytes a second over so long, once it runs."""
    before, start = node.share(share_id)[key], time.monotonic()
    time.sleep(seconds)
    after, end = node.share(share_id)[key], time.monotonic()
    return (after - before) / (end - start)


def limits(world):
    first = world.node("first")
    second = world.node("second", bootstrap=[first.port])
    path = world.path("data", "big.bin")
    write_random(path, 200_000_000)
    link = first.add(path)

    check(second.cli("limit").stdout == "down none   up none\n", "limit")
    check("down 3.8 MiB/s" in second.cli("limit", "--down", "4MB/s").stdout, "limit --down")
    share_id = second.fetch(link + f"&pe=127.0.0.1:{first.port}", world.path("got"))
    wait_for("data", lambda: second.share(share_id)["done"] > 0, 30)
    time.sleep(2)
    rates = {}
    rates["node down"] = (RATE, measured(second, share_id, "downloaded"))
    why = second.rpc("transfer.why", id=share_id)
    check(why["share"]["cause"] == "limited" and why["limits"]["down"] == RATE, f"{why['limits']}")

    # The share's own limit, below the node's; then the uploader's instead.
    second.cli("limit", share_id[:12], "--down", "1MB/s")
    time.sleep(2)
    rates["share down"] = (1_000_000, measured(second, share_id, "downloaded"))
    second.cli("limit", share_id[:12], "--down", "none")
    second.cli("limit", "--down", "none")
    first.cli("limit", "--up", "2MB/s")
    time.sleep(2)
    rates["node up"] = (2_000_000, measured(first, share_id, "uploaded"))

    # For a time only.
    second.cli("limit", "--down", "1KiB/s", "--for", "2s")
    check("until" in second.cli("limit").stdout, "limit --for")
    wait_for("the end of the limit", lambda: second.cli("limit").stdout == "down none   up none\n", 10)
    first.cli("limit", "--up", "none")
    second.wait_complete(share_id, 60)
    for name, (wanted, got) in rates.items():
        print(f"{name}: {got / wanted - 1:+.1%} of {wanted} B/s")
    for name, (wanted, got) in rates.items():
        check(abs(got / wanted - 1) <= 0.05, f"{name}: {got:.0f} instead of {wanted}")
    for wrong in (["--down", "fast"], ["--down", "0"], ["--for", "2h"], ["--down", "1MB/s", "--for", "x"]):
        refused(second, 2, "", "limit", *wrong)
    refused(second, 3, "", "limit", "saaaaaaaa", "--down", "1MB/s")

    # A known share into another directory: refused, with a hint.
    refused(second, 13, "here already", "fetch", link, "-o", world.path("data"), "-d")
    second.cli("fetch", link, "-o", world.path("got"), "-d")
    return first, second, share_id


def watching(world, first, second, share_id):
    text = second.cli("metrics").stdout
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    check(int(values['peernet_bytes_total{class="verified_in"}']) == 200_000_000, "verified bytes")
    check(int(values["peernet_pieces_durable"]) > 0 and int(values["peernet_resident_bytes"]) > 1 << 20,
          f"{values}")
    check(len(json.loads(second.cli("metrics", "--json").stdout)) > 30, "metrics --json")
    # More came over the wire than was of use, and the process tells of itself.
    check(int(values['peernet_bytes_total{class="wire_in"}']) > 200_000_000, f"{values}")
    for name in ("loop_lag_p99_microseconds", "descriptors", "descriptors_max",
                 'control_rejects_total{reason="user"}', 'control_rejects_total{reason="line"}'):
        check("peernet_" + name in values, f"{name} is missing of {values}")

    lines = second.cli("log").stdout.splitlines()
    check(any("completed" in line and share_id[:8] in line for line in lines), f"{lines}")
    events = [json.loads(line) for line in second.cli("log", "--json", "--kind", "completed,state").stdout.splitlines()]
    check({event["kind"] for event in events} == {"completed", "state"}, f"{events}")
    numbers = [event["seq"] for event in events]
    check(numbers == sorted(set(numbers)), f"{numbers}")
    later = [json.loads(line)["seq"] for line in
             second.cli("log", "--json", "--since", str(numbers[-1] - 1)).stdout.splitlines()]
    check(later and min(later) == numbers[-1], f"{later} after {numbers[-1] - 1}")
    check(second.cli("log", "--since", "1h").stdout, "nothing in the last hour")
    check("missed" in second.cli("log", "--since", "999999").stderr, "not told that events are missed")
    refused(second, 2, "when", "log", "--since", "yesterday")
    refused(second, 2, "nonsense", "log", "--kind", "nonsense")

    done = second.cli("doctor", expect=None)
    check("dht" in done.stdout and "identity" in done.stdout, done.stdout)
    print(done.stdout, end="")
    check(done.returncode == 0, f"a node that is well is ill:\n{done.stdout}")
    os.chmod(os.path.join(second.home, "identity"), 0o644)
    done = second.cli("doctor", expect=1)
    check("chmod go-rwx" in done.stdout, done.stdout)
    os.chmod(os.path.join(second.home, "identity"), 0o600)

    # Counters are of all shares there have been.
    second.cli("rm", share_id)
    after = dict(line.rsplit(" ", 1) for line in second.cli("metrics").stdout.splitlines() if line[0] != "#")
    fallen = {name: (value, after[name]) for name, value in values.items()
              if "_total" in name and int(after[name]) < int(value)}
    check(not fallen and int(after["peernet_shares"]) == 0, f"counters have fallen: {fallen}")
    second.cli("fetch", first.cli("link", share_id).stdout.strip(), "-o", world.path("got2"), "-d")

    check("RATIO" in second.cli("ps").stdout and share_id[:8] in second.cli("ps").stdout, "ps")
    check(second.cli("list").stdout == second.cli("ls").stdout, "list")
    short = second.cli("help").stdout
    check(sum(line.startswith("  ") for line in short.splitlines()) == 10, short)
    check("metrics" not in short and "metrics" in second.cli("help", "all").stdout, "help all")
    check("LINK" in second.cli("help", "get").stdout, "help of an alias")
    for name in ("one", "two"):
        write_random(world.path("data", name), 100_000, name)
    links = first.cli("add", world.path("data", "one"), world.path("data", "two")).stdout.splitlines()
    check(len(links) == 2 and all(link.startswith("peernet:s") for link in links), f"{links}")
    both = json.loads(first.cli("add", world.path("data", "one"), world.path("data", "two"), "--json").stdout)
    check([item["was_known"] for item in both["added"]] == [True, True], f"{both}")
    # A name is escaped once, the hint says how to share the rest, and what it names can be pasted.
    write_random(world.path("odd", "a\x01b"), 10)
    done = first.cli("add", world.path("odd"), expect=1)
    check('the name "a\\x01b" has' in done.stderr and "--exclude GLOB" in done.stderr, done.stderr)
    os.rename(world.path("odd", "a\x01b"), world.path("odd", "a:b"))
    done = first.cli("add", world.path("odd"), expect=1)
    check("--exclude GLOB" in done.stderr and "--allow-unportable" in done.stderr, done.stderr)
    hint = first.cli("why", "saaaaaaaaaa", expect=3).stderr.splitlines()[-1].removeprefix("hint: ")
    check(hint == f"peernet --home {first.home} ls", hint)
    done = first.cli("fetch", links[0], "-d")
    check(f"peernet --home {first.home} status s" in done.stderr, done.stderr)
    refused(first, 3, "", "why", "saaaaaaaaaa")
    refused(first, 2, "", "why")
    refused(first, 2, "did you mean", "doctr")


def test():
    with World() as world:
        config(world)
        config_offline(world)
        first, second, share_id = limits(world)
        watching(world, first, second, share_id)
        second.stop()
        first.stop()


run(test)
