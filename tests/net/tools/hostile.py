#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sessions that mean harm: hostile.py KIND SERVER [COUNT]. They end by themselves; whether the server survived is the caller's test.

malformed   truncated, oversized and garbage messages, NULs, XML bombs, wrong order, in RUDP and in TCP
half        COUNT RUDP sessions and TCP connections that stop in the middle, the TCP ones left open until killed
flood       COUNT first messages, each from an address and port of its own
slow        COUNT TCP connections that send a byte now and then, until killed
spoof       a good tunnel, whose client then sends COUNT packets with the inner source address 2001:db8:bad::1 to 2001:db8:99::2
noise       a good tunnel, whose client then sends COUNT packets of random bytes and torn inner packets
"""

import os
import random
import select
import socket
import struct
import sys
import time

import tsp

BOMB = (b'<?xml version="1.0"?><!DOCTYPE tunnel [<!ENTITY a "aaaaaaaaaaaaaaaa">' +
        b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 16) for i in range(12)) +
        b']><tunnel action="create" type="v6udpv4"><client><address type="ipv4">&m;</address></client></tunnel>')
DEEP = b"<tunnel>" * 400 + b"</tunnel>" * 400
VERSION = b"VERSION=2.0.2\r\n"
ANONYMOUS = b"AUTHENTICATE ANONYMOUS\r\n\0"


def length(body):
    return b"Content-length: %d\r\n%s" % (len(body), body)


def malformed_sessions():
    """Lists of messages; an answer is awaited after each but not needed."""
    randomness = random.Random(3653)
    create = tsp.create_request("v6udpv4")
    yield [b"VERSION=2.0.2"]
    yield [b"VERSION="]
    yield [b"VERSION=99.9.9\r\n"]
    yield [b"VERS\0ION=2.0.2\r\n"]
    yield [b"\0" * 1200]
    yield [VERSION, b"AUTHENTICATE ANON\0YMOUS\r\n\0"]
    yield [VERSION, b"AUTHENTICATE " + b"A" * 1300 + b"\r\n\0"]
    yield [VERSION, b"AUTHENTICATE DIGEST-MD5\r\n\0", b"!!!! no base64 !!!!\r\n"]
    yield [VERSION, b"AUTHENTICATE DIGEST-MD5\r\n\0", b"YWxpY2U=\r\n"]
    yield [VERSION, b"AUTHENTICATE PLAIN\r\n\0", b"\0\0\0\0\0\0\r\n"]
    yield [VERSION, b"AUTHENTICATE PLAIN\r\n\0", b"\0" + b"u" * 700 + b"\0" + b"p" * 600 + b"\r\n"]
    yield [create]
    yield [ANONYMOUS]
    yield [tsp.ACCEPT]
    yield [VERSION, create]
    yield [VERSION, VERSION, VERSION]
    yield [VERSION, ANONYMOUS, tsp.ACCEPT]
    yield [VERSION, ANONYMOUS, b"Content-length: 99999999999999999999\r\n<tunnel"]
    yield [VERSION, ANONYMOUS, b"Content-length: -1\r\n<tunnel"]
    yield [VERSION, ANONYMOUS, b"Content-length: 5\r\n<tunnel action=\"create\" type=\"v6udpv4\">"]
    yield [VERSION, ANONYMOUS, create[:-30]]
    yield [VERSION, ANONYMOUS, create.replace(b"create", b"cre\0ate")]
    yield [VERSION, ANONYMOUS, length(BOMB)]
    yield [VERSION, ANONYMOUS, length(DEEP[:1200])]
    yield [VERSION, ANONYMOUS, length(b"<tunnel action='create' type='v6udpv4'><client><router><prefix length='-5'/></router></client></tunnel>")]
    yield [VERSION, ANONYMOUS, length(b"<tunnel action='create' type='%n%n%s'/>")]
    yield [VERSION, ANONYMOUS, length(b"<tunnel action='delete'/>")]
    for _ in range(60):
        yield [randomness.randbytes(randomness.randrange(1400))]
        yield [VERSION, ANONYMOUS, length(randomness.randbytes(randomness.randrange(1300)))]


def malformed(server, _):
    for messages in malformed_sessions():
        session = tsp.RudpSession(server, timeout=0.02)
        for message in messages:
            try:
                session.request(message)
            except (OSError, tsp.Mismatch):
                pass
        session.close()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for size in (0, 1, 3, 7, 8, 9, 4095, 4096, 60000):
        sock.sendto((b"\xf0\0\0\xf0" + b"V" * 65000)[:size], (server, tsp.TSP_PORT))
    for sequence in (0, 0xF0, 0xEFFFFFFF, 0xFFFFFFFF, 0xF00000F9):
        sock.sendto(struct.pack("!II", sequence, 1) + VERSION, (server, tsp.TSP_PORT))
    for messages in malformed_sessions():
        tcp_session(server, b"".join(messages))
    tcp_session(server, b"V" * 10_000_000)
    tcp_session(server, VERSION + ANONYMOUS + b"Content-length: 100000000\r\n" + b"<" * 10_000_000)


def tcp_session(server, data):
    """Sends and reads at once, so that a server that answers and closes does not hold us up."""
    try:
        with socket.create_connection((server, tsp.TSP_PORT), timeout=5) as sock:
            sock.setblocking(False)
            deadline = time.monotonic() + 0.5
            view = memoryview(data)
            while time.monotonic() < deadline:
                readable, writable, _ = select.select([sock], [sock] if view else [], [], 0.01 if view else 0.02)
                if writable:
                    view = view[sock.send(view[:65536]):]
                if readable:
                    if not sock.recv(65536):
                        break
                elif not view:
                    break
    except OSError:
        pass


def half(server, count):
    sessions = []
    for index in range(count):
        session = tsp.RudpSession(server, timeout=0.5)
        messages = [VERSION, ANONYMOUS, tsp.create_request("v6udpv4")][:1 + index % 3]
        try:
            for message in messages:
                session.request(message)
        except (OSError, tsp.Mismatch):
            pass
        session.close()
        try:
            sock = socket.create_connection((server, tsp.TSP_PORT), timeout=2)
            sock.sendall(b"".join(messages)[:-4])
            sessions.append(sock)
        except OSError:
            pass
    print("done", flush=True)
    time.sleep(600)


def flood(server, count):
    """Addresses 198.51.100.128 and up: nobody's."""
    destination = socket.inet_aton(server)
    datagram = struct.pack("!II", tsp.FIRST_SEQUENCE, 1) + VERSION
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        for index in range(count):
            source = socket.inet_aton("198.51.100.%d" % (128 + index % 64))
            udp = struct.pack("!HHHH", 1024 + index % 60000, tsp.TSP_PORT, 8 + len(datagram), 0) + datagram
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + source + destination
            sock.sendto(ip + udp, (server, 0))
            if index % 200 == 199:
                time.sleep(0.01)  # enough of a pause that the veth's queue is not what limits


def slow(server, count):
    connections = []
    for _ in range(count):
        try:
            connections.append(socket.create_connection((server, tsp.TSP_PORT), timeout=2))
        except OSError:
            break
    print("done", flush=True)
    for byte in (VERSION + ANONYMOUS) * 100:
        for sock in connections:
            try:
                sock.send(bytes([byte]))
            except OSError:
                pass
        time.sleep(0.5)


def spoof(server, count):
    session, _, client = tsp.negotiate_anonymous(server)
    for index in range(count):
        session.socket.send(tsp.echo_request("2001:db8:bad::1", "2001:db8:99::2", sequence=index))
    session.socket.send(tsp.echo_request(client, "2001:db8:99::2", sequence=count))
    answer = tsp.receive_packet(session.socket, lambda packet: packet[:1] == b"\x60" and packet[40:41] == b"\x81", 3)
    if answer is None:
        raise tsp.Mismatch("the good packet after the spoofed ones is not answered")
    print("answered", flush=True)


def noise(server, count):
    session, inner_server, client = tsp.negotiate_anonymous(server)
    good = tsp.echo_request(client, inner_server)
    for index in range(count):
        session.socket.send(os.urandom(index % 1300))
        session.socket.send(good[:index % len(good)])
        session.socket.send(good[:4] + b"\xff\xff" + good[6:])
    session.socket.send(good)
    if tsp.receive_packet(session.socket, lambda packet: packet[40:41] == b"\x81", 3) is None:
        raise tsp.Mismatch("the good packet after the noise is not answered")
    print("answered", flush=True)


def main():
    kinds = {"malformed": malformed, "half": half, "flood": flood, "slow": slow, "spoof": spoof, "noise": noise}
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    try:
        kinds[sys.argv[1]](sys.argv[2], count)
    except (tsp.Mismatch, OSError) as error:
        print("%s: %s" % (sys.argv[1], error or type(error).__name__), flush=True)
        return 1
    return 0


sys.exit(main())
