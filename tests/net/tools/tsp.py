# SPDX-License-Identifier: BSD-3-Clause
"""What the test tools share: TSP over RUDP and TCP, spoken independently of sixlink's own code, and inner packets."""

import base64
import hashlib
import re
import socket
import struct
import time

FIRST_SEQUENCE = 0xF00000F0
TSP_PORT = 3653


class Mismatch(Exception):
    """The peer did not do what it should."""


class RudpSession:
    """One client session. Sends each message once, and waits for its answer."""

    def __init__(self, server, port=TSP_PORT, timeout=5.0, source_port=0, local=""):
        self.socket = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((local, source_port))
        self.socket.connect((server, port))
        self.socket.settimeout(timeout)
        self.sequence = FIRST_SEQUENCE
        self.start = time.monotonic()

    def request(self, text, header=None):
        """The answer's text. `header`: a recorded one in place of our own."""
        if header is None:
            header = struct.pack("!II", self.sequence, int((time.monotonic() - self.start) * 1000))
        self.sequence += 1
        self.socket.send(header + text)
        answer = self.socket.recv(65536)
        if answer[:8] != header:
            raise Mismatch("the header is not repeated: sent %s, got %s" % (header.hex(), answer[:8].hex()))
        if len(answer) >= 4096:
            raise Mismatch("an answer of %d bytes" % len(answer))
        return answer[8:]

    def close(self):
        self.socket.close()


def create_request(tunnel_type, address="192.0.2.2", keepalive=30, prefix_length=0, dns_servers=()):
    body = '<tunnel action="create" type="%s" proxy="no">\r\n <client>\r\n  <address type="ipv4">%s</address>\r\n' % (
        tunnel_type, address)
    if keepalive:
        body += '  <keepalive interval="%d">\r\n    <address type="ipv6">::</address>\r\n  </keepalive>\r\n' % keepalive
    if prefix_length:
        body += '  <router>\r\n   <prefix length="%d"/>\r\n' % prefix_length
        if dns_servers:
            names = "".join('     <address type="dn">%s</address>\r\n' % name for name in dns_servers)
            body += "   <dns_server>\r\n%s   </dns_server>\r\n" % names
        body += "  </router>\r\n"
    return with_length(body + " </client>\r\n</tunnel>\r\n")


ACCEPT = b'Content-length: 35\r\n<tunnel action="accept"></tunnel>\r\n'


def with_length(body):
    data = body.encode()
    return b"Content-length: %d\r\n" % len(data) + data


def inner_addresses(info):
    """(server's, client's) inner addresses of an info reply."""
    found = re.findall(rb'<address type="ipv6">([^<]*)</address>', info)
    return found[0].decode(), found[1].decode()


def negotiate_anonymous(server, tunnel_type="v6udpv4"):
    """(session, server's inner address, client's inner address), with the tunnel's packets on session.socket from here on."""
    session = RudpSession(server)
    session.request(b"VERSION=2.0.2\r\n")
    if not session.request(b"AUTHENTICATE ANONYMOUS\r\n\0").startswith(b"200"):
        raise Mismatch("anonymous is refused")
    info = session.request(create_request(tunnel_type))
    if b"\r\n200 " not in info[:40]:
        raise Mismatch("create is answered %r" % info[:80])
    session.request(ACCEPT)
    return (session, *inner_addresses(info))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv6_packet(source, destination, next_header, payload, hop_limit=64):
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, hop_limit) + source + destination + payload


def icmpv6(source, destination, message):
    """`message` with its checksum filled in, in an IPv6 packet. Addresses are 16 bytes."""
    message = message[:2] + b"\0\0" + message[4:]
    pseudo = source + destination + struct.pack("!II", len(message), 58)
    return ipv6_packet(source, destination, 58, message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:])


def echo_request(source, destination, identifier=1, sequence=1, data=b"sixlink"):
    return icmpv6(address(source), address(destination), struct.pack("!BBHHH", 128, 0, 0, identifier, sequence) + data)


def address(text):
    return socket.inet_pton(socket.AF_INET6, text)


def echo_answer(packet):
    """The answer to an ICMPv6 echo request, or None when the packet is none."""
    if len(packet) < 48 or packet[0] >> 4 != 6 or packet[6] != 58 or packet[40] != 128:
        return None
    return icmpv6(packet[24:40], packet[8:24], b"\x81" + packet[41:])


def receive_packet(sock, wanted, seconds):
    """The next datagram for which wanted(datagram) is true, or None when the time is over."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            datagram = sock.recv(65536)
        except TimeoutError:
            break
        if wanted(datagram):
            return datagram
    return None


def digest_response_value(fields, user, password, method="AUTHENTICATE:"):
    """RFC 2831 with algorithm md5-sess; `fields` are the response's. `method` "" makes the server's rspauth."""
    inner = hashlib.md5(("%s:%s:%s" % (user, fields["realm"], password)).encode()).digest()
    a1 = inner + (":%s:%s" % (fields["nonce"], fields["cnonce"])).encode()
    a2 = (method or ":") + fields["digest-uri"]
    return hashlib.md5(":".join([hashlib.md5(a1).hexdigest(), fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"],
                                 hashlib.md5(a2.encode()).hexdigest()]).encode()).hexdigest()


def digest_fields(text):
    """name -> value of a challenge or response, quotes taken off."""
    return {name: value.strip('"') for name, value in re.findall(r'([a-z-]+)=("[^"]*"|[^,]*)', text)}


def from_base64(line):
    if not re.fullmatch(rb"[A-Za-z0-9+/]+=*\r\n", line):
        raise Mismatch("not one line of base64 with CRLF: %r" % line)
    return base64.b64decode(line).decode()


class Entry:
    """One datagram or segment of a recording."""

    def __init__(self, from_client, kind, source):
        self.from_client = from_client
        self.kind = kind  # RUDP, TCP or DATA
        self.source = source
        self.data = b""


def read_recording(path):
    entries, sized = [], None
    with open(path, encoding="ascii") as file:
        for line in file:
            head = re.match(r"\[ *[\d.]+\] (C>S|S>C) (\w+)(?: from (\S+))? \((\d+) bytes\)", line)
            if head:
                entries.append(Entry(head[1] == "C>S", head[2], head[3]))
                sized = int(head[4])
            elif line.startswith("["):
                sized = None  # a remark; hex after it explains something and is no traffic
            elif sized is not None:
                entries[-1].data += bytes.fromhex(line[10:58])
                if len(entries[-1].data) > sized:
                    raise ValueError("%s: more bytes than said: %r" % (path, line))
    return entries
