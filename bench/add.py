#!/usr/bin/python3
"""Making a share: one large file, then many small ones, beside the other tools that are installed,
taking turns, on all cores and on one. Prints GB/s (10^9 bytes), by the wall clock and for each CPU second
that was used, and the CPU seconds; medians of the rounds. The files are in the page cache. PeerNet's time is
that of the whole command `peernet add`, with the leaf hashes and the share made durable; its CPU the
daemon's and the command's.

  add.py [--mib 4096] [--files 100000] [--rounds 3] [--build build]
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))

from loopback import cpu_seconds

LIBTORRENT = r"""
import libtorrent as lt, os, sys
storage = lt.file_storage()
lt.add_files(storage, sys.argv[1])
torrent = lt.create_torrent(storage, flags=lt.create_torrent.v2_only)
lt.set_piece_hashes(torrent, os.path.dirname(sys.argv[1]))
open(sys.argv[2], "wb").write(lt.bencode(torrent.generate()))
"""


def command(cores, *arguments):
    """A tool that is one command: wall and CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(["taskset", "-c", ",".join(map(str, cores)), *arguments], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peernet(cores, path):
    from nodes import World
    with World() as world:
        node = world.node("node")
        for task in os.listdir(f"/proc/{node.process.pid}/task"):
            os.sched_setaffinity(int(task), cores)
        before = cpu_seconds(node.process.pid)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        node.add(path)
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
        return wall, cpu_seconds(node.process.pid) - before + own


def tools(path, out):
    """Name and, with the cores it may use, what it does."""
    found = {"peernet": lambda cores: peernet(cores, path)}
    try:
        import libtorrent as lt
        found[f"libtorrent {lt.version} v2"] = lambda cores: command(
            cores, sys.executable, "-c", LIBTORRENT, path, out)
    except ImportError:
        pass
    if shutil.which("transmission-create"):
        found["transmission-create (v1)"] = lambda cores: command(
            cores, "transmission-create", "-o", out, path)
    if shutil.which("mktorrent") and os.path.isfile(path):  # a millisecond for each small file
        found["mktorrent (v1)"] = lambda cores: command(
            cores, "mktorrent", "-a", "http://localhost/", "-t", str(len(cores)), "-o", out, path)
    if shutil.which("openssl") and os.path.isfile(path):
        found["openssl sha256, one hash"] = lambda cores: command(
            cores, "openssl", "dgst", "-sha256", path)
    return found


def compare(title, path, size, rounds, directory):
    out = os.path.join(directory, "out")
    every = os.sched_getaffinity(0)
    runs = {f"{name}, {len(cores)} cores": lambda tool=tool, cores=cores: tool(cores)
            for cores in (every, {min(every)}) for name, tool in tools(path, out).items()}
    rows = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            if os.path.exists(out):
                os.remove(out)
            rows[name].append(run())
            print(f"{title}: {name} {rows[name][-1][0]:.2f} s", file=sys.stderr)
    print(f"{title}, medians of {rounds}")
    print(f"{'':36}{'wall s':>8}{'GB/s':>7}{'CPU s':>7}{'GB/CPU-s':>9}")
    for name, got in rows.items():
        wall = statistics.median(one for one, _ in got)
        cpu = statistics.median(one for _, one in got)
        print(f"{name:36}{wall:8.2f}{size / 1e9 / wall:7.2f}{cpu:7.2f}{size / 1e9 / cpu:9.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=4096)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    os.environ["PEERNET_BUILD"] = os.path.abspath(options.build)
    with tempfile.TemporaryDirectory(prefix="peernet-bench.") as directory:
        if options.mib:
            path = os.path.join(directory, "large")
            with open(path, "wb") as file:
                for _ in range(options.mib):
                    file.write(os.urandom(1 << 20))
            compare(f"one file of {options.mib} MiB", path, options.mib << 20, options.rounds,
                    directory)
            os.remove(path)
        if options.files:
            path = os.path.join(directory, "small")
            for number in range(options.files):
                if number % 1000 == 0:
                    os.makedirs(os.path.join(path, str(number // 1000)))
                with open(os.path.join(path, str(number // 1000), f"{number}.bin"), "wb") as file:
                    file.write(os.urandom(4096))
            compare(f"{options.files} files of 4 KiB", path, options.files * 4096, options.rounds,
                    directory)


if __name__ == "__main__":
    main()
