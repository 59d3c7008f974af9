"""The operations of trust.proto, in JSON over the data folder's socket, as any program may call
them."""
import base64
import hashlib
import re
import signal
import ssl
import stat
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

import authority
import osiris

PASSWORD = "correct horse battery"


@pytest.fixture
def first(make_daemon):
    """The CA's instance, listening with TLS; clients may show tokens, passwords, certificates."""
    daemon = make_daemon("first")
    daemon.port = osiris.free_port()
    listen = f"tls://127.0.0.1:{daemon.port}"
    subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", str(daemon.data),
                    "--cluster", "lab", "--listen", listen], check=True, capture_output=True)
    return daemon.start()


@pytest.fixture
def admin(first):
    with first.client() as client:
        yield client


def connect(daemon, certificate=None):
    """A client over TLS that believes whoever answers, and shows a certificate if one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    return osiris.Client(daemon.port, tls=context)


def fails_with(code, client, type, **fields):
    with pytest.raises(osiris.Failure) as failure:
        client.call(type, **fields)
    assert failure.value.code == code, failure.value.frame
    return failure.value.frame


def records(client, **wanted):
    return [record for frame in client.stream("AUDIT", **wanted)
            for record in frame.get("records", [])]


def request_pem(key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whoever")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def token_of(invitation):
    """An invitation's token, as its text is described in src/model/token.h."""
    text = invitation.removeprefix("osri_").upper()
    content = base64.b32decode(text + "=" * (-len(text) % 8))
    body = content[1:1 + 8 + 8 + 20]
    check = hashlib.sha256(b"osiris check 1\0" + b"osrt_" + body).digest()[:4]
    return "osrt_" + base64.b32encode(body + check).decode().lower().rstrip("="), body[8:16]


class Newcomer:
    """An instance that wants to join."""

    def __init__(self):
        self.identity = ed25519.Ed25519PrivateKey.generate()
        self.id = authority.instance_id(self.identity.public_key())
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pem = request_pem(self.key)

    def request(self, invitation):
        token, token_id = token_of(invitation)
        digest = hashlib.sha256(self.pem.encode()).digest()
        signature = self.identity.sign(b"osiris join 1\0" + digest + token_id)
        public = self.identity.public_key().public_bytes(serialization.Encoding.Raw,
                                                         serialization.PublicFormat.Raw)
        return {"invitation": token, "request_pem": self.pem, "instance": self.id, "name": "new",
                "public_key": base64.b64encode(public).decode(),
                "signature": base64.b64encode(signature).decode()}


# ---- passwords ----


# A right password gives a token that makes the connection the user's, with the user's roles alone.
def test_login_gives_a_token_for_the_users_roles(first, admin):
    admin.call("USER_PUT", user="ana", password=PASSWORD, roles=["reader"])
    with connect(first) as client:
        fails_with("PERMISSION_DENIED", client, "KB_LIST")
        login = client.call("LOGIN", user="ana", password=PASSWORD)
        assert int(login["expires_ms"]) > time.time() * 1000
        shown = client.call("AUTHENTICATE", token=login["token"])
        assert (shown["who"], shown["roles"]) == ("user:ana", ["reader"])
        client.call("KB_LIST")
        fails_with("PERMISSION_DENIED", client, "KB_PUT", document={"data": 1})
        fails_with("PERMISSION_DENIED", client, "USER_PUT", user="eve", password=PASSWORD)


# A wrong password, an unknown user and a disabled one are answered in the same words.
def test_login_tells_nothing_about_users(first, admin):
    admin.call("USER_PUT", user="ana", password=PASSWORD, roles=["reader"])
    admin.call("USER_PUT", user="off", password=PASSWORD, roles=["reader"], disabled=True)
    with connect(first) as client:
        answers = [fails_with("UNAUTHENTICATED", client, "LOGIN", user=user, password=password)
                   for user, password in [("ana", "wrong one"), ("nobody", PASSWORD),
                                          ("off", PASSWORD)]]
    assert len({(answer["message"], answer.get("hint")) for answer in answers}) == 1
    records = [record for frame in admin.stream("AUDIT") for record in frame.get("records", [])]
    assert not [record for record in records
                if record["who"] == "user:off" and record.get("allowed")]


# After some wrong ones in a row even the right password has to wait, and the answer says how long.
def test_login_is_rate_limited(first, admin):
    admin.call("USER_PUT", user="ana", password=PASSWORD, roles=["reader"])
    with connect(first) as client:
        codes = []
        for _ in range(5):
            with pytest.raises(osiris.Failure) as failure:
                client.call("LOGIN", user="ana", password="wrong one")
            codes.append(failure.value.code)
        assert codes[:3] == ["UNAUTHENTICATED"] * 3 and codes[-1] == "BUSY", codes
        answer = fails_with("BUSY", client, "LOGIN", user="ana", password=PASSWORD)
        seconds, = re.search(r"again in (\d+) s", answer["hint"]).groups()
        time.sleep(int(seconds))
        client.call("LOGIN", user="ana", password=PASSWORD)


# Another password ends the user's logins; without one the user stays as he was but for the roles.
def test_new_password_ends_logins(first, admin):
    admin.call("USER_PUT", user="ana", password=PASSWORD, roles=["reader"])
    with connect(first) as client:
        token = client.call("LOGIN", user="ana", password=PASSWORD)["token"]
        client.call("AUTHENTICATE", token=token)
        admin.call("USER_PUT", user="ana", roles=["reader"])
        client.call("KB_LIST")
        admin.call("USER_PUT", user="ana", password=PASSWORD + "2", roles=["reader"])
        fails_with("UNAUTHENTICATED", client, "KB_LIST")
        client.call("LOGIN", user="ana", password=PASSWORD + "2")


# What makes no user is refused: no password at first, a short one, a role that nobody has defined.
def test_user_must_make_sense(admin):
    fails_with("INVALID_ARGUMENT", admin, "USER_PUT", user="new", roles=["reader"])
    fails_with("INVALID_ARGUMENT", admin, "USER_PUT", user="new", password="short")
    fails_with("NOT_FOUND", admin, "USER_PUT", user="new", password=PASSWORD, roles=["emperor"])
    fails_with("INVALID_ARGUMENT", admin, "USER_PUT", user="a b", password=PASSWORD)
    assert admin.call("CREDENTIALS", kind="user").get("credentials", []) == []


# ---- tokens ----


# A token is good over a restart, until it is revoked: then at once, on connections that are up.
def test_life_of_a_token(first, admin):
    made = admin.call("TOKEN_CREATE", name="ci", roles=["reader"])
    assert made["token"].startswith("osrt_")
    first.stop()
    first.start()
    with connect(first) as client, first.client() as admin:
        assert client.call("AUTHENTICATE", token=made["token"])["who"] == "token:ci"
        client.call("KB_LIST")
        admin.call("REVOKE", token=made["id"])
        fails_with("UNAUTHENTICATED", client, "KB_LIST")
        row, = admin.call("CREDENTIALS", kind="token")["credentials"]
        assert (row["id"], row["name"], row["roles"]) == (made["id"], "ci", ["reader"])
        assert row["state"].startswith("revoked by admin at 20")
        fails_with("NOT_FOUND", admin, "REVOKE", token="0" * 16)
    with connect(first) as client:
        fails_with("UNAUTHENTICATED", client, "AUTHENTICATE", token=made["token"])


# A token ends by itself.
def test_token_expires(first, admin):
    made = admin.call("TOKEN_CREATE", name="brief", roles=["reader"], expires_ms=4000)
    with connect(first) as client:
        client.call("AUTHENTICATE", token=made["token"])
        client.call("KB_LIST")
        time.sleep(4)
        fails_with("UNAUTHENTICATED", client, "KB_LIST")
    assert admin.call("CREDENTIALS", kind="token")["credentials"][0]["state"] == "expired"


# No secret is left in the data folder, the log or the audit log, only what it is compared with.
def test_secrets_are_nowhere(first, admin):
    token = admin.call("TOKEN_CREATE", name="ci", roles=["reader"])["token"]
    admin.call("USER_PUT", user="ana", password=PASSWORD, roles=["reader"])
    login = admin.call("LOGIN", user="ana", password=PASSWORD)["token"]
    invitation = admin.call("INVITE")["invitation"]
    with pytest.raises(osiris.Failure):
        admin.call("AUTHENTICATE", token=token[:-1])
    first.stop()
    files = [path for path in first.data.rglob("*") if path.is_file()] + [first.log_path]
    for path in files:
        content = path.read_bytes()
        for secret in (token, login, invitation, PASSWORD):
            assert secret.encode() not in content, path
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path == first.log_path, path


# ---- certificates ----


# An invitation lets one instance in, once: its certificate is of the cluster's CA and says its id.
def test_join_takes_an_invitation_once(first, admin):
    newcomer = Newcomer()
    invited = admin.call("INVITE")
    with connect(first) as client:
        joined = client.call("JOIN", **newcomer.request(invited["invitation"]))
        assert joined["cluster"] == "lab" and joined["instance"] == first.instance()
        certificate = x509.load_pem_x509_certificate(joined["certificate_pem"].encode())
        ca = x509.load_pem_x509_certificate(joined["authorities_pem"].encode())
        ca.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes,
                               ec.ECDSA(certificate.signature_hash_algorithm))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
            f"osiris:lab/instance:{newcomer.id}"]
        refusal = fails_with("UNAUTHENTICATED", client, "JOIN",
                             **Newcomer().request(invited["invitation"]))
        assert f"used by instance:{newcomer.id}" in refusal["message"]
    row, = admin.call("CREDENTIALS", kind="invitation")["credentials"]
    assert row["state"].startswith(f"used by instance:{newcomer.id} at 20")


# Expired, revoked, mistyped: each invitation that is not good says which of these it is.
def test_bad_invitations_say_why(first, admin):
    expired = admin.call("INVITE", expires_ms=100)
    revoked = admin.call("INVITE")
    admin.call("REVOKE", invitation=revoked["id"])
    good = admin.call("INVITE")
    time.sleep(0.15)
    with connect(first) as client:
        answer = fails_with("UNAUTHENTICATED", client, "JOIN",
                            **Newcomer().request(expired["invitation"]))
        assert "expired" in answer["message"]
        answer = fails_with("UNAUTHENTICATED", client, "JOIN",
                            **Newcomer().request(revoked["invitation"]))
        assert "revoked" in answer["message"]
        request = Newcomer().request(good["invitation"])
        letter = "a" if request["invitation"][20] != "a" else "b"
        request["invitation"] = request["invitation"][:20] + letter + request["invitation"][21:]
        answer = fails_with("INVALID_ARGUMENT", client, "JOIN", **request)
        assert "mistyped" in answer["message"]


# A request whose proof is wrong is refused, and does not use up the invitation.
def test_join_checks_the_proof(first, admin):
    invitation = admin.call("INVITE")["invitation"]
    newcomer, other = Newcomer(), Newcomer()
    with connect(first) as client:
        wrong = newcomer.request(invitation)
        wrong["request_pem"] = other.pem
        fails_with("BAD_SIGNATURE", client, "JOIN", **wrong)
        wrong = newcomer.request(invitation)
        wrong["instance"] = other.id
        fails_with("BAD_SIGNATURE", client, "JOIN", **wrong)
        newcomer.pem = "no request"
        fails_with("INVALID_ARGUMENT", client, "JOIN", **newcomer.request(invitation))
        client.call("JOIN", **Newcomer().request(invitation))


# Who has a certificate gets a new one for the same identity; who shows none does not.
def test_renew_is_for_the_present_identity(first, admin, folder):
    key = ec.generate_private_key(ec.SECP256R1())
    issued = admin.call("ISSUE", request_pem=request_pem(key), who="user:ana", days=3)
    path = folder / "ana.pem"
    path.write_bytes(authority.pem_of_key(key) + issued["certificate_pem"].encode())
    with connect(first, path) as client:
        assert client.call("AUTHENTICATE")["who"] == "user:ana"
        renewed = client.call("RENEW", request_pem=request_pem())
    names = x509.load_pem_x509_certificate(renewed["certificate_pem"].encode()).extensions
    assert names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.UniformResourceIdentifier) == ["osiris:lab/user:ana"]
    with connect(first) as client:
        fails_with("UNAUTHENTICATED", client, "RENEW", request_pem=request_pem())
    admin.call("REVOKE", certificate=issued["serial"].lower())
    with pytest.raises((osiris.Failure, OSError, AssertionError, ConnectionError)):
        with connect(first, path) as client:
            client.call("STATUS")


# An instance shows its own key as well, by HELLO_PROOF: a certificate alone might be a forged one.
def test_renew_wants_the_link_of_an_instance(first, admin, folder):
    key = ec.generate_private_key(ec.SECP256R1())
    issued = admin.call("ISSUE", request_pem=request_pem(key), who="instance:" + "a" * 32, days=3)
    path = folder / "instance.pem"
    path.write_bytes(authority.pem_of_key(key) + issued["certificate_pem"].encode())
    with connect(first, path) as client:
        fails_with("UNAUTHENTICATED", client, "RENEW", request_pem=request_pem())


# A certificate does as well as a password: the roles are those of the user's record.
def test_certificate_gives_the_roles_of_the_user(first, admin, folder):
    key = ec.generate_private_key(ec.SECP256R1())
    issued = admin.call("ISSUE", request_pem=request_pem(key), who="user:eva", days=3)
    path = folder / "eva.pem"
    path.write_bytes(authority.pem_of_key(key) + issued["certificate_pem"].encode())
    with connect(first, path) as client:
        fails_with("PERMISSION_DENIED", client, "STATUS")
        admin.call("USER_PUT", user="eva", password="eva's own words", roles=["reader"])
        client.call("STATUS")
        fails_with("PERMISSION_DENIED", client, "KB_PUT", document={"data": 1})
        admin.call("REVOKE", user="eva")
        fails_with("PERMISSION_DENIED", client, "STATUS")


# An instance that is not the CA's says so.
def test_others_are_no_ca(daemon):
    with daemon.client() as client:
        for type, fields in [("INVITE", {}), ("ISSUE", {"request_pem": request_pem(),
                                                        "who": "user:ana"})]:
            answer = fails_with("CONFIG", client, type, **fields)
            assert "CA" in answer["message"] and answer["hint"]


# ---- rules, audit, reload ----


# The explanation of a rule's answer names the role that it comes from, also for a user's own roles.
def test_access_check_explains(admin):
    answer = admin.call("ACCESS_CHECK", who="anonymous", action="read", part="collection:x")
    assert not answer.get("allowed", False) and answer["explanation"]
    admin.call("USER_PUT", user="ana", password=PASSWORD, roles=["reader"])
    answer = admin.call("ACCESS_CHECK", who="user:ana", action="read", part="collection:x")
    assert answer["allowed"] and "reader" in answer["explanation"]
    fails_with("INVALID_ARGUMENT", admin, "ACCESS_CHECK", who="admin", action="fly", part="instance:")


# Nor does it explain what the rules would say where something else decides.
def test_access_check_knows_what_goes_before_rules(first, admin):
    def check(who, action, part):
        answer = admin.call("ACCESS_CHECK", who=who, action=action, part=part)
        assert answer["explanation"].startswith("allowed" if answer.get("allowed") else "denied")
        return answer.get("allowed", False)

    keeper = admin.call("STATUS")["instance"]
    stolen = Newcomer().id
    assert check(f"instance:{keeper}", "lead", "stream:trust")
    admin.call("REVOKE", instance=stolen)
    assert not check(f"instance:{stolen}", "lead", "stream:trust")
    assert not check(f"instance:{stolen}", "link", "instance:")
    admin.call("USER_PUT", user="ana", password=PASSWORD, roles=["reader"], disabled=True)
    assert not check("user:ana", "read", "collection:x")


# Every change of trust is in the audit log, with who, what and which, and so are refused logins.
def test_changes_are_audited(first, admin):
    admin.call("USER_PUT", user="ana", password=PASSWORD, roles=["reader"])
    admin.call("TOKEN_CREATE", name="ci", roles=["reader"])
    admin.call("INVITE")
    with connect(first) as client:
        with pytest.raises(osiris.Failure):
            client.call("LOGIN", user="ana", password="wrong one")

    def noted():
        found = records(admin)
        parts = {(record["what"], record["part"]) for record in found if record.get("part")}
        wrong = [record for record in found if record["who"] == "user:ana"
                 and record["what"] == "LOGIN" and not record.get("allowed", False)]
        return wrong and {("USER_PUT", "user:ana"), ("TOKEN_CREATE", "token:ci")} <= parts

    osiris.wait_for(noted, "the changes in the audit log")
    denied = records(admin, denied_only=True)
    assert denied and not any(record.get("allowed", False) for record in denied)
    assert all(record["who"].startswith("user:") for record in records(admin, who="user:*"))


# The answer ends with the head of the chain; a log that was altered is not shown as if it were good.
def test_audit_verifies_the_chain(first, admin):
    admin.call("TOKEN_CREATE", name="ci", roles=["reader"])
    osiris.wait_for(lambda: [record for record in records(admin)
                             if record.get("part") == "token:ci"], "the note on disk")
    last = admin.call("AUDIT")
    assert int(last["head_number"]) >= 2 and len(base64.b64decode(last["head_chain"])) == 32
    path, = (first.data / "audit").iterdir()
    content = path.read_text()
    path.write_text(content.replace("token:ci", "token:cj", 1))
    fails_with("CORRUPT", admin, "AUDIT")
    path.write_text(content)


# The log may be longer than a page; it comes whole and in order.
def test_audit_of_many_pages(first, admin):
    for _ in range(4300):
        admin.ask("ACCESS_CHECK", who="admin", action="read", part="collection:x")
    seen = 0
    while seen < 4300:
        seen += bool(admin.receive().get("end"))
    numbers = osiris.wait_for(
        lambda: (found := [int(record["number"]) for record in records(admin)])
        and len(found) > 4300 and found, "all of them on disk")
    assert numbers == list(range(1, len(numbers) + 1))


# A reload puts new rules into force, for connections that are up, too; and says what must wait.
def test_reload_puts_rules_into_force(first, admin):
    path = first.data / "osirisd.yaml"
    before = path.read_text()
    token = admin.call("TOKEN_CREATE", name="ci")["token"]
    with connect(first) as client:
        client.call("AUTHENTICATE", token=token)
        fails_with("PERMISSION_DENIED", client, "KB_LIST")
        path.write_text(before + "heartbeat-ms: 1500\n"
                        "access:\n  members:\n    \"token:ci\": [reader]\n")
        answer = admin.call("RELOAD")
        assert answer["restart"] == ["heartbeat-ms"] and answer["changed"]
        client.call("KB_LIST")
        path.write_text(before)
        first.process.send_signal(signal.SIGHUP)
        osiris.wait_for(lambda: "reload: done" in first.log(), "the reload by a signal")
        fails_with("PERMISSION_DENIED", client, "KB_LIST")


# With one broken file nothing changes, and the answer names it.
def test_reload_is_all_or_nothing(first, admin):
    path = first.data / "osirisd.yaml"
    before = path.read_text()
    for broken, name in [("access: 7\n", "osirisd.yaml"), ("nonsense: 1\n", "osirisd.yaml")]:
        path.write_text(before + broken)
        assert name in fails_with("CONFIG", admin, "RELOAD")["message"]
    path.write_text(before + "access:\n  members:\n    anonymous: [reader]\n")
    key = first.data / "trust" / "tls.key"
    key.chmod(0o644)
    answer = fails_with("PERMISSION_DENIED", admin, "RELOAD")
    assert "tls.key" in answer["message"] and "chmod" in answer["hint"] + answer["message"]
    with connect(first) as client:
        fails_with("PERMISSION_DENIED", client, "KB_LIST")
        key.chmod(0o600)
        admin.call("RELOAD")
        client.call("KB_LIST")


# Another certificate is shown to who connects from then on; connections that are up stay up.
def test_reload_shows_a_new_certificate(first, admin):
    def shown():
        with connect(first) as client:
            return x509.load_der_x509_certificate(
                client.socket.getpeercert(binary_form=True)).serial_number
    with connect(first) as client:
        before = shown()
        trust = first.data / "trust"
        key = serialization.load_pem_private_key((trust / "tls.key").read_bytes(), None)
        issued = admin.call("ISSUE", request_pem=request_pem(key),
                            who=f"instance:{first.instance()}")
        (trust / "tls.crt").write_text(issued["certificate_pem"])
        assert shown() == before
        assert "the certificate" in admin.call("RELOAD")["changed"]
        assert f"{shown():X}".zfill(len(issued["serial"])) == issued["serial"]
        fails_with("PERMISSION_DENIED", client, "KB_LIST")
