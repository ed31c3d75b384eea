#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Ends of v6v4 and v4v6 tunnels over raw sockets, independent of sixlink's own code.

many MODE SERVER ADDRESS...      negotiates an anonymous tunnel from each of our outer addresses, then has each send an echo
                                 request to the broker; prints how many were answered and how many inner addresses there are
proxy MODE SERVER ADDRESS OTHER  asks, from one outer address, for a tunnel that ends at another one; prints the inner addresses
echo MODE SERVER ADDRESS SOURCE DESTINATION
                                 sends one echo request through a tunnel that is there; prints whether it is answered
forge MODE SERVER ADDRESS SOURCE DESTINATION COUNT
                                 sends COUNT echo requests between the inner addresses, from an outer address, without a tunnel
capabilities SERVER              prints the answer to VERSION
"""

import re
import socket
import struct
import sys

import tsp

# Mode: outer family, protocol, size of the outer header that a raw socket shows.
MODES = {"v6v4": (socket.AF_INET, 41, 20), "v4v6": (socket.AF_INET6, 4, 0)}


def raw_socket(mode, local, server):
    family, protocol, _ = MODES[mode]
    raw = socket.socket(family, socket.SOCK_RAW, protocol)
    raw.bind((local, 0))
    raw.connect((server, 0))
    return raw


def echo_request(source, destination, sequence=1):
    if ":" in source:
        return tsp.echo_request(source, destination, sequence=sequence)
    message = struct.pack("!BBHHH", 8, 0, 0, 1, sequence) + b"sixlink"
    message = message[:2] + struct.pack("!H", tsp.checksum(message)) + message[4:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0x4000, 64, 1, 0)
    header += socket.inet_aton(source) + socket.inet_aton(destination)
    return header[:10] + struct.pack("!H", tsp.checksum(header)) + header[12:] + message


def is_echo_reply(packet):
    if packet[:1] == b"\x45":
        return packet[9:10] == b"\x01" and packet[20:21] == b"\x00"
    return packet[:1] == b"\x60" and packet[6:7] == b"\x3a" and packet[40:41] == b"\x81"


def create_request(mode, end, proxy):
    kind = "ipv6" if ":" in end else "ipv4"
    return tsp.with_length('<tunnel action="create" type="%s" proxy="%s">\r\n <client>\r\n  <address type="%s">%s</address>\r\n'
                           " </client>\r\n</tunnel>\r\n" % (mode, proxy, kind, end))


def negotiate(mode, server, local, other=None):
    """(broker's, our) inner addresses. The tunnel ends at `other` when that is given."""
    session = tsp.RudpSession(server, local=local)
    session.request(b"VERSION=2.0.2\r\n")
    if not session.request(b"AUTHENTICATE ANONYMOUS\r\n\0").startswith(b"200"):
        raise tsp.Mismatch("anonymous is refused")
    info = session.request(create_request(mode, other or local, "yes" if other else "no"))
    if b"\r\n200 " not in info[:40] or b'type="%s"' % mode.encode() not in info:
        raise tsp.Mismatch("create is answered %r" % info[:200])
    session.request(tsp.ACCEPT)
    session.close()
    inner = b"ipv4" if mode == "v4v6" else b"ipv6"
    found = re.findall(b'<address type="' + inner + b'">([^<]*)</address>', info)
    return found[0].decode(), found[1].decode()


def many(mode, server, *addresses):
    tunnels = [(raw_socket(mode, local, server), *negotiate(mode, server, local)) for local in addresses]
    for raw, broker, ours in tunnels:
        raw.send(echo_request(ours, broker))
    skipped = MODES[mode][2]
    answered = sum(tsp.receive_packet(raw, lambda packet: is_echo_reply(packet[skipped:]), 5) is not None
                   for raw, _, _ in tunnels)
    print("%d answered, %d addresses" % (answered, len({ours for _, _, ours in tunnels})))


def forge(mode, server, local, source, destination, count):
    raw = raw_socket(mode, local, server)
    for index in range(int(count)):
        raw.send(echo_request(source, destination, index))


def proxy(mode, server, local, other):
    print(*negotiate(mode, server, local, other))


def echo(mode, server, local, source, destination):
    raw = raw_socket(mode, local, server)
    raw.send(echo_request(source, destination))
    skipped = MODES[mode][2]
    print("no answer" if tsp.receive_packet(raw, lambda packet: is_echo_reply(packet[skipped:]), 3) is None else "answered")


def capabilities(server):
    print(tsp.RudpSession(server).request(b"VERSION=2.0.2\r\n").decode().strip())


def main():
    kinds = {"many": many, "proxy": proxy, "echo": echo, "forge": forge, "capabilities": capabilities}
    kinds[sys.argv[1]](*sys.argv[2:])


main()
