"""Clients of others with our server, our client with servers of others: the cases of gRPC's published
interoperability descriptions that need none of Google's services, and some that they leave out."""
import re
import tempfile

import pytest

import http2

PUBLISHED = [
    "empty_unary", "large_unary", "client_compressed_unary", "server_compressed_unary",
    "client_streaming", "client_compressed_streaming", "server_streaming",
    "server_compressed_streaming", "ping_pong", "empty_stream", "custom_metadata",
    "status_code_and_message", "special_status_message", "unimplemented_method",
    "unimplemented_service", "cancel_after_begin", "cancel_after_first_response",
    "timeout_on_sleeping_server",
]
LIMITS = ["oversize_request", "oversize_response", "gzip_both_ways", "slow_reader"]
OTHERS_ONLY = ["ten_megabytes", "deadline_after_first_response"]
OTHERS = ["python", "go", "node"]
OTHER_SERVERS = ["python", "go"]

# What our server must have noticed of a call that its client gave up. (Node's HTTP/2 ends its
# direction in good order before it resets a stream.)
NOTICED = {
    "cancel_after_first_response": "FullDuplexCall: CANCELLED local",
    "deadline_after_first_response": r"FullDuplexCall: (DEADLINE_EXCEEDED|CANCELLED) local",
}

# grpc-go's server compresses what it sends just as the client did.
GO_SERVER_CANNOT = {"server_compressed_unary", "server_compressed_streaming"}


@pytest.mark.parametrize("case", PUBLISHED + LIMITS + OTHERS_ONLY)
@pytest.mark.parametrize("client", OTHERS)
def test_client_of_others(server, run_case, client, case):
    run_case(client, case, server)
    server.stop()
    if client != "node":
        assert re.search(NOTICED.get(case, ""), server.log())


@pytest.mark.parametrize("case", PUBLISHED + LIMITS)
def test_our_client_with_our_server(server, run_case, case):
    run_case("osiris", case, server)


@pytest.mark.parametrize("case", PUBLISHED + LIMITS + ["keepalive"])
@pytest.mark.parametrize("other", OTHER_SERVERS)
def test_server_of_others(make_other_server, run_case, other, case):
    if other == "go" and case in GO_SERVER_CANNOT:
        pytest.skip("grpc-go's server compresses all answers of a call or none")
    run_case("osiris", case, make_other_server(other))


@pytest.mark.parametrize("client", OTHERS + ["osiris"])
def test_unix_socket(make_server, run_case, client):
    with tempfile.TemporaryDirectory(prefix="osr-") as folder:  # short: a path has 107 bytes
        run_case(client, "large_unary", make_server(f"unix://{folder}/socket"))


# Connections end after every few calls: each call is answered exactly once.
@pytest.mark.parametrize("client", OTHERS)
def test_goaway_under_load(make_server, run_case, client):
    server = make_server(drain_every=10)
    run_case(client, "goaway_under_load", server)
    server.stop()
    assert server.log().count("UnaryCall: OK") == 200


@pytest.mark.parametrize("other", OTHER_SERVERS)
def test_goaway_of_others_under_load(make_other_server, run_case, other):
    run_case("osiris", "goaway_under_load", make_other_server(other, connection_age_ms=150))


def test_our_goaway_with_our_client(make_server, run_case):
    run_case("osiris", "goaway_under_load", make_server(drain_every=10))


# Our PINGs are answered or the connection ends in good order; theirs are answered.
@pytest.mark.parametrize("client", OTHERS + ["osiris"])
def test_keepalive(make_server, run_case, client):
    run_case(client, "keepalive", make_server(keepalive_ms=300))


@pytest.mark.parametrize("other", OTHER_SERVERS)
def test_max_streams_one(make_other_server, run_case, other):
    run_case("osiris", "max_streams_one", make_other_server(other, streams_max=1))


# ---- our server with a client that no library would be ----

# A deadline is the server's business too: it ends a call whose client has fallen silent.
def test_server_keeps_the_deadline(server):
    client = http2.dial(server.url)
    client.begin()
    client.call(1, "/grpc.testing.TestService/FullDuplexCall", ("grpc-timeout", "200m"))
    end = client.receive_until(lambda frame: frame.stream == 1 and (
        frame.type == http2.RST_STREAM or frame.flags & http2.END_STREAM))
    assert end.type in (http2.HEADERS, http2.RST_STREAM)
    client.socket.close()
    server.stop()
    assert "FullDuplexCall: DEADLINE_EXCEEDED local" in server.log()


# A client that never reads costs the server one message and a window, not all that it asked for.
def test_reader_that_never_reads_costs_little(server):
    size, count = 1 << 20, 100
    client = http2.dial(server.url)
    client.begin()
    parameters = b"\x08" + b"\x80\x80\x40"  # ResponseParameters.size
    request = b"".join(b"\x12" + bytes([len(parameters)]) + parameters for _ in range(count))
    before = server.memory()
    for stream in range(1, 11, 2):
        client.call(stream, "/grpc.testing.TestService/StreamingOutputCall")
        client.data(stream, http2.message(request), http2.END_STREAM)
    client.receive_type(http2.DATA)
    client.ping()  # all of the requests are taken
    grown = server.memory() - before
    client.socket.close()
    assert grown < 5 * 8 * size


# SIGTERM: calls under way end well, new ones go elsewhere, the connection is closed after GOAWAY.
def test_server_drains_when_it_is_to_end(server):
    client = http2.dial(server.url)
    client.begin()
    client.call(1, "/grpc.testing.TestService/StreamingInputCall")
    client.ping()
    server.ask_to_end()
    client.receive_type(http2.GOAWAY)
    client.data(1, http2.message(b""), http2.END_STREAM)
    end = client.receive_until(lambda frame: frame.stream == 1 and frame.flags & http2.END_STREAM)
    assert end.type == http2.HEADERS
    client.read_to_end()
    client.socket.close()
    assert server.stop() == 0
    assert "StreamingInputCall: OK" in server.log()
