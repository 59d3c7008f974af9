"""The contract by gRPC, with grpcio as its users have it."""
import http.client
import socket
import threading
import time

import grpc
import pytest

import contract
import http2
import osiris
from contract import message, method


@pytest.fixture
def channel(daemon):
    with contract.channel(daemon) as channel:
        yield channel


def knowledge(channel, name):
    return method(channel, f"osiris.v1.Knowledge.{name}")


def document(data, **fields):
    return message("osiris.v1.Document", data=message("osiris.v1.Json", text=data), **fields)


def put(channel, data, **fields):
    return knowledge(channel, "Put")(
        message("osiris.v1.PutRequest", document=document(data, **fields)))


def fails_with(code, reason, call, *arguments):
    with pytest.raises(grpc.RpcError) as failure:
        result = call(*arguments)
        if hasattr(result, "__next__"):
            list(result)
    assert failure.value.code() == code
    status, info = contract.status_details(failure.value)
    assert status.code == code.value[0] and status.message == failure.value.details()
    assert (info.domain, info.reason) == ("osiris", reason)
    return failure.value


# A document is put, got, changed and deleted; its history keeps all of it.
def test_life_of_a_document(channel):
    written = put(channel, b'{"n":1}', collection="facts")
    got = knowledge(channel, "Get")(message("osiris.v1.GetRequest", id=written.id))
    assert got.document.data.text == b'{"n":1}' and got.document.collection == "facts"
    knowledge(channel, "Update")(message("osiris.v1.UpdateRequest",
                                         document=document(b"[2]", id=written.id)))
    got = knowledge(channel, "Get")(message("osiris.v1.GetRequest", id=written.id))
    assert got.document.data.text == b"[2]"
    knowledge(channel, "Delete")(message("osiris.v1.DeleteRequest", id=written.id))
    fails_with(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", knowledge(channel, "Get"),
               message("osiris.v1.GetRequest", id=written.id))
    replies = list(knowledge(channel, "History")(
        message("osiris.v1.HistoryRequest", id=written.id)))
    assert sum(len(reply.versions) for reply in replies) == 3


# Lists and searches are streams; an export gives everything.
def test_streams_of_documents(channel):
    for number in range(250):
        put(channel, b'"word%d common"' % number)
    for name in "List", "Export":
        replies = list(knowledge(channel, name)(message("osiris.v1.ListRequest")))
        assert len(replies) > 1 and sum(len(reply.documents) for reply in replies) == 250
    replies = list(knowledge(channel, "Search")(
        message("osiris.v1.SearchRequest", query="word7")))
    hits = [hit for reply in replies for hit in reply.hits]
    assert [hit.document.data.text for hit in hits] == [b'"word7 common"']


# An import is a stream of batches with one answer, which sums them up.
def test_import_of_many_batches(channel):
    def batches():
        for batch in range(30):
            yield message("osiris.v1.ImportRequest",
                          documents=[document(b"%d" % (100 * batch + number))
                                     for number in range(100)])
    reply = knowledge(channel, "Import")(batches())
    assert (reply.imported, reply.existed) == (3000, 0)
    assert knowledge(channel, "Import")(iter(())).imported == 0


# An import is answered when it is done, not when something else happens to wake the connection.
def test_import_is_answered_at_once(channel):
    began = time.monotonic()
    for number in range(16):
        batch = message("osiris.v1.ImportRequest", documents=[document(b"%d" % number)])
        assert knowledge(channel, "Import")(iter((batch,))).imported == 1
    assert time.monotonic() - began < 2  # a look around every 250 ms would take 4


# A watch sees what is written while it runs, and ends when its caller has enough.
def test_watch_is_live(channel):
    stream = knowledge(channel, "Watch")(message("osiris.v1.WatchRequest", from_position=1))
    written = put(channel, b"1")
    assert next(stream).document.id == written.id
    again = put(channel, b"2")
    assert next(stream).document.id == again.id
    stream.cancel()
    assert put(channel, b"3").id


# What the caller did wrong is said in gRPC's words and in ours.
def test_errors_have_our_codes(channel):
    error = fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT",
                       knowledge(channel, "Put"), message("osiris.v1.PutRequest"))
    assert "document" in error.details()
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary("/osiris.v1.Knowledge/Nothing")(b"")
    assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary("/osiris.v1.Knowledge/Get")(b"\xff\xff\xff")
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


# Plaintext TCP may look, but not operate; the Unix socket is the administrator's.
def test_roles_hold_for_grpc(daemon, channel):
    fails_with(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED",
               method(channel, "osiris.v1.Instance.Rebuild"),
               message("osiris.v1.RebuildRequest"))
    with grpc.insecure_channel(f"unix:{daemon.data}/osiris.sock") as socket:
        replies = list(method(socket, "osiris.v1.Instance.Rebuild")(
            message("osiris.v1.RebuildRequest")))
        assert replies[-1].done == replies[-1].total
        status = method(socket, "osiris.v1.Instance.Status")(message("osiris.v1.StatusRequest"))
        assert status.name == daemon.name


# A deadline ends a call that would wait for a follower which never comes; what was written stays.
def test_deadline_of_a_write(channel):
    request = message("osiris.v1.PutRequest", document=document(b"1", id="slow"), acks=1,
                      timeout_ms=60000)
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as failure:
        knowledge(channel, "Put")(request, timeout=0.5)
    assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 10
    assert knowledge(channel, "Get")(message("osiris.v1.GetRequest", id="slow"))


# A slow reader of a large export holds nobody up and costs the daemon no memory to speak of: less
# than the export has.
def test_slow_reader(daemon, channel):
    text = b'"' + b"x" * 60000 + b'"'
    documents = 1500
    for _ in range(documents):
        put(channel, text)
    before = daemon.memory()
    with contract.channel(daemon) as other:
        stream = knowledge(other, "Export")(message("osiris.v1.ListRequest"))
        read = len(next(stream).documents)
        for _ in range(50):
            put(channel, b"1")
        assert daemon.memory() - before < documents * len(text) - (16 << 20)
        assert read + sum(len(reply.documents) for reply in stream) >= documents


# SIGTERM lets calls under way end, says GOAWAY, and the daemon goes.
def test_end_of_the_daemon(daemon, channel):
    request = message("osiris.v1.PutRequest", document=document(b"1"), acks=1, timeout_ms=1000)
    results = []

    def slow_put():
        try:
            knowledge(channel, "Put")(request)
            results.append(None)
        except grpc.RpcError as error:
            results.append(error.code())

    thread = threading.Thread(target=slow_put)
    put(channel, b"0")
    thread.start()
    time.sleep(0.2)
    assert daemon.stop() == 0
    thread.join(osiris.WAIT_S)
    assert results and results[0] in (grpc.StatusCode.DEADLINE_EXCEEDED,
                                      grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


# The frames' clients and gRPC's share one port, and see the same documents.
def test_one_port_for_both(daemon, channel):
    written = put(channel, b'{"by":"grpc"}')
    with osiris.Client(daemon.port) as client:
        assert client.call("KB_GET", id=written.id)["document"]["data"] == {"by": "grpc"}


# A plain HTTP request is answered in its own language, never left waiting; its body is taken first.
@pytest.mark.parametrize("request_method, size", [
    ("GET", 0), ("HEAD", 0), ("OPTIONS", 0), ("POST", 100), ("PUT", 1 << 20),
])
def test_plain_http_is_answered(daemon, request_method, size):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=osiris.WAIT_S)
    connection.request(request_method, "/osiris.v1.Knowledge/Get", body=b"x" * size,
                       headers={"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 415 and answer.getheader("connection") == "close"
    assert request_method == "HEAD" or b"gRPC" in answer.read()
    connection.close()


# A flood is named in the log, for who looks after it.
def test_log_names_what_broke_a_connection(daemon):
    with socket.create_connection(("127.0.0.1", daemon.port), osiris.WAIT_S) as peer:
        peer.sendall(http2.PREFACE + http2.frame(http2.SETTINGS) +
                     200 * http2.frame(http2.PING, payload=b"8 bytes."))
        osiris.wait_for(lambda: "closed: too_many_acks" in daemon.log(), "the flood's name")


# Instances follow one another by gRPC as by TCP, through a kill.
def test_link_by_grpc(make_daemon):
    leader = make_daemon("leader").listen_somewhere().start()
    follower = make_daemon("follower", peers=[f"grpc://127.0.0.1:{leader.port}"]).start()
    with contract.channel(leader) as channel:
        for number in range(300):
            put(channel, b"%d" % number)
        osiris.wait_until_equal(leader, follower)
        follower.kill()
        for number in range(300):
            put(channel, b"%d" % number)
        follower.start()
        osiris.wait_until_equal(leader, follower)
        assert follower.count() == 600
        leader.kill()
        leader.start()
        follower.put("from the follower")
        osiris.wait_until_equal(leader, follower)
    assert leader.count() == 601
    assert leader.stop() == 0 and follower.stop() == 0


# Generic clients learn the services by reflection, and balancers the health.
def test_health_and_reflection(channel):
    health = method(channel, "grpc.health.v1.Health.Check")
    for service in "", "osiris.v1.Knowledge", "osiris.v1.Values", "osiris.v1.Cluster":
        assert health(message("grpc.health.v1.HealthCheckRequest", service=service)).status == 1
    with pytest.raises(grpc.RpcError) as failure:
        health(message("grpc.health.v1.HealthCheckRequest", service="nothing"))
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND
    watch = method(channel, "grpc.health.v1.Health.Watch")(
        message("grpc.health.v1.HealthCheckRequest"))
    assert next(watch).status == 1
    watch.cancel()
    for version in "v1", "v1alpha":
        name = f"grpc.reflection.{version}.ServerReflection"
        request = message(f"grpc.reflection.{version}.ServerReflectionRequest", list_services="*")
        reply, = method(channel, f"{name}.ServerReflectionInfo")(iter([request]))
        services = {service.name for service in reply.list_services_response.service}
        assert {"osiris.v1.Knowledge", "osiris.v1.Instance", "osiris.v1.Replication",
                "osiris.v1.Consensus", "osiris.v1.Values", "osiris.v1.Cluster"} <= services


# What a link is for its call has said: HELLO may not say otherwise.
@pytest.mark.parametrize("service, purpose", [("Replication", "FOR_LEDGER"),
                                              ("Consensus", "FOR_FEEDS")])
def test_link_for_another_purpose_is_refused(channel, service, purpose):
    hello = message("osiris.v1.Hello", protocol=1, entry_format=1, purpose=purpose)
    replies = method(channel, f"osiris.v1.{service}.Link")(
        iter([message("osiris.v1.Frame", hello=hello)]))
    error = next(replies).error
    assert contract.code_name(error.code) == "INVALID_ARGUMENT" and "purpose" in error.message
