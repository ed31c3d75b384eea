#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A broker that redirects every client: redirector.py ADDRESS BROKER... (RUDP). It puts no limit to the list, as ours does."""

import socket
import sys

import tsp


def main():
    address, *brokers = sys.argv[1:]
    addresses = "".join('    <address type="ipv4">%s</address>\r\n' % broker for broker in brokers)
    redirection = ('1200 Redirection\r\n<tunnel action="info">\r\n  <broker>\r\n%s  </broker>\r\n</tunnel>\r\n' % addresses).encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, tsp.TSP_PORT))
        print("serving", flush=True)
        while True:
            datagram, source = sock.recvfrom(65536)
            is_echo = datagram[8:].startswith(b"ECHO REQUEST")
            sock.sendto(datagram[:8] + (b"200 Success\r\n" if is_echo else redirection), source)


main()
