#!/usr/bin/python3
"""What the command line costs beside a daemon with many shares: the wall time of `peernet status` (all of
its table, through a pipe), and the CPU time of the program alone: of `peernet --version`, which asks nobody,
and of `peernet status`. Of each the least, the median and the 95th of 100 runs.

  face.py [--shares 1000] [--runs 100] [--build build]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))


def one(command):
    """Wall and CPU seconds of one run."""
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        size = len(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command}: exit {process.returncode}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, size


def row(name, command, runs):
    taken = [one(command) for _ in range(runs)]
    for what, column in (("wall", 0), ("CPU", 1)):
        values = sorted(1000 * run[column] for run in taken)
        print(f"{name:24} {what:4}  least {values[0]:6.2f}  median {statistics.median(values):6.2f}  "
              f"95th {values[int(len(values) * 0.95)]:6.2f} ms   {taken[0][2]} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shares", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    os.environ["PEERNET_BUILD"] = os.path.abspath(options.build)
    from nodes import PEERNET, World

    with World() as world:
        node = world.node("node", discovery={"dht": False, "lan": False})
        for number in range(options.shares):
            path = world.path("shares", f"{number:04}.txt")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(str(number))
            node.rpc("share.add", path=path)
        load = os.getloadavg()[0]
        print(f"{options.shares} shares, load {load:.1f}")
        row("peernet --version", [PEERNET, "--version"], options.runs)
        row("peernet status", [PEERNET, "--home", node.home, "status"], options.runs)
        row("peernet status --json", [PEERNET, "--home", node.home, "status", "--json"], options.runs)


if __name__ == "__main__":
    main()
