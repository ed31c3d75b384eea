#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Asks a registry, anonymously, to end a lease: release.py [--tcp] SERVER INNER-ADDRESS. Fails unless the answer is 200."""

import socket
import sys

import tsp


def over_tcp(server, messages):
    with socket.create_connection((server, tsp.TSP_PORT), timeout=5) as sock:
        for message in messages:
            sock.sendall(message)
            answer = sock.recv(4096)
    return answer


def over_rudp(server, messages):
    session = tsp.RudpSession(server)
    for message in messages:
        answer = session.request(message)
    return answer


def main():
    *options, server, inner = sys.argv[1:]
    request = tsp.with_length('<tunnel action="delete" type="v6udpv4"><client><address type="ipv6">%s</address></client></tunnel>\r\n' %
                              inner)
    messages = [b"VERSION=2.0.2\r\n", b"AUTHENTICATE ANONYMOUS\r\n\0", request]
    answer = (over_tcp if "--tcp" in options else over_rudp)(server, messages)
    print(answer)
    return 0 if b"\r\n200 " in answer else 1


sys.exit(main())
