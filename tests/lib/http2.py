"""HTTP/2 frame by frame (RFC 9113), by the standard library alone: for peers that do on purpose
what no library would. Header blocks are written without compression; read are those of a peer that
was told to keep no table of its own."""
import collections
import socket
import struct
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED,
 FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM,
 INADEQUATE_SECURITY, HTTP_1_1_REQUIRED) = range(14)
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 3, 4  # settings
FRAME_BYTES_MAX = 16384
WINDOW_MAX = 2**31 - 1
STREAM_ID_MAX = 2**31 - 1
WAIT_S = 20

Frame = collections.namedtuple("Frame", "type flags stream payload")


def frame(type, flags=0, stream=0, payload=b""):
    """Its bytes."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", type, flags, stream) + payload


def hpack_integer(first, bits, value):
    """With the bits of `first` above a prefix of so many (RFC 7541, 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    data = [first | most]
    value -= most
    while value >= 128:
        data.append(128 | value % 128)
        value //= 128
    return bytes([*data, value])


def hpack_text(value):
    value = value.encode() if isinstance(value, str) else value
    return hpack_integer(0, 7, len(value)) + value


def header_block(fields):
    """Each field as a literal with a new name, never indexed (RFC 7541, 6.2.2)."""
    return b"".join(b"\x00" + hpack_text(name) + hpack_text(value) for name, value in fields)


def header_frames(stream, block, flags=0):
    """HEADERS, and CONTINUATION for what does not fit into it."""
    pieces = [block[at:at + FRAME_BYTES_MAX] for at in range(0, len(block), FRAME_BYTES_MAX)]
    last = len(pieces) - 1
    return b"".join(
        frame(CONTINUATION if number else HEADERS,
              (0 if number else flags) | (END_HEADERS if number == last else 0), stream, piece)
        for number, piece in enumerate(pieces))


# RFC 7541, Appendix B: the codes count up, within a length by octet; those of up to 15 bits.
HUFFMAN_TEXTS = {5: "012aceiost", 6: " %-./3456789=A_bdfghlmnpru",
                 7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz", 8: "&*,;XZ", 10: '!"()?', 11: "'+|",
                 12: "#>", 13: "\0$@[]~", 14: "^}", 15: "<`{"}


def _huffman_codes():
    codes, code = {}, 0
    for bits in range(5, 16):
        code <<= 1
        for character in HUFFMAN_TEXTS.get(bits, ""):
            codes[bits, code] = character
            code += 1
    return codes


HUFFMAN_CODES = _huffman_codes()


def huffman_decode(data):
    text, code, bits = "", 0, 0
    for octet in data:
        for shift in range(7, -1, -1):
            code, bits = code << 1 | octet >> shift & 1, bits + 1
            if (bits, code) in HUFFMAN_CODES:
                text += HUFFMAN_CODES[bits, code]
                code, bits = 0, 0
    return text  # what is left is padding


# Of HPACK's static table what servers of gRPC answer with.
STATIC_FIELDS = {8: (":status", "200"), 9: (":status", "204"), 11: (":status", "304"),
                 12: (":status", "400"), 13: (":status", "404"), 14: (":status", "500"),
                 19: ("accept", ""), 22: ("allow", ""), 28: ("content-length", ""),
                 31: ("content-type", "")}


class _BlockReader:
    def __init__(self, block):
        self.block = block
        self.at = 0

    def octet(self):
        self.at += 1
        return self.block[self.at - 1]

    def integer(self, bits):
        most = (1 << bits) - 1
        value = self.octet() & most
        if value < most:
            return value
        shift = 0
        while True:
            octet = self.octet()
            value += (octet & 127) << shift
            shift += 7
            if octet < 128:
                return value

    def text(self):
        is_huffman = self.block[self.at] & 128
        size = self.integer(7)
        data = self.block[self.at:self.at + size]
        self.at += size
        return huffman_decode(data) if is_huffman else data.decode()

    def field(self):
        """None: only the size of the table."""
        first = self.block[self.at]
        if first & 0x80:
            return STATIC_FIELDS[self.integer(7)]
        if first & 0x60 == 0x20:
            self.integer(5)
            return None
        index = self.integer(6 if first & 0x40 else 4)
        return STATIC_FIELDS[index][0] if index else self.text(), self.text()

    def fields(self):
        while self.at < len(self.block):
            field = self.field()
            if field:
                yield field


def read_block(block):
    """The fields of a block whose sender uses no dynamic table."""
    return dict(_BlockReader(block).fields())


def message(body, flag=0):
    """As gRPC has it in DATA."""
    return struct.pack(">BI", flag, len(body)) + body


def settings_payload(values):
    return b"".join(struct.pack(">HI", name, value) for name, value in values.items())


def window_update_frame(stream, size):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))


def reset_frame(stream, error=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", error))


def call_fields(path, *more):
    """What a gRPC client begins a call with."""
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"),
            ("content-type", "application/grpc"), ("te", "trailers"), *more]


class Connection:
    """One end. PING and SETTINGS are answered unless the test says otherwise."""

    def __init__(self, peer):
        self.socket = peer
        self.socket.settimeout(WAIT_S)
        self.answers_pings = True
        self.seen = []  # all frames that came
        self.passed_over = []  # those that nobody has waited for yet

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def send(self, type, flags=0, stream=0, payload=b""):
        self.socket.sendall(frame(type, flags, stream, payload))

    def receive(self):
        """The next frame; EOFError where the other end has closed."""
        head = self.read(9)
        type, flags, stream = struct.unpack(">BBI", head[3:])
        got = Frame(type, flags, stream, self.read(int.from_bytes(head[:3], "big")))
        self.seen.append(got)
        if type == SETTINGS and not flags & ACK:
            self.send(SETTINGS, ACK)
        elif type == PING and not flags & ACK and self.answers_pings:
            self.send(PING, ACK, 0, got.payload)
        return got

    def receive_until(self, condition):
        """The first frame of which that is true; those before it stay for others to wait for."""
        for got in self.passed_over:
            if condition(got):
                self.passed_over.remove(got)
                return got
        while True:
            got = self.receive()
            if condition(got):
                return got
            self.passed_over.append(got)

    def receive_type(self, type, stream=None):
        return self.receive_until(
            lambda got: got.type == type and stream in (None, got.stream))

    def read_to_end(self):
        try:
            while True:
                self.receive()
        except (EOFError, ConnectionError):
            pass

    def settings(self, **values):
        numbers = {"table": HEADER_TABLE_SIZE, "streams_max": MAX_CONCURRENT_STREAMS,
                   "window": INITIAL_WINDOW_SIZE}
        self.send(SETTINGS, payload=settings_payload(
            {numbers[name]: value for name, value in values.items()}))

    def headers(self, stream, fields, flags=END_HEADERS):
        self.send(HEADERS, flags, stream, header_block(fields))

    def data(self, stream, payload, flags=0):
        self.send(DATA, flags, stream, payload)

    def reset(self, stream, error=CANCEL):
        self.socket.sendall(reset_frame(stream, error))

    def goaway(self, last_stream, error=NO_ERROR, words=b""):
        self.send(GOAWAY, 0, 0, struct.pack(">II", last_stream, error) + words)

    def window_update(self, stream, size):
        self.socket.sendall(window_update_frame(stream, size))

    def ping(self, payload=b"8 bytes."):
        """Sends PING and waits for its answer."""
        self.send(PING, 0, 0, payload)
        answer = self.receive_until(lambda got: got.type == PING and got.flags & ACK)
        assert answer.payload == payload


class ServerConnection(Connection):
    """The server's end, and gRPC's words for it."""

    def begin(self, **settings):
        assert self.read(len(PREFACE)) == PREFACE
        self.settings(**settings)

    def take_call(self):
        """Waits for the HEADERS of a call, returns its stream."""
        headers = self.receive_type(HEADERS)
        assert headers.flags & END_HEADERS
        return headers.stream

    def take_whole_call(self):
        """... and for its last DATA."""
        stream = self.take_call()
        self.receive_until(lambda got: got.stream == stream and got.type == DATA
                           and got.flags & END_STREAM)
        return stream

    def answer_headers(self, stream, *more):
        self.headers(stream, [(":status", "200"), ("content-type", "application/grpc"), *more])

    def answer_trailers(self, stream, status="0", *more):
        self.headers(stream, [("grpc-status", status), *more], END_HEADERS | END_STREAM)

    def answer(self, stream, body=b""):
        self.answer_headers(stream)
        self.data(stream, message(body))
        self.answer_trailers(stream)


class ClientConnection(Connection):
    """The client's end."""

    def begin(self, **settings):
        self.socket.sendall(PREFACE)
        self.settings(**settings)

    def call(self, stream, path, *more):
        self.headers(stream, call_fields(path, *more))


def dial(url):
    host, port = url.split("//")[1].rsplit(":", 1)
    return ClientConnection(socket.create_connection((host, int(port)), WAIT_S))


class ScriptedServer:
    """Runs `script(connection)` for each connection that it accepts, then reads to the end."""

    def __init__(self, script):
        self.script = script
        self.failures = []
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.threads = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            connection = ServerConnection(peer)
            self.connections.append(connection)
            self.threads.append(threading.Thread(target=self.run, args=[connection], daemon=True))
            self.threads[-1].start()

    def run(self, connection):
        with connection.socket:
            try:
                self.script(connection)
                connection.read_to_end()
            except Exception as failure:  # for the test, which runs in another thread
                self.failures.append(failure)

    def close(self):
        """Raises what went wrong in a script."""
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept, which close does not
        self.listener.close()
        for thread in self.threads:
            thread.join(WAIT_S)
        for failure in self.failures:
            raise failure
