#!/usr/bin/env python3
"""Faults of a machine: a disk that is full, fails, is read-only, does not sync or forgets, files that
vanish or change. The share that meets one stops and `why` names the cause; the others go on; it goes on
by itself when the fault is gone, and every byte is right."""

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from nodes import FaultyDisk, World, check, run, tree_of, wait_for, write_random

SIZE = 6_000_000
SPARE = 16 << 20  # the daemon leaves so much of a disk free


class Fault:
    """A share that meets a fault on one side. `calls` fail with `number` on files below its directory."""

    side = "fetcher"
    cause = "fault"
    calls = ()
    number = errno.EIO
    says = "Input/output error"  # in what `why` prints

    def __init__(self, world):
        self.name = type(self).__name__
        self.source = world.path("source", self.name, "big.bin")
        self.target = world.path("got", self.name)
        self.share = None
        os.makedirs(self.target)
        write_random(self.source, SIZE, self.name)

    def lines(self):
        below = f"/{'got' if self.side == 'fetcher' else 'source'}/{self.name}/"
        return [(call, self.number, 100, below) for call in self.calls]

    def begin(self):
        pass

    def end(self):
        pass


class WriteFails(Fault):
    calls = ("pwritev",)


class WriteFindsNoSpace(Fault):
    calls = ("pwritev",)
    number = errno.ENOSPC
    cause = "disk_full"
    says = "No space left on device"


class WriteIsDenied(Fault):
    calls = ("pwritev",)
    number = errno.EROFS
    says = "Read-only file system"


class SyncFails(Fault):
    calls = ("fdatasync", "fsync", "syncfs")


class SeedsReadFails(Fault):
    side = "seed"
    calls = ("pread", "preadv2")


class SeedsFileIsGone(Fault):
    side = "seed"
    says = "No such file"

    def begin(self):
        os.rename(self.source, self.source + ".away")

    def end(self):
        os.rename(self.source + ".away", self.source)


class SeedsFileIsChanged(Fault):
    side = "seed"
    says = "was changed after it was shared"

    def begin(self):
        with open(self.source, "r+b") as file:
            self.whole = file.read()
            file.seek(0)
            file.write(bytes(byte ^ 0xff for byte in self.whole))

    def end(self):
        with open(self.source, "r+b") as file:
            file.write(self.whole)


class SeedsFileIsCut(SeedsFileIsChanged):
    def begin(self):
        with open(self.source, "r+b") as file:
            self.whole = file.read()
            file.truncate(SIZE // 8)


class Mounted(Fault):
    """On a file system of its own."""

    def begin(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE + SPARE + (1 << 20)}", "tmpfs", self.target],
                       check=True)

    def unmount(self):
        subprocess.run(["umount", self.target], check=False)


class DiskIsFull(Mounted):
    cause = "disk_full"
    says = "not enough space"

    def begin(self):
        super().begin()
        with open(os.path.join(self.target, "filler"), "wb") as file:
            os.posix_fallocate(file.fileno(), 0, SIZE)

    def end(self):
        os.remove(os.path.join(self.target, "filler"))


class DiskIsReadOnly(Mounted):
    says = "Read-only file system"

    def begin(self):
        super().begin()
        subprocess.run(["mount", "-o", "remount,ro", self.target], check=True)

    def end(self):
        subprocess.run(["mount", "-o", "remount,rw", self.target], check=True)


def can_mount(world):
    place = world.path("mounted")
    os.makedirs(place)
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False).returncode:
        print("no tmpfs can be mounted: a full and a read-only one are not tested", file=sys.stderr)
        return False
    subprocess.run(["umount", place], check=True)
    return True


def start(world):
    disk = FaultyDisk(world.path("faults"))
    seed = world.node("seed", environment=disk.environment)
    return disk, seed, world.node("fetcher", [seed.port], environment=disk.environment)


def fetch(seed, fetcher, source, target):
    return fetcher.fetch(f"{seed.add(source)}&pe=127.0.0.1:{seed.port}", target)


def is_whole(source, target):
    return tree_of(os.path.join(target, "big.bin")) == tree_of(source)


def stopped(node, share, cause, says):
    """Waits until it has stopped for this cause, which `why` and the status name."""
    wait_for(f"{share[:9]} at the {node.name} stops: {says}", lambda: node.share(share)["state"] == "failed", 30)
    status = node.share(share)
    check(status["cause"] == cause, f"the cause of {says} is {status['cause']}: {status['reason']}")
    text = node.cli("why", share[:12]).stdout
    check(says in text and "next retry" in text, f"{says}: `why` said\n{text}")
    print(f"{says}: {status['reason']}")


def shares_stop_alone(world):
    """All faults at once, each at a share of its own, and one share that has none."""
    kinds = [WriteFails, WriteFindsNoSpace, WriteIsDenied, SyncFails, SeedsReadFails, SeedsFileIsGone,
             SeedsFileIsChanged, SeedsFileIsCut]
    if can_mount(world):
        kinds += [DiskIsFull, DiskIsReadOnly]
    disk, seed, fetcher = start(world)
    faults = [kind(world) for kind in kinds]
    try:
        links = {fault: f"{seed.add(fault.source)}&pe=127.0.0.1:{seed.port}" for fault in faults}
        disk.fail(*(line for fault in faults for line in fault.lines()))
        for fault in faults:
            fault.begin()
            fault.share = fetcher.fetch(links[fault], fault.target)
        for fault in faults:
            stopped(seed if fault.side == "seed" else fetcher, fault.share, fault.cause, fault.says)
        source, target = world.path("source", "healthy", "big.bin"), world.path("got", "healthy")
        write_random(source, SIZE)
        healthy = fetch(seed, fetcher, source, target)
        fetcher.wait_complete(healthy, 30)
        check(is_whole(source, target), "the share without a fault differs")

        disk.fail()
        for fault in faults:
            fault.end()
        began = time.monotonic()
        for fault in faults:
            wait_for(f"{fault.name} goes on by itself",
                     lambda: fetcher.share(fault.share)["state"] == "seeding", 90)
            check(is_whole(fault.source, fault.target), f"{fault.name}: the file differs")
        print(f"all whole {time.monotonic() - began:.1f} s after the faults")
        for node in (seed, fetcher):
            node.stop()
    finally:
        for node in world.nodes:
            node.kill()
        for fault in faults:
            if isinstance(fault, Mounted):
                fault.unmount()


def state_fails(world):
    """Nothing counts as durable that could not be recorded, and the daemon lives on."""
    disk, seed, fetcher = start(world)
    source, target = world.path("source", "state", "big.bin"), world.path("got", "state")
    write_random(source, SIZE)
    link = f"{seed.add(source)}&pe=127.0.0.1:{seed.port}"
    wal = fetcher.home + "/state.db"
    disk.fail(*((call, errno.ENOSPC, 100, wal) for call in ("pwrite64", "fdatasync", "fsync")))
    share = fetcher.fetch(link, target)
    stopped(fetcher, share, "disk_full", "state")
    check(fetcher.share(share)["durable"] == 0, "it claims what it could not record")
    disk.fail()
    wait_for("it goes on by itself", lambda: fetcher.share(share)["state"] == "seeding", 60)
    fetcher.kill()
    fetcher.start()
    wait_for("it is there after a kill", lambda: fetcher.share(share)["state"] == "seeding", 10)
    check(is_whole(source, target), "the file differs")


def file_is_deleted(world):
    """What was durable and is not there any more is fetched again."""
    _, seed, fetcher = start(world)
    source, target = world.path("source", "deleted", "big.bin"), world.path("got", "deleted")
    write_random(source, SIZE)
    fetcher.rpc("limit.set", down=2_000_000)
    share = fetch(seed, fetcher, source, target)
    wait_for("a part is durable", lambda: fetcher.share(share)["durable"] > 1_000_000)
    part, = os.listdir(target)
    os.remove(os.path.join(target, part))
    stopped(fetcher, share, "fault", "was deleted")
    fetcher.rpc("limit.set", down=None)
    wait_for("it goes on by itself", lambda: fetcher.share(share)["state"] == "seeding", 60)
    check(is_whole(source, target), "the file differs")


def in_a_world(part):
    start_of_it = time.monotonic()
    with World() as world:
        part(world)
    print(f"{part.__name__}: {time.monotonic() - start_of_it:.1f} s")


def test():
    # Each of them waits for most of its time.
    with ThreadPoolExecutor() as pool:
        list(pool.map(in_a_world, (shares_stop_alone, state_fails, file_is_deleted)))


run(test)
