#!/usr/bin/env python3
"""Where a sandbox or an old kernel refuses openat2, as systemd-nspawn does: what stands in directories is shared,
fetched in part and whole, verified and removed all the same."""

import errno
import os

from nodes import FaultyDisk, World, check, run, tree_of, write_random


def test():
    with World() as world:
        disk = FaultyDisk(world.path("faults"))
        disk.fail(("openat2", errno.EPERM, 100, "/"))

        seed = world.node("seed", environment=disk.environment)
        source = world.path("src", "tree")
        for i, name in enumerate(("a.bin", "docs/b.pdf", "docs/old/c.pdf")):
            write_random(os.path.join(source, name), 300_000 + i, i)
        os.symlink("/etc/passwd", os.path.join(source, "link"))
        added = seed.cli("add", source)
        check("link" in added.stderr, f"a link is left out: {added.stderr}")
        link = f"{added.stdout.strip()}&pe=127.0.0.1:{seed.port}"
        second = world.node("second", bootstrap=[seed.port], environment=disk.environment)
        os.mkdir(world.path("got"))
        second.cli("fetch", link, "-o", world.path("got"), "--only", "*.pdf")
        second.cli("fetch", link)
        os.unlink(os.path.join(source, "link"))
        check(tree_of(world.path("got", "tree")) == tree_of(source), "what was fetched")
        share = link.split(":")[1].split("?")[0]
        second.cli("verify", share)
        second.kill()
        second.start()
        second.wait_complete(share)
        second.cli("rm", share, "--data")
        check(os.listdir(world.path("got")) == [], "rm --data")


if __name__ == "__main__":
    run(test)
