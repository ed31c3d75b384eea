#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Finds out what a NAT does, by the tests of RFC 4787 sections 4.1 and 5.

  nat_kind.py serve ADDRESS1 ADDRESS2 PORT1 PORT2       on a host with two addresses, outside
  nat_kind.py ask PORT ADDRESS1 ADDRESS2 PORT1 PORT2    inside, from that UDP port

ask prints two words: the mapping and the filtering, each "endpoint-independent", "address-dependent" or "address-and-port-dependent",
and a third: "port-kept" or "port-changed". Filtering is asked first, while the NAT has seen packets to one address and port only.
"""

import select
import socket
import sys

WAIT = 0.5


def serve(addresses, ports):
    """Answers "map" with the sender's address, from the socket that got it; "from I J" from the socket of that address and port."""
    sockets = {}
    for i, address in enumerate(addresses):
        for j, port in enumerate(ports):
            sockets[i, j] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sockets[i, j].bind((address, port))
    print("serving", flush=True)
    while True:
        for ready in select.select(list(sockets.values()), [], [])[0]:
            text, sender = ready.recvfrom(100)
            words = text.decode(errors="replace").split()
            if words[:1] == ["map"]:
                ready.sendto(("map %s %d" % sender).encode(), sender)
            elif words[:1] == ["from"] and len(words) == 3:
                sockets[int(words[1]), int(words[2])].sendto(text, sender)


def request(sock, text, server):
    """The answer, which may come from elsewhere, or None."""
    for _ in range(2):
        sock.sendto(text.encode(), server)
        while select.select([sock], [], [], WAIT)[0]:
            answer = sock.recvfrom(100)[0].decode()
            if answer.split()[0] == text.split()[0] and (text == "map" or answer == text):
                return answer
    return None


def ask(port, addresses, ports):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        first = (addresses[0], ports[0])
        if request(sock, "map", first) is None:
            sys.exit("no answer from %s port %d" % first)
        if request(sock, "from 1 1", first):
            filtering = "endpoint-independent"
        elif request(sock, "from 0 1", first):
            filtering = "address-dependent"
        else:
            filtering = "address-and-port-dependent"
        mapped = {}
        for i, j in ((0, 0), (0, 1), (1, 0)):
            answer = request(sock, "map", (addresses[i], ports[j]))
            if answer is None:
                sys.exit("no answer from %s port %d" % (addresses[i], ports[j]))
            mapped[i, j] = answer
        if mapped[0, 0] == mapped[0, 1] == mapped[1, 0]:
            mapping = "endpoint-independent"
        elif mapped[0, 0] == mapped[0, 1]:
            mapping = "address-dependent"
        else:
            mapping = "address-and-port-dependent"
        kept = "port-kept" if mapped[0, 0].split()[2] == str(port) else "port-changed"
        print(mapping, filtering, kept)


def main():
    words = sys.argv[2:]
    if sys.argv[1:2] == ["serve"] and len(words) == 4:
        serve(words[:2], [int(port) for port in words[2:]])
    elif sys.argv[1:2] == ["ask"] and len(words) == 5:
        ask(int(words[0]), words[1:3], [int(port) for port in words[3:]])
    else:
        sys.exit(__doc__)


main()
