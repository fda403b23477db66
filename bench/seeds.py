#!/usr/bin/python3
"""200 MiB from 1 to 5 seeds over loopback: wall time until everything is verified and written, and
until it is durable, and the ratio to one seed; then the same with each seed limited to 20 MB/s.
libtorrent (v2, plaintext) does the first in the same run, taking turns; it limits nobody on loopback.
Medians over the rounds.

  seeds.py [--mib 200] [--rounds 3] [--seeds 5] [--limit 20] [--build build]
"""

import argparse
import os
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))

import loopback
from loopback import cpu_seconds, result, time, warm_pages


def peernet(path, size, seeds_count, limit):
    from nodes import World, check, wait_for
    limits = {"limits": {"up": f"{limit}MB/s"}} if limit else {}
    with World() as world:
        seeds = [world.node(f"seed{i}", **limits) for i in range(seeds_count)]
        links = [seed.add(path) for seed in seeds]
        check(len(set(links)) == 1, "the seeds made different shares")
        link = links[0] + "".join(f"&pe=127.0.0.1:{seed.port}" for seed in seeds)
        fetcher = world.node("fetcher", [seed.port for seed in seeds])
        wait_for("joined", lambda: fetcher.rpc("dht.status")["is_joined"])
        pids = [node.process.pid for node in seeds + [fetcher]]
        before = sum(map(cpu_seconds, pids))
        start = time.monotonic()
        share = fetcher.fetch(link, world.path("got"))
        verified = wait_for("verified", lambda: fetcher.share(share)["done"] == size and
                            time.monotonic() - start, 600, 0.005)
        durable = wait_for("complete", lambda: fetcher.share(share)["state"] == "seeding" and
                           time.monotonic() - start, 600, 0.005)
        cpu = sum(map(cpu_seconds, pids)) - before
        return result(size, verified, cpu, 0, 0, durable)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=20, help="MB/s of each seed; 0: no such rows")
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    os.environ["PEERNET_BUILD"] = os.path.abspath(options.build)
    size = options.mib << 20

    def runs(path):
        for limit in (0, options.limit) if options.limit else (0,):
            for count in range(1, options.seeds + 1):
                yield ("peernet", limit, count), lambda c=count, l=limit: peernet(path, size, c, l)
                if not limit:
                    yield (("libtorrent", limit, count), lambda c=count: loopback.libtorrent(
                        path, size, False, c))

    try:
        import libtorrent
        print(f"libtorrent {libtorrent.version}")
    except ImportError:
        print("libtorrent is not installed: PeerNet alone", file=sys.stderr)
        loopback.libtorrent = None
    rows = {}
    with tempfile.TemporaryDirectory(prefix="peernet-bench.") as directory:
        path = os.path.join(directory, "bench.bin")
        with open(path, "wb") as file:
            for _ in range(options.mib):
                file.write(os.urandom(1 << 20))
        for number in range(options.rounds):
            for key, run in runs(path):
                if key[0] == "libtorrent" and loopback.libtorrent is None:
                    continue
                warm_pages(size)
                rows.setdefault(key, []).append(run())
                print(f"round {number + 1} {key} {rows[key][-1]['wall']:.2f} s", file=sys.stderr)

    print(f"{options.mib} MiB, medians of {options.rounds}; to one: the median of the rounds' ratios")
    print(f"{'':12}{'limit each':>11}{'seeds':>6}{'wall s':>8}{'durable':>8}{'to one':>7}"
          f"{'MB/s':>7}{'of limit':>9}{'CPU-s/GB':>9}")
    for (name, limit, count), got in sorted(rows.items()):
        median = {field: statistics.median(row[field] for row in got) for field in got[0]}
        ratio = statistics.median(row["wall"] / one["wall"]
                                  for row, one in zip(got, rows[name, limit, 1]))
        rate = size / 1e6 / median["wall"]
        of_limit = f"{rate / (limit * count):.3f}" if limit else "-"
        print(f"{name:12}{f'{limit} MB/s' if limit else 'none':>11}{count:>6}{median['wall']:8.2f}"
              f"{median['durable']:8.2f}{ratio:7.2f}{rate:7.0f}{of_limit:>9}{median['cpu']:9.2f}")


main()
