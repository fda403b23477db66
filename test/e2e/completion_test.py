#!/usr/bin/env python3
"""Tab completion in a real bash: commands, options, and what only the daemon knows."""

import os
import shlex
import subprocess

from nodes import PEERNET, World, check, run, write_random


def offered(node, line):
    """What bash would offer for the last word of the line."""
    script = (f"source <(peernet completion bash); COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
              "_peernet; printf '%s\\n' \"${COMPREPLY[@]}\"")
    path = os.path.dirname(PEERNET) + ":" + os.environ["PATH"]
    done = subprocess.run(["bash", "--norc", "-c", script], env={"PATH": path, "PEERNET_HOME": node.home},
                          capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.split("\n")[:-1]


def test():
    with World() as world:
        node = world.node("node")
        other = world.node("other", bootstrap=[node.port])
        write_random(world.path("tree", "a b"), 1000)
        write_random(world.path("tree", "sub", "c"), 1000)
        share = node.add(world.path("tree")).split(":")[1][:8]
        other.cli("peers", "--connect", f"127.0.0.1:{node.port}")
        peer = other.cli("id").stdout[:8]
        for line, words in (
                ("peernet pau", ["pause"]), ("peernet fetch --se", ["--sequential"]), ("peernet dht p", ["ping", "put"]),
                (f"peernet pause {share[:4]}", [share]), ("peernet ls ''", [share]),
                (f"peernet cat {share}/", [f"{share}/a\\ b", f"{share}/sub/c"]),
                ("peernet config get limits.u", ["limits.up", "limits.upload_slots"]),
                ("peernet peers --drop p", [peer]), ("peernet log --kind verif", ["verify_progress", "verified"]),
                ("peernet rpc share.v", ["share.verify"]), ("peernet completion f", ["fish"]),
                (f"peernet add {shlex.quote(world.path('tree', 'su'))}", [world.path("tree", "sub")])):
            found = offered(node, line)
            check(sorted(found) == sorted(words), f"{line}: {found}")


if __name__ == "__main__":
    run(test)
