#!/usr/bin/env python3
"""What a daemon believes of those it dials itself: nothing. Seeds that send wrong blocks, leaves, piece
layers and manifests are banned, and the fetch completes from an honest one; a manifest that is right by
its hash but hostile by its names fails the share, and no file appears anywhere; handshakes with one bit
wrong are answered with silence."""

import json
import os
import random
import socket
import sys
import threading
import time

try:
    import cryptography  # noqa: F401
except ImportError:
    print("skipped: python3-cryptography is not installed for this Python")
    sys.exit(77)

import noise
import wire
from nodes import World, check, run, wait_for
from peer import Closed, Listener, Peer, Seed, bytes_until_closed, link_to, read_frame

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
chance = random.Random(SEED)


def flipped(data, at=None):
    data = bytearray(data)
    data[chance.randrange(len(data)) if at is None else at] ^= 1 << chance.randrange(8)
    return bytes(data)


class Events:
    """The daemon's events from now on, collected by a thread."""

    def __init__(self, daemon, *kinds):
        self.heard = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.path.join(daemon.home, "peernet.sock"))
        call = {"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"kinds": list(kinds)}}
        self.socket.sendall(json.dumps(call).encode() + b"\n")
        self.lines = self.socket.makefile("rb")
        check("result" in json.loads(self.lines.readline()), "no subscription")
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        for line in self.lines:
            self.heard.append(json.loads(line)["params"])

    def banned(self):
        return {event["peer"]: event["reason"] for event in list(self.heard)
                if event["kind"] == "peer_banned"}


# --- liars


class WrongBlock(Seed):
    """One bit of one block."""

    def send_block(self, peer, piece, block, data):
        super().send_block(peer, piece, block, flipped(data) if (piece, block) == (0, 0) else data)


class ShortBlock(Seed):
    def send_block(self, peer, piece, block, data):
        super().send_block(peer, piece, block, data[:-1])


class WrongLeaves(Seed):
    def hashes_now(self, kind, data):
        return flipped(data) if kind == 1 else data


class WrongLayers(Seed):
    def hashes_now(self, kind, data):
        return flipped(data) if kind == 0 else data


class InnerNodes(Seed):
    """Nodes from further up the tree, which come to the right root, in the place of leaves."""

    LEVELS = 1

    def on_hash_request(self, peer, message, state):
        if message.kind == 0:
            super().on_hash_request(peer, message, state)
            return
        nodes, _ = wire.climb(self.leaves[message.first], self.LEVELS)
        self.say(peer, message, len(nodes), b"".join(nodes))

    def say(self, peer, message, count, data):
        peer.send("hashes", ch=7, kind=message.kind, first=message.first, count=count, data=data)


class PieceAsLeaf(InnerNodes):
    LEVELS = 2


class OneNodeMore(InnerNodes):
    """More nodes than were asked for."""

    def on_hash_request(self, peer, message, _):
        nodes = self.nodes if message.kind == 0 else self.leaves[message.first]
        self.say(peer, message, message.count + 1, b"".join(nodes) + bytes(32))


class NodesAtOnePlace(InnerNodes):
    """Always the first node alone, whatever was asked for."""

    def on_hash_request(self, peer, message, _):
        self.say(peer, message, 1, self.nodes[0])


class WrongManifest(Seed):
    def manifest_now(self):
        return flipped(self.manifest)


class LongerManifest(Seed):
    """Right as far as it goes, and then more."""

    def manifest_now(self):
        return self.manifest + b"e"


class Waiting(Seed):
    """Truthful, but it has nothing: it says so, and stays."""

    def on_manifest_have(self, peer, *_):
        peer.send("have_none", ch=7)

    def on_interested(self, *_):
        pass


class Rejecting(Seed):
    """Says that it has all, and then gives nothing."""

    def on_request(self, peer, message, _):
        peer.send("reject", ch=7, **{key: message[key] for key in ("piece", "block", "count")})


class Mute(Seed):
    """Says that it has all, and then nothing more."""

    def on_request(self, *_):
        pass


class Dripping(Seed):
    """Gives a block a second: alone it would take half a minute."""

    def send_block(self, *block):
        time.sleep(1)
        super().send_block(*block)


class CutShort(Seed):
    """Its connections end within a record, each at another byte."""

    def send_block(self, peer, piece, block, data):
        record = noise.frame(peer.sealer.seal(wire.encode("piece", ch=7, piece=piece, block=block, data=data)))
        peer.sock.sendall(record[:self.sent_blocks * 6101 % len(record)])
        raise Closed


class Clumsy(Seed):
    """Truthful, but it also says much that nobody asked for, and everything on a wrong channel before."""

    def on_share_open(self, peer, message, state):
        peer.send("have_all", ch=99)
        peer.send("piece", ch=99, piece=0, block=0, data=b"x" * wire.BLOCK)
        super().on_share_open(peer, message, state)
        peer.send("suggest", ch=7, piece=0)
        peer.send("pong", nonce=1)
        peer.send_plain(b"\x80", b"\xff" * 100)

    def send_block(self, peer, piece, block, data):
        peer.send("piece", ch=8, piece=piece, block=block, data=flipped(data))
        super().send_block(peer, piece, block, data)
        peer.send("reject", ch=7, piece=piece, block=block, count=1)


class Pushy(Seed):
    """Sends a wrong block that nobody asked for, as soon as it can."""

    def on_manifest_have(self, peer, *rest):
        super().on_manifest_have(peer, *rest)
        for block in range(4):
            peer.send("piece", ch=7, piece=1, block=block, data=bytes(wire.BLOCK))


class Twice(Seed):
    """Every block twice, the second one wrong."""

    def send_block(self, peer, piece, block, data):
        super().send_block(peer, piece, block, data)
        super().send_block(peer, piece, block, flipped(data))


class PushyHashes(Seed):
    def on_manifest_have(self, peer, *rest):
        peer.send("hashes", ch=7, kind=0, first=0, count=2, data=bytes(64))
        peer.send("hashes", ch=7, kind=1, first=0, count=4, data=bytes(128))
        super().on_manifest_have(peer, *rest)


class ManifestOfOthers(Seed):
    """Answers with a part that nobody asked for, of a manifest of 4 GiB."""

    def on_manifest_request(self, peer, message, _):
        peer.send("manifest_data", ch=7, total=2**32 - 1, offset=message.offset, data=bytes(message.size))


def content():
    return {b"w": chance.randbytes(60_000), b"x": chance.randbytes(300_000), b"y": {b"z": chance.randbytes(70_000)}}


def got(world, name):
    """What stands under the place where fetches go: path -> bytes."""
    found = {}
    top = os.fsencode(world.path("got", name))
    for directory, _, names in os.walk(top):
        for file in names:
            path = os.path.join(directory, file)
            with open(path, "rb") as opened:
                found[os.path.relpath(path, top)] = opened.read()
    return found


def lies(world, daemon, kind, must_ban):
    """A fetch with only a liar at first; the honest seed is named when the lie has been told."""
    name = kind.__name__
    tree = content()
    events = Events(daemon, "peer_banned")
    with kind(name.encode(), tree) as liar, Seed(name.encode(), tree) as honest:
        share = daemon.fetch(liar.link(), world.path("got"))
        if must_ban:
            wait_for(f"{name} is banned", lambda: liar.peer_text() in events.banned(), 20)
            # Nor may it call: when it has said who it is, it hears that it is banned, and no more.
            with Peer.dial(daemon.port, identity=liar.identity) as caller:
                said = caller.until_closed()
            check(said == [wire.Message("close", reason=5)], f"{name} is banned, but hears {said}")
        else:
            wait_for(f"{name} is heard", lambda: liar.asked, 20)
        began = time.monotonic()
        daemon.fetch(link_to(liar.id, honest.port), world.path("got"))
        daemon.wait_complete(share)
        check(time.monotonic() - began < 12, f"{name} held the fetch up for {time.monotonic() - began:.0f} s")
        check(honest.peer_text() not in events.banned(), "the honest seed is banned")
        check(must_ban or liar.peer_text() not in events.banned() or kind not in (Waiting, Rejecting, Mute, Dripping, CutShort, Clumsy, Seed),
              f"{name} is banned, but told no lie: {events.banned()}")
        print(f"{name}: {events.banned().get(liar.peer_text(), 'not banned')}; completed")
        wanted = {b"w": tree[b"w"], b"x": tree[b"x"], b"y/z": tree[b"y"][b"z"]}
        check(got(world, name) == wanted, f"{name}: the tree differs")
        check(not honest.errors and not liar.errors,
              f"{name}: the daemon said something wrong: {honest.errors} {liar.errors}")


# --- handshakes


class BadResponder(Listener):
    """Plays the responder, with message 2 spoilt in one way; what comes after it is kept."""

    def __init__(self, spoil):
        self.spoil = spoil
        self.after = None
        super().__init__()

    def on_call(self, sock):
        first = read_frame(sock, 1024)
        check(len(first) == 32, f"a first message of {len(first)} bytes")
        payload = self.spoil if isinstance(self.spoil, PayloadLie) else None
        shake = noise.Handshake(noise.RESPONDER, noise.Identity(), self.port, spoil=payload)
        shake.read(first)
        second = noise.frame(shake.write())
        sock.sendall(second if payload else self.spoil(second))
        sock.shutdown(socket.SHUT_WR)
        self.after = bytes_until_closed(sock)


class PayloadLie:
    def __init__(self, make):
        self.make = make

    def __call__(self, shake, payload):
        return self.make(shake, payload)


def spoilt_answers(daemon, world):
    """Message 2 with a bit flipped, spread over all its bytes, or sealed right but wrong."""
    def flip_at(at):
        return lambda data: flipped(data, at)

    size = 2 + 32 + 48 + 124
    listeners = {f"byte {at}": BadResponder(flip_at(at)) for at in [*range(0, 36), *range(36, size, 4), size - 1]}
    other = noise.Identity()
    listeners |= {
        "nothing": BadResponder(lambda data: b""),
        "an empty frame": BadResponder(lambda data: b"\0\0"),
        "a frame too long": BadResponder(lambda data: b"\4\1" + bytes(1025)),
        "cut off": BadResponder(lambda data: data[:-1]),
        "HTTP": BadResponder(lambda data: b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "a low order key": BadResponder(lambda data: data[:2] + bytes(32) + data[34:]),
        "another's id": BadResponder(PayloadLie(lambda shake, payload: other.peer_id + payload[32:])),
        "for the other role": BadResponder(PayloadLie(lambda shake, _: shake.identity.payload(0, shake.symmetric.h, 1))),
        "version 0": BadResponder(PayloadLie(
            lambda shake, _: shake.identity.payload(1, shake.symmetric.h, 1, version=0))),
    }
    ports = [listener.port for listener in listeners.values()]
    # 16 hints a link; all of one share that nobody has.
    share_id = chance.randbytes(32)
    for first in range(0, len(ports), 16):
        share = daemon.fetch(link_to(share_id, *ports[first:first + 16]), world.path("got"))
    for what, listener in listeners.items():
        wait_for(f"the daemon is done with: {what}", lambda: listener.after is not None, 60)  # noqa: B023
        check(not listener.after, f"{what}: it said {listener.after.hex()}")
        check(not listener.errors, f"{what}: {listener.errors}")
        listener.close()
    daemon.rpc("share.remove", id=share)
    print(f"{len(listeners)} wrong answers to a first message, and no third one")


# --- manifests


NEVER = [b"..", b".", b"/etc", b"a/b", b"../up", b"a\0b", b"a\nb", b"\x7f", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80",
         "\u202egpj.exe".encode(), "a\u200bb".encode(), b"x" * 256]
UNPORTABLE = [b"CON", b"con.txt", b"LPT1", b"trailing.", b"trailing ", b"a:b", b"a\\b", b"a?b", b"a*b", b"a|b",
              b"..\\up"]


def hostile_names():
    deep = {b"f": b"x"}
    for _ in range(70):
        deep = {b"d": deep}
    for name in NEVER + UNPORTABLE:
        yield f"the share's name {name!r}", wire.manifest_of(name, {b"f": b"x", b"g": b"y"})
        yield f"a file {name!r}", wire.manifest_of(b"n", {name: b"x", b"g": b"y"})
    for name in NEVER[:6]:
        yield f"a directory {name!r}", wire.manifest_of(b"n", {name: {b"f": b"x"}, b"g": b"y"})
    yield "an empty name", wire.manifest_of(b"", {b"f": b"x", b"g": b"y"})
    yield "names that fold to one", wire.manifest_of(b"n", {b"README": b"x", b"readme": b"y"})
    yield "names composed and not", wire.manifest_of(b"n", {"é".encode(): b"x", "e\u0301".encode(): b"y"})
    yield "too deep", wire.manifest_of(b"n", deep)


def hostile_manifests():
    entry = wire.tree_entry(b"x")
    good = {b"file tree": {b"f": entry, b"g": entry}, b"meta version": 2, b"name": b"n", b"piece length": 65_536}

    def but(**changes):
        return wire.bencode({**good, **{key.replace("_", " ").encode(): value for key, value in changes.items()}})

    def with_file(**fields):
        file = {key.replace("_", " ").encode(): value for key, value in fields.items()}
        return but(file_tree={b"f": {b"": file}, b"g": entry})

    root = bytes(32)
    yield "version 1", but(meta_version=1)
    yield "one key more", but(private=1)
    yield "no name", wire.bencode({key: value for key, value in good.items() if key != b"name"})
    for length in (0, 1, 3, 8192, 65_537, 2**25, 2**63, -16_384):
        yield f"piece length {length}", but(piece_length=length)
    for length in (-1, 2**53 + 1, 2**63, 2**64, 10**40):
        yield f"a file of {length} bytes", with_file(length=length, pieces_root=root)
    yield "too many pieces", but(piece_length=16_384, file_tree={
        b"f": {b"": {b"length": 2**52, b"pieces root": root}}})
    yield "no root", with_file(length=1)
    yield "a root of nothing", with_file(length=0, pieces_root=root)
    yield "a short root", with_file(length=1, pieces_root=root[:-1])
    yield "an attribute", with_file(attr=b"l", length=1, pieces_root=root)
    yield "file and directory", but(file_tree={b"f": {**entry, b"h": entry}})
    yield "an empty directory", but(file_tree={b"f": {}, b"g": entry})
    yield "no files", but(file_tree={})
    yield "not a byte", but(file_tree={b"f": wire.tree_entry(b""), b"g": wire.tree_entry(b"")})
    whole = wire.bencode(good)
    yield "something after it", whole + b"e"
    yield "cut off", whole[:-1]
    yield "a leading zero", whole.replace(b"i2e", b"i02e")
    yield "keys out of order", b"d4:name1:n" + whole[1:].replace(b"4:name1:n", b"")
    yield "a key twice", whole.replace(b"4:name1:n", b"4:name1:n4:name1:n")
    yield "a length beyond the end", whole.replace(b"4:name1:n", b"4:name99999999999999999999:n")
    yield "deep as the sea", b"d" + b"1:ad" * 100_000
    yield "lists", b"l" * 50_000
    yield "text", b"hello"


def hostile(world, daemon):
    """Each fails with a reason; afterwards nothing stands anywhere that did not stand there before."""
    before = listing(world.directory, daemon)
    cases = [*hostile_names(), *hostile_manifests()]
    seeds = [(what, Seed(b"n", b"x", manifest=manifest)) for what, manifest in cases]
    reasons = refused(world, daemon, seeds)
    # Who takes names that some systems cannot hold still takes none that leads elsewhere.
    refused(world, daemon, [(what, seed) for what, seed in seeds
                            if any(repr(name) in what for name in NEVER)], allow_unportable=True)
    for _, seed in seeds:
        seed.close()
    after = listing(world.directory, daemon)
    check(after == before, f"something has changed: {sorted(after ^ before)}")
    for what in ("a file b'..'", "a file b'CON'", "piece length 3", "deep as the sea"):
        print(f"{what}: {reasons[what]}")
    print(f"{len(cases)} hostile manifests were refused, and nothing was written")


def refused(world, daemon, seeds, **options):
    """Each share fails with a reason to show; gives the reasons. Afterwards the daemon knows none of them."""
    reasons = {}
    shares = [(what, daemon.rpc("share.fetch", link=seed.link(), directory=world.path("got"), **options)["id"])
              for what, seed in seeds]
    for what, share in shares:
        def is_settled():
            status = daemon.share(share)  # noqa: B023
            return status if status["state"] in ("failed", "seeding") else None

        status = wait_for(f"the end of: {what}", is_settled, 60)
        check(status["state"] == "failed", f"{what} was taken")
        check(len(status["reason"]) > 8, f"{what}: the reason is {status['reason']!r}")
        # It is told as it came, and shown escaped.
        shown = daemon.cli("status", share).stdout
        check(all(line.isprintable() for line in shown.splitlines()), f"{what}: it is shown as {shown!r}")
        reasons[what] = status["reason"]
    for _, share in shares:
        daemon.rpc("share.remove", id=share)
    return reasons


def listing(top, daemon):
    """Every path under the world's directory but the daemon's own files, and the file system's root."""
    found = {os.path.join(b"/", name) for name in os.listdir(b"/")} | {
        os.path.join(b"/etc", name) for name in os.listdir(b"/etc")}
    for directory, directories, files in os.walk(os.fsencode(top)):
        if directory == os.fsencode(daemon.home):
            directories.clear()
            continue
        found |= {os.path.join(directory, name) for name in [*directories, *files]}
    return found


def test():
    print(f"seed {SEED}")
    with World() as world:
        daemon = world.node("target")
        os.makedirs(world.path("got"))
        for kind in (WrongBlock, WrongLeaves, WrongLayers, WrongManifest, LongerManifest, InnerNodes,
                     PieceAsLeaf, OneNodeMore, ManifestOfOthers):
            lies(world, daemon, kind, True)
        for kind in (ShortBlock, Waiting, Rejecting, Mute, Dripping, CutShort, Clumsy, Pushy, Twice, PushyHashes,
                     NodesAtOnePlace):
            lies(world, daemon, kind, False)
        spoilt_answers(daemon, world)
        hostile(world, daemon)
        lies(world, daemon, Seed, False)
        daemon.stop()


run(test)
