# SPDX-License-Identifier: BSD-3-Clause
"""A TCP relay that loses an answer: lost_answer.py ADDRESS PORT TO-ADDRESS TO-PORT PASSES.

The first PASSES connections are relayed as they are. Of each later one everything goes to the server, and of what
the server sends only its part of the TLS handshake comes back: what it answers to the request is lost, and the
connection ends two seconds later. Prints "listening", and "lost" for each such answer.
"""

import select
import socket
import sys
import time


def relay(client, server, loses):
    requests = 0  # times that the client sent after it had heard of the server
    has_heard = False
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for end in select.select([client, server], [], [], 0.5)[0]:
            data = end.recv(65536)
            if not data:
                return
            if end is client:
                if has_heard and loses and requests == 0:
                    until = time.monotonic() + 2
                requests += has_heard
                server.sendall(data)
            elif loses and requests > 0:
                pass
            else:
                has_heard = True
                client.sendall(data)
    if loses:
        print("lost", flush=True)


def main():
    address, port, to_address, to_port, passes = sys.argv[1:]
    listener = socket.create_server((address, int(port)))
    print("listening", flush=True)
    count = 0
    while True:
        client, _ = listener.accept()
        count += 1
        with client, socket.create_connection((to_address, int(to_port))) as server:
            try:
                relay(client, server, count > int(passes))
            except OSError:
                pass


main()
