#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A TSP broker that grants tunnels of another program's WireGuard interface:

    wireguard_broker.py ADDRESS INTERFACE PORT

It is reached by RUDP at ADDRESS, without an account. Every client gets the same tunnel, 2001:db8:e::2 with 2001:db8:e::1 at the other
end: its public key is made the peer of INTERFACE, which `wg` knows and which listens on PORT. Prints "granted KEY".
"""

import re
import socket
import subprocess
import sys

INFO = """<tunnel action="info" type="wireguard" lifetime="604800" mtu="1400">
  <server>
    <address type="ipv6">2001:db8:e::1</address>
    <key type="wireguard">{key}</key>
    <endpoint port="{port}">
      <address type="ipv4">{address}</address>
    </endpoint>
    <allowed>
      <prefix length="48">2001:0db8:000e:0000:0000:0000:0000:0000</prefix>
    </allowed>
  </server>
  <client>
    <address type="ipv6">2001:db8:e::2</address>
    <dns_server>
      <address type="ipv6">2001:db8:e::1</address>
    </dns_server>
    <keepalive interval="30">
      <address type="ipv6">2001:db8:e::1</address>
    </keepalive>
  </client>
</tunnel>
"""


def main():
    address, interface, port = sys.argv[1], sys.argv[2], sys.argv[3]
    own_key = subprocess.run(["wg", "show", interface, "public-key"], check=True, capture_output=True, text=True).stdout.strip()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 3653))
    print("ready", flush=True)
    while True:
        datagram, client = server.recvfrom(65536)
        if datagram[0] >> 4 != 15:
            continue
        text = datagram[8:].decode("ascii", "replace")
        if text.startswith("VERSION="):
            answer = "CAPABILITY TUNNEL=WIREGUARD AUTH=ANONYMOUS \r\n"
        elif text.startswith("AUTHENTICATE"):
            answer = "200 Success\r\n"
        elif 'action="create"' in text:
            key = re.search(r'<key type="wireguard">([A-Za-z0-9+/]{43}=)</key>', text)
            if key is None:
                answer = "303 Unsupported tunnel mode\r\n"
            else:
                subprocess.run(
                    ["wg", "set", interface, "peer", key[1], "allowed-ips", "2001:db8:e::2/128"], check=True)
                print("granted", key[1], flush=True)
                answer = "200 Success\r\n" + INFO.format(key=own_key, port=port, address=address)
            answer = "Content-length: %d\r\n%s" % (len(answer), answer)
        else:
            answer = ""
        server.sendto(datagram[:8] + answer.encode(), client)


main()
