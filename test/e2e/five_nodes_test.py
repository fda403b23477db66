#!/usr/bin/env python3
"""Five nodes, four of which know only the first. A adds a large file and a tree with every odd thing
a tree may hold. B and C fetch both at the same time and serve each other; the bootstrap node dies;
A is killed at 60 % of D's fetch, and D completes from B and C.

  five_nodes_test.py [MIB]     size of the large file, 64 by default
"""

import os
import sys

from nodes import World, check, run, tree_of, wait_for, write_random

MIB = int(sys.argv[1]) if len(sys.argv) > 1 else 64
FILES = 2000


def make_tree(top):
    """2,000 files: many small, some at block borders, empty ones, executables, deep and odd names."""
    sizes = [0, 1, 100, 16383, 16384, 16385, 65535, 65536, 65537, 200_000]
    odd = ["übung.txt", "日本語.dat", "a b  c", "-dash", "~tilde", "'quote'", "$HOME", "#hash", "x" * 255,
           "emoji-🚀", "é-composed", ".hidden", "semi;colon", "per%cent", "amp&er", "brace{}", "[x]"]
    count = 0
    for name in odd:
        write_random(os.path.join(top, "odd", name), 1000 + count, count)
        count += 1
    write_random(os.path.join(top, "/".join(["deep"] * 60), "leaf"), 5, 1)
    count += 1
    while count < FILES:
        path = os.path.join(top, f"d{count % 37}", f"e{count % 11}", f"f{count}")
        write_random(path, sizes[count % len(sizes)], count)
        if count % 50 == 0:
            os.chmod(path, 0o755)
        count += 1
    os.makedirs(os.path.join(top, "empty-directory"))
    os.symlink("/etc/passwd", os.path.join(top, "link"))


def test():
    with World() as world:
        file = world.path("data", "big.bin")
        tree = world.path("data", "tree")
        write_random(file, MIB << 20, 1)
        make_tree(tree)

        first = world.node("first")
        # A gives so little that B and C have the time, and the reason, to find each other.
        a = world.node("a", [first.port], limits={"up": f"{max(8, MIB // 4)}MiB/s"})
        b, c, d = (world.node(name, [first.port]) for name in "bcd")
        file_link = a.add(file)
        added = a.cli("add", tree)
        tree_link = added.stdout.strip()
        for text in ("empty-directory", "link"):
            check(text in added.stderr, f"what was left out is not listed: {text}\n{added.stderr}")

        ids = {}
        for node in (b, c):
            for link in (file_link, tree_link):
                ids[link] = node.fetch(link, world.path(f"got-{node.name}"))
        wait_for("b and c have begun", lambda: b.share(ids[file_link])["done"] > 0 and
                 c.share(ids[file_link])["done"] > 0)
        # They have joined: the bootstrap node is no longer needed.
        first.kill()
        for node in (b, c):
            for link in (file_link, tree_link):
                node.wait_complete(ids[link], 300)
        gave = {n.name: n.share(ids[file_link])["uploaded"] + n.share(ids[tree_link])["uploaded"]
                for n in (a, b, c)}
        print("uploaded:", gave)
        check(gave["b"] + gave["c"] > 0, "b and c did not serve each other")

        size = MIB << 20
        # Slow enough that 60 % can be met.
        d.kill()
        d.config["limits"] = {"down": f"{max(4, MIB // 16)}MiB/s"}
        d.write_config()
        d.start()
        d.fetch(file_link, world.path("got-d"))
        wait_for("d is at 60 %", lambda: d.share(ids[file_link])["done"] >= 0.6 * size, 120, 0.01)
        a.kill()
        at_kill = d.share(ids[file_link])["done"] / size
        print(f"a was killed at {at_kill:.0%} of d's fetch")
        check(at_kill < 1, "d was complete before a could be killed")
        d.wait_complete(ids[file_link], 300)

        wanted_tree = tree_of(tree)
        del wanted_tree[b"link"]
        check(len(wanted_tree) == FILES, f"the test made {len(wanted_tree)} files")
        for node in (b, c):
            got = tree_of(world.path(f"got-{node.name}", "tree"))
            check(got == wanted_tree, f"{node.name}'s tree differs")
        for node in (b, c, d):
            got = tree_of(world.path(f"got-{node.name}", "big.bin"))
            check(got == tree_of(file), f"{node.name}'s file differs")
            check(sorted(os.listdir(world.path(f"got-{node.name}"))) ==
                  (["big.bin"] if node is d else ["big.bin", "tree"]), "something is left over")
        for node in (b, c, d):
            node.stop()


run(test)
