#!/usr/bin/env python3
"""The share id of a tree is the v2 info-hash that libtorrent computes for it, with the same piece
length and name: for random trees, and for sizes around every border.

  share_id_test.py [TREES [SEED]]
"""

import base64
import os
import random
import sys

try:
    import libtorrent
except ImportError:
    print("skipped: python3-libtorrent is not installed for this Python")
    sys.exit(77)

from nodes import World, check, run, write_random

TREES = int(sys.argv[1]) if len(sys.argv) > 1 else 12
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)


def info_hash(path, piece_length):
    storage = libtorrent.file_storage()
    # No attributes but the executable bit, as in a share.
    libtorrent.add_files(storage, path, flags=0)
    torrent = libtorrent.create_torrent(
        storage, piece_size=piece_length, flags=libtorrent.create_torrent.v2_only)
    libtorrent.set_piece_hashes(torrent, os.path.dirname(path))
    info = libtorrent.torrent_info(torrent.generate())
    return bytes.fromhex(str(info.info_hashes().v2))


def id_bytes(link):
    text = link.split("?")[0].removeprefix("peernet:")
    return base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))[:32]


def compare(node, path):
    link = node.add(path)
    share = id_bytes(link)
    text = link.split("?")[0].removeprefix("peernet:")
    piece_length = node.rpc("share.files", id=text)["piece_length"]
    expected = info_hash(path, piece_length)
    check(share == expected,
          f"{path}, piece length {piece_length}: share id {share.hex()}, libtorrent {expected.hex()}")
    node.rpc("share.remove", id=text)


def make_tree(chance, top):
    borders = [16 << 10, 64 << 10, 128 << 10, 1 << 20]
    count = chance.randrange(1, 40)
    for i in range(count):
        depth = chance.randrange(4)
        parts = [chance.choice(["a", "b", "a.b", "a-", "Z", "ü", "日"]) + "d" for _ in range(depth)]
        size = chance.choice([0, 1, chance.randrange(300_000)] +
                             [border * chance.randrange(1, 4) + chance.randrange(-1, 2)
                              for border in borders])
        path = os.path.join(top, *parts, f"f{i}{chance.choice(['', '.x', '~', ' y'])}")
        write_random(path, size, chance.randrange(1 << 30))
        if chance.random() < 0.3:
            os.chmod(path, 0o755)
    write_random(os.path.join(top, "last"), 1, 1)
    write_random(os.path.join(top, "one-more"), 2, 1)


def test():
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    with World() as world:
        node = world.node("a")
        compared = 0
        for border in (16 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20):
            for size in (border - 1, border, border + 1, 2 * border, 3 * border + 1):
                path = world.path("files", f"f{size}-{compared}")
                write_random(path, size, size)
                if compared % 3 == 0:
                    os.chmod(path, 0o755)
                compare(node, path)
                compared += 1
        write_random(world.path("files", "one-byte"), 1)
        compare(node, world.path("files", "one-byte"))
        for number in range(TREES):
            top = world.path("trees", f"t{number}")
            make_tree(chance, top)
            compare(node, top)
            compared += 1
        print(f"{compared + 1} shares have the id that libtorrent {libtorrent.version} computes")
        node.stop()


run(test)
