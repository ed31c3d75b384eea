#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long traffic stops when something happens.

  flow.py OUTPUT BEFORE AFTER FROM=ADDRESS TO=ADDRESS [FROM=ADDRESS TO=ADDRESS...] -- COMMAND...

FROM and TO are network namespaces. In each pair the first sends a UDP datagram every 10 ms and the second echoes it. After BEFORE
seconds COMMAND is run, and AFTER seconds later it ends. For each pair one line is printed: the longest time without an answer since
the command began, in seconds, the share of datagrams that were lost since then, and how often the hop limit of what comes back has
changed, from what to what. A pair that had no answer in the second before prints "silent". OUTPUT is JSON: the command's beginning
and, for each pair, `gap`, and `answers`: times in seconds, the command's beginning being 0.
"""

import json
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from hosts import Host

INTERVAL = 0.01
HOP_LIMIT_DATA = 52  # IPV6_HOPLIMIT
RECEIVE_HOP_LIMIT = 51  # IPV6_RECVHOPLIMIT


class Flow:
    def __init__(self, source, sink):
        self.source, self.sink = (self.open(end) for end in (source, sink))
        self.target = self.sink.getsockname()[:2]
        self.sent = []
        self.answers = {}
        self.limits = []

    @staticmethod
    def open(end):
        path, address = end.split("=", 1)
        with Host(path):
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind((address, 0))
        sock.setsockopt(socket.IPPROTO_IPV6, RECEIVE_HOP_LIMIT, 1)
        sock.setblocking(False)
        return sock

    def send(self, now):
        self.sent.append(now)
        try:
            self.source.sendto(struct.pack("!I", len(self.sent) - 1) + bytes(60), self.target)
        except OSError:
            pass

    def echo(self):
        while True:
            try:
                data, sender = self.sink.recvfrom(2048)
                self.sink.sendto(data, sender)
            except BlockingIOError:
                return
            except OSError:
                pass  # an ICMP error of an earlier one

    def collect(self):
        while True:
            try:
                data, ancillary, _, _ = self.source.recvmsg(2048, 100)
            except BlockingIOError:
                return
            except OSError:
                continue
            now = time.monotonic()
            if len(data) != 64:
                continue
            number = struct.unpack("!I", data[:4])[0]
            if number < len(self.sent):
                self.answers.setdefault(number, now)
            for level, kind, value in ancillary:
                if level == socket.IPPROTO_IPV6 and kind == HOP_LIMIT_DATA:
                    limit = struct.unpack("i", value)[0]
                    if not self.limits or self.limits[-1] != limit:
                        self.limits.append(limit)

    def gap(self, event, end):
        """The longest time without an answer of which some is after the event; None when it was silent before."""
        times = sorted(self.answers.values())
        before = [at for at in times if event - 1 <= at <= event]
        if not before:
            return None
        edges = [before[-1], *(at for at in times if at > event), end]
        return max(b - a for a, b in zip(edges, edges[1:]))

    def loss(self, event, end):
        """Of those sent since then; the last half second's may be on their way."""
        asked = [number for number, at in enumerate(self.sent) if event <= at <= end - 0.5]
        return sum(number not in self.answers for number in asked) / max(1, len(asked))


def main():
    at = sys.argv.index("--")
    output, before, after = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    ends, command = sys.argv[4:at], sys.argv[at + 1:]
    flows = [Flow(ends[i], ends[i + 1]) for i in range(0, len(ends), 2)]
    event = []

    def happen():
        event.append(time.monotonic())
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL)

    poll = select.poll()
    handlers = {}
    for flow in flows:
        for sock, handler in ((flow.source, flow.collect), (flow.sink, flow.echo)):
            poll.register(sock, select.POLLIN)
            handlers[sock.fileno()] = handler
    thread = threading.Thread(target=happen)
    start = following = time.monotonic()
    while True:
        now = time.monotonic()
        if now - start >= before and not event and not thread.is_alive():
            thread.start()
            while not event:
                time.sleep(0)
        if event and now - event[0] >= after:
            break
        if now >= following:
            for flow in flows:
                flow.send(now)
            # What was not sent in time is not sent at once later.
            following = max(following + INTERVAL, now)
        for fd, _ in poll.poll(max(0, (following - time.monotonic()) * 1000)):
            handlers[fd]()
    thread.join()

    end = time.monotonic()
    rows = []
    for flow in flows:
        gap = flow.gap(event[0], end)
        rows.append({"gap": gap, "loss": flow.loss(event[0], end), "hop_limits": flow.limits,
                     "answers": [round(at - event[0], 4) for at in sorted(flow.answers.values())]})
        limits = " ".join(map(str, flow.limits))
        print("silent" if gap is None else "%.3f %.3f %s" % (gap, rows[-1]["loss"], limits))
    with open(output, "w", encoding="utf-8") as file:
        json.dump({"interval": INTERVAL, "before": before, "after": after, "flows": rows}, file)
    return 0 if all(row["gap"] is not None for row in rows) else 1


sys.exit(main())
