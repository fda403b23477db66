#!/usr/bin/python3
"""One seed and many leechers, each in a network namespace of its own behind a capped uplink: PeerNet
beside libtorrent and aria2 in the same run, one after the other, against what no swarm can beat.

  capped_swarm.py [--leechers 16] [--riders 0] [--mib 32] [--piece-kib 256] [--up 2000000]
                  [--clients peernet,libtorrent,aria2] [--rounds 1] [--build build]

The cap is a token bucket (tbf) on what leaves a namespace; downlinks are not capped. The fluid bound
(Kumar and Ross 2006), max(F/u, N*F/((1+G)*u)) with G leechers that give, is computed twice: with u as
the shaper is set (raw), and with u the goodput one TCP stream gets through the same shaper. With
riders, `compliant` is the bound of the others if riders got nothing.

A rider takes and gives nothing. PeerNet's is a script (rider.py beside this file) that speaks the
protocol of transfer/README.md, dials everybody, asks everybody, and rejects whatever it is asked;
libtorrent's has no unchoke slots at all; aria2 cannot be told to give nothing and is left out then.

Needs root or user namespaces, iproute2 and the kernel's tbf. Everything it starts ends with it.
Time runs from the moment all leechers are told of the swarm until each has every verified byte.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "test", "e2e"))
INSIDE = "PEERNET_CAPPED_INSIDE"
LIMIT = 300  # s, for one client


def enter():
    """This program again, in namespaces of its own: no route leads out of them."""
    if os.environ.get(INSIDE):
        return
    options = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    options += [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    probe = subprocess.run(["unshare", *options, "sh", "-c", "mount -t tmpfs none /run && ip link add probe type bridge"],
                           capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        sys.exit(f"no right to make a network namespace: {probe.stderr.strip()}")
    os.execvpe("unshare", ["unshare", *options, sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]],
               {**os.environ, INSIDE: "1"})


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def address(number):
    """Global-looking, each in a network of its own (the benchmark range has only a few /24s that are
    taken for global ones). They exist in our namespaces alone."""
    return f"185.{number + 1}.1.1"


class Places:
    """A namespace for each host, on one bridge."""

    def __init__(self, count, up):
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.makedirs("/run/netns")
        ip("link", "set", "lo", "up")
        ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        ip("link", "set", "br0", "up")
        ip("address", "add", "185.250.1.1/8", "dev", "br0")
        for number in range(count):
            name = f"n{number}"
            ip("netns", "add", name)
            ip("link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"v{number}", "master", "br0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "address", "add", f"{address(number)}/8", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
                            f"{up * 8}bit", "burst", "32kb", "latency", "200ms"], check=True)

    @staticmethod
    def command(number, *words):
        return ["ip", "netns", "exec", f"n{number}", *words]

    @staticmethod
    def sent(number):
        """Bytes that have left the namespace."""
        shown = subprocess.run(["ip", "-n", f"n{number}", "-j", "-s", "link", "show", "eth0"], check=True,
                               capture_output=True, text=True).stdout
        return json.loads(shown)[0]["stats64"]["tx"]["bytes"]

    @staticmethod
    def received(number):
        shown = subprocess.run(["ip", "-n", f"n{number}", "-j", "-s", "link", "show", "eth0"], check=True,
                               capture_output=True, text=True).stdout
        return json.loads(shown)[0]["stats64"]["rx"]["bytes"]


SENDER = "import socket,sys; s=socket.create_connection((sys.argv[1],9000)); s.sendall(bytes(int(sys.argv[2])))"


def goodput(size):
    """Of one TCP stream from n0 to n1, bytes a second, from the first byte to the last."""
    listen = ("import socket,time\ns=socket.create_server(('',9000)); print('up',flush=True); c=s.accept()[0]\n"
              "n=len(c.recv(65536)); t=time.monotonic()\n"
              "while p:=c.recv(1<<20): n+=len(p)\nprint(n/(time.monotonic()-t),flush=True)")
    with subprocess.Popen(Places.command(1, sys.executable, "-c", listen), stdout=subprocess.PIPE, text=True) as sink:
        sink.stdout.readline()
        subprocess.run(Places.command(0, sys.executable, "-c", SENDER, address(1), str(size)), check=True)
        return float(sink.stdout.readline())


class Client:
    """One run of one client. Subclasses start processes; all of them end in close()."""

    def __init__(self, options, path, directory):
        self.options, self.path, self.directory = options, path, directory
        self.size = os.path.getsize(path)
        self.processes = []
        self.riders = set(range(1 + options.leechers - options.riders, 1 + options.leechers))

    def start(self, number, *words, **more):
        with open(os.path.join(self.directory, f"{number}.log"), "ab") as log:
            more.setdefault("stdout", log)
            process = subprocess.Popen(Places.command(number, *words), stdin=more.pop("stdin", subprocess.DEVNULL),
                                       stderr=log, **more)
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()


class PeerNet(Client):
    name = "peernet"

    def node(self, number):
        from nodes import PEERNETD, Node
        node = Node.__new__(Node)
        node.name, node.home = str(number), os.path.join(self.directory, f"home{number}")
        os.makedirs(node.home, mode=0o700)
        node.config = {"listen": [f"{address(number)}:7341"],
                       "bootstrap": [] if number == 0 else [f"{address(0)}:7341"],
                       "discovery": {"lan": False}, "nat": {"port_mapping": False}}
        node.write_config()
        node.process = self.start(number, PEERNETD, "--home", node.home)
        return node

    def answers(self, node):
        try:
            return node.rpc("daemon.status")
        except OSError:
            return None

    def prepare(self):
        from nodes import wait_for
        self.nodes = [self.node(number) for number in range(1 + self.options.leechers) if number not in self.riders]
        for node in self.nodes:
            wait_for("the daemon answers", lambda node=node: self.answers(node), 60)
        self.link = self.nodes[0].rpc("share.add", path=self.path, piece_length=self.options.piece_kib * 1024)["link"]
        for node in self.nodes[1:]:
            wait_for("joined", lambda node=node: node.rpc("dht.status")["is_joined"], 60)
        self.scripts = {}
        for number in self.riders:
            others = [address(other) for other in range(1 + self.options.leechers) if other not in self.riders]
            self.scripts[number] = self.start(
                number, sys.executable, os.path.join(HERE, "rider.py"), self.link.split("?")[0], *others,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.scripts[number].stdout.readline()
            os.set_blocking(self.scripts[number].stdout.fileno(), False)
        self.done = dict.fromkeys(self.riders, 0)

    def go(self):
        self.ids = {}
        for node in self.nodes[1:]:
            target = os.path.join(self.directory, f"got{node.name}")
            os.makedirs(target)
            self.ids[node.name] = node.rpc("share.fetch", link=f"{self.link}&pe={address(0)}:7341", directory=target)["id"]
        for script in self.scripts.values():
            script.stdin.write(b"go\n")
            script.stdin.flush()

    def progress(self):
        """Bytes that each leecher has."""
        for number, script in self.scripts.items():
            lines = (script.stdout.read() or b"").split()
            if lines:
                self.done[number] = int(lines[-1])
        for node in self.nodes[1:]:
            if self.done.get(int(node.name)) != self.size:
                self.done[int(node.name)] = node.share(self.ids[node.name])["done"]
        return self.done


LIBTORRENT_SIDE = r"""
import libtorrent as lt, sys, time
role, torrent, directory, address, rider = sys.argv[1:6]
peers = sys.argv[6:]
settings = {
    "listen_interfaces": address + ":6881", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
    "enable_natpmp": False, "alert_mask": 0, "enable_incoming_utp": False, "enable_outgoing_utp": False}
if rider == "1":
    settings["unchoke_slots_limit"] = 0
session = lt.session(settings)
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": directory})
while role == "seed" and not handle.status().is_seeding:
    time.sleep(0.05)
print("ready", flush=True)
sys.stdin.readline()
for peer in peers:
    handle.connect_peer((peer, 6881))
while True:
    print(handle.status().total_wanted_done if role != "seed" else 0, flush=True)
    time.sleep(0.1)
"""


class Libtorrent(Client):
    name = "libtorrent"

    def prepare(self):
        import libtorrent as lt
        storage = lt.file_storage()
        lt.add_files(storage, self.path)
        torrent = lt.create_torrent(storage, self.options.piece_kib * 1024, flags=lt.create_torrent.v2_only)
        lt.set_piece_hashes(torrent, os.path.dirname(self.path))
        file = os.path.join(self.directory, "bench.torrent")
        with open(file, "wb") as out:
            out.write(lt.bencode(torrent.generate()))
        self.done = {}
        everybody = [address(number) for number in range(1 + self.options.leechers)]
        for number in range(1 + self.options.leechers):
            save = os.path.dirname(self.path) if number == 0 else os.path.join(self.directory, f"got{number}")
            os.makedirs(save, exist_ok=True)
            # Each dials those before it, so that everybody is connected to everybody once.
            self.start(number, sys.executable, "-c", LIBTORRENT_SIDE, "seed" if number == 0 else "leech", file, save,
                       address(number), str(int(number in self.riders)), *everybody[:number],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for process in self.processes:
            process.stdout.readline()
            os.set_blocking(process.stdout.fileno(), False)

    def go(self):
        for process in self.processes:
            process.stdin.write(b"go\n")
            process.stdin.flush()

    def progress(self):
        for number, process in enumerate(self.processes):
            lines = (process.stdout.read() or b"").split()
            if lines and number > 0:
                self.done[number] = int(lines[-1])
        return self.done


class Aria2(Client):
    """Knows when it is done, and not how far it is: its log says so."""
    name = "aria2"

    def prepare(self):
        import libtorrent as lt
        storage = lt.file_storage()
        lt.add_files(storage, self.path)
        torrent = lt.create_torrent(storage, self.options.piece_kib * 1024, flags=lt.create_torrent.v1_only)
        torrent.add_tracker(f"http://185.250.1.1:6969/announce")
        lt.set_piece_hashes(torrent, os.path.dirname(self.path))
        self.file = os.path.join(self.directory, "bench.torrent")
        with open(self.file, "wb") as out:
            out.write(lt.bencode(torrent.generate()))
        tracker = subprocess.Popen([sys.executable, "-c", TRACKER, *(address(n) for n in range(1 + self.options.leechers))],
                                   stdin=subprocess.DEVNULL)
        self.processes.append(tracker)
        self.run(0, os.path.dirname(self.path))
        time.sleep(3)

    def run(self, number, save):
        self.start(number, "aria2c", "--no-conf", "--seed-ratio=0.0", "--listen-port=6881", "--enable-dht=false",
                   "--bt-enable-lpd=false", "--check-integrity=true", "--summary-interval=0", "--file-allocation=none",
                   "--bt-tracker-interval=2", "--enable-peer-exchange=false",
                   f"--on-bt-download-complete={self.mark(number)}", "-d", save, self.file)

    def mark(self, number):
        script = os.path.join(self.directory, f"mark{number}.sh")
        with open(script, "w", encoding="ascii") as out:
            out.write(f"#!/bin/sh\ntouch {self.directory}/done{number}\n")
        os.chmod(script, 0o700)
        return script

    def go(self):
        for number in range(1, 1 + self.options.leechers):
            self.run(number, os.path.join(self.directory, f"got{number}"))

    def progress(self):
        return {number: self.size * os.path.exists(os.path.join(self.directory, f"done{number}"))
                for number in range(1, 1 + self.options.leechers)}


# Everybody learns of everybody at once, as with the hints the others get.
TRACKER = r"""
import http.server, socket, sys
peers = b"".join(socket.inet_aton(peer) + (6881).to_bytes(2, "big") for peer in sys.argv[1:])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"d8:intervali2e5:peers%d:" % len(peers) + peers + b"e"
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("185.250.1.1", 6969), Handler).serve_forever()
"""


def jain(values):
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0


def measure(kind, options, path):
    directory = tempfile.mkdtemp(prefix="peernet-capped.")
    client = kind(options, path, directory)
    try:
        client.prepare()
        leechers = range(1, 1 + options.leechers)
        honest = [number for number in leechers if number not in client.riders]
        before = {number: (Places.sent(number), Places.received(number)) for number in range(1 + options.leechers)}
        begin = time.monotonic()
        client.go()
        times, had, used = {}, {}, None
        while len([number for number in leechers if number in times]) < options.leechers:
            now = time.monotonic() - begin
            if now > LIMIT:
                break
            progress = client.progress()
            for number in leechers:
                if progress.get(number, 0) >= client.size:
                    times.setdefault(number, now)
            complete = sum(number in times for number in honest)
            if used is None and 2 * complete >= len(honest):
                used = sum(Places.sent(n) - before[n][0] for n in honest) / (now * options.up * len(honest))
                had = {number: progress.get(number, 0) / client.size for number in client.riders}
            if complete == len(honest) and "all" not in had:
                had["all"] = True
                copies = (Places.sent(0) - before[0][0]) / client.size
                ratios = [(Places.sent(n) - before[n][0]) / max(1, Places.received(n) - before[n][1]) for n in honest]
            time.sleep(0.1)
        if "all" not in had:
            raise TimeoutError(f"{kind.name}: {len(times)} of {options.leechers} complete after {LIMIT} s")
        mine = sorted(times[number] for number in honest)
        row = {"median": statistics.median(mine), "last": mine[-1], "copies": copies, "jain": jain(ratios), "used": used}
        if client.riders:
            row["riders_had"] = statistics.median(had[number] for number in client.riders)
            row["riders_median"] = statistics.median(times.get(number, float("inf")) for number in client.riders)
        return row
    except OSError:
        for name in sorted(name for name in os.listdir(directory) if name.endswith(".log")):
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as log:
                print(f"--- {name}\n{log.read()[-1000:]}", file=sys.stderr)
        raise
    finally:
        client.close()
        shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leechers", type=int, default=16)
    parser.add_argument("--riders", type=int, default=0)
    parser.add_argument("--mib", type=int, default=32)
    parser.add_argument("--piece-kib", type=int, default=256)
    parser.add_argument("--up", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clients", default="peernet,libtorrent,aria2")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build"))
    options = parser.parse_args()
    os.environ["PEERNET_BUILD"] = os.path.abspath(options.build)
    enter()
    kinds = [kind for kind in (PeerNet, Libtorrent, Aria2) if kind.name in options.clients.split(",")]
    try:
        import libtorrent as lt
        Libtorrent.name = f"libtorrent {lt.version}"
    except ImportError:
        print("python3-libtorrent is not installed: PeerNet alone", file=sys.stderr)
        kinds = [PeerNet]
    if options.riders or not shutil.which("aria2c"):
        kinds = [kind for kind in kinds if kind is not Aria2]
    Places(1 + options.leechers, options.up)
    got = goodput(4 * options.up)
    size, givers = options.mib << 20, options.leechers - options.riders

    def bound(up, takers):
        return max(size / up, takers * size / ((1 + givers) * up))

    print(f"1 seed, {options.leechers} leechers, {options.riders} of them riders, {options.mib} MiB, "
          f"{options.up / 1e6:g} MB/s up each; goodput of one TCP stream {got / 1e6:.3f} MB/s; load {os.getloadavg()[0]:.1f}")
    print(f"fluid bound {bound(got, options.leechers):.1f} s (raw {bound(options.up, options.leechers):.1f} s)" +
          (f", of the compliant {bound(got, givers):.1f} s (raw {bound(options.up, givers):.1f} s)" if options.riders else ""))
    directory = tempfile.mkdtemp(prefix="peernet-capped.")
    try:
        path = os.path.join(directory, "bench.bin")
        with open(path, "wb") as file:
            file.write(os.urandom(size))
        for number in range(options.rounds):
            for kind in kinds:
                try:
                    row = measure(kind, options, path)
                except TimeoutError as error:
                    print(error)
                    continue
                fluid, raw = bound(got, givers), bound(options.up, givers)
                line = (f"{kind.name:20} median {row['median']:5.1f} s ({row['median'] / fluid:.2f}, raw {row['median'] / raw:.2f})"
                        f"  last {row['last']:5.1f} s ({row['last'] / fluid:.2f}, raw {row['last'] / raw:.2f})"
                        f"  origin {row['copies']:.2f} copies  Jain {row['jain']:.3f}  uplinks {100 * row['used']:.0f} %")
                if options.riders:
                    line += f"  riders had {row['riders_had']:.2f}, median {row['riders_median']:.1f} s"
                print(line, flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
