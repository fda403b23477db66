#!/usr/bin/env python3
"""Our DHT nodes and aria2's: each joins through the other, and each finds what the other announced,
whoever of the two stores it."""

import hashlib
import os
import shutil
import subprocess

from dht import skip
from interop import Bait, Interop, enter, ours, theirs
from nodes import check, run, wait_for

PORT = 6881


def key_of(text):
    return hashlib.sha1(text.encode()).hexdigest()


class Aria2:
    """It looks for the peers of these keys and announces itself under them."""

    def __init__(self, network, number, entry, keys):
        self.address = theirs(number)
        self.endpoint = f"{self.address}:{PORT}"
        home = network.path(f"aria2-{number}")
        os.makedirs(home)
        network.run_logged(f"aria2-{number}", [
            *network.place(number), "aria2c", "--no-conf", "--enable-dht=true", "--enable-dht6=false",
            f"--dht-entry-point={entry}", f"--dht-listen-port={PORT}", f"--listen-port={PORT}",
            f"--dht-file-path={home}/dht.dat", f"--dir={home}", "--bt-enable-lpd=false",
            "--bt-save-metadata=false", "--console-log-level=info", "--summary-interval=0",
            *[f"magnet:?xt=urn:btih:{key}" for key in keys]], env={**os.environ, "HOME": home})


def test():
    with Interop() as network:
        nodes = network.our_network()
        bait = Bait(ours(5))
        nodes[4].announce(key_of("ours"), bait.port)

        client = Aria2(network, 1, nodes[0].endpoint, [key_of("ours"), key_of("theirs")])
        wait_for("ours list aria2's", lambda: nodes[0].stats()["dht_nodes"] >= len(nodes), 90, 0.5)
        print("it has joined through ours")
        newcomer = network.node(ours(15), 7015, [client.endpoint])
        wait_for("ours joins through aria2's", lambda: newcomer.stats()["dht_nodes"] >= 6, 60, 0.5)
        print("ours has joined through it")
        bait.wait_for_visit(client.address, 240)
        print("it has found our announce")
        wait_for("ours find aria2's announce", lambda: nodes[6].find(key_of("theirs")) == 1, 240, 1)
        wait_for("the newcomer finds it too", lambda: newcomer.find(key_of("theirs")) == 1, 30, 1)
        print("ours have found its announce")

        # What only aria2 can have stored.
        for node in [*nodes, newcomer]:
            node.quit()
        network.nodes.clear()
        announcer = network.node(ours(16), 7016, [client.endpoint])
        wait_for("ours joins", lambda: announcer.stats()["dht_nodes"] >= 1, 30, 0.2)
        announcer.announce(key_of("kept by theirs"), 5016)
        announcer.quit()
        seeker = network.node(ours(17), 7017, [client.endpoint])
        wait_for("another of ours joins", lambda: seeker.stats()["dht_nodes"] >= 1, 30, 0.2)
        wait_for("aria2 has kept our announce", lambda: seeker.find(key_of("kept by theirs")) == 1, 30, 1)


if not shutil.which("aria2c"):
    skip("aria2 is not installed")
enter()
version = subprocess.run(["aria2c", "--version"], capture_output=True, text=True, check=False).stdout
print(version.splitlines()[0])
check("BitTorrent" in version, "this aria2 has no BitTorrent")
run(test)
