#!/usr/bin/python3
"""A free-rider for capped_swarm.py, written on the peer of test/e2e: it dials everybody it is told of,
asks everybody for pieces, tells what it has as any leecher does, and never unchokes anyone.

  rider.py LINK ADDRESS...

The first address is the seed's: manifest and leaf hashes come from it before `ready` is printed. After a
line on stdin it begins, and prints the verified bytes it has whenever that changes.
"""

import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))

import noise
import wire
from noise import INITIATOR, Refused
from peer import Closed, Peer, Visitor, id_bytes

PORT = 7341
PIECES_AHEAD = 2  # asked of one peer at a time
CHANNEL = 1


class Rider:
    def __init__(self, share_id, share, leaves):
        self.id, self.share, self.leaves = share_id, share, leaves
        self.identity = noise.Identity()
        self.lock = threading.Lock()
        self.had = set()
        self.blocks = {}  # piece -> blocks that have come
        self.taken = {}   # piece -> the connection that is asked for it
        self.bytes = 0
        self.peers = []

    def run(self, address):
        while True:
            try:
                sock = socket.create_connection((address, PORT), 10)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = Peer(sock, INITIATOR, self.identity)
                Talk(self, peer).run()
            except (OSError, Closed, Refused, TimeoutError):
                time.sleep(1)

    def take(self, talk):
        """A piece to ask this peer for."""
        with self.lock:
            choice = [piece for piece in talk.has if piece not in self.had and piece not in self.taken]
            if not choice:
                return None
            piece = random.choice(choice)
            self.taken[piece] = talk
            return piece

    def release(self, talk):
        with self.lock:
            for piece in [piece for piece, who in self.taken.items() if who is talk]:
                del self.taken[piece]

    def on_block(self, message):
        """True when the piece is whole."""
        if wire.sha256(message.data) != self.leaves[message.piece][message.block]:
            raise Refused("a wrong block")
        with self.lock:
            blocks = self.blocks.setdefault(message.piece, set())
            if message.piece in self.had or message.block in blocks:
                return False
            blocks.add(message.block)
            self.bytes += len(message.data)
            if len(blocks) < self.share.blocks(message.piece):
                return False
            self.had.add(message.piece)
            self.taken.pop(message.piece, None)
            peers = list(self.peers)
        for talk in peers:
            talk.say_have(message.piece)
        return True


class Talk:
    """One connection."""

    def __init__(self, rider, peer):
        self.rider, self.peer = rider, peer
        self.has, self.asked = set(), {}
        self.is_choked, self.is_said = True, False

    def run(self):
        rider, peer = self.rider, self.peer
        peer.send_open(rider.id, CHANNEL, 1)
        with rider.lock:
            rider.peers.append(self)
        try:
            while True:
                message = peer.receive(120)
                answer = getattr(self, "on_" + message.name, None)
                if answer:
                    answer(message)
                self.ask()
        finally:
            with rider.lock:
                rider.peers.remove(self)
            rider.release(self)
            peer.close()

    def ask(self):
        while not self.is_choked and len(self.asked) < PIECES_AHEAD:
            piece = self.rider.take(self)
            if piece is None:
                return
            count = self.rider.share.blocks(piece)
            missing = [block for block in range(count) if block not in self.rider.blocks.get(piece, ())]
            self.asked[piece] = len(missing)
            for block in missing:
                self.peer.send("request", ch=CHANNEL, piece=piece, block=block, count=1)

    def say_have(self, piece):
        if self.is_said:
            try:
                self.peer.send("have", ch=CHANNEL, piece=piece)
            except (Closed, OSError):
                pass

    def say_state(self):
        if self.is_said:
            return
        bits = bytearray(-(-self.rider.share.pieces // 8))
        with self.rider.lock:
            for piece in self.rider.had:
                bits[piece // 8] |= 0x80 >> piece % 8
            self.is_said = True
        self.peer.send("bitfield", ch=CHANNEL, first=0, data=bytes(bits))
        self.peer.send("interested", ch=CHANNEL)

    def on_share_open(self, message):
        if message.flags & 1:
            self.say_state()

    def on_manifest_have(self, _):
        self.say_state()

    def on_have_all(self, _):
        self.has = set(range(self.rider.share.pieces))

    def on_bitfield(self, message):
        for at, byte in enumerate(message.data):
            for bit in range(8):
                if byte & 0x80 >> bit:
                    self.has.add(8 * (message.first + at) + bit)

    def on_have(self, message):
        self.has.add(message.piece)

    def on_unchoke(self, _):
        self.is_choked = False

    def on_choke(self, _):
        self.is_choked = True
        self.asked = {}
        self.rider.release(self)

    def one_less(self, piece):
        if piece in self.asked:
            self.asked[piece] -= 1
            if self.asked[piece] == 0:
                del self.asked[piece]

    def on_reject(self, message):
        self.one_less(message.piece)
        with self.rider.lock:
            if self.rider.taken.get(message.piece) is self:
                del self.rider.taken[message.piece]

    def on_piece(self, message):
        self.rider.on_block(message)
        self.one_less(message.piece)


def learn(address, share_id):
    """Manifest and leaves, from the seed."""
    sock = socket.create_connection((address, PORT), 10)
    with Visitor(sock, INITIATOR, noise.Identity()) as visitor:
        visitor.open(share_id)
        share = visitor.manifest(share_id)
        visitor.layers(share)
        return share, [visitor.hashes(1, piece, share.blocks(piece)) for piece in range(share.pieces)]


def main():
    share_id, addresses = id_bytes(sys.argv[1]), sys.argv[2:]
    share, leaves = learn(addresses[0], share_id)
    rider = Rider(share_id, share, leaves)
    print("ready", flush=True)
    sys.stdin.readline()
    for address in addresses:
        threading.Thread(target=rider.run, args=(address,), daemon=True).start()
    said = -1
    while True:
        if rider.bytes != said:
            said = rider.bytes
            print(said, flush=True)
        time.sleep(0.1)


main()
