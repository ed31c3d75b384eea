# SPDX-License-Identifier: BSD-3-Clause
"""tcpdump's files."""

import struct
import sys

LINK_ETHERNET, LINK_SLL, LINK_SLL2 = 1, 113, 276


class Reader:
    """Packets of a pcap file: (seconds, EtherType, bytes from the IP header on, whether some were left out)."""

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
            seconds, fraction, kept, length = struct.unpack(self.order + "IIII", self.data[at:at + 16])
            frame = self.data[at + 16:at + 16 + kept]
            at += 16 + kept
            if len(frame) < kept:
                return  # tcpdump was ended while it wrote
            if self.link == LINK_ETHERNET:
                kind, packet = int.from_bytes(frame[12:14], "big"), frame[14:]
            elif self.link == LINK_SLL:
                kind, packet = int.from_bytes(frame[14:16], "big"), frame[16:]
            else:
                kind, packet = int.from_bytes(frame[0:2], "big"), frame[20:]
            yield seconds + fraction / 1e6, kind, packet, kept < length
