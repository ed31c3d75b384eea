# SPDX-License-Identifier: BSD-3-Clause
"""Takes a v6udpv4 tunnel from a given source port: take_endpoint.py SERVER PORT [USER PASSWORD]. Prints the status."""

import sys

from tsp import ACCEPT, RudpSession, create_request


def main():
    server, port = sys.argv[1], int(sys.argv[2])
    user, password = (sys.argv[3:5] + ["", ""])[:2]
    session = RudpSession(server, source_port=port)
    session.request(b"VERSION=2.0.2\r\n")
    if user:
        session.request(b"AUTHENTICATE PLAIN\r\n\0")
        session.request(b"\0%s\0%s\r\n" % (user.encode(), password.encode()))
    else:
        session.request(b"AUTHENTICATE ANONYMOUS\r\n\0")
    answer = session.request(create_request("v6udpv4"))
    status = int(answer.split(b"\n", 1)[1][:3])
    if status == 200:
        session.request(ACCEPT)
    print(status)


if __name__ == "__main__":
    main()
