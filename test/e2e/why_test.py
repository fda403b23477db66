#!/usr/bin/env python3
"""`peernet why` names the true cause. One thing is broken at a time, with real daemons; what the engine
says (cause), what the chain holds, and what a person reads are checked in each."""

import os
import socket
import subprocess
import sys
import time

try:
    import cryptography  # noqa: F401
except ImportError:
    print("skipped: python3-cryptography is not installed for this Python")
    sys.exit(77)

from nodes import World, check, run, wait_for, write_random
from peer import Listener, Seed, link_to
from wire import sha256

CONTENT = {b"w": os.urandom(60_000), b"x": os.urandom(300_000), b"y": {b"z": os.urandom(70_000)}}


class Choking(Seed):
    """Truthful, but it never gives a slot."""

    def on_interested(self, *_):
        pass


class Mute(Seed):
    """Says that it has all and that it serves us, and then nothing more."""

    def on_request(self, *_):
        pass


class Liar(Seed):
    def send_block(self, peer, piece, block, data):
        super().send_block(peer, piece, block, bytes([data[0] ^ 1]) + data[1:])


class Partial(Seed):
    """Has all pieces but the second."""

    def on_manifest_have(self, peer, _, state):
        if not state["announced"]:
            state["announced"] = True
            has = [number != 1 for number in range(len(self.contents))]
            data = bytearray((len(has) + 7) // 8)
            for number, is_there in enumerate(has):
                data[number // 8] |= is_there << (7 - number % 8)
            peer.send("bitfield", ch=7, first=0, data=bytes(data))


class Silent(Listener):
    """Takes connections and says nothing."""

    def on_call(self, sock):
        while sock.recv(4096):
            pass


class Closing(Listener):
    """Takes connections and closes them without a byte, as another network does."""

    def on_call(self, sock):
        sock.recv(4096)


def becomes(node, share_id, cause, seconds=40):
    """Waits until that is the cause, and gives what `why` says about it, as facts and as text."""
    last = {}

    def is_so():
        last["why"] = node.rpc("transfer.why", id=share_id)
        return last["why"]["share"]["cause"] == cause

    try:
        wait_for(f"{node.name} says {cause}", is_so, seconds, 0.1)
    except Exception:
        print(f"the last answer was {last.get('why')}", file=sys.stderr)
        raise
    text = node.cli("why", share_id[:12]).stdout
    facts = last["why"]
    print(f"--- {cause}\n{text}", end="")
    check(facts["share"]["reason"] != "" or cause == "paused", f"{cause} without a phrase")
    reason = node.share(share_id)
    check(reason["cause"] == cause, f"status says {reason['cause']}, why said {cause}")
    return facts, text


def stays(node, share_id, cause, seconds=2):
    """It does not change its mind."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = node.rpc("transfer.why", id=share_id)["share"]["cause"]
        check(said == cause, f"{cause} became {said}")
        time.sleep(0.2)


def no_provider(world, node):
    """The DHT has nodes, and none knows of a provider."""
    share_id = node.fetch(link_to(sha256(b"nobody has this")), world.path("got", "none"))
    facts, text = becomes(node, share_id, "no_provider")
    check(facts["share"]["lookup"]["nodes_asked"] >= 1, f"{facts['share']['lookup']}")
    check(facts["dials_count"] == 0 and facts["peers_count"] == 0, "providers of a share nobody has")
    check("no provider found" in text and "next retry" in text, text)
    stays(node, share_id, "no_provider", 1)
    node.rpc("share.remove", id=share_id)


def refused(world, node):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
    share_id = node.fetch(link_to(sha256(b"refused"), port), world.path("got", "refused"))
    facts, text = becomes(node, share_id, "dials_fail")
    check(facts["dials"][0]["outcome"] == "refused", f"{facts['dials']}")
    check("refused the connection" in text and f"127.0.0.1:{port}" in text, text)
    node.rpc("share.remove", id=share_id)


def silent(world, node):
    with Silent() as listener:
        share_id = node.fetch(link_to(sha256(b"silent"), listener.port), world.path("got", "silent"))
        facts, text = becomes(node, share_id, "dials_fail")
        check(facts["dials"][0]["outcome"] == "silent", f"{facts['dials']}")
        check("stayed silent" in text, text)
        node.rpc("share.remove", id=share_id)


def closed_silently(world, node):
    """What a wrong network key looks like from outside."""
    with Closing() as listener:
        share_id = node.fetch(link_to(sha256(b"closed"), listener.port), world.path("got", "closed"))
        facts, text = becomes(node, share_id, "dials_fail")
        check(facts["dials"][0]["outcome"] == "closed_silently", f"{facts['dials']}")
        check("closed without a byte: another network" in text, text)
        node.rpc("share.remove", id=share_id)


def no_such_share_there(world, node):
    """A provider that is there and does not know the share."""
    with Seed(b"other", CONTENT) as seed:
        share_id = node.fetch(link_to(sha256(b"unknown there"), seed.port), world.path("got", "unknown"))
        facts, text = becomes(node, share_id, "share_unknown")
        check(facts["dials"][0]["outcome"] == "share_unknown", f"{facts['dials']}")
        check("does not offer this share" in text, text)
        node.rpc("share.remove", id=share_id)


def with_seed(world, node, kind, cause, test):
    with kind(cause.encode(), CONTENT) as seed:
        share_id = node.fetch(seed.link(), world.path("got", cause))
        test(seed, share_id, *becomes(node, share_id, cause))
        node.rpc("share.remove", id=share_id)
        check(not seed.errors, f"{seed.errors}")


def choked(world, node):
    def test(seed, share_id, facts, text):
        peer = facts["peers"][0]
        check(peer["id"] == seed.peer_text() and peer["is_choking"] and peer["is_interesting"], f"{peer}")
        check("chokes us" in text and "a peer does not say" in text, text)
        stays(node, share_id, "choked")

    with_seed(world, node, Choking, "choked", test)


def mute(world, node):
    def test(_seed, _share_id, facts, text):
        peer = facts["peers"][0]
        check(not peer["is_choking"] and peer["requests_out"] > 0 and peer["quiet"] >= 4, f"{peer}")
        check("nothing comes" in text, text)

    with_seed(world, node, Mute, "silent", test)


def lost_piece(world, node):
    def test(_seed, share_id, facts, text):
        check(facts["lost"] == {"count": 1, "files_count": 1, "pieces": [1]}, f"{facts['lost']}")
        check("1 piece has no connected holder" in text, text)
        check(facts["share"]["state"] == "stalled", f"{facts['share']}")
        wait_for("since when", lambda: node.rpc("transfer.why", id=share_id)["since"], 5)
        check("why: 1 piece has no connected holder" in node.cli("status").stdout, "status says nothing")
        stays(node, share_id, "no_holder")

    with_seed(world, node, Partial, "no_holder", test)


def liar(world, node):
    def test(seed, share_id, facts, text):
        check([ban["peer"] for ban in facts["bans"]] == [seed.peer_text()], f"{facts['bans']}")
        check("sent wrong data" in text, text)
        stays(node, share_id, "banned")

    with_seed(world, node, Liar, "banned", test)


def paused(world, node):
    share_id = node.fetch(link_to(sha256(b"paused")), world.path("got", "paused"))
    node.cli("pause", share_id[:12])
    _, text = becomes(node, share_id, "paused")
    check("paused" in text.splitlines()[0] and f"peernet --home {node.home} resume" in text, text)
    node.cli("resume", share_id[:12])
    wait_for("it goes on", lambda: node.share(share_id)["cause"] != "paused", 10)
    node.rpc("share.remove", id=share_id)


def limited(world):
    """A daemon whose download limit is 1 KB/s, and an honest seed."""
    node = world.node("limited", limits={"down": "1KB/s"})
    with Seed(b"limited", CONTENT) as seed:
        share_id = node.fetch(seed.link(), world.path("got", "limited"))
        facts, text = becomes(node, share_id, "limited")
        check(facts["limits"]["is_limited"] and facts["limits"]["down"] == 1000, f"{facts['limits']}")
        check("download limit of 1000 B/s" in text, text)
        check(facts["share"]["state"] == "fetching", f"{facts['share']['state']}")
        stays(node, share_id, "limited", 4)
        node.rpc("share.remove", id=share_id)
    node.stop()


def disk_full(world, node):
    """A file system with less room than the share needs, and what is to be spared on it."""
    small = world.path("small")
    os.makedirs(small)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "peernet-why", small],
                             capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        print(f"skipped disk full: no right to mount ({mounted.stderr.strip()})")
        return
    try:
        with Seed(b"full", {b"a": os.urandom(2_000_000)}) as seed:
            share_id = node.rpc("share.fetch", link=seed.link(), directory=small)["id"]
            facts, text = becomes(node, share_id, "disk_full")
            check(facts["share"]["error"]["kind"] == "no_space", f"{facts['share']['error']}")
            check("not enough space" in text and "make room" in text, text)
            node.rpc("share.remove", id=share_id)
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def test():
    with World() as world:
        first = world.node("first")
        node = world.node("second", bootstrap=[first.port])
        wait_for("the DHT", lambda: node.rpc("dht.status")["is_joined"], 30)
        no_provider(world, node)
        refused(world, node)
        silent(world, node)
        closed_silently(world, node)
        no_such_share_there(world, node)
        choked(world, node)
        mute(world, node)
        lost_piece(world, node)
        liar(world, node)
        paused(world, node)
        limited(world)
        disk_full(world, node)
        node.stop()
        first.stop()


run(test)
