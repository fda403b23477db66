#!/usr/bin/python3
"""One sender to one receiver over loopback, from disk cache to disk cache: PeerNet beside libtorrent
(v2 torrents, plaintext and RC4), a bare program (bare.cpp: what any encrypting, verifying program
must do, and nothing else) and, where they are installed and the user is root, rsync over ssh and
syncthing (copiers.py), in the same run, taking turns, so that the ratios hold on a noisy machine.
Prints for each the wall time, the CPU seconds per GB (10^9 bytes) of both sides together, and each
side's peak RSS; medians over the rounds, then PeerNet's ratio to each rival.

  loopback.py [--mib 1024] [--rounds 3] [--build build]

PeerNet's time runs from `fetch` to the complete, verified and durable file at its place; the time at
which everything was verified and written is printed beside it. Its seed added the file in this run;
the row `restarted seed` has one that must hash before it sends. Memory and CPU are the kernel's
accounting of each process. Before each run as much memory as two copies of the file is touched and
given back, so that nobody pays for pages the (virtual) machine has never had.
"""

import argparse
import json
import mmap
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "test", "e2e")]

TICKS = os.sysconf("SC_CLK_TCK")


def warm_pages(size):
    with mmap.mmap(-1, 2 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE):
        pass


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_rss_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


def result(size, wall, cpu, sender, receiver, durable=None):
    return {"wall": wall, "cpu": cpu / (size / 1e9), "sender": sender, "receiver": receiver,
            "durable": durable if durable is not None else wall}


def peernet(path, size, is_restarted):
    from nodes import World, check, wait_for
    with World() as world:
        seed = world.node("seed")
        link = seed.add(path)
        if is_restarted:
            seed.stop(10)
            seed.start()
        fetcher = world.node("fetcher", [seed.port])
        wait_for("joined", lambda: fetcher.rpc("dht.status")["is_joined"])
        pids = seed.process.pid, fetcher.process.pid
        before = sum(map(cpu_seconds, pids))
        start = time.monotonic()
        share = fetcher.fetch(link, world.path("got"))
        verified = wait_for("verified", lambda: fetcher.share(share)["done"] == size and
                            time.monotonic() - start, 600, 0.005)
        durable = wait_for("complete", lambda: fetcher.share(share)["state"] == "seeding" and
                           time.monotonic() - start, 600, 0.005)
        cpu = sum(map(cpu_seconds, pids)) - before
        rss = [peak_rss_mb(pid) for pid in pids]
        got = world.path("got", os.path.basename(path))
        check(subprocess.run(["cmp", path, got], check=False).returncode == 0, "the files differ")
        return result(size, verified, cpu, *rss, durable)


# One side of libtorrent, in a process of its own: prints a line when it is ready, and one with its
# figures when it is done or told to end.
LIBTORRENT_SIDE = r"""
import libtorrent as lt, resource, sys, time
role, torrent, directory, port, rc4, up = sys.argv[1:7]  # port: of the seeds, comma between
session = lt.session({
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True, "in_enc_policy": 0 if rc4 == "1" else 2,
    "out_enc_policy": 0 if rc4 == "1" else 2, "allowed_enc_level": 2 if rc4 == "1" else 1,
    "alert_mask": 0, "max_out_request_queue": 1500, "send_buffer_watermark": 4 << 20,
    "cache_size": 0, "upload_rate_limit": int(up), "enable_incoming_utp": False, "enable_outgoing_utp": False})
info = lt.torrent_info(torrent)
handle = session.add_torrent({"ti": info, "save_path": directory})
if role == "seed":
    while handle.status().state != lt.torrent_status.seeding:
        time.sleep(0.05)
    print("ready", session.listen_port(), flush=True)
    sys.stdin.readline()
else:
    print("ready", 0, flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    for one in port.split(","):
        handle.connect_peer(("127.0.0.1", int(one)))
    while not handle.status().is_seeding:
        time.sleep(0.005)
    print("done", time.monotonic() - start, flush=True)
    sys.stdin.readline()
"""


def bare(path, size):
    program = os.path.join(os.environ["PEERNET_BUILD"], "peernet_bare")
    directory = tempfile.mkdtemp(prefix="peernet-bench.")
    try:
        with subprocess.Popen([program, "send", path], stdout=subprocess.PIPE, text=True) as sender:
            port = sender.stdout.readline().strip()
            fetched = subprocess.run([program, "fetch", os.path.join(directory, "got"), port],
                                     check=True, capture_output=True, text=True).stdout.split()
            cpu = float(fetched[0]) + float(sender.stdout.readline())
        return result(size, float(fetched[1]), cpu, 0, 0)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def copier(kind, path, size):
    import copiers
    row = copiers.run(kind, path)
    return result(size, row["wall"], row["cpu"], 0, 0)


def libtorrent(path, size, rc4, seeds_count=1, up=0):
    import libtorrent as lt
    directory = tempfile.mkdtemp(prefix="peernet-bench.")
    sides = []
    try:
        storage = lt.file_storage()
        lt.add_files(storage, path)
        torrent = lt.create_torrent(storage, flags=lt.create_torrent.v2_only)
        lt.set_piece_hashes(torrent, os.path.dirname(path))
        file = os.path.join(directory, "bench.torrent")
        with open(file, "wb") as out:
            out.write(lt.bencode(torrent.generate()))

        def side(role, save, port):
            process = subprocess.Popen(
                [sys.executable, "-c", LIBTORRENT_SIDE, role, file, save, port, str(int(rc4)),
                 str(up)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            sides.append(process)
            return process, process.stdout.readline().split()[1]

        seeds = [side("seed", os.path.dirname(path), "0") for _ in range(seeds_count)]
        fetcher, _ = side("fetch", directory, ",".join(port for _, port in seeds))
        pids = [seed.pid for seed, _ in seeds] + [fetcher.pid]
        before = sum(map(cpu_seconds, pids))
        fetcher.stdin.write("go\n")
        fetcher.stdin.flush()
        wall = float(fetcher.stdout.readline().split()[1])
        cpu = sum(map(cpu_seconds, pids)) - before
        return result(size, wall, cpu, peak_rss_mb(pids[0]), peak_rss_mb(fetcher.pid))
    finally:
        for process in sides:
            process.kill()
            process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="", help="rows whose name begins with this, beside peernet")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["PEERNET_BUILD"] = os.path.abspath(options.build)

    directory = tempfile.mkdtemp(prefix="peernet-bench.")
    path = os.path.join(directory, "bench.bin")
    size = options.mib << 20
    with open("/dev/urandom", "rb") as chance, open(path, "wb") as file:
        for _ in range(options.mib):
            file.write(chance.read(1 << 20))

    runs = {"peernet": lambda: peernet(path, size, False),
            "peernet, restarted seed": lambda: peernet(path, size, True),
            "bare program": lambda: bare(path, size)}
    try:
        import libtorrent as lt
        runs[f"libtorrent {lt.version} v2, plaintext"] = lambda: libtorrent(path, size, False)
        runs[f"libtorrent {lt.version} v2, RC4"] = lambda: libtorrent(path, size, True)
    except ImportError:
        print("libtorrent is not installed: PeerNet alone", file=sys.stderr)
    if os.geteuid() == 0 and shutil.which("rsync") and shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin"):
        runs["rsync over ssh, aes128-gcm"] = lambda: copier("rsync", path, size)
    if os.geteuid() == 0 and shutil.which("syncthing"):
        runs["syncthing"] = lambda: copier("syncthing", path, size)
    runs = {name: run for name, run in runs.items()
            if name == "peernet" or name.startswith(options.only)}
    rows = {name: [] for name in runs}
    try:
        for number in range(options.rounds):
            for name, run in runs.items():
                warm_pages(size)
                rows[name].append(run())
                row = rows[name][-1]
                print(f"round {number + 1}  {name:32} {row['wall']:6.2f} s", file=sys.stderr)
    finally:
        shutil.rmtree(directory, ignore_errors=True)

    medians = {name: {key: statistics.median(row[key] for row in got) for key in got[0]}
               for name, got in rows.items()}
    if options.json:
        print(json.dumps(medians, indent=1))
        return
    print(f"{options.mib} MiB, medians of {options.rounds}")
    print(f"{'':32} {'wall s':>7} {'durable':>8} {'MB/s':>6} {'CPU-s/GB':>9} {'RSS MB, sender/receiver':>24}")
    for name, row in medians.items():
        print(f"{name:32} {row['wall']:7.2f} {row['durable']:8.2f} {size / 1e6 / row['wall']:6.0f} "
              f"{row['cpu']:9.2f} {row['sender']:17.0f}/{row['receiver']:.0f}")
    base = rows["peernet"]
    for name, got in rows.items():
        if name == "peernet":
            continue
        wall = statistics.median(a["wall"] / b["wall"] for a, b in zip(base, got))
        cpu = statistics.median(a["cpu"] / b["cpu"] for a, b in zip(base, got))
        print(f"peernet / {name}: wall {wall:.2f}, CPU {cpu:.2f}")


if __name__ == "__main__":
    main()
