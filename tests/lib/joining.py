"""Joins a cluster as `osiris join` does, but for a data folder of one's own.

    invitation = first.call("INVITE", role="peer")["invitation"]
    three = Joining(folder / "three", first, invitation)   # before its daemon starts
"""
import base64
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

import authority


def token_of(invitation):
    """An invitation's token and its id, as its text is described in src/model/token.h."""
    text = invitation.removeprefix("osri_").upper()
    content = base64.b32decode(text + "=" * (-len(text) % 8))
    body = content[1:1 + 8 + 8 + 20]
    check = hashlib.sha256(b"osiris check 1\0" + b"osrt_" + body).digest()[:4]
    return "osrt_" + base64.b32encode(body + check).decode().lower().rstrip("="), body[8:16]


class Joining:
    """An identity with a TLS key, which joins by asking the CA's instance over its socket."""

    def __init__(self, data, first, invitation, name="member"):
        self.identity = ed25519.Ed25519PrivateKey.generate()
        self.instance = authority.instance_id(self.identity.public_key())
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whoever")])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject)
        self.pem = request.sign(self.key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM).decode()
        self.answer = first.call("JOIN", **self.request(invitation, name))
        self.serial = authority.serial_of(self.answer["certificate_pem"].encode())
        self.write(data)

    def request(self, invitation, name):
        token, token_id = token_of(invitation)
        digest = hashlib.sha256(self.pem.encode()).digest()
        signature = self.identity.sign(b"osiris join 1\0" + digest + token_id)
        public = self.identity.public_key().public_bytes(serialization.Encoding.Raw,
                                                         serialization.PublicFormat.Raw)
        return {"invitation": token, "request_pem": self.pem, "instance": self.instance,
                "name": name, "public_key": base64.b64encode(public).decode(),
                "signature": base64.b64encode(signature).decode()}

    def write(self, data):
        authority.write_private(data / "identity.key", authority.pem_of_key(self.identity))
        authority.write_private(data / "trust" / "tls.key", authority.pem_of_key(self.key))
        for name, field in (("tls.crt", "certificate_pem"), ("authorities.pem", "authorities_pem")):
            authority.write_private(data / "trust" / name, self.answer[field].encode())
