#!/usr/bin/python3
"""One DHT node that answers over a real socket on loopback, as fast as it is asked: a mix of ping,
find_node and get_peers in equal parts with random targets, from a table that has 8 nodes for every
answer. PeerNet's node beside libtorrent's in the same run, taking turns. Prints answers a second, and
the processor time of the asked process for each, by the kernel's accounting; medians over the rounds.

  dht_socket.py [--seconds 4] [--rounds 3] [--nodes 24] [--build build]

Limits per source are off in both: PeerNet exempts loopback, libtorrent's are raised by its settings.
The two processes of a turn, the one that asks and the one that answers, want a core each.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))

TICKS = os.sysconf("SC_CLK_TCK")

LIBTORRENT = r"""
import sys, time
import libtorrent as lt
endpoint, bootstrap = sys.argv[1:3]
session = lt.session({
    "listen_interfaces": endpoint, "dht_bootstrap_nodes": bootstrap, "enable_dht": True, "enable_lsd": False,
    "enable_upnp": False, "enable_natpmp": False, "alert_mask": 0, "dht_block_ratelimit": 10_000_000,
    "dht_upload_rate_limit": 100_000_000, "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False})
print("ready", flush=True)
sys.stdin.readline()
"""


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(options, endpoint, pid):
    before = cpu_seconds(pid)
    done = subprocess.run([os.path.join(options.build, "peernet-dhtload"), endpoint, str(options.seconds)],
                          capture_output=True, text=True, check=True)
    cpu = cpu_seconds(pid) - before
    said = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", done.stdout)}
    if said["answers"] == 0:
        sys.exit(f"{endpoint} gave no answers: {done.stdout}")
    return {"rate": said["answers"] / said["seconds"], "cpu": cpu / said["answers"] * 1e6,
            "bytes": said["bytes"] / said["answers"], "lost": said["lost"] / said["sent"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=24)
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    os.environ["PEERNET_BUILD"] = options.build
    from dht import Network
    from nodes import wait_for

    with Network() as network:
        # Nodes for the tables, one to a /16 of loopback.
        first = network.node("127.1.0.1", 7001)
        for i in range(2, options.nodes + 1):
            network.node(f"127.{i}.0.1", 7001, [first.endpoint])
        asked = network.node("127.200.0.1", 7001, [first.endpoint])
        wait_for("the table fills", lambda: asked.stats()["dht_nodes"] >= min(options.nodes // 2, 16), 30, 0.2)
        targets = {"peernet": (asked.endpoint, asked.process.pid)}
        try:
            import libtorrent as lt
            process = network.run([sys.executable, "-c", LIBTORRENT, "127.201.0.1:6881", first.endpoint],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            process.stdout.readline()
            time.sleep(5)  # it joins
            targets[f"libtorrent {lt.version}"] = ("127.201.0.1:6881", process.pid)
        except ImportError:
            print("libtorrent is not installed: PeerNet alone", file=sys.stderr)

        rows = {name: [] for name in targets}
        for number in range(options.rounds):
            for name, (endpoint, pid) in targets.items():
                rows[name].append(measure(options, endpoint, pid))
                row = rows[name][-1]
                print(f"round {number + 1}  {name:20} {row['rate']:8.0f}/s  {row['cpu']:.2f} us", file=sys.stderr)
        print(f"{'':20} {'answers/s':>10} {'CPU us each':>12} {'bytes each':>11} {'lost':>7}")
        for name, got in rows.items():
            row = {key: statistics.median(one[key] for one in got) for key in got[0]}
            print(f"{name:20} {row['rate']:10.0f} {row['cpu']:12.2f} {row['bytes']:11.0f} {100 * row['lost']:6.2f}%")


main()
