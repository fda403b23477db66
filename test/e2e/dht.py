"""DHT nodes for the end-to-end tests: ours (peernet-dhtnode, driven by lines) in a network of real sockets."""

import os
import selectors
import subprocess
import sys
import time

from nodes import BUILD, Failure, check

DHTNODE = os.path.join(BUILD, "peernet-dhtnode")


class BareNode:
    """One peernet-dhtnode. `wrap` is put before the command, such as ["ip", "netns", "exec", name]."""

    def __init__(self, address, port, bootstrap=(), wrap=(), options=()):
        self.address = address
        self.port = port
        self.lines = []
        self.rest = b""
        self.process = subprocess.Popen(
            [*wrap, DHTNODE, address, str(port), ",".join(bootstrap) or "-", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.wait("UP", 10)

    @property
    def endpoint(self):
        return f"{self.address}:{self.port}"

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, begin, seconds=30):
        """The words of the next event that begins so; those before it are dropped."""
        end = time.monotonic() + seconds
        while True:
            while self.lines:
                line = self.lines.pop(0)
                if line.startswith(begin):
                    return line.split()
            with selectors.DefaultSelector() as selector:
                selector.register(self.process.stdout, selectors.EVENT_READ)
                if not selector.select(max(0, end - time.monotonic())):
                    raise Failure(f"{self.endpoint} did not say {begin} within {seconds} s")
            part = os.read(self.process.stdout.fileno(), 65536)
            check(part, f"{self.endpoint} ended with {self.process.poll()}")
            *lines, self.rest = (self.rest + part).split(b"\n")
            self.lines += [line.decode() for line in lines]

    def stats(self):
        self.say("S")
        return {name: int(value) for name, value in
                (word.split("=") for word in self.wait("S ")[2:])}

    def announce(self, key, port):
        """Until it is done."""
        self.say(f"A {key} {port}")
        self.wait(f"D {key}")

    def find(self, key):
        """How many peers a whole lookup finds."""
        self.say(f"G {key}")
        self.wait(f"T {key}")
        found = 0
        while True:
            words = self.wait("")
            if words[:2] == ["P", key]:
                found += int(words[3])
            if words[:2] == ["D", key]:
                return found

    def kill(self):
        self.process.kill()
        self.process.wait()

    def quit(self):
        self.say("Q")
        code = self.process.wait(5)
        check(code == 0, f"{self.endpoint} ended with {code}")


class Network:
    """Nodes and other programs that end with it. Use as a context."""

    def __init__(self):
        self.nodes = []
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for node in self.nodes:
            node.kill()
        for process in self.processes:
            process.kill()
            process.wait()
        return False

    def node(self, *arguments, **options):
        self.nodes.append(BareNode(*arguments, **options))
        return self.nodes[-1]

    def run(self, command, **options):
        process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)
