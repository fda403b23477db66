"""Keys of the config that bound something or shape the log, each seen to do so."""

import json
import os
import select
import socket
import sys
import time

from nodes import World, check, run, wait_for, write_random


def link_at(seed, path):
    return seed.add(path) + f"&pe=127.0.0.1:{seed.port}"


def unchoked(node):
    return sum(not peer["is_choked"] for peer in node.rpc("peer.list")["peers"])


def metric(node, name):
    return next(one["value"] for one in node.rpc("metrics.get")["metrics"] if one["name"] == name)


def test_peers(world):
    path = world.path("source", "shared.bin")
    write_random(path, 40_000_000)
    seed = world.node("seed", limits={"connections": 2, "upload_slots": 1, "up": "2MB/s"},
                      discovery={"dht": False, "lan": False, "pex": False})
    link = link_at(seed, path)
    leeches = [world.node(name, discovery={"dht": False, "lan": False, "pex": False},
                          limits={"memory": "16MiB"}) for name in ("one", "two", "three")]
    shares = [node.fetch(link, world.path(node.name + ".got")) for node in leeches]
    most = 0

    def is_turned_away():
        nonlocal most
        most = max(most, unchoked(seed))
        check(len(seed.rpc("peer.list")["peers"]) <= 2, "more peers than limits.connections")
        check(most <= 1, "more peers served than limits.upload_slots")
        busy = [node for node, share in zip(leeches, shares)
                if "busy" in json.dumps(node.rpc("transfer.why", id=share))
                or not node.rpc("peer.list")["peers"]]
        return most == 1 and len(seed.rpc("peer.list")["peers"]) == 2 and len(busy) == 1

    wait_for("two are connected, one of them is served, the third is turned away", is_turned_away, 30)
    for node in leeches:
        held = [one["value"] for one in node.rpc("metrics.get")["metrics"] if "held" in one["name"]]
        check(held and max(held) <= 16 << 20, f"more than limits.memory: {held}")


def test_fair(world):
    """What an upload limit lets through is shared: nobody is served first all the time."""
    only = {"dht": False, "lan": False, "pex": False}
    path = world.path("fair.bin")
    write_random(path, 8 << 20, 5)
    seed = world.node("fair-seed", discovery=only, limits={"up": "1500KB/s"})
    link = link_at(seed, path)
    nodes = [world.node(f"fair-{i}", discovery=only) for i in range(3)]
    for node in nodes:
        node.fetch(link, world.path(f"got-{node.name}"))

    def uploaded():
        return [peer["uploaded"] for peer in seed.rpc("peer.list")["peers"]]

    wait_for("a quarter of all was sent", lambda: sum(uploaded()) >= 6_000_000, 30)
    told = sorted(uploaded())
    check(len(told) == 3 and told[0] * 2 >= told[-1], f"one was served before the others: {told}")
    for node in (seed, *nodes):
        node.stop()


def test_each_peer(world):
    """Each peer has as much as the limit allows, over both of its shares, to 5 %; `why` names it; a limit that the
    user changes counts at once, and none does on the local network when the user says so."""
    only = {"dht": False, "lan": False, "pex": False}
    paths = [world.path("source", f"each-{number}.bin") for number in range(3)]
    for number, path in enumerate(paths):
        write_random(path, 32 << 20, number)  # of an eighth of it nobody has to give anything back
    seed = world.node("each-seed", discovery=only, limits={"peer_up": "200KB/s"})
    links = [link_at(seed, path) for path in paths]
    two, one = (world.node(name, discovery=only) for name in ("each-two", "each-one"))
    shares = [node.fetch(link, world.path("got", node.name))
              for node, link in ((two, links[0]), (two, links[1]), (one, links[2]))]

    def rates(seconds):
        def sent():
            return {peer["id"]: peer["uploaded"] for peer in seed.rpc("peer.list")["peers"]}
        before, began = sent(), time.monotonic()
        time.sleep(seconds)
        after, took = sent(), time.monotonic() - began
        return {node.name: (after[name] - before[name]) / took for node in (two, one)
                for name in [node.rpc("identity.show")["id"]]}

    wait_for("both are served", lambda: sum(peer["uploaded"] > 200_000 for peer in seed.rpc("peer.list")["peers"]) == 2, 20)
    measured = rates(6)
    print(f"limits.peer_up 200 KB/s: {measured}")
    check(all(abs(rate - 200_000) < 10_000 for rate in measured.values()), f"{measured}")
    two.cli("config", "set", "limits.peer_down", "100KB/s")
    wait_for("why names the limit",
             lambda: two.rpc("transfer.why", id=shares[0])["share"]["cause"] == "peer_limited", 10)
    said = two.rpc("share.status", id=shares[0])["reason"]
    check(said.startswith("held back by limits.peer_down, "), said)
    time.sleep(2)  # what was asked for before comes first
    measured = rates(6)
    print(f"limits.peer_down 100 KB/s at one of them: {measured}")
    check(abs(measured[two.name] - 100_000) < 5_000, f"{measured}")
    check(abs(measured[one.name] - 200_000) < 10_000, f"{measured}")
    for node in (seed, two):
        node.cli("config", "set", "limits.lan", "false")
    check(rates(2)[two.name] > 500_000, "peers at loopback are limited after all")
    for node in (seed, two, one):
        node.stop()


def test_half_open(world):
    node = world.node("gated", limits={"half_open": 8})
    silent = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(12)]
    wait_for("the four that are too many are closed", lambda: len(select.select(silent, [], [], 0)[0]) == 4, 5)
    for one in silent:
        one.close()


def refused(node, code, *words):
    """What the command says on standard error; it must fail with this exit code."""
    done = node.cli(*words, expect=code)
    check("hint:" in done.stderr, f"{words}: no hint in {done.stderr}")
    return done.stderr


def test_manifest(world):
    tree = world.path("source", "tree")
    for number in range(6):
        write_random(os.path.join(tree, f"{number}.bin"), 10_000, seed=number)
    seed = world.node("wide")
    strict = world.node("strict", limits={"manifest_entries": 5, "manifest_size": "64KiB"})
    said = refused(strict, 1, "add", tree)
    check("more than 5 entries" in said and "limits.manifest_entries" in said, said)
    share = strict.rpc("share.fetch", link=link_at(seed, tree), directory=world.path("got"))["id"]
    wait_for("the share is refused", lambda: strict.rpc("share.status", id=share)["state"] == "failed", 30)
    error = strict.rpc("share.status", id=share)["error"]
    check("too many files" in error["message"] and "manifest_entries" in error["hint"], f"{error}")
    # Larger than it takes; nobody is asked for so much, and nobody is a liar for having it.
    broad = world.path("source", "broad")
    for number in range(700):
        write_random(os.path.join(broad, "n" * 100 + f"{number}.bin"), 10, seed=number)
    strict = world.node("small", limits={"manifest_size": "64KiB"})
    share = strict.rpc("share.fetch", link=link_at(seed, broad), directory=world.path("got2"))["id"]
    wait_for("why says that it is too large",
             lambda: "limits.manifest_size" in strict.rpc("share.status", id=share)["reason"], 30)
    check(not strict.rpc("peer.bans")["bans"], "who has a large share was banned")


def test_control(world):
    node = world.node("asked", limits={"control_clients": 4, "control_requests": 10})
    path = os.path.join(node.home, "peernet.sock")
    clients = []
    for _ in range(6):
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        clients.append(client)
    wait_for("the two that are too many are closed", lambda: len(select.select(clients, [], [], 0)[0]) == 2, 5)
    # Twenty at once, then ten a second.
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "identity.show"}).encode() + b"\n"
    began = time.monotonic()
    clients[0].sendall(request * 40)
    answers = clients[0].makefile("rb")
    for _ in range(40):
        answers.readline()
    took = time.monotonic() - began
    check(1.5 <= took < 10, f"40 requests were done in {took:.2f} s")
    for client in [answers, *clients]:
        client.close()
    wait_for("there is room again", lambda: metric(node, "peernet_control_clients") == 1, 5)
    rejects = {one["labels"]: one["value"] for one in node.rpc("metrics.get")["metrics"]
               if one["name"] == "peernet_control_rejects_total"}
    check(rejects['reason="clients_limit"'] == 2, f"{rejects}")


def test_handshakes(world):
    node = world.node("calm", limits={"handshakes": 2})
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", node.port)) as one:
            one.sendall(bytes(40))
            one.settimeout(5)
            one.recv(1)

    def turned_away():
        return {one["labels"]: one["value"] for one in node.rpc("metrics.get")["metrics"]
                if one["name"] == "peernet_rejects_total"}['reason="handshake_rate"']

    wait_for("two are too many a second", lambda: turned_away() >= 1, 5)


def test_log(world):
    log = world.path("logged.json")
    node = world.node("logged", bootstrap=[], log={"format": "json", "file": log, "max_size": "64KiB"})
    other = world.node("other")
    path = world.path("source", "small.bin")
    write_random(path, 100_000)

    def lines():
        with open(log, encoding="ascii") as file:
            return [json.loads(line) for line in file]

    def about_peers():
        return [line for line in lines() if "joined" in line["message"] or " left " in line["message"]]

    other.wait_complete(other.fetch(link_at(node, path), world.path("got")))
    check(lines() and not about_peers(), f"peers are told of at info: {about_peers()}")
    # At run time, for this kind alone.
    node.cli("config", "set", "log.peers", "debug")
    node.rpc("peer.drop", id=other.rpc("identity.show")["id"])
    write_random(path + "1", 100_000, seed=1)
    other.wait_complete(other.fetch(link_at(node, path + "1"), world.path("got")))
    wait_for("a line about a peer", about_peers, 30)
    check(all(line["level"] != "debug" for line in lines() if line not in about_peers()),
          "other lines have become debug too")
    node.cli("config", "set", "log.level", "error")
    count = len(lines())
    write_random(path + "2", 100_000, seed=2)
    node.add(path + "2")
    check(not any("shared" in line["message"] for line in lines()[count:]), "told in spite of log.level")
    # By size: what is written beyond it pushes the oldest out.
    node.cli("config", "set", "log.level", "info")
    for number in range(150):
        node.cli("config", "set", "limits.up", f"{number + 1}MB/s")
        if number % 10 == 0:
            files = [name for name in os.listdir(world.path()) if name.startswith("logged")
                     and not os.path.isdir(world.path(name))]
            check(sum(os.path.getsize(world.path(name)) for name in files) <= 64 << 10, "logs too large")
    check(len(files) > 1, f"never rotated: {files}")
    check(all(os.stat(world.path(name)).st_mode & 0o077 == 0 for name in files), "others can read the log")


def main():
    with World() as world:
        test_peers(world)
        test_fair(world)
        test_each_peer(world)
        test_half_open(world)
        test_manifest(world)
        test_control(world)
        test_handshakes(world)
        test_log(world)


if __name__ == "__main__":
    sys.exit(run(main))
