"""Speaks to a member as another instance that may link with it: with the keys of a folder whose own
process does not run. Says of Raft whatever a test wants.

    with raft_peer.linked(member.data, other.port) as peer:
        peer.raft(ledger, 1, 2, term=7, vote_request={"last_index": 9})
        peer.wait_until_seen()"""
import base64
import contextlib
import pathlib
import struct

from cryptography.hazmat.primitives import serialization

import authority
import impostor
import tunnel


class Identity(impostor.Identity):
    """Of a folder."""

    def __init__(self, data):
        self.key = serialization.load_pem_private_key((data / "identity.key").read_bytes(), None)
        self.public = self.key.public_key().public_bytes(serialization.Encoding.Raw,
                                                         serialization.PublicFormat.Raw)
        self.instance = authority.instance_id(self.key.public_key())


class RaftPeer(impostor.TlsPeer):
    def raft(self, ledger, sender, receiver, **what):
        self.send("RAFT", ledger=ledger, **{"from": sender, "to": receiver}, **what)

    def ask(self, ledger, term, **what):
        """LEDGER_ASK: what a leader is to do for this one."""
        self.send("LEDGER_ASK", ledger=ledger, term=term, **what)

    def claim(self, ledger, member, **fields):
        """MEMBER: how this one stands to the ledger."""
        self.send("MEMBER", ledger=ledger, member=member, **fields)

    def wait_until_seen(self):
        """Until all that was said has been looked at. False where the other side has hung up."""
        try:
            self.send("PING", nonce=7)
            while (frame := self.receive()) and frame["type"] != "PONG":
                pass
            return frame is not None
        except (OSError, AssertionError):
            return False  # cut off, maybe in a frame


@contextlib.contextmanager
def linked(data, port):
    data = pathlib.Path(data)
    trust = data / "trust"
    shown = (trust / "tls.key").read_bytes() + (trust / "tls.crt").read_bytes()
    with tunnel.Tls(port, ca=(trust / "authorities.pem").read_bytes(), certificate=shown,
                    protocol="osiris/1", options=RaftPeer.TLS_OPTIONS) as door:
        with RaftPeer(door.port, Identity(data)) as peer:
            peer.greet()
            peer.expect("MEMBER")  # so it has looked at the proof
            yield peer


def command(machine, version, start, number, rest=b""):
    """In the envelope that a proposer gives it (node/ledger_log.h)."""
    envelope = struct.pack(">BHBQQ", 1, machine, version, start, number)
    return base64.b64encode(envelope + rest).decode()


def entry(term, payload, kind=1):
    return {"term": term, "kind": kind, "payload": base64.b64encode(payload).decode()}
