#!/usr/bin/python3
"""What a daemon costs that has nothing to do: private dirty memory, RSS, wake-ups of its threads a
second, CPU, and DHT queries, with 0 and with 200 shares that nobody asks for, after a restart. The DHT has a
few nodes, so that there is something to say; a row without DHT shows the wake-ups beside it. Every share is
announced once in 25 minutes, all of them at the start: the queries until the clock starts, less
those without shares, are what a share asks in 25 minutes.

  idle.py [--shares 200] [--nodes 30] [--seconds 60] [--settle 40] [--build build]
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))

from loopback import cpu_seconds


def memory_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        fields = dict(line.split()[:2] for line in file if line.endswith("kB\n"))
    return int(fields["Private_Dirty:"]), int(fields["Rss:"])


def wake_ups(pid):
    count = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            count += sum(int(line.split()[1]) for line in file
                         if line.startswith("voluntary_ctxt_switches"))
    return count


def queries(node):
    return node.rpc("dht.status")["queries_out"]


@contextlib.contextmanager
def dht_of(count):
    """The ports of so many nodes that know each other."""
    program = os.path.join(os.environ["PEERNET_BUILD"], "peernet-dhtnode")
    nodes, ports = [], []
    try:
        for _ in range(count):
            boot = f"127.0.0.1:{ports[0]}" if ports else "-"
            port = free_port()
            nodes.append(subprocess.Popen([program, "127.0.0.1", str(port), boot], stdin=subprocess.PIPE,
                                          stdout=subprocess.DEVNULL))
            ports.append(port)
            time.sleep(0.2)
        time.sleep(5)
        yield ports
    finally:
        for node in nodes:
            node.kill()
            node.wait()


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def measure(world, name, boot, shares_count, has_dht, options):
    """Private dirty KiB, and the queries before the clock."""
    node = world.node(name, boot if has_dht else [], discovery={"dht": has_dht})
    for number in range(shares_count):
        path = world.path(f"{name}-data", f"{number}.bin")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(os.urandom(100_000))
        node.add(path)
    if shares_count:
        node.stop()  # what is left behind by making them is another matter
        node.start()
    pid = node.process.pid
    time.sleep(options.settle + shares_count * 0.2)  # announces go out five a second, 20 s after the start
    begun = asked = queries(node) if has_dht else 0
    wakes, cpu = wake_ups(pid), cpu_seconds(pid)
    # The question itself wakes it up a few times.
    time.sleep(options.seconds)
    wakes, cpu = wake_ups(pid) - wakes, cpu_seconds(pid) - cpu
    asked = queries(node) - asked if has_dht else 0
    dirty, rss = memory_kib(pid)
    print(f"{shares_count:>6} {'yes' if has_dht else 'no':>4} {dirty:>10} {rss:>8} "
          f"{wakes / options.seconds:>8.2f} {cpu / options.seconds * 100:>7.2f} "
          f"{asked / options.seconds:>9.3f}", flush=True)
    node.stop()
    return dirty, begun


def main():
    from nodes import World
    parser = argparse.ArgumentParser()
    parser.add_argument("--shares", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--settle", type=float, default=40)
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    os.environ["PEERNET_BUILD"] = os.path.abspath(options.build)
    with World() as world, dht_of(options.nodes) as boot:
        print("shares  DHT  dirty KiB  RSS KiB  wakes/s  CPU %  queries/s")
        none, asked_none = measure(world, "none", boot[:1], 0, True, options)
        some, asked_some = measure(world, "some", boot[:1], options.shares, True, options)
        measure(world, "quiet", boot[:1], 0, False, options)
        measure(world, "quiet-some", boot[:1], options.shares, False, options)
        print(f"an idle share: {(some - none) / options.shares:.1f} KiB of private dirty memory, "
              f"{(asked_some - asked_none) / options.shares:.1f} DHT queries to be announced")


if __name__ == "__main__":
    main()
