"""HTTP/2 frame by frame (RFC 9113), by the standard library alone: for peers that do on purpose what
no library would. Header blocks are written without compression and never read."""
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
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4  # settings
STREAM_ID_MAX = 2**31 - 1
WAIT_S = 20

Frame = collections.namedtuple("Frame", "type flags stream payload")


def header_block(fields):
    """Each field as a literal with a new name, never indexed (RFC 7541, 6.2.2)."""
    def text(value):
        value = value.encode() if isinstance(value, str) else value
        assert len(value) < 127
        return bytes([len(value)]) + value
    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


def message(body):
    """As gRPC has it in DATA, not compressed."""
    return struct.pack(">BI", 0, len(body)) + body


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
        length = struct.pack(">I", len(payload))[1:]
        self.socket.sendall(length + struct.pack(">BBI", type, flags, stream) + payload)

    def receive(self):
        """The next frame; EOFError where the other end has closed."""
        head = self.read(9)
        type, flags, stream = struct.unpack(">BBI", head[3:])
        frame = Frame(type, flags, stream, self.read(int.from_bytes(head[:3], "big")))
        self.seen.append(frame)
        if type == SETTINGS and not flags & ACK:
            self.send(SETTINGS, ACK)
        elif type == PING and not flags & ACK and self.answers_pings:
            self.send(PING, ACK, 0, frame.payload)
        return frame

    def receive_until(self, condition):
        """The first frame of which that is true; those before it stay for others to wait for."""
        for frame in self.passed_over:
            if condition(frame):
                self.passed_over.remove(frame)
                return frame
        while True:
            frame = self.receive()
            if condition(frame):
                return frame
            self.passed_over.append(frame)

    def receive_type(self, type, stream=None):
        return self.receive_until(
            lambda frame: frame.type == type and stream in (None, frame.stream))

    def read_to_end(self):
        try:
            while True:
                self.receive()
        except (EOFError, ConnectionError):
            pass

    def settings(self, **values):
        numbers = {"streams_max": MAX_CONCURRENT_STREAMS, "window": INITIAL_WINDOW_SIZE}
        self.send(SETTINGS, payload=b"".join(
            struct.pack(">HI", numbers[name], value) for name, value in values.items()))

    def headers(self, stream, fields, flags=END_HEADERS):
        self.send(HEADERS, flags, stream, header_block(fields))

    def data(self, stream, payload, flags=0):
        self.send(DATA, flags, stream, payload)

    def reset(self, stream, error=CANCEL):
        self.send(RST_STREAM, 0, stream, struct.pack(">I", error))

    def goaway(self, last_stream, error=NO_ERROR, words=b""):
        self.send(GOAWAY, 0, 0, struct.pack(">II", last_stream, error) + words)

    def window_update(self, stream, size):
        self.send(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))

    def ping(self, payload=b"8 bytes."):
        """Sends PING and waits for its answer."""
        self.send(PING, 0, 0, payload)
        answer = self.receive_until(lambda frame: frame.type == PING and frame.flags & ACK)
        assert answer.payload == payload


class ServerConnection(Connection):
    """The server's end, and gRPC's words for it."""

    def begin(self, **settings):
        assert self.read(len(PREFACE)) == PREFACE
        self.settings(**settings)

    def take_call(self):
        """Waits for the HEADERS of a call, returns its stream."""
        frame = self.receive_type(HEADERS)
        assert frame.flags & END_HEADERS
        return frame.stream

    def take_whole_call(self):
        """... and for its last DATA."""
        stream = self.take_call()
        self.receive_until(lambda frame: frame.stream == stream and frame.type == DATA
                           and frame.flags & END_STREAM)
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
        self.headers(stream, [(":method", "POST"), (":scheme", "http"), (":path", path),
                              (":authority", "test"), ("content-type", "application/grpc"),
                              ("te", "trailers"), *more])


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
