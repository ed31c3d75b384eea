#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An AFTR (RFC 6333) for one client: aftr.py INTERFACE OUR_ADDRESS CLIENT_ADDRESS

Carries IPv4 packets between a TUN interface, which is the caller's to configure, and IPv6 packets of protocol 4. Says "ready" when the
interface is there.
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001


def main():
    name, ours, client = sys.argv[1:]
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
    raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4)
    raw.bind((ours, 0))
    raw.connect((client, 0))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([tun, raw], [], [])
        if tun in readable:
            packet = os.read(tun, 65536)
            if packet[0] >> 4 == 4:
                try:
                    raw.send(packet)
                except OSError:
                    pass  # lost, as on any network
        if raw in readable:
            packet = raw.recv(65536)
            if packet[0] >> 4 == 4:
                os.write(tun, packet)


main()
