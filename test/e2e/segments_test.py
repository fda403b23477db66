#!/usr/bin/env python3
"""Piece discovery: a share of many pieces, of which one known peer has the first half and another, that nobody
announces under the share's own key, the second. The fetch completes because the segments that are missing are looked up."""

import hashlib
import os
import sys

try:
    import cryptography  # noqa: F401
except ImportError:
    print("skipped: python3-cryptography is not installed for this Python")
    sys.exit(77)

from nodes import World, check, run, tree_of, wait_for
from peer import Seed
from wire import dht_key, sha256

PIECES = 320
PIECE_LENGTH = 16_384
NAME = b"long.bin"


class Half(Seed):
    """Has the pieces from first to end, and only those."""

    def __init__(self, content, first, end):
        self.first, self.end = first, end
        super().__init__(NAME, content, PIECE_LENGTH)

    def on_manifest_have(self, peer, _, state):
        if not state["announced"]:
            state["announced"] = True
            data = bytearray(PIECES // 8)
            for piece in range(self.first, self.end):
                data[piece // 8] |= 0x80 >> piece % 8
            peer.send("bitfield", ch=7, first=0, data=bytes(data))

    def on_request(self, peer, message, state):
        check(self.first <= message.piece < self.end, f"asked for piece {message.piece}")
        super().on_request(peer, message, state)


def segment_key(share_id, segment):
    return sha256(b"peernet/1 segment" + share_id + bytes([segment]))[:20].hex()


def test():
    content = os.urandom(PIECES * PIECE_LENGTH)
    off = {"lan": False, "pex": False}
    with World() as world, Half(content, 0, PIECES // 2) as known, Half(content, PIECES // 2, PIECES) as hidden:
        first = world.node("first", discovery=off)
        helper = world.node("helper", [first.port], discovery=off)
        node = world.node("leecher", [first.port], discovery=off)
        for one in (helper, node):
            wait_for("the DHT", lambda one=one: one.rpc("dht.status")["is_joined"], 30)
        # The second half is announced under segments of it alone.
        for segment in range(8, 12):
            helper.rpc("dht.announce", key=segment_key(known.id, segment), port=hidden.port)
        directory = world.path("got")
        share_id = node.fetch(known.link(), directory)
        node.wait_complete(share_id, 60)
        check(tree_of(os.path.join(directory, NAME.decode())) ==
              {"": (hashlib.sha256(content).hexdigest(), False)}, "the file differs")
        check(not known.errors and not hidden.errors, f"{known.errors} {hidden.errors}")
        check(hidden.sent_blocks >= PIECES // 2, "the hidden half came from elsewhere")
        own = helper.rpc("dht.lookup", key=dht_key(known.id).hex())["peers"]
        check(f"127.0.0.1:{hidden.port}" not in own, "it is found by the share's own key")

        # While it had a part it said so: under four segments at most, of what it had.
        said = [segment for segment in range(16)
                if f"127.0.0.1:{node.port}" in helper.rpc("dht.lookup", key=segment_key(known.id, segment))["peers"]]
        check(1 <= len(said) <= 4 and max(said) < 8, f"announced: {said}")
        print("the second half was found by its segments")
        for one in (node, helper, first):
            one.stop()


run(test)
