"""Our client with servers that do, frame by frame, what a peer may do to a call."""
import socket
import struct

import pytest

import http2

TOO_MUCH_FOR_US = {"INTERNAL", "UNIMPLEMENTED"}


def check(outcome, code, messages=0, local=True, unprocessed=False):
    assert outcome[:4] == (code, local, unprocessed, messages), outcome


def check_all(found, *codes):
    assert [outcome.code for outcome in found] == list(codes), found


def test_plain_answer(scripted):
    def script(connection):
        connection.begin()
        connection.answer(connection.take_whole_call())
    outcome, = scripted(script)
    check(outcome, "OK", messages=1, local=False)


# ---- RST_STREAM ----

def at_request_headers(connection):
    return connection.take_call()


def at_whole_request(connection):
    return connection.take_whole_call()


def at_response_headers(connection):
    stream = connection.take_whole_call()
    connection.answer_headers(stream)
    return stream


def inside_prefix(connection):
    stream = at_response_headers(connection)
    connection.data(stream, http2.message(b"x" * 100)[:3])
    return stream


def inside_message(connection):
    stream = at_response_headers(connection)
    connection.data(stream, http2.message(b"x" * 100)[:50])
    return stream


def after_message(connection):
    stream = at_response_headers(connection)
    connection.data(stream, http2.message(b""))
    return stream


POINTS = [at_request_headers, at_whole_request, at_response_headers, inside_prefix,
          inside_message, after_message]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.__name__)
def test_reset_at_each_point(scripted, point):
    def script(connection):
        connection.begin()
        connection.reset(point(connection), http2.CANCEL)
    outcome, = scripted(script)
    check(outcome, "CANCELLED", messages=int(point is after_message))


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.__name__)
def test_connection_closed_at_each_point(scripted, point):
    def script(connection):
        connection.begin()
        point(connection)
        connection.socket.shutdown(socket.SHUT_RDWR)
    outcome, = scripted(script)
    check(outcome, "UNAVAILABLE", messages=int(point is after_message))


@pytest.mark.parametrize("error, code, unprocessed", [
    (http2.NO_ERROR, "INTERNAL", False), (http2.PROTOCOL_ERROR, "INTERNAL", False),
    (http2.INTERNAL_ERROR, "INTERNAL", False), (http2.FLOW_CONTROL_ERROR, "INTERNAL", False),
    (http2.FRAME_SIZE_ERROR, "INTERNAL", False), (http2.REFUSED_STREAM, "UNAVAILABLE", True),
    (http2.CANCEL, "CANCELLED", False), (http2.COMPRESSION_ERROR, "INTERNAL", False),
    (http2.ENHANCE_YOUR_CALM, "RESOURCE_EXHAUSTED", False),
    (http2.INADEQUATE_SECURITY, "PERMISSION_DENIED", False)])
def test_reset_codes(scripted, error, code, unprocessed):
    def script(connection):
        connection.begin()
        connection.reset(connection.take_whole_call(), error)
    outcome, = scripted(script)
    check(outcome, code, unprocessed=unprocessed)


# Trailers before the client has ended its direction, then RST_STREAM(NO_ERROR): the status counts.
@pytest.mark.parametrize("case", ["report_duplex", "report_upload"])
def test_early_trailers_with_reset(scripted, case):
    def script(connection):
        connection.begin()
        stream = connection.take_call()
        connection.answer_headers(stream)
        connection.answer_trailers(stream, "9", ("grpc-message", "too%20early"))
        connection.reset(stream, http2.NO_ERROR)
    outcome, = scripted(script, case)
    check(outcome, "FAILED_PRECONDITION", local=False)
    assert outcome.text == "too early"


def test_reset_while_sending(scripted):
    def script(connection):
        connection.begin()
        stream = connection.take_call()
        connection.receive_type(http2.DATA)
        connection.reset(stream, http2.ENHANCE_YOUR_CALM)
    outcome, = scripted(script, "report_upload")
    check(outcome, "RESOURCE_EXHAUSTED")


# ---- GOAWAY ----

def test_goaway_for_all_calls(scripted):
    def script(connection):
        connection.begin()
        for _ in range(3):
            connection.take_call()
        connection.goaway(0)
    for outcome in scripted(script, "report_three"):
        check(outcome, "UNAVAILABLE", unprocessed=True)


def test_goaway_after_the_first_call(scripted):
    def script(connection):
        connection.begin()
        first, _, _ = [connection.take_call() for _ in range(3)]
        connection.goaway(first)
        connection.answer(first)
    first, *others = scripted(script, "report_three")
    check(first, "OK", messages=1, local=False)
    for outcome in others:
        check(outcome, "UNAVAILABLE", unprocessed=True)


# The first GOAWAY of a graceful end allows what is under way, and nothing new.
def test_goaway_in_two_steps(scripted):
    def script(connection):
        connection.begin()
        streams = [connection.take_whole_call() for _ in range(3)]
        connection.goaway(http2.STREAM_ID_MAX)
        connection.ping()
        connection.goaway(streams[-1])
        for stream in streams:
            connection.answer(stream)
    for outcome in scripted(script, "report_three"):
        check(outcome, "OK", messages=1, local=False)


def test_no_call_after_goaway(scripted):
    def script(connection):
        connection.begin()
        stream = connection.take_whole_call()
        connection.goaway(stream)
        connection.answer(stream)
    first, second, third = scripted(script, "report_one_by_one")
    check(first, "OK", messages=1, local=False)
    check(second, "UNAVAILABLE", unprocessed=True)
    check(third, "UNAVAILABLE", unprocessed=True)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.__name__)
def test_goaway_with_an_error_at_each_point(scripted, point):
    def script(connection):
        connection.begin()
        connection.goaway(point(connection), http2.ENHANCE_YOUR_CALM, b"too_many_pings")
        connection.socket.shutdown(socket.SHUT_RDWR)
    outcome, = scripted(script)
    check(outcome, "UNAVAILABLE", messages=int(point is after_message))


# ---- connections ----

@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.__name__)
def test_ping_at_each_point(scripted, point):
    def script(connection):
        connection.begin()
        connection.ping(b"at first")
        stream = point(connection)
        connection.ping(b"in a call"[:8])
        connection.reset(stream, http2.CANCEL)
    outcome, = scripted(script)
    check(outcome, "CANCELLED", messages=int(point is after_message))


def test_connection_closed_at_once(scripted):
    outcome, = scripted(lambda connection: connection.socket.shutdown(socket.SHUT_RDWR))
    assert outcome.code == "UNAVAILABLE" and outcome.local


def test_server_of_http_1(scripted):
    def script(connection):
        connection.socket.recv(1 << 16)
        connection.socket.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    outcome, = scripted(script)
    assert outcome.code == "UNAVAILABLE" and outcome.local


def test_one_call_at_a_time(scripted):
    def script(connection):
        connection.begin(streams_max=1)
        for _ in range(3):
            stream = connection.take_whole_call()
            connection.ping()
            begun = [frame for frame in connection.seen if frame.type == http2.HEADERS]
            assert begun[-1].stream == stream  # no other began meanwhile
            connection.answer(stream)
    check_all(scripted(script, "report_one_by_one"), "OK", "OK", "OK")


# A call's connection on which PINGs are answered is kept, another is given up.
@pytest.mark.parametrize("answers", [True, False])
def test_keepalive(scripted, answers):
    def script(connection):
        connection.answers_pings = answers
        try:
            connection.begin()
            stream = connection.take_whole_call()
        except EOFError:  # the client opens a second connection, with the keepalive of this test
            return
        for _ in range(3 if answers else 1):
            connection.receive_type(http2.PING)
        if answers:
            connection.answer(stream)
    outcome, = scripted(script, "report_keepalive")
    if answers:
        check(outcome, "OK", messages=1, local=False)
    else:
        check(outcome, "UNAVAILABLE")


# The client's deadline passes: the server is told by RST_STREAM(CANCEL).
def test_deadline_of_a_silent_server(scripted):
    resets = []

    def script(connection):
        connection.begin()
        stream = connection.take_call()
        resets.append(connection.receive_type(http2.RST_STREAM, stream))
    outcome, = scripted(script, "report_timeout")
    check(outcome, "DEADLINE_EXCEEDED")
    assert resets[0].payload == struct.pack(">I", http2.CANCEL)


# ---- answers ----

def answer_with(*fields, flags=http2.END_HEADERS | http2.END_STREAM):
    def script(connection):
        connection.begin()
        connection.headers(connection.take_whole_call(), list(fields), flags)
    return script


def test_trailers_only(scripted):
    outcome, = scripted(answer_with(
        (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5"),
        ("grpc-message", "no %E2%98%BA")))
    check(outcome, "NOT_FOUND", local=False)
    assert outcome.text == "no \u263a"


@pytest.mark.parametrize("status, code", [
    ("400", "INTERNAL"), ("401", "UNAUTHENTICATED"), ("403", "PERMISSION_DENIED"),
    ("404", "UNIMPLEMENTED"), ("429", "UNAVAILABLE"), ("502", "UNAVAILABLE"),
    ("503", "UNAVAILABLE"), ("504", "UNAVAILABLE"), ("418", "UNKNOWN")])
def test_http_status(scripted, status, code):
    outcome, = scripted(answer_with((":status", status), ("content-type", "text/html")))
    check(outcome, code)


@pytest.mark.parametrize("fields", [
    [(":status", "200"), ("content-type", "text/html")],
    [(":status", "200"), ("content-type", "application/grpc")],
    [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "many")]])
def test_answer_without_a_status(scripted, fields):
    outcome, = scripted(answer_with(*fields))
    assert outcome.code == "UNKNOWN"


def test_end_without_trailers(scripted):
    def script(connection):
        connection.begin()
        stream = connection.take_whole_call()
        connection.answer_headers(stream)
        connection.data(stream, http2.message(b""), http2.END_STREAM)
    outcome, = scripted(script)
    assert outcome.code in ("UNKNOWN", "INTERNAL") and outcome.local


def test_trailers_inside_a_message(scripted):
    def script(connection):
        connection.begin()
        connection.answer_trailers(inside_message(connection))
    outcome, = scripted(script)
    check(outcome, "INTERNAL")


@pytest.mark.parametrize("encoding", [[], [("grpc-encoding", "zebra")]])
def test_compressed_in_no_way_we_know(scripted, encoding):
    def script(connection):
        connection.begin()
        stream = connection.take_whole_call()
        connection.answer_headers(stream, *encoding)
        connection.data(stream, b"\x01" + http2.message(b"zzzz")[1:])
        connection.answer_trailers(stream)
    outcome, = scripted(script)
    assert outcome.code in TOO_MUCH_FOR_US and outcome.messages == 0


# Whatever frames an answer comes in: one byte each, padded, in CONTINUATION, with unknown ones.
def test_answer_in_odd_frames(scripted):
    def script(connection):
        connection.begin()
        stream = connection.take_whole_call()
        block = http2.header_block([(":status", "200"), ("content-type", "application/grpc")])
        connection.send(http2.HEADERS, 0, stream, block[:5])
        connection.send(http2.CONTINUATION, http2.END_HEADERS, stream, block[5:])
        connection.send(0xfa, 0, stream, b"unknown")
        for byte in http2.message(b"\x0a\x00"):
            connection.data(stream, b"\x02" + bytes([byte]) + b"\0\0", http2.PADDED)
        connection.send(http2.PRIORITY, 0, stream, struct.pack(">IB", 0, 15))
        connection.answer_trailers(stream)
    outcome, = scripted(script)
    check(outcome, "OK", messages=1, local=False)


# A window of a few bytes: never more comes than was allowed, and all of it in the end.
def test_small_window(scripted):
    window = 10

    def script(connection):
        connection.begin(window=window)
        connection.answer(connection.take_whole_call())  # the window is known after it
        for _ in range(2):
            stream = connection.take_call()
            received, end = 0, False
            while not end:
                frame = connection.receive_type(http2.DATA, stream)
                assert len(frame.payload) <= window
                received += len(frame.payload)
                end = frame.flags & http2.END_STREAM
                if frame.payload and not end:
                    connection.window_update(stream, len(frame.payload))
            assert received > 10 * window
            connection.answer(stream)
    check_all(scripted(script, "report_one_by_one"), "OK", "OK", "OK")


# ---- servers that break rules ----

def word(number):
    return struct.pack(">I", number)


GRPC = [(":status", "200"), ("content-type", "application/grpc")]
# What the server does with a stream that waits for its answer: frames of (type, flags, 0 or that
# stream or another, payload), and the error that RFC 9113 names for it.
CONNECTION_ERRORS = {
    "data on an idle stream": (http2.DATA, 0, 99, b"", http2.PROTOCOL_ERROR),
    "data before headers": (http2.DATA, 0, 1, b"\0", http2.PROTOCOL_ERROR),
    "data on no stream": (http2.DATA, 0, 0, b"", http2.PROTOCOL_ERROR),
    "reset of an idle stream": (http2.RST_STREAM, 0, 99, word(8), http2.PROTOCOL_ERROR),
    "reset of a wrong size": (http2.RST_STREAM, 0, 1, b"\0", http2.FRAME_SIZE_ERROR),
    "push that nobody allowed": (http2.PUSH_PROMISE, http2.END_HEADERS, 1,
                                 word(2) + http2.header_block(GRPC), http2.PROTOCOL_ERROR),
    "settings of a wrong size": (http2.SETTINGS, 0, 0, b"12345", http2.FRAME_SIZE_ERROR),
    "settings on a stream": (http2.SETTINGS, 0, 1, b"", http2.PROTOCOL_ERROR),
    "a window beyond all bounds": (http2.SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31),
                                   http2.FLOW_CONTROL_ERROR),
    "ping of a wrong size": (http2.PING, 0, 0, b"7 bytes", http2.FRAME_SIZE_ERROR),
    "an update of nothing": (http2.WINDOW_UPDATE, 0, 0, word(0), http2.PROTOCOL_ERROR),
    "an update over the window's end": (http2.WINDOW_UPDATE, 0, 0, word(2**31 - 1),
                                        http2.FLOW_CONTROL_ERROR),
    "a frame that is too large": (http2.DATA, 0, 1, bytes((1 << 14) + 1),
                                  http2.FRAME_SIZE_ERROR),
    "padding longer than its frame": (http2.DATA, http2.PADDED, 1, b"\x09abc",
                                      http2.PROTOCOL_ERROR),
    "a broken header block": (http2.HEADERS, http2.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff",
                              http2.COMPRESSION_ERROR),
    "a lone continuation": (http2.CONTINUATION, http2.END_HEADERS, 1, b"", http2.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", CONNECTION_ERRORS)
def test_server_that_breaks_the_connection(scripted, name):
    type, flags, stream, payload, error = CONNECTION_ERRORS[name]
    goaways = []

    def script(connection):
        connection.begin()
        assert connection.take_whole_call() == 1
        connection.send(type, flags, stream, payload)
        goaways.append(connection.receive_type(http2.GOAWAY))
    outcome, = scripted(script)
    assert outcome.code in ("UNAVAILABLE", "INTERNAL") and outcome.local, outcome
    assert goaways[0].payload[4:8] == word(error)


STREAM_ERRORS = {
    "an upper-case name": (http2.HEADERS, http2.END_HEADERS,
                           http2.header_block([*GRPC, ("X-Upper", "1")]), http2.PROTOCOL_ERROR),
    "no status": (http2.HEADERS, http2.END_HEADERS,
                  http2.header_block([("content-type", "application/grpc")]),
                  http2.PROTOCOL_ERROR),
    "a connection's header": (http2.HEADERS, http2.END_HEADERS,
                              http2.header_block([*GRPC, ("connection", "close")]),
                              http2.PROTOCOL_ERROR),
    "a request's pseudo-header": (http2.HEADERS, http2.END_HEADERS,
                                  http2.header_block([(":path", "/"), *GRPC]),
                                  http2.PROTOCOL_ERROR),
    "an update over the window's end": (http2.WINDOW_UPDATE, 0, word(2**31 - 1),
                                        http2.FLOW_CONTROL_ERROR),
}


@pytest.mark.parametrize("name", STREAM_ERRORS)
def test_server_that_breaks_a_stream(scripted, name):
    type, flags, payload, error = STREAM_ERRORS[name]
    resets = []

    def script(connection):
        connection.begin()
        stream = connection.take_whole_call()
        connection.send(type, flags, stream, payload)
        resets.append(connection.receive_type(http2.RST_STREAM, stream))
        connection.answer(connection.take_whole_call())  # other calls do not suffer
        connection.answer(connection.take_whole_call())
    first, second, third = scripted(script, "report_one_by_one")
    check(first, "INTERNAL")
    check_all([second, third], "OK", "OK")
    assert resets[0].payload == word(error)
