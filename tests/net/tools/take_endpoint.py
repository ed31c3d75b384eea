# SPDX-License-Identifier: BSD-3-Clause
"""Takes an anonymous v6udpv4 tunnel from a given source port: take_endpoint.py SERVER PORT."""

import sys

from tsp import ACCEPT, RudpSession, create_request


def main():
    server, port = sys.argv[1], int(sys.argv[2])
    session = RudpSession(server, source_port=port)
    session.request(b"VERSION=2.0.2\r\n")
    session.request(b"AUTHENTICATE ANONYMOUS\r\n\0")
    answer = session.request(create_request("v6udpv4"))
    session.request(ACCEPT)
    if b"200 Success" not in answer:
        sys.exit("refused: %r" % answer[:80])


if __name__ == "__main__":
    main()
