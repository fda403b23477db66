#!/usr/bin/python3
"""How wrong the ETA of a fetch is: at 10, 50 and 90 % of it the time that status says is left, against the
time it took from then on. Seeds behind an upload limit; one of them; three; three of which one leaves
and comes back; and three with four leechers who began together. The mean of the answers within 2 % of each
mark, in percent of what was left; above 0: it took less than was said.

  eta.py [--mib 96] [--rate 2.0] [--build build]
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))

MARKS = (10, 50, 90)


def watch(node, share, size):
    """(time, part, eta) until it is whole, and when that was."""
    seen = []
    while True:
        status = node.share(share)
        now = time.monotonic()
        if status["state"] in ("finishing", "seeding"):
            return seen, now
        if status["eta"] is not None:
            seen.append((now, status["done"] / size, status["eta"]))
        time.sleep(0.1)


def errors(seen, end):
    found = {}
    for mark in MARKS:
        near = [eta / (end - at) - 1 for at, part, eta in seen if abs(part - mark / 100) <= 0.02]
        if near:
            found[mark] = statistics.mean(near)
    return found


def case(name, path, size, options, seeds_count, leechers_count=1, leaves=False):
    from nodes import World
    with World() as world:
        limits = {"up": f"{int(options.rate * 1e6)}B/s"}
        seeds = [world.node(f"seed{i}", limits=limits) for i in range(seeds_count)]
        link = [seed.add(path) for seed in seeds][0] + "".join(f"&pe=127.0.0.1:{seed.port}" for seed in seeds)
        nodes = [world.node(f"leecher{i}", [seeds[0].port], limits=limits) for i in range(leechers_count)]
        shares = [node.fetch(link, world.path(f"got{i}")) for i, node in enumerate(nodes)]
        found = []
        threads = [threading.Thread(target=lambda n=node, s=share: found.append(watch(n, s, size)))
                   for node, share in zip(nodes, shares)]
        for thread in threads:
            thread.start()
        if leaves:
            time.sleep(size / (options.rate * 1e6 * seeds_count) / 3)
            seeds[-1].stop()
            time.sleep(size / (options.rate * 1e6 * seeds_count) / 4)
            seeds[-1].start()
        for thread in threads:
            thread.join()
        every = [errors(seen, end) for seen, end in found]
        told = []
        for mark in MARKS:
            values = [one[mark] for one in every if mark in one]
            told.append(f"{statistics.mean(map(abs, values)) * 100:5.1f} ({statistics.mean(values) * 100:+.0f})"
                        if values else "-")
        print(f"{name:44}" + "".join(f"{one:>16}" for one in told), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=96)
    parser.add_argument("--rate", type=float, default=2.0, help="MB/s of each seed and leecher")
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    os.environ["PEERNET_BUILD"] = os.path.abspath(options.build)
    size = options.mib << 20
    with tempfile.TemporaryDirectory(prefix="peernet-bench.") as directory:
        path = os.path.join(directory, "bench.bin")
        with open(path, "wb") as file:
            for _ in range(options.mib):
                file.write(os.urandom(1 << 20))
        print(f"{'error in %, without and with its sign, at':44}" + "".join(f"{f'{mark} %':>16}" for mark in MARKS))
        case("one seed", path, size, options, 1)
        case("three seeds", path, size, options, 3)
        case("three seeds, one away for a quarter", path, size, options, 3, leaves=True)
        case("three seeds, four leechers", path, size, options, 3, 4)


if __name__ == "__main__":
    main()
