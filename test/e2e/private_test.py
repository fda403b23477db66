#!/usr/bin/env python3
"""A private network: two members find each other and exchange a file; who has another key or none gets not
one byte, by TCP or UDP, and `peernet why` tells it what it sees."""

import os
import random
import socket
import sys
import time

try:
    import cryptography  # noqa: F401
except ImportError:
    print("skipped: python3-cryptography is not installed for this Python")
    sys.exit(77)

import noise
from nodes import RpcError, World, check, run, tree_of, wait_for, write_random
from peer import bytes_until_closed, connect, id_bytes, link_to

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
chance = random.Random(SEED)


def key_file(world, name, key):
    path = world.path(name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key)
    return path


def make_network(world):
    """The key as a user makes it, with the help of a node that is in no network yet."""
    maker = world.node("maker")
    path = world.path("network.key")
    made = maker.cli("network", "new", path)
    check(made.stdout == path + "\n", made.stdout)
    check(os.stat(path).st_mode & 0o777 == 0o600 and os.stat(path).st_size == 32, f"{os.stat(path)}")
    maker.cli("network", "new", path, expect=13)
    check(maker.rpc("daemon.status")["network"] is None, "it is in a network")
    with open(path, "rb") as file:
        return maker, path, file.read(), made.stderr


def members_exchange(world, path, story):
    first = world.node("first", network={"key_file": path})
    second = world.node("second", [first.port], network={"key_file": path})
    network = first.rpc("daemon.status")["network"]
    check(network and f"network {network}" in story, f"{network} is not in: {story}")
    check(second.rpc("daemon.status")["network"] == network, "the two are in different networks")
    check(f"network {network}" in first.cli("status").stdout, first.cli("status").stdout)
    file = world.path("data", "secret.bin")
    write_random(file, 3_000_000, SEED)
    link = first.add(file)
    got = world.path("got")
    second.wait_complete(second.fetch(link, got), 60)
    check(tree_of(os.path.join(got, "secret.bin")) == tree_of(file), "the file differs")
    check(second.rpc("dht.status")["is_joined"], "the DHT of the network is not joined")
    return first, second, link


def tcp_probes(port, key):
    """Each is answered by nothing but the end of the connection."""
    now = time.time_ns() // 1_000_000

    def first(network_key=None, time_ms=None):
        return noise.frame(noise.Handshake(noise.INITIATOR, noise.Identity(), network_key=network_key,
                                           time_ms=time_ms).write())

    right = first(key, now - 3_600_000)
    probes = {
        "junk": chance.randbytes(500),
        "a TLS hello": bytes.fromhex("16030100c8010000c40303") + chance.randbytes(190),
        "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a BitTorrent handshake": b"\x13BitTorrent protocol" + bytes(48),
        "the hello of the public network": first(),
        "the hello of another network": first(chance.randbytes(32), now),
        "a hello from an hour ago": right,
        "a hello from tomorrow": first(key, now + 86_400_000),
        "a hello with a flipped bit": right[:40] + bytes([right[40] ^ 4]) + right[41:],
        "random bytes of a hello's length": noise.frame(chance.randbytes(56)),
    }
    for what, data in probes.items():
        with connect(port) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            said = bytes_until_closed(sock)
        check(not said, f"{what}: it said {said.hex()}")
    print(f"{len(probes)} kinds of TCP stranger: 0 bytes")


def udp_probes(port, key):
    """Queries in plain and under another key, recorded and old ones: no datagram comes back."""
    txid, node_id = b"aaaa", chance.randbytes(20)
    plain = [
        b"d1:ad2:id20:" + node_id + b"e1:q4:ping1:t4:" + txid + b"1:y1:qe",
        b"d1:ad2:id20:" + node_id + b"6:target20:" + node_id + b"e1:q9:find_node1:t4:" + txid + b"1:y1:qe",
        b"d1:ad2:id20:" + node_id + b"9:info_hash20:" + node_id + b"e1:q9:get_peers1:t4:" + txid + b"1:y1:qe",
        b"d1:eli201e5:Errore1:t4:" + txid + b"1:y1:ee",
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", port))
        sent = 0
        for data in [*plain, b"", chance.randbytes(20), chance.randbytes(120), chance.randbytes(1400),
                     *(data.ljust(1400, b"\0") for data in plain)]:
            sock.send(data)
            sent += 1
        sock.settimeout(1)
        try:
            said = sock.recv(65_536)
        except TimeoutError:
            said = b""
        except ConnectionRefusedError:
            said = b"nobody listens"
        check(not said, f"it said {said!r}")
    print(f"{sent} datagrams of strangers: 0 bytes")


def strangers_are_told(world, first, link, maker):
    """Daemons with another key and with none: neither gets a byte, and both can say what that means."""
    hinted = link_to(id_bytes(link), first.port)
    other = world.node("other", [first.port], network={"key_file": key_file(world, "other.key", bytes(32))})
    check(other.rpc("daemon.status")["network"] != first.rpc("daemon.status")["network"], "one name for two")
    for node in (other, maker):
        share_id = node.fetch(hinted, world.path("got", node.name))

        def outcome(node=node, share_id=share_id):
            dials = node.rpc("transfer.why", id=share_id)["dials"]
            return dials[0]["outcome"] if dials else None

        wait_for(f"{node.name} has dialled", outcome, 20)
        check(outcome() == "closed_silently", f"{node.name}: {outcome()}")
        text = node.cli("why", share_id[:12]).stdout
        check("another network" in text and "version" in text and "clock" in text, text)
        check(node.rpc("dht.status")["nodes_count"] == 0, f"{node.name} is in the DHT of a private network")
        check(node.share(share_id)["downloaded"] == 0, "it got something")
        node.rpc("share.remove", id=share_id)
    other.stop()


def the_file_is_watched(world, member, path, key):
    """A key file that is not as it must be is refused at the start and by a reload; another key needs a restart."""
    check(member.rpc("config.reload")["need_restart"] == [], "nothing has changed")
    with open(path, "wb") as file:
        file.write(bytes(reversed(key)))
    check(member.rpc("config.reload")["need_restart"] == ["network.key_file"], "another key in the same file")
    check("these need a restart: network.key_file" in member.log(), "the log does not say so")
    with open(path, "wb") as file:
        file.write(key)
    os.chmod(path, 0o640)
    try:
        member.rpc("config.reload")
        check(False, "a key that the group may read was taken")
    except RpcError as error:
        check(error.error["data"]["kind"] == "denied" and "chmod 600" in error.error["data"]["hint"],
              f"{error.error}")
    member.stop()
    refused = member.process_fails()
    check("network.key_file" in refused and "chmod 600" in refused, refused)
    os.remove(path)
    refused = member.process_fails()
    check("network.key_file" in refused and "hint: put the network's key there" in refused, refused)


def never_told(world, key, *nodes):
    """The key is in no log and no answer, raw or as text."""
    for node in nodes:
        texts = node.log() + json_of(node)
        for form in (key.hex(), key.hex().upper(), repr(key)[2:-1]):
            check(form not in texts, f"{node.name} tells the key")
        for name in os.listdir(node.home):
            whole = os.path.join(node.home, name)
            if os.path.isfile(whole):
                with open(whole, "rb") as file:
                    check(key not in file.read(), f"the key is in {whole}")


def json_of(node):
    return str([node.rpc(method) for method in ("daemon.status", "daemon.config", "metrics.get", "node.doctor")])


def test():
    print(f"seed {SEED}")
    with World() as world:
        maker, path, key, story = make_network(world)
        first, second, link = members_exchange(world, path, story)
        tcp_probes(first.port, key)
        udp_probes(first.port, key)
        strangers_are_told(world, first, link, maker)
        never_told(world, key, first, second, maker)
        the_file_is_watched(world, second, path, key)
        first.stop()
        maker.stop()


run(test)
