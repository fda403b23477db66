#!/usr/bin/env python3
"""A fetcher is killed with SIGKILL at random points of one download. After each restart it goes on by
itself; nothing durable is fetched again, or hashed again before it is first served.

  kill_test.py [KILLS [MIB [SEED]]]     8 kills in 48 MiB by default
"""

import random
import sys
import time

from nodes import World, check, run, tree_of, wait_for, write_random

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
MIB = int(sys.argv[2]) if len(sys.argv) > 2 else 48
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)


def test():
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    with World() as world:
        size = MIB << 20
        file = world.path("data", "big.bin")
        write_random(file, size, SEED)
        seed = world.node("seed")
        link = seed.add(file)
        # The whole takes about as long as all the kills together.
        rate = max(1, MIB * 1024 // int(KILLS * 1.7 + 4))
        fetcher = world.node("fetcher", [seed.port], limits={"down": f"{rate}KiB/s"})
        share = fetcher.fetch(link, world.path("got"))

        durable = 0
        kills = 0
        lost_work = 0
        while kills < KILLS:
            time.sleep(chance.uniform(0.05, 3.0))
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
                check(now["state"] != "failed", f"it failed after a kill: {now['reason']}")
                return now if now["state"] not in ("opening", "finding") else None

            status = wait_for("the share is open again", is_open)
            check(status["durable"] >= durable or status["state"] == "seeding",
                  f"durable were {durable} bytes, after the kill {status['durable']}")
            check(status["reread"] == 0, "it read what was durable again")
            lost_work += max(0, done - status["durable"])
        print(f"{kills} kills, {lost_work / (1 << 20):.1f} MiB of work not yet durable were lost in all")
        if kills < KILLS:
            print(f"complete after {kills} of {KILLS} kills")
        fetcher.wait_complete(share, 300)
        check(tree_of(world.path("got", "big.bin")) == tree_of(file), "the file differs")
        # Everything that was sent beyond the file is what was not yet durable at a kill, or on its way.
        sent = seed.share(share)["uploaded"]
        per_kill = (sent - size - lost_work) / max(kills, 1)
        print(f"the seed sent {sent / size:.3f} copies; {per_kill / 1024:.0f} KiB a kill were in flight")
        check(per_kill < 8 << 20, "durable data was fetched again")
        check(fetcher.share(share)["reread"] == 0, "it hashed what was durable again, serving nobody")

        # What it serves now it hashes first, once.
        other = world.node("other", [seed.port])
        wait_for("other knows more than the seed",
                 lambda: other.rpc("dht.status")["nodes_count"] >= 2)
        seed.kill()
        other.fetch(link, world.path("got-other"))
        other.wait_complete(share, 120)
        check(tree_of(world.path("got-other", "big.bin")) == tree_of(file), "the second copy differs")
        reread = fetcher.share(share)["reread"]
        check(reread <= size, f"it hashed {reread} bytes again to serve {size}")
        fetcher.stop()


run(test)
