#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures a broker as clients do: echo.py ADDRESS prints the milliseconds; exits with 1 when nothing came within two seconds."""

import sys
import time

import tsp


def main():
    session = tsp.RudpSession(sys.argv[1], timeout=2.0)
    start = time.monotonic()
    try:
        answer = session.request(b"ECHO REQUEST")
    except OSError as error:
        sys.exit("no echo: %s" % error)
    if not answer.startswith(b"200"):
        sys.exit("the answer is %r" % answer)
    print(int((time.monotonic() - start) * 1000))


main()
