#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long interfaces stay after a command: links_gone.py SECONDS PID/INTERFACE... -- COMMAND...

PID is a process of the namespace that the interface is in. Runs the command and prints the seconds from its start until the last
interface is gone; or, when the time is over, those that are not, with status 1. An interface that was made anew with an old name is
another one.
"""

import subprocess
import sys
import time


def indexes(pid):
    """{name: index} of the interfaces that have an IPv6 address, in the namespace of a process."""
    found = {}
    try:
        with open("/proc/%s/net/if_inet6" % pid, encoding="ascii") as file:
            for line in file:
                _, index, _, _, _, name = line.split()
                found[name] = int(index, 16)
    except OSError:
        pass
    return found


def main():
    at = sys.argv.index("--")
    seconds = float(sys.argv[1])
    watched = {}
    for word in sys.argv[2:at]:
        pid, name = word.split("/", 1)
        index = indexes(pid).get(name)
        if index is not None:
            watched[pid, name] = index
    if not watched:
        sys.exit("there is no such interface")
    start = time.monotonic()
    command = subprocess.Popen(sys.argv[at + 1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while watched and time.monotonic() - start < seconds:
        time.sleep(0.02)
        for pid in {pid for pid, _ in watched}:
            now = indexes(pid)
            for key in [key for key in watched if key[0] == pid and now.get(key[1]) != watched[key]]:
                del watched[key]
    took = time.monotonic() - start
    if command.wait() != 0:
        sys.exit("the command failed with status %d" % command.returncode)
    if watched:
        sys.exit("still there after %.0f s: %s" % (took, " ".join("%s/%s" % key for key in sorted(watched))))
    print("%.2f" % took)
    return 0


sys.exit(main())
