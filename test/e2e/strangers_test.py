#!/usr/bin/env python3
"""What a daemon says to those who dial it and do not keep to transfer/README.md: to the unworthy nothing,
to the clumsy a closed connection; and it serves the next honest peer as before. (What it believes of
those it dials itself is in liars_test.py.)"""

import os
import random
import resource
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

import noise
import wire
from nodes import World, check, run, tree_of, write_random
from peer import Closed, Peer, Visitor, bytes_until_closed, connect, id_bytes, read_exactly, read_frame

STORM = 1_000_000  # requests and cancels
CROWD = 10_000     # connections, or as many as this process may have
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
chance = random.Random(SEED)
# The order of the field's prime, and other points that make every agreement come to zero.
LOW_ORDER = [bytes(32), b"\1" + bytes(31), bytes.fromhex(
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    (2**255 - 20).to_bytes(32, "little"), (2**255 - 19).to_bytes(32, "little")]


class Target:
    """The daemon under attack, and the share it has: 16 MiB in pieces of 16 KiB, and a small one."""

    def __init__(self, world):
        self.daemon = world.node("target")
        self.port = self.daemon.port
        self.acts = 0
        self.file = world.path("data", "many-pieces.bin")
        write_random(self.file, 16 << 20, SEED)
        link = self.daemon.rpc("share.add", path=self.file, piece_length=16_384)["link"]
        self.id = id_bytes(link)
        with open(self.file, "rb") as file:
            content = file.read()
        self.share = wire.Share(wire.manifest_of(b"many-pieces.bin", content, 16_384))
        check(self.share.id == self.id, "the share id differs")

    def still_lives(self, what):
        self.acts += 1
        check(self.daemon.process.poll() is None, f"the daemon died of: {what}")
        if self.acts % 16 == 0:
            self.daemon.rpc("daemon.status")

    def memory(self):
        """The most it ever held, in bytes."""
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))

    def visit(self, is_open=True):
        visitor = Visitor.dial(self.port)
        return visitor.open(self.id) if is_open else visitor

    def says_nothing(self, what, sock):
        said = bytes_until_closed(sock)
        sock.close()
        check(not said, f"{what}: it said {said.hex()}")
        self.still_lives(what)

    def closes(self, what, *plains, is_open=True):
        """These messages end the connection, and bring nothing of value."""
        with self.visit(is_open) as peer:
            try:
                peer.send_plain(*plains)
                said = peer.until_closed()
            except TimeoutError:
                raise_not_closed(what, peer)
            check({m.name for m in said} <= {"ping", "close", "unchoke", "have_all"}, f"{what}: it said {said}")
        self.still_lives(what)

    def goes_on(self, what, *plains, expected=(), is_open=True):
        """These messages are answered so, and the connection lives."""
        with self.visit(is_open) as peer:
            peer.send_plain(*plains)
            said = [m.name for m in peer.sync() if m.name != "ping"]
            check(said == list(expected), f"{what}: it said {said}, not {list(expected)}")
        self.still_lives(what)


def raise_not_closed(what, peer):
    check(False, f"{what}: the connection was not closed; it said {peer.heard}")


def flipped(data, at, bit=None):
    data = bytearray(data)
    data[at] ^= 1 << (chance.randrange(8) if bit is None else bit)
    return bytes(data)


def initiator(**options):
    return noise.Handshake(noise.INITIATOR, noise.Identity(), **options)


def no_handshakes(target):
    """Bytes that are no first message: not a byte comes back."""
    first = initiator().write()
    acts = {
        "garbage": b"\xff" + chance.randbytes(999),
        "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a BitTorrent handshake": b"\x13BitTorrent protocol" + bytes(48),
        "a TLS hello": bytes.fromhex("16030100c8010000c40303") + chance.randbytes(190),
        "a frame of nothing": noise.frame(b""),
        "a first message too short": noise.frame(first[:31]),
        "a first message too long": noise.frame(first + b"\0"),
        "a frame of 1024 bytes": noise.frame(first.ljust(1024, b"\0")),
        "a frame of 1025 bytes": noise.frame(first.ljust(1025, b"\0")),
        "the longest frame": noise.frame(bytes(65_535)),
        "the first message of a private network": noise.frame(
            initiator(network_key=bytes(32), time_ms=time.time_ns() // 1_000_000).write()),
        **{f"low order {point.hex()}": noise.frame(point) for point in LOW_ORDER},
    }
    for what, data in acts.items():
        sock = connect(target.port)
        sock.sendall(data)
        target.says_nothing(what, sock)
    for size in (0, 1, 2, 3, 33):
        sock = connect(target.port)
        sock.sendall(noise.frame(first)[:size])
        sock.shutdown(socket.SHUT_WR)
        target.says_nothing(f"{size} bytes and the end", sock)


def until_message_3(target, shake, first=None):
    """A connection on which message 2 has come; message 3 is what the caller makes of it."""
    sock = connect(target.port)
    sock.sendall(noise.frame(first or shake.write()))
    return sock, read_frame(sock, 1024)


def spoilt_handshakes(target):
    """Every byte of messages 1 and 3 with a bit flipped, and payloads that are sealed right but wrong."""
    for at in range(32):
        shake = initiator()
        sock, second = until_message_3(target, shake, flipped(shake.write(), at))
        try:
            shake.read(second)
        except noise.Refused:
            # Nobody with these keys can go on; anything in the place of message 3 is wrong.
            sock.sendall(noise.frame(chance.randbytes(172)))
            target.says_nothing(f"message 1, byte {at}", sock)
        else:
            check(False, f"byte {at} of message 1 does not count")
    for at in range(2 + 172):
        shake = initiator()
        sock, second = until_message_3(target, shake)
        shake.read(second)
        third = noise.frame(shake.write())
        check(len(third) == 2 + 172, f"message 3 has {len(third)} bytes")
        sock.sendall(flipped(third, at))
        sock.shutdown(socket.SHUT_WR)
        target.says_nothing(f"message 3, byte {at}", sock)

    stranger = noise.Identity()

    def signed_for(role, **rest):
        return lambda shake, _: shake.identity.payload(role, shake.symmetric.h, 0, **rest)

    payloads = {
        "signed by another": lambda shake, payload: stranger.peer_id + payload[32:],
        "signed for the other role": signed_for(noise.RESPONDER),
        "signed over another hash": lambda shake, _: shake.identity.payload(0, bytes(32), 0),
        "protocol version 0": signed_for(noise.INITIATOR, version=0),
        "a port nobody signed": lambda _, payload: payload[:-2] + b"\1\1",
        "a peer id that is no point": lambda _, payload: b"\xff" * 32 + payload[32:],
        "the peer id of order one": lambda _, payload: b"\1" + bytes(95) + payload[96:],
        "no payload": lambda *_: b"",
        "a payload too short": lambda _, payload: payload[:-1],
        "signed, but without a port": lambda shake, _: shake.identity.peer_id + shake.identity.key.sign(
            noise.signed_text(0, shake.symmetric.h, bytes(10))) + bytes(10),
    }
    for what, spoil in payloads.items():
        shake = initiator(spoil=spoil)
        sock, second = until_message_3(target, shake)
        shake.read(second)
        sock.sendall(noise.frame(shake.write()))
        target.says_nothing(what, sock)
    # What a later version adds does no harm.
    with Peer.dial(target.port, spoil=signed_for(0, version=2, capabilities=2**63, later=b"later" * 20)) as peer:
        peer.sync()


def replays(target):
    """All that a peer said, said again by somebody who listened."""
    shake = initiator()
    sock, second = until_message_3(target, shake)
    shake.read(second)
    third = noise.frame(shake.write())
    sealer, _ = shake.split()
    opening = wire.encode("share_open", ch=1, key=wire.dht_key(target.id),
                          proof=wire.proof(target.id, 0, shake.hash), flags=0)
    record = noise.frame(sealer.seal(opening))
    sock.sendall(third + record)
    check(len(read_exactly(sock, 2)) == 2, "the original was not answered")
    first = noise.raw_public(shake.e)
    for what, data in (("messages 1 and 3", third), ("the whole connection", third + record)):
        again, other = until_message_3(target, shake, first)
        check(other != second, "the second message is the same again")
        again.sendall(data)
        target.says_nothing(f"replayed: {what}", again)
    sock.close()
    for what, make in {
        "the same record twice": lambda peer: noise.frame(peer.sealer.seal(opening[:1])) * 2,
        "message 3 as a record": lambda peer: third,
        "records in the wrong order": lambda peer: b"".join(reversed(
            [noise.frame(peer.sealer.seal(wire.encode("ping", nonce=i))) for i in range(2)])),
    }.items():
        closes_at_record(target, what, make)


def closes_at_record(target, what, make):
    with target.visit() as peer:
        peer.sock.sendall(make(peer))
        try:
            said = peer.until_closed()
        except TimeoutError:
            raise_not_closed(what, peer)
        check({m.name for m in said} <= {"ping", "close"}, f"{what}: it said {said}")
    target.still_lives(what)


def bad_records(target):
    ping = wire.encode("ping", nonce=1)
    acts = {
        "a record of nothing": lambda peer: noise.frame(b""),
        "a record shorter than its tag": lambda peer: noise.frame(bytes(15)),
        "a record longer than the longest": lambda peer: struct.pack(">H", noise.RECORD_MAX + 1),
        "the longest frame as a record": lambda peer: noise.frame(bytes(65_535)),
        "a record that anybody could make": lambda peer: noise.frame(chance.randbytes(48)),
        **{f"a record, byte {at} flipped": lambda peer, at=at: noise.frame(flipped(peer.sealer.seal(ping), at))
           for at in range(25)},
    }
    for what, make in acts.items():
        closes_at_record(target, what, make)
    target.closes("a message of nothing", b"")
    target.goes_on("the longest message", b"\xff".ljust(noise.MESSAGE_MAX, b"x"))


def bad_messages(target):
    """Of every type: one byte short, one too many; fields out of their ranges; types of nobody."""
    wanting = {"pex", "bitfield", "piece", "hashes", "manifest_data"}
    samples = {name: wire.encode(name, **{field: b"\0" * {"key": 20, "proof": 32}.get(field, 0)
                                          if field in ("key", "proof", "data") else 1
                                          for field in wire.MESSAGES[number][2]})
               for name, number in wire.TYPES.items()}
    for name, sample in samples.items():
        if len(sample) > 1:
            target.closes(f"{name}, one byte short", sample[:-1])
        if name not in wanting:
            target.closes(f"{name}, one byte more", sample + b"\0")
        else:
            target.closes(f"{name} without what it carries", sample)
    for number in (0x09, 0x0c, 0x11, 0x14, 0x18, 0x1f, 0x22 + 4, 0x34, 0x7f):
        target.closes(f"type {number:02x}", bytes([number, 0, 1]))
    target.goes_on("types from 80 on", *(bytes([n]) + chance.randbytes(n - 0x80) for n in range(0x80, 0x100)))

    pieces, size = target.share.pieces, len(target.share.manifest)
    acts = {
        "a request of nothing": wire.encode("request", ch=1, piece=0, block=0, count=0),
        "a request past the longest piece": wire.encode("request", ch=1, piece=0, block=1, count=1024),
        "a request far out": wire.encode("request", ch=1, piece=2**32 - 1, block=65_535, count=65_535),
        "a have past the share": wire.encode("have", ch=1, piece=pieces),
        "blocks of a piece past the share": wire.encode("have_blocks", ch=1, piece=pieces, block=0, count=1),
        "blocks past a piece": wire.encode("have_blocks", ch=1, piece=0, block=0, count=2),
        "a bitfield too long": wire.encode("bitfield", ch=1, first=0, data=bytes(pieces // 8 + 1)),
        "a bitfield with a gap": wire.encode("bitfield", ch=1, first=1, data=bytes(1)),
        "hashes of kind 2": wire.encode("hash_request", ch=1, kind=2, first=0, count=1),
        "no hashes": wire.encode("hash_request", ch=1, kind=0, first=0, count=0),
        "1025 hashes": wire.encode("hash_request", ch=1, kind=0, first=0, count=1025),
        "hashes past the layers": wire.encode("hash_request", ch=1, kind=0, first=pieces, count=1),
        "hashes across the end": wire.encode("hash_request", ch=1, kind=0, first=pieces - 1, count=2),
        "hashes far out": wire.encode("hash_request", ch=1, kind=0, first=2**32 - 1, count=1024),
        "leaves past the share": wire.encode("hash_request", ch=1, kind=1, first=pieces, count=1),
        "more leaves than blocks": wire.encode("hash_request", ch=1, kind=1, first=0, count=2),
        "no manifest bytes": wire.encode("manifest_request", ch=1, offset=0, size=0),
        "too many manifest bytes": wire.encode("manifest_request", ch=1, offset=0, size=16_385),
        "manifest past its end": wire.encode("manifest_request", ch=1, offset=size, size=1),
        "manifest far out": wire.encode("manifest_request", ch=1, offset=2**32 - 1, size=16_384),
    }
    for what, plain in acts.items():
        # Something is known on both sides first: what is said of pieces has a meaning.
        target.closes(what, wire.encode("manifest_have", ch=1), plain)
    target.goes_on("requests for blocks that do not exist",
                   wire.encode("request", ch=1, piece=0, block=0, count=2),
                   wire.encode("request", ch=1, piece=pieces, block=0, count=1),
                   wire.encode("request", ch=1, piece=2**32 - 1, block=0, count=1024), expected=["reject"] * 3)
    target.goes_on("manifest across its end",
                   wire.encode("manifest_request", ch=1, offset=size - 1, size=2), expected=["manifest_data"])
    twice = [wire.encode("share_open", ch=ch, key=key, proof=bytes(32), flags=0)
             for ch, key in ((1, wire.dht_key(bytes(32))), (1, wire.dht_key(target.id)))]
    target.goes_on("opened without a proof, on a channel in use", *twice, expected=["share_close"] * 2)


def secrets(target):
    """A wrong proof and an unknown share are answered alike; before the proof nothing else is."""
    key, other = wire.dht_key(target.id), wire.dht_key(bytes(32))
    with target.visit(is_open=False) as peer:
        peer.sync()
        wrong = {
            "an unknown share": (other, peer.proof(bytes(32))),
            "a known share, no proof": (key, bytes(32)),
            "a known share, the proof of the other role": (key, peer.proof(target.id, 1)),
            "a known share, one bit off": (key, flipped(peer.proof(target.id), 31)),
            "a known share, another's proof": (key, peer.proof(bytes(32))),
        }
        for what, (asked, proof) in wrong.items():
            peer.send("share_open", ch=1, key=asked, proof=proof, flags=1)
            said = peer.sync()
            check([wire.encode(m.name, **m) for m in said] == [b"\x21" + asked + b"\0"], f"{what}: it said {said}")
            # Whatever is said on a channel that was never opened is dropped.
            peer.send_plain(*about_share(1), *about_share(0))
            check(not peer.sync(), f"{what}: it told something of a share that was not opened")
    with target.visit() as peer:
        peer.sync()
        peer.send_plain(*about_share(2), *about_share(65_535))
        check(not peer.sync(), "it answered on a wrong channel")
        check(peer.manifest(target.id).id == target.id, "the right channel is not served any more")
    # A proof belongs to its connection.
    with target.visit() as peer, target.visit(is_open=False) as thief:
        thief.send("share_open", ch=1, key=key, proof=peer.proof(target.id), flags=0)
        check([m.name for m in thief.sync() if m.name != "ping"] == ["share_close"], "a stolen proof is good")
    with target.visit(is_open=False) as peer:
        unknown = wire.encode("share_open", ch=1, key=other, proof=bytes(32), flags=0)
        peer.send_plain(*[unknown] * 4096)
        check(len([m for m in peer.sync() if m.name == "share_close"]) == 4096, "4096 unknown shares are too many")
        peer.send_plain(unknown)
        peer.until_closed()
    target.still_lives("4097 unknown shares")
    for what, ch in (("once more", 1), ("on a second channel", 2)):
        with target.visit() as peer:
            peer.send_open(target.id, ch)
            peer.until_closed()
        target.still_lives(f"a share opened {what}")
    with target.visit() as peer:
        peer.send("share_close", key=key, reason=1)
        peer.send_plain(*about_share(1))
        check(not [m for m in peer.sync() if m.name != "ping"], "a closed share is served")
        peer.open(target.id, ch=3)
        check(peer.manifest(target.id).id == target.id, "a share opened again is not served")


def about_share(ch):
    """One of each message that asks for something."""
    return [wire.encode("manifest_request", ch=ch, offset=0, size=1), wire.encode("manifest_have", ch=ch),
            wire.encode("hash_request", ch=ch, kind=0, first=0, count=1), wire.encode("have_none", ch=ch),
            wire.encode("interested", ch=ch), wire.encode("request", ch=ch, piece=0, block=0, count=1)]


def requests(target):
    request = [wire.encode("request", ch=1, piece=piece, block=0, count=1) for piece in range(target.share.pieces)]
    with target.visit() as peer:
        peer.know_all()
        peer.send_plain(*request)
        said = [m.name for m in peer.sync() if m.name != "ping"]
        check(said == ["reject"] * len(request), f"choked: it said {set(said)}")
        peer.want()
        # Far more than 256 at once: each is answered once, by the block or by a reject.
        peer.send_plain(*request)
        answered = {}
        while len(answered) < len(request):
            message = peer.until("piece", "reject")
            check(message.piece not in answered, f"block {message.piece} was answered twice")
            answered[message.piece] = message.name
        served = sum(name == "piece" for name in answered.values())
        print(f"of {len(request)} blocks asked for at once {served} were served, the others rejected")
        check(served >= 256, "not even 256 were served")
        check(not [m for m in peer.sync() if m.name in ("piece", "reject")], "there were more answers than requests")
        # What nobody asked for, at a seed.
        peer.send("piece", ch=1, piece=0, block=0, data=bytes(16_384))
        peer.send("hashes", ch=1, kind=0, first=0, count=1, data=bytes(32))
        peer.send("manifest_data", ch=1, total=1, offset=0, data=b"x")
        peer.send("reject", ch=1, piece=0, block=0, count=1)
        peer.send("cancel", ch=1, piece=0, block=0, count=1)
        try:
            peer.sync()
        except Closed:
            pass
    target.still_lives("answers that nobody asked for")
    check(tree_of(target.file) == target.tree, "what it shares has changed")


def floods(target):
    """Small questions with large answers, and nobody reads: it closes before much waits for them."""
    before = target.memory()
    for what, plain in (("hash requests", wire.encode("hash_request", ch=1, kind=0, first=0, count=1024)),
                        ("pings", wire.encode("ping", nonce=0))):
        with target.visit() as peer:
            sent = 0
            peer.sock.settimeout(10)
            try:
                while sent < 4_000_000:
                    peer.send_plain(*[plain] * 1000)
                    sent += 1000
                check(False, f"{sent} {what} were taken though no answer was read")
            except (Closed, TimeoutError) as ended:
                # A daemon that does not read any more either is as good.
                print(f"{what}, unread: {'closed' if isinstance(ended, Closed) else 'not taken'} after {sent}")
        target.still_lives(f"a flood of {what}")
    grown = target.memory() - before
    print(f"its memory has grown by {grown >> 10} KiB")
    check(grown < 12 << 20, f"its memory has grown by {grown >> 20} MiB")
    with target.visit() as peer:
        # The same, read: all are answered.
        ask = wire.encode("hash_request", ch=1, kind=0, first=0, count=1024)
        peer.send_plain(*[ask] * 50)
        said = [m.name for m in peer.sync() if m.name != "ping"]
        check(len(said) == 50 and set(said) <= {"hashes", "hash_reject"}, f"it said {said}")


def storms(target):
    """One asks and cancels as fast as it can; another is served beside it as if it were not there."""
    with target.visit() as peer, target.visit() as honest:
        layers = honest.layers(target.share)
        peer.know_all()
        peer.want()
        pair = [wire.encode(name, ch=1, piece=piece, block=0, count=1)
                for piece in range(250) for name in ("request", "cancel")]
        sent = 0

        def storm():
            nonlocal sent
            try:
                while sent < STORM:
                    peer.send_plain(*pair)
                    sent += len(pair)
                    peer.sync()
            except (Closed, TimeoutError, OSError):
                pass

        before = target.memory()
        thread = threading.Thread(target=storm)
        thread.start()
        honest.know_all()
        honest.want()
        began = time.monotonic()
        for piece in chance.sample(range(target.share.pieces), 50):
            honest.piece(target.share, piece, [layers[piece]])
        slowest = took = time.monotonic() - began
        while thread.is_alive():
            time.sleep(0.01)
            began = time.monotonic()
            honest.sync()
            slowest = max(slowest, time.monotonic() - began)
        thread.join()
        grown = target.memory() - before
        print(f"beside a storm of {sent} requests and cancels 50 pieces took {took:.2f} s, an answer {slowest:.2f} s at"
              f" most; {grown >> 10} KiB more")
        check(sent >= STORM and slowest < 10, f"it was held up: {slowest:.1f} s, {sent}")
        check(grown < 12 << 20, f"its memory has grown by {grown >> 20} MiB")
    target.still_lives("a storm of requests")


def crowd(target):
    """Many more connections than strangers may have: each is cheap, and who means it gets in."""
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], CROWD + 1000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    check(most >= 4096, f"this process may have {most} descriptors only: that makes no crowd")
    before = target.memory()
    # From thousands of networks.
    crowded = [connect(target.port, f"127.{1 + i % 250}.{i // 250}.1", pause=0) for i in range(most - 1000)]
    began = time.monotonic()
    target.daemon.rpc("daemon.status")
    with target.visit() as peer:
        check(peer.manifest(target.id).id == target.id, "the manifest differs")
    took = time.monotonic() - began
    grown = target.memory() - before
    for sock in crowded:
        sock.close()
    print(f"in a crowd of {len(crowded)} an honest peer was heard in {took:.2f} s; {grown >> 10} KiB more")
    check(took < 5 and grown < 24 << 20, f"{took:.1f} s, {grown >> 20} MiB")
    target.still_lives("a crowd")


class Idle:
    """Those who say too little; when this is asked for, their time is over."""

    def __init__(self, target):
        self.began = time.monotonic()
        shake = initiator()
        silent, half, drip = (connect(target.port) for _ in range(3))
        first = noise.frame(shake.write())
        half.sendall(first[:20])
        threading.Thread(target=self.drip, args=(drip, first), daemon=True).start()
        waiting, _ = until_message_3(target, initiator())
        self.raw = {"nothing": silent, "half a first message": half, "a byte a second": drip,
                    "no third message": waiting}
        self.peer = target.visit(is_open=False)

    @staticmethod
    def drip(sock, data):
        try:
            for byte in data:
                sock.sendall(bytes([byte]))
                time.sleep(1)
        except OSError:
            pass

    def are_gone(self, target):
        for what, sock in self.raw.items():
            target.says_nothing(f"idle: {what}", sock)
        check(time.monotonic() - self.began < 60, "who says nothing stays for a minute")
        said = self.peer.until_closed()
        check({m.name for m in said} <= {"ping", "close"}, f"to one without a share it said {said}")
        took = time.monotonic() - self.began
        print(f"the one without a share in common was gone within {took:.0f} s")


def honest_fetch(world, target):
    """After all that a daemon and a peer fetch from it as if nothing had been."""
    with target.visit() as peer:
        peer.manifest(target.id)
        layers = peer.layers(target.share)
        peer.know_all()
        peer.want()
        for piece in chance.sample(range(target.share.pieces), 20):
            peer.piece(target.share, piece, [layers[piece]])
    other = world.node("other")
    share = other.fetch(target.daemon.rpc("share.link", id=target.text)["link"] + f"&pe=127.0.0.1:{target.port}",
                        world.path("got"))
    other.wait_complete(share)
    check(tree_of(world.path("got", "many-pieces.bin")) == target.tree, "the copy differs")
    other.stop()


def test():
    print(f"seed {SEED}")
    with World() as world:
        target = Target(world)
        target.tree = tree_of(target.file)
        target.text = target.daemon.rpc("share.list")["shares"][0]["id"]
        idle = Idle(target)
        # What takes long comes when those who say too little have been watched for.
        for part in (no_handshakes, spoilt_handshakes, replays, bad_records, bad_messages, secrets, requests,
                     floods, idle.are_gone, storms, crowd):
            part(target)
            target.daemon.rpc("daemon.status")
            print(f"{part.__name__}: {target.acts} acts so far, it lives", flush=True)
        listed = sorted(os.listdir(world.path("data")))
        check(listed == ["many-pieces.bin"], f"beside the file there are now {listed}")
        honest_fetch(world, target)
        target.daemon.stop()


run(test)
