# SPDX-License-Identifier: BSD-3-Clause
"""A hostile client of an HTTPS server: python3 hostile_https.py ADDRESS PORT

Opens far too many connections and holds them, sends what is no TLS and no HTTP, and headers and bodies that are too large or
never end. Prints one line for each thing that it tried and what became of it, then "holding", and holds what it has.
"""

import socket
import ssl
import sys
import time

ADDRESS, PORT = sys.argv[1], int(sys.argv[2])


def connect():
    return socket.create_connection((ADDRESS, PORT), timeout=5)


def tls():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connect())


def answer_to(request):
    """The status of what came back; 0: the connection was closed."""
    try:
        with tls() as stream:
            stream.settimeout(5)
            for part in request:
                stream.sendall(part)
            line = stream.recv(4096)
            return int(line.split()[1]) if line.startswith(b"HTTP/") else 0
    except (OSError, IndexError, ValueError):
        return 0


def is_closed(stream):
    try:
        stream.settimeout(0.001)
        return stream.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def main():
    post = b"POST /v1/certificates HTTP/1.1\r\nHost: x\r\n"
    print("no http", answer_to([b"\x00\xff" * 600 + b"\r\n\r\n"]))
    print("long header", answer_to([b"GET /v1/ca HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n"]))
    print("long target", answer_to([b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n"]))
    print("large body", answer_to([post + b"Content-Length: 99999999\r\n\r\n"]))
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    print("endless chunks", answer_to([post + b"Transfer-Encoding: chunked\r\n\r\n"] + [chunk] * 40))
    nested = b"[" * 60000
    print("nested json", answer_to([post + b"Content-Length: %d\r\n\r\n" % len(nested) + nested]))
    print("two lengths", answer_to([post + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"]))
    with connect() as stream:
        stream.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
        try:
            while stream.recv(4096):
                pass
            print("no tls closed")
        except OSError:
            print("no tls closed")
    held = []
    for _ in range(400):
        try:
            held.append(connect())
        except OSError:
            break
    time.sleep(1)
    print("connections", sum(not is_closed(stream) for stream in held))
    slow = tls_or_none()
    print("holding", flush=True)
    while True:
        time.sleep(1)
        if slow is not None:
            try:
                slow.sendall(b"X")
            except OSError:
                slow = None


def tls_or_none():
    try:
        return tls()
    except OSError:
        return None


main()
