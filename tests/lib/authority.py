"""A CA as somebody outside would have it, made with python3-cryptography and nothing of the
project's own code, and data folders of instances that have a certificate from it.

    authority = Authority("lab")
    one = Member(folder / "one", authority)   # before its daemon starts for the first time
    Daemon(folder, "one", listen=["tls://127.0.0.1:7400"], flags=["--cluster", "lab"])
"""
import base64
import datetime
import hashlib
import os
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def pem_of_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def pem_of(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def serial_of(pem):
    """As `openssl x509 -serial` shows it; what stands beside the certificate is passed over."""
    text = f"{x509.load_pem_x509_certificate(pem).serial_number:X}"
    return text.zfill(len(text) + len(text) % 2)


def write_private(path, data):
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def instance_id(public_key):
    """proto/protocol.md, "HELLO"."""
    raw = public_key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    digest = hashlib.sha256(b"osiris instance 1\0" + raw).digest()
    return base64.b32encode(digest[:20]).decode().lower()


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self, cluster="osiris", trust=None):
        """`trust`: the trust folder of an instance that has a CA, which this one is then."""
        self.cluster = cluster
        if trust is not None:
            self.key = serialization.load_pem_private_key((trust / "ca.key").read_bytes(), None)
            self.certificate = x509.load_pem_x509_certificate((trust / "ca.crt").read_bytes())
            return
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(
            _name(f"{cluster} CA"), self.key.public_key(), _name(f"{cluster} CA"),
            now() - DAY, now() + 30 * DAY,
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (_usage(key_cert_sign=True, crl_sign=True), True))

    @property
    def pem(self):
        return pem_of(self.certificate)

    def _sign(self, subject, public_key, issuer, begins, ends, *extensions):
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
                   .public_key(public_key).serial_number(x509.random_serial_number())
                   .not_valid_before(begins).not_valid_after(ends)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                       self.key.public_key()), False))
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, is_critical)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, who, begins=None, ends=None, is_foreign=False):
        """PEM texts of a new key and a certificate that says who it is ("user:ana"), or, as those
        say it that know nothing of us, what its host is called ("desk.example")."""
        key = ec.generate_private_key(ec.SECP256R1())
        uri = x509.UniformResourceIdentifier(f"osiris:{self.cluster}/{who}")
        certificate = self._sign(
            _name(who[:64]), key.public_key(), self.certificate.subject,
            begins or now() - DAY, ends or now() + 7 * DAY,
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH,
                                    ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.SubjectAlternativeName([x509.DNSName(who) if is_foreign else uri]), False))
        return pem_of_key(key), pem_of(certificate)


def now():
    return datetime.datetime.utcnow()


def _usage(**wanted):
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in names})


class Member:
    """An instance's data folder with identity and certificate."""

    def __init__(self, data, authority, who=None, believes=None, **validity):
        self.data = data
        key = ed25519.Ed25519PrivateKey.generate()
        self.instance = instance_id(key.public_key())
        write_private(data / "identity.key", pem_of_key(key))
        self.certify(authority, who, believes, **validity)

    def certify(self, authority, who=None, believes=None, **validity):
        """`believes`: another CA than the one that issues."""
        tls_key, certificate = authority.issue(who or f"instance:{self.instance}", **validity)
        write_private(self.data / "trust" / "tls.key", tls_key)
        write_private(self.data / "trust" / "tls.crt", certificate)
        write_private(self.data / "trust" / "authorities.pem", (believes or authority).pem)


def client_context(authority, who=None, version=ssl.TLSVersion.TLSv1_3, protocol="osiris/1",
                   **validity):
    """For ssl.SSLContext.wrap_socket: shows a certificate if `who` is given, and believes the CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.check_hostname = False  # the instance's id decides
    context.load_verify_locations(cadata=authority.pem.decode())
    context.set_alpn_protocols([protocol])
    if who is not None:
        key, certificate = authority.issue(who, **validity)
        with tempfile.NamedTemporaryFile() as file:
            file.write(key + certificate)
            file.flush()
            context.load_cert_chain(file.name)
    return context
