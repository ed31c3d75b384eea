#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints the bits a second that arrived, from the file that iperf3 -J wrote; fails with iperf3's reason."""

import json
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    try:
        report = json.loads(text)
    except ValueError:
        print("iperf3 did not finish: %s" % (text[-200:].strip() or "no output"), file=sys.stderr)
        return 1
    if "error" in report:
        print("iperf3: %s" % report["error"], file=sys.stderr)
        return 1
    end = report["end"]
    rates = [end[key]["bits_per_second"] for key in ("sum_received", "sum_received_bidir_reverse") if key in end]
    if not rates or min(rates) <= 0:
        print("iperf3: nothing arrived", file=sys.stderr)
        return 1
    print("%.0f" % sum(rates))
    return 0


sys.exit(main())
