#!/usr/bin/env python3
"""Runs the DHT simulator for several network sizes and draws hops, messages and latency of lookups
against the logarithm of the size: bench/dht_scale.svg. Figures are of virtual time, and depend on
the seed alone. Standard library only."""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PANELS = [
    # title, unit, [(what, which, label)]
    ("hops", "", [("hit hops", "mean", "mean"), ("hit hops", "max", "most")]),
    ("queries", "", [("hit queries", "mean", "found"), ("miss queries", "mean", "absent"),
                     ("miss queries", "p95", "absent, p95")]),
    ("latency", "ms", [("hit first peer", "p50", "first peer"),
                       ("hit first peer", "p95", "first peer, p95"),
                       ("miss complete", "p50", "absent, complete"),
                       ("miss complete", "p95", "absent, complete, p95")]),
]
COLOURS = ["#1f5fa8", "#c4552d", "#3b8f55", "#7a4fa0"]


def measure(program, nodes, seed, keys, seekers):
    begun = time.monotonic()
    command = [program, "scale", "--nodes", str(nodes), "--seed", str(seed), "--keys", str(keys),
               "--seekers", str(seekers), "--json"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = {}
    for line in run.stdout.splitlines():
        row = json.loads(line)
        rows[row["what"]] = row
    print(f"{nodes:6} nodes: {rows['hit found']['count']} of {rows['hit found']['of']} found, "
          f"first peer {rows['hit first peer']['p50']:.0f}/{rows['hit first peer']['p95']:.0f} ms, "
          f"absent key {rows['miss complete']['p50']:.0f}/{rows['miss complete']['p95']:.0f} ms, "
          f"queries {rows['hit queries']['mean']:.1f}/{rows['miss queries']['mean']:.1f}, "
          f"hops {rows['hit hops']['mean']:.1f} (most {rows['hit hops']['max']:.0f}); "
          f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
    return rows


def panel(x0, title, unit, lines, sizes, results):
    """One diagram of 260 by 240 at x0: log2 of the size to the right."""
    left, top, width, height = x0 + 45, 40, 210, 180
    low, high = math.log2(sizes[0]), math.log2(sizes[-1])
    peak = max(results[n][what][which] for n in sizes for what, which, _ in lines) * 1.1 or 1
    step = 10 ** math.floor(math.log10(peak))
    step = step if peak / step >= 3 else step / 2

    def at(n, value):
        x = left + (math.log2(n) - low) / ((high - low) or 1) * width
        return x, top + height - value / peak * height

    out = [f'<text x="{left}" y="20" font-weight="bold">{title}{", " + unit if unit else ""}</text>',
           f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#555"/>']
    value = 0.0
    while value <= peak:
        y = at(sizes[0], value)[1]
        out.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        value += step
    for n in sizes:
        x = at(n, 0)[0]
        out.append(f'<text x="{x:.1f}" y="{top + height + 16}" text-anchor="middle">'
                   f'{math.log2(n):.1f}</text>')
    for i, (what, which, label) in enumerate(lines):
        points = " ".join("{:.1f},{:.1f}".format(*at(n, results[n][what][which])) for n in sizes)
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" '
                   f'stroke-width="2"/>')
        for n in sizes:
            x, y = at(n, results[n][what][which])
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[i]}"/>')
        y = top + height + 36 + 15 * i
        out.append(f'<path d="M{left} {y - 4}h16" stroke="{COLOURS[i]}" stroke-width="2"/>')
        out.append(f'<text x="{left + 22}" y="{y}">{label}</text>')
    return out


def draw(sizes, results):
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="800" height="320" '
           'font-family="sans-serif" font-size="11">',
           '<rect width="800" height="320" fill="white"/>']
    for i, (title, unit, lines) in enumerate(PANELS):
        out += panel(i * 265, title, unit, lines, sizes, results)
    out.append('<text x="795" y="312" text-anchor="end">to the right: log2 of the number of nodes'
               '</text></svg>')
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=str(ROOT / "build"))
    parser.add_argument("--sizes", default="100,300,1000,3000,10000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--seekers", type=int, default=4)
    parser.add_argument("--out", default=str(ROOT / "bench" / "dht_scale.svg"))
    arguments = parser.parse_args()
    found = sorted(Path(arguments.build).rglob("peernet_dhtsim"))
    if not found:
        sys.exit("no peernet_dhtsim below " + arguments.build)
    sizes = sorted(int(n) for n in arguments.sizes.split(","))
    results = {n: measure(str(found[0]), n, arguments.seed, arguments.keys, arguments.seekers)
               for n in sizes}
    Path(arguments.out).write_text(draw(sizes, results), encoding="utf-8")
    print(arguments.out)


if __name__ == "__main__":
    main()
