#!/usr/bin/env python3
"""Our DHT nodes and libtorrent's: each joins through the other, and each finds what the other announced,
whoever of the two stores it."""

import hashlib
import json
import subprocess
import sys

from dht import skip
from interop import Interop, enter, ours, theirs
from nodes import Failure, check, run, wait_for

try:
    import libtorrent
except ImportError:
    skip("python3-libtorrent is not installed for this Python")

PORT = 6881

# One session, in a process and namespace of its own: a line of JSON in, a line of JSON out.
SESSION = r"""
import json, sys, time
import libtorrent as lt

address, bootstrap = sys.argv[1:3]
session = lt.session({
    "listen_interfaces": address, "dht_bootstrap_nodes": bootstrap, "enable_dht": True, "enable_lsd": False,
    "enable_upnp": False, "enable_natpmp": False, "alert_mask": lt.alert.category_t.all_categories})

def alerts(kind, seconds, is_wanted):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.wait_for_alert(200)
        for alert in session.pop_alerts():
            if alert.what() == kind and is_wanted(alert):
                return alert
    return None

def key(text):
    return lt.sha1_hash(bytes.fromhex(text))

def nodes():
    session.post_session_stats()
    alert = alerts("session_stats", 5, lambda a: True)
    return alert.values["dht.dht_nodes"]

# This version's session.dht_announce cannot be called from Python: a torrent announces itself.
def announce(text):
    torrent = lt.parse_magnet_uri("magnet:?xt=urn:btih:" + text)
    torrent.save_path = "/nonexistent"
    session.add_torrent(torrent).force_dht_announce()

def find(text):
    session.dht_get_peers(key(text))
    alert = alerts("dht_get_peers_reply", 15, lambda a: str(a.info_hash) == text)
    return [list(peer) for peer in alert.peers()] if alert else None

print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps(globals()[name](*arguments)), flush=True)
"""


class Session:
    def __init__(self, network, number, bootstrap):
        self.address = theirs(number)
        self.endpoint = f"{self.address}:{PORT}"
        self.process = subprocess.Popen(
            [*network.place(number), sys.executable, "-c", SESSION, self.endpoint, bootstrap],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        network.processes.append(self.process)
        check(json.loads(self.process.stdout.readline()) == "ready", "libtorrent does not start")

    def __getattr__(self, name):
        def call(*arguments):
            self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            if not line:
                raise Failure("libtorrent's process has ended")
            return json.loads(line)
        return call


def key_of(text):
    return hashlib.sha1(text.encode()).hexdigest()


def among_many(network):
    """libtorrent in a network of ours."""
    nodes = network.our_network()
    session = Session(network, 1, nodes[0].endpoint)
    wait_for("libtorrent joins through ours", lambda: session.nodes() >= 6, 30, 0.5)
    wait_for("ours list libtorrent's", lambda: nodes[0].stats()["dht_nodes"] >= len(nodes), 30, 0.5)

    newcomer = network.node(ours(15), 7015, [session.endpoint])
    wait_for("ours joins through libtorrent's", lambda: newcomer.stats()["dht_nodes"] >= 6, 30, 0.5)

    nodes[4].announce(key_of("ours"), 5004)
    wait_for("libtorrent finds our announce",
             lambda: [ours(5), 5004] in (session.find(key_of("ours")) or []), 30)
    session.announce(key_of("theirs"))
    wait_for("ours find libtorrent's announce", lambda: nodes[6].find(key_of("theirs")) == 1, 30, 0.5)
    wait_for("the newcomer finds it too", lambda: newcomer.find(key_of("theirs")) == 1, 30, 0.5)
    check(nodes[2].find(key_of("nobody's")) == 0, "somebody has announced nobody's key")


def alone(network):
    """What only libtorrent can have stored."""
    session = Session(network, 2, "")
    announcer = network.node(ours(16), 7016, [session.endpoint])
    wait_for("ours joins", lambda: announcer.stats()["dht_nodes"] == 1, 30, 0.2)
    announcer.announce(key_of("kept by theirs"), 5016)
    announcer.quit()
    seeker = network.node(ours(17), 7017, [session.endpoint])
    wait_for("another of ours joins", lambda: seeker.stats()["dht_nodes"] >= 1, 30, 0.2)
    wait_for("libtorrent has kept our announce", lambda: seeker.find(key_of("kept by theirs")) == 1, 30, 0.5)


def test():
    with Interop() as network:
        among_many(network)
        alone(network)


enter()
print("libtorrent", libtorrent.__version__)
run(test)
