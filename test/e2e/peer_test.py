#!/usr/bin/env python3
"""A peer that somebody else wrote, from transfer/README.md alone, in Python (peer.py, wire.py, noise.py):
the page's examples byte by byte; it fetches from a daemon; a daemon fetches from it; records far beyond
the point where the keys change."""

import os
import random
import re
import sys

try:
    import cryptography  # noqa: F401
except ImportError:
    print("skipped: python3-cryptography is not installed for this Python")
    sys.exit(77)

import noise
import wire
from nodes import World, check, run, wait_for
from noise import Refused
from peer import Peer, Seed, Visitor, id_bytes, id_text, link_to

README = os.path.join(os.path.dirname(__file__), "..", "..", "transfer", "README.md")


def examples():
    """name -> bytes, of every example on the page."""
    with open(README, encoding="utf-8") as file:
        blocks = re.findall(r"^```example\n(.*?)^```", file.read(), re.M | re.S)
    pattern = r"^(\S+) =((?:\s+[0-9a-f]+$)+)"
    found = {}
    for block in blocks:
        for name, digits in re.findall(pattern, block, re.M):
            found[name] = bytes.fromhex("".join(digits.split()))
    check(len(found) > 40, f"only {len(found)} examples on the page")
    return found


def example_of(page, name, port, **options):
    role = noise.INITIATOR if name == "initiator" else noise.RESPONDER
    return noise.Handshake(role, noise.Identity(page[f"{name}.identity_seed"]), port,
                           noise.x25519(page[f"{name}.static_secret"]),
                           noise.x25519(page[f"{name}.ephemeral_secret"]), **options)


def test_examples():
    page = examples()
    sides = example_of(page, "initiator", 7341), example_of(page, "responder", 7342)
    for number in range(3):
        writer, reader = sides[number % 2], sides[1 - number % 2]
        message = writer.write()
        check(noise.frame(message) == page[f"message_{number + 1}"], f"message {number + 1} differs")
        reader.read(message)
    for side, name in zip(sides, ("initiator", "responder")):
        check(side.hash == page["handshake_hash"], "the handshake hash differs")
        check(side.identity.peer_id == page[f"{name}.peer_id"], f"{name}: the peer id differs")
        check(side.split()[0].key == page[f"{name}.send_key"], f"{name}: the key differs")
        check(wire.proof(page["share_id"], side.role, side.hash) == page[f"{name}.proof"],
              f"{name}: the proof differs")
    check(noise.frame(sides[0].split()[0].seal(page["ping"])) == page["record"], "the record differs")
    check(wire.dht_key(page["share_id"]) == page["dht_key"], "the DHT key differs")

    private = example_of(page, "initiator", 7341, network_key=page["private.network_key"],
                         time_ms=1_800_000_000_000)
    check(private.psk == page["private.psk"], "the psk differs")
    check(private.prologue == page["private.prologue"], "the private prologue differs")
    check(noise.frame(private.write()) == page["private.message_1"], "the private message 1 differs")

    for name in wire.TYPES:
        message = wire.decode(page[name])
        check(message.name == name and wire.encode(name, **message) == page[name], f"{name} differs")


def some_tree():
    """Files at every border of blocks and pieces of 64 KiB; empty ones; names in the order of bytes."""
    chance = random.Random(7)
    sizes = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 131_072, 150_000, 196_609]
    tree = {b"f%d" % size: chance.randbytes(size) for size in sizes}
    tree[b"d"] = {"ü".encode(): chance.randbytes(70_000), b"d": {b"empty": b""}}
    tree[b"d-"] = tree[b"d.x"] = chance.randbytes(20_000)
    return tree


def write_tree(directory, tree):
    os.makedirs(directory)
    for name, content in tree.items():
        path = os.path.join(directory, name.decode())
        if isinstance(content, dict):
            write_tree(path, content)
        else:
            with open(path, "wb") as file:
                file.write(content)


def read_tree(directory):
    tree = {}
    for name in os.listdir(os.fsencode(directory)):
        path = os.path.join(os.fsencode(directory), name)
        if os.path.isdir(path):
            tree[name] = read_tree(path)
        else:
            with open(path, "rb") as file:
                tree[name] = file.read()
    return tree


def fetch_from(daemon, link, tree):
    """Everything of the daemon's share, over one connection, by the order of the page."""
    share_id = id_bytes(link)
    pieces, layers = wire.pieces_of(tree)
    with Visitor.dial(daemon.port) as peer:
        shown = daemon.rpc("identity.show")["id"]
        check(id_text(peer.handshake.remote_id, "p") == shown, "the peer id is not the identity's")
        check(peer.handshake.remote_port == daemon.port, "the port it says is not its own")
        peer.open(share_id)
        check(peer.their_flags == 1, f"flags {peer.their_flags} of a seed")
        share = peer.manifest(share_id)
        check(share.manifest == wire.manifest_of(b"tree", tree), "the manifests differ")
        check(share.pieces == len(pieces), f"{share.pieces} pieces of {len(pieces)}")
        check(peer.layers(share) == layers, "the piece layers differ")
        check(peer.know_all().name == "have_all", "a seed has not all")
        # Choked so far: a request is rejected, and nothing else happens.
        peer.send("request", ch=1, piece=0, block=0, count=1)
        check([m.name for m in peer.sync()] == ["reject"], "a choked request was not rejected")
        peer.want()
        for number, content in enumerate(pieces):
            leaves = peer.hashes(1, number, share.blocks(number))
            check(share.check_leaves(number, leaves, layers), f"wrong leaves of piece {number}")
            check(peer.piece(share, number, leaves) == content, f"piece {number} differs")
        # Cancelled: every block is answered all the same, once.
        whole = wire.encode("request", ch=1, piece=share.files[-1].first_piece, block=0, count=4)
        peer.send_plain(whole, b"\x08" + whole[1:])
        answers = peer.sync()
        blocks = [m.block for m in answers if m.name == "piece"]
        blocks += [b for m in answers if m.name == "reject" for b in range(m.block, m.block + m.count)]
        check(sorted(blocks) == [0, 1, 2, 3], f"a cancelled request of 4 blocks was answered so: {answers}")
        peer.send("not_interested", ch=1)
        peer.send("share_close", key=wire.dht_key(share_id), reason=1)
        peer.send("close", reason=0)


def seed_to(daemon, world, tree, name):
    with Seed(name, tree) as seed:
        share = daemon.fetch(seed.link(), world.path("got"))
        check(share == id_text(seed.id), f"{share} is not the id of {seed.link()}")
        daemon.wait_complete(share)
        check(not seed.errors, f"the daemon said something wrong: {seed.errors}")
        size = sum(len(piece) for piece in seed.contents)
        check(seed.sent_blocks == sum(len(leaves) for leaves in seed.leaves),
              f"{seed.sent_blocks} blocks were sent for {size} bytes")
        said = {m.name for m in seed.asked}
        check({"share_open", "manifest_request", "manifest_have", "interested", "request", "have"} <= said,
              f"the daemon said only {sorted(said)}")
    return world.path("got", name.decode())


def many_records(daemon, link):
    """Past the 65,536th record in both directions, twice, and then a fetch."""
    share_id = id_bytes(link)
    with Visitor.dial(daemon.port) as peer:
        nonce = pongs = 0
        while pongs <= 2 * noise.REKEY_EVERY:
            peer.send_plain(*(wire.encode("ping", nonce=nonce + i) for i in range(1000)))
            nonce += 1000
            while pongs < nonce:
                message = peer.receive()
                if message.name == "pong":
                    check(message.nonce == pongs, f"pong {message.nonce} in the place of {pongs}")
                    pongs += 1
        peer.open(share_id)
        check(peer.manifest(share_id).id == share_id, "no manifest after the keys changed")


class Half(Seed):
    """Has only every second piece, and says so."""

    def has(self, piece):
        return piece % 2 == 0

    def on_manifest_have(self, peer, _, state):
        if not state["announced"]:
            state["announced"] = True
            bits = sum(self.has(piece) << (7 - piece) for piece in range(len(self.contents)))
            peer.send("bitfield", ch=7, first=0, data=bytes([bits]))

    def on_request(self, peer, message, state):
        if not self.has(message.piece):
            raise Refused(f"{message!r}, which it does not have")
        super().on_request(peer, message, state)


def from_half(daemon, world):
    """A daemon that has half of a share serves that half, and says of the rest that it has it not."""
    content = random.Random(3).randbytes(5 * 65_536)
    with Half(b"half.bin", content) as seed, Seed(b"half.bin", content) as whole:
        share = daemon.fetch(seed.link(), world.path("got"))
        wait_for("it has three pieces of five", lambda: daemon.share(share)["pieces_done"] == 3)
        check(not os.path.exists(world.path("got", "half.bin")), "half a file stands at its final place")
        with Visitor.dial(daemon.port) as peer:
            peer.open(seed.id)
            known = peer.manifest(seed.id)
            layers = peer.layers(known)
            having = peer.know_all()
            check(having.name == "bitfield" and having.data == b"\xa8", f"it says that it has {having!r}")
            peer.want()
            for piece in range(5):
                if seed.has(piece):
                    leaves = peer.hashes(1, piece, 4)
                    check(known.check_leaves(piece, leaves, layers), f"wrong leaves of piece {piece}")
                    check(peer.piece(known, piece, leaves) == seed.contents[piece], f"piece {piece} differs")
                else:
                    peer.send("request", ch=1, piece=piece, block=0, count=4)
                    said = peer.sync()
                    check([m.name for m in said] == ["reject"], f"for a piece it has not it said {said}")
            # What it gets from now on it tells.
            daemon.fetch(link_to(seed.id, whole.port), world.path("got"))
            check(sorted(peer.until("have").piece for _ in range(2)) == [1, 3], "it does not tell what it gets")
        daemon.wait_complete(share)
        check(not seed.errors, f"the daemon said something wrong: {seed.errors}")


def two_roles(daemon, link):
    """The daemon's own opening on a connection that it dialled is proved with role byte 0, ours with 1."""
    share_id = id_bytes(link)
    with Peer.dial(daemon.port) as peer:
        # Its own proof said back to it is no proof.
        peer.send("share_open", ch=1, key=wire.dht_key(share_id), proof=peer.proof(share_id, 1), flags=0)
        answer = peer.until("share_open", "share_close")
        check(answer.name == "share_close" and answer.reason == 0, f"{answer!r} for its own proof")


def test():
    test_examples()
    print("the page's examples are reproduced byte by byte")
    with World() as world:
        daemon = world.node("daemon")
        tree = some_tree()
        write_tree(world.path("data", "tree"), tree)
        link = daemon.add(world.path("data", "tree"))
        fetch_from(daemon, link, tree)
        two_roles(daemon, link)
        print("fetched from a daemon, every piece")

        other = {b"x": random.Random(1).randbytes(300_000), b"sub": {b"y": b"hello", b"none": b""}}
        check(read_tree(seed_to(daemon, world, other, b"thing")) == other, "the tree it fetched differs")
        for size in (1, 16_384, 65_537, 1_000_000):
            content = random.Random(size).randbytes(size)
            with open(seed_to(daemon, world, content, b"%d.bin" % size), "rb") as file:
                check(file.read() == content, f"the file of {size} bytes differs")
        print("seeded to a daemon, byte for byte")

        from_half(daemon, world)
        print("fetched from a daemon that fetches")

        many_records(daemon, link)
        print("the keys changed twice")
        check(link_to(id_bytes(link)) == link.split("?")[0], "the link differs")
        daemon.stop()


run(test)
