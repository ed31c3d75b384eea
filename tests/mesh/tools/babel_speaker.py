#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Babel router (RFC 8966) that announces whatever it is told to: babel_speaker.py INTERFACE SOURCE [options] PREFIX...

SOURCE is a link-local address of the interface, not the one of a babeld that runs there too. It is a proper neighbour (hellos, and an
IHU for everybody heard), and announces each PREFIX until it is ended.

  --router-id HEX   16 digits: the origin of all routes; without it each route's is the first 64 bits of its prefix
  --metric N        96
  --many N          announces N /64 as well, the last ones of the first PREFIX
"""

import argparse
import ipaddress
import socket
import struct
import time

GROUP, PORT = "ff02::1:6", 6697  # the mesh's own port, so that a babeld of the system's is left alone
HELLO, IHU, ROUTER_ID, UPDATE = 4, 5, 6, 8
IPV6, LINK_LOCAL = 2, 3
HELLO_EVERY, UPDATE_EVERY = 1.0, 20.0
LARGEST = 1100


def tlv(kind, body):
    return bytes([kind, len(body)]) + body


def packet(body):
    return struct.pack("!BBH", 42, 2, len(body)) + body


class Speaker:
    def __init__(self, interface, source):
        self.index = socket.if_nametoindex(interface)
        self.sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self.index)
        self.sock.bind((source, PORT, 0, self.index))
        self.group = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.group.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                              socket.inet_pton(socket.AF_INET6, GROUP) + struct.pack("I", self.index))
        self.group.bind((GROUP, PORT, 0, self.index))
        self.source = source
        self.neighbours = set()
        self.number = 0

    def send(self, body):
        self.sock.sendto(packet(body), (GROUP, PORT, 0, self.index))

    def listen(self, seconds):
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.group.settimeout(left)
            try:
                _, sender = self.group.recvfrom(2048)
            except socket.timeout:
                return
            address = sender[0].split("%")[0]
            if address != self.source:
                self.neighbours.add(address)

    def hello(self):
        self.number = (self.number + 1) & 0xFFFF
        interval = int(HELLO_EVERY * 100)
        body = tlv(HELLO, struct.pack("!HHH", 0, self.number, interval))
        for address in self.neighbours:
            body += tlv(IHU, struct.pack("!BBHH", LINK_LOCAL, 0, 96, interval * 3) + socket.inet_pton(socket.AF_INET6, address)[8:])
        self.send(body)

    def announce(self, networks, router_id, metric):
        body = b""
        for network in networks:
            origin = router_id or network.network_address.packed[:8]
            size = (network.prefixlen + 7) // 8
            one = tlv(ROUTER_ID, b"\0\0" + origin)
            one += tlv(UPDATE, struct.pack("!BBBBHHH", IPV6, 0, network.prefixlen, 0, int(UPDATE_EVERY * 400), 1, metric)
                       + network.network_address.packed[:size])
            if len(body) + len(one) > LARGEST:
                self.send(body)
                body = b""
                time.sleep(0.01)
            body += one
        if body:
            self.send(body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("interface")
    parser.add_argument("source")
    parser.add_argument("--router-id")
    parser.add_argument("--metric", type=int, default=96)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("prefixes", nargs="+", type=ipaddress.IPv6Network)
    options = parser.parse_args()
    networks = list(options.prefixes)
    if options.many:
        last = int(networks[0].broadcast_address) >> 64
        networks = [ipaddress.IPv6Network(((last - i) << 64, 64)) for i in range(options.many)]
    speaker = Speaker(options.interface, options.source)
    print("announcing %d" % len(networks), flush=True)
    following = 0.0
    while True:
        speaker.hello()
        speaker.listen(HELLO_EVERY)
        if speaker.neighbours and time.monotonic() >= following:
            speaker.announce(networks, bytes.fromhex(options.router_id) if options.router_id else None, options.metric)
            following = time.monotonic() + UPDATE_EVERY


main()
