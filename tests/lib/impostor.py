"""A peer that speaks the protocol well enough to break its rules: identity, proof, entries,
hashes and signatures by hashlib and the cryptography package alone."""
import base64
import hashlib
import os
import re
import struct
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import osiris

CLUSTER = "osiris"


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return u32(len(data)) + data


def sha(data):
    return hashlib.sha256(data).digest()


def base64_text(data):
    return base64.b64encode(data).decode()


class Identity:
    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        hashed = sha(b"osiris instance 1\0" + self.public)[:20]
        self.instance = base64.b32encode(hashed).decode().lower().rstrip("=")

    def sign(self, message):
        return self.key.sign(message)


class Feed:
    """The feed that an impostor leads."""

    def __init__(self, identity):
        self.identity = identity
        self.sequence = 0
        self.chain = bytes(32)
        self.time_ms = 0  # of the last entry; no two have the same

    def update(self, values):
        """An honest UPDATE with the next entries; change it to lie."""
        entries = []
        first = self.sequence + 1
        for value in values:
            self.sequence += 1
            time_ms = self.time_ms = max(self.time_ms + 1, int(time.time() * 1000))
            id = f"from-{self.identity.instance[:8]}-{self.sequence}"
            entries.append({"format": 1, "sequence": self.sequence, "time_ms": time_ms,
                            "operation": "PUT", "document": {"id": id, "data": value}})
            data = b'"' + value.encode() + b'"'
            document = (text(id) + text("") + text("") + b"\1" + text(data) + u32(0) + text("")
                        + u64(0) + u32(0) + u64(0) + b"\0")
            entry_hash = sha(b"osiris entry 1\0" + u32(1) + text(self.identity.instance)
                             + text("kb") + u64(1) + u64(self.sequence) + u64(time_ms) + u32(0)
                             + b"\1" + sha(b"osiris document 1\0" + document))
            self.chain = sha(b"osiris chain 1\0" + self.chain + entry_hash)
        head = (b"osiris head 1\0" + text(CLUSTER) + text(self.identity.instance) + text("kb")
                + u64(1) + u64(self.sequence) + self.chain)
        return {"origin": self.identity.instance, "stream": "kb", "epoch": 1,
                "first_sequence": first, "entries": entries, "chain": base64_text(self.chain),
                "signature": base64_text(self.identity.sign(head)),
                "public_key": base64_text(self.identity.public)}


class Peer(osiris.Client):
    """A link to a daemon, dialled by us, in JSON."""

    def __init__(self, port, identity=None, cluster=CLUSTER, held=(), boot=None):
        super().__init__(port)
        self.report = b""  # of who carries it, which comes before the first frame
        self.identity = identity or Identity()
        self.nonce = os.urandom(32)
        self.hello = {"protocol": 1, "entry_format": 1, "cluster": cluster,
                      "instance": self.identity.instance, "name": "impostor",
                      "nonce": base64_text(self.nonce), "boot": base64_text(boot or os.urandom(16)),
                      "held": list(held), "wanted": ["kb"]}

    def binding(self):
        """What ties the proof to the channel: nothing, without TLS."""
        return b""

    def greet(self, sign=None):
        """HELLO and HELLO_PROOF; `sign` replaces the honest signature."""
        self.send("HELLO", **self.hello)
        theirs = self.expect("HELLO")
        proof = (b"osiris proof 1\0" + text(self.identity.instance) + self.nonce
                 + text(theirs["instance"]) + base64.b64decode(theirs["nonce"])
                 + text(self.binding()))
        signature = (sign or self.identity.sign)(proof)
        self.send("HELLO_PROOF", public_key=base64_text(self.identity.public),
                  signature=base64_text(signature))
        return theirs

    def expect(self, *types):
        """The next frame of one of these types; others are passed over."""
        while True:
            frame = self.receive()
            assert frame is not None, f"closed while {types} were awaited"
            if frame["type"] in types:
                return frame

    def state(self, sequence):
        """Says that it holds its own feed up to here."""
        self.send("ACK", origin=self.identity.instance, stream="kb", epoch=1, sequence=sequence)

    def expect_fetch(self):
        """The daemon's FETCH of this peer's own feed; gives the sequence it wants to begin with."""
        while True:
            fetch = self.expect("FETCH")
            if fetch["origin"] == self.identity.instance:
                return fetch["from_sequence"]

    def offer(self, sequence):
        """Greets, says what it holds, and waits until it is asked for it from the beginning."""
        self.greet()
        self.state(sequence)
        assert self.expect_fetch() == 1


class TlsPeer(Peer):
    """The same through a tunnel.Tls with TLS_OPTIONS, which says at first what the channel is bound
    to."""
    TLS_OPTIONS = ("-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32")

    def binding(self):
        told = re.search(rb"Keying material: ([0-9A-F]{64})", self.report)
        return bytes.fromhex(told.group(1).decode())

    def receive(self):
        """Passes over the report of the handshake, which has no line like a frame's."""
        while b"{" not in self.received:
            data = self.socket.recv(1 << 16)
            if not data:
                return None
            self.received += data
        begin = self.received.index(b"{")
        self.report += self.received[:begin]
        self.received = self.received[begin:]
        return super().receive()
