#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Shows what passes an Ethernet interface from or to a port: capture.py INTERFACE PORT.

One line for each IPv4 UDP or TCP payload: "udp 192.0.2.2:41375 > 198.51.100.10:3653 b'...'". Base64 words of 16 characters and more
are shown a second time, decoded, so that searching the output for a password finds it in either form.
"""

import base64
import binascii
import re
import socket
import sys

ETH_P_ALL = 3
ETHERNET_HEADER = 14


def parse(frame, port):
    """The line for a frame, or None when it is none of ours."""
    if frame[12:14] != b"\x08\x00":
        return None
    packet = frame[ETHERNET_HEADER:]
    header = (packet[0] & 15) * 4
    total = int.from_bytes(packet[2:4], "big")
    protocol = {6: "tcp", 17: "udp"}.get(packet[9])
    segment = packet[header:total]
    if protocol is None or len(segment) < 8:
        return None
    source, destination = int.from_bytes(segment[0:2], "big"), int.from_bytes(segment[2:4], "big")
    if port not in (source, destination):
        return None
    payload = segment[8:] if protocol == "udp" else segment[(segment[12] >> 4) * 4:]
    if not payload:
        return None
    line = "%s %s:%d > %s:%d %r" % (protocol, socket.inet_ntoa(packet[12:16]), source,
                                    socket.inet_ntoa(packet[16:20]), destination, payload)
    for word in re.findall(rb"[A-Za-z0-9+/]{16,}={0,2}", payload):
        try:
            line += " decoded: %r" % base64.b64decode(word, validate=True)
        except binascii.Error:
            pass
    return line


def main():
    interface, port = sys.argv[1], int(sys.argv[2])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as sock:
        sock.bind((interface, 0))
        print("capturing", flush=True)
        while True:
            line = parse(sock.recv(65536), port)
            if line is not None:
                print(line, flush=True)


main()
