#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The datapath bench's samples as tables, JSON and a picture.

  datapath_report.py SAMPLES OUTPUT   reads what datapath.sh wrote, prints the tables, writes datapath.json and datapath.svg
  datapath_report.py --figure JSON    prints the picture of a datapath.json

datapath.json has `environment`, `subjects` and `targets`. A subject has its `state` (measured, failed, not installed, not built) with
the `reason`, `samples` by measure and round, `medians` with least and most, and its ratios to the bare veth and to the best peer; a
target has `name`, `target`, `value`, `holds`, and the `reason` when there is no value. Rates are bits or packets a second, times
milliseconds, memory KiB.
"""

import json
import os
import statistics
import sys
from xml.sax.saxutils import escape

# Measures: key, title, unit, what a sample is divided by for the table, decimals there, and whether more is better.
MEASURES = [
    ("tcp1", "1 stream", "Gbit/s", 1e9, 2, True),
    ("tcp4", "4 streams", "Gbit/s", 1e9, 2, True),
    ("both", "both ways", "Gbit/s", 1e9, 2, True),
    ("udp128", "UDP 128", "kpps", 1e3, 1, True),
    ("udp1280", "UDP 1280", "kpps", 1e3, 1, True),
    ("latency", "ping", "ms", 1, 3, False),
    ("latency_added", "added", "ms", 1, 3, False),
    ("latency_p99", "ping p99", "ms", 1, 2, False),
    ("idle_cpu", "idle", "% core", 1, 2, False),
    ("cpu_per_gigabit", "CPU", "s/Gbit", 1, 3, False),
    ("memory", "memory", "MiB", 1024, 1, False),
]
RATIOS = ["tcp1", "tcp4", "both", "udp128", "udp1280"]
# Its packets are 44 times as long as an Ethernet's: what it saves, nobody who forwards packets can.
NORMAL_MTU = 1500
FAILED = "failed"


def read_lines(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


def load(directory):
    """What the bench wrote: the environment, and the subjects with their samples by measure and round."""
    environment = dict(line.split("=", 1) for line in read_lines(directory, "environment"))
    for key in ("cores", "memory_mib", "rounds", "seconds", "idle_seconds", "took_seconds", "udp_segments_128",
                "udp_segments_1280"):
        environment[key] = int(environment[key])
    for key in ("virtual", "quick"):
        environment[key] = environment[key] == "yes"
    subjects = {}
    for line in read_lines(directory, "subjects"):
        name, kind, version, label, missing = line.split("\t")
        subjects[name] = {"name": name, "label": label, "kind": kind, "version": version, "mtu": None,
                          "state": missing.split(":")[0] if missing else "measured", "reason": missing,
                          "failures": [], "samples": {}}
        path = os.path.join(directory, "status." + name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                subjects[name]["client_status"] = json.load(file)
    for line in read_lines(directory, "samples"):
        number, name, measure, value = line.split("\t")
        subject = subjects[name]
        if measure == "mtu":
            subject["mtu"] = int(value) if value else None
        elif measure.startswith("udp"):
            flow = json.loads(value)
            put(subject, measure, number, flow["pps"])
            subject.setdefault("udp_details", {}).setdefault(measure, []).append(flow)
        elif measure == "latency":
            median, high = value.split()
            put(subject, "latency", number, float(median))
            put(subject, "latency_p99", number, float(high))
        else:
            put(subject, measure, number, float(value))
    for line in read_lines(directory, "failures"):
        number, name, measure, reason = line.split("\t")
        subjects[name]["failures"].append({"round": int(number), "measure": measure, "reason": reason.strip()})
    for subject in subjects.values():
        if subject["state"] == "measured" and not subject["samples"].get("tcp1"):
            subject["state"] = FAILED
            subject["reason"] = subject["failures"][0]["reason"] if subject["failures"] else "no sample"
    return environment, list(subjects.values())


def put(subject, measure, number, value):
    subject["samples"].setdefault(measure, {})[int(number)] = value


def add_latency_of_the_cable(subjects):
    """How much longer a ping takes under load than over the bare cable under the same load, in the same round."""
    cable = find(subjects, "none")
    if not cable:
        return
    for subject in subjects:
        for number, value in subject["samples"].get("latency", {}).items():
            base = cable["samples"].get("latency", {}).get(number)
            if base is not None and subject is not cable:
                put(subject, "latency_added", number, value - base)


def find(subjects, name):
    return next((subject for subject in subjects if subject["name"] == name), None)


def median(subject, measure):
    samples = subject["samples"].get(measure) if subject else None
    return statistics.median(samples.values()) if samples else None


def ratio(subject, other, measure):
    """The median of the rounds' ratios: both were measured within a round, so what slows a round down slows both."""
    if not subject or not other:
        return None
    mine, theirs = subject["samples"].get(measure, {}), other["samples"].get(measure, {})
    ratios = [mine[number] / theirs[number] for number in mine if theirs.get(number)]
    return statistics.median(ratios) if ratios else None


def best(subjects, measure, more_is_better=True):
    known = [subject for subject in subjects if median(subject, measure) is not None]
    if not known:
        return None
    return (max if more_is_better else min)(known, key=lambda subject: median(subject, measure))


def peers_of(subjects):
    return [subject for subject in subjects if subject["kind"] == "peer"]


def summarise(subjects):
    for subject in subjects:
        subject["medians"] = {}
        for measure, samples in subject["samples"].items():
            values = list(samples.values())
            subject["medians"][measure] = {"median": statistics.median(values), "min": min(values), "max": max(values),
                                           "rounds": len(values)}
        subject["ratio_to_none"] = {m: ratio(subject, find(subjects, "none"), m) for m in RATIOS}
        subject["ratio_to_best_peer"] = {m: ratio(subject, best(peers_of(subjects), m), m) for m in RATIOS}


# --- Targets ---


def why_missing(subject, name):
    if not subject:
        return "%s was not measured" % name
    if subject["state"] != "measured":
        return "%s: %s" % (subject["label"], subject["reason"])
    return "%s has no sample" % subject["label"]


def ratio_target(subjects, name, mine, other, other_name, measure, target):
    subject = find(subjects, mine)
    value = ratio(subject, other, measure)
    reason = ""
    if value is None:
        reason = why_missing(subject, mine) if median(subject, measure) is None else why_missing(other, other_name)
    return {"name": name, "target": target, "value": value, "holds": value is not None and value >= target,
            "comparison": "at least", "against": other["label"] if other else other_name, "reason": reason}


def latency_target(subjects, name, mine):
    subject = find(subjects, mine)
    value = median(subject, "latency_added")
    other = best(peers_of(subjects), "latency_added", more_is_better=False)
    target = median(other, "latency_added")
    reason = ""
    if value is None:
        reason = why_missing(subject, mine)
    elif target is None:
        reason = why_missing(other, "a peer")
    return {"name": name, "target": target, "value": value, "holds": None not in (value, target) and value < target,
            "comparison": "below", "unit": "ms", "against": other["label"] if other else "every peer", "reason": reason}


def targets(subjects):
    peers = peers_of(subjects)
    normal = best([peer for peer in peers if peer["mtu"] and peer["mtu"] <= NORMAL_MTU], "tcp1")
    packets = best(peers, "udp128")
    none = find(subjects, "none")
    return [
        ratio_target(subjects, "plain v6udpv4, one TCP stream, of the bare veth", "plain", none, "none", "tcp1", 0.40),
        ratio_target(subjects, "plain v6udpv4, one TCP stream, times the fastest peer with a normal MTU", "plain", normal,
                     "a peer with a normal MTU", "tcp1", 9),
        ratio_target(subjects, "wireguard, one TCP stream, of the bare veth", "wireguard", none, "none", "tcp1", 0.20),
        ratio_target(subjects, "wireguard, one TCP stream, times wireguard-go", "wireguard", find(subjects, "wireguard-go"),
                     "wireguard-go", "tcp1", 6),
        ratio_target(subjects, "wireguard, one TCP stream, times yggdrasil", "wireguard", find(subjects, "yggdrasil"), "yggdrasil",
                     "tcp1", 1.8),
        ratio_target(subjects, "plain v6udpv4, UDP of 128 bytes, times the best peer", "plain", packets, "a peer", "udp128", 2),
        ratio_target(subjects, "wireguard, UDP of 128 bytes, times the best peer", "wireguard", packets, "a peer", "udp128", 2),
        latency_target(subjects, "plain v6udpv4, latency added under load, below every peer's", "plain"),
        latency_target(subjects, "wireguard, latency added under load, below every peer's", "wireguard"),
    ]


# --- Tables ---


def cell(subject, measure, divisor, decimals):
    entry = subject["medians"].get(measure)
    if not entry:
        return "-"
    text = "%.*f" % (decimals, entry["median"] / divisor)
    if entry["rounds"] > 1 and entry["median"] > 0:
        spread = 50 * (entry["max"] - entry["min"]) / entry["median"]
        text += " ±%2.0f%%" % spread if spread < 1000 else " ±>9x"
    return text


def print_table(heads, rows):
    widths = [max(len(row[i]) for row in [*heads, *rows]) for i in range(len(heads[0]))]
    for row in [*heads, ["-" * width for width in widths], *rows]:
        print("  ".join(text.ljust(width) if i == 0 else text.rjust(width) for i, (text, width) in enumerate(zip(row, widths))).rstrip())


def print_medians(subjects, keys, title):
    chosen = [measure for measure in MEASURES if measure[0] in keys]
    print("\n%s\n" % title)
    heads = [["", *(measure[1] for measure in chosen)], ["", *(measure[2] for measure in chosen)]]
    print_table(heads, [[subject["label"], *(cell(subject, key, divisor, decimals) for key, _, _, divisor, decimals, _ in chosen)]
                        for subject in subjects if subject["state"] == "measured"])


def print_ratios(subjects):
    print("\nRatios, the medians of the rounds': of the bare veth / of the best peer\n")
    titles = {measure[0]: measure[1] for measure in MEASURES}
    rows = []
    for subject in subjects:
        if subject["state"] == "measured":
            rows.append([subject["label"], *("%s / %s" % (number(subject["ratio_to_none"][m]), number(subject["ratio_to_best_peer"][m]))
                                             for m in RATIOS)])
    print_table([["", *(titles[m] for m in RATIOS)]], rows)


def number(value):
    return "-" if value is None else "%.2f" % value


def print_targets(rows):
    print("\nTargets\n")
    table = []
    for row in rows:
        unit = " " + row["unit"] if "unit" in row else ""
        wanted = "-" if row["target"] is None else "%s %.*f%s" % (row["comparison"], 3 if unit else 2, row["target"], unit)
        value = "-" if row["value"] is None else "%.*f%s" % (3 if unit else 2, row["value"], unit)
        table.append([row["name"], wanted, value, "yes" if row["holds"] else "no"])
    print_table([["what", "target", "value", "holds"]], table)
    for reason in dict.fromkeys(row["reason"] for row in rows if row["reason"]):
        print("no figure: %s" % reason)


def print_failures(subjects):
    for subject in subjects:
        if subject["state"] != "measured":
            print("%s: %s%s" % (subject["label"], "failed: " if subject["state"] == FAILED else "", subject["reason"]))
        elif subject["failures"]:
            first = subject["failures"][0]
            print("%s: %d failed measurements, the first in round %d, %s: %s" % (
                subject["label"], len(subject["failures"]), first["round"], first["measure"], first["reason"]))


def machine(environment):
    text = "%s, %d core%s of %s" % (environment["kernel"], environment["cores"], "s" if environment["cores"] != 1 else "",
                                    environment["processor"] or environment["architecture"])
    return text + (" (a virtual machine)" if environment["virtual"] else "")


def was_busy(environment):
    return float(environment["load_before"].split()[0]) > environment["cores"] / 2


def print_report(environment, subjects, target_rows):
    print("\n%s; load %s before, %s after" % (machine(environment), environment["load_before"], environment["load_after"]))
    print("%d rounds of %d s a measurement, %d s in all; both ends on these cores" %
          (environment["rounds"], environment["seconds"], environment["took_seconds"]))
    if was_busy(environment):
        print("The machine was busy with something else before it began: these figures are not what it can do.")
    print_medians(subjects, ("tcp1", "tcp4", "both", "udp128", "udp1280"), "Throughput: medians, ± half of the range")
    print_medians(subjects, ("latency", "latency_added", "latency_p99", "idle_cpu", "cpu_per_gigabit", "memory"),
                  "Ping while one stream runs; what it adds to the bare veth's; both ends' processor time and memory")
    print_ratios(subjects)
    print()
    print_failures(subjects)
    print_targets(target_rows)


# --- The picture ---

# Without a preference, or where nobody asks for one: grey that can be read on white and on black.
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #768390 }
  .small { font-size: 10.5px }
  .title { font-weight: 600 }
  .ours { fill: #2f81f7 } .peer { fill: #8c959f } .limit, .bound { fill: #768390; opacity: 0.45 }
  @media (prefers-color-scheme: light) { text { fill: #24292f } .small { fill: #57606a } .ours { fill: #0969da } }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #8d96a0 } .peer { fill: #6e7681 } }
"""
PANELS = [("tcp1", "One TCP stream, Gbit/s", 1e9, 2), ("udp128", "UDP of 128 bytes, 1,000/s", 1e3, 0),
          ("latency", "Ping under load, ms", 1, 2)]
NAMES, PANEL, ROW, TOP, BAR = 205, 225, 20, 34, 13


def draw_bar(lines, x, y, subject, measure, scale, divisor, decimals):
    entry = subject["medians"].get(measure)
    if not entry:
        lines.append('<text class="small" x="%d" y="%d">-</text>' % (x, y + 11))
        return
    width = max(1.0, (PANEL - 70) * entry["median"] / scale)
    lines.append('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>' % (subject["kind"], x, y, width, BAR))
    lines.append('<text class="small" x="%.1f" y="%d">%.*f</text>' % (x + width + 5, y + 10, decimals, entry["median"] / divisor))


def figure(report):
    environment = report["environment"]
    shown = [subject for subject in report["subjects"] if subject["state"] == "measured"]
    width, height = NAMES + PANEL * len(PANELS), TOP + ROW * len(shown) + 44
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">' % (width, height, width, height),
             "<title>sixlink's datapath beside other tunnels</title>", "<style>%s</style>" % STYLE]
    for i, (measure, title, divisor, decimals) in enumerate(PANELS):
        x = NAMES + i * PANEL
        lines.append('<text class="title" x="%d" y="18">%s</text>' % (x, escape(title)))
        known = [subject["medians"][measure]["median"] for subject in shown if measure in subject["medians"]]
        for row, subject in enumerate(shown):
            draw_bar(lines, x, TOP + row * ROW, subject, measure, max(known, default=1) or 1, divisor, decimals)
    for row, subject in enumerate(shown):
        lines.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (NAMES - 10, TOP + row * ROW + 11, escape(subject["label"])))
    captions = ["%s, %s" % (environment["date"][:10], machine(environment)),
                "Both ends on the same cores; medians of %d rounds%s" % (
                    environment["rounds"], ", while the machine was busy with something else" if was_busy(environment) else "")]
    for row, caption in enumerate(captions):
        lines.append('<text class="small" x="10" y="%d">%s</text>' % (height - 22 + 14 * row, escape(caption)))
    return "\n".join([*lines, "</svg>", ""])


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    if sys.argv[1] == "--figure":
        with open(sys.argv[2], encoding="utf-8") as file:
            print(figure(json.load(file)), end="")
        return 0
    environment, subjects = load(sys.argv[1])
    add_latency_of_the_cable(subjects)
    summarise(subjects)
    report = {"bench": "datapath", "environment": environment, "subjects": subjects, "targets": targets(subjects)}
    with open(os.path.join(sys.argv[2], "datapath.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1, ensure_ascii=False)
        file.write("\n")
    with open(os.path.join(sys.argv[2], "datapath.svg"), "w", encoding="utf-8") as file:
        file.write(figure(report))
    print_report(environment, subjects, report["targets"])
    return 0


sys.exit(main())
