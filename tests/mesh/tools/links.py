#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""From `sixlink peers --json` on stdin, a line for each link that is up: the neighbour's prefix, the interface, the transport."""

import json
import sys


def main():
    try:
        document = json.load(sys.stdin)
    except ValueError:
        return 1
    for peer in document["peers"]:
        if peer.get("interface") and peer["state"] in ("up", "suspect"):
            print(peer["peer"], peer["interface"], peer["transport"])
    return 0


sys.exit(main())
