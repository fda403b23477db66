#!/usr/bin/env python3
"""Our DHT nodes and libtorrent's: each joins through the other, and each finds what the other announced,
whoever of the two stores it; and each gets the items (BEP 44) the other has put."""

import hashlib
import json
import shutil
import subprocess
import sys

from dht import skip
from interop import Interop, enter, ours, theirs
from nodes import Failure, Node, RpcError, check, run, wait_for

try:
    import libtorrent
except ImportError:
    skip("python3-libtorrent is not installed for this Python")

PORT = 6881

# One session, in a process and namespace of its own: a line of JSON in, a line of JSON out.
SESSION = r"""
import hashlib, json, sys, time
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

def put(value):
    return str(session.dht_put_immutable_item(value))

def get(target):
    session.dht_get_immutable_item(key(target))
    alert = alerts("dht_immutable_item", 15, lambda a: str(a.target) == target)
    return alert and str(alert.item)

def put_mutable(seed, public_key, value, salt):
    # The private key as this library wants it: hashed and clamped.
    secret = bytearray(hashlib.sha512(bytes.fromhex(seed)).digest())
    secret[0] &= 248
    secret[31] = secret[31] & 63 | 64
    session.dht_put_mutable_item(bytes(secret), bytes.fromhex(public_key), value.encode(), salt.encode())
    alert = alerts("dht_put", 30, lambda a: bytes(a.public_key).hex() == public_key)
    return alert and [alert.num_success, alert.seq]

def get_mutable(public_key, salt):
    session.dht_get_mutable_item(bytes.fromhex(public_key), salt.encode())
    alert = alerts("dht_mutable_item", 15, lambda a: bytes(a.key).hex() == public_key and a.authoritative)
    return alert and [str(alert.item), alert.seq]

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


def our_daemon(network, name, endpoint, bootstrap):
    daemon = Node(network.directory, name, listen=[endpoint])
    daemon.config["bootstrap"] = [bootstrap]
    daemon.write_config()
    network.nodes.append(daemon)
    return daemon.start()


def items(network):
    """Items of BEP 44, immutable and mutable, both ways; ours by way of a daemon."""
    session = Session(network, 3, ours(1) + ":7001")
    wait_for("libtorrent joins", lambda: session.nodes() >= 6, 30, 0.5)
    daemon = our_daemon(network, "daemon", f"{ours(18)}:7018", session.endpoint)
    wait_for("ours joins", lambda: daemon.rpc("dht.status")["nodes_good"] >= 6, 30, 0.2)

    put = daemon.rpc("dht.put", text="from ours")
    check(put["stored"] >= 6, f"stored at too few: {put}")
    said = wait_for("libtorrent gets our item", lambda: session.get(put["target"]), 60)
    check("from ours" in said, f"libtorrent got {said}")
    target = session.put("from theirs")
    check(target == hashlib.sha1(b"11:from theirs").hexdigest(), f"its target is {target}")

    def get(**what):
        try:
            return daemon.rpc("dht.get", **what)
        except RpcError as error:
            check(error.error["data"]["kind"] == "not_found", str(error))
            return None

    check(wait_for("ours gets its item", lambda: get(target=target), 60, 1)["text"] == "from theirs", "another text")

    seed, salt = "5a" * 32, "interop"
    put = daemon.rpc("dht.put", text="one", seed=seed, salt=salt, seq=1)
    key = put["public_key"]
    said = wait_for("libtorrent gets our mutable item", lambda: session.get_mutable(key, salt), 60)
    check("one" in said[0] and said[1] == 1, f"libtorrent got {said}")
    stored, seq = session.put_mutable(seed, key, "two", salt)
    check(stored >= 6 and seq == 2, f"libtorrent put number {seq} at {stored}")
    got = wait_for("ours gets the newer one", lambda: get(public_key=key, salt=salt), 60, 1)
    check(got["text"] == "two" and got["seq"] == 2, f"ours got {got}")
    try:
        daemon.rpc("dht.put", text="old", seed=seed, salt=salt, seq=1)
        check(False, "an older one was stored")
    except RpcError as error:
        check(error.error["data"]["kind"] == "refused", str(error))
    put = daemon.rpc("dht.put", text="three", seed=seed, salt=salt, seq=3, cas=2)
    check(put["stored"] >= 6, f"stored at too few: {put}")
    said = wait_for("libtorrent gets the newest", lambda: session.get_mutable(key, salt), 60)
    check("three" in said[0] and said[1] == 3, f"libtorrent got {said}")


def items_alone(network):
    """What only libtorrent can have stored."""
    session = Session(network, 4, "")
    daemon = our_daemon(network, "alone", f"{ours(19)}:7019", session.endpoint)
    wait_for("ours joins", lambda: daemon.rpc("dht.status")["nodes_good"] >= 1, 30, 0.2)
    target = daemon.rpc("dht.put", text="kept by theirs")["target"]
    put = daemon.rpc("dht.put", text="kept too", seed="5b" * 32, salt="s", seq=7)
    daemon.stop()
    shutil.rmtree(daemon.home)
    other = our_daemon(network, "other", f"{ours(19)}:7020", session.endpoint)
    wait_for("another of ours joins", lambda: other.rpc("dht.status")["nodes_good"] >= 1, 30, 0.2)
    check(other.rpc("dht.get", target=target)["text"] == "kept by theirs", "another text")
    got = other.rpc("dht.get", public_key=put["public_key"], salt="s")
    check(got["text"] == "kept too" and got["seq"] == 7, f"got {got}")


def test():
    with Interop() as network:
        among_many(network)
        alone(network)
        items(network)
        items_alone(network)


enter()
print("libtorrent", libtorrent.__version__)
run(test)
