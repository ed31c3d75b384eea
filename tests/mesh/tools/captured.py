# SPDX-License-Identifier: BSD-3-Clause
"""tcpdump's files."""

import struct
import sys

OUTGOING = 4
TCP, UDP = 6, 17
LINK_ETHERNET, LINK_SLL, LINK_SLL2 = 1, 113, 276


class Reader:
    """Packets of a pcap file: (EtherType, bytes from the IP header on, whether some were left out, whether it is
    a copy: a capture of all interfaces has what is forwarded twice)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        magic = self.data[:4]
        if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
            self.order = "<"
        elif magic in (b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"):
            self.order = ">"
        else:
            sys.exit("%s: not a capture of tcpdump" % path)
        self.link = struct.unpack(self.order + "I", self.data[20:24])[0] & 0xFFFF
        if self.link not in (LINK_ETHERNET, LINK_SLL, LINK_SLL2):
            sys.exit("%s: link type %d is not known" % (path, self.link))

    def __iter__(self):
        at = 24
        while at + 16 <= len(self.data):
            _, _, kept, length = struct.unpack(self.order + "IIII", self.data[at:at + 16])
            frame = self.data[at + 16:at + 16 + kept]
            at += 16 + kept
            if len(frame) < kept:
                return  # tcpdump was ended while it wrote
            if self.link == LINK_ETHERNET:
                kind, packet, is_out = int.from_bytes(frame[12:14], "big"), frame[14:], False
            elif self.link == LINK_SLL:
                kind, packet, is_out = int.from_bytes(frame[14:16], "big"), frame[16:], frame[1] == OUTGOING
            else:
                kind, packet, is_out = int.from_bytes(frame[0:2], "big"), frame[20:], frame[10] == OUTGOING
            protocol = packet[9] if kind == 0x0800 else packet[6] if kind == 0x86DD else 0
            yield kind, packet, kept < length, is_out and protocol in (TCP, UDP)
