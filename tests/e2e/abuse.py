"""What a hostile peer can do to gRPC's port, with real bytes. Each attack is a function that
carries it out once against a daemon and checks the answer that the specification names;
test_grpc_abuse.py runs each once, `tools/soak grpc-abuse` each for some seconds (see main)."""
import collections
import contextlib
import os
import pathlib
import resource
import select
import socket
import struct
import sys
import tempfile
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import contract  # noqa: E402
import good_client  # noqa: E402
import http2  # noqa: E402
import osiris  # noqa: E402

KNOWLEDGE = "/osiris.v1.Knowledge/"
GET, PUT, IMPORT, EXPORT = (KNOWLEDGE + name for name in ("Get", "Put", "Import", "Export"))
WATCH_HEALTH = "/grpc.health.v1.Health/Watch"
CALL = http2.call_fields(GET)
OK, INVALID_ARGUMENT, NOT_FOUND = "0", "3", "5"
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = "8", "12", "13", "14"

# Limits of the daemon (wire/grpc.h, model/limits.h, node/session.h).
RESETS_BURST = 1000
EMPTY_FRAMES_BURST = 10000
HEADERS_SOFT_BYTES, HEADERS_HARD_BYTES = 16 << 10, 64 << 10
MESSAGE_BYTES_MAX = 8 << 20
CALLS_MAX = 1024
CONNECTIONS_MAX = 4096
PREFACE_S = 10
MEMORY_MAX = 128 << 20  # resident, of a daemon built for release

ATTACKS = {}
DONE_ONCE = set()  # also by the soak: they fill the disk


def attack(name, once=False):
    def register(function):
        ATTACKS[name] = function
        if once:
            DONE_ONCE.add(name)
        return function
    return register


class Attacker(http2.ClientConnection):
    """Keeps to the rules of flow control, so that what it does wrong is what the attack means."""

    def __init__(self, daemon, receive_buffer=0, **settings):
        peer = socket.socket()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.settimeout(http2.WAIT_S)
        peer.connect(("127.0.0.1", daemon.port))
        super().__init__(peer)
        self.first_window = 65535
        self.given = collections.Counter()  # by WINDOW_UPDATE, less what was sent
        self.ended = set()  # streams that the daemon has answered or reset
        self.begin(table=0, **settings)
        self.receive_type(http2.SETTINGS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        got = super().receive()
        if got.type == http2.SETTINGS:
            settings = dict(struct.iter_unpack(">HI", got.payload))
            self.first_window = settings.get(http2.INITIAL_WINDOW_SIZE, self.first_window)
        elif got.type == http2.WINDOW_UPDATE:
            self.given[got.stream] += int.from_bytes(got.payload, "big")
        elif got.type == http2.RST_STREAM or got.flags & http2.END_STREAM:
            self.ended.add(got.stream)
        return got

    def send_bytes(self, data):
        self.socket.sendall(data)

    def ask(self, path, body=b"", *more, stream=1):
        """A call with these bytes as its DATA."""
        self.call(stream, path, *more)
        self.send_data(stream, body)

    def send_data(self, stream, body, flags=http2.END_STREAM):
        """As far as the stream's window is opened and the call not ended. Returns what is left."""
        body = memoryview(body)
        while stream not in self.ended:
            room = min(self.given[0] + 65535, self.given[stream] + self.first_window,
                       http2.FRAME_BYTES_MAX)
            piece, rest = body[:room], body[room:]
            if not piece and body:
                try:
                    self.passed_over.append(self.receive())
                except TimeoutError:
                    break
                continue
            self.given[0] -= len(piece)
            self.given[stream] -= len(piece)
            self.data(stream, bytes(piece), 0 if rest else flags)
            body = rest
            if not body:
                break
        return len(body)

    def answer(self, stream=1):
        """The fields of all HEADERS of a stream until its end; "reset" among them: RST_STREAM."""
        fields = {}
        while True:
            got = self.receive_until(lambda got: got.stream == stream)
            if got.type == http2.HEADERS:
                fields |= http2.read_block(got.payload)
            if got.type == http2.RST_STREAM:
                return fields | {"reset": int.from_bytes(got.payload, "big")}
            if got.type in (http2.HEADERS, http2.DATA) and got.flags & http2.END_STREAM:
                return fields

    def goaway(self):
        """Waits for the connection's end, and returns its error code and its words."""
        self.read_to_end()
        for got in self.seen:
            if got.type == http2.GOAWAY:
                return int.from_bytes(got.payload[4:8], "big"), got.payload[8:].decode()
        raise AssertionError("closed without GOAWAY")

    def has_ended(self):
        """Takes what has come, without waiting, and tells whether GOAWAY was among it."""
        while select.select([self.socket], [], [], 0)[0]:
            try:
                if self.receive().type == http2.GOAWAY:
                    return True
            except (EOFError, ConnectionError):
                return True
        return False


# ---- floods ----

STEPS_A_WRITE = 100
STEPS_MAX = 1000 * 1000  # a flood must have ended long before, whatever lies in sockets


def flood(daemon, step, before=b""):
    """Sends step(0), step(1) ... until the daemon has enough. Returns how many those were, its
    GOAWAY, and the errors with which it reset streams."""
    with Attacker(daemon) as attacker:
        attacker.send_bytes(before)
        steps = 0
        with contextlib.suppress(ConnectionError):
            while steps < STEPS_MAX and not attacker.has_ended():
                attacker.send_bytes(b"".join(map(step, range(steps, steps + STEPS_A_WRITE))))
                steps += STEPS_A_WRITE
        assert steps < STEPS_MAX, "nobody stopped it"
        error = attacker.goaway()
        resets = {int.from_bytes(got.payload, "big") for got in attacker.seen
                  if got.type == http2.RST_STREAM}
    return steps, error, resets


def calmed(words):
    return http2.ENHANCE_YOUR_CALM, words


def stream_of(step):
    return 2 * step + 1


def open_call(stream, fields=CALL, flags=0):
    return http2.header_frames(stream, http2.header_block(fields), flags)


def made_to_reset(daemon, step, error):
    """MadeYouReset: each step breaks a rule, whose answer is RST_STREAM with this error. Where more
    come at once than may be open, before any is reset, it ends with that (RFC 9113, 5.1.2)."""
    steps, goaway, resets = flood(daemon, step)
    too_many = http2.PROTOCOL_ERROR, "request HEADERS: max concurrent streams exceeded"
    assert goaway in (calmed("too_many_resets"), too_many) and resets <= {error}, (goaway, resets)
    assert steps >= RESETS_BURST


@attack("rapid reset")
def rapid_reset(daemon):
    steps, goaway, _ = flood(daemon, lambda step: open_call(stream_of(step)) +
                             http2.reset_frame(stream_of(step)))
    assert goaway == calmed("too_many_resets") and steps >= RESETS_BURST


@attack("MadeYouReset: window overflow")
def window_overflow(daemon):
    made_to_reset(daemon, lambda step: open_call(stream_of(step)) +
                  http2.window_update_frame(stream_of(step), http2.WINDOW_MAX),
                  http2.FLOW_CONTROL_ERROR)


@attack("MadeYouReset: zero increment")
def zero_increment(daemon):
    """RFC 9113, 6.9 names a stream error; any stream error may be made the connection's (5.4.2)."""
    with Attacker(daemon) as attacker:
        attacker.send_bytes(open_call(1) + http2.window_update_frame(1, 0))
        assert attacker.goaway()[0] == http2.PROTOCOL_ERROR


@attack("MadeYouReset: content-length")
def content_length(daemon):
    fields = [*CALL, ("content-length", "1")]
    made_to_reset(daemon, lambda step: open_call(stream_of(step), fields) +
                  http2.frame(http2.DATA, http2.END_STREAM, stream_of(step), http2.message(b"")),
                  http2.PROTOCOL_ERROR)


@attack("MadeYouReset: upper case")
def upper_case(daemon):
    made_to_reset(daemon, lambda step: open_call(stream_of(step), [*CALL, ("X-Upper", "x")]),
                  http2.PROTOCOL_ERROR)


@attack("MadeYouReset: connection header")
def connection_header(daemon):
    made_to_reset(daemon, lambda step: open_call(stream_of(step), [*CALL, ("connection", "close")]),
                  http2.PROTOCOL_ERROR)


@attack("CONTINUATION flood")
def continuation_flood(daemon):
    piece = http2.frame(http2.CONTINUATION, 0, 1, http2.header_block([("x", "y")]))
    _, goaway, _ = flood(daemon, lambda step: piece,
                         http2.frame(http2.HEADERS, 0, 1, http2.header_block(CALL)))
    assert goaway == calmed("too_many_continuations")


@attack("PING flood")
def ping_flood(daemon):
    _, goaway, _ = flood(daemon, lambda step: http2.frame(http2.PING, 0, 0, bytes(8)))
    assert goaway in (calmed("too_many_pings"), calmed("too_many_acks"))


@attack("SETTINGS flood")
def settings_flood(daemon):
    _, goaway, _ = flood(daemon, lambda step: http2.frame(http2.SETTINGS))
    assert goaway in (calmed("too_many_acks"), calmed("too_many_empty_frames"))


def empty_frames(daemon, frame, before=b""):
    steps, goaway, _ = flood(daemon, lambda step: frame, before)
    assert goaway == calmed("too_many_empty_frames")
    assert EMPTY_FRAMES_BURST - 100 <= steps


@attack("empty DATA flood")
def empty_data(daemon):
    empty_frames(daemon, http2.frame(http2.DATA, 0, 1), open_call(1))


@attack("PRIORITY flood")
def priority_flood(daemon):
    empty_frames(daemon, http2.frame(http2.PRIORITY, 0, 3, struct.pack(">IB", 0, 16)))


@attack("WINDOW_UPDATE flood")
def window_update_flood(daemon):
    empty_frames(daemon, http2.window_update_frame(0, 1))


# ---- headers ----

def many_fields(size):
    return [(f"x-{number}", "y" * 1000) for number in range(size // 1000)]


@attack("headers over the soft limit")
def long_headers(daemon):
    with Attacker(daemon) as attacker:
        block = http2.header_block([*CALL, *many_fields(HEADERS_SOFT_BYTES + 4000)])
        attacker.send_bytes(http2.header_frames(1, block, http2.END_STREAM))
        assert attacker.answer()["grpc-status"] == RESOURCE_EXHAUSTED


@attack("headers over the hard limit")
def too_long_headers(daemon):
    with Attacker(daemon) as attacker:
        block = http2.header_block([*CALL, *many_fields(HEADERS_HARD_BYTES + 4000)])
        attacker.send_bytes(http2.header_frames(1, block, http2.END_STREAM))
        assert attacker.answer()["reset"] == http2.ENHANCE_YOUR_CALM
        attacker.ping()


@attack("HPACK bomb")
def hpack_bomb(daemon):
    """One field of 4,000 bytes put into the table, then named 16,000 times with a byte each."""
    first_dynamic = b"\xbe"  # index 62
    indexed = b"\x40" + http2.hpack_text("x") + http2.hpack_text("y" * 4000)
    with Attacker(daemon) as attacker:
        for stream in range(1, 21, 2):
            block = http2.header_block(CALL) + indexed + first_dynamic * 16000
            attacker.send_bytes(http2.header_frames(stream, block, http2.END_STREAM))
            assert attacker.answer(stream)["reset"] == http2.ENHANCE_YOUR_CALM
        attacker.ping()


# ---- requests that are none ----

def status_of(daemon, path, body, *more):
    with Attacker(daemon) as attacker:
        attacker.ask(path, body, *more)
        return attacker.answer().get("grpc-status")


def http_status_of(daemon, fields):
    with Attacker(daemon) as attacker:
        attacker.headers(1, fields, http2.END_HEADERS | http2.END_STREAM)
        return attacker.answer()[":status"]


@attack("wrong content-type")
def wrong_content_type(daemon):
    for kind in "application/json", "application/grpcx", "text/plain":
        assert http_status_of(daemon, [*CALL[:4], ("content-type", kind)]) == "415"
    assert http_status_of(daemon, CALL[:4]) == "415"


@attack("wrong method")
def wrong_method(daemon):
    for name in "GET", "PUT", "OPTIONS":
        assert http_status_of(daemon, [(":method", name), *CALL[1:]]) == "405"


@attack("unknown method")
def unknown_method(daemon):
    for path in "/osiris.v1.Knowledge/Nothing", "/nothing.Here/Get", "/", "/a/b/c", \
            "/" + "x" * 5000:
        assert status_of(daemon, path, http2.message(b"")) == UNIMPLEMENTED, path


@attack("broken length prefix")
def broken_prefix(daemon):
    assert status_of(daemon, GET, http2.message(b"", flag=7)) == INTERNAL
    assert status_of(daemon, GET, b"\0\xff\xff\xff\xff") == RESOURCE_EXHAUSTED
    assert status_of(daemon, GET, b"\0\0\0\0\x10abc") == INTERNAL
    assert status_of(daemon, GET, b"\0\0") == INTERNAL
    assert status_of(daemon, GET, b"") == INTERNAL
    assert status_of(daemon, GET, 2 * http2.message(b"")) in (INTERNAL, INVALID_ARGUMENT)


@attack("malformed timeout")
def malformed_timeout(daemon):
    for value in "", "1", "S", "-1S", "1x", "123456789S", "1 S", "0x1S":
        status = status_of(daemon, GET, http2.message(b""), ("grpc-timeout", value))
        assert status == INTERNAL, value


@attack("malformed metadata")
def malformed_metadata(daemon):
    assert status_of(daemon, GET, http2.message(b""), ("x-bin", "!!!")) == INTERNAL


# ---- messages ----

def gzipped(data):
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(data) + packer.flush()


GZIP_BOMB = gzipped(bytes(100 << 20))
GZIP = ("grpc-encoding", "gzip")


@attack("oversize message")
def oversize(daemon):
    with Attacker(daemon) as attacker:
        attacker.call(1, PUT)
        attacker.data(1, struct.pack(">BI", 0, MESSAGE_BYTES_MAX + 1))
        assert attacker.answer()["grpc-status"] == RESOURCE_EXHAUSTED
        attacker.ping()


@attack("gzip bomb")
def gzip_bomb(daemon):
    assert status_of(daemon, PUT, http2.message(GZIP_BOMB, 1), GZIP) == RESOURCE_EXHAUSTED


@attack("broken gzip")
def broken_gzip(daemon):
    packed = gzipped(b"x" * 1000)
    for data in b"no gzip", packed[:-4], packed + b"more", packed[:-8] + bytes(8):
        assert status_of(daemon, PUT, http2.message(data, 1), GZIP) == INTERNAL, data


@attack("compressed without encoding")
def compressed_without_encoding(daemon):
    assert status_of(daemon, PUT, http2.message(gzipped(b""), 1)) == INTERNAL


@attack("unknown encoding")
def unknown_encoding(daemon):
    with Attacker(daemon) as attacker:
        attacker.ask(PUT, http2.message(b"", 1), ("grpc-encoding", "snappy"))
        fields = attacker.answer()
        assert fields["grpc-status"] == UNIMPLEMENTED
        assert "gzip" in fields["grpc-accept-encoding"]


def field(number, body):
    """A protobuf field with a length."""
    size, data = len(body), [number << 3 | 2]
    while size >= 128:
        data.append(size & 127 | 128)
        size >>= 7
    return bytes([*data, size]) + body


@attack("protobuf: depth")
def protobuf_depth(daemon):
    """Groups within groups, which only a reader of unknown fields would follow."""
    assert status_of(daemon, PUT, http2.message(b"\x7b" * 30000)) == INVALID_ARGUMENT
    deep = b""
    for _ in range(1000):
        deep = field(1, deep)
    assert status_of(daemon, PUT, http2.message(deep)) == INVALID_ARGUMENT


@attack("protobuf: empty submessages")
def protobuf_empty_submessages(daemon):
    """4 million documents of two bytes, and as many versions in one document."""
    many = 1 << 21
    assert status_of(daemon, IMPORT, http2.message(b"\x0a\0" * many)) == RESOURCE_EXHAUSTED
    document = field(1, b"\x4a\0" * many)
    assert status_of(daemon, PUT, http2.message(document)) == RESOURCE_EXHAUSTED


@attack("protobuf: repeated singular")
def protobuf_repeated_singular(daemon):
    """A reader that merges them copies the list of versions each time."""
    body = b"\x0a\x02\x4a\0" * 50000
    assert status_of(daemon, PUT, http2.message(body)) == INVALID_ARGUMENT


@attack("protobuf: broken")
def protobuf_broken(daemon):
    for body in b"\xff" * 20, b"\x0a\x7f", b"\0", b"\x0a\x01\xff", b"\x0a\x02\xc0\xaf", b"\x0a\1\0":
        assert status_of(daemon, GET, http2.message(body)) == INVALID_ARGUMENT, body


# ---- memory and connections ----

LARGE_BYTES = 900 << 10  # nearly as large as a document may be


def put_request(id="", size=LARGE_BYTES, **fields):
    data = contract.message("osiris.v1.Json", text=b'"' + b"x" * size + b'"')
    document = contract.message("osiris.v1.Document", data=data, id=id)
    return contract.message("osiris.v1.PutRequest", document=document,
                            **fields).SerializeToString()


def write_documents(daemon, name, count, size):
    for number in range(count):
        body = put_request(f"{name} {number}", size)
        assert status_of(daemon, PUT, http2.message(body)) == OK


def is_refused(fields):
    """Before anybody has looked at the call, so that it may be repeated, or after."""
    return (fields.get("reset") == http2.REFUSED_STREAM or
            fields.get("grpc-status") == RESOURCE_EXHAUSTED)


@attack("messages that never end")
def endless_messages(daemon):
    """8 MiB are announced, and all but the last byte sent, in 10 calls on each of 10 connections:
    800 MB to keep. Beyond what the daemon keeps for all, calls are refused."""
    body = struct.pack(">BI", 0, MESSAGE_BYTES_MAX) + bytes(MESSAGE_BYTES_MAX - 1)
    refused = 0
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            attacker = stack.enter_context(Attacker(daemon))
            for stream in range(1, 21, 2):
                attacker.call(stream, PUT)
                attacker.send_data(stream, body, flags=0)
            attacker.ping()
            refused += sum(is_refused(attacker.answer(stream)) for stream in attacker.ended - {0})
    assert refused > 80


@attack("queries that are cancelled")
def cancelled_queries(daemon):
    """As many as one connection may have under way, none of which may send; a call behind them is
    answered once they are cancelled."""
    write_documents(daemon, "a few", 5, 100 << 10)
    with Attacker(daemon, window=0) as attacker:
        for stream in range(1, 129, 2):
            attacker.ask(EXPORT, http2.message(b""), stream=stream)
        attacker.receive_type(http2.HEADERS)
        attacker.ask(GET, http2.message(field(1, b"nobody")), stream=201)
        for stream in range(1, 129, 2):
            attacker.reset(stream)
        assert attacker.answer(201)["grpc-status"] == NOT_FOUND


@attack("writes that wait", once=True)
def waiting_writes(daemon):
    """Each wants a follower's acknowledgement, which never comes, for an hour. Those that there is
    no room for are refused; others are answered meanwhile."""
    body = http2.message(put_request(acks=1, timeout_ms=3600000))
    with Attacker(daemon) as attacker:
        for stream in range(1, 401, 2):
            attacker.call(stream, PUT)
            attacker.send_data(stream, body)
        assert status_of(daemon, GET, http2.message(field(1, b"nobody"))) == NOT_FOUND
        for stream in attacker.ended - {0}:
            assert attacker.answer(stream)["grpc-status"] in (RESOURCE_EXHAUSTED, UNAVAILABLE)


def open_windows(daemon, **options):
    attacker = Attacker(daemon, window=http2.WINDOW_MAX, **options)
    attacker.window_update(0, http2.WINDOW_MAX - 65535)
    return attacker


def assert_exports(daemon):
    """Somebody who reads gets everything."""
    with open_windows(daemon) as reader:
        reader.ask(EXPORT, http2.message(b""))
        assert reader.answer()["grpc-status"] == OK


@attack("reader that never reads")
def never_reads(daemon):
    """The windows are open as far as they go, and nothing is taken from the socket."""
    write_documents(daemon, "large", 20, LARGE_BYTES)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            attacker = stack.enter_context(open_windows(daemon, receive_buffer=4096))
            with contextlib.suppress(ConnectionError):  # others may wait for its memory already
                for stream in range(1, 129, 2):
                    attacker.ask(EXPORT, http2.message(b""), stream=stream)
        assert_exports(daemon)


def leave_untaken(daemon, path, request, count):
    """So many calls on each of 8 connections whose streams have no window."""
    write_documents(daemon, "large", 20, LARGE_BYTES)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            attacker = stack.enter_context(Attacker(daemon, window=0))
            with contextlib.suppress(ConnectionError):
                for stream in range(1, 2 * count, 2):
                    attacker.ask(path, http2.message(request), stream=stream)
        assert_exports(daemon)


@attack("answers that nobody takes")
def untaken_answers(daemon):
    """A large document from the cache, 4,000 times: 3.6 GB."""
    leave_untaken(daemon, GET, field(1, b"large 1"), 500)


@attack("lists that nobody takes")
def untaken_lists(daemon):
    leave_untaken(daemon, EXPORT, b"", 64)


@attack("1,000 streams")
def many_streams(daemon):
    """As many calls under way as may be, then one more (RFC 9113, 5.1.2)."""
    with Attacker(daemon) as attacker:
        for stream in range(1, 2 * CALLS_MAX, 2):
            attacker.ask(WATCH_HEALTH, http2.message(b""), stream=stream)
        for stream in range(1, 2 * CALLS_MAX, 2):
            attacker.receive_type(http2.DATA, stream)
        attacker.ask(WATCH_HEALTH, http2.message(b""), stream=2 * CALLS_MAX + 1)
        assert attacker.goaway()[0] in (http2.PROTOCOL_ERROR, http2.REFUSED_STREAM)


@attack("1,000 streams on each of 200 connections")
def many_streams_on_many_connections(daemon):
    streams = b"".join(open_call(stream) for stream in range(1, 2 * CALLS_MAX, 2))
    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(Attacker(daemon)) for _ in range(200)]
        for attacker in attackers:
            attacker.send_bytes(streams)
        for attacker in attackers:
            attacker.ping()


@attack("1,000 calls at once")
def many_calls(daemon):
    with Attacker(daemon) as attacker:
        attacker.send_bytes(b"".join(
            open_call(stream) + http2.frame(http2.DATA, http2.END_STREAM, stream,
                                            http2.message(field(1, b"nobody")))
            for stream in range(1, 2001, 2)))
        for stream in range(1, 2001, 2):
            assert attacker.answer(stream)["grpc-status"] == NOT_FOUND


def read_all(peer, timeout_s):
    """What comes until the other end closes; None where it does not in time."""
    peer.settimeout(timeout_s)
    data = b""
    try:
        while piece := peer.recv(1 << 16):
            data += piece
    except TimeoutError:
        return None
    except ConnectionError:
        pass
    return data


HALF_OPENINGS = [b"", http2.PREFACE[:12], http2.PREFACE,
                 http2.PREFACE + http2.frame(http2.SETTINGS)[:5]]


def half_open(daemon, count):
    """So many of each form: hung up on when their time is over, and told so."""
    with contextlib.ExitStack() as stack:
        peers = []
        for words in HALF_OPENINGS * count:
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
            peer.sendall(words)
            peers.append((peer, b"no preface came" if words else b"TIMEOUT"))
        end = time.monotonic() + PREFACE_S + osiris.WAIT_S
        for peer, expected in peers:
            told = read_all(peer, max(0.1, end - time.monotonic()))
            assert told is not None, "not closed"
            assert expected in told, told


def many_connections(daemon, count):
    """All are answered at once: those over the limit by BUSY and a close. Returns how many those
    were."""
    reset = struct.pack("ii", 1, 0)  # leaves nothing in TIME_WAIT
    turned_away = 0
    with contextlib.ExitStack() as stack:
        peers = []
        for _ in range(count):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            peer.settimeout(http2.WAIT_S)
            peer.sendall(http2.PREFACE + http2.frame(http2.SETTINGS))
            peers.append(peer)
        for peer in peers:
            answer = peer.recv(1 << 16)
            if b"BUSY" in answer:
                assert read_all(peer, http2.WAIT_S) is not None, "told to go, but not closed"
                turned_away += 1
            else:
                assert answer[3] == http2.SETTINGS, answer
    return turned_away


# ---- figures ----

def files_max():
    """How many connections this process and a daemon of its own may have, a few kept back."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most - 200


def peak_memory(daemon):
    """The most resident bytes since forget_peak."""
    with open(f"/proc/{daemon.process.pid}/status") as status:
        line, = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def forget_peak(daemon):
    with open(f"/proc/{daemon.process.pid}/clear_refs", "w") as file:
        file.write("5")  # proc(5)


def is_sanitized():
    with open(osiris.program("osirisd"), "rb") as file:
        return b"__asan_init" in file.read()


def repeat(seconds, function, *arguments):
    """Returns how often it was done."""
    end, count = time.monotonic() + seconds, 0
    while count == 0 or time.monotonic() < end:
        function(*arguments)
        count += 1
    return count


def main():
    """Each attack over and over for some seconds: what a good client and the memory make of it."""
    seconds = float(os.environ.get("OSIRIS_SECONDS", "5"))
    connections = min(10000, files_max())
    everything = [(name, 0 if name in DONE_ONCE else seconds, (function,))
                  for name, function in ATTACKS.items()]
    everything += [("half-open connections", 0, (half_open, 500)),
                   (f"{connections:,} connections", 0, (many_connections, connections))]
    with tempfile.TemporaryDirectory(prefix="osr-") as folder:
        daemon = osiris.Daemon(folder, "one").listen_somewhere().start()
        with good_client.GoodClient(daemon.port) as good:
            time.sleep(seconds)
            failures = tell("no attack", 0, good.take(), daemon)
            for name, duration, (function, *arguments) in everything:
                forget_peak(daemon)
                good.take()
                count = repeat(duration, function, daemon, *arguments)
                failures += tell(name, count, good.take(), daemon)
        assert daemon.stop() == 0, daemon.log()
    sys.exit(1 if failures else 0)


def tell(name, count, calls, daemon):
    """A line of the table. Returns how much of it is not as it must be."""
    memory = peak_memory(daemon)
    is_bad = bool(calls["failures"]) or memory > MEMORY_MAX
    print(f"{name:36} {count:6} times  good client: {calls['calls']:6} calls, "
          f"p50 {calls['p50_ms']:6.2f} ms, p99 {calls['p99_ms']:7.2f} ms, "
          f"max {calls['max_ms']:7.1f} ms; peak RSS {memory / 2**20:6.1f} MB"
          f"{'  FAILED ' + ', '.join(calls['failures']) if is_bad else ''}", flush=True)
    return is_bad


if __name__ == "__main__":
    main()
