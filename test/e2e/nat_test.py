#!/usr/bin/env python3
"""A node behind an address translation: it only asks (BEP 43) while no stranger reaches it, is not listed by
those it asks, and serves as any other once its port is let through."""

import shutil
import subprocess

from dht import skip
from interop import OURS_COUNT, Interop, enter, ip, ours
from nodes import Node, check, run, wait_for

OUTSIDE = "185.200.1.1"  # what the others see
INSIDE_ADDRESS = "192.168.7.2"
PORT = 7341
KEY = "8a" * 20


def rules(text):
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


def behind_nat():
    ip("netns", "add", "inside")
    ip("link", "add", "vi", "type", "veth", "peer", "name", "eth0", "netns", "inside")
    ip("address", "add", "192.168.7.1/24", "dev", "vi")
    ip("link", "set", "vi", "up")
    ip("-n", "inside", "link", "set", "lo", "up")
    ip("-n", "inside", "address", "add", f"{INSIDE_ADDRESS}/24", "dev", "eth0")
    ip("-n", "inside", "link", "set", "eth0", "up")
    ip("-n", "inside", "route", "add", "default", "via", "192.168.7.1")
    # The others live where the translation is made: what comes in from there is translated on its way
    # to them.
    rules(f"""
        table ip nat {{
          chain in {{ type nat hook input priority 100; ip saddr 192.168.7.0/24 snat to {OUTSIDE}; }}
          chain out {{ type nat hook output priority -100; }}
        }}""")
    return ["ip", "netns", "exec", "inside"]


def test():
    enter()
    if not shutil.which("nft"):
        skip("nft is needed (nftables)")
    with Interop() as world:
        others = world.our_network()
        wrap = behind_nat()
        node = Node(world.directory, "hidden", wrap=wrap, listen=[f"0.0.0.0:{PORT}"],
                    bootstrap=[others[0].endpoint], discovery={"lan": False})
        try:
            node.start()
            dht = wait_for("it sees that nobody reaches it",
                           lambda: (seen := node.rpc("dht.status"))["is_hidden"] and seen, 60)
            check(dht["is_joined"], f"it asks all the same: {dht}")
            check("only asks" in node.cli("dht").stdout, node.cli("dht").stdout)
            asked = dht["queries_in"]
            found = node.rpc("dht.announce", key=KEY, port=PORT)
            check(found["stored"] >= 6, f"it announces: {found}")

            # A forwarded port: a stranger asks for the first time.
            rules(f"add rule ip nat out ip daddr {OUTSIDE} udp dport {PORT} dnat to {INSIDE_ADDRESS}")
            stranger = world.node(ours(OURS_COUNT + 1), 7077, [f"{OUTSIDE}:{PORT}"])
            wait_for("it is reached", lambda: not node.rpc("dht.status")["is_hidden"], 30)
            wait_for("the stranger knows nodes through it", lambda: stranger.stats()["dht_nodes"] >= 8, 30)
            check(node.rpc("dht.status")["queries_in"] > asked, "it answers")
        finally:
            node.kill()


run(test)
