"""Who may do what: every request of the contract, by every kind of identity, over every transport,
each cell with the answer that it has to have; and what is shown to those who may see a part."""
import itertools
import socket
import struct
import time

import grpc
import pytest

import contract
import osiris
from contract import message

CONFIG = """
insecure: true
access:
  roles:
    clerk:
      - allow: [read, write]
        on: "collection:notes*"
      - deny: write
        on: "collection:notes-old"
"""

# For each request, what each identity of IDENTITIES is answered: '+' what it asked for, or why that
# cannot be; '-' PERMISSION_DENIED; '?' UNAUTHENTICATED; 'o' anything but PERMISSION_DENIED, as the
# request is itself about showing who one is.
IDENTITIES = ("admin", "local", "anonymous", "seed", "administrator", "editor", "reader",
              "peer", "clerk", "expired", "revoked")
MATRIX = {
    # adm loc ano see adm edi rea pee cle exp rev
    "UPDATE_KB": "+ + - - + + - - + ? ?",
    "KB_PUT": "+ + - - + + - - + ? ?",
    "KB_UPDATE": "+ + - - + + - - + ? ?",
    "KB_DELETE": "+ + - - + + - - + ? ?",
    "KB_IMPORT": "+ + - - + + - - + ? ?",
    "KB_GET": "+ + - - + + + - + ? ?",
    "KB_LIST": "+ + - - + + + - + ? ?",
    "KB_SEARCH": "+ + - - + + + - + ? ?",
    "KB_HISTORY": "+ + - - + + + - + ? ?",
    "KB_WATCH": "+ + - - + + + - + ? ?",
    "KB_DIGEST": "+ + - - + + + - - ? ?",
    "STATUS": "+ + - - + + + - - ? ?",
    "FEEDS": "+ + - - + + + - - ? ?",
    "FEEDS_RESEND": "+ - - - + - - - - ? ?",
    "FEEDS_FOLLOWERS": "+ + - - + + + - - ? ?",
    "REBUILD": "+ - - - + - - - - ? ?",
    "LOGIN": "o o o o o o o o o o o",
    "AUTHENTICATE": "o o o o o o o o o o o",
    "JOIN": "o o o o o o o o o o o",
    "RENEW": "? ? ? ? ? ? ? ? ? ? ?",
    "INVITE": "+ - - - + - - - - ? ?",
    "ISSUE": "+ - - - + - - - - ? ?",
    "TOKEN_CREATE": "+ - - - + - - - - ? ?",
    "USER_PUT": "+ - - - + - - - - ? ?",
    "REVOKE": "+ - - - + - - - - ? ?",
    "CREDENTIALS": "+ - - - + - - - - ? ?",
    "ACCESS_CHECK": "+ - - - + - - - - ? ?",
    "AUDIT": "+ - - - + - - - - ? ?",
    "RELOAD": "+ - - - + - - - - ? ?",
}
NOTE = {"id": "note", "collection": "notes"}
# What is asked for, where an empty request would not show what is meant to be shown.
FIELDS = {
    "UPDATE_KB": {"data": b"1", "collection": "notes"},
    "KB_PUT": {"document": {**NOTE, "data": b"1"}},
    "KB_UPDATE": {"document": {**NOTE, "data": b"2"}},
    "KB_DELETE": {"id": "nothing"},
    "KB_IMPORT": {"documents": [{**NOTE, "data": b"3"}]},
    "KB_GET": {"id": "note"},
    "KB_SEARCH": {"query": "word"},
    "KB_HISTORY": {"id": "note"},
    "KB_WATCH": {"from_position": 1},
    "FEEDS_RESEND": {"peer": "nobody", "from_sequence": 1},
}
METHODS = {
    "KB_PUT": "Knowledge.Put", "KB_UPDATE": "Knowledge.Update", "KB_DELETE": "Knowledge.Delete",
    "KB_IMPORT": "Knowledge.Import", "KB_GET": "Knowledge.Get", "KB_LIST": "Knowledge.List",
    "KB_SEARCH": "Knowledge.Search", "KB_HISTORY": "Knowledge.History",
    "KB_WATCH": "Knowledge.Watch", "KB_DIGEST": "Instance.Digest", "STATUS": "Instance.Status",
    "FEEDS": "Instance.Feeds", "FEEDS_RESEND": "Instance.Resend",
    "FEEDS_FOLLOWERS": "Instance.Followers", "REBUILD": "Instance.Rebuild", "LOGIN": "Trust.Login",
    "AUTHENTICATE": "Trust.Authenticate", "JOIN": "Trust.Join", "RENEW": "Trust.Renew",
    "INVITE": "Trust.Invite", "ISSUE": "Trust.Issue", "TOKEN_CREATE": "Trust.CreateToken",
    "USER_PUT": "Trust.PutUser", "REVOKE": "Trust.Revoke", "CREDENTIALS": "Trust.Credentials",
    "ACCESS_CHECK": "Trust.CheckAccess", "AUDIT": "Trust.Audit", "RELOAD": "Trust.Reload",
}


def as_json(value):
    """Fields as frames of JSON have them: data are the value itself."""
    if isinstance(value, dict):
        return {name: as_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_json(member) for member in value]
    return int(value) if isinstance(value, bytes) else value


def as_message(value):
    """Fields as messages have them: data are a message with a text."""
    if isinstance(value, dict):
        return {name: as_message(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_message(member) for member in value]
    return {"text": value} if isinstance(value, bytes) else value


# ---- transports: each asks one thing as somebody and gives the error's name, or None ----


class JsonFrames:
    def __init__(self, where, token=None, first=None):
        self.client = osiris.Client(where)
        if first is not None:
            self.client.send(first, **({"data": 1} if first == "UPDATE_KB" else {}))
        if token is not None:
            self.client.call("AUTHENTICATE", token=token)

    def ask(self, type):
        request_id = self.client.ask(type, **as_json(FIELDS.get(type, {})))
        while True:
            frame = self.client.receive()
            assert frame is not None, "closed"
            if frame.get("request_id") == request_id:
                return frame["code"] if frame["type"] == "ERROR" else None

    def close(self):
        self.client.close()


class ProtobufFrames:
    """A length in four bytes and an osiris.v1.Frame, both ways."""

    def __init__(self, where, token=None, first=None):
        if isinstance(where, tuple):
            self.socket = socket.create_connection(where, osiris.WAIT_S)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(osiris.WAIT_S)
            self.socket.connect(str(where))
        self.last_id = 0
        if first is not None:
            self.send(first, 0, {"data": {"text": b"1"}} if first == "UPDATE_KB" else {})
        if token is not None:
            assert self.call("AUTHENTICATE", {"token": token}) is None

    def send(self, type, request_id, fields):
        frame = message("osiris.v1.Frame", request_id=request_id, **{type.lower(): fields})
        data = frame.SerializeToString()
        self.socket.sendall(struct.pack(">I", len(data)) + data)

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            assert more, "closed"
            data += more
        return data

    def call(self, type, fields):
        self.last_id += 1
        self.send(type, self.last_id, fields)
        while True:
            size, = struct.unpack(">I", self.read(4))
            frame = message("osiris.v1.Frame")
            frame.ParseFromString(self.read(size))
            if frame.request_id == self.last_id:
                is_error = frame.WhichOneof("body") == "error"
                return contract.code_name(frame.error.code) if is_error else None

    def ask(self, type):
        return self.call(type, as_message(FIELDS.get(type, {})))

    def close(self):
        self.socket.close()


class Grpc:
    def __init__(self, where, token=None):
        target = "%s:%d" % where if isinstance(where, tuple) else f"unix:{where}"
        self.channel = grpc.insecure_channel(target)
        self.metadata = [] if token is None else [("authorization", f"Bearer {token}")]

    def ask(self, type):
        method = "osiris.v1." + METHODS[type]
        request = contract.request(method, **as_message(FIELDS.get(type, {})))
        call = contract.method(self.channel, method)
        try:
            if type == "KB_IMPORT":
                call(iter((request,)), metadata=self.metadata, timeout=osiris.WAIT_S)
            else:
                reply = call(request, metadata=self.metadata, timeout=osiris.WAIT_S)
                if hasattr(reply, "__next__"):
                    next(reply, None)
                    reply.cancel()
        except grpc.RpcError as error:
            return contract.status_details(error)[1].reason
        return None

    def close(self):
        self.channel.close()


TRANSPORTS = {"frames JSON": JsonFrames, "frames protobuf": ProtobufFrames, "gRPC": Grpc}


# ---- identities ----


def own_address():
    """An address of this machine that is not the loopback's; None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


@pytest.fixture
def instance(make_daemon, folder):
    config = folder / "osirisd.yaml"
    config.write_text(CONFIG)
    daemon = make_daemon(flags=["--config", str(config)])
    daemon.port, daemon.seed_port = osiris.free_port(), osiris.free_port()
    daemon.listen += [f"tcp://0.0.0.0:{daemon.port}",
                      f"tcp://127.0.0.1:{daemon.seed_port}?peer=seed"]
    daemon.start()
    daemon.put("word", **{})
    daemon.call("KB_PUT", document={"id": "note", "collection": "notes", "data": "word"})
    return daemon


def create_token(daemon, name, role, **fields):
    return daemon.call("TOKEN_CREATE", name=name, roles=[role], **fields)


class Gates:
    """How each identity comes in."""

    def __init__(self, daemon, transport):
        self.daemon = daemon
        self.make = TRANSPORTS[transport]
        self.is_grpc = transport == "gRPC"

    def where(self, port, address="127.0.0.1"):
        is_json = self.make is JsonFrames
        return port if is_json and address == "127.0.0.1" else (address, port)

    def enter(self, identity):
        """None where this identity does not exist on this transport."""
        daemon = self.daemon
        if identity == "admin":
            return self.make(daemon.socket_path)
        if identity == "local":
            return self.make(self.where(daemon.port))
        if identity == "anonymous":
            address = own_address()
            return None if address is None else self.make(self.where(daemon.port, address))
        if identity == "seed":
            if self.is_grpc:
                return None  # seed programs speak JSON; protobuf, where they have learned it
            return self.make(self.where(daemon.seed_port), first="UPDATE_KB")
        if identity == "expired":
            made = create_token(daemon, "old", "administrator", expires_ms=1500)
            gate = self.make(self.where(daemon.port), token=made["token"])
            time.sleep(1.6)
            return gate
        if identity == "revoked":
            made = create_token(daemon, "bad", "administrator")
            gate = self.make(self.where(daemon.port), token=made["token"])
            assert gate.ask("STATUS") is None
            daemon.call("REVOKE", token=made["id"])
            return gate
        made = create_token(daemon, identity, identity)
        return self.make(self.where(daemon.port), token=made["token"])


def is_expected(mark, code):
    if mark == "+":
        return code not in ("PERMISSION_DENIED", "UNAUTHENTICATED")
    if mark == "o":
        return code != "PERMISSION_DENIED"
    return code == {"-": "PERMISSION_DENIED", "?": "UNAUTHENTICATED"}[mark]


# What was learned of a token that is bad ends gRPC's calls before anybody asks what they want.
def mark_of(type, identity, transport):
    mark = MATRIX[type].split()[IDENTITIES.index(identity)]
    is_bad = identity in ("expired", "revoked")
    return "?" if transport == "gRPC" and is_bad else mark


# ---- the matrix ----


# A request that is new in the contract needs a row here, with a cell for each identity.
def test_each_request_has_its_row():
    fields = {field.name for field in message("osiris.v1.Frame").DESCRIPTOR.oneofs[0].fields}
    requests = {name for name in fields if name + "_reply" in fields} | {"update_kb"}
    assert {name.upper() for name in requests} == set(MATRIX)
    assert all(len(row.split()) == len(IDENTITIES) for row in MATRIX.values())
    assert set(METHODS) == set(MATRIX) - {"UPDATE_KB"}


@pytest.mark.parametrize("transport, identity", itertools.product(TRANSPORTS, IDENTITIES))
def test_matrix(instance, transport, identity):
    gate = Gates(instance, transport).enter(identity)
    if gate is None:
        pytest.skip("there is no such identity here")
    wrong = []
    for type in MATRIX:
        if transport == "gRPC" and type not in METHODS:
            continue
        mark = mark_of(type, identity, transport)
        code = gate.ask(type)
        if not is_expected(mark, code):
            wrong.append(f"{type}: {code}, and not '{mark}'")
    gate.close()
    assert not wrong, "\n".join(wrong)


# Replication messages are for links, and a link begins with HELLO, whoever it is.
@pytest.mark.parametrize("type", ["HELLO_PROOF", "FETCH", "UPDATE", "ACK", "PING", "PONG"])
def test_replication_outside_a_link_is_refused(instance, type):
    for where in instance.socket_path, instance.port:
        with osiris.Client(where) as client:
            client.send(type)
            assert client.receive()["code"] == "INVALID_ARGUMENT"
            assert client.receive() is None


# A token that is bad is never passed over for what the connection would be without it.
@pytest.mark.parametrize("value", ["", "Bearer", "Bearer osrt_x", "Basic YTpi",
                                   "osrt_abc", "Bearer " + "x" * 4000])
def test_bad_authorization_ends_the_call(instance, value):
    with grpc.insecure_channel(f"unix:{instance.socket_path}") as channel:
        status = contract.method(channel, "osiris.v1.Instance.Status")
        request = message("osiris.v1.StatusRequest")
        with pytest.raises(grpc.RpcError) as failure:
            status(request, metadata=[("authorization", value)])
        assert failure.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert status(request).name == "one"


# Calls on one connection are each their own token's.
def test_calls_of_a_connection_have_their_own_tokens(instance):
    tokens = {role: create_token(instance, role, role)["token"] for role in ("reader", "peer")}
    with grpc.insecure_channel(f"127.0.0.1:{instance.port}") as channel:
        status = contract.method(channel, "osiris.v1.Instance.Status")
        request = message("osiris.v1.StatusRequest")
        for role, is_let_in in (("reader", True), ("peer", False), ("reader", True)):
            metadata = [("authorization", f"bearer {tokens[role]}")]
            if is_let_in:
                assert status(request, metadata=metadata).name == "one"
            else:
                with pytest.raises(grpc.RpcError) as failure:
                    status(request, metadata=metadata)
                assert failure.value.code() == grpc.StatusCode.PERMISSION_DENIED


# ---- what a clerk sees and may change ----


@pytest.fixture
def clerk(instance):
    with instance.client() as admin:
        for number in range(300):  # more than a chunk of a query
            admin.call("KB_PUT", document={"id": f"a{number:03}", "collection": "secret",
                                           "data": "word"})
        for number in range(5):
            admin.call("KB_PUT", document={"id": f"b{number}", "collection": "notes",
                                           "data": "word"})
        admin.call("KB_PUT", document={"id": "old", "collection": "notes-old", "data": "word"})
        admin.call("KB_PUT", document={"id": "moved", "collection": "secret", "data": "word"})
        admin.call("KB_PUT", document={"id": "moved", "collection": "notes", "data": "word"})
    with osiris.Client(instance.port) as client:
        client.call("AUTHENTICATE", token=create_token(instance, "clerk", "clerk")["token"])
        yield client


SEEN = {"b0", "b1", "b2", "b3", "b4", "moved", "note", "old"}


def listed(client, **fields):
    return [document["id"] for frame in client.stream("KB_LIST", **fields)
            for document in frame.get("documents", [])]


def found(client, **fields):
    return [hit["document"]["id"] for frame in client.stream("KB_SEARCH", query="word", **fields)
            for hit in frame.get("hits", [])]


def code_of(client, type, **fields):
    with pytest.raises(osiris.Failure) as failure:
        client.call(type, **fields)
    return failure.value.code


# Lists and searches leave out what the asker may not read, and their limits count the rest.
def test_lists_show_what_may_be_read(clerk):
    assert set(listed(clerk)) == SEEN
    assert listed(clerk, limit=3) == ["b0", "b1", "b2"]
    assert listed(clerk, limit=2, after_id="b2") == ["b3", "b4"]
    assert set(found(clerk, limit=1000)) == SEEN
    assert len(found(clerk, limit=3)) == 3
    assert code_of(clerk, "KB_LIST", collection="secret") == "PERMISSION_DENIED"


# What may not be read is not there, and its answer is that of what is not.
def test_reads_by_id_do_not_tell(clerk, instance):
    for type in "KB_GET", "KB_HISTORY":
        failures = []
        for id in "a000", "none":
            with pytest.raises(osiris.Failure) as failure:
                clerk.call(type, id=id)
            failures.append((failure.value.code, str(failure.value).replace(id, "X")))
        assert failures[0] == failures[1] and failures[0][0] == "NOT_FOUND"
    instance.call("KB_GET", id="a001")  # now it is cached
    assert code_of(clerk, "KB_GET", id="a001") == "NOT_FOUND"
    versions = [version for frame in clerk.stream("KB_HISTORY", id="moved")
                for version in frame["versions"]]
    assert [version["document"]["collection"] for version in versions] == ["notes"]


# A watch shows what may be read, from the past and live.
def test_watch_shows_what_may_be_read(clerk, instance):
    request = clerk.ask("KB_WATCH", from_position=1)
    instance.call("KB_PUT", document={"id": "a-late", "collection": "secret", "data": 1})
    instance.call("KB_PUT", document={"id": "z-late", "collection": "notes", "data": 1})
    seen = set()
    while "z-late" not in seen:
        frame = clerk.receive()
        assert frame["request_id"] == request
        assert frame["document"]["collection"].startswith("notes")
        seen.add(frame["document"]["id"])
    assert seen == SEEN | {"z-late"}


# One who may not write a document's collection can neither take it over nor remove it.
def test_writes_by_id_look_at_what_they_replace(clerk, instance):
    document = {"id": "a000", "collection": "notes", "data": "mine"}
    assert code_of(clerk, "KB_PUT", document=document) == "PERMISSION_DENIED"
    assert code_of(clerk, "KB_UPDATE", document=document) == "NOT_FOUND"
    assert code_of(clerk, "KB_DELETE", id="a000") == "NOT_FOUND"
    assert code_of(clerk, "KB_DELETE", id="old") == "PERMISSION_DENIED"
    assert code_of(clerk, "KB_PUT", document={"collection": "secret", "data": 1}) == \
        "PERMISSION_DENIED"
    assert code_of(clerk, "KB_PUT", document={"data": 1}) == "PERMISSION_DENIED"
    assert code_of(clerk, "KB_IMPORT", documents=[
        {"collection": "notes", "data": 1}, {"collection": "secret", "data": 1}]) == \
        "PERMISSION_DENIED"
    assert instance.call("KB_GET", id="a000")["document"]["data"] == "word"
    clerk.call("KB_UPDATE", document={"id": "b0", "collection": "notes", "data": "mine"})
    clerk.call("KB_DELETE", id="b1")
    assert instance.call("KB_GET", id="b0")["document"]["data"] == "mine"
    assert code_of(clerk, "KB_GET", id="b1") == "NOT_FOUND"


# A watch that goes on after a reload shows what the new rules let its asker read.
def test_watch_follows_a_reload(clerk, instance, folder):
    request = clerk.ask("KB_WATCH")
    instance.call("KB_PUT", document={"id": "z1", "collection": "secret", "data": 1})
    instance.call("KB_PUT", document={"id": "z2", "collection": "notes", "data": 1})
    assert clerk.receive()["document"]["id"] == "z2"
    config = folder / "osirisd.yaml"
    config.write_text(CONFIG.replace('"collection:notes*"', '"collection:secret"'))
    instance.call("RELOAD")
    instance.call("KB_PUT", document={"id": "z3", "collection": "notes", "data": 1})
    instance.call("KB_PUT", document={"id": "z4", "collection": "secret", "data": 1})
    frame = clerk.receive()
    assert (frame["request_id"], frame["document"]["id"]) == (request, "z4")


# With its token goes what was asked with it.
def test_watch_ends_with_its_token(instance):
    made = create_token(instance, "reader", "reader")
    with osiris.Client(instance.port) as client:
        client.call("AUTHENTICATE", token=made["token"])
        client.ask("KB_WATCH")
        instance.call("REVOKE", token=made["id"])
        instance.put(1)
        assert client.receive()["code"] == "UNAUTHENTICATED"
