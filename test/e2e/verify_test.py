#!/usr/bin/env python3
"""peernet verify: what is damaged is found, no longer claimed, and with --repair put right in its place,
without touching a file that is intact; for a share that was fetched, and for one that was added."""

import os
import shutil

from nodes import World, check, run, tree_of, wait_for, write_random

MIB = 1 << 20


def damage(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"not this")


def stamps(top):
    found = {}
    for directory, _, names in os.walk(top):
        for name in names:
            status = os.stat(os.path.join(directory, name))
            found[os.path.relpath(os.path.join(directory, name), top)] = (
                status.st_ino, status.st_mtime_ns, status.st_mode)
    return found


def test():
    with World() as world:
        seed = world.node("seed")
        source = world.path("src", "tree")
        write_random(os.path.join(source, "a.bin"), 6 * MIB, 1)
        write_random(os.path.join(source, "sub", "b.bin"), 3 * MIB, 2)
        write_random(os.path.join(source, "sub", "c.bin"), MIB, 3)
        os.chmod(os.path.join(source, "sub", "c.bin"), 0o700)
        link = seed.add(source)
        whole = tree_of(source)
        leech = world.node("leech", bootstrap=[seed.port])
        share = leech.fetch(f"{link}&pe=127.0.0.1:{seed.port}", world.path("got"))
        leech.wait_complete(share)
        got = world.path("got", "tree")

        done = leech.cli("verify", share)
        check("intact" in done.stderr and done.stdout == "", f"it is intact: {done.stderr}")
        answer = leech.rpc("share.verify", id=share)
        check(answer["size"] == 10 * MIB and answer["damaged"] == [], f"all of it is hashed: {answer}")

        # Damage: told with its place, and nothing else is done about it.
        damage(os.path.join(got, "a.bin"), 2 * MIB + 5)
        os.unlink(os.path.join(got, "sub", "c.bin"))
        before = stamps(got)
        done = leech.cli("verify", share, expect=8)
        check(done.stdout.splitlines()[0].startswith("a.bin  2097152-"), f"where: {done.stdout}")
        check("sub/c.bin  0-" in done.stdout, f"the file that is gone: {done.stdout}")
        check(stamps(got) == before, "verify touches no file")
        status = leech.share(share)
        check(status["state"] == "damaged" and status["cause"] == "damaged", f"it says so: {status}")
        check(status["done"] < 10 * MIB, "what is damaged is not claimed")
        check("verify --repair" in leech.cli("why", share).stdout, "why tells the cause and the way out")
        check(leech.cli("fetch", link, expect=8).stderr.count("repair") > 0, "fetch says so too")
        cat = leech.cli("cat", f"{share}/a.bin", "--range", f"{2 * MIB}-", expect=8)
        check("damaged" in cat.stderr, f"cat says why: {cat.stderr}")

        # Put right, in its place; what was intact is as it was.
        leech.cli("verify", share, "--repair")
        check(tree_of(got) == whole, "the tree is what was shared")
        after = stamps(got)
        check(after["sub/b.bin"] == before["sub/b.bin"], "an intact file was not touched")
        check(after["a.bin"][0] == before["a.bin"][0] and after["a.bin"][2] == before["a.bin"][2],
              "a file is repaired in place and keeps its mode")
        check(leech.share(share)["state"] == "seeding", "it seeds again")
        leech.cli("verify", share)

        # A restart in between: damaged is remembered. The file that is gone stops the share then.
        damage(os.path.join(got, "a.bin"), 0)
        leech.cli("verify", share, expect=8)
        leech.stop()
        leech.start()
        wait_for("it is open", lambda: leech.share(share)["state"] != "opening")
        check(leech.share(share)["state"] == "damaged", f"still damaged: {leech.share(share)['state']}")
        os.unlink(os.path.join(got, "sub", "b.bin"))
        leech.stop()
        leech.start()
        wait_for("it has failed", lambda: leech.share(share)["state"] == "failed")
        leech.cli("verify", share, "--repair")
        check(tree_of(got) == whole, "also a share that could not be opened is put right")

        # The share that was added: only with repair, from the one who fetched it.
        damage(os.path.join(source, "sub", "b.bin"), MIB)
        bad = tree_of(source)
        seed.cli("verify", share, expect=8)
        check(tree_of(source) == bad, "without repair its files are not touched")
        before = stamps(source)
        seed.cli("verify", share, "--repair")
        check(tree_of(source) == whole, "the source is put right")
        after = stamps(source)
        check(after["a.bin"] == before["a.bin"] and after["sub/c.bin"] == before["sub/c.bin"],
              "its intact files were not touched")
        shutil.rmtree(world.path("got"))


if __name__ == "__main__":
    run(test)
