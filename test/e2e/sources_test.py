#!/usr/bin/env python3
"""Each way of finding peers works alone, with the others off: the link's hint, peer exchange, remembered
peers, the local network (here loopback), the DHT. And whoever lies about addresses makes nobody dial."""

import os
import random
import socket
import struct
import sys
import threading
import time

try:
    import cryptography  # noqa: F401
except ImportError:
    print("skipped: python3-cryptography is not installed for this Python")
    sys.exit(77)

from nodes import World, check, run, tree_of, wait_for, write_random
from peer import Visitor, id_bytes, link_to
from wire import sha256

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
OFF = {"dht": False, "lan": False, "pex": False}
LIARS = 200


def found_by(node):
    return {peer["found_by"] for peer in node.rpc("peer.list")["peers"]}


def shared(world, node, name, size=400_000):
    path = world.path("data", name)
    write_random(path, size, SEED + len(name))
    return path, node.add(path)


def gets(world, node, link, path, source, seconds=40):
    """The node completes what the link names, over a connection that this source led to."""
    directory = world.path("got", f"{node.name}-{source}")
    share_id = node.fetch(link, directory)
    seen = set()

    def is_complete():
        seen.update(found_by(node))
        return node.share(share_id)["state"] == "seeding"

    wait_for(f"{node.name} completes by {source}", is_complete, seconds)
    check(source in seen, f"{node.name} found its peers by {seen}, not by {source}")
    check(tree_of(os.path.join(directory, os.path.basename(path))) == tree_of(path), "the file differs")
    print(f"by {source} alone: done")
    return share_id


def hint_and_remembered(world):
    seed = world.node("seed", discovery=OFF)
    leecher = world.node("leecher", discovery=OFF)
    path, link = shared(world, seed, "first.bin")
    first = gets(world, leecher, link_to(id_bytes(link), seed.port), path, "link")
    leecher.rpc("share.remove", id=first)  # its hint with it
    # The second share comes without a hint; after a restart whoever was met before is asked for it.
    path, link = shared(world, seed, "second.bin")
    directory = world.path("got", "remembered")
    share_id = leecher.fetch(link_to(id_bytes(link)), directory)
    time.sleep(0.5)
    check(leecher.share(share_id)["done"] == 0, "it was found before the restart")
    leecher.stop()
    leecher.start()
    seen = set()

    def is_complete():
        seen.update(found_by(leecher))
        return leecher.share(share_id)["state"] == "seeding"

    wait_for("it completes by a remembered peer", is_complete, 40)
    check("remembered" in seen, f"found by {seen}")
    check(tree_of(os.path.join(directory, "second.bin")) == tree_of(path), "the file differs")
    print("by remembered alone: done")
    seed.stop()
    leecher.stop()


def lan(world):
    only = {**OFF, "lan": True}
    seed = world.node("lan-seed", discovery=only)
    leecher = world.node("lan-leecher", discovery=only)
    path, link = shared(world, seed, "near.bin")
    gets(world, leecher, link_to(id_bytes(link)), path, "lan", 15)
    late = world.node("lan-late", discovery={**OFF})
    share_id = late.fetch(link_to(id_bytes(link)), world.path("got", "off"))
    time.sleep(1.5)
    check(late.share(share_id)["peers_known"] == 0, "with discovery.lan off it heard of somebody")
    for node in (seed, leecher, late):
        node.stop()


def dht(world):
    only = {**OFF, "dht": True}
    seed = world.node("dht-seed", discovery=only)
    leecher = world.node("dht-leecher", [seed.port], discovery=only)
    path, link = shared(world, seed, "far.bin")
    gets(world, leecher, link_to(id_bytes(link)), path, "dht")
    seed.stop()
    leecher.stop()


def pex(world):
    """A slow seed that all know, and leechers that know only it: they hear of each other from it."""
    only = {**OFF, "pex": True}
    seed = world.node("slow", discovery=only, limits={"up": "400KB/s"})
    path, link = shared(world, seed, "slow.bin", 2_000_000)
    hinted = link_to(id_bytes(link), seed.port)
    leechers = [world.node(f"pex-{i}", discovery=only) for i in range(3)]
    mute = world.node("no-pex", discovery=OFF)
    ids = [node.fetch(hinted, world.path("got", node.name)) for node in [*leechers, mute]]
    wait_for("leechers find each other", lambda: any("pex" in found_by(node) for node in leechers), 20)
    known = mute.rpc("transfer.why", id=ids[-1])["dials"]
    check(all(dial["found_by"] == "link" for dial in known), f"pex is off, and it heard: {known}")
    for node, share_id in zip(leechers, ids):
        node.wait_complete(share_id, 60)
        check(tree_of(os.path.join(world.path("got", node.name), "slow.bin")) == tree_of(path), "the file differs")
    print("by pex alone: done")
    for node in [seed, mute, *leechers]:
        node.stop()


class Victim:
    """Somebody who wants to be left alone: counts who connects."""

    def __init__(self, address="127.0.0.1"):
        self.server = socket.create_server((address, 0))
        self.address, self.port = self.server.getsockname()
        self.calls = 0
        threading.Thread(target=self.count, daemon=True).start()

    def count(self):
        while True:
            try:
                self.server.accept()[0].close()
            except OSError:
                return
            self.calls += 1


def pex_of(*endpoints):
    """The fields after the channel: added v4, and nothing else."""
    packed = b"".join(socket.inet_aton(host) + struct.pack(">H", port) for host, port in endpoints)
    return bytes([len(endpoints)]) + packed + bytes(3)


def liars(world):
    """Many peers name one victim, again and again, for two shares: it is dialled once. Nobody is dialled for a
    share that the liar has not proved to know."""
    target = world.node("target", discovery={**OFF, "pex": True})
    first, second, third = (sha256(name) for name in (b"one", b"two", b"three"))
    for share_id in (first, second, third):
        target.fetch(link_to(share_id), world.path("got", "liars"))
    victim, unproved, quick = Victim(), Victim(), Victim()
    visitors = []
    for number in range(LIARS):
        liar = Visitor.dial(target.port, source=f"127.0.{number + 1}.1")
        liar.open(first if number % 2 else second)
        liar.send("pex", ch=liar.ch, data=pex_of(("127.0.0.1", victim.port)))
        # Not for this channel: no share was opened on it.
        liar.send("pex", ch=77, data=pex_of(("127.0.0.1", unproved.port)))
        # The second message within a minute does not count.
        liar.send("pex", ch=liar.ch, data=pex_of(("127.0.0.1", quick.port)))
        liar.sync()
        visitors.append(liar)
    wait_for("the victim is tried", lambda: victim.calls, 10)
    time.sleep(3)
    check(victim.calls == 1, f"{victim.calls} connections reached the victim")
    check(unproved.calls == 0, "it dialled for a share that nobody proved")
    check(quick.calls == 0, "the second message in a minute counted")
    for liar in visitors:
        liar.close()
    print(f"{LIARS} liars, one victim: 1 dial")
    target.stop()


def test():
    print(f"seed {SEED}")
    with World() as world:
        hint_and_remembered(world)
        lan(world)
        dht(world)
        pex(world)
        liars(world)


run(test)
