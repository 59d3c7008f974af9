"""Attacks on trust that go by the protocol's own rules: strangers who greet, tokens and invitations
that are shown over and over, members who take more than their place, who bear what they may not,
and names that are meant for a terminal."""
import base64
import collections
import contextlib
import hashlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import abuse
import asking
import authority
import cli
import contract
import impostor
import joining
import osiris
import tunnel
from test_trust_feed import credentials, held, url_of

PASSWORD = "correct-horse-battery-staple"
LINKS_MAX = 64  # of an instance
LINKS_OF_ONE_MAX = 8
AUDIT_GROWTH_MAX = 16 << 10  # of a flood that lasts a few seconds
AT_A_TIME = 1000  # of a flood: what both sides have room for


@pytest.fixture
def first(make_daemon):
    """The CA's instance, as `osiris init` makes it: it takes certificates, tokens and passwords."""
    daemon = make_daemon("first")
    daemon.port = osiris.free_port()
    subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", str(daemon.data),
                    "--cluster", impostor.CLUSTER, "--listen", url_of(daemon)], check=True,
                   capture_output=True)
    daemon.start()
    daemon.id = daemon.instance()
    daemon.ca = authority.Authority(impostor.CLUSTER, trust=daemon.data / "trust")
    return daemon


class Identity(impostor.Identity):
    """Of a key that is there already."""

    def __init__(self, key):
        self.key = key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.instance = authority.instance_id(key.public_key())


class Member:
    """Somebody who has joined, and speaks for himself."""

    def __init__(self, folder, first, role=""):
        self.first = first
        self.invitation = first.call("INVITE", role=role)["invitation"]
        self.joining = joining.Joining(folder, first, self.invitation)
        self.identity = Identity(self.joining.identity)
        self.shown = authority.pem_of_key(self.joining.key) + \
            self.joining.answer["certificate_pem"].encode()

    @contextlib.contextmanager
    def link(self, identity=None):
        """A connection with its certificate, on which nothing was said yet."""
        with tunnel.Tls(self.first.port, ca=self.first.ca.pem, certificate=self.shown,
                        protocol="osiris/1", options=impostor.TlsPeer.TLS_OPTIONS) as door:
            with impostor.TlsPeer(door.port, identity or self.identity) as peer:
                yield peer

    @contextlib.contextmanager
    def linked(self):
        with self.link() as peer:
            greet(peer)
            yield peer


@pytest.fixture
def make_member(folder, first):
    made = []

    def make(role=""):
        made.append(Member(folder / f"member{len(made)}", first, role))
        return made[-1]

    return make


def greet(peer):
    """Until the proof was looked at."""
    peer.greet()
    peer.expect("ACK", "FETCH")


def stranger(first, source=""):
    """Somebody who shows nothing."""
    return osiris.Client(first.port, tls=authority.client_context(first.ca), source=source)


def hello(identity):
    return {"protocol": 1, "entry_format": 1, "cluster": impostor.CLUSTER,
            "instance": identity.instance, "name": "x",
            "nonce": base64.b64encode(os.urandom(32)).decode(),
            "boot": base64.b64encode(os.urandom(16)).decode()}


def round_trip(peer):
    """All that was sent before has been looked at; gives what came meanwhile."""
    peer.send("PING", nonce=7)
    frames = []
    while (frame := peer.receive())["type"] != "PONG":
        frames.append(frame)
    return frames


def audit_size(daemon):
    return sum(path.stat().st_size for path in (daemon.data / "audit").iterdir())


def flood(client, type, count, **fields):
    """The same request over and over, a thousand at a time; how often each answer came. From one
    thread, as two may not use one ssl.SSLSocket."""
    answers = collections.Counter()
    for first in range(0, count, AT_A_TIME):
        numbers = range(first, min(first + AT_A_TIME, count))
        client.send_bytes(b"".join(
            json.dumps({"type": type, "request_id": number + 1, **fields}).encode() + b"\n"
            for number in numbers))
        for _ in numbers:
            frame = client.receive()
            answers[frame.get("code", frame["type"])] += 1
    return answers


# ---- strangers ----


# Who shows nothing, where no id is approved, is not greeted: neither told which feeds there are,
# nor given one of the places for links.
def test_stranger_is_not_greeted(first, make_member):
    first.put("not for strangers")
    with contextlib.ExitStack() as stack:
        for _ in range(LINKS_MAX + 1):
            client = stack.enter_context(stranger(first))
            client.send("HELLO", **hello(impostor.Identity()))
            answer = client.receive()
            assert (answer["type"], answer["code"]) == ("ERROR", "UNAUTHENTICATED"), answer
            assert first.id not in json.dumps(answer)
        with make_member().linked():
            pass


# The same for a link over gRPC.
def test_stranger_is_not_greeted_over_grpc(first):
    with tunnel.Tls(first.port, ca=first.ca.pem, protocol="h2") as door:
        asker = asking.Grpc(door.port)
        fields = {**hello(impostor.Identity()), "nonce": os.urandom(32), "boot": os.urandom(16)}
        assert asker.first_answer("HELLO", fields) == "UNAUTHENTICATED"
        asker.close()


# ---- what is shown over and over ----


# A token that is good, shown over and over, neither fills the audit log nor keeps it from others.
def test_token_shown_again_and_again(first):
    token = first.call("TOKEN_CREATE", name="ci", roles=["reader"])["token"]
    before = audit_size(first)
    with stranger(first) as client:
        assert flood(client, "AUTHENTICATE", 10000, token=token) == {"AUTHENTICATE_REPLY": 10000}
    first.call("TOKEN_CREATE", name="another", roles=["reader"])
    osiris.wait_for(lambda: "more like this" in told(first, "token:ci"), "the sum of them")
    assert audit_size(first) - before < AUDIT_GROWTH_MAX


def told(daemon, who):
    with daemon.client() as client:
        return " ".join(record.get("why", "") for frame in client.stream("AUDIT", who=who)
                        for record in frame.get("records", []))


# Two tokens in turn, with calls of gRPC, are two lines a second.
def test_tokens_in_turn(first):
    tokens = [first.call("TOKEN_CREATE", name=f"ci{number}", roles=["reader"])["token"]
              for number in range(2)]
    before = audit_size(first)
    with tunnel.Tls(first.port, ca=first.ca.pem, protocol="h2") as door:
        with grpc.insecure_channel(f"127.0.0.1:{door.port}") as channel:
            call = contract.method(channel, "osiris.v1.Instance.Status")
            for number in range(500):
                call(contract.request("osiris.v1.Instance.Status"), timeout=osiris.WAIT_S,
                     metadata=[("authorization", f"Bearer {tokens[number % 2]}")])
    assert audit_size(first) - before < AUDIT_GROWTH_MAX


# Every member has an invitation that is used. Shown again it gets no certificate made, and so none
# noted: a line says that it was refused.
def test_used_invitation_makes_no_certificate(first, make_member):
    member = make_member()
    before = audit_size(first)
    request = member.joining.request(member.invitation, "again")
    with stranger(first) as client:
        assert flood(client, "JOIN", 1000, **request) == {"UNAUTHENTICATED": 1000}
    with first.client() as client:
        noted = [record for frame in client.stream("AUDIT") for record in frame.get("records", [])
                 if record["what"] == "JOIN" and record.get("allowed")]
    assert len(noted) == 1
    assert audit_size(first) - before < AUDIT_GROWTH_MAX


def guesses_in(seconds):
    """How many wrong passwords are looked at in so long: some, and one after each wait."""
    count, wait = 3, 1
    while seconds >= wait:
        seconds -= wait
        count, wait = count + 1, min(2 * wait, 30)
    return count


# Ten thousand logins in one go are refused at once, and the owner's own is as fast as ever.
def test_pipelined_logins(first):
    first.call("USER_PUT", user="ana", roles=["reader"], password=PASSWORD)
    before = audit_size(first)
    with stranger(first, "127.0.5.1") as client:
        began = time.monotonic()
        answers = flood(client, "LOGIN", 10000, user="ben", password="wrong one")
        assert set(answers) == {"BUSY", "UNAUTHENTICATED"}
        assert answers["UNAUTHENTICATED"] <= guesses_in(time.monotonic() - began)
        with stranger(first, "127.0.5.2") as ana:
            assert ana.call("LOGIN", user="ana", password=PASSWORD)["token"]
    assert audit_size(first) - before < AUDIT_GROWTH_MAX
    if not abuse.is_sanitized():
        assert first.memory() < abuse.MEMORY_MAX


# A token is good for what is said after it, in the order in which it came; INVITE takes more than a
# reader has.
def test_invite_pipelined_with_authenticate(first):
    token = first.call("TOKEN_CREATE", name="ci", roles=["reader"])["token"]
    with stranger(first) as client:
        for type, fields in (("INVITE", {}), ("AUTHENTICATE", {"token": token}), ("INVITE", {}),
                             ("KB_LIST", {}), ("AUTHENTICATE", {"token": token + "a"}),
                             ("KB_LIST", {})):
            client.ask(type, **fields)
        answers = {}
        while len(answers) < 6:
            frame = client.receive()
            answers[frame["request_id"]] = frame.get("code", "OK")
    assert answers == {1: "PERMISSION_DENIED", 2: "OK", 3: "PERMISSION_DENIED", 4: "OK",
                       5: "UNAUTHENTICATED", 6: "OK"}
    assert credentials(first, "invitation") == []


# A request for a certificate that is larger than any is not read.
def test_join_with_a_huge_request(first, make_member):
    member = make_member()
    invitation = first.call("INVITE")["invitation"]
    pem = member.joining.pem
    with stranger(first) as client:
        for member.joining.pem in (pem + "x" * 7_000_000, pem * 5000):
            with pytest.raises(osiris.Failure) as failure:
                client.call("JOIN", **member.joining.request(invitation, "x"))
            assert failure.value.code == "TOO_LARGE"
    states = {row["state"].split()[0] for row in credentials(first, "invitation")}
    assert states == {"good", "used"}


def invitation_to(invitation, address):
    """The same, with another address: its check is no secret."""
    text = invitation.removeprefix("osri_").upper()
    content = base64.b32decode(text + "=" * (-len(text) % 8))
    body = content[:1 + 8 + 8 + 20 + 32] + bytes([1, len(address)]) + address.encode()
    check = hashlib.sha256(b"osiris check 1\0osri_" + body).digest()[:4]
    return "osri_" + base64.b32encode(body + check).decode().lower().rstrip("=")


# An invitation whose address is in plaintext is shown to nobody, also on this machine: whoever
# listens there would have its secret. Nor is it to somebody who has a certificate of another CA.
def test_invitation_with_another_address(first, folder):
    invitation = first.call("INVITE")["invitation"]
    other = authority.Authority(impostor.CLUSTER)
    shown = folder / "shown.pem"
    shown.write_bytes(b"".join(other.issue(f"instance:{first.id}")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)
    for scheme in "tcp", "grpc", "tls", "grpcs":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            said = []
            thread = threading.Thread(target=listen_once, args=(
                listener, context if scheme in ("tls", "grpcs") else None, said))
            thread.start()
            address = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
            cli.Cli("--data", folder / scheme).fails(
                69, "join", invitation_to(invitation, address), "--no-start")
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
        assert said == []
    cli.Cli("--data", folder / "good")(
        "join", invitation_to(invitation, url_of(first)), "--no-start")


def listen_once(listener, context, said):
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(osiris.WAIT_S)
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            if data := connection.recv(1 << 16):
                said.append(data)


# ---- members ----


# One member cannot take the places of all others, with links on which it never proves anything.
def test_member_takes_no_more_than_its_links(first, make_member):
    member, other = make_member(), make_member()
    with contextlib.ExitStack() as stack:
        answers = []
        for _ in range(LINKS_OF_ONE_MAX + 2):
            peer = stack.enter_context(member.link())
            peer.send("HELLO", **peer.hello)
            answers.append(peer.expect("HELLO", "ERROR").get("code", "HELLO"))
        assert answers == ["HELLO"] * LINKS_OF_ONE_MAX + ["BUSY"] * 2
        with other.linked():
            pass


# A proof is for one channel: made for another one, it lets nobody in.
def test_proof_of_another_channel(first, make_member):
    member = make_member()
    with member.link() as peer:
        peer.binding = lambda: os.urandom(32)
        peer.greet()
        assert peer.expect("ACK", "FETCH", "ERROR").get("code") == "UNAUTHENTICATED"
    with member.link() as peer:
        peer.binding = lambda: b""
        peer.greet()
        assert peer.expect("ACK", "FETCH", "ERROR").get("code") == "UNAUTHENTICATED"


# A relay that goes on to offer what a revoked instance writes, offered or not asked for, gets none
# of it stored; what was there before stays, and so does the link.
def test_relay_of_a_revoked_origin(first, make_member):
    revoked, relay = make_member(), make_member()
    feed = impostor.Feed(revoked.identity)
    with revoked.link() as peer:
        peer.offer(1)
        peer.send("UPDATE", **feed.update(["before"]))
        osiris.wait_for(lambda: first.count() == 1, "what it wrote with leave")
    first.call("REVOKE", instance=revoked.identity.instance)
    with relay.linked() as peer:  # and it stays so
        peer.send("ACK", origin=revoked.identity.instance, stream="kb", epoch=1, sequence=2)
        peer.send("UPDATE", **feed.update(["after"]))
        later = feed.update(["in another epoch"])
        peer.send("UPDATE", **{**later, "epoch": 2})
        asked = [frame for frame in round_trip(peer) if frame["type"] == "FETCH"
                 and frame["origin"] == revoked.identity.instance]
        assert all(int(frame.get("from_sequence", 0)) == 0 for frame in asked)
    assert [document["data"] for document in first.documents()] == ["before"]
    assert held(first, revoked.identity.instance) == 1


# The same of a member whose role lets it add nothing.
def test_relay_of_a_reader(first, make_member):
    reader, relay = make_member("reader"), make_member()
    feed = impostor.Feed(reader.identity)
    for member in reader, relay:
        with member.linked() as peer:
            peer.send("ACK", origin=reader.identity.instance, stream="kb", epoch=1, sequence=1)
            if feed.sequence == 0:
                update = feed.update(["of a reader"])
            peer.send("UPDATE", **update)
            round_trip(peer)
    assert first.count() == 0 and held(first, reader.identity.instance) == 0


# A member that leads a feed of trust, or goes on with the CA's, is not believed.
def test_forged_trust(first, make_member):
    member, victim = make_member(), make_member()
    revocation = {"revocation": {"who": f"instance:{victim.identity.instance}",
                                 "revoked_by": "admin", "revoked_ms": 1}}
    own = impostor.Feed(member.identity).update([json.dumps(revocation)])
    entry, = own["entries"]
    entry["document"] = {"id": f"revocation:instance:{victim.identity.instance}",
                         "collection": "trust", "data": revocation}
    last = held(first, first.id, "trust")
    with member.linked() as peer:
        peer.send("UPDATE", **{**own, "stream": "trust"})
        round_trip(peer)  # the link stays
    forged = {**own, "stream": "trust", "origin": first.id, "first_sequence": last + 1}
    forged["entries"] = [{**entry, "sequence": last + 1}]
    with member.linked() as peer:
        peer.send("UPDATE", **forged)
        assert peer.expect("ERROR")["code"] == "BAD_SIGNATURE"
        assert peer.is_closed()
    assert credentials(first, "revocation") == []
    assert held(first, first.id, "trust") == last
    assert held(first, member.identity.instance, "trust") == 0
    with victim.linked():
        pass


# Who says that he holds more of our feed than we do keeps writes waiting for a while, and no longer
# however often he says more and comes again.
def test_claims_to_hold_more_of_our_feed(first, make_member):
    member = make_member("reader")
    claimed = 1000
    begun = time.monotonic()
    with first.client() as client:
        client.ask("KB_PUT", document={"data": "must be written"})
        while first.count() == 0:
            with member.linked() as peer:
                for _ in range(20):
                    claimed *= 2
                    peer.send("ACK", origin=first.id, stream="kb", epoch=1,
                              sequence=min(claimed, 1 << 60))
                    round_trip(peer)
                    time.sleep(0.1)
            assert time.monotonic() - begun < 2 * osiris.WAIT_S
        assert "code" not in client.receive()


# Floods of messages about feeds that nobody has, from a member: nothing is kept of them, others
# work on, and the memory stays within its bound.
def test_floods_about_unknown_feeds(first, make_member):
    member = make_member("reader")
    with member.linked() as peer:
        for type, place in (("FETCH", "from_sequence"), ("ACK", "sequence")):
            lines = b"".join(json.dumps({
                "type": type, "origin": impostor_id(number), "stream": "kb", "epoch": 1,
                place: 1 + number}).encode() + b"\n" for number in range(20000))
            with contextlib.suppress(OSError):  # it may be hung up on
                peer.send_bytes(lines)
        first.put("beside it")
    if not abuse.is_sanitized():
        assert first.memory() < abuse.MEMORY_MAX
    with make_member().linked():
        pass


def impostor_id(number):
    return base64.b32encode(number.to_bytes(20, "big")).decode().lower()


# A reader adds nothing, nor does it by bearing a feed of somebody whom it has just made up, of whom
# no member record says anything: what goes for all instances ("peer") does not go for that one.
def test_origin_that_a_reader_has_made_up(first, make_member):
    puppet = impostor.Feed(impostor.Identity())
    with make_member("reader").linked() as peer:
        peer.send("ACK", origin=puppet.identity.instance, stream="kb", epoch=1, sequence=1)
        peer.send("UPDATE", **puppet.update(["of nobody"]))
        round_trip(peer)
        time.sleep(1)
    assert first.count() == 0


# One whom the config names exactly is taken from whoever bears it.
def test_origin_that_the_config_tells_of(first, make_member):
    puppet = impostor.Feed(impostor.Identity())
    path = first.data / "osirisd.yaml"
    path.write_text(path.read_text() + "access:\n  members:\n"
                    f"    'instance:{puppet.identity.instance}': peer\n")
    first.call("RELOAD")
    with make_member("reader").linked() as peer:
        peer.send("UPDATE", **puppet.update(["of a third"]))
        osiris.wait_for(lambda: first.count() == 1, "what the third wrote")


# ---- names for a terminal ----

ESCAPES = "red \x1b[31m\nnext line\r\x9b31m\x85\u202e"


# Names that would act on the terminal of who reads the log, or is shown the audit log, do not: no
# control characters come through, and no lines that nobody wrote.
def test_names_for_a_terminal(first, make_member):
    with stranger(first) as client:
        for type, fields in (("LOGIN", {"user": ESCAPES, "password": PASSWORD}),
                             ("KB_LIST", {"collection": ESCAPES}), ("KB_GET", {"id": ESCAPES})):
            with pytest.raises(osiris.Failure) as failure:
                client.call(type, **fields)
            assert is_plain(json.dumps(failure.value.frame, ensure_ascii=False))
        invitation = first.call("INVITE")["invitation"]
        with pytest.raises(osiris.Failure) as failure:
            client.call("JOIN", **make_member().joining.request(invitation, ESCAPES))
        assert is_plain(failure.value.frame["message"])
    with make_member().link() as peer:
        peer.hello["name"] = "red \x9b31m \x85"
        peer.greet()
        round_trip(peer)
    osiris.wait_for(lambda: "31m" in told(first, "*"), "the denials")
    shown = cli.Cli("--data", first.data)("audit")
    for text in shown, first.log():
        assert all(is_plain(line) for line in text.split("\n"))


def is_plain(text):
    return not any(character < " " or "\x7f" <= character < "\xa0" for character in text)


# ---- metadata of gRPC ----


# Only one value of "authorization" is looked at, and what is none lets nobody in.
@pytest.mark.parametrize("metadata", [
    [("authorization", "{token}")],
    [("authorization", "Basic {token}")],
    [("authorization", "")],
    [("authorization", "Bearer {token}"), ("authorization", "Bearer {token}")],
    [("authorization", "Bearer {token}, Bearer {token}")],
    [("authorization-bin", b"Bearer {token}")],
    [("proxy-authorization", "Bearer {token}")],
    [("cookie", "authorization=Bearer {token}")],
])
def test_tokens_in_odd_metadata(first, metadata):
    token = first.call("TOKEN_CREATE", name="ci", roles=["reader"])["token"]

    def fill(value):
        is_text = isinstance(value, str)
        return value.replace("{token}", token) if is_text else value.replace(b"{token}",
                                                                             token.encode())
    with tunnel.Tls(first.port, ca=first.ca.pem, protocol="h2") as door:
        with grpc.insecure_channel(f"127.0.0.1:{door.port}") as channel:
            call = contract.method(channel, "osiris.v1.Instance.Status")
            with pytest.raises(grpc.RpcError) as error:
                call(contract.request("osiris.v1.Instance.Status"), timeout=osiris.WAIT_S,
                     metadata=[(name, fill(value)) for name, value in metadata])
    assert error.value.code().name in ("UNAUTHENTICATED", "PERMISSION_DENIED")
