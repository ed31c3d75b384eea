#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A long cable between two interfaces: slow_cable.py INTERFACE INTERFACE MILLISECONDS.

Every frame that comes in at one end goes out at the other so much later, in its order. It serves where the kernel has no netem.
Frames are read and written with their virtio header, so that checksums and segments that the sender left to the "hardware" stay
what they are.
"""

import collections
import select
import socket
import sys
import time

SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_VNET_HDR = 15
PACKET_MR_PROMISC = 1
ETH_P_ALL = 3
LARGEST_FRAME = 10 + 14 + 65536
MOST_WAITING = 10000  # frames; more are lost, as in any queue


def open_end(interface):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.bind((interface, ETH_P_ALL))
    membership = socket.if_nametoindex(interface).to_bytes(4, sys.byteorder)
    membership += PACKET_MR_PROMISC.to_bytes(2, sys.byteorder) + bytes(10)
    end.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
    end.setblocking(False)
    return end


def receive(end):
    """The frames that wait there, without those that we sent."""
    while True:
        try:
            frame, source = end.recvfrom(LARGEST_FRAME)
        except BlockingIOError:
            return
        if source[2] != socket.PACKET_OUTGOING:
            yield frame


def main():
    first, second, milliseconds = sys.argv[1:]
    delay = float(milliseconds) / 1000
    ends = open_end(first), open_end(second)
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting = collections.deque()  # (when, end, frame); the delay is one, so the order is that of `when`
    print("connected", flush=True)
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select(ends, [], [], timeout)[0]:
            for frame in receive(end):
                if len(waiting) < MOST_WAITING:
                    waiting.append((time.monotonic() + delay, other[end], frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, end, frame = waiting.popleft()
            try:
                end.send(frame)
            except OSError:
                pass  # a lost frame


main()
