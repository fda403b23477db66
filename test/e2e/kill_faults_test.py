#!/usr/bin/env python3
"""A fetcher is killed with SIGKILL at random points of a download from three seeds, while faults come
and go: a seed is killed, a seed hangs, a file is changed under a seed and changed back, the
fetcher's disk is full (where a tmpfs can be mounted). It goes on by itself after each; nothing durable
is lost, and no wrong byte arrives.

  kill_faults_test.py [KILLS [MIB [SEED]]]     5 kills in 24 MiB by default
"""

import os
import random
import signal
import subprocess
import sys
import time

from nodes import World, check, run, tree_of, wait_for, write_random

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
MIB = int(sys.argv[2]) if len(sys.argv) > 2 else 24
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
SPARE = 48 << 20  # the daemon leaves 16 MiB of a disk free


class KilledSeed:
    def __init__(self, world, chance, seeds, target):
        self.seed = chance.choice(seeds)
        self.seed.kill()

    def end(self):
        self.seed.start()


class HangingSeed:
    def __init__(self, world, chance, seeds, target):
        self.seed = chance.choice(seeds)
        self.seed.process.send_signal(signal.SIGSTOP)

    def end(self):
        self.seed.process.send_signal(signal.SIGCONT)


class ChangedFile:
    """Some bytes of a seed's own copy; what it was comes back."""

    def __init__(self, world, chance, seeds, target):
        self.path = world.path(f"data-{chance.choice(seeds).name}", "big.bin")
        self.offsets = [chance.randrange(MIB << 20) for _ in range(20)]
        self.flip()

    def flip(self):
        with open(self.path, "r+b") as file:
            for offset in self.offsets:
                file.seek(offset)
                byte = file.read(1)[0]
                file.seek(offset)
                file.write(bytes([byte ^ 0xff]))

    end = flip


class FullDisk:
    def __init__(self, world, chance, seeds, target):
        self.path = os.path.join(target, "filler")
        with open(self.path, "wb") as file:
            for _ in range(100):
                free = os.statvfs(target)
                try:
                    os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - 65536))
                    return
                except OSError:  # the download took it meanwhile
                    time.sleep(0.01)

    def end(self):
        os.remove(self.path)


def mount(target, size):
    os.makedirs(target)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", target],
                          capture_output=True, check=False)
    return done.returncode == 0


def download(world, chance, target, faults):
    size = MIB << 20
    seeds = []
    for number in range(3):
        write_random(world.path(f"data-seed{number}", "big.bin"), size, SEED)
        seeds.append(world.node(f"seed{number}", [seed.port for seed in seeds]))
    links = {seed.add(world.path(f"data-{seed.name}", "big.bin")) for seed in seeds}
    check(len(links) == 1, "the seeds made different shares")
    link = links.pop() + "".join(f"&pe=127.0.0.1:{seed.port}" for seed in seeds)
    # The whole takes about as long as all the kills together.
    rate = max(1, MIB * 1024 // int(KILLS * 1.5 + 4))
    fetcher = world.node("fetcher", [seed.port for seed in seeds], limits={"down": f"{rate}KiB/s"})
    share = fetcher.fetch(link, target)

    durable = kills = 0
    lost = []
    fault = None
    told = {kind.__name__: 0 for kind in faults}
    while kills < KILLS:
        if fault is not None:
            fault.end()
        kind = chance.choice(faults)
        told[kind.__name__] += 1
        fault = kind(world, chance, seeds, target)
        time.sleep(chance.uniform(0.05, 2.5))
        status = fetcher.share(share)
        if status["state"] == "seeding":
            break
        durable = max(durable, status["durable"])
        done = status["done"]
        fetcher.kill()
        kills += 1
        fetcher.start()

        def is_open():
            now = fetcher.share(share)
            is_full = isinstance(fault, FullDisk) and now["state"] == "failed"
            return now if is_full or now["state"] not in ("opening", "finding", "failed") else None

        status = wait_for("the share is open again", is_open, 60)
        check(status["durable"] >= durable or status["state"] == "seeding",
              f"durable were {durable} bytes, after the kill {status['durable']}")
        if status["state"] != "failed":
            lost.append(max(0, done - status["durable"]))
    if fault is not None:
        fault.end()
    print(f"{kills} kills; faults: {told}")
    lost.sort()
    if lost:
        print("work lost at a kill, in seconds of the rate: median "
              f"{lost[len(lost) // 2] / (rate << 10):.2f}, most {lost[-1] / (rate << 10):.2f}")
    # It waits at most 5 minutes before it tries again whether the fault has gone.
    wait_for("complete", lambda: fetcher.share(share)["state"] == "seeding", 420)
    check(tree_of(os.path.join(target, "big.bin")) == tree_of(world.path("data-seed0", "big.bin")),
          "the file differs")
    wrong = [one["value"] for one in fetcher.rpc("metrics.get")["metrics"]
             if one["name"].endswith("hash_failures_total")]
    check(wrong == [0], f"seeds sent blocks that were wrong: {wrong}")
    fetcher.stop()


def test():
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    faults = [KilledSeed, HangingSeed, ChangedFile]
    with World() as world:
        target = world.path("got")
        is_mounted = mount(target, (MIB << 20) + SPARE)
        if is_mounted:
            faults.append(FullDisk)
        else:
            print("no tmpfs can be mounted: the disk is never full", file=sys.stderr)
        try:
            download(world, chance, target, faults)
        finally:
            for node in world.nodes:
                if node.process is not None:
                    node.process.send_signal(signal.SIGCONT)
                node.kill()
            if is_mounted:
                subprocess.run(["umount", target], check=False)


run(test)
