"""For tests against other implementations of the DHT: a network of namespaces with global-looking
addresses, because most of them refuse 127/8. Ours live on the bridge, each of theirs in a namespace of
its own, so that no address is shared. Nothing leaves the machine: there is no route to anywhere else."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile

from dht import Network, skip
from nodes import check, wait_for

INSIDE = "PEERNET_INTEROP_INSIDE"
OURS_COUNT = 10


def enter():
    """Runs this test again inside new namespaces, as the last thing this process does."""
    if os.environ.get(INSIDE):
        return
    if not shutil.which("unshare") or not shutil.which("ip"):
        skip("unshare and ip are needed (util-linux, iproute2)")
    options = ["--net", "--mount"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    command = ["unshare", *options]
    # Mounting is asked for too: a container may allow the one and not the other.
    probe = subprocess.run([*command, "sh", "-c", "mount -t tmpfs none /run && ip link add probe type bridge"],
                           capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        skip(f"no right to make a network namespace: {probe.stderr.strip()}")
    os.execvpe("unshare", [*command, sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]],
               {**os.environ, INSIDE: "1"})


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def ours(number):
    """Addresses in networks of their own; none of them is private, reserved or dark."""
    return f"185.{number}.1.1"


def theirs(number):
    return f"185.{100 + number}.1.1"


class Interop(Network):
    """The namespaces and everything in them. Use as a context, after enter()."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="peernet-interop.")
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.makedirs("/run/netns")
        ip("link", "set", "lo", "up")
        ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        ip("link", "set", "br0", "up")
        for number in range(1, OURS_COUNT + 10):
            ip("address", "add", f"{ours(number)}/8", "dev", "br0")
        return self

    def __exit__(self, kind, value, trace):
        super().__exit__(kind, value, trace)
        if kind is not None:
            for name in sorted(os.listdir(self.directory)):
                if name.endswith(".log"):
                    with open(self.path(name), encoding="utf-8", errors="replace") as file:
                        print(f"--- {name}, its end:\n{file.read()[-3000:]}", file=sys.stderr)
        shutil.rmtree(self.directory, ignore_errors=True)
        return False

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def place(self, number):
        """A namespace of one address; gives what is put before a command that runs in it."""
        name = f"n{number}"
        ip("netns", "add", name)
        ip("link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"v{number}", "master", "br0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "address", "add", f"{theirs(number)}/8", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        return ["ip", "netns", "exec", name]

    def run_logged(self, name, command, **options):
        with open(self.path(f"{name}.log"), "wb") as log:
            return self.run(command, stdout=log, stderr=subprocess.STDOUT, **options)

    def our_network(self, count=OURS_COUNT):
        """Nodes of ours that know each other."""
        first = self.node(ours(1), 7001)
        nodes = [first] + [self.node(ours(i), 7000 + i, [first.endpoint]) for i in range(2, count + 1)]
        for node in nodes:
            wait_for(f"{node.endpoint} knows the others",
                     lambda node=node: node.stats()["dht_nodes"] >= min(8, count - 1), 20)
        return nodes


class Bait:
    """A TCP listener on one of our addresses: whoever connects has learnt of it."""

    def __init__(self, address):
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]

    def wait_for_visit(self, address, seconds=90):
        """Until somebody connects from this address."""
        self.listener.settimeout(seconds)
        while True:
            try:
                visitor, (source, _) = self.listener.accept()
            except TimeoutError:
                check(False, f"{address} did not connect within {seconds} s")
            visitor.close()
            if source == address:
                return
