"""Each operation of the contract, called in JSON as any program may call it."""
import os
import signal
import time

import pytest

import osiris


@pytest.fixture
def client(daemon):
    """An administrator's connection."""
    with daemon.client() as client:
        yield client


def fails_with(code, client, type, **fields):
    with pytest.raises(osiris.Failure) as failure:
        client.call(type, **fields)
    assert failure.value.code == code
    return failure.value.frame


# A document is put, got, changed and deleted; its history keeps all of it, newest first.
def test_life_of_a_document(client):
    put = client.call("KB_PUT", document={"data": {"n": 1}, "collection": "facts", "kind": "note",
                                          "tags": ["a", "b"], "author": "ada"})
    id = put["id"]
    document = client.call("KB_GET", id=id)["document"]
    assert (document["data"], document["tags"], document["author"]) == ({"n": 1}, ["a", "b"], "ada")
    assert document["version"] == put["version"]
    changed = client.call("KB_UPDATE", document={"id": id, "data": {"n": 2}})
    assert client.call("KB_GET", id=id)["document"]["data"] == {"n": 2}
    assert changed["sequence"] == put["sequence"] + 1
    client.call("KB_DELETE", id=id)
    fails_with("NOT_FOUND", client, "KB_GET", id=id)
    fails_with("NOT_FOUND", client, "KB_DELETE", id=id)
    versions = client.call("KB_HISTORY", id=id)["versions"]
    assert [version["operation"] for version in versions] == ["DELETE", "PUT", "PUT"]
    assert [version.get("superseded", False) for version in versions] == [False, True, True]
    assert versions[0]["winner"]


# An import skips what came from the same place before, however often it is repeated.
def test_import_can_be_repeated(client):
    documents = [{"data": f"line {number}"} for number in range(10)] + [{"data": "line 3"}]
    import base64
    import hashlib
    import json
    seen = {}
    for position, document in enumerate(documents):
        digest = hashlib.sha256(json.dumps(document["data"]).encode()).digest()
        seen[digest] = seen.get(digest, 0) + 1
        document["source"] = {"name": "file", "position": position,
                              "digest": base64.b64encode(digest).decode(),
                              "occurrence": seen[digest]}
    first = client.call("KB_IMPORT", documents=documents)
    assert (first["imported"], first.get("existed", 0)) == (11, 0)
    again = client.call("KB_IMPORT", documents=documents)
    assert (again.get("imported", 0), again["existed"]) == (0, 11)
    assert client.call("STATUS")["documents"] == 11


# A list comes in the order of ids, in frames of a sensible size, and goes on behind any id.
def test_list_in_pieces(client):
    client.call("KB_IMPORT", documents=[{"id": f"d{number:04}", "data": "x" * 500,
                                         "collection": "even" if number % 2 == 0 else "odd"}
                                        for number in range(1000)])
    frames = list(client.stream("KB_LIST"))
    assert len(frames) > 5
    assert all(len(frame.get("documents", [])) <= 100 for frame in frames)
    assert [frame.get("end", False) for frame in frames] == [False] * (len(frames) - 1) + [True]
    ids = [document["id"] for frame in frames for document in frame.get("documents", [])]
    assert ids == [f"d{number:04}" for number in range(1000)]
    page = client.call("KB_LIST", limit=3, after_id="d0500", collection="odd")
    assert [document["id"] for document in page["documents"]] == ["d0501", "d0503", "d0505"]


# Words are found in what was written just before, best first; odd queries find nothing and break
# nothing.
def test_search(client):
    for text in ("the quick brown fox", "a fox and a fox and a fox", "nothing of the kind"):
        client.call("KB_PUT", document={"data": text})
    hits = [hit for frame in client.stream("KB_SEARCH", query="fox") for hit in frame["hits"]]
    assert [hit["document"]["data"] for hit in hits] == ["a fox and a fox and a fox",
                                                         "the quick brown fox"]
    assert hits[0]["rank"] >= hits[1]["rank"]
    assert "**fox**" in hits[0]["snippet"]
    for query in ('"', "AND OR NOT", "((((", "a*b*", "fox NEAR", "'; drop table documents; --"):
        client.call("KB_SEARCH", query=query)


# A watch gives what is stored from a position on, then what comes, and can be resumed.
def test_watch_goes_on_where_it_stopped(daemon, client):
    first = daemon.put("before")
    request = client.ask("KB_WATCH", from_position=1)
    seen = client.receive()
    assert (seen["document"]["id"], seen["request_id"]) == (first, request)
    second = daemon.put("live")
    live = client.receive()
    assert live["document"]["id"] == second and live["position"] > seen["position"]
    assert not live.get("end", False)
    third = daemon.put("while nobody looked")
    with daemon.client() as other:
        other.ask("KB_WATCH", from_position=live["position"] + 1)
        assert other.receive()["document"]["id"] == third


# Many requests on one connection are all answered, each under its own id.
def test_many_requests_at_once(client):
    wanted = {client.ask("KB_PUT", document={"data": number}): number for number in range(3000)}
    answered = {}
    while len(answered) < len(wanted):
        reply = client.receive()
        assert reply["type"] == "KB_PUT_REPLY"
        answered[reply["request_id"]] = reply["sequence"]
    assert set(answered) == set(wanted)
    assert sorted(answered.values()) == list(range(1, 3001))


# Puts to one id, sent together, follow one another: each supersedes the one before.
def test_writes_to_one_id_see_each_other(client):
    requests = [client.ask("KB_PUT", document={"id": "same", "data": number})
                for number in range(50)]
    for _ in requests:
        assert client.receive()["type"] == "KB_PUT_REPLY"
    versions = client.call("KB_HISTORY", id="same")["versions"]
    assert len(versions) == 50
    assert [version.get("superseded", False) for version in versions] == [False] + [True] * 49
    assert client.call("KB_GET", id="same")["document"]["data"] == versions[0]["document"]["data"]


# The projection can be made anew while it is read; nothing changes.
def test_rebuild(daemon, client):
    client.call("KB_IMPORT", documents=[{"data": number} for number in range(2000)])
    before = daemon.digest()
    frames = list(client.stream("REBUILD"))
    assert frames[-1]["done"] == frames[-1]["total"] > 0
    assert daemon.digest() == before
    assert len(daemon.documents()) == 2000


# A caller that goes away in mid-answer, of whatever kind, leaves nothing behind.
@pytest.mark.parametrize("type, fields", [
    ("KB_LIST", {}), ("KB_WATCH", {"from_position": 1}), ("KB_SEARCH", {"query": "x", "limit": 1000}),
    ("REBUILD", {}), ("STATUS", {"wait": True}), ("KB_DIGEST", {}),
    ("KB_WATCH", {}), ("KB_PUT", {"document": {"data": "x"}, "acks": 1, "timeout_ms": 1000})])
def test_caller_goes_away(daemon, client, type, fields):
    client.call("KB_IMPORT", documents=[{"data": "x " * 500} for _ in range(1000)])
    descriptors = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    for _ in range(20):
        with daemon.client() as other:
            other.ask(type, **fields)
            other.socket.settimeout(0.05)
            try:
                other.socket.recv(10)
            except TimeoutError:
                pass
    osiris.wait_for(lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd")) <= descriptors + 1,
                    "the connections are gone")
    assert client.call("STATUS")["documents"] >= 1000


# SIGTERM while all kinds of calls are under way: it ends well, and soon.
def test_stop_in_the_middle_of_everything(daemon):
    clients = [daemon.client() for _ in range(6)]
    clients[0].call("KB_IMPORT", documents=[{"data": "x " * 500} for _ in range(4000)])
    clients[0].ask("KB_LIST")
    clients[1].ask("KB_WATCH", from_position=1)
    clients[2].ask("KB_PUT", document={"data": 1}, acks=1, timeout_ms=60000)
    clients[3].ask("STATUS", wait=True, timeout_ms=60000)
    clients[4].ask("REBUILD")
    clients[5].ask("KB_IMPORT", documents=[{"data": number} for number in range(4000)])
    time.sleep(0.05)
    began = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(osiris.WAIT_S) == 0
    assert time.monotonic() - began < 10
    for client in clients:
        client.close()
    assert not daemon.socket_path.exists()
    daemon.start()
    assert daemon.count() >= 4001
