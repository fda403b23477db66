#!/usr/bin/env python3
"""Discovery on a local network of network namespaces: two nodes find each other by it alone, over IPv4 and
IPv6, in the open and in a private network; and a node on loopback says nothing to any other interface."""

import os
import socket
import struct
import subprocess
import sys
import threading
import time

from interop import enter, ip
from nodes import World, check, run, tree_of, wait_for, write_random

ONLY_LAN = {"dht": False, "lan": True, "pex": False}


class Cable(threading.Thread):
    """All IP datagrams on an interface of ours, heard from outside of both ends."""

    def __init__(self, interface):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((interface, 0))
        self.heard = []
        self.start()

    def run(self):
        while True:
            frame = self.socket.recv(2048)
            kind = struct.unpack(">H", frame[12:14])[0]
            if kind == 0x0800 and frame[23] in (6, 17):
                self.heard.append((socket.inet_ntoa(frame[30:34]), frame))
            elif kind == 0x86DD and frame[20] in (6, 17):
                self.heard.append((socket.inet_ntop(socket.AF_INET6, frame[38:54]), frame))


def place(number):
    """A namespace with one interface on the bridge; gives what stands before a command in it."""
    name = f"lan{number}"
    ip("netns", "add", name)
    ip("link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", f"v{number}", "master", "br0", "up")
    ip("-n", name, "link", "set", "lo", "up")
    ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
    ip("-n", name, "address", "add", f"fd77::{number}/64", "dev", "eth0", "nodad")
    ip("-n", name, "link", "set", "eth0", "up")
    return ["ip", "netns", "exec", name]


def house(world, name, inside, listen, **config):
    return world.node(name, wrap=inside, listen=[listen], discovery=ONLY_LAN, **config)


def exchange(world, name, one, other, cable, group):
    """The second fetches by the bare link what the first has."""
    path = world.path("data", f"{name}.bin")
    write_random(path, 300_000, len(name))
    link = one.add(path).split("?")[0]
    start = time.monotonic()
    directory = world.path("got", name)
    share_id = other.fetch(link, directory)
    other.wait_complete(share_id, 20)
    taken = time.monotonic() - start
    check(tree_of(os.path.join(directory, f"{name}.bin")) == tree_of(path), "the file differs")
    found = {peer["found_by"] for node in (one, other) for peer in node.rpc("peer.list")["peers"]} - {None}
    check(found == {"lan"}, f"found by {found}")
    said = [frame for to, frame in cable.heard if to == group]
    check(said, f"nothing was said to {group}")
    # IPv4: hop limit 1.
    check(all(frame[22] == 1 for frame in said if frame[12:14] == b"\x08\x00"), "a hop limit above 1")
    check(all(frame[21] == 1 for frame in said if frame[12:14] == b"\x86\xdd"), "a hop limit above 1")
    print(f"{name}: found and fetched in {taken:.1f} s")
    return said


def test():
    with World() as world:
        ip("link", "set", "lo", "up")
        ip("link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        ip("link", "set", "br0", "up")
        first, second, third = place(1), place(2), place(3)
        cable = Cable("br0")

        one = house(world, "one", first, "10.77.0.1:0")
        other = house(world, "other", second, "0.0.0.0:0")
        said = exchange(world, "ipv4", one, other, cable, "239.255.73.41")
        check(any(b"PNL1" in frame for frame in said), "the message is not in the open")
        one.stop()
        other.stop()

        one = house(world, "one6", first, "[fd77::1]:0")
        other = house(world, "other6", second, "[::]:0")
        exchange(world, "ipv6", one, other, cable, "ff12::7341")
        one.stop()
        other.stop()

        key = world.path("network.key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(bytes(range(32)))
        cable.heard.clear()
        one = house(world, "member", first, "10.77.0.1:0", network={"key_file": key})
        other = house(world, "member2", second, "10.77.0.2:0", network={"key_file": key})
        said = exchange(world, "private", one, other, cable, "239.255.73.41")
        check(not any(b"PNL1" in frame for frame in said), "a message of a private network is in the open")
        other.stop()
        one.stop()

        # On loopback alone: whoever is on its cable hears nothing, though there is a share to be sought.
        inside = Cable("v3")
        alone = house(world, "alone", third, "127.0.0.1:0")
        friend = house(world, "friend", third, "127.0.0.1:0")
        path = world.path("data", "alone.bin")
        write_random(path, 300_000, 7)
        share_id = friend.fetch(alone.add(path).split("?")[0], world.path("got", "alone"))
        friend.wait_complete(share_id, 20)
        time.sleep(1)
        check(not inside.heard, f"a node on loopback said to the network: {inside.heard}")
        print("on loopback: found and fetched, and nothing on the cable")
        alone.stop()
        friend.stop()


enter()
subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
os.makedirs("/run/netns")
run(test)
