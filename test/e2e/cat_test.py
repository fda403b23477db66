#!/usr/bin/env python3
"""peernet cat: verified bytes to stdout while they are fetched, through a reader that is slow, one that
stops, and several at once; its exit codes."""

import hashlib
import json
import os
import subprocess
import time

from nodes import PEERNET, RpcError, World, check, run, wait_for, write_random

SIZE = 24 << 20


def resident(node):
    with open(f"/proc/{node.process.pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    return 0


def start_cat(node, *arguments):
    return subprocess.Popen([PEERNET, "--home", node.home, "cat", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def read_slowly(process, rate, begun):
    """All of it at `rate` bytes a second: (data, seconds to the first byte, the longest pause that was
    not of our own making)."""
    data = bytearray()
    first = longest = 0.0
    start = time.monotonic()
    while True:
        asked = time.monotonic()
        part = os.read(process.stdout.fileno(), 1 << 16)
        waited = time.monotonic() - asked
        if not data:
            first = time.monotonic() - begun
        else:
            longest = max(longest, waited)
        if not part:
            return bytes(data), first, longest
        data += part
        ahead = len(data) / rate - (time.monotonic() - start)
        if ahead > 0:
            time.sleep(ahead)


def test():
    with World() as world:
        seed = world.node("seed")
        source = world.path("src", "tree")
        write_random(os.path.join(source, "film.bin"), SIZE, 1)
        write_random(os.path.join(source, "sub", "other.bin"), SIZE, 2)
        with open(os.path.join(source, "film.bin"), "rb") as file:
            film = file.read()
        link = seed.add(source)
        share = link.split("?")[0].removeprefix("peernet:")

        # A whole share, here: everything, a range, what is not there.
        whole = subprocess.run([PEERNET, "--home", seed.home, "cat", f"{share}/film.bin"],
                               capture_output=True, check=False)
        check(whole.returncode == 0 and whole.stdout == film, "cat of a complete share is its file")
        part = subprocess.run([PEERNET, "--home", seed.home, "cat", f"{share[:10]}/film.bin",
                               "--range", "1000000-1999999"], capture_output=True, check=False)
        check(part.stdout == film[1_000_000:2_000_000], "--range gives the bytes from A to B")
        past = seed.cli("cat", f"{share}/film.bin", "--range", f"{SIZE}-")
        check(past.stdout == "", "past the end there is nothing")
        seed.cli("cat", f"{share}/no.bin", expect=3)
        check("directory" in seed.cli("cat", share, expect=1).stderr, "a directory is not a file")
        seed.cli("cat", "s2222222222", expect=3)

        # Nobody has it: exit 5, and it says so.
        alone = world.node("alone")
        alone.cli("cat", f"{link}/film.bin", "--stall", "1s", expect=5)
        alone.cli("cat", f"{link}/film.bin", "--timeout", "1s", expect=5)

        # And fetch: it goes on in the daemon.
        alone.cli("fetch", link, "--stall", "1s", expect=5)
        check(len(alone.rpc("share.list")["shares"]) == 1, "it goes on in the background")

        # What would be fetched, from the manifest; nothing stays behind.
        leech = world.node("leech", bootstrap=[seed.port], limits={"down": "12MB/s"})
        here = f"{link}&pe=127.0.0.1:{seed.port}"
        seen = leech.cli("fetch", "-n", here)
        check("film.bin" in seen.stdout and "sub/other.bin" in seen.stdout, f"-n lists: {seen.stdout}")
        wait_for("it is forgotten", lambda: leech.rpc("share.list")["count"] == 0)
        told = json.loads(leech.cli("--json", "fetch", "-n", here).stdout)
        check([file["size"] for file in told["files"]] == [SIZE, SIZE], f"with sizes: {told}")
        wait_for("it is forgotten", lambda: leech.rpc("share.list")["count"] == 0)
        check(not os.path.exists(os.path.join(leech.home, "downloads")) or
              os.listdir(os.path.join(leech.home, "downloads")) == [], "no file was made")

        # In order, where that is asked for.
        inorder = world.node("inorder", bootstrap=[seed.port], limits={"down": "4MB/s"})
        inorder.cli("fetch", "--sequential", "-d", here)

        def files_done():
            try:
                return [file["done"] for file in inorder.rpc("share.files", id=share)["files"]]
            except RpcError:
                return [0, 0]

        wait_for("some of the first file", lambda: files_done()[0] >= 6 << 20)
        check(files_done()[1] == 0, f"nothing of the second before the first is there: {files_done()}")
        inorder.stop()

        # While it is fetched at 12 MB/s, a reader at 6 MB/s: begins at once and never waits.
        begun = time.monotonic()
        slow = start_cat(leech, f"{here}/film.bin")
        data, first, longest = read_slowly(slow, 6_000_000, begun)
        check(slow.wait(30) == 0 and data == film, "what came is the file")
        print(f"first byte after {first:.2f} s, longest wait {longest:.2f} s")
        check(first < 5, f"the first byte came after {first:.1f} s")
        check(longest < 2, f"the reader waited {longest:.1f} s")

        # A reader that stops makes nothing pile up; others go on.
        leech.rpc("limit.set", down=0)
        stopped = start_cat(leech, f"{share}/sub/other.bin")
        os.read(stopped.stdout.fileno(), 1 << 16)
        before = resident(leech)
        others = [start_cat(leech, f"{share}/sub/other.bin") for _ in range(3)]
        with open(os.path.join(source, "sub", "other.bin"), "rb") as file:
            wanted = digest(file.read())
        for other in others:
            check(digest(other.communicate(timeout=120)[0]) == wanted, "several read at once")
            check(other.returncode == 0, "and end well")
        grown = resident(leech) - before
        print(f"resident {before >> 20} MiB before, {grown >> 20} MiB more after")
        check(grown < 64 << 20, f"the daemon grew by {grown >> 20} MiB beside a reader that stopped")
        check(stopped.poll() is None, "the one that stopped waits still")
        stopped.kill()
        stopped.wait()
        leech.wait_complete(share)

        # A file that was changed under a complete share: not a wrong byte, exit 8.
        path = leech.share(share)["path"]
        with open(os.path.join(path, "film.bin"), "r+b") as file:
            file.seek(15 << 20)
            file.write(b"no such film")
        bad = subprocess.run([PEERNET, "--home", leech.home, "cat", f"{share}/film.bin"],
                             capture_output=True, check=False)
        check(bad.returncode == 8, f"exit {bad.returncode} where the file was changed\n{bad.stderr}")
        check(film.startswith(bad.stdout) and len(bad.stdout) <= 15 << 20, "no wrong byte came out")


if __name__ == "__main__":
    run(test)
