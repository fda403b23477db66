#!/usr/bin/env python3
"""Our DHT nodes and transmission-daemon's (jech/dht): each joins through the other, and each finds what the
other announced, whoever of the two stores it."""

import hashlib
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request

from dht import skip
from interop import Bait, Interop, enter, ours, theirs
from nodes import check, run, wait_for

PORT = 51413


def key_of(text):
    return hashlib.sha1(text.encode()).hexdigest()


class Transmission:
    def __init__(self, network, number, bootstrap):
        self.address = theirs(number)
        self.endpoint = f"{self.address}:{PORT}"
        home = network.path(f"transmission{number}")
        os.makedirs(home)
        with open(os.path.join(home, "dht.bootstrap"), "w", encoding="ascii") as file:
            for endpoint in bootstrap:
                file.write(endpoint.replace(":", " ") + "\n")
        with open(os.path.join(home, "settings.json"), "w", encoding="ascii") as file:
            json.dump({"dht-enabled": True, "lpd-enabled": False, "port-forwarding-enabled": False,
                       "utp-enabled": False, "bind-address-ipv4": self.address, "bind-address-ipv6": "::1",
                       "rpc-bind-address": "0.0.0.0", "rpc-whitelist-enabled": False,
                       "rpc-host-whitelist-enabled": False, "encryption": 0, "peer-port": PORT}, file)
        network.run_logged(f"transmission{number}", [
            *network.place(number), "transmission-daemon", "--foreground", "--config-dir", home,
            "--download-dir", home, "--log-debug"], env={**os.environ, "HOME": home})
        self.session = ""
        wait_for("transmission answers", lambda: self.call("session-get"), 20, 0.2)

    def call(self, method, **arguments):
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        while True:
            request = urllib.request.Request(f"http://{self.address}:9091/transmission/rpc", body,
                                             {"X-Transmission-Session-Id": self.session})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 409:
                    raise
                self.session = error.headers["X-Transmission-Session-Id"]
            except OSError:
                return None

    def want(self, key):
        """It looks for the peers of this key and announces itself under it."""
        answer = self.call("torrent-add", filename="magnet:?xt=urn:btih:" + key)
        check(answer["result"] == "success", f"transmission said {answer}")


def test():
    with Interop() as network:
        nodes = network.our_network()
        bait = Bait(ours(5))
        nodes[4].announce(key_of("ours"), bait.port)

        daemon = Transmission(network, 1, [node.endpoint for node in nodes[:2]])
        daemon.want(key_of("ours"))
        daemon.want(key_of("theirs"))
        wait_for("ours list transmission's",
                 lambda: nodes[0].stats()["dht_nodes"] >= len(nodes), 90, 0.5)
        print("it has joined through ours")
        newcomer = network.node(ours(15), 7015, [daemon.endpoint])
        wait_for("ours joins through transmission's", lambda: newcomer.stats()["dht_nodes"] >= 6, 60, 0.5)
        print("ours has joined through it")
        bait.wait_for_visit(daemon.address, 240)
        print("it has found our announce")
        wait_for("ours find transmission's announce", lambda: nodes[6].find(key_of("theirs")) == 1, 240, 1)
        wait_for("the newcomer finds it too", lambda: newcomer.find(key_of("theirs")) == 1, 30, 1)
        print("ours have found its announce")

        # What only transmission can have stored.
        for node in [*nodes, newcomer]:
            node.quit()
        network.nodes.clear()
        announcer = network.node(ours(16), 7016, [daemon.endpoint])
        wait_for("ours joins", lambda: announcer.stats()["dht_nodes"] >= 1, 30, 0.2)
        announcer.announce(key_of("kept by theirs"), 5016)
        announcer.quit()
        seeker = network.node(ours(17), 7017, [daemon.endpoint])
        wait_for("another of ours joins", lambda: seeker.stats()["dht_nodes"] >= 1, 30, 0.2)
        wait_for("transmission has kept our announce",
                 lambda: seeker.find(key_of("kept by theirs")) == 1, 30, 1)


if not shutil.which("transmission-daemon"):
    skip("transmission-daemon is not installed")
enter()
print(subprocess.run(["transmission-daemon", "--version"], capture_output=True, text=True, check=False).stderr.strip())
run(test)
