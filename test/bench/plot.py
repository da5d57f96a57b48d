#!/usr/bin/python3
"""make bench-plot: docs/speed.svg, two rows of bars of the last make bench in results.tsv.

Throughput and CPU per GB, one stream and four, for the ways of ways.py: medians, with the spread of
the rounds as a line. Plain SVG, written here: nothing to install, and the same bytes every time.
"""

import argparse
import pathlib
import sys
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).resolve().parent
WAYS = {"bare": ("bare routing", "#9aa5b1"), "plain": ("ENG, plaintext hops", "#5b8fd0"),
        "attested": ("ENG, attested hops", "#1f5fa8"), "stunnel": ("stunnel, three TLS hops", "#c98a3c")}
PANELS = (("Gbit/s", "Throughput, Gbit/s (more is better)"),
          ("CPU-s/GB", "CPU-seconds of the whole machine per GB (less is better)"))
STREAMS = (("1 stream", "one stream"), ("4 stream", "four streams"))
WIDTH, ROW, BAR, LEFT, SCALE = 760, 20, 15, 190, 430


def last_run(path):
    """{(way, measure, unit): (median, min, max)} of the newest rows that have every way, and a
    line that says what they are."""
    runs = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        when, commit, machine, rounds, way, measure, unit, *numbers = line.split("\t")
        run = runs.setdefault((when, commit), ({}, f"{machine}; median of {rounds} rounds, "
                                                   f"{when[:10]}, {commit}"))
        run[0][way, measure, unit] = tuple(float(x) for x in numbers)
    whole = [r for r in runs.values() if all((way, s, u) in r[0] for way in WAYS
                                             for s, _ in STREAMS for u, _ in PANELS)]
    if not whole:
        sys.exit("bench-plot: results.tsv has no run of every way (make bench)")
    return whole[-1]


def text(x, y, s, size=12, anchor="start", weight="normal"):
    return (f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(s)}</text>')


def bar(y, name, colour, numbers, top):
    median, low, high = (x * SCALE / top for x in numbers)
    middle = y + BAR / 2
    return [text(LEFT - 8, y + 12, name, anchor="end"),
            f'<rect x="{LEFT}" y="{y}" width="{median:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<path d="M{LEFT + low:.1f} {middle}H{LEFT + high:.1f}" stroke="#222" '
            'stroke-width="1.5"/>',
            text(LEFT + max(median, high) + 8, y + 12, f"{numbers[0]:.3g}")]


def draw(rows, what):
    parts, y = [], 24
    for unit, title in PANELS:
        parts.append(text(16, y, title, 14, weight="bold"))
        y += 12
        top = max(rows[way, s, unit][2] for way in WAYS for s, _ in STREAMS)
        for stream, words in STREAMS:
            parts.append(text(16, y + 14, words, 12))
            y += 20
            for way, (name, colour) in WAYS.items():
                parts += bar(y, name, colour, rows[way, stream, unit], top)
                y += ROW
            y += 6
        y += 26
    parts.append(text(16, y - 8, "A chain of three hops with everything on one machine. " + what, 10))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 6}" '
            f'viewBox="0 0 {WIDTH} {y + 6}" font-family="sans-serif" fill="#222">\n'
            '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--results", type=pathlib.Path, default=HERE / "results.tsv")
    ap.add_argument("--out", type=pathlib.Path, default=HERE.parents[1] / "docs" / "speed.svg")
    args = ap.parse_args()
    args.out.write_text(draw(*last_run(args.results)), encoding="utf-8")
    print(f"written: {args.out}")


if __name__ == "__main__":
    main()
