#!/usr/bin/env python3
"""Runs the swarm simulator and draws what came of it. Virtual time: figures depend on the arguments and
the seed alone. Standard library only.

  swarm_scale.py scale [--sizes 16,50,...]    completion against the fluid bound as a swarm grows:
                                                    bench/swarm_scale.svg
  swarm_scale.py fair [--seeds 1,2]                 the product's way of choking beside tit-for-tat, PropShare and remembered credit, with
                                                    4 of 16 leechers hostile: bench/swarm_fair.svg
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
KINDS = ["honest", "rider", "large_view", "sybil", "tyrant"]
COLOURS = {"product": "#1f5fa8", "tit_for_tat": "#c4552d", "prop_share": "#4f8a3d", "credit": "#8a5fb0"}
WIDTH, HEIGHT, LEFT, TOP = 300, 200, 45, 40


def run(program, *words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    # Gigabytes of small objects: huge pages save a tenth of the time and more.
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    done = subprocess.run([program, *map(str, words), "--json"], capture_output=True, text=True, check=False,
                          env=environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")
    row = json.loads(done.stdout)
    row["cpu"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return row


def frame(x, title, peak, step):
    out = [f'<text x="{x}" y="20" font-weight="bold">{title}</text>',
           f'<path d="M{x} {TOP}V{TOP + HEIGHT}H{x + WIDTH}" fill="none" stroke="#555"/>']
    value = 0.0
    while value <= peak + 1e-9:
        y = TOP + HEIGHT - value / peak * HEIGHT
        out.append(f'<path d="M{x} {y:.1f}h{WIDTH}" stroke="#ddd"/>')
        out.append(f'<text x="{x - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        value += step
    return out


def save(name, parts, width):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="320" font-family="sans-serif" '
            f'font-size="11">\n<rect width="{width}" height="320" fill="white"/>\n')
    (HERE / name).write_text(head + "\n".join(parts) + "\n</svg>\n", encoding="utf-8")
    print(HERE / name)


def scale(program, options):
    sizes = sorted(int(n) for n in options.sizes.split(","))
    rows = {}
    for n in sizes:
        row = rows[n] = run(program, "--leechers", n, "--kib", options.kib, "--piece-kib", options.piece_kib,
                            "--up", options.up, "--seed-up", options.up, "--seed", options.seeds.split(",")[0])
        print(f"{n:5} leechers: bound {row['bound']:.1f} s, median {row['median'] / row['bound']:.2f}, last "
              f"{row['last'] / row['bound']:.2f} of it, origin {row['copies']:.2f} copies, uplinks "
              f"{100 * row['uplinks_used']:.0f} %, Jain {row['jain']:.3f}; {row['cpu']:.0f} s CPU", flush=True)
    peak = max(2.0, max(row["last"] / row["bound"] for row in rows.values()))
    parts = frame(LEFT, "completion / fluid bound, by number of leechers", peak, 0.5)
    for key, colour in (("median", "#1f5fa8"), ("last", "#c4552d")):
        points = [(LEFT + WIDTH * (i + 0.5) / len(sizes),
                   TOP + HEIGHT - rows[n][key] / rows[n]["bound"] / peak * HEIGHT) for i, n in enumerate(sizes)]
        parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" '
                     f'stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(f'<text x="{LEFT + 10 + 60 * (key == "last")}" y="290" fill="{colour}">{key}</text>')
    parts += [f'<text x="{LEFT + WIDTH * (i + 0.5) / len(sizes):.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">'
              f'{n}</text>' for i, n in enumerate(sizes)]
    save("swarm_scale.svg", parts, 380)


def fair(program, options):
    seeds = options.seeds.split(",")
    rows = {}
    for kind in options.kinds.split(","):
        for policy in COLOURS:
            hostile = [] if kind == "honest" else ["--hostile", options.hostile, "--kind", kind]
            got = [run(program, "--policy", policy, "--seed", seed, "--kib", options.kib, "--piece-kib",
                       options.piece_kib, "--up", options.up, "--seed-up", options.up, *hostile) for seed in seeds]
            row = {key: statistics.mean(one[key] for one in got) for key in got[0]}
            rows[kind, policy] = row
            print(f"{kind:10} {policy:12} honest median {row['median']:5.1f} s ({row['median'] / row['bound_honest']:.2f}"
                  f" of {row['bound_honest']:.1f} s), last {row['last']:5.1f} s, Jain {row['jain']:.3f}, gave/got "
                  f"{row['gave']:.2f}, origin {row['copies']:.2f}; the hostile had {row['hostile_had']:.2f} then, median "
                  f"{row['hostile_median']:.1f} s", flush=True)
    parts = []
    kinds = options.kinds.split(",")
    for panel, (title, value) in enumerate([
            ("honest median / bound", lambda row: row["median"] / row["bound_honest"]),
            ("of the file, had by the median hostile then", lambda row: row["hostile_had"])]):
        x = LEFT + panel * (WIDTH + 60)
        peak = 2.0 if panel == 0 else 1.0
        parts += frame(x, title, peak, peak / 4)
        for i, kind in enumerate(kinds):
            for j, policy in enumerate(COLOURS):
                height = min(1.0, value(rows[kind, policy]) / peak) * HEIGHT
                left = x + WIDTH * (i + 0.1) / len(kinds) + j * 12
                parts.append(f'<rect x="{left:.1f}" y="{TOP + HEIGHT - height:.1f}" width="11" height="{height:.1f}" '
                             f'fill="{COLOURS[policy]}"/>')
            parts.append(f'<text x="{x + WIDTH * (i + 0.5) / len(kinds):.1f}" y="{TOP + HEIGHT + 16}" '
                         f'text-anchor="middle">{kind}</text>')
    for j, (policy, colour) in enumerate(COLOURS.items()):
        parts.append(f'<text x="{LEFT + 100 * j}" y="290" fill="{colour}">{policy.replace("_", "-")}</text>')
    save("swarm_fair.svg", parts, LEFT + 2 * (WIDTH + 60))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["scale", "fair"])
    parser.add_argument("--build", default=str(HERE.parent / "build"))
    parser.add_argument("--sizes", default="16,50,100,200,300,1000")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--hostile", type=int, default=4)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--kib", type=int, help="4096 for scale, 16384 for fair")
    parser.add_argument("--piece-kib", type=int, help="64, 128")
    parser.add_argument("--up", type=int, help="bytes a second: 250000, 1000000")
    options = parser.parse_args()
    program = os.path.join(options.build, "peernet_swarmsim")
    if not os.path.exists(program):
        sys.exit("no " + program)
    is_scale = options.what == "scale"
    options.kib = options.kib or (4096 if is_scale else 16384)
    options.piece_kib = options.piece_kib or (64 if is_scale else 128)
    options.up = options.up or (250_000 if is_scale else 1_000_000)
    (scale if is_scale else fair)(program, options)


if __name__ == "__main__":
    main()
