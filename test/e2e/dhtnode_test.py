#!/usr/bin/env python3
"""A network of bare DHT nodes on real sockets: they find each other, a key and its announcer, and go on
when the node they joined through and others are killed."""

import hashlib

from dht import BareNode, Network
from nodes import check, run, wait_for

COUNT = 24


def key_of(text):
    return hashlib.sha1(text.encode()).hexdigest()


def test():
    with Network() as network:
        first = network.node("127.0.1.1", 7201)
        nodes = [first]
        # The second one is there before those it was told of.
        late = "127.0.1.3:7203"
        for i in range(2, COUNT + 1):
            bootstrap = [first.endpoint] if i != 2 else [late]
            nodes.append(network.node(f"127.0.1.{i}", 7200 + i, bootstrap))
        for node in nodes:
            wait_for(f"{node.endpoint} knows eight", lambda node=node: node.stats()["dht_nodes"] >= 8, 20)

        for i in range(4):
            nodes[i].announce(key_of(f"key {i}"), 5000 + i)
        for node in nodes[8:]:
            for i in range(4):
                check(node.find(key_of(f"key {i}")) == 1, f"{node.endpoint} does not find key {i}")
        check(nodes[5].find(key_of("nobody's")) == 0, "somebody has announced nobody's key")

        for node in nodes[:4]:
            node.kill()
        for node in nodes[-4:]:
            for i in range(4):
                check(node.find(key_of(f"key {i}")) == 1, f"after the deaths {node.endpoint} does not find key {i}")

        # Wrong commands are said to be wrong, and change nothing.
        for line in ("", "X", "G", "G 12", "A " + key_of("x"), f"A {key_of('x')} 0", f"A {key_of('x')} 65536",
                     "G " + "z" * 40, "S S", "x" * 10000):
            nodes[-1].say(line)
        check(nodes[-1].stats()["queries"] > 0, "it counts no queries")
        for node in nodes[4:]:
            node.quit()
        network.nodes.clear()


def refuses():
    import subprocess
    from dht import DHTNODE
    for arguments in ([], ["127.0.0.1"], ["127.0.0.1", "1x", "-"], ["host", "7000", "-"], ["127.0.0.1", "0", "a"],
                      ["127.0.0.1", "0", ":1"], ["127.0.0.1", "0", "a:0"], ["127.0.0.1", "0", "-", "--what"]):
        done = subprocess.run([DHTNODE, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=5,
                              check=False)
        check(done.returncode == 2 and b"usage" in done.stderr, f"{arguments}: exit {done.returncode}")
    taken = BareNode("127.0.0.1", 7291)
    done = subprocess.run([DHTNODE, "127.0.0.1", "7291", "-"], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=5, check=False)
    taken.quit()
    check(done.returncode == 1 and b"in use" in done.stderr, f"a taken port: {done}")


run(lambda: (refuses(), test()))
