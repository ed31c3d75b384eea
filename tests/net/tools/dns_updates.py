#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A DNS server that writes down which updates it is asked for (RFC 2136, over TCP) and answers none of them: dns_updates.py ADDRESS
PORT. One line a record: ZONE NAME TTL TYPE."""

import socket
import struct
import sys

TYPES = {1: "A", 2: "NS", 12: "PTR", 28: "AAAA", 255: "ANY"}


def name_at(message, at):
    """(the name, where it ends)"""
    labels, end = [], None
    while message[at]:
        if message[at] >> 6 == 3:
            end = end or at + 2
            at = struct.unpack_from("!H", message, at)[0] & 0x3FFF
        else:
            labels.append(message[at + 1:at + 1 + message[at]].decode())
            at += 1 + message[at]
    return ".".join(labels), end or at + 1


def updates(message):
    """The records of the update section, behind one zone and its prerequisites."""
    flags, zones, prerequisites, records = struct.unpack_from("!HHHH", message, 2)
    if flags >> 11 & 15 != 5 or zones != 1:
        return
    zone, at = name_at(message, 12)
    at += 4
    for index in range(prerequisites + records):
        name, at = name_at(message, at)
        kind, _, ttl, size = struct.unpack_from("!HHIH", message, at)
        at += 10 + size
        if index >= prerequisites:
            yield "%s %s %d %s" % (zone, name, ttl, TYPES.get(kind, kind))


def main():
    with socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6) as server:
        print("listening", flush=True)
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as stream:
                size = stream.read(2)
                if len(size) < 2:
                    continue
                for line in updates(stream.read(struct.unpack("!H", size)[0])):
                    print(line, flush=True)


main()
