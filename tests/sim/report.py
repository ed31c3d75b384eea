#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the simulation measured as tables, JSON and pictures.

  report.py RUNS OUTPUT SEEDS TARGET   reads RUNS/*.json (a line each, of `sim measure` and `sim seed`), prints the tables, writes
                                       OUTPUT/sim.json and OUTPUT/*.svg; SEEDS networks of TARGET nodes were wanted

sim.json has `networks` (one per size, as measured), `seeds` (of the networks that were only joined and thinned) and `targets`: each
with `name`, `target`, `value`, `holds`, and the `reason` when there is no value. Times are seconds of the simulated clock.
"""

import glob
import json
import os
import statistics
import sys
from xml.sax.saxutils import escape


# Of networks that are only joined and thinned: fewer say less than was asked for.
TARGET_SEEDS = 100


def load(directory, kind):
    runs = []
    for path in glob.glob(os.path.join(directory, kind + "-*.json")):
        with open(path, encoding="utf-8") as file:
            runs.append(json.load(file))
    return sorted(runs, key=lambda run: (run["nodes"], run["seed"]))


def load_skipped(directory):
    texts = []
    for path in sorted(glob.glob(os.path.join(directory, "*.skipped"))):
        with open(path, encoding="utf-8") as file:
            texts.append(file.read().strip("# \n"))
    return texts


# --- Tables ---


def print_table(heads, rows):
    widths = [max(len(row[i]) for row in [*heads, *rows]) for i in range(len(heads[0]))]
    for row in [*heads, ["-" * width for width in widths], *rows]:
        print("  ".join(text.ljust(width) if i == 0 else text.rjust(width) for i, (text, width) in enumerate(zip(row, widths))).rstrip())


def text(value, decimals=1, none="never"):
    if value is None:
        return none
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "%.*f" % (decimals, value)


def percent(part):
    return "%.6g %%" % (100 * part)


def get(run, *path):
    for name in path:
        if run is None:
            return None
        run = run.get(name)
    return run


def print_networks(networks):
    print("\nNetworks\n")
    heads = [["nodes", "connected", "99 %", "all", "diameter", "mean path", "stretch", "of sums", "links", "begun", "control", "control"],
             ["", "", "s", "s", "hops", "hops", "median", "", "least..mean..most", "mean", "B/s a node", "1/s a node"]]
    rows = []
    for run in networks:
        shape = run["shape"]
        rows.append(["{:,}".format(run["nodes"]), text(shape["connected"]), text(run["join"]["s_99"]), text(run["join"]["s_100"]),
                     ("" if shape["is_exact"] else ">=") + str(shape["diameter"]), text(shape["mean_hops"], 2),
                     text(shape["stretch_median"], 2), text(shape["stretch_of_sums"], 2),
                     "%d..%.1f..%d" % (shape["links_least"], shape["links_mean"], shape["links_most"]), text(shape["links_begun"]),
                     text(run["rest"]["control_bytes"], 0), text(run["rest"]["control_datagrams"])])
    print_table(heads, rows)

    print("\nAfter a part died at once: seconds until the rest is one component (its largest part at once), until no link leads to the dead,\n"
          "and until nodes have their links again\n")
    rows = []
    for run in networks:
        row = ["{:,}".format(run["nodes"])]
        for part in (10, 30, 50):
            lost = run.get("lose_%d" % part)
            row.append("-" if not lost else "%s (%s), %s, %s" % (text(lost["one_component_s"]), percent(lost["largest_at_once"]),
                                                                  text(lost["dead_links_gone_s"]), text(lost["links_back_s"])))
        rows.append(row)
    print_table([["nodes", "10 %", "30 %", "50 %"]], rows)

    print("\nSeconds until a revocation reached 99 and 100 %, until the node had no link; until one component after everybody restarted without\n"
          "the registry, and after two halves that had been apart for two minutes heard each other again\n")
    rows = []
    for run in networks:
        row = ["{:,}".format(run["nodes"])]
        for path in (("revoke", "s_99"), ("revoke", "s_100"), ("revoke", "links_cut_s"), ("restart", "s_99"), ("restart", "s_100"),
                     ("partition", "one_component_s")):
            row.append(text(get(run, *path), 2, "never" if run.get(path[0]) else "-"))
        rows.append(row)
    print_table([["nodes", "99 %", "100 %", "links cut", "restart 99 %", "all", "healed"]], rows)

    print("\nWhat it took\n")
    rows = [["{:,}".format(run["nodes"]), "%.0f" % run["virtual_s"], "%.0f" % run["processor_s"], "%.0f" % run["wall_s"],
             "%.0f" % (run["memory_bytes"] / 2**20), "%.0f" % (run["memory_bytes"] / 1024 / run["nodes"]), "{:,}".format(run["events"])]
            for run in networks]
    print_table([["nodes", "simulated", "processor", "real", "memory", "a node", "events"], ["", "s", "s", "s", "MiB", "KiB", ""]], rows)


def print_seeds(seeds, wanted, nodes):
    if not seeds:
        return
    joined = [run["join"]["s_100"] for run in seeds]
    at_once = [run["lose_30"]["largest_at_once"] for run in seeds]
    after = [run["lose_30"]["one_component_s"] for run in seeds]
    print("\n{:,} networks of {:,} nodes, of {:,} wanted".format(len(seeds), nodes, wanted))
    print("connected: %d; seconds until all were, median %s, most %s" % (
        sum(run["join"]["connected"] for run in seeds), middle(joined), largest(joined)))
    print("after 30 %% died: one component in %d; at once %s of the rest in the smallest case; seconds until all, most %s" % (
        sum(value is not None for value in after), percent(min(at_once)), largest(after)))


def middle(values):
    known = [value for value in values if value is not None]
    return text(statistics.median(known)) if known else "-"


def largest(values):
    return "never" if None in values else text(max(values))


# --- Targets ---


def targets(networks, seeds, nodes):
    connected = sum(run["join"]["connected"] for run in seeds)
    whole = sum(run["lose_30"]["one_component_s"] is not None for run in seeds)
    enough = len(seeds) >= TARGET_SEEDS
    few = "" if enough else "only %d of %d networks were simulated" % (len(seeds), TARGET_SEEDS)
    broken = [rule for run in networks for rule in all_broken(run)] + [rule for run in seeds for rule in run["broken_rules"]]
    rows = [
        {"name": "{:,} nodes, 10 links each: connected, of the seeds simulated".format(nodes), "target": TARGET_SEEDS,
         "value": connected, "of": len(seeds), "holds": enough and connected == len(seeds), "reason": few},
        {"name": "{:,} nodes, 30 % killed at once: the rest stays or becomes one component, of the seeds".format(nodes),
         "target": TARGET_SEEDS, "value": whole, "of": len(seeds), "holds": enough and whole == len(seeds), "reason": few},
        {"name": "rules that a node broke", "target": 0, "value": len(broken), "holds": not broken and bool(networks or seeds),
         "reason": "; ".join(broken[:5])},
    ]
    return rows


def all_broken(run):
    found = list(run["broken_rules"])
    for part in run.values():
        if isinstance(part, dict):
            found += part.get("broken_rules", [])
    return found


def print_targets(rows):
    print("\nTargets\n")
    print_table([["what", "target", "value", "holds"]],
                [[row["name"], str(row["target"]), "%s of %s" % (row["value"], row["of"]) if "of" in row else str(row["value"]),
                  text(row["holds"])] for row in rows])
    for row in rows:
        if row["reason"]:
            print("%s: %s" % (row["name"], row["reason"]))


# --- Pictures ---

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #768390 }
  .small { font-size: 10.5px }
  .title { font-weight: 600 }
  .axis { stroke: #768390; stroke-width: 1 } .grid { stroke: #768390; stroke-width: 0.5; opacity: 0.3 }
  .line { fill: none; stroke-width: 2 }
  @media (prefers-color-scheme: light) { text { fill: #24292f } .small { fill: #57606a } }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #8d96a0 } }
"""
COLOURS = ["#2f81f7", "#db6d28", "#3fb950", "#a371f7", "#e5534b"]
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 360, 250, 56, 34, 16, 62


def nice_step(top):
    step = 10 ** (len(str(int(max(top, 1)))) - 1)
    while top / step > 5:
        step *= 2
    while top / step < 3:
        step /= 2
    return step


class Panel:
    """One diagram: x are labels or numbers, from left to right; y begins at 0."""

    def __init__(self, x, y, title, unit, least, most, top):
        self.x, self.y, self.unit = x, y, unit
        self.least, self.most, self.top = least, max(most, least + 1), top or 1
        self.lines = ['<text class="title" x="%d" y="%d">%s</text>' % (x + 10, y + 18, escape(title))]
        step = nice_step(self.top)
        value = 0
        while value <= self.top * 1.001:
            at = self.at(self.least, value)[1]
            self.lines.append('<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>' % (x + LEFT, x + WIDTH - RIGHT, at, at))
            self.lines.append('<text class="small" x="%.1f" y="%.1f" text-anchor="end">%g</text>' % (x + LEFT - 6, at + 4, value))
            value += step
        bottom = y + HEIGHT - BOTTOM
        self.lines.append('<line class="axis" x1="%d" x2="%d" y1="%d" y2="%d"/>' % (x + LEFT, x + WIDTH - RIGHT, bottom, bottom))

    def at(self, x, y):
        return (self.x + LEFT + (WIDTH - LEFT - RIGHT) * (x - self.least) / (self.most - self.least),
                self.y + TOP + (HEIGHT - TOP - BOTTOM) * (1 - y / self.top))

    def label(self, x, label):
        self.lines.append('<text class="small" x="%.1f" y="%d" text-anchor="middle">%s</text>' % (
            self.at(x, 0)[0], self.y + HEIGHT - BOTTOM + 16, escape(label)))

    def curve(self, points, colour, dots):
        points = [self.at(x, y) for x, y in points if y is not None]
        if not points:
            return
        self.lines.append('<polyline class="line" stroke="%s" points="%s"/>' % (colour, " ".join("%.1f,%.1f" % point for point in points)))
        if dots:
            self.lines += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (*point, colour) for point in points]

    def legend(self, names):
        x = self.x + LEFT
        for name, colour in names:
            self.lines.append('<rect x="%d" y="%d" width="10" height="10" rx="2" fill="%s"/>' % (x, self.y + HEIGHT - 30, colour))
            self.lines.append('<text class="small" x="%d" y="%d">%s</text>' % (x + 14, self.y + HEIGHT - 21, escape(name)))
            x += 26 + 6 * len(name)


def over_sizes(x, y, title, networks, curves):
    """Curves over the number of nodes: (name, function of a run)."""
    values = [value for _, of in curves for value in map(of, networks) if value is not None]
    panel = Panel(x, y, title, "", 0, len(networks) - 1, max(values, default=1) * 1.05)
    for i, run in enumerate(networks):
        panel.label(i, "{:,}".format(run["nodes"]))
    for (name, of), colour in zip(curves, COLOURS):
        panel.curve([(i, of(run)) for i, run in enumerate(networks)], colour, True)
    panel.legend([(name, colour) for (name, _), colour in zip(curves, COLOURS)])
    return panel.lines


def links_panel(x, y, networks):
    shares = [(run, [100 * count / max(1, run["shape"]["alive"]) for count in run["shape"]["links_per_node"]]) for run in networks]
    most = max((len(share) for _, share in shares), default=1)
    panel = Panel(x, y, "Nodes with so many links, %", "", 0, most, max((max(share) for _, share in shares), default=1) * 1.05)
    for links in range(0, most + 1, 5):
        panel.label(links, str(links))
    for (run, share), colour in zip(shares, COLOURS):
        panel.curve(list(enumerate(share)), colour, False)
    panel.legend([("{:,}".format(run["nodes"]), colour) for (run, _), colour in zip(shares, COLOURS)])
    return panel.lines


def connected_panel(x, y, networks, seeds):
    """Probability of being connected: by size, from all runs of it, before and after the loss of a part."""
    def probability(values):
        values = [value for value in values if value is not None]
        return 100 * sum(values) / len(values) if values else None

    def of(run, which):
        same = [seed for seed in seeds if seed["nodes"] == run["nodes"]]
        if which == 0:
            return probability([run["shape"]["connected"]] + [seed["join"]["connected"] for seed in same])
        found = [get(run, "lose_%d" % which)] + ([seed["lose_30"] for seed in same] if which == 30 else [])
        return probability([lost["one_component_s"] is not None for lost in found if lost])

    return over_sizes(x, y, "Connected, % of networks", networks,
                      [("whole", lambda run: of(run, 0))] +
                      [("-%d %%" % part, lambda run, part=part: of(run, part)) for part in (10, 30, 50)])


def figure(networks, seeds):
    panels = [
        lambda x, y: connected_panel(x, y, networks, seeds),
        lambda x, y: over_sizes(x, y, "Hops", networks, [("diameter", lambda run: run["shape"]["diameter"]),
                                                         ("mean path", lambda run: run["shape"]["mean_hops"])]),
        lambda x, y: over_sizes(x, y, "Round trip, times the direct one", networks,
                                [("median", lambda run: run["shape"]["stretch_median"]), ("90 %", lambda run: run["shape"]["stretch_90"]),
                                 ("of sums", lambda run: run["shape"]["stretch_of_sums"])]),
        lambda x, y: links_panel(x, y, networks),
        lambda x, y: over_sizes(x, y, "Control, bytes a node and second", networks,
                                [("at rest", lambda run: run["rest"]["control_bytes"])]),
        lambda x, y: over_sizes(x, y, "Join: seconds until connected", networks,
                                [("99 %", lambda run: run["join"]["s_99"]), ("all", lambda run: run["join"]["s_100"])]),
        lambda x, y: over_sizes(x, y, "A part dies: s until no link leads to it", networks,
                                [("-%d %%" % part, lambda run, part=part: get(run, "lose_%d" % part, "dead_links_gone_s"))
                                 for part in (10, 30, 50)]),
        lambda x, y: over_sizes(x, y, "Revocation: seconds until known", networks,
                                [("99 %", lambda run: get(run, "revoke", "s_99")), ("all", lambda run: get(run, "revoke", "s_100")),
                                 ("links cut", lambda run: get(run, "revoke", "links_cut_s"))]),
        lambda x, y: over_sizes(x, y, "All restart, no registry: s until connected", networks,
                                [("99 %", lambda run: get(run, "restart", "s_99")), ("all", lambda run: get(run, "restart", "s_100"))]),
    ]
    columns = 3
    rows = (len(panels) + columns - 1) // columns
    width, height = columns * WIDTH, rows * HEIGHT
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">' % (width, height, width, height),
             "<title>Simulated networks</title>", "<style>%s</style>" % STYLE]
    for i, panel in enumerate(panels):
        lines += panel(i % columns * WIDTH, i // columns * HEIGHT)
    return "\n".join([*lines, "</svg>", ""])


def main():
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    networks, seeds = load(sys.argv[1], "measure"), load(sys.argv[1], "seed")
    wanted, nodes = int(sys.argv[3]), int(sys.argv[4])
    seeds = [run for run in seeds if run["nodes"] == nodes]
    skipped = load_skipped(sys.argv[1])
    rows = targets(networks, seeds, nodes)
    report = {"bench": "sim", "networks": networks, "seeds": seeds, "skipped": skipped, "targets": rows}
    with open(os.path.join(sys.argv[2], "sim.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1, ensure_ascii=False)
        file.write("\n")
    if networks:
        with open(os.path.join(sys.argv[2], "sim.svg"), "w", encoding="utf-8") as file:
            file.write(figure(networks, seeds))
        print_networks(networks)
    print_seeds(seeds, wanted, nodes)
    for line in skipped:
        print(line)
    print_targets(rows)
    return 0


sys.exit(main())
