#!/usr/bin/env python3
"""A fetcher is killed with SIGKILL at random points of a download from three seeds, while faults come
and go: a seed is killed, a seed hangs, a file is changed under a seed and changed back; the fetcher's
disk is full (where a tmpfs can be mounted), its writes, syncs and state fail, its reads and writes are
short. It goes on by itself after each; nothing durable is lost or fetched again, and no wrong byte
arrives.

  kill_faults_test.py [KILLS [MIB [SEED [PIECE_LENGTH]]]]     7 kills in 24 MiB by default
"""

import errno
import os
import random
import signal
import subprocess
import sys
import time

from nodes import FaultyDisk, World, check, run, tree_of, wait_for, write_random

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
MIB = int(sys.argv[2]) if len(sys.argv) > 2 else 24
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
PIECE_LENGTH = sys.argv[4] if len(sys.argv) > 4 else "16MiB"  # of which a kill may break off anywhere
SPARE = 48 << 20  # the daemon leaves 16 MiB of a disk free
# Synced every second; what was on its way comes to it, and a slow disk.
LOST_SECONDS_MAX = 4


class KilledSeed:
    def __init__(self, day):
        self.seed = day.chance.choice(day.seeds)
        self.seed.kill()

    def end(self):
        self.seed.start()


class HangingSeed:
    def __init__(self, day):
        self.seed = day.chance.choice(day.seeds)
        self.seed.process.send_signal(signal.SIGSTOP)

    def end(self):
        self.seed.process.send_signal(signal.SIGCONT)


class ChangedFile:
    """Some bytes of a seed's own copy; what it was comes back."""

    def __init__(self, day):
        self.path = day.world.path(f"data-{day.chance.choice(day.seeds).name}", "big.bin")
        self.offsets = [day.chance.randrange(MIB << 20) for _ in range(20)]
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
    may_fail = True

    def __init__(self, day):
        self.path = os.path.join(day.target, "filler")
        with open(self.path, "wb") as file:
            for _ in range(100):
                free = os.statvfs(day.target)
                try:
                    os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - 65536))
                    return
                except OSError:  # the download took it meanwhile
                    time.sleep(0.01)

    def end(self):
        os.remove(self.path)


class DiskFault:
    """The fetcher's disk fails in one way, now and then or always."""

    may_fail = True
    calls = ()
    number = errno.EIO
    part = "/got/"

    def __init__(self, day):
        self.disk = day.disk
        percent = day.chance.choice([3, 30, 100])
        self.disk.fail(*((call, self.number, percent, self.part) for call in self.calls))

    def end(self):
        self.disk.fail()


class FailedWrites(DiskFault):
    calls = ("pwritev",)


class FailedLeaves(DiskFault):
    calls = ("pwritev",)
    part = "/leaves/"


class FailedSyncs(DiskFault):
    calls = ("fdatasync", "fsync", "syncfs")


class FailedState(DiskFault):
    is_over_at_start = True  # a daemon whose state cannot be read does not start
    calls = ("pwrite64", "fdatasync", "fsync")
    part = "/state.db"


class ShortCalls(DiskFault):
    may_fail = False
    number = 0
    calls = ("pwritev", "pread", "preadv2")
    part = "/"


def mount(target, size):
    os.makedirs(target)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", target],
                          capture_output=True, check=False)
    return done.returncode == 0


class Day:
    """The nodes, the chance and the figures of one download."""

    def __init__(self, world, target):
        self.world = world
        self.target = target
        self.chance = random.Random(SEED)
        self.disk = FaultyDisk(world.path("faults"))
        self.seeds = []
        for number in range(3):
            write_random(world.path(f"data-seed{number}", "big.bin"), MIB << 20, SEED)
            self.seeds.append(world.node(f"seed{number}", [seed.port for seed in self.seeds]))
        # The whole takes about as long as all the kills together.
        self.rate = max(1, MIB * 1024 // int(KILLS * 1.5 + 4)) << 10
        self.fetcher = world.node("fetcher", [seed.port for seed in self.seeds], limits={
            "down": f"{self.rate >> 10}KiB/s"}, environment=self.disk.environment)
        links = {seed.add(world.path(f"data-{seed.name}", "big.bin"), "--piece-length", PIECE_LENGTH)
                 for seed in self.seeds}
        check(len(links) == 1, "the seeds made different shares")
        hints = "".join(f"&pe=127.0.0.1:{seed.port}" for seed in self.seeds)
        self.share = self.fetcher.fetch(links.pop() + hints, target)
        self.fault = None
        self.kills = 0
        self.durable = 0
        self.begun = self.fetcher.share(self.share)  # this life of the fetcher
        self.fetched = 0                             # bytes of blocks, in all lives
        self.lost = []                               # of them, by each kill and the faults before it

    def status(self):
        return self.fetcher.share(self.share)

    def had(self, now):
        """What it had at the start of this life, and what it has fetched in it."""
        return self.begun["durable"] + now["downloaded"] - self.begun["downloaded"]

    def kill(self):
        """The fetcher dies and comes back; False if there is nothing left to fetch."""
        now = self.status()
        if now["state"] == "seeding":
            return False
        self.durable = max(self.durable, now["durable"])
        had = self.had(now)
        self.fetched += now["downloaded"] - self.begun["downloaded"]
        self.fetcher.kill()
        self.kills += 1
        if getattr(self.fault, "is_over_at_start", False):
            self.fault.end()
        self.fetcher.start()
        may_fail = getattr(self.fault, "may_fail", False)

        def is_open():
            status = self.status()
            is_known = status["state"] not in ("opening", "finding", "failed")
            return status if is_known or (may_fail and status["state"] == "failed") else None

        self.begun = wait_for("the share is open again", is_open, 60)
        check(self.begun["durable"] >= self.durable or self.begun["state"] == "seeding",
              f"durable were {self.durable} bytes, after the kill {self.begun['durable']}")
        self.lost.append(max(0, had - self.begun["durable"]))
        check(self.lost[-1] <= LOST_SECONDS_MAX * self.rate,
              f"a kill cost {self.lost[-1] / self.rate:.1f} s of work ({self.fault})")
        return True

    def next_fault(self, kinds):
        if self.fault is not None:
            self.fault.end()
        kind = self.chance.choice(kinds) if kinds else None
        self.fault = kind(self) if kind else None
        return kind


def download(day, faults):
    told = {kind.__name__: 0 for kind in faults}
    while day.kills < KILLS:
        told[day.next_fault(faults).__name__] += 1
        time.sleep(day.chance.uniform(0.05, 2.5))
        if not day.kill():
            break
    day.next_fault([])
    print(f"{day.kills} kills; faults: {told}")
    if day.lost:
        lost = sorted(lost / day.rate for lost in day.lost)
        print("work lost at a kill, in seconds of the rate: median "
              f"{lost[len(lost) // 2]:.2f}, 95th {lost[len(lost) * 95 // 100]:.2f}, most {lost[-1]:.2f}")
    # It waits at most 5 minutes before it tries again whether the fault has gone.
    wait_for("complete", lambda: day.status()["state"] == "seeding", 420)
    now = day.status()
    fetched = day.fetched + now["downloaded"] - day.begun["downloaded"]
    size = MIB << 20
    print(f"{fetched / size:.3f} times the size was fetched, {sum(day.lost) / size:.3f} lost at kills")
    check(tree_of(os.path.join(day.target, "big.bin")) == tree_of(day.world.path("data-seed0", "big.bin")),
          "the file differs")
    wrong = [one["value"] for one in day.fetcher.rpc("metrics.get")["metrics"]
             if one["name"].endswith("hash_failures_total")]
    check(wrong == [0], f"seeds sent blocks that were wrong: {wrong}")
    day.fetcher.stop()


def test():
    print(f"seed {SEED}")
    faults = [KilledSeed, HangingSeed, ChangedFile, FailedWrites, FailedLeaves, FailedSyncs, FailedState,
              ShortCalls]
    with World() as world:
        target = world.path("got")
        is_mounted = mount(target, (MIB << 20) + SPARE)
        if is_mounted:
            faults.append(FullDisk)
        else:
            print("no tmpfs can be mounted: the disk is never full", file=sys.stderr)
        try:
            download(Day(world, target), faults)
        finally:
            for node in world.nodes:
                if node.process is not None:
                    node.process.send_signal(signal.SIGCONT)
                node.kill()
            if is_mounted:
                subprocess.run(["umount", target], check=False)


run(test)
