#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Looks for cleartext in captures of underlays: cleartext.py [--inner PREFIX]... [--marker TEXT]... [--expect KIND]... FILE...

Reads tcpdump's files. Every packet must be one of these, or it is told of and the exit status is 1:

  WireGuard    UDP whose payload is a message of type 1 to 4 with zeros for its reserved bytes and a length that the type can have
  negotiation  UDP whose payload is RUDP (first nibble 0xF) with an echo of nonces, or a part of a message: its parts put together, an
               element <tunnel> with the words that negotiations of links have, in which each contact is CMS, signed
  beacon       UDP to the beacons' multicast group: "SLNK", version, port, and one CMS document
  TLS          TCP, each direction of a connection a sequence of TLS records
  port mapping NAT-PMP, PCP and the search for UPnP, which a node says to its own router, in which there is its port and nothing else
  housekeeping ARP, neighbour discovery, multicast listener reports, and ICMP errors, whose quoted packet must pass as well

Besides, no payload may hold a marker (what the test sends through the mesh), nor an inner prefix's bytes in what claims to be
encrypted. What is expected must have been seen: a capture of nothing shows nothing. The last line counts what was seen.
"""

import argparse
import base64
import collections
import ipaddress
import re
import struct
import sys
import xml.etree.ElementTree

from captured import Reader

WIREGUARD_SIZES = {1: 148, 2: 92, 3: 64}
WIREGUARD_DATA, LEAST_DATA = 4, 32
TLS_TYPES = (20, 21, 22, 23)
TLS_LONGEST = 16384 + 256
# Neighbour discovery (RFC 4861) and multicast listener discovery (RFC 2710, 3810).
ICMP6_HOUSEKEEPING = {130, 131, 132, 133, 134, 135, 136, 137, 143}
ICMP6_ERRORS = {1, 2, 3, 4}
ICMP4_ERRORS = {3, 5, 11, 12}
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")  # id-signedData
NEGOTIATION_ELEMENTS = {"tunnel", "nonce", "to", "mtu", "alone", "anyport", "port", "contact", "observed"}
LONGEST_WORD = 45  # an IPv6 address with a prefix length
MOST_PARTS = 15
PORT_MAPPING, SSDP = 5351, 1900
# NAT-PMP's messages (RFC 6886 section 3) and PCP's for an address and for a mapping (RFC 6887 sections 7 and 11).
PORT_MAPPING_SIZES = {2, 8, 12, 16, 24, 60}
BEACON_GROUP = ipaddress.ip_address("ff12::6c69:6e6b").packed
PART = re.compile(rb"PART (\d+)/(\d+) [0-9a-f]{16}\r\n")
ECHO = re.compile(rb"ECHO (REQUEST|RESPONSE) [0-9a-f]{16}( [0-9a-f]{16})? *\r\n")
# Where the registry sees who asks: an outer address. As long as any of them.
ENDPOINT = re.compile(rb"ENDPOINT (REQUEST [0-9a-f]{16}|RESPONSE [0-9a-f]{16} \d{1,5} [0-9a-f.:]{2,45}) *\r\n")
ENDPOINT_SIZE = 96 - 8


class Checker:
    def __init__(self, inner, markers):
        self.inner = inner
        self.markers = markers
        self.seen = collections.Counter()
        self.bad = []
        self.parts = {}
        self.fragments = {}
        self.streams = {}

    def complain(self, what, packet):
        self.bad.append("%s: %s" % (what, packet[:80].hex()))

    def hides_nothing(self, payload):
        """What claims to be encrypted must not show what is inside."""
        return not any(prefix in payload for prefix in self.inner)

    def packet(self, kind, packet):
        if kind == 0x0806:
            self.seen["ARP"] += 1
        elif kind == 0x0800 and len(packet) >= 20 and packet[0] >> 4 == 4:
            header = (packet[0] & 15) * 4
            total = int.from_bytes(packet[2:4], "big")
            if int.from_bytes(packet[6:8], "big") & 0x3FFF:
                self.complain("a fragment", packet)
                return
            self.payload(packet, packet[9], packet[12:16], packet[16:20], packet[header:total])
        elif kind == 0x86DD and len(packet) >= 40 and packet[0] >> 4 == 6:
            total = int.from_bytes(packet[4:6], "big")
            protocol, body = packet[6], packet[40:40 + total]
            if protocol == 0 and len(body) >= 8:  # hop by hop, of listener reports
                protocol, body = body[0], body[(body[1] + 1) * 8:]
            if protocol == 44 and len(body) >= 8:
                protocol, body = self.fragment(packet[8:40], body)
                if body is None:
                    return
            self.payload(packet, protocol, packet[8:24], packet[24:40], body)
        else:
            self.complain("EtherType %04x" % kind, packet)

    def fragment(self, addresses, body):
        """A beacon has fragments. Returns its protocol and the whole, or None as long as that is not there."""
        offset = int.from_bytes(body[2:4], "big")
        key = (addresses, body[4:8])
        pieces = self.fragments.setdefault(key, {})
        pieces[offset & ~7] = (body[8:], offset & 1)
        whole = b""
        while len(whole) in pieces:
            piece, is_more = pieces[len(whole)]
            whole += piece
            if not is_more:
                del self.fragments[key]
                return body[0], whole
            if not piece:
                break
        return body[0], None

    def payload(self, packet, protocol, source, target, body):
        if any(marker in body for marker in self.markers):
            self.complain("the marker", packet)
        elif protocol == 17 and len(body) >= 8:
            ports = struct.unpack("!HH", body[:4])
            self.udp(packet, (source, ports[0], target, ports[1]), body[8:], target)
        elif protocol == 6 and len(body) >= 20:
            self.tcp(source, target, body)
        elif protocol == 58 and body and body[0] in ICMP6_HOUSEKEEPING:
            self.seen["neighbour discovery"] += 1
        elif (protocol == 58 and body and body[0] in ICMP6_ERRORS) or (protocol == 1 and body and body[0] in ICMP4_ERRORS):
            self.error(packet, body[8:])
        elif protocol == 2:
            self.seen["multicast reports"] += 1
        else:
            self.complain("protocol %d%s" % (protocol, ", type %d" % body[0] if protocol in (1, 58) and body else ""), packet)

    def error(self, packet, quoted):
        """An ICMP error quotes the beginning of a packet: enough to tell that its first bytes are not of something else."""
        version = quoted[0] >> 4 if quoted else 0
        if version == 4 and len(quoted) >= 28:
            protocol, body = quoted[9], quoted[(quoted[0] & 15) * 4:]
        elif version == 6 and len(quoted) >= 48:
            protocol, body = quoted[6], quoted[40:]
        else:
            self.complain("an ICMP error that quotes nothing", packet)
            return
        first = body[8] if protocol == 17 and len(body) > 8 else 0
        if protocol not in (1, 6, 17, 44, 58):
            self.complain("an ICMP error that quotes protocol %d" % protocol, packet)
        elif first and not (1 <= first <= 4 or first >> 4 == 15 or PORT_MAPPING in struct.unpack("!HH", body[:4])):
            self.complain("an ICMP error that quotes UDP of another kind", packet)
        elif not self.hides_nothing(body[8:]):
            self.complain("an inner address in an ICMP error", packet)
        else:
            self.seen["ICMP errors"] += 1

    def udp(self, packet, flow, payload, target):
        if not payload:
            self.complain("UDP without a payload", packet)
        elif 1 <= payload[0] <= 4 and payload[1:4] == b"\0\0\0":
            kind, size = payload[0], len(payload)
            right = size == WIREGUARD_SIZES[kind] if kind in WIREGUARD_SIZES else size >= LEAST_DATA
            if not right:
                self.complain("a WireGuard message of type %d with %d bytes" % (kind, size), packet)
            elif not self.hides_nothing(payload[4:]):
                self.complain("an inner address in a WireGuard message", packet)
            else:
                self.seen["WireGuard"] += 1
        elif payload[0] >> 4 == 15 and len(payload) >= 8:
            self.control(packet, flow, payload[:4], payload[8:])
        elif PORT_MAPPING in (flow[1], flow[3]) and len(payload) in PORT_MAPPING_SIZES and payload[0] in (0, 2):
            self.seen["port mapping"] += 1
        elif flow[3] == SSDP and payload.startswith(b"M-SEARCH * HTTP/1.1\r\n"):
            self.seen["port mapping"] += 1
        elif target == BEACON_GROUP and payload[:4] == b"SLNK" and self.is_signed(payload[8:]):
            self.seen["beacons"] += 1
        else:
            self.complain("UDP port %d to %d" % (flow[1], flow[3]), packet)

    @staticmethod
    def is_signed(document):
        """CMS SignedData in DER: one SEQUENCE that begins with its identifier and is as long as it says."""
        if len(document) < 20 or document[0] != 0x30:
            return False
        size = document[1]
        header = 2
        if size & 0x80:
            header += size & 0x7F
            size = int.from_bytes(document[2:header], "big")
        return header + size == len(document) and document[header:header + len(SIGNED_DATA)] == SIGNED_DATA

    def control(self, packet, flow, sequence, text):
        part = PART.match(text)
        is_endpoint = len(text) == ENDPOINT_SIZE and ENDPOINT.fullmatch(text)
        if ECHO.fullmatch(text) or is_endpoint:
            self.seen["negotiation"] += 1
            return
        if part is None:
            self.complain("control that is no part of a message", packet)
            return
        number, count = int(part.group(1)), int(part.group(2))
        if not 1 <= number <= count <= MOST_PARTS:
            self.complain("a part %d of %d" % (number, count), packet)
            return
        self.seen["negotiation"] += 1
        pieces = self.parts.setdefault((flow, sequence, count), {})
        pieces[number] = text[part.end():]
        if len(pieces) == count:
            whole = b"".join(pieces[i] for i in range(1, count + 1))
            del self.parts[flow, sequence, count]
            self.message(packet, whole)

    def message(self, packet, text):
        # An answer begins with its status line.
        body = re.sub(rb"\A\d{3} [^\r\n]*\r\n", b"", text)
        try:
            root = xml.etree.ElementTree.fromstring(body)
        except (xml.etree.ElementTree.ParseError, ValueError):
            self.complain("control that is no XML", body)
            return
        if root.tag != "tunnel":
            self.complain("control <%s>" % root.tag, packet)
        for element in root.iter():
            words = (element.text or "").strip()
            if element.tag not in NEGOTIATION_ELEMENTS:
                self.complain("control with <%s>" % element.tag, packet)
            elif element.tag != "contact" and len(words) > LONGEST_WORD:
                self.complain("control with a long <%s>" % element.tag, packet)
            elif element.tag == "contact":
                try:
                    document = base64.b64decode(words, validate=True)
                except ValueError:
                    document = b""
                if not self.is_signed(document):
                    self.complain("<contact> that is not signed", packet)
                else:
                    self.seen["signed contacts"] += 1

    def tcp(self, source, target, segment):
        ports = struct.unpack("!HH", segment[:4])
        sequence = int.from_bytes(segment[4:8], "big")
        flags, data = segment[13], segment[(segment[12] >> 4) * 4:]
        key = (source, ports[0], target, ports[1])
        # Sent again, it begins nothing.
        if flags & 2 and (key not in self.streams or self.streams[key].first != sequence):
            self.streams[key] = Stream(sequence)
        stream = self.streams.get(key)
        if not data:
            return
        if stream is None:
            # It began before the capture: the first segment seen need not begin a record.
            self.seen["TCP from before the capture"] += 1
            if not self.hides_nothing(data):
                self.complain("an inner address in TCP port %d to %d" % ports, data)
            return
        stream.add(sequence, data)

    def finish(self):
        if self.fragments:
            self.complain("%d packets whose fragments are not all there" % len(self.fragments), b"")
        self.fragments.clear()
        for (_, source, _, target), stream in self.streams.items():
            why = stream.check()
            self.seen["TLS records"] += stream.records
            if why:
                self.complain("TCP port %d to %d: %s" % (source, target, why), bytes(stream.data))
            elif not self.hides_nothing(bytes(stream.data)):
                self.complain("an inner address in TLS of port %d to %d" % (source, target), bytes(stream.data))
            elif any(marker in piece for marker in self.markers for piece in (stream.data, *stream.waiting.values())):
                self.complain("the marker in TCP port %d to %d" % (source, target), bytes(stream.data))


class Stream:
    """One direction of a connection, put in order."""

    def __init__(self, first):
        self.first = first
        self.next = (first + 1) & 0xFFFFFFFF
        self.data = bytearray()
        self.waiting = {}
        self.records = 0

    def add(self, sequence, data):
        self.waiting[sequence] = max(self.waiting.get(sequence, b""), data, key=len)
        moved = True
        while moved:
            moved = False
            for at in sorted(self.waiting):
                behind = (self.next - at) & 0xFFFFFFFF
                if behind < 0x80000000:  # at or before what comes next
                    piece = self.waiting.pop(at)
                    if len(piece) > behind:
                        self.data += piece[behind:]
                        self.next = (self.next + len(piece) - behind) & 0xFFFFFFFF
                    moved = True
                    break

    def check(self):
        """Why it is not TLS; None when it is."""
        at = 0
        while at + 5 <= len(self.data):
            kind, major, _, size = struct.unpack("!BBBH", self.data[at:at + 5])
            if kind not in TLS_TYPES or major != 3 or size > TLS_LONGEST:
                return "no TLS record at byte %d" % at
            if at == 0 and kind != 22 and kind != 21:
                return "it does not begin with a handshake"
            self.records += 1
            at += 5 + size
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inner", action="append", default=[])
    parser.add_argument("--marker", action="append", default=[])
    parser.add_argument("--expect", action="append", default=[])
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    inner = [network.network_address.packed[:network.prefixlen // 8] for network in map(ipaddress.ip_network, options.inner)]
    checker = Checker(inner, [marker.encode() for marker in options.marker])
    for path in options.files:
        for kind, packet, is_cut, is_copy in Reader(path):
            if is_cut:
                sys.exit("%s: packets are cut: capture with -s 0" % path)
            if not is_copy:
                checker.packet(kind, packet)
        # Connections and parts of different places are not put together.
        checker.finish()
        checker.parts.clear()
        checker.streams.clear()
    for kind in options.expect:
        if not checker.seen[kind]:
            checker.bad.append("no packet of the kind '%s' was seen" % kind)
    for line in list(dict.fromkeys(checker.bad))[:20]:
        print("cleartext: " + line)
    print("%s: %s" % ("%d packets in the clear" % len(checker.bad) if checker.bad else "no cleartext",
                      ", ".join("%d %s" % (count, name) for name, count in sorted(checker.seen.items())) or "nothing captured"))
    return 1 if checker.bad else 0


sys.exit(main())
