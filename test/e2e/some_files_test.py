#!/usr/bin/env python3
"""Some files of a share: what is not wanted is neither fetched nor made, a later fetch adds to it (also once
the share is at its place, over a restart), and whoever has a part serves it."""

import json
import os

import nodes
from nodes import World, check, run, wait_for, write_random

MIB = 1 << 20


def tree_of(path):
    return {os.fsdecode(name): found for name, found in nodes.tree_of(path).items()}


def files_of(node, *arguments):
    listed = json.loads(node.cli(*arguments, "--json").stdout)["files"]
    return {file["path"]: file["is_wanted"] for file in listed}


def test():
    with World() as world:
        seed = world.node("seed")
        source = world.path("src", "tree")
        for i, name in enumerate(("a.bin", "docs/b.pdf", "docs/c.txt", "docs/old/d.pdf", "e.bin")):
            write_random(os.path.join(source, name), MIB + 5000 * i, i)
        write_random(os.path.join(source, "none"), 0)
        whole = tree_of(source)
        link = seed.add(source)
        here = f"{link}&pe=127.0.0.1:{seed.port}"
        some = world.node("some", bootstrap=[seed.port])
        got = world.path("got", "tree")
        for directory in ("got", "got2"):
            os.mkdir(world.path(directory))

        plan = files_of(some, "fetch", "-n", here, "--only", "*.pdf", "--skip", "old")
        check([path for path, is_wanted in plan.items() if is_wanted] == ["docs/b.pdf"], f"-n: {plan}")
        check("skipped" in some.cli("fetch", "-n", here, "--only", "a.bin").stdout, "-n shows it")
        none = some.cli("fetch", here, "-o", world.path("got"), "--only", "nothing", expect=3)
        check("no file" in none.stderr and "fetch -n" in none.stderr, f"nothing is named: {none.stderr}")
        check(some.rpc("share.list")["count"] == 0 and os.listdir(world.path("got")) == [], "it leaves something behind")
        some.cli("fetch", here, "-o", world.path("got"), "--only", "*.pdf", "--skip", "old")
        check(set(tree_of(got)) == {"docs/b.pdf"}, f"only that: {tree_of(got)}")
        share = link.split(":")[1].split("?")[0]
        status = some.share(share)
        check(status["state"] == "partial" and status["files_wanted"] == 1, f"{status}")
        check(status["done"] == status["wanted"] == MIB + 5000, f"{status}")
        check("6, 1 wanted: only *.pdf, skip old" in some.cli("status", share).stdout,
              "status tells what is wanted")
        check("all that is wanted" in some.cli("why", share).stdout, "why knows")
        check("skipped" in some.cli("ls", share).stdout, "ls knows")
        none = some.cli("fetch", here, "--only", "nothing", expect=3)
        check("no file" in none.stderr and "ls" in none.stderr, f"nothing is added: {none.stderr}")
        check(some.share(share)["selections"] == status["selections"], f"{some.share(share)}")
        check("was not asked for" in some.cli("cat", f"{share}/e.bin", expect=1).stderr, "cat of another")
        check(some.cli("verify", share).stderr.count("intact") == 1, "what is not wanted is no damage")

        # More, at its place, over a restart in the middle. What is unfinished stands apart.
        some.cli("limit", share, "--down", "200KiB")
        some.cli("fetch", here, "-d", "--only", "docs", "--only", "none")
        wait_for("it comes", lambda: some.share(share)["rate_down"] > 0)
        check(set(tree_of(got)) >= {"docs/b.pdf"} and not os.path.exists(f"{got}/docs/c.txt"),
              f"unfinished: {tree_of(got)}")
        check(some.share(share)["state"] == "fetching", f"{some.share(share)}")
        some.kill()
        some.start()
        some.cli("limit", share, "--down", "none")
        some.cli("fetch", here, "--only", "docs", "--only", "none")
        expected = {name: digest for name, digest in whole.items()
                    if name.startswith("docs/") or name == "none"}
        check(tree_of(got) == expected, f"all of docs: {tree_of(got)}")

        # It serves what it has to another; what nobody else has does not come.
        other = world.node("other", discovery={"dht": False, "lan": False, "pex": False})
        near = f"{link}&pe=127.0.0.1:{some.port}"
        other.cli("fetch", near, "-o", world.path("got2"), "--only", "docs/**/d.pdf")
        check(set(tree_of(world.path("got2", "tree"))) == {"docs/old/d.pdf"}, "from a part")

        # Something of the user's own stands where the rest is to go.
        with open(f"{got}/e.bin", "w", encoding="utf-8") as file:
            file.write("mine")
        failed = some.cli("fetch", here, expect=13)
        check("e.bin" in failed.stderr, f"it says where: {failed.stderr}")
        with open(f"{got}/e.bin", encoding="utf-8") as file:
            check(file.read() == "mine", "it is not touched")
        os.unlink(f"{got}/e.bin")
        some.cli("fetch", here)
        check(tree_of(got) == whole and some.share(share)["state"] == "seeding", "in the end all of it")


if __name__ == "__main__":
    run(test)
