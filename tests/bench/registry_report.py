#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What registry.sh measured, as a table and as JSON: registry_report.py SAMPLES OUTPUT STATE. Each line of SAMPLES is a JSON object
with what, round, tunnels and value; STATE is where the database was."""

import json
import os
import platform
import statistics
import sys
import tempfile
import time

SESSIONS_A_SECOND = 5000
BYTES_A_TUNNEL = 1024
BYTES_A_WIREGUARD_TUNNEL = 4096
LEAST_SHARE = {10000: 0.9, 100000: 0.8}


def disk_ms(directory):
    """Median of what it takes to write and sync 4 KiB."""
    took = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(50):
            start = time.monotonic()
            file.seek(0)
            file.write(os.urandom(4096))
            file.flush()
            os.fdatasync(file.fileno())
            took.append((time.monotonic() - start) * 1000)
    return round(statistics.median(took), 3)


def file_system(directory):
    """The type of the file system that the directory is on."""
    best = ("", "unknown")
    path = os.path.realpath(directory)
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, point, kind = line.split()[:3]
            if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": values}


def sessions(samples, method):
    """The rates and times of all rounds with that method."""
    loads = [one["value"] for one in samples if one["what"] == "sessions_" + method]
    calm = [one["value"] for one in samples if one["what"] == "calm_" + method]
    status = [one["value"] for one in samples if one["what"] == "status_" + method]
    return {
        "per_second": spread([one["sessions_per_second"] for one in loads]),
        "session_ms": {name: statistics.median(one["session_ms"][name] for one in loads) for name in ("p50", "p99")},
        "calm_session_ms": {name: statistics.median(one["session_ms"][name] for one in calm) for name in ("p50", "p99")},
        "sent_again": sum(one["sent_again"] for one in loads),
        "leases_a_write": round(statistics.median(one["leases_written"] / max(1, one["writes"]) for one in status), 1),
        "write_ms": round(statistics.median(one["write_ms"] for one in status), 2),
        "longest_write_ms": round(max(one["longest_write_ms"] for one in status), 1),
    }


def busy_tunnel(samples):
    """By number of tunnels: throughput, its share of the least number's, memory."""
    result = {}
    for one in samples:
        entry = result.setdefault(one["tunnels"], {}) if one["tunnels"] else {}
        if one["what"] == "throughput":
            entry.setdefault("rates", []).append(one["value"])
        elif one["what"] == "memory":
            entry["bytes_a_tunnel"] = round(one["value"]["kib"] * 1024 / one["value"]["tunnels"])
        elif one["what"] == "established":
            entry["established_per_second"] = one["value"]["sessions_per_second"]
            entry["answered"] = one["value"]["pings_answered"]
        elif one["what"] == "idle":
            entry["idle_percent_of_core"] = round(one["value"]["cpu_ms"] / one["value"]["seconds"] / 10, 2)
        elif one["what"] == "start":
            entry["start_ms"] = one["value"]
        elif one["what"] == "found_again":
            entry["leases_after_restart"] = one["value"]["leases"]
    alone = result[min(result)]["rates"]
    for entry in result.values():
        rates = entry.pop("rates")
        entry["bits_per_second"] = spread(rates)
        # Round by round, so that what disturbed one round disturbs both alike.
        entry["share"] = round(statistics.median(rate / base for rate, base in zip(rates, alone)), 3)
    return result


def wireguard(samples):
    """Tunnels of that mode: how many answered, and the memory of each."""
    result = {}
    for one in samples:
        if one["what"] == "wireguard":
            result["tunnels"] = one["value"]["sessions"]
            result["answered"] = one["value"]["pings_answered"]
            result["established_per_second"] = one["value"]["sessions_per_second"]
        elif one["what"] == "wireguard_memory":
            result["bytes_a_tunnel"] = round(one["value"]["kib"] * 1024 / one["value"]["tunnels"])
    return result


def targets(anonymous, tunnels, encrypted):
    found = [{"name": "TSP sessions a second, anonymous, one core, durable leases", "target": SESSIONS_A_SECOND,
              "value": anonymous["per_second"]["median"], "holds": anonymous["per_second"]["median"] >= SESSIONS_A_SECOND}]
    for count, least in LEAST_SHARE.items():
        entry = tunnels.get(count)
        share = entry["share"] if entry else None
        size = entry.get("bytes_a_tunnel") if entry else None
        found.append({"name": "throughput of one tunnel among %d, of alone" % count, "target": least, "value": share,
                      "holds": share is not None and share >= least})
        found.append({"name": "bytes of memory a plain tunnel, %d of them, at most" % count, "target": BYTES_A_TUNNEL, "value": size,
                      "holds": size is not None and size <= BYTES_A_TUNNEL})
    # Memory of those without a session would be something else.
    is_whole = encrypted.get("answered", 0) >= encrypted.get("tunnels", 1)
    size = encrypted.get("bytes_a_tunnel") if is_whole else None
    found.append({"name": "bytes of memory a WireGuard tunnel, %d of them, at most" % encrypted.get("tunnels", 0),
                  "target": BYTES_A_WIREGUARD_TUNNEL, "value": size, "holds": size is not None and size <= BYTES_A_WIREGUARD_TUNNEL})
    for one in found:
        if one["value"] is None:
            one["reason"] = "not measured in this run"
    return found


def show(report):
    environment = report["environment"]
    print("Registry: %(kernel)s, %(cores)s cores, load %(load)s, %(file_system)s, %(disk_sync_ms)s ms a sync" % environment)
    if environment["file_system"] in ("tmpfs", "ramfs"):
        print("The database was in memory: nothing was durable, and the sessions' figures mean nothing. Set BENCH_STATE.")
    print()
    print("%-12s %12s %18s %20s %20s %8s %9s" % ("sessions", "a second", "least to most", "1000 at once, ms", "20 at once, ms", "a write",
                                                  "ms each"))
    for method, one in report["sessions"].items():
        rate = one["per_second"]
        print("%-12s %12.0f %18s %20s %20s %8.1f %9.2f" % (
            method, rate["median"], "%.0f to %.0f" % (rate["least"], rate["most"]),
            "%.0f, p99 %.0f" % (one["session_ms"]["p50"], one["session_ms"]["p99"]),
            "%.1f, p99 %.1f" % (one["calm_session_ms"]["p50"], one["calm_session_ms"]["p99"]), one["leases_a_write"], one["write_ms"]))
    print()
    print("%-12s %12s %18s %8s %14s" % ("tunnels", "Gbit/s", "least to most", "share", "bytes a tunnel"))
    for count, one in report["tunnels"].items():
        rate = one["bits_per_second"]
        print("%-12s %12.2f %18s %8.2f %14s" % (count, rate["median"] / 1e9,
                                                "%.2f to %.2f" % (rate["least"] / 1e9, rate["most"] / 1e9), one["share"],
                                                one.get("bytes_a_tunnel", "")))
        if "start_ms" in one:
            print("%-12s started again in %d ms with %d leases%s" % (
                "", one["start_ms"], one["leases_after_restart"],
                ", at rest %.2f %% of a core" % one["idle_percent_of_core"] if "idle_percent_of_core" in one else ""))
    one = report["wireguard"]
    if one:
        print("WireGuard    %d tunnels, %d answered, %d bytes each" % (one["tunnels"], one["answered"], one["bytes_a_tunnel"]))
    print()
    for one in report["targets"]:
        value = one.get("reason") or one["value"]
        verdict = "holds" if one["holds"] else "FAILS" if one["value"] is not None else "open"
        print("%-7s %s: %s (target %s)" % (verdict, one["name"], value, one["target"]))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        samples = [json.loads(line) for line in file]
    anonymous = sessions(samples, "anonymous")
    tunnels = busy_tunnel(samples)
    encrypted = wireguard(samples)
    report = {
        "environment": {"kernel": platform.release(), "cores": os.cpu_count(), "load": "%.1f" % os.getloadavg()[1],
                        "file_system": file_system(sys.argv[3]), "disk_sync_ms": disk_ms(sys.argv[3])},
        "sessions": {"anonymous": anonymous, "digest-md5": sessions(samples, "digest")},
        "tunnels": {count: tunnels[count] for count in sorted(tunnels)},
        "wireguard": encrypted,
        "targets": targets(anonymous, tunnels, encrypted),
    }
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    show(report)
    return 0


sys.exit(main())
