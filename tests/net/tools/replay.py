#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Replays the client's side of a recorded session against a registry and checks every answer's form.

    replay.py RECORDING SERVER [--coalesce] [--expect-status CODE] [--expect-type TYPE]

What the recorded client sent goes out byte for byte, RUDP headers, trailing NUL bytes and pipelining included. What cannot be the
recording's: the DIGEST-MD5 response (the nonce is the server's), the numbers of PASSDSS-3DES-1 (the recorded client's secret is not
known) and the inner addresses of the tunnel's packets.

--coalesce sends what the client sent without waiting for an answer in one segment (TCP). --expect-status says how `create` is to be
answered when not with 200, --expect-type which tunnel type when not the recorded one. A recorded redirection is expected to be an
ordinary answer: the registry under test redirects nobody.
"""

import argparse
import base64
import binascii
import itertools
import re
import socket
import sys
import time
import xml.etree.ElementTree

import passdss
import tsp
from tsp import Mismatch

USER, PASSWORD = "alice", "s3cret"
FORBIDDEN = [
    (rb"<\?", "an XML declaration"),
    (rb"<!", "a comment or CDATA"),
    (rb"'", "a single quote"),
    (rb"%", "a percent sign"),
    (rb"<(address|prefix)[^>]*/>", "a self-closing address or prefix"),
    (rb"<[a-z_]+\s*[\r\n]", "a newline after a tag's name"),
    (rb">[ \t]+[^<\s]", "a blank before text"),
    (rb"[^>\s]\s+</", "a blank after text"),
]


def require(condition, text):
    if not condition:
        raise Mismatch(text)


class Replay:
    def __init__(self, options):
        self.options = options
        self.create = b""
        self.challenge = {}
        self.response = {}
        self.info = b""
        self.is_refused = False
        self.passdss = None
        self.has_challenge = False

    # --- What the client says ---

    def client_text(self, text):
        """The recorded text, but for the digest response."""
        if text.startswith(b"Content-length:") and b'action="create"' in text:
            self.create = text
        if text.startswith(b"AUTHENTICATE PASSDSS-3DES-1"):
            self.passdss = passdss.Client(USER)
        elif self.passdss and not text.startswith(b"Content-length:"):
            return self.passdss.message_4(PASSWORD) if self.has_challenge else self.passdss.message_2()
        if self.challenge and not self.response and text:
            return self.digest_response(text)
        return text

    def digest_response(self, recorded):
        plain = tsp.from_base64(recorded)
        fields = tsp.digest_fields(plain)
        old_value = fields["response"]
        old_nonce = fields["nonce"]
        old_realm = fields["realm"]
        fields.update(nonce=self.challenge["nonce"], realm=self.challenge["realm"])
        self.response = fields
        value = tsp.digest_response_value(fields, USER, PASSWORD)
        plain = plain.replace(old_value, value).replace(old_nonce, fields["nonce"]).replace(
            'realm="%s"' % old_realm, 'realm="%s"' % fields["realm"])
        return base64.b64encode(plain.encode()) + b"\r\n"

    # --- What the server is to answer ---

    def check(self, recorded, actual):
        if not recorded:
            require(not actual, "expected the bare header, got %r" % actual)
        elif recorded.startswith(b"CAPABILITY") or recorded.startswith(b"1200"):
            self.check_capability(actual)
        elif recorded.startswith(b"Content-length:"):
            self.check_info(actual)
        elif recorded[:3].isdigit():
            require(re.fullmatch(rb"%s [^\r\n\0]+\r\n" % recorded[:3], actual), "expected %r, got %r" % (recorded, actual))
        elif self.passdss:
            require(actual.endswith(b"\r\n"), "the challenge has no line end: %r" % actual[-8:])
            self.passdss.read_challenge(actual[:-2])
            self.has_challenge = True
        elif self.response:
            self.check_rspauth(actual)
        else:
            self.check_challenge(actual)

    def check_capability(self, actual):
        require(re.fullmatch(rb"CAPABILITY( TUNNEL=[A-Z0-9]+)+( AUTH=[A-Z0-9-]+)+ \r\n", actual),
                "not a capability line with a blank behind every token: %r" % actual)
        for token in (b"TUNNEL=V6UDPV4 ", b"AUTH=ANONYMOUS ", b"AUTH=PLAIN ", b"AUTH=DIGEST-MD5 ",
                      b"AUTH=PASSDSS-3DES-1 "):
            require(token in actual, "%r is not offered: %r" % (token, actual))

    def check_challenge(self, actual):
        text = tsp.from_base64(actual)
        require(re.fullmatch(r'realm="[^"]+",nonce="[^"]+",qop="auth",algorithm=md5-sess,charset=utf-8', text),
                "deployed clients cannot read this challenge: %r" % text)
        self.challenge = tsp.digest_fields(text)

    def check_rspauth(self, actual):
        expected = "rspauth=" + tsp.digest_response_value(self.response, USER, PASSWORD, method="")
        text = tsp.from_base64(actual)
        require(text == expected, "expected %r, got %r" % (expected, text))

    def check_info(self, actual):
        head = re.match(rb"Content-length: (\d+)\r\n", actual)
        require(head, "no Content-length line: %r" % actual[:60])
        body = actual[head.end():]
        require(int(head[1]) == len(body), "Content-length says %s, %d follow" % (head[1].decode(), len(body)))
        status = re.match(rb"(\d{3}) [^\r\n\0]+\r\n", body)
        require(status, "no status line: %r" % body[:60])
        require(int(status[1]) == self.options.expect_status, "create is answered %r" % status[0])
        if self.options.expect_status != 200:
            self.is_refused = True  # as expected; a client says nothing more then
            return
        self.info = body[status.end():]
        self.check_xml(self.info)

    def check_xml(self, text):
        for pattern, what in FORBIDDEN:
            found = re.search(pattern, text)
            require(not found, "%s in the reply, which deployed clients cannot read: %r" % (what, found and found[0]))
        root = xml.etree.ElementTree.fromstring(text.decode())
        require(outline(root) == self.expected_outline(), "the reply has %s, expected %s" %
                (outline(root), self.expected_outline()))
        require(root.get("action") == "info", "action is %r" % root.get("action"))
        if self.options.expect_type:
            require(root.get("type") == self.options.expect_type, "type is %r" % root.get("type"))
        require(root.get("lifetime", "").isdigit(), "lifetime is %r" % root.get("lifetime"))
        for element in root.iter("keepalive"):
            require(int(element.get("interval")) > 0, "keepalive interval %r" % element.get("interval"))
        for element in root.iter("prefix"):
            wanted = re.search(rb'<prefix length="(\d+)"', self.create)[1].decode()
            require(element.get("length") == wanted, "prefix length %r" % element.get("length"))
            require(re.fullmatch(r"([0-9a-f]{4}:){7}[0-9a-f]{4}", element.text), "prefix %r" % element.text)

    def expected_outline(self):
        client = [["address", "ipv4"], ["address", "ipv6"], ["dns_server", None], ["address", "ipv6"]]
        if b"<router>" in self.create:
            client += [["router", None], ["prefix", None]]
        if b"<keepalive" in self.create:
            client += [["keepalive", None], ["address", "ipv6"]]
        return [["tunnel", "type"], ["server", None], ["address", "ipv4"], ["address", "ipv6"], ["client", None]] + client

    # --- Transports ---

    def run(self, entries):
        if entries[0].kind == "TCP":
            self.run_tcp(entries)
        else:
            for _, session in itertools.groupby(with_client_ports(entries), key=lambda entry: entry.source):
                self.run_rudp(list(session))

    def run_rudp(self, entries):
        session = tsp.RudpSession(self.options.server)
        waiting = [entry for entry in entries if entry.kind == "RUDP" and not entry.from_client]
        for entry in entries:
            if self.is_refused:
                break
            if entry.from_client and entry.kind == "RUDP":
                answer = session.request(self.client_text(entry.data[8:]), entry.data[:8])
                self.check(waiting.pop(0).data[8:], answer)
            elif entry.from_client and b'type="v6udpv4"' in self.info:
                self.send_inner(session.socket, entry.data)
        extra = tsp.receive_packet(session.socket, lambda datagram: True, 0.2)
        require(extra is None, "a datagram nobody asked for: %r" % extra)
        session.close()

    def send_inner(self, sock, packet):
        """A recorded inner packet; one between the tunnel's addresses gets ours, and an echo request its answer."""
        if packet[8] != 0x20:
            sock.send(packet)  # link-local or multicast: to be ignored quietly
            return
        server, client = map(tsp.address, tsp.inner_addresses(self.info))
        packet = tsp.icmpv6(client, server, packet[40:])
        sock.send(packet)
        answer = tsp.receive_packet(sock, lambda datagram: True, 3)
        require(answer is not None, "the keepalive's echo request is not answered")
        require(answer[40:42] == b"\x81\0" and answer[44:] == packet[44:] and answer[8:40] == server + client,
                "echo request %s is answered %s" % (packet.hex(), answer.hex()))

    def run_tcp(self, entries):
        with socket.create_connection((self.options.server, tsp.TSP_PORT), timeout=5) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for from_client, group in itertools.groupby(entries, key=lambda entry: entry.from_client):
                if self.is_refused:
                    break
                if from_client:
                    segments = [self.client_text(entry.data) for entry in group]
                    if self.options.coalesce:
                        segments = [b"".join(segments)]
                    for segment in segments:
                        sock.sendall(segment)
                else:
                    for entry in group:
                        # Deployed clients read once: what one read does not bring is lost to them, and what it brings
                        # beyond the expected reply too. Hence no loop here.
                        self.check(entry.data, sock.recv(4096))
            time.sleep(0.2)
            sock.setblocking(False)
            try:
                extra = sock.recv(4096)
            except BlockingIOError:
                extra = b""
            require(not extra, "bytes nobody asked for: %r" % extra)


def outline(root):
    """Elements in order: [name, an address's type], without the optional name of the client."""
    found = [[element.tag, element.get("type") if element.tag == "address" else None] for element in root.iter()]
    found[0][1] = "type" if root.get("type") else None
    return [entry for entry in found if entry != ["address", "dn"]]


def with_client_ports(entries):
    """Answers carry the port of the client's message before them, so that sessions can be told apart."""
    source = None
    for entry in entries:
        if entry.from_client:
            source = entry.source
        entry.source = source
    return entries


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("recording")
    parser.add_argument("server")
    parser.add_argument("--coalesce", action="store_true")
    parser.add_argument("--expect-status", type=int, default=200)
    parser.add_argument("--expect-type")
    options = parser.parse_args()
    try:
        Replay(options).run(tsp.read_recording(options.recording))
    except (Mismatch, OSError, passdss.Malformed, binascii.Error, xml.etree.ElementTree.ParseError) as error:
        print("%s: %s" % (options.recording, error or type(error).__name__))
        return 1
    return 0


sys.exit(main())
