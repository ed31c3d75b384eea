#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A server that answers exactly as a recorded one: fake_server.py RECORDING ADDRESS [REFUSED-VERSION...] (RUDP recordings).

The answer to the n-th message is the n-th recorded one, byte for byte behind the repeated header. Echo requests that come through
the tunnel are answered, refused versions with 302. Each client message is reported: "same ..." when it is the recorded client's, else "differs ...".
"""

import socket
import sys

import tsp


class FakeServer:
    def __init__(self, entries, refused):
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
            print("same" if same else "differs", repr(datagram[8:]), flush=True)
        return datagram[:8] + self.answers[seen.index(sequence)]


def main():
    recording, address, *refused = sys.argv[1:]
    server = FakeServer(tsp.read_recording(recording), refused)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, tsp.TSP_PORT))
        print("serving", flush=True)
        while True:
            datagram, source = sock.recvfrom(65536)
            answer = server.answer(datagram, source)
            if answer is not None:
                sock.sendto(answer, source)


main()
