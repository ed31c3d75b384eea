#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who reaches whom: reach.py SECONDS NAMESPACE=ADDRESS...

Every host pings every other by ICMPv6, those that did not answer yet again every 250 ms. When all have, one more round of all pairs
must be answered within a second, so that a passing moment does not count. Prints "all N pairs in S s"; or, when the time is over,
"K of N pairs" and the first that were missing, with status 1. The seconds are to the last first answer.
"""

import os
import select
import socket
import struct
import sys
import time

from hosts import Host

ECHO_REQUEST, ECHO_REPLY = 128, 129
AGAIN = 0.25
ICMP6_FILTER = 1


class Prober:
    def __init__(self, hosts):
        self.addresses = [address for _, address in hosts]
        self.sockets = []
        for path, _ in hosts:
            with Host(path):
                sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            # Everything but replies stays out: a set bit filters.
            words = [0xFFFFFFFF] * 8
            words[ECHO_REPLY >> 5] &= ~(1 << (ECHO_REPLY & 31))
            sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("8I", *words))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.setblocking(False)
            self.sockets.append(sock)
        self.identifier = os.getpid() & 0xFFFF
        self.round = 0
        self.poll = select.poll()
        self.by_fd = {}
        for i, sock in enumerate(self.sockets):
            self.poll.register(sock, select.POLLIN)
            self.by_fd[sock.fileno()] = i

    def send(self, pairs):
        """Sends a request for each pair; returns how many could be sent."""
        self.round = (self.round + 1) & 0xFFFF
        sent = 0
        for i, j in pairs:
            # The source address is the kernel's choice: the node's own, or there is no route. The checksum is the kernel's too.
            packet = struct.pack("!BBHHHHH", ECHO_REQUEST, 0, 0, self.identifier, self.round, i, j)
            try:
                self.sockets[i].sendto(packet, (self.addresses[j], 0))
                sent += 1
            except OSError:
                pass
        return sent

    def receive(self, seconds, wanted):
        """Pairs that answered within the time: of any round (0), and of this one (1). Not longer than until all that are wanted did."""
        any_round, this_round = set(), set()
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            for fd, _ in self.poll.poll(max(0, left * 1000)):
                i = self.by_fd[fd]
                while True:
                    try:
                        packet, sender = self.sockets[i].recvfrom(2048)
                    except OSError:
                        break
                    if len(packet) < 12 or packet[0] != ECHO_REPLY:
                        continue
                    identifier, number, first, second = struct.unpack("!HHHH", packet[4:12])
                    if identifier != self.identifier or first != i or second >= len(self.addresses):
                        continue
                    if sender[0] == self.addresses[second]:
                        any_round.add((first, second))
                        if number == self.round:
                            this_round.add((first, second))
            if left <= 0 or wanted <= this_round:
                return any_round, this_round


def main():
    seconds = float(sys.argv[1])
    hosts = [word.split("=", 1) for word in sys.argv[2:]]
    names = [os.path.basename(path).split("-", 1)[-1] for path, _ in hosts]
    prober = Prober([(path, socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address))) for path, address in hosts])
    everyone = {(i, j) for i in range(len(hosts)) for j in range(len(hosts)) if i != j}
    missing = set(everyone)
    start = last = time.monotonic()
    while time.monotonic() - start < seconds:
        prober.send(missing)
        answered, _ = prober.receive(AGAIN, missing)
        if answered & missing:
            last = time.monotonic()
            missing -= answered
        if not missing:
            prober.send(everyone)
            _, answered = prober.receive(1.0, everyone)
            missing = everyone - answered
            if not missing:
                print("all %d pairs in %.2f s" % (len(everyone), last - start))
                return 0
            last = time.monotonic()
    shown = ", ".join("%s to %s" % (names[i], names[j]) for i, j in sorted(missing)[:12])
    print("%d of %d pairs after %.0f s; missing: %s" % (len(everyone) - len(missing), len(everyone), seconds, shown))
    return 1


sys.exit(main())
