# SPDX-License-Identifier: BSD-3-Clause
"""A broker that has no tunnel server: it grants one v6v4 tunnel, whose end somebody else sets up. Over RUDP, to everybody:

grant.py LISTEN SERVER-V4 CLIENT-V4 SERVER-V6 CLIENT-V6
"""

import re
import socket
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/net/tools")
import tsp

INFO = """200 Success\r
<tunnel action="info" type="v6v4" lifetime="604800">\r
  <server>\r
    <address type="ipv4">%s</address>\r
    <address type="ipv6">%s</address>\r
  </server>\r
  <client>\r
    <address type="ipv4">%s</address>\r
    <address type="ipv6">%s</address>\r
    <keepalive interval="30">\r
      <address type="ipv6">%s</address>\r
    </keepalive>\r
  </client>\r
</tunnel>\r
"""


def answer(text, info):
    if text.startswith(b"VERSION="):
        return b"CAPABILITY TUNNEL=V6V4 AUTH=ANONYMOUS \r\n"
    if text.startswith(b"AUTHENTICATE ANONYMOUS"):
        return b"200 Success\r\n"
    if re.search(rb'action="create"', text):
        return info
    return b""


def main():
    listen, server_v4, client_v4, server_v6, client_v6 = sys.argv[1:]
    info = tsp.with_length(INFO % (server_v4, server_v6, client_v4, client_v6, server_v6))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((listen, tsp.TSP_PORT))
        print("serving", flush=True)
        while True:
            datagram, source = sock.recvfrom(65536)
            if len(datagram) >= 8 and datagram[0] >> 4 == 0xF:
                sock.sendto(datagram[:8] + answer(datagram[8:], info), source)


main()
