# SPDX-License-Identifier: BSD-3-Clause
"""Asks for a tunnel and a prefix as an anonymous router: router_request.py SERVER LENGTH [DNS_SERVER...]. Prints the status,
and when it is 200 the delegated prefix."""

import re
import sys

from tsp import ACCEPT, RudpSession, create_request


def main():
    server, length, dns_servers = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    session = RudpSession(server)
    session.request(b"VERSION=2.0.2\r\n")
    session.request(b"AUTHENTICATE ANONYMOUS\r\n\0")
    answer = session.request(create_request("v6udpv4", prefix_length=length, dns_servers=dns_servers))
    status = int(answer.split(b"\n", 1)[1][:3])
    print(status)
    if status == 200:
        session.request(ACCEPT)
        print(re.search(rb"<prefix[^>]*>([^<]*)</prefix>", answer)[1].decode())


if __name__ == "__main__":
    main()
