#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sends again what somebody else sent: replay.py FILE ADDRESS PORT KIND

Takes from a capture every UDP datagram to that address and port whose first byte is of that KIND, "control" (first nibble 0xF) or
"wireguard", and sends it from here, unchanged, five times. Prints how many were sent, how many came back, and the bytes of both.
"""

import ipaddress
import select
import socket
import sys
import time

from captured import Reader


def datagrams(path, address, port, is_wanted):
    found = []
    for kind, packet, _, _ in Reader(path):
        if kind == 0x0800 and packet[9] == 17:
            target, body = packet[16:20], packet[(packet[0] & 15) * 4:int.from_bytes(packet[2:4], "big")]
        elif kind == 0x86DD and packet[6] == 17:
            target, body = packet[24:40], packet[40:40 + int.from_bytes(packet[4:6], "big")]
        else:
            continue
        if target == address and int.from_bytes(body[2:4], "big") == port and len(body) > 8 and is_wanted(body[8]):
            if body[8:] not in found:
                found.append(body[8:])
    return found


def main():
    address, port = ipaddress.ip_address(sys.argv[2]), int(sys.argv[3])
    tests = {"control": lambda first: first >> 4 == 15, "wireguard": lambda first: 1 <= first <= 4}
    found = datagrams(sys.argv[1], address.packed, port, tests[sys.argv[4]])
    sent = came = sent_bytes = came_bytes = 0
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        for _ in range(5):
            for datagram in found:
                sock.sendto(datagram, (str(address), port))
                sent += 1
                sent_bytes += len(datagram)
                time.sleep(0.01)
        while select.select([sock], [], [], 2)[0]:
            came_bytes += len(sock.recv(65536))
            came += 1
    print("%d sent, %d came, %d bytes sent, %d came" % (sent, came, sent_bytes, came_bytes))
    return 0 if sent else 1


sys.exit(main())
