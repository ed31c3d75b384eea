#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints one value of the JSON document on stdin: json_field.py a.b.0.c. Nothing and status 1 when it is not there or null."""

import json
import sys


def main():
    try:
        value = json.load(sys.stdin)
        for name in sys.argv[1].split("."):
            value = value[int(name)] if isinstance(value, list) else value[name]
    except (ValueError, KeyError, IndexError, TypeError):
        return 1
    if value is None:
        return 1
    if isinstance(value, (dict, list, bool)):
        value = json.dumps(value)
    print(value)
    return 0


sys.exit(main())
