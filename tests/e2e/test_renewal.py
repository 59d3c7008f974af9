"""Certificates that renew themselves: a CA's instance and its members, as `osiris` makes them."""
import base64
import datetime
import ipaddress
import json
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import authority
import cli
import impostor
import osiris
import tunnel

DAY = datetime.timedelta(days=1)


@pytest.fixture
def make_machine(make_daemon, folder):
    """Makes instances as `osiris init` and `osiris join` leave them, not yet started."""
    def make(name):
        daemon = make_daemon(name)
        daemon.port = osiris.free_port()
        daemon.listen.append(f"tls://127.0.0.1:{daemon.port}")
        daemon.run = cli.Cli("--data", daemon.data)
        daemon.trust = daemon.data / "trust"
        return daemon

    return make


@pytest.fixture
def keeper(make_machine):
    """The CA's instance, running."""
    daemon = make_machine("keeper")
    daemon.run("init", "--name", "keeper", "--listen", daemon.listen[0], "--no-start")
    return daemon.start()


@pytest.fixture
def make_member(make_machine, keeper):
    def make(name="member"):
        daemon = make_machine(name)
        invitation = keeper.run.json("invite")[0]["invitation"]
        daemon.run("join", invitation, "--name", name, "--no-start")
        return daemon

    return make


@pytest.fixture
def member(make_member):
    return make_member()


def certificate_of(daemon):
    return x509.load_pem_x509_certificate((daemon.trust / "tls.crt").read_bytes())


def issuer_of(daemon):
    return certificate_of(daemon).issuer


def subject_of_ca(daemon):
    return x509.load_pem_x509_certificate((daemon.trust / "ca.crt").read_bytes()).subject


def believed_by(daemon):
    """Fingerprints of the CAs."""
    return {line["fingerprint"] for line in daemon.run.json("ca", "list")
            if line.get("state") in ("ca", "next ca", "old ca", "believed")}


def state_of_member(keeper):
    """What the CA's instance knows of the one member beside itself."""
    with keeper.client() as client:
        own = client.call("STATUS")["instance"]
        members = client.call("CREDENTIALS", kind="member")["credentials"]
    state, = [member["state"] for member in members if member["id"] != own]
    return state


def names_of(certificate):
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName)), \
        {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def link_is_up(daemon):
    return any(peer["state"] == "up" for peer in daemon.call("STATUS").get("peers", []))


def start_linked(daemon):
    daemon.start()
    osiris.wait_for(lambda: link_is_up(daemon), f"{daemon.name} is linked")
    return daemon


def make_due(daemon, keeper, *hosts):
    """Replaces its certificate by one of the same CA of which most of the time is over."""
    key = serialization.load_pem_private_key((daemon.trust / "tls.key").read_bytes(), None)
    before = certificate_of(daemon)
    instance, = names_of(before)[0]
    ca = authority.Authority("osiris", trust=keeper.trust)
    present = ca.certificate
    names = [x509.UniformResourceIdentifier(f"osiris:osiris/instance:{instance}"),
             x509.DNSName(instance), *hosts]
    begins = authority.now() - 80 * DAY
    certificate = (
        x509.CertificateBuilder().subject_name(before.subject).issuer_name(present.subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(begins).not_valid_after(begins + 90 * DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH,
                                              x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .sign(ca.key, hashes.SHA256()))
    authority.write_private(daemon.trust / "tls.crt", authority.pem_of(certificate) + ca.pem)
    return certificate


def lost_links(*daemons):
    """What their logs say of links that ended."""
    return [line for daemon in daemons for line in daemon.log().splitlines()
            if "gone" in line or "closed" in line or "refused" in line]


def audited(daemon, what):
    with daemon.client() as client:
        return [record for frame in client.stream("AUDIT") for record in frame.get("records", [])
                if record["what"] == what]


# ---- by itself ----


# A certificate whose time is nearly over is replaced while entries flow: no link ends, the log and the
# audit logs of both sides say what has happened, and who connects from now on sees the new one.
def test_certificate_renews_itself_under_load(keeper, member):
    import_ends = threading.Event()

    def import_documents():
        with keeper.client() as client:
            while not import_ends.is_set():
                client.call("KB_IMPORT", documents=[{"data": "x" * 500}] * 200)

    due = make_due(member, keeper, x509.DNSName("desk.example"),
                   x509.IPAddress(ipaddress.ip_address("192.0.2.7")))
    start_linked(member)
    importer = threading.Thread(target=import_documents)
    importer.start()
    try:
        osiris.wait_for(lambda: certificate_of(member).serial_number != due.serial_number,
                        "the certificate is renewed")
    finally:
        import_ends.set()
        importer.join()
    new = certificate_of(member)
    assert new.not_valid_after > due.not_valid_after
    assert new.public_key() == due.public_key() or \
        new.public_key().public_numbers() == due.public_key().public_numbers()
    assert new.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "member"
    assert names_of(new) == names_of(due) and "desk.example" in names_of(new)[0]
    osiris.wait_for(lambda: "the certificate was renewed by the instance" in member.log(),
                    "the log says so")
    osiris.wait_until_equal(keeper, member)
    assert lost_links(keeper, member) == []
    serial = f"{new.serial_number:X}"
    assert [record["why"].endswith(serial) for record in audited(keeper, "RENEW")] == [True]
    assert [record["why"].endswith(serial) for record in audited(member, "RENEW_REPLY")] == [True]
    shown = ssl.get_server_certificate(("127.0.0.1", member.port))
    assert x509.load_pem_x509_certificate(shown.encode()).serial_number == new.serial_number


# A certificate of which little is over stays as it is.
def test_fresh_certificate_is_left_alone(keeper, member):
    before = certificate_of(member).serial_number
    start_linked(member)
    time.sleep(7)  # it asks within five seconds
    assert certificate_of(member).serial_number == before
    assert audited(keeper, "RENEW") == []


# ---- osiris renew ----


def test_renew_says_the_new_expiry(keeper, member):
    start_linked(member)
    for daemon in (member, keeper):
        before = certificate_of(daemon).serial_number
        shown, = daemon.run.json("renew")
        after = certificate_of(daemon)
        assert after.serial_number != before
        assert shown["serial"].lstrip("0") == f"{after.serial_number:X}"
        expires = after.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()
        assert int(shown["expires_ms"]) == expires * 1000
        text = daemon.run("renew")
        assert "expires" in text and "serial" in text
    assert lost_links(keeper, member) == []


# What stands in the way is said with what to do.
def test_renew_without_the_ca_says_what_to_do(keeper, member):
    start_linked(member)
    keeper.stop()
    message = member.run.fails(69, "renew")
    assert "the CA's instance" in message and "osiris invite" in message


def test_renew_without_a_certificate_says_what_to_do(daemon):
    message = cli.Cli("--data", daemon.data).fails(78, "renew")
    assert "nothing to renew" in message and "osiris join" in message


def test_renew_of_an_outside_certificate_says_what_to_do(make_daemon, folder):
    ca = authority.Authority()
    authority.Member(folder / "one", ca)
    key, certificate = ca.issue("desk.example", is_foreign=True)
    authority.write_private(folder / "one" / "trust" / "tls.key", key)
    authority.write_private(folder / "one" / "trust" / "tls.crt", certificate)
    daemon = make_daemon("one", listen=[f"tls://127.0.0.1:{osiris.free_port()}"]).start()
    message = cli.Cli("--data", daemon.data).fails(78, "renew")
    assert "outside CA" in message and "osiris reload" in message


# Who asks again and again is told when to come back, and nothing is broken by it.
def test_renewals_are_limited(keeper, member):
    start_linked(member)
    failures = []
    for _ in range(8):
        result = member.run.run("renew")
        if result.returncode != 0:
            failures.append(result.stderr)
    assert failures and all("BUSY" in text and "try again in" in text for text in failures)
    assert len(audited(keeper, "RENEW")) == 8 - len(failures)
    assert link_is_up(member)


# ---- a rotation of the CA ----


# Each step reaches a linked member by `osiris renew`, no link ends, and in the end both believe the new
# CA alone and have certificates of it. The old one is believed until the last member has.
def test_members_follow_a_rotation(keeper, member):
    start_linked(member)
    old = believed_by(keeper)
    keeper.run("ca", "rotate", "begin")
    member.run("renew")
    assert believed_by(member) == believed_by(keeper) and len(believed_by(member)) == 2
    keeper.run("ca", "rotate", "switch", "--force")
    assert state_of_member(keeper) == "old ca's"
    refusal = keeper.run.fails(75, "ca", "rotate", "end")  # the member would be left behind
    assert "(member)" in refusal and "--force" in refusal
    assert len(believed_by(keeper)) == 2
    member.run("renew")
    assert state_of_member(keeper) == "good"
    assert issuer_of(member) == subject_of_ca(keeper) == issuer_of(keeper)
    keeper.run("ca", "rotate", "end")
    member.run("renew")
    assert believed_by(member) == believed_by(keeper)
    assert not believed_by(member) & old
    assert lost_links(keeper, member) == []
    for daemon in (keeper, member):  # and they find each other again by what they have now
        daemon.stop()
    keeper.start()
    start_linked(member)


# A member hears of a step soon after it is linked, without being told to ask.
def test_member_hears_of_a_rotation_by_itself(keeper, member):
    keeper.run("ca", "rotate", "begin")
    start_linked(member)
    osiris.wait_for(lambda: len(believed_by(member)) == 2, "the next CA is believed")
    member.stop()
    keeper.run("ca", "rotate", "switch", "--force")
    start_linked(member)
    osiris.wait_for(lambda: issuer_of(member) == subject_of_ca(keeper),
                    "the certificate is of the next CA")
    # But for the one that ended with the member.
    assert all("it closed the connection" in line for line in lost_links(keeper))


# The next CA is not used before those who are linked can have heard of it; where nobody else is a
# member, at once.
def test_switch_waits_for_the_members(keeper, make_member):
    keeper.run("ca", "rotate", "begin")
    keeper.run("ca", "rotate", "switch")
    keeper.run("ca", "rotate", "end", "--force")
    make_member()
    keeper.run("ca", "rotate", "begin")
    believed = believed_by(keeper)
    next_ca, = [line for line in keeper.run.json("ca", "list") if line.get("state") == "next ca"]
    wait_s = int(next_ca["heard_ms"]) / 1000 - time.time()
    assert 80 * 60 < wait_s <= 85 * 60
    refusal = keeper.run.fails(75, "ca", "rotate", "switch")
    heard = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(int(next_ca["heard_ms"]) / 1000))
    assert "IN_USE" in refusal and heard in refusal and "--force" in refusal
    assert believed_by(keeper) == believed and state_of_member(keeper) == "good"


# ---- peers that ask ----


class Asker:
    """A member that speaks for itself: a link over TLS, with a certificate of the CA."""

    def __init__(self, keeper):
        self.identity = impostor.Identity()
        self.ca = authority.Authority("osiris", trust=keeper.trust)
        self.key, self.certificate = self.ca.issue(f"instance:{self.identity.instance}")

    def link(self, daemon):
        return tunnel.Tls(daemon.port, ca=self.ca.pem, certificate=self.key + self.certificate,
                          options=impostor.TlsPeer.TLS_OPTIONS)

    def request(self):
        key = serialization.load_pem_private_key(self.key, None)
        return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(
            key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def greet(peer):
    """Until the proof was looked at: what comes before is not believed to be of a member."""
    peer.greet()
    peer.expect("ACK", "FETCH")


def ask(peer, **fields):
    request_id = peer.ask("RENEW", **fields)
    while True:
        answer = peer.expect("RENEW_REPLY", "ERROR")
        if answer.get("request_id") == request_id:
            return answer


@pytest.fixture
def asker(keeper):
    return Asker(keeper)


# On its link a member is told who issues, and is given a certificate of its own; never one with
# another's names.
def test_link_takes_renew(keeper, asker):
    with asker.link(keeper) as between, impostor.TlsPeer(between.port, asker.identity) as peer:
        greet(peer)
        news = ask(peer)
        assert "certificate_pem" not in news and len(base64.b64decode(news["issuer"])) == 32
        answer = ask(peer, request_pem=asker.request(),
                     certificate_pem=asker.certificate.decode())
        new = x509.load_pem_x509_certificate(answer["certificate_pem"].encode())
        assert names_of(new)[0] == {asker.identity.instance}
        _, others = asker.ca.issue("instance:" + impostor.Identity().instance)
        own = authority.Authority("osiris").issue(f"instance:{asker.identity.instance}")[1]
        for wrong in (others, own):  # another's, and one that our CA has not issued
            answer = ask(peer, request_pem=asker.request(), certificate_pem=wrong.decode())
            assert answer["code"] == "INVALID_ARGUMENT", answer
    assert audited(keeper, "RENEW")[0]["who"] == f"instance:{asker.identity.instance}"


# A link outlives the CA by whose certificate it was made; what that CA vouched for is given nothing of the
# next one. Who has a certificate that is believed still gets his.
def test_link_of_a_former_ca_gets_no_certificate(keeper, asker):
    with asker.link(keeper) as between, impostor.TlsPeer(between.port, asker.identity) as peer:
        greet(peer)
        for step in "begin", "switch", "end":
            keeper.run("ca", "rotate", step)
        answer = ask(peer, request_pem=asker.request())
        assert answer.get("code") == "UNAUTHENTICATED", answer
        answer = ask(peer, request_pem=asker.request(),
                     certificate_pem=asker.certificate.decode())
        assert answer.get("code") == "INVALID_ARGUMENT", answer
        next_ca = authority.Authority("osiris", trust=keeper.trust)
        _, present = next_ca.issue(f"instance:{asker.identity.instance}")
        assert "certificate_pem" in ask(peer, request_pem=asker.request(),
                                        certificate_pem=present.decode())


# Whoever is not the CA's instance says so; the link stays.
def test_others_say_that_they_are_not_the_ca(keeper, member, asker):
    start_linked(member)
    with asker.link(member) as between, impostor.TlsPeer(between.port, asker.identity) as peer:
        greet(peer)
        assert ask(peer)["code"] == "CONFIG"
        assert ask(peer, request_pem=asker.request())["code"] == "CONFIG"
        peer.send("PING", nonce=7)
        assert peer.expect("PONG")["nonce"] in (7, "7")


# A flood of RENEW costs no more than its limit, and the link goes on.
def test_flood_of_renew_is_limited(keeper, asker):
    with asker.link(keeper) as between, impostor.TlsPeer(between.port, asker.identity) as peer:
        greet(peer)
        request = asker.request()
        line = b"".join(json.dumps({"type": "RENEW", "request_id": number,
                                    "request_pem": request}).encode() + b"\n"
                        for number in range(1, 2001))
        threading.Thread(target=peer.send_bytes, args=(line,)).start()
        codes = {}
        for _ in range(2000):
            answer = peer.expect("RENEW_REPLY", "ERROR")
            code = answer.get("code", "issued")
            codes[code] = codes.get(code, 0) + 1
        assert set(codes) == {"issued", "BUSY"} and codes["issued"] <= 4
        peer.send("PING", nonce=7)
        peer.expect("PONG")
    assert len(audited(keeper, "RENEW")) == codes["issued"]


# Before it has shown who it is, a link takes no RENEW; and other requests never.
def test_link_takes_nothing_else(keeper, asker):
    with asker.link(keeper) as between, impostor.TlsPeer(between.port, asker.identity) as peer:
        peer.send("HELLO", **peer.hello)
        peer.expect("HELLO")
        assert ask(peer)["code"] == "PERMISSION_DENIED"
    with asker.link(keeper) as between, impostor.TlsPeer(between.port, asker.identity) as peer:
        greet(peer)
        for type in ("RENEW_OWN", "ISSUE", "STATUS", "KB_LIST"):
            peer.ask(type)
            assert peer.expect("ERROR")["code"] == "PERMISSION_DENIED"


# An answer that nobody awaits is let go.
def test_answers_to_nothing_are_let_go(keeper, asker):
    with asker.link(keeper) as between, impostor.TlsPeer(between.port, asker.identity) as peer:
        greet(peer)
        peer.send("RENEW_REPLY", request_id=1, certificate_pem="x", authorities_pem="y")
        peer.send("PING", nonce=7)
        peer.expect("PONG")
    assert keeper.is_running()
