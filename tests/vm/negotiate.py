# SPDX-License-Identifier: BSD-3-Clause
"""Negotiates a tunnel over RUDP, without an account, for an end that somebody else sets up: negotiate.py SERVER TYPE OUTER-ADDRESS

Prints the server's and the client's inner address on one line.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../net/tools"))
import tsp


def main():
    server, tunnel_type, outer = sys.argv[1:]
    session = tsp.RudpSession(server)
    session.request(b"VERSION=2.0.2\r\n")
    if not session.request(b"AUTHENTICATE ANONYMOUS\r\n\0").startswith(b"200"):
        raise tsp.Mismatch("anonymous is refused")
    request = tsp.create_request(tunnel_type, outer)
    inner = "ipv6"
    if tunnel_type == "v4v6":
        body = request.split(b"\r\n", 1)[1].decode()
        body = body.replace('type="ipv4">' + outer, 'type="ipv6">' + outer).replace('type="ipv6">::<', 'type="ipv4">127.0.0.1<')
        request = tsp.with_length(body)
        inner = "ipv4"
    info = session.request(request)
    if b"\r\n200 " not in info[:40]:
        raise tsp.Mismatch("create is answered %r" % info[:80])
    session.request(tsp.ACCEPT)
    found = re.findall(r'<address type="%s">([^<]*)</address>' % inner, info.decode())
    print(found[0], found[1])


main()
