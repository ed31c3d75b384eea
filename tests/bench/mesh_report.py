#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What mesh.sh measured, as a table, JSON and a picture: mesh_report.py SAMPLES OUTPUT SIMULATED.

Each line of SAMPLES is a JSON object with `what`, `value` and what else belongs to it; one that has a `failure` instead of a value is
a trial that was made and did not end well: it fails its target. SIMULATED is what `make sim` wrote, if it did. OUTPUT gets mesh.json,
with `environment`, `samples` and `targets` (each with `name`, `target`, `value`, `holds`, and the `reason` when there is no value), and
mesh.svg, the traffic gaps.
"""

import json
import os
import platform
import statistics
import sys
from xml.sax.saxutils import escape

MIB = 1024.0
# Name, samples, what is taken of them, the most it may be, unit.
TARGETS = [
    ("traffic gap when a transit node is killed, median", "gap", statistics.median, 2.0, "s"),
    ("traffic gap when a transit node is killed, worst", "gap", max, 5.0, "s"),
    ("join to the first ping of a random node, worst", "join", max, 5.0, "s"),
    ("revocation: every live link of the node cut, worst", "revocation", max, 3.0, "s"),
    ("registry down: all nodes restarted at once, everyone reaches everyone, worst", "restart", max, 10.0, "s"),
    ("50 nodes started at once: everyone reaches everyone", "start", max, 60.0, "s"),
    ("50 nodes: memory of the largest of their processes", "memory", max, 30.0, "MiB"),
    ("50 nodes: processor at rest, a node", "idle", max, 1.0, "%"),
    ("memory of a node that knows 10,000 destinations", "destinations", max, 30.0, "MiB"),
]
SIMULATED = ["simulated: 10,000 nodes, 10 links each: connected, of 100 seeds",
             "simulated: 10,000 nodes, 30 % killed at once: the rest is or becomes one component, of 100 seeds"]

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #768390 }
  .small { font-size: 10.5px } .title { font-weight: 600 }
  .dot { fill: #2f81f7 } .off { fill: #8250df } .axis { stroke: #768390; stroke-width: 1 }
  .limit { stroke: #cf222e; stroke-width: 1; stroke-dasharray: 4 3 } .tick { fill: #2f81f7; opacity: 0.8 }
  @media (prefers-color-scheme: light) { text { fill: #24292f } }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
"""


def target(samples, name, what, take, most, unit):
    mine = [one for one in samples if one["what"] == what]
    failures = [one["failure"] for one in mine if "failure" in one]
    values = [one["value"] for one in mine if "value" in one]
    value = round(take(values), 3) if values else None
    row = {"name": name, "target": most, "value": value, "unit": unit, "trials": len(mine),
           "holds": value is not None and value <= most and not failures}
    if failures:
        row["reason"] = "%d of %d trials failed: %s" % (len(failures), len(mine), failures[0])
    elif value is None:
        row["reason"] = "not measured in this run"
    return row


def simulated(path):
    """The targets of the simulated networks: as many of 100 as were connected."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)["targets"]
    except (OSError, ValueError, KeyError):
        found = []
    rows = [{**one, "least": True, "unit": "", "trials": one.get("of", 0)} for one in found if "10 links each" in one["name"] or
            "killed at once" in one["name"]]
    if not rows:
        rows = [{"name": name, "target": 100, "value": None, "holds": False, "least": True, "unit": "", "trials": 0,
                 "reason": "not simulated yet: make sim"} for name in SIMULATED]
    return rows


def show(rows, samples):
    print()
    for row in rows:
        value = "-" if row["value"] is None else "%g %s" % (row["value"], row["unit"])
        verdict = "holds" if row["holds"] else "open" if row["trials"] == 0 else "FAILS"
        print("%-6s %-80s %10s  (at %s %g%s, %d trials)%s" % (
            verdict, row["name"], value.strip(), "least" if row.get("least") else "most", row["target"], (" " + row["unit"]).rstrip(),
            row["trials"], ": " + row["reason"] if row.get("reason") else ""))
    gaps = sorted(one["value"] for one in samples if one["what"] == "gap" and "value" in one)
    if gaps:
        print("\nTraffic gaps, s: " + " ".join("%.2f" % gap for gap in gaps))


def figure(samples, caption):
    """Left: every trial's gap. Right: what arrived around the moment in the trial whose gap is the median."""
    trials = [one for one in samples if one["what"] == "gap" and "value" in one]
    width, height, left, top, bottom = 760, 300, 50, 40, 250
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">' % (width, height, width, height),
             "<title>Traffic gap when a transit node is killed</title>", "<style>%s</style>" % STYLE,
             '<text class="title" x="%d" y="20">Traffic gap when a transit node is killed, s</text>' % left]
    if not trials:
        return "\n".join([*lines, "</svg>", ""])
    most = max(5.5, max(one["value"] for one in trials) * 1.05)
    middle = 430

    def y_of(value):
        return bottom - (bottom - top) * value / most

    for value in range(0, int(most) + 1, 1 if most < 12 else 5):
        lines.append('<text class="small" x="%d" y="%.0f" text-anchor="end">%d</text>' % (left - 8, y_of(value) + 4, value))
    lines.append('<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>' % (left, bottom, middle - 20, bottom))
    lines.append('<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>' % (left, top, left, bottom))
    for value, label in ((2, "median, at most"), (5, "worst, at most")):
        lines.append('<line class="limit" x1="%d" y1="%.0f" x2="%d" y2="%.0f"/>' % (left, y_of(value), middle - 20, y_of(value)))
        lines.append('<text class="small" x="%d" y="%.0f" text-anchor="end">%s</text>' % (middle - 22, y_of(value) - 4, label))
    for i, one in enumerate(trials):
        x = left + 8 + (middle - 40 - left) * (i + 0.5) / len(trials)
        lines.append('<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>%.2f s, %s</title></circle>' % (
            "off" if one.get("how") == "off" else "dot", x, y_of(one["value"]), one["value"], escape(one.get("transit", ""))))
    lines.append('<text class="small" x="%d" y="%d">%d trials: kill -9 (blue); kill -9 and the cable cut (violet)</text>' % (
        left, bottom + 18, len(trials)))
    with_answers = [one for one in trials if one.get("answers")]
    if with_answers:
        typical = sorted(with_answers, key=lambda one: one["value"])[len(with_answers) // 2]
        first, last = -1.0, 5.0
        lines.append('<text class="title" x="%d" y="20">Answers a tenth of a second, the median trial</text>' % middle)
        bins = [0] * 60
        for at in typical["answers"]:
            if first <= at < last:
                bins[int((at - first) * 10)] += 1
        high = max(bins) or 1
        for i, count in enumerate(bins):
            size = (bottom - top) * count / high
            lines.append('<rect class="tick" x="%.1f" y="%.1f" width="4" height="%.1f"/>' % (middle + i * 5, bottom - size, size))
        lines.append('<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>' % (middle, bottom, middle + 300, bottom))
        for second in range(-1, 6):
            lines.append('<text class="small" x="%d" y="%d" text-anchor="middle">%d s</text>' % (middle + (second + 1) * 50, bottom + 16, second))
        lines.append('<line class="limit" x1="%d" y1="%d" x2="%d" y2="%d"/>' % (middle + 50, top, middle + 50, bottom))
    lines.append('<text class="small" x="%d" y="%d">%s</text>' % (left, height - 8, escape(caption)))
    return "\n".join([*lines, "</svg>", ""])


def processor():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        samples = [json.loads(line) for line in file]
    settings = next((one["value"] for one in samples if one["what"] == "settings"), {})
    environment = {"kernel": platform.release(), "cores": os.cpu_count(), "processor": processor(),
                   "load": "%.1f" % os.getloadavg()[1], **settings}
    rows = [target(samples, *one) for one in TARGETS] + simulated(sys.argv[3])
    with open(os.path.join(sys.argv[2], "mesh.json"), "w", encoding="utf-8") as file:
        json.dump({"bench": "mesh", "environment": environment, "targets": rows, "samples": samples}, file, indent=1)
        file.write("\n")
    caption = "%s nodes behind NATs of every kind, in namespaces of one machine with %d cores; default settings" % (
        settings.get("nodes", "?"), os.cpu_count())
    with open(os.path.join(sys.argv[2], "mesh.svg"), "w", encoding="utf-8") as file:
        file.write(figure(samples, caption))
    show(rows, samples)
    return 0


sys.exit(main())
