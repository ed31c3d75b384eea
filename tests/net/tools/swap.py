#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A UDP path that reorders: swap.py PORT ADDRESS PORT.

Listens on the first port; what comes from anyone but ADDRESS:PORT goes there, and what comes from there goes to who was heard last.
Of each six datagrams of a direction that come close together the second and third change places, and the fifth is held back for
three more. Nothing is lost: what is held back goes out after 20 ms at the latest. SIGUSR1 prints how many were overtaken.
"""

import select
import signal
import socket
import sys
import time

HOLD = 0.02  # seconds


class Direction:
    def __init__(self):
        self.seen = 0
        self.held = []  # (datagram, how many go first, until when)
        self.overtaken = 0

    def pass_on(self, datagram):
        """The datagrams that go out now."""
        self.seen += 1
        out = [datagram]
        if self.seen % 6 == 2:
            self.held.append([datagram, 1, time.monotonic() + HOLD])
            return []
        if self.seen % 6 == 5:
            self.held.append([datagram, 3, time.monotonic() + HOLD])
            return []
        for entry in self.held:
            entry[1] -= 1
        ready = [entry for entry in self.held if entry[1] <= 0]
        self.held = [entry for entry in self.held if entry[1] > 0]
        self.overtaken += len(ready)
        return out + [entry[0] for entry in ready]

    def late(self):
        now = time.monotonic()
        out = [entry[0] for entry in self.held if entry[2] <= now]
        self.held = [entry for entry in self.held if entry[2] > now]
        return out


def main():
    port, target = int(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))
    path = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    path.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    path.bind(("0.0.0.0", port))
    path.setblocking(False)
    there, back = Direction(), Direction()
    client = None
    signal.signal(signal.SIGUSR1, lambda *_: print("overtaken", there.overtaken, back.overtaken, flush=True))
    print("ready", flush=True)
    while True:
        waits = there.held or back.held
        select.select([path], [], [], HOLD / 4 if waits else None)
        while True:
            try:
                datagram, sender = path.recvfrom(65536)
            except BlockingIOError:
                break
            if sender == target:
                for out in back.pass_on(datagram):
                    if client:
                        path.sendto(out, client)
            else:
                client = sender
                for out in there.pass_on(datagram):
                    path.sendto(out, target)
        for out in there.late():
            path.sendto(out, target)
        for out in back.late():
            if client:
                path.sendto(out, client)


main()
