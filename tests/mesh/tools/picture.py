#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Draws a topology: picture.py [--svg FILE] [--title TEXT] <TOPOLOGY

TOPOLOGY has a line for each node, "node NAME KIND" or "down NAME KIND", and one for each link, "link NAME NAME". Printed is the ring
of nodes with the links between them, in characters, and a table of who has which links; the SVG is the same ring.
"""

import argparse
import math
import sys
from xml.sax.saxutils import escape

COLUMNS, ROWS = 72, 25
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #768390 }
  .small { font-size: 10.5px } .title { font-weight: 600; font-size: 14px }
  line { stroke: #2f81f7; stroke-width: 1.4; opacity: 0.55 }
  circle { fill: #2f81f7 } .down { fill: none; stroke: #cf222e; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: light) { text { fill: #24292f } }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
"""


def read(lines):
    nodes, down, links = {}, set(), set()
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[0] in ("node", "down"):
            nodes[words[1]] = words[2]
            if words[0] == "down":
                down.add(words[1])
        elif len(words) == 3 and words[0] == "link":
            links.add(tuple(sorted(words[1:])))
        elif words:
            sys.exit("not understood: %r" % line)
    return nodes, down, sorted(link for link in links if link[0] in nodes and link[1] in nodes)


def ring(names, width, height, margin_x, margin_y):
    """The nodes' places, the first on top."""
    places = {}
    for i, name in enumerate(names):
        angle = 2 * math.pi * i / len(names)
        places[name] = (width / 2 + (width / 2 - margin_x) * math.sin(angle), height / 2 - (height / 2 - margin_y) * math.cos(angle))
    return places


def text_picture(nodes, down, links):
    canvas = [[" "] * COLUMNS for _ in range(ROWS)]
    places = ring(list(nodes), COLUMNS - 1, ROWS - 1, 8, 1)
    for a, b in links:
        (x1, y1), (x2, y2) = places[a], places[b]
        steps = max(1, int(max(abs(x2 - x1) / 2, abs(y2 - y1)) * 1.5))
        for step in range(steps + 1):
            x, y = x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps
            canvas[round(y)][round(x)] = "."
    for name, (x, y) in places.items():
        label = "(%s)" % name if name in down else "[%s]" % name
        start = max(0, min(COLUMNS - len(label), round(x - len(label) / 2)))
        canvas[round(y)][start:start + len(label)] = label
    rows = ["".join(row).rstrip() for row in canvas]
    if down:
        rows.append("(in brackets like these: %s, dead)" % ", ".join(sorted(down)))
    return "\n".join(rows)


def table(nodes, down, links):
    kinds = max(len(kind) for kind in nodes.values())
    names = max(len(name) for name in nodes)
    rows = []
    for name, kind in nodes.items():
        others = [b if a == name else a for a, b in links if name in (a, b)]
        rows.append("%-*s  %-*s  %s" % (names, name, kinds, kind, "dead" if name in down else "%d links: %s" % (len(others), " ".join(others))))
    return "\n".join(rows)


def svg(nodes, down, links, title):
    width, height = 560, 420
    places = ring(list(nodes), width, height - 30, 90, 40)
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">' % (width, height, width, height),
             "<title>%s</title>" % escape(title), "<style>%s</style>" % STYLE,
             '<text class="title" x="12" y="20">%s</text>' % escape(title)]
    for a, b in links:
        lines.append('<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f"/>' % (places[a][0], places[a][1] + 30, places[b][0], places[b][1] + 30))
    for name, (x, y) in places.items():
        lines.append('<circle%s cx="%.0f" cy="%.0f" r="7"/>' % (' class="down"' if name in down else "", x, y + 30))
        above = y < height / 2 - 15
        lines.append('<text x="%.0f" y="%.0f" text-anchor="middle">%s</text>' % (x, y + (12 if above else 52), escape(name)))
        lines.append('<text class="small" x="%.0f" y="%.0f" text-anchor="middle">%s</text>' % (x, y + (0 if above else 64), escape(nodes[name])))
    return "\n".join([*lines, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--svg")
    parser.add_argument("--title", default="The mesh")
    options = parser.parse_args()
    nodes, down, links = read(sys.stdin)
    if not nodes:
        sys.exit("no node")
    print(text_picture(nodes, down, links))
    print()
    print(table(nodes, down, links))
    if options.svg:
        with open(options.svg, "w", encoding="utf-8") as file:
            file.write(svg(nodes, down, links, options.title))


main()
