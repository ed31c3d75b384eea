# SPDX-License-Identifier: BSD-3-Clause
"""PASSDSS-3DES-1, written a second time, for the test tools: both sides, on integers. 3DES is the openssl command's."""

import base64
import hashlib
import hmac
import secrets
import subprocess

# Oakley group 2 (RFC 2409 section 6.2).
PRIME = int("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
            "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
            "49286651ECE65381FFFFFFFFFFFFFFFF", 16)
NO_LAYER = b"\1\0\0\0"


class Malformed(Exception):
    """A message is not what it should be."""


def string(data):
    return len(data).to_bytes(4, "big") + data


def mpint(number):
    return string(number.to_bytes((number.bit_length() + 7) // 8, "big"))


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if self.at + size > len(self.data):
            raise Malformed("%d octets are missing" % (self.at + size - len(self.data)))
        self.at += size
        return self.data[self.at - size:self.at]

    def string(self):
        return self.take(int.from_bytes(self.take(4), "big"))

    def mpint(self):
        data = self.string()
        if data[:1] in (b"", b"\0"):
            raise Malformed("a number with a leading zero, or none")
        return int.from_bytes(data, "big")

    def end(self):
        if self.at != len(self.data):
            raise Malformed("%d octets too many" % (len(self.data) - self.at))


def sha1(*parts):
    return hashlib.sha1(b"".join(parts)).digest()


class Keys:
    def __init__(self, shared, hashed):
        k = mpint(shared)
        self.hashed = hashed
        self.digest = sha1(hashed, k)
        self.iv = sha1(k, b"A", self.digest)[:8]
        first = sha1(k, b"C", self.digest)
        self.key = (first + sha1(k, first))[:24]
        self.mac = hmac.new(sha1(k, b"E", self.digest), hashed + NO_LAYER, hashlib.sha1).digest()

    def triple_des(self, option, data):
        return subprocess.run(["openssl", "enc", option, "-des-ede3-cbc", "-K", self.key.hex(), "-iv", self.iv.hex()],
                              input=data, capture_output=True, check=True).stdout


class HostKey:
    """p, q, g, y from a message; with the private x it signs."""

    def __init__(self, blob, private=None):
        reader = Reader(blob)
        if reader.string() != b"ssh-dss":
            raise Malformed("no DSA key")
        self.p, self.q, self.g, self.y = (reader.mpint() for _ in range(4))
        reader.end()
        self.private = private

    def number(self, digest):
        # FIPS 186-4 section 4.6: the leftmost bits, when q is shorter than the digest.
        surplus = max(0, len(digest) * 8 - self.q.bit_length())
        return int.from_bytes(digest, "big") >> surplus

    def sign(self, digest):
        k = 1 + secrets.randbelow(self.q - 1)
        r = pow(self.g, k, self.p) % self.q
        return r, pow(k, -1, self.q) * (self.number(digest) + self.private * r) % self.q

    def verifies(self, digest, r, s):
        if not (0 < r < self.q and 0 < s < self.q):
            return False
        w = pow(s, -1, self.q)
        v = pow(self.g, self.number(digest) * w % self.q, self.p) * pow(self.y, r * w % self.q, self.p) % self.p
        return v % self.q == r


class Client:
    def __init__(self, user):
        self.private = secrets.randbits(256)
        self.hello = string(b"") + string(user.encode()) + mpint(pow(2, self.private, PRIME))

    def message_2(self):
        return base64.b64encode(self.hello)

    def read_challenge(self, message):
        """The broker's key; its signature was right."""
        data = base64.b64decode(message, validate=True)
        reader = Reader(data)
        blob = reader.string()
        public = reader.mpint()
        if reader.take(4) != NO_LAYER:
            raise Malformed("ssecmask or sbuflen")
        hashed = self.hello + data[:reader.at]
        signature = Reader(reader.string())
        reader.end()
        if signature.string() != b"ssh-dss":
            raise Malformed("no DSA signature")
        r, s = signature.mpint(), signature.mpint()
        signature.end()
        self.keys = Keys(pow(public, self.private, PRIME), hashed)
        key = HostKey(blob)
        if not key.verifies(self.keys.digest, r, s):
            raise Malformed("the signature is wrong")
        return key

    def message_4(self, password):
        plain = NO_LAYER + string(password.encode()) + self.keys.mac
        return base64.b64encode(self.keys.triple_des("-e", plain))


class Server:
    def __init__(self, blob, private):
        self.blob = blob
        self.host_key = HostKey(blob, private)
        self.private = secrets.randbits(256)

    def challenge(self, message):
        """Message 3 in answer to 2."""
        data = base64.b64decode(message, validate=True)
        reader = Reader(data)
        reader.string()
        self.user = reader.string().decode()
        public = reader.mpint()
        reader.end()
        head = string(self.blob) + mpint(pow(2, self.private, PRIME)) + NO_LAYER
        self.keys = Keys(pow(public, self.private, PRIME), data + head)
        r, s = self.host_key.sign(self.keys.digest)
        return base64.b64encode(head + string(string(b"ssh-dss") + mpint(r) + mpint(s))) + b"\r\n"

    def password(self, message):
        """What message 4 says."""
        reader = Reader(self.keys.triple_des("-d", base64.b64decode(message, validate=True)))
        if reader.take(4) != NO_LAYER:
            raise Malformed("csecmask")
        password = reader.string().decode()
        if reader.take(20) != self.keys.mac:
            raise Malformed("the MAC is wrong")
        reader.end()
        return password
