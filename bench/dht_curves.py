#!/usr/bin/env python3
"""Runs the DHT simulator for networks of several sizes, for several lengths of sessions and for several shares
of colluding nodes, and draws what became of lookups: bench/dht_curves.svg. Figures are of virtual time, and
depend on the seed alone. Standard library only."""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLOURS = ["#1f5fa8", "#c4552d", "#3b8f55", "#7a4fa0"]
WIDTH, HEIGHT = 265, 300  # of one diagram

HOSTILE_OF = 100  # nodes together


def of_size(nodes, options):
    return ["scale", "--nodes", str(nodes), "--keys", str(options.keys), "--seekers", str(options.seekers)]


def of_session(seconds, _):
    return ["churn", "--session", str(seconds)]


def of_hostile(share, _):
    hostile = HOSTILE_OF * share // 100
    return ["colluders", "--hostile", str(hostile), "--nodes", str(HOSTILE_OF - hostile), "--keys", "25",
            "--seekers", "4"]


def panels(hit, miss, third):
    """Three diagrams of one row: title, unit, lines of (what, which, label)."""
    latency = [(f"{hit} first peer", "p50", "first peer"), (f"{hit} first peer", "p95", "first peer, p95")]
    queries = [(f"{hit} queries", "mean", "found")]
    if miss:
        latency += [(f"{miss} complete", "p50", "absent"),
                    (f"{miss} complete", "p95", "absent, p95")]
        queries += [(f"{miss} queries", "mean", "absent"), (f"{miss} queries", "p95", "absent, p95")]
    else:
        latency += [(f"{hit} complete", "p50", "complete"), (f"{hit} complete", "p95", "complete, p95")]
        queries += [(f"{hit} queries", "p95", "found, p95")]
    return [third, ("queries", "", queries), ("latency", "ms", latency)]


# What is varied: name, legend of the axis, position and label of a value, the scenario, diagrams.
ROWS = {
    "size": ("log2 of the number of nodes", math.log2, lambda n: f"{math.log2(n):.1f}", of_size,
             panels("hit", "miss", ("hops", "", [("hit hops", "mean", "mean"), ("hit hops", "max", "most")]))),
    "session": ("median session, minutes (log)", math.log2, lambda s: f"{s / 60:.3g}", of_session,
                panels("hit", "miss", ("found", "%", [("hit found", "percent", "found")]))),
    "hostile": ("colluding nodes, %", float, str, of_hostile,
                panels("under attack", None, ("found", "%", [("lookup under attack found", "percent", "found")]))),
}


def measure(program, command, seed):
    begun = time.monotonic()
    run = subprocess.run([program, *command, "--seed", str(seed), "--json"], check=True, capture_output=True,
                         text=True)
    rows = {row["what"]: row for row in map(json.loads, run.stdout.splitlines())}
    for row in rows.values():
        if row.get("of"):
            row["percent"] = 100 * row["count"] / row["of"]
    print(" ".join(command), f"({time.monotonic() - begun:.0f} s)")
    for what in rows:
        if what.split()[-1] in ("found", "peer", "queries") and "announce" not in what:
            numbers = {key: value for key, value in rows[what].items() if not isinstance(value, str)}
            print("   ", what, " ".join(f"{key} {value:.1f}" for key, value in numbers.items()))
    return rows


def diagram(x0, y0, row, panel, values, results):
    """Its upper left corner is at x0, y0."""
    _, position, text_of, _, _ = row
    title, unit, lines = panel
    left, top, width, height = x0 + 45, y0 + 36, WIDTH - 60, 160
    low, high = position(values[0]), position(values[-1])
    peak = max(results[v][what][which] for v in values for what, which, _ in lines) * 1.1 or 1
    step = 10 ** math.floor(math.log10(peak))
    step = step if peak / step >= 3 else step / 2

    def at(value, height_of):
        x = left + (position(value) - low) / ((high - low) or 1) * width
        return x, top + height - height_of / peak * height

    out = [f'<text x="{left}" y="{y0 + 18}" font-weight="bold">{title}{", " + unit if unit else ""}</text>',
           f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#555"/>']
    mark = 0.0
    while mark <= peak:
        y = at(values[0], mark)[1]
        out.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>')
        mark += step
    for value in values:
        out.append(f'<text x="{at(value, 0)[0]:.1f}" y="{top + height + 15}" text-anchor="middle">'
                   f'{text_of(value)}</text>')
    for i, (what, which, label) in enumerate(lines):
        places = [at(value, results[value][what][which]) for value in values]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[i]}"/>' for x, y in places]
        x, y = left + (i % 2) * 105, top + height + 32 + 15 * (i // 2)
        out.append(f'<path d="M{x} {y - 4}h14" stroke="{COLOURS[i]}" stroke-width="2"/>')
        out.append(f'<text x="{x + 18}" y="{y}" font-size="10">{label}</text>')
    return out


def draw(rows, results):
    width, height = 3 * WIDTH + 10, HEIGHT * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           'font-family="sans-serif" font-size="11">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for number, (name, values) in enumerate(rows.items()):
        row = ROWS[name]
        for i, panel in enumerate(row[4]):
            out += diagram(i * WIDTH, number * HEIGHT, row, panel, values, results[name])
        out.append(f'<text x="{width - 10}" y="{(number + 1) * HEIGHT - 22}" text-anchor="end">to the right: '
                   f'{row[0]}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    numbers = lambda text: sorted(int(word) for word in text.split(","))  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=str(ROOT / "build"))
    parser.add_argument("--sizes", type=numbers, default="100,300,1000,10000", help="10,000 take six minutes")
    parser.add_argument("--sessions", type=numbers, default="84,180,300,600,1800", help="medians, in seconds")
    parser.add_argument("--shares", type=numbers, default="5,10,20,30,40,50", help="of colluders, in percent")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--seekers", type=int, default=4)
    parser.add_argument("--out", default=str(ROOT / "bench" / "dht_curves.svg"))
    options = parser.parse_args()
    found = sorted(Path(options.build).rglob("peernet_dhtsim"))
    if not found:
        sys.exit("no peernet_dhtsim below " + options.build)
    rows = {"size": options.sizes, "session": options.sessions, "hostile": options.shares}
    results = {name: {value: measure(str(found[0]), ROWS[name][3](value, options), options.seed)
                      for value in values} for name, values in rows.items()}
    Path(options.out).write_text(draw(rows, results), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
