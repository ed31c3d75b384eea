#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sessions with a registry over RUDP, and what they are answered.

create SERVER TYPE ADDRESS [LENGTH] [USER PASSWORD]
                          asks for a tunnel (LENGTH other than 0: and a prefix): the status, then the reply's XML
creates SERVER COUNT      COUNT tunnels, each in a session from a port of its own: how often each status came
begins SERVER COUNT       COUNT sessions that log in and stop there: how often each status came
evicts SERVER COUNT       the same, and then each asks for a tunnel, in their order: the statuses, "-" where nothing came
logins SERVER USER PASSWORD...
                          a PLAIN login with each password: the statuses
versions SERVER COUNT     asks for the capabilities COUNT times
realm SERVER              the realm of the DIGEST-MD5 challenge
"""

import collections
import sys

import tsp

VERSION = b"VERSION=2.0.2\r\n"


def status(answer):
    """Of an answer with or without Content-length."""
    lines = answer.split(b"\r\n")
    return (lines[1] if lines[0].startswith(b"Content-length") else lines[0])[:3].decode() or "bare"


def anonymous(server):
    """A session and how its login was answered."""
    session = tsp.RudpSession(server, timeout=1.0)
    session.request(VERSION)
    return session, status(session.request(b"AUTHENTICATE ANONYMOUS\r\n\0"))


def login(session, user, password):
    session.request(VERSION)
    begun = status(session.request(b"AUTHENTICATE PLAIN\r\n\0"))
    return status(session.request(b"\0%s\0%s\r\n" % (user.encode(), password.encode()))) if begun == "bare" else begun


def create(server, kind, address, length="0", user="", password=""):
    session = tsp.RudpSession(server, timeout=1.0)
    if user:
        login(session, user, password)
    else:
        session, _ = anonymous(server)
    request = tsp.create_request(kind, address, keepalive=0, prefix_length=int(length))
    if ":" in address:
        request = tsp.with_length(request.split(b"\r\n", 1)[1].decode().replace('"ipv4"', '"ipv6"'))
    answer = session.request(request)
    print(status(answer))
    print(answer.decode())


def create_status(session):
    try:
        return status(session.request(tsp.create_request("v6udpv4", keepalive=0)))
    except TimeoutError:
        return "-"


def count(statuses):
    print(", ".join("%s x %d" % pair for pair in sorted(collections.Counter(statuses).items())))


def creates(server, number):
    count(create_status(anonymous(server)[0]) for _ in range(int(number)))


def begins(server, number):
    sessions = [anonymous(server) for _ in range(int(number))]
    count(answer for _, answer in sessions)


def evicts(server, number):
    sessions = [anonymous(server)[0] for _ in range(int(number))]
    print(" ".join(create_status(session) for session in sessions))


def logins(server, user, *passwords):
    print(" ".join(login(tsp.RudpSession(server, timeout=1.0), user, password) for password in passwords))


def versions(server, number):
    session = tsp.RudpSession(server)
    for _ in range(int(number)):
        session.request(VERSION)


def realm(server):
    session = tsp.RudpSession(server)
    session.request(VERSION)
    print(tsp.digest_fields(tsp.from_base64(session.request(b"AUTHENTICATE DIGEST-MD5\r\n\0")))["realm"])


def main():
    kinds = {"create": create, "creates": creates, "begins": begins, "evicts": evicts, "logins": logins, "versions": versions,
             "realm": realm}
    try:
        kinds[sys.argv[1]](*sys.argv[2:])
    except (tsp.Mismatch, OSError) as error:
        print("%s: %s" % (sys.argv[1], error or type(error).__name__))
        return 1
    return 0


sys.exit(main())
