"""Who may do what: every request and message of the contract, by every kind of identity, over every
transport, each cell with the one answer that it has to have."""
import base64
import contextlib
import datetime
import hashlib
import itertools
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.parse

import pytest

import asking
import authority
import contract
import messages
import mosquitto
import osiris
import rabbitmq
import tunnel
from asking import CLOSED, OK, UNAVAILABLE, Data
from contract import message

CLUSTER = "lab"
ROLES = ("administrator", "editor", "reader", "peer", "clerk")
CONFIG = """
cluster: lab
insecure: true
access:
  roles:
    clerk:
      - allow: [read, write]
        on: "collection:notes*"
      - deny: write
        on: "collection:notes-old"
      - allow: [read, write]
        on: "key:notes/*"
  members:
    "key:of-readers": reader
    "subject:editor.example": editor
""" + "".join(f'    "user:{role}": {role}\n' for role in ROLES)

# ---- what is asked, and what each standing is answered ----

# A standing is what an identity amounts to, however it was shown. '+' stands for the answer of who
# may (ALLOWED, else OK), '-' for PERMISSION_DENIED, '?' for UNAUTHENTICATED.
STANDINGS = ("admin", "administrator", "local", "editor", "reader", "clerk", "peer", "newcomer",
             "nobody", "bad")
REQUESTS = {
    # adm adm loc edi rea cle pee new nob bad
    "UPDATE_KB": "+ + + + - + - - - ?",
    "KB_PUT": "+ + + + - + - - - ?",
    "KB_UPDATE": "+ + + + - + - - - ?",
    "KB_DELETE": "+ + + + - + - - - ?",
    "KB_IMPORT": "+ + + + - + - - - ?",
    "KB_GET": "+ + + + + + - - - ?",
    "KB_LIST": "+ + + + + + - - - ?",
    "KB_SEARCH": "+ + + + + + - - - ?",
    "KB_HISTORY": "+ + + + + + - - - ?",
    "KB_WATCH": "+ + + + + + - - - ?",
    "KB_DIGEST": "+ + + + + - - - - ?",
    "STATUS": "+ + + + + - - - - ?",
    "FEEDS": "+ + + + + - - - - ?",
    "FEEDS_RESEND": "+ + - - - - - - - ?",
    "FEEDS_FOLLOWERS": "+ + + + + - - - - ?",
    "REBUILD": "+ + - - - - - - - ?",
    "LOGIN": "+ + + + + + + + + +",
    "AUTHENTICATE": "+ + + + + + + + + ?",
    "JOIN": "+ + + + + + + + + +",
    "RENEW": "? ? ? ? ? ? ? ? ? ?",  # but for who shows a certificate
    "INVITE": "+ + - - - - - - - ?",
    "ISSUE": "+ + - - - - - - - ?",
    "TOKEN_CREATE": "+ + - - - - - - - ?",
    "USER_PUT": "+ + - - - - - - - ?",
    "REVOKE": "+ + - - - - - - - ?",
    "CREDENTIALS": "+ + - - - - - - - ?",
    "ACCESS_CHECK": "+ + - - - - - - - ?",
    "AUDIT": "+ + - - - - - - - ?",
    "RELOAD": "+ + - - - - - - - ?",
    "WRITTEN": "+ + - - - - - - - ?",
    "RENEW_OWN": "+ + - - - - - - - ?",
    "KV_GET": "+ + + + + + - - - ?",
    "KV_PUT": "+ + + + - + - - - ?",
    "KV_DEL": "+ + + + - + - - - ?",
    "CLUSTER_STATUS": "+ + + + + - - - - ?",
    "CLUSTER_CHANGE": "+ + - - - - - - - ?",
    "CLUSTER_TRANSFER": "+ + - - - - - - - ?",
    "CLUSTER_SET": "+ + - - - - - - - ?",
    "CLUSTER_SETTINGS": "+ + + + + - - - - ?",
    "ACCESS_SET": "+ + - - - - - - - ?",
    "ACCESS_SHOW": "+ + - - - - - - - ?",
}
NOTE = {"id": "note", "collection": "notes"}
# What is asked for, where an empty request would not show what is meant to be shown.
FIELDS = {
    "UPDATE_KB": {"data": Data("1"), "collection": "notes"},
    "KB_PUT": {"document": {**NOTE, "data": Data("1")}},
    "KB_UPDATE": {"document": {**NOTE, "data": Data("2")}},
    "KB_DELETE": {"id": "nothing"},
    "KB_IMPORT": {"documents": [{**NOTE, "data": Data("3")}]},
    "KB_GET": {"id": "note"},
    "KB_SEARCH": {"query": "word"},
    "KB_HISTORY": {"id": "note"},
    "KB_WATCH": {"from_position": 1},
    "FEEDS_RESEND": {"peer": "nobody", "from_sequence": 1},
    "KV_GET": {"key": b"notes/none"},
    "KV_PUT": {"key": b"notes/one", "value": b"1"},
    "KV_DEL": {"key": b"notes/one"},
    "CLUSTER_TRANSFER": {"member": "nobody"},
    "ACCESS_SET": {"yaml": "nothing"},
    "HELLO": {"protocol": 1, "entry_format": 1, "cluster": CLUSTER, "instance": "a" * 32,
              "name": "new", "nonce": bytes(32), "boot": bytes(16), "wanted": ["kb"]},
}
# The answer of who may, where that is not OK: it was let in, and then what it asked made no sense.
ALLOWED = {
    "KB_DELETE": "NOT_FOUND",
    "FEEDS_RESEND": "NOT_FOUND",
    "LOGIN": "INVALID_ARGUMENT",
    "JOIN": "INVALID_ARGUMENT",
    "ISSUE": "INVALID_ARGUMENT",
    "TOKEN_CREATE": "INVALID_ARGUMENT",
    "USER_PUT": "INVALID_ARGUMENT",
    "REVOKE": "INVALID_ARGUMENT",
    "ACCESS_CHECK": "INVALID_ARGUMENT",
    "WRITTEN": "INVALID_ARGUMENT",
    "KV_GET": "NOT_FOUND",
    "CLUSTER_CHANGE": "INVALID_ARGUMENT",
    "CLUSTER_TRANSFER": "NOT_FOUND",
    "CLUSTER_SET": "INVALID_ARGUMENT",
    "ACCESS_SET": "INVALID_ARGUMENT",
}
# Messages of links, which begin with HELLO; '+' is a HELLO in answer.
LINK_MESSAGES = ("HELLO", "HELLO_PROOF", "UPDATE", "ACK", "FETCH", "PING", "PONG", "ERROR",
                 "MEMBER", "RAFT", "LEDGER_ASK", "LEDGER_ANSWER")
#        adm adm loc edi rea cle pee new nob bad
HELLO = "+ + + - - - + + - ?"
METHODS = {
    "Knowledge.Put": "KB_PUT", "Knowledge.Update": "KB_UPDATE", "Knowledge.Delete": "KB_DELETE",
    "Knowledge.Import": "KB_IMPORT", "Knowledge.Get": "KB_GET", "Knowledge.List": "KB_LIST",
    "Knowledge.Export": "KB_LIST", "Knowledge.Search": "KB_SEARCH",
    "Knowledge.History": "KB_HISTORY", "Knowledge.Watch": "KB_WATCH",
    "Instance.Digest": "KB_DIGEST", "Instance.Status": "STATUS", "Instance.Feeds": "FEEDS",
    "Instance.Resend": "FEEDS_RESEND", "Instance.Followers": "FEEDS_FOLLOWERS",
    "Instance.Rebuild": "REBUILD", "Trust.Login": "LOGIN", "Trust.Authenticate": "AUTHENTICATE",
    "Trust.Join": "JOIN", "Trust.Renew": "RENEW", "Trust.Invite": "INVITE", "Trust.Issue": "ISSUE",
    "Trust.CreateToken": "TOKEN_CREATE", "Trust.PutUser": "USER_PUT", "Trust.Revoke": "REVOKE",
    "Trust.Credentials": "CREDENTIALS", "Trust.CheckAccess": "ACCESS_CHECK",
    "Trust.Audit": "AUDIT", "Trust.Reload": "RELOAD", "Trust.Written": "WRITTEN",
    "Trust.RenewOwn": "RENEW_OWN", "Values.Get": "KV_GET", "Values.Put": "KV_PUT",
    "Values.Remove": "KV_DEL", "Cluster.Status": "CLUSTER_STATUS",
    "Cluster.Change": "CLUSTER_CHANGE", "Cluster.Transfer": "CLUSTER_TRANSFER",
    "Cluster.Set": "CLUSTER_SET", "Cluster.Settings": "CLUSTER_SETTINGS",
    "Cluster.SetAccess": "ACCESS_SET", "Cluster.ShowAccess": "ACCESS_SHOW",
}
# What is no request: links, and gRPC's own services, which say nothing of what anybody stored and
# are open to all who are let in.
OTHER_METHODS = {"osiris.v1.Replication.Link", "osiris.v1.Consensus.Link",
                 "grpc.health.v1.Health.Check",
                 "grpc.health.v1.Health.Watch",
                 "grpc.reflection.v1.ServerReflection.ServerReflectionInfo",
                 "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo"}


def fields_of_frames():
    return {field.name.upper() for field in message("osiris.v1.Frame").DESCRIPTOR.oneofs[0].fields}


# What is published, and asked of nobody.
EVENTS = ("KB_CHANGE",)
REPLIES = sorted(name for name in fields_of_frames() if name.endswith("_REPLY"))


# A request, message or method that is new in the contract needs a row here, with a cell for each
# standing.
def test_each_request_has_its_row():
    fields = fields_of_frames() - set(REPLIES)
    requests = {name for name in fields if name + "_REPLY" in REPLIES} | {"UPDATE_KB"}
    assert requests == set(REQUESTS)
    assert fields - requests == {*LINK_MESSAGES, *EVENTS}
    assert contract.methods() == {"osiris.v1." + method for method in METHODS} | OTHER_METHODS
    assert set(METHODS.values()) == requests - {"UPDATE_KB"}
    assert all(len(row.split()) == len(STANDINGS) for row in (*REQUESTS.values(), HELLO))


# ---- who comes in, by which door, and what they show ----

LISTENERS = {
    "plaintext": "tcp://0.0.0.0:{}",
    "seeds": "tcp://127.0.0.1:{}?peer=seed",
    "certificate": "tls://127.0.0.1:{}?auth=certificate",
    "key": "tls://127.0.0.1:{}?auth=key",
    "token": "grpcs://127.0.0.1:{}?auth=token",
}
TLS_DOORS = ("certificate", "key", "token")
TLS_OPTIONS = ("certificate", "key", "protocol", "options")  # of tunnel.Tls
# What the same TLS, from end to end, or DTLS goes over: each has a listener for each TLS door.
WIRES = ("udp", "zmq", "mqtt", "amqp")
TCP = "tcp"  # the listeners above
FRAMES = (asking.JsonFrames, asking.ProtobufFrames)
LANGUAGES = (*FRAMES, asking.Grpc)
# Frames are frames whatever they are written in; test_wires.py has each codec on each wire.
COLUMNS = (*itertools.product([TCP], LANGUAGES),
           *itertools.product(WIRES, (asking.ProtobufFrames, asking.Grpc)))

# Schemes of what is in these columns already: the same listener under another name, the same
# carrier with TLS to its broker.
SAME = {"grpc": "tcp", "mqtts": "mqtt", "amqps": "amqp"}
CARRIERS_OF_ALL = pathlib.Path(__file__).parents[2] / "src" / "adapter" / "transport.c"


# A carrier that is new needs a column here.
def test_each_carrier_has_its_column():
    schemes = set(re.findall(r'\.scheme = "(\w+)"', CARRIERS_OF_ALL.read_text()))
    listeners = {url.partition(":")[0] for url in LISTENERS.values()}
    assert schemes == {*listeners, "unix", *WIRES, *SAME}
    assert {wire for wire, _ in COLUMNS} == {TCP, *WIRES}


def is_possible_door(door, wire, _language=None):
    return wire == TCP or door in TLS_DOORS


def cells(name, values, is_possible):
    """A test for each of these, on each wire, in each language, where that is possible."""
    return pytest.mark.parametrize(f"{name}, wire, language", [
        pytest.param(value, wire, language, id=f"{value}, {wire}, {language.__name__}")
        for value, (wire, language) in itertools.product(values, COLUMNS)
        if is_possible(value, wire, language)])


class World:
    """An instance with a CA, shared keys and an outside CA. `urls`: where it listens, by wire and
    door."""

    def __init__(self, folder, urls):
        self.daemon = osiris.Daemon(folder, "one", flags=["--config", str(folder / "one.yaml")])
        trust = self.daemon.data / "trust"
        subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", str(self.daemon.data),
                        "--cluster", CLUSTER], check=True, capture_output=True)
        (folder / "one.yaml").write_text(CONFIG)
        self.ca = authority.Authority(CLUSTER, trust)
        self.stranger = authority.Authority(CLUSTER)
        self.outside = authority.Authority("elsewhere")
        self.secrets = {name: os.urandom(32) for name in ("of-all", "of-readers")}
        authority.write_private(trust / "psk", b"".join(
            name.encode() + b" " + base64.b64encode(secret) + b"\n"
            for name, secret in self.secrets.items()))
        authority.write_private(trust / "authorities.pem", self.ca.pem + self.outside.pem)
        self.alert = None  # of who went through a TLS door last
        self.urls = urls
        self.daemon.listen = list(urls.values())
        self.daemon.start()
        osiris.wait_for(self._listens_everywhere, "it listens everywhere")
        self.daemon.call("KB_PUT", document={**NOTE, "data": "word"})

    def _listens_everywhere(self):
        return self.daemon.log().count("listening at ") == 1 + len(self.urls)  # and its socket

    def port(self, door):
        return urllib.parse.urlsplit(self.urls[TCP, door]).port

    # What is shown, as arguments of tunnel.Tls; and tokens.

    def token(self, role, **fields):
        made = self.daemon.call("TOKEN_CREATE", name=role, roles=[role], **fields)
        return {"token": made["token"], "id": made["id"]}

    def certificate(self, who, by=None, **how):
        return {"certificate": b"".join((by or self.ca).issue(who, **how)),
                "is_instance": who.startswith("instance:")}

    def foreign_certificate(self, who):
        return {"certificate": b"".join(self.outside.issue(who, is_foreign=True)),
                "is_foreign": True}

    def revoked_certificate(self, who):
        shown = self.certificate(who)
        self.revoke(shown)
        return shown

    def certificate_of_another_cluster(self):
        other = authority.Authority("another")
        other.key, other.certificate = self.ca.key, self.ca.certificate
        return self.certificate("user:administrator", other)

    def revoke(self, shown):
        if "token" in shown:
            self.daemon.call("REVOKE", token=shown["id"])
        else:
            self.daemon.call("REVOKE", certificate=authority.serial_of(shown["certificate"]))

    # Doors: what to connect to, for as long as the context lasts.

    def door(self, door, shown, language, wire=TCP):
        if door == "socket":
            return contextlib.nullcontext(self.daemon.socket_path)
        if door == "socket of others":
            return self._socket_of_others()
        if door == "from elsewhere":
            return contextlib.nullcontext((own_address(), self.port("plaintext")))
        if door in TLS_DOORS:
            return self._tunnel(door, shown, language, wire)
        return contextlib.nullcontext(self.port(door))

    @contextlib.contextmanager
    def _tunnel(self, door, shown, language, wire):
        options = {"protocol": "h2" if language is asking.Grpc else "osiris/1",
                   **{name: shown[name] for name in TLS_OPTIONS if name in shown}}
        by_tcp = wire == TCP
        kind, where = (tunnel.Tls, self.port(door)) if by_tcp else (tunnel.Carrier,
                                                                    self.urls[wire, door])
        with kind(where, ca=self.ca.pem, **options) as made:
            yield made.port
            self.alert = made.alert()

    @contextlib.contextmanager
    def _socket_of_others(self):
        """In production it is in a folder that is its owner's alone."""
        for path, mode in ((self.daemon.data.parent, 0o711), (self.daemon.data, 0o711),
                           (self.daemon.socket_path, 0o666)):
            path.chmod(mode)
        with tunnel.AnotherUser(self.daemon.socket_path) as made:
            yield made.port


def own_address():
    """An address of this machine that is not the loopback's; None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def forged(token, at, by):
    """A token with other bytes in it that is well written (src/model/token.h)."""
    text = token.removeprefix("osrt_").upper()
    body = bytearray(base64.b32decode(text + "=" * (-len(text) % 8))[:36])
    body[at:at + len(by)] = by
    check = hashlib.sha256(b"osiris check 1\0osrt_" + body).digest()[:4]
    return "osrt_" + base64.b32encode(body + check).decode().lower().rstrip("=")


NOTHING = {}
NOTHING_BY_TLS = {}
ENTRANCES = {
    "root on the socket": ("socket", lambda world: NOTHING, "admin"),
    "another user on the socket": ("socket of others", lambda world: NOTHING, "nobody"),
    "nothing, from this machine": ("plaintext", lambda world: NOTHING, "local"),
    "nothing, from elsewhere": ("from elsewhere", lambda world: NOTHING, "newcomer"),
    "nothing, over TLS": ("token", lambda world: NOTHING_BY_TLS, "newcomer"),
    "a seed program": ("seeds", lambda world: NOTHING, "nobody"),
    "a certificate of an instance":
        ("certificate", lambda world: world.certificate("instance:" + "a" * 32), "peer"),
    "a certificate of a user without roles":
        ("certificate", lambda world: world.certificate("user:none"), "nobody"),
    "a certificate of an outside CA":
        ("certificate", lambda world: world.foreign_certificate("desk.example"), "newcomer"),
    "a certificate of an outside CA with a role":
        ("certificate", lambda world: world.foreign_certificate("editor.example"), "editor"),
    "a shared key": ("key", lambda world: {"key": ("of-all", world.secrets["of-all"])}, "newcomer"),
    "a shared key with a role":
        ("key", lambda world: {"key": ("of-readers", world.secrets["of-readers"])}, "reader"),
}
for role in ROLES:
    ENTRANCES[f"a certificate of a user, {role}"] = (
        "certificate", lambda world, role=role: world.certificate(f"user:{role}"), role)
    for door in "plaintext", "token":
        ENTRANCES[f"a token, {role}, {door}"] = (
            door, lambda world, role=role: world.token(role), role)


@pytest.fixture(scope="module")
def brokers():
    with tempfile.TemporaryDirectory(prefix="osr-") as path:
        folder = pathlib.Path(path)
        with mosquitto.Mosquitto(folder, settings=["set_tcp_nodelay true"]) as for_mqtt, \
                rabbitmq.Rabbitmq(folder) as for_amqp:
            yield {"mqtt": for_mqtt.start(), "amqp": for_amqp.start()}


@contextlib.contextmanager
def world_at(urls):
    with tempfile.TemporaryDirectory(prefix="osr-") as folder:
        made = World(pathlib.Path(folder), urls)
        yield made
        status = made.daemon.stop()
        log = made.daemon.log()
        print(log)
        assert status == 0 and "ERROR: AddressSanitizer" not in log and "runtime error:" not in log


@pytest.fixture(scope="module")
def world_of_streams():
    with world_at({(TCP, door): url.format(osiris.free_port())
                   for door, url in LISTENERS.items()}) as made:
        yield made


def url_of_wire(wire, door, brokers):
    if wire in brokers:
        return brokers[wire].url(f"osiris/by-{door}", auth=door)
    return f"{wire}://127.0.0.1:{osiris.free_port()}?auth={door}"


@pytest.fixture(scope="module")
def world_of_wires(brokers):
    urls = {(wire, door): url_of_wire(wire, door, brokers)
            for wire, door in itertools.product(WIRES, TLS_DOORS)}
    urls[TCP, "token"] = LISTENERS["token"].format(osiris.free_port())  # invitations are to there
    with world_at(urls) as made:
        yield made


@pytest.fixture
def world(request, wire):
    return request.getfixturevalue("world_of_streams" if wire == TCP else "world_of_wires")


# ---- the matrix ----


def answer(mark, type):
    return {"+": ALLOWED.get(type, OK), "-": "PERMISSION_DENIED", "?": "UNAUTHENTICATED"}[mark]


def expected(type, standing, shown):
    is_certified = "certificate" in shown and not shown.get("is_foreign")
    is_certified = is_certified and not shown.get("is_instance")  # but over its link
    if type == "RENEW" and is_certified and standing != "bad":
        return OK
    return answer(REQUESTS[type].split()[STANDINGS.index(standing)], type)


def expected_first(type, standing, shown, language):
    """Of a message that begins a connection, or a call of a link."""
    if type == "UPDATE_KB" and language in FRAMES:
        return "PERMISSION_DENIED"  # without a number it is for seed programs
    is_first = language is asking.Grpc or "token" not in shown  # which frames show by a frame
    if type == "HELLO" and shown is NOTHING_BY_TLS:
        return "UNAUTHENTICATED"  # no proof would let it in
    if type == "HELLO" and is_first:
        mark = HELLO.split()[STANDINGS.index(standing)]
        return "HELLO" if mark == "+" else answer(mark, type)
    return "INVALID_ARGUMENT"


def requests_of(language):
    """What is to be asked, and the rows of that."""
    return METHODS if language is asking.Grpc else {type: type for type in REQUESTS}


def wrong_answers(asker, standing, shown, language):
    for asked, type in requests_of(language).items():
        code = asker.ask(asked, FIELDS.get(type, {}))
        if code != expected(type, standing, shown):
            yield f"{asked}: {code}, and not {expected(type, standing, shown)}"
    for type in (*REPLIES, *EVENTS) if language in FRAMES else ():
        code = asker.ask(type, {})
        if code != "INVALID_ARGUMENT":
            yield f"{type}: {code}, and not INVALID_ARGUMENT"


def wrong_first_answers(connect, standing, shown, language):
    """Each message on a connection of its own; over gRPC as a call, which begins anew."""
    asker = None
    for type in (*LINK_MESSAGES, "UPDATE_KB"):
        if asker is None or language in FRAMES:
            asker = connect()
        code = asker.first_answer(type, FIELDS.get(type, {}))
        if language in FRAMES:
            asker.close()
        if code != expected_first(type, standing, shown, language):
            yield f"{type} first: {code}, and not {expected_first(type, standing, shown, language)}"
    asker.close()


def is_possible_entrance(entrance, wire, language):
    if entrance == "a seed program" and language not in FRAMES:
        return False  # which is what those speak
    return is_possible_door(ENTRANCES[entrance][0], wire)


@cells("entrance", ENTRANCES, is_possible_entrance)
def test_matrix(world, entrance, wire, language):
    door, show, standing = ENTRANCES[entrance]
    if door == "socket of others" and os.geteuid() != 0:
        pytest.skip("only root can be another user")
    if door == "from elsewhere" and own_address() is None:
        pytest.skip("this machine has no address but the loopback's")
    shown = show(world)
    with world.door(door, shown, language, wire) as where:
        def connect():
            asker = language(where)
            if "token" in shown:
                assert asker.show_token(shown["token"]) == OK
            return asker

        asker = connect()
        if door == "seeds":
            asker.send("UPDATE_KB", FIELDS["UPDATE_KB"])  # by which it becomes one
        wrong = list(wrong_answers(asker, standing, shown, language))
        asker.close()
        if door != "seeds":
            wrong += wrong_first_answers(connect, standing, shown, language)
    assert not wrong, "\n".join(wrong)


# Tokens that are good no more: at once on connections that are up, and by no new one.
@cells("door", ["plaintext", "token"], is_possible_door)
@pytest.mark.parametrize("end", ["expired", "revoked"])
def test_matrix_of_tokens_that_have_ended(world, end, door, wire, language):
    shown = world.token("administrator", **({"expires_ms": 1000} if end == "expired" else {}))
    with world.door(door, shown, language, wire) as where:
        asker = language(where)
        assert asker.show_token(shown["token"]) == OK
        if end == "expired":
            time.sleep(1.1)
        else:
            world.revoke(shown)
        wrong = []
        for asked, type in requests_of(language).items():
            is_open = language in FRAMES and type in ("LOGIN", "JOIN")
            code = asker.ask(asked, FIELDS.get(type, {}))
            if code != ("INVALID_ARGUMENT" if is_open else "UNAUTHENTICATED"):
                wrong.append(f"{asked}: {code}")
        assert not wrong, "\n".join(wrong)
        if language is asking.Grpc:
            assert asker.first_answer("HELLO", FIELDS["HELLO"]) == "UNAUTHENTICATED"
        asker.close()
        asker = language(where)
        assert asker.show_token(shown["token"]) == "UNAUTHENTICATED"
        asker.close()


# A certificate that is revoked lets its bearer do nothing any more, on the connection that is up.
@cells("door", ["certificate"], is_possible_door)
def test_matrix_of_a_certificate_that_is_revoked(world, door, wire, language):
    shown = world.certificate("user:administrator")
    with world.door(door, shown, language, wire) as where:
        asker = language(where)
        status = "Instance.Status" if language is asking.Grpc else "STATUS"
        assert asker.ask(status, {}) == OK
        world.revoke(shown)
        wrong = list(wrong_answers(asker, "bad", shown, language))
        asker.close()
    assert not wrong, "\n".join(wrong)


# Tokens that were never any here: whoever shows one is told so, and is who he was without it; in
# gRPC, where it comes with each call, the call has ended.
@cells("door", ["plaintext", "token"], is_possible_door)
@pytest.mark.parametrize("at, by, code", [
    pytest.param(16, bytes(20), "UNAUTHENTICATED", id="another secret"),
    pytest.param(8, bytes(8), "UNAUTHENTICATED", id="another id"),
    pytest.param(0, bytes(8), "WRONG_CLUSTER", id="another cluster"),
])
def test_matrix_of_tokens_that_are_none(world, at, by, code, door, wire, language):
    standing = "local" if door == "plaintext" else "newcomer"
    with world.door(door, NOTHING, language, wire) as where:
        asker = language(where)
        found = asker.show_token(forged(world.token("administrator")["token"], at, by))
        assert found == code
        if language is asking.Grpc:
            wrong = [method for method in METHODS if asker.ask(method, {}) != code]
        else:
            wrong = list(wrong_answers(asker, standing, NOTHING, language))
        asker.close()
    assert not wrong, "\n".join(wrong)


# ---- requests that come as messages ----

# At a broker an address for each standing, whose clients are named after it; over ZeroMQ a key.
CLIENTS = ("administrator", "editor", "reader", "clerk", "none")
CLIENT_STANDINGS = {**{name: name for name in CLIENTS}, "none": "nobody", "anonymous": "newcomer"}
CARRIERS = ("mqtt", "amqp", "zmq")


class MessageWorld:
    """An instance that takes requests of clients over a broker of each kind, and over ZeroMQ."""

    def __init__(self, folder, brokers):
        self.daemon = osiris.Daemon(folder, "two", flags=["--config", str(folder / "two.yaml")])
        self.brokers = brokers
        self.zmq_port = osiris.free_port()
        members = "".join(f'    "client:{name}": {name}\n' for name in CLIENTS if name != "none")
        (folder / "two.yaml").write_text(CONFIG + members)
        subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", str(self.daemon.data),
                        "--cluster", CLUSTER], check=True, capture_output=True)
        self.keys = {name: messages.zmq_keys(self.daemon.data, name) for name in CLIENTS}
        at_messages = [f"zmq://127.0.0.1:{self.zmq_port}?for=clients", *self._at_brokers()]
        self.addresses = len(at_messages)
        # Invitations are to somewhere.
        self.daemon.listen = [f"tls://127.0.0.1:{osiris.free_port()}", *at_messages]
        self.daemon.start()
        self.daemon.call("KB_PUT", document={**NOTE, "data": "word"})

    def _at_brokers(self):
        for carrier, broker in self.brokers.items():
            for name in CLIENTS:
                yield broker.url(f"osiris/{name}", **{"for": "clients", "as": name})
        yield self.brokers["amqp"].url("osiris/anonymous", **{"for": "clients"})

    def ask_as(self, carrier, name):
        if carrier == "zmq":
            return messages.Frames(messages.Zmq(self.zmq_port, self.keys[name]))
        kind = messages.Mqtt if carrier == "mqtt" else messages.Amqp
        return messages.Frames(kind(self.brokers[carrier].port, f"osiris/{name}"))


@pytest.fixture(scope="module")
def message_world(brokers):
    with tempfile.TemporaryDirectory(prefix="osr-") as folder:
        made = MessageWorld(pathlib.Path(folder), brokers)
        osiris.wait_for(lambda: made.daemon.log().count(": takes requests") == made.addresses,
                        "it takes requests everywhere")
        yield made
        status = made.daemon.stop()
        log = made.daemon.log()
        print(log)
        assert status == 0 and "ERROR: AddressSanitizer" not in log and "runtime error:" not in log


def expected_of_message(type, standing):
    """What would never end is refused to who may, too."""
    code = expected(type, standing, NOTHING)
    return "INVALID_ARGUMENT" if type == "KB_WATCH" and code == OK else code


@pytest.mark.parametrize("carrier, name", [
    *itertools.product(CARRIERS, CLIENTS), ("amqp", "anonymous")])
def test_matrix_of_messages(message_world, carrier, name):
    standing = CLIENT_STANDINGS[name]
    asker = message_world.ask_as(carrier, name)
    wrong = []
    for type in REQUESTS:
        code = asker.ask(type, FIELDS.get(type, {}))
        if code != expected_of_message(type, standing):
            wrong.append(f"{type}: {code}, and not {expected_of_message(type, standing)}")
    for type in (*REPLIES, *EVENTS, *LINK_MESSAGES):  # no client links, whatever its roles are
        code = asker.ask(type, {})
        if code != "INVALID_ARGUMENT":
            wrong.append(f"{type}: {code}, and not INVALID_ARGUMENT")
    for type, answer in (("HELLO", "INVALID_ARGUMENT"),
                         ("UPDATE_KB", expected("UPDATE_KB", standing, NOTHING))):
        code = asker.first_answer(type, FIELDS[type])
        if code != answer:
            wrong.append(f"{type} without a number: {code}, and not {answer}")
    asker.close()
    assert not wrong, "\n".join(wrong)


# A token in a message counts for the rest of it, and for no other.
@pytest.mark.parametrize("carrier", CARRIERS)
def test_matrix_of_a_token_in_a_message(message_world, carrier):
    token = message_world.daemon.call("TOKEN_CREATE", name="editor", roles=["editor"])["token"]
    asker = message_world.ask_as(carrier, "none")
    shown = {"type": "AUTHENTICATE", "request_id": 1, "token": token}
    listed = {"type": "KB_GET", "request_id": 2, "id": "note"}
    asker.carrier.send(json.dumps(shown).encode() + json.dumps(listed).encode())
    types = {json.loads(asker.carrier.receive())["type"] for _ in range(2)}
    assert types == {"AUTHENTICATE_REPLY", "KB_GET_REPLY"}
    assert asker.ask("KB_GET", {"id": "note"}) == "PERMISSION_DENIED"
    asker.close()


# ---- who does not come in ----

IN_DAYS = {days: authority.now() + datetime.timedelta(days=days) for days in (-9, -2, 2, 9)}
# By which door, what is shown, and how it is refused: by an alert in the handshake, or behind it.
REFUSED = {
    "no certificate": ("certificate", lambda world: {}, "certificate required"),
    "a certificate of a wrong CA":
        ("certificate", lambda world: world.certificate("user:administrator", world.stranger),
         "unknown ca"),
    "a certificate that has expired":
        ("certificate", lambda world: world.certificate("user:administrator", begins=IN_DAYS[-9],
                                                        ends=IN_DAYS[-2]), "certificate expired"),
    "a certificate that is not valid yet":
        ("certificate", lambda world: world.certificate("user:administrator", begins=IN_DAYS[2],
                                                        ends=IN_DAYS[9]), "bad certificate"),
    "a certificate that was revoked":
        ("certificate", lambda world: world.revoked_certificate("user:administrator"),
         "certificate revoked"),
    "a certificate of another cluster":
        ("certificate", lambda world: world.certificate_of_another_cluster(), "WRONG_CLUSTER"),
    "TLS 1.2":
        ("certificate", lambda world: {**world.certificate("user:administrator"),
                                       "options": ["-quiet", "-tls1_2"]}, "protocol version"),
    "a foreign protocol":
        ("certificate", lambda world: {**world.certificate("user:administrator"),
                                       "protocol": "http/1.1"}, "no application protocol"),
    "no shared key": ("key", lambda world: {}, "handshake failure"),
    "a wrong shared key":
        ("key", lambda world: {"key": ("of-all", bytes(32))}, "illegal parameter"),
    "an unknown shared key":
        ("key", lambda world: {"key": ("of-none", bytes(32))}, "handshake failure"),
    "a certificate, where a key is wanted":
        ("key", lambda world: world.certificate("user:administrator"), "handshake failure"),
}

# What a client of ours makes of these alerts.
ALERTS = {
    "certificate required": "UNAUTHENTICATED: wants a certificate, and we have none",
    "unknown ca": "UNAUTHENTICATED: does not believe the CA of our certificate",
    "certificate expired":
        "UNAUTHENTICATED: says that our certificate has expired, or is not valid yet",
    "bad certificate": "UNAUTHENTICATED: does not let our certificate in",
    "certificate revoked": "UNAUTHENTICATED: says that our certificate has been revoked",
    "no application protocol": "UNSUPPORTED_VERSION: speaks none of our protocols",
    "handshake failure": "UNAUTHENTICATED: finds nothing in common: it may want a shared key",
}


def expected_alert(alert, shown, wire):
    if wire == TCP:
        return alert
    if "key" in shown:
        return (f'UNAUTHENTICATED: does not take the shared key "{shown["key"][0]}": it does not '
                'know it, or has another one of that name')
    if wire == "udp" and alert == "certificate required":
        alert = "handshake failure"  # DTLS 1.2 has no other
    return ALERTS[alert]


# Everything, sent without waiting for an answer: nothing comes back but why not.
def blind_answers(where, language):
    asker = language(where)
    try:
        for type in REQUESTS:
            asker.send(type, FIELDS.get(type, {}), request_id=1)
    except OSError:
        pass  # it is over already
    answers = list(asker.answers())
    asker.close()
    return answers


def is_possible_refusal(how, wire, _language):
    return wire == TCP or how != "TLS 1.2"  # which only the openssl command can


@cells("how", REFUSED, is_possible_refusal)
def test_matrix_of_those_who_are_refused(world, how, wire, language):
    door, show, why = REFUSED[how]
    is_alert = why == why.lower()
    shown = show(world)
    before = world.daemon.call("FEEDS"), world.daemon.count()
    with world.door(door, shown, language, wire) as where:
        if language is asking.Grpc:
            asker = language(where)
            codes = {asker.ask(method, FIELDS.get(type, {})) for method, type in METHODS.items()}
            assert codes == {UNAVAILABLE}
            assert asker.first_answer("HELLO", FIELDS["HELLO"]) == UNAVAILABLE
            asker.close()
        else:
            assert blind_answers(where, language) == ([] if is_alert else [why])
            asker = language(where)
            assert asker.first_answer("HELLO", FIELDS["HELLO"]) == (CLOSED if is_alert else why)
            asker.close()
    assert world.alert == (expected_alert(why, shown, wire) if is_alert else None)
    assert (world.daemon.call("FEEDS"), world.daemon.count()) == before
