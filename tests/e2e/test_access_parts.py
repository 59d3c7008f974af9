"""What is shown to those who may see a part, what they may change, and whose each call is."""
import grpc
import pytest

import asking
import contract
import osiris
from contract import message

CONFIG = """
access:
  roles:
    clerk:
      - allow: [read, write]
        on: "collection:notes*"
      - deny: write
        on: "collection:notes-old"
      - allow: [read, write]
        on: "key:notes/*"
      - deny: write
        on: "key:notes/old/*"
      - allow: read
        on: "key:port"
"""


@pytest.fixture
def instance(make_daemon, folder):
    config = folder / "osirisd.yaml"
    config.write_text(CONFIG)
    daemon = make_daemon(flags=["--config", str(config)]).listen_somewhere().start()
    daemon.call("KB_PUT", document={"id": "note", "collection": "notes", "data": "word"})
    return daemon


def create_token(daemon, name, role, **fields):
    return daemon.call("TOKEN_CREATE", name=name, roles=[role], **fields)


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


# Keys of the ledger: which one is asked for decides, to the last byte.
@pytest.mark.parametrize("key, may_read, may_write", [
    (b"notes/", True, True),
    (b"notes/a", True, True),
    (b"notes/\x00\xff", True, True),
    (b"notes/old", True, True),
    (b"notes/old/a", True, False),
    (b"port", True, False),
    (b"ports", False, False),
    (b"por", False, False),
    (b"notes", False, False),
    (b"Notes/a", False, False),
    (b"/notes/a", False, False),
    (b"\x00notes/a", False, False),
])
def test_key_ranges(clerk, instance, key, may_read, may_write):
    asked, word, mine = asking.as_json({"key": key}), *asking.as_json([b"word", b"mine"])
    instance.call("KV_PUT", **asked, value=word)
    if may_read:
        assert clerk.call("KV_GET", **asked)["value"] == word
        assert clerk.call("KV_GET", local=True, **asked)["value"] == word
    else:
        assert code_of(clerk, "KV_GET", **asked) == "PERMISSION_DENIED"
        assert code_of(clerk, "KV_GET", local=True, **asked) == "PERMISSION_DENIED"
    if may_write:
        clerk.call("KV_PUT", **asked, value=mine)
        clerk.call("KV_DEL", **asked)
        return
    assert code_of(clerk, "KV_PUT", **asked) == "PERMISSION_DENIED"
    assert code_of(clerk, "KV_DEL", **asked) == "PERMISSION_DENIED"
    assert instance.call("KV_GET", **asked)["value"] == word


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
