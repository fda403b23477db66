"""Nodes for the end-to-end tests: real daemons and the real CLI, each node in its own home directory,
on loopback, known to each other by port. Everything a test starts ends with it."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("PEERNET_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
PEERNETD = os.path.join(BUILD, "peernetd")
PEERNET = os.path.join(BUILD, "peernet")


class Failure(Exception):
    """What the test demands was not so."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(what, predicate, seconds=60, every=0.05):
    """Polls until predicate() gives something true, and gives that."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(every)


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]
        self.error = error


class Node:
    """One peernetd. `wrap` is put before the command, such as ["ip", "netns", "exec", name]: its
    control socket is a file, and can be reached from everywhere. `environment` is added to ours."""

    def __init__(self, directory, name, bootstrap=(), wrap=(), environment=None, **config):
        self.name = name
        self.wrap = wrap
        self.environment = {**os.environ, **(environment or {})}
        self.home = os.path.join(directory, name)
        os.makedirs(self.home, mode=0o700, exist_ok=True)
        self.config = {
            "identity": {"name": name},
            "listen": ["127.0.0.1:0"],
            "bootstrap": [at if isinstance(at, str) else f"127.0.0.1:{at}" for at in bootstrap],
            # A test is about the DHT and links unless it says otherwise.
            "discovery": {"lan": False},
        }
        self.config.update(config)
        self.process = None
        self.port = None
        self.write_config()

    def write_config(self):
        with open(os.path.join(self.home, "config.json"), "w", encoding="utf-8") as file:
            json.dump(self.config, file)

    def start(self):
        """Starts the daemon and waits until it answers. It keeps its port over restarts."""
        if self.port is not None and not self.wrap:
            self.config["listen"] = [f"127.0.0.1:{self.port}"]
            self.write_config()
        log = open(os.path.join(self.home, "log"), "ab")
        self.process = subprocess.Popen(
            [*self.wrap, PEERNETD, "--home", self.home], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=self.environment)
        log.close()

        def answers():
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended with {self.process.returncode}:\n{self.log()[-3000:]}")
            try:
                return self.rpc("daemon.status")
            except (OSError, ConnectionError):
                return None

        self.port = wait_for(f"{self.name} answers", answers, 30)["port"]
        return self

    def log(self):
        try:
            with open(os.path.join(self.home, "log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def stop(self, seconds=5):
        """SIGTERM; the daemon must be gone, with exit code 0, within the promised time."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"{self.name} did not stop within {seconds} s of SIGTERM") from None
        self.process = None
        check(code == 0, f"{self.name} ended with {code}:\n{self.log()[-3000:]}")

    def process_fails(self):
        """What the daemon says when it does not start."""
        done = subprocess.run([PEERNETD, "--home", self.home], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=30, check=False)
        check(done.returncode != 0, f"{self.name} has started")
        return done.stderr

    def kill(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def rpc(self, method, **params):
        """One call on a connection of its own."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(120)
            client.connect(os.path.join(self.home, "peernet.sock"))
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            client.sendall(json.dumps(request).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = client.recv(1 << 20)
                if not part:
                    raise ConnectionError("the daemon closed the connection")
                data += part
        answer = json.loads(data)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def cli(self, *arguments, expect=0, timeout=300, **options):
        """Runs the CLI; gives the finished process. expect None takes any exit code."""
        done = subprocess.run(
            [PEERNET, "--home", self.home, *arguments], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, check=False, **options)
        if expect is not None:
            check(done.returncode == expect,
                  f"peernet {' '.join(arguments)}: exit {done.returncode}, not {expect}\n"
                  f"{done.stdout}{done.stderr}")
        return done

    def add(self, path, *options):
        return self.cli("add", *options, path).stdout.strip()

    def share(self, share_id):
        return self.rpc("share.status", id=share_id)

    def fetch(self, link, directory):
        os.makedirs(directory, exist_ok=True)
        return self.rpc("share.fetch", link=link, directory=directory)["id"]

    def wait_complete(self, share_id, seconds=120):
        def is_complete():
            status = self.share(share_id)
            check(status["state"] != "failed", f"{self.name}: the fetch failed: {status['reason']}")
            return status["state"] == "seeding"

        wait_for(f"{self.name} completes {share_id[:8]}", is_complete, seconds)


class World:
    """A temporary directory and the nodes in it. Use as a context."""

    def __init__(self, keep=False):
        self.directory = tempfile.mkdtemp(prefix="peernet-e2e.")
        self.nodes = []
        self.keep = keep

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for node in self.nodes:
            node.kill()
        if kind is not None:
            for node in self.nodes:
                print(f"--- log of {node.name}, its end:\n{node.log()[-2500:]}", file=sys.stderr)
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        return False

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def node(self, name, bootstrap=(), **config):
        node = Node(self.directory, name, bootstrap, **config)
        self.nodes.append(node)
        return node.start()


class FaultyDisk:
    """Faults of a daemon's disk that come and go (faulty_disk.cpp): start the daemon with `environment`."""

    LIBRARY = os.path.join(BUILD, "libfaulty_disk.so")

    def __init__(self, path):
        check(os.path.exists(self.LIBRARY), f"no {self.LIBRARY}")  # ld.so would only warn
        self.path = path
        self.environment = {"LD_PRELOAD": self.LIBRARY, "PEERNET_FAULTS": path}

    def fail(self, *faults):
        """Faults (call, errno or 0, percent, part of the path) instead of those before; none: all is well."""
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            for fault in faults:
                print(*fault, file=file)
        os.replace(self.path + ".new", self.path)


def write_random(path, size, seed=0):
    """A file of `size` bytes that depends on the seed alone, made quickly."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        stream = hashlib.shake_256(f"{seed} {size}".encode()).digest(min(size, 1 << 20))
        written = 0
        number = 0
        while written < size:
            part = stream[: size - written]
            # Every MiB differs, so that no two pieces are alike.
            file.write((number.to_bytes(8, "big") + part)[: len(part)])
            written += len(part)
            number += 1


def tree_of(path):
    """What a file or tree holds: path -> (hash, executable). For comparing."""
    def digest(name):
        with open(name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    if os.path.isfile(path):
        return {"": (digest(path), bool(os.stat(path).st_mode & 0o100))}
    found = {}
    for directory, _, names in os.walk(os.fsencode(path)):
        for name in names:
            full = os.path.join(directory, name)
            relative = os.path.relpath(full, os.fsencode(path))
            found[relative] = (digest(full), bool(os.stat(full).st_mode & 0o100))
    return found


def run(test):
    """Runs a test function; the exit code says how it went."""
    start = time.monotonic()
    try:
        test()
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
    print(f"passed in {time.monotonic() - start:.1f} s")
