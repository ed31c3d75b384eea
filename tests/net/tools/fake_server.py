#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A server that answers exactly as a recorded one: fake_server.py RECORDING ADDRESS [REFUSED-VERSION...] (RUDP recordings).

The answer to the n-th message is the n-th recorded one, byte for byte behind the repeated header. Echo requests that come through
the tunnel are answered, refused versions with 302. Each client message is reported: "same ..." when it is the recorded client's, else "differs ...".

PASSDSS-3DES-1 has other numbers in each session: its challenge is made anew with the recorded server's key, and "same" means the
recorded user and password.
"""

import base64
import re
import socket
import sys

import passdss
import tsp


def recorded_host_key(path, entries):
    """(public, private), or None when the recording has none."""
    with open(path, encoding="ascii") as file:
        private = re.search(r"server DSA private x = ([0-9a-f]+)", file.read())
    if not private:
        return None
    challenge = next(entry.data[8:] for entry in entries if not entry.from_client and entry.data[8:12] == b"AAAB")
    return passdss.Reader(base64.b64decode(challenge)).string(), int(private[1], 16)


class FakeServer:
    def __init__(self, entries, refused, host_key):
        self.host_key = host_key
        self.logins = {}  # source -> passdss.Server
        self.refused = [b"VERSION=%s\r\n" % version.encode() for version in refused]
        control = [entry for entry in entries if entry.kind == "RUDP"]
        self.questions = [entry.data[8:] for entry in control if entry.from_client]
        self.answers = [entry.data[8:] for entry in control if not entry.from_client]
        self.sessions = {}  # source -> sequence numbers in the order of their arrival

    def answer(self, datagram, source):
        if datagram[:1] >= b"\xf0":
            return self.control_answer(datagram, source)
        return tsp.echo_answer(datagram)

    def control_answer(self, datagram, source):
        if datagram[8:] in self.refused:
            print("refused", repr(datagram[8:]), flush=True)
            return datagram[:8] + b"302 Unsupported TSP version\r\n"
        sequence = datagram[:4]
        seen = self.sessions.setdefault(source, [])
        if sequence not in seen:
            if len(seen) == len(self.answers):
                print("too many %r" % datagram, flush=True)
                return None
            seen.append(sequence)
            same = datagram[8:] == self.questions[len(seen) - 1]
            if self.host_key and len(seen) in (3, 4):
                same = self.log_in(datagram[8:], source, is_first=len(seen) == 3)
            print("same" if same else "differs", repr(datagram[8:]), flush=True)
        if self.host_key and seen.index(sequence) == 2:
            return datagram[:8] + self.logins[source].text
        return datagram[:8] + self.answers[seen.index(sequence)]

    def log_in(self, text, source, is_first):
        if is_first:
            server = self.logins[source] = passdss.Server(*self.host_key)
            server.text = server.challenge(text)
            return server.user == "alice"
        return self.logins[source].password(text) == "s3cret"


def main():
    recording, address, *refused = sys.argv[1:]
    entries = tsp.read_recording(recording)
    server = FakeServer(entries, refused, recorded_host_key(recording, entries))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, tsp.TSP_PORT))
        print("serving", flush=True)
        while True:
            datagram, source = sock.recvfrom(65536)
            answer = server.answer(datagram, source)
            if answer is not None:
                sock.sendto(answer, source)


main()
