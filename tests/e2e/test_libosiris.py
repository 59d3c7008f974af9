"""libosiris with real daemons: the examples as they stand, and what the library shows of itself."""
import concurrent.futures
import pathlib
import queue
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import grpc
import pytest

import cli
import osiris

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def example(name):
    return osiris.program(f"examples/example_{name}")


class Watch:
    """The example `watch`; its lines as they come."""

    def __init__(self, where):
        self.process = subprocess.Popen([example("watch"), str(where)], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.split())

    def next(self):
        return self.lines.get(timeout=osiris.WAIT_S)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=osiris.WAIT_S)
        return self.process.returncode, errors


@pytest.fixture
def watch(daemon):
    watch = Watch(daemon.data)
    yield watch
    watch.process.kill()
    watch.process.wait()


# The first example writes a document and reads it back, over gRPC and over frames on TCP.
def test_put_get(daemon):
    for where in (daemon.data, f"unix://{daemon.socket_path}", daemon.url):
        run = subprocess.run([example("put_get"), str(where)], capture_output=True, text=True,
                             timeout=osiris.WAIT_S)
        assert (run.returncode, run.stderr) == (0, "")
        first, second = run.stdout.splitlines()
        assert first == 'examples: {"says":"hello from C","weight":1.10}'
        assert '"data":{"says":"hello from C","weight":1.10},"tags":["example","c"]' in second


# Where nobody listens it says what to do.
def test_nobody_there(folder):
    run = subprocess.run([example("put_get"), str(folder)], capture_output=True, text=True,
                         timeout=osiris.WAIT_S)
    assert run.returncode == 1
    assert f"osirisd is not running with the data folder {folder} (UNAVAILABLE)" in run.stderr
    assert f"start it with: osirisd --data {folder}" in run.stderr


# The second example sees every change once, also over restarts of the instance, until Ctrl-C.
def test_watch_goes_on_after_restarts(daemon, watch):
    for round in range(3):
        with osiris.Client(daemon.socket_path) as client:
            written = client.call("KB_PUT", document={"data": round})["id"]
            client.call("KB_DELETE", id=written)
        put, deleted = watch.next(), watch.next()
        assert put[1:] == ["written", written, str(round)]
        assert deleted[1:] == ["deleted", written]
        if round == 1:
            daemon.kill()  # the one before ended in good order
        elif round == 0:
            daemon.stop()
        if round < 2:
            daemon.start()
    status, errors = watch.interrupt()
    assert (status, errors) == (0, "")
    assert watch.lines.empty()


class Refusing:
    """An HTTP/2 server that resets the first streams with REFUSED_STREAM, then says to each call
    that its put was written as "x", or that there is no such document."""
    DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
    REFUSED_STREAM = 7
    END_STREAM, END_HEADERS = 1, 4

    def __init__(self, path, refusals):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.refusals = refusals
        self.calls = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def send(self, type, flags, stream, payload=b""):
        self.connection.sendall(struct.pack(">I", len(payload))[1:] + bytes([type, flags]) +
                                struct.pack(">I", stream) + payload)

    def fields(self, **values):
        """HPACK, literal and not indexed."""
        return b"".join(b"\0" + bytes([len(name)]) + name.replace("_", "-").encode() +
                        bytes([len(value)]) + value.encode() for name, value in values.items())

    def answer(self, stream):
        self.calls += 1
        head = b"\x88" + self.fields(content_type="application/grpc")  # :status 200
        last = self.END_HEADERS | self.END_STREAM
        if self.calls <= self.refusals:
            self.send(self.RST_STREAM, 0, stream, struct.pack(">I", self.REFUSED_STREAM))
        elif self.calls == self.refusals + 1:
            self.send(self.HEADERS, self.END_HEADERS, stream, head)
            self.send(self.DATA, 0, stream, b"\0\0\0\0\3\x0a\1x")  # PutResponse.id
            self.send(self.HEADERS, last, stream, self.fields(grpc_status="0"))
        else:
            self.send(self.HEADERS, last, stream,
                      head + self.fields(grpc_status="5", grpc_message="none such"))

    def serve(self):
        self.connection, _ = self.listener.accept()
        self.send(self.SETTINGS, 0, 0)
        with self.connection.makefile("rb") as received:
            received.read(24)  # the preface
            while head := received.read(9):
                received.read(int.from_bytes(head[:3], "big"))
                if head[3] in (self.DATA, self.HEADERS) and head[4] & self.END_STREAM:
                    self.answer(int.from_bytes(head[5:], "big"))


# A stream that a gRPC server refuses has not been looked at: even a put without an id is sent again,
# over the connection that stands.
def test_refused_stream_is_repeated(folder):
    server = Refusing(folder / "osiris.sock", refusals=2)
    run = subprocess.run([example("put_get"), str(folder)], capture_output=True, text=True,
                         timeout=osiris.WAIT_S)
    assert run.stderr == "get: none such (NOT_FOUND)\n"
    assert server.calls == 4


class Foreign:
    """A gRPC server of another make, that answers each call as the test wants it: `answer` gets the
    call's number and its context."""

    def __init__(self, path, answer):
        self.answer = answer
        self.calls = []  # method, when, seconds left until the deadline
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
        self.server.add_generic_rpc_handlers((self,))
        self.server.add_insecure_port(f"unix:{path}")
        self.server.start()

    def service(self, details):
        def unary(_, context):
            return self.take(details.method, context)

        def stream(_, context):
            self.take(details.method, context)
            return iter(())
        kinds = {"List": grpc.unary_stream_rpc_method_handler(stream)}
        return kinds.get(details.method.split("/")[-1], grpc.unary_unary_rpc_method_handler(unary))

    def take(self, method, context):
        self.calls.append((method, time.monotonic(), context.time_remaining()))
        return self.answer(len(self.calls), context) or b""


@pytest.fixture
def foreign(folder):
    """Makes such a server, where a command line finds it as the instance of its data folder."""
    made = []

    def make(answer):
        made.append(Foreign(folder / "osiris.sock", answer))
        return made[-1], cli.Cli("--data", folder)

    yield make
    for server in made:
        server.server.stop(None)


# The instance is told how long a call with one reply is waited for; the time of streams, which runs
# from reply to reply, is the client's own business.
def test_deadline_is_sent(foreign):
    server, run = foreign(lambda *_: None)
    run("--timeout", "7", "kb", "digest")
    run("--timeout", "7", "kb", "list")
    (digest, _, left), (listed, _, unlimited) = server.calls
    assert digest.endswith("/Digest") and 0 < left <= 7
    assert listed.endswith("/List") and (unlimited is None or unlimited > 1000)


# A server that gives up first says so by a code of gRPC's own: here it is ours, said clearly.
def test_deadline_of_the_server_is_a_timeout(foreign):
    _, run = foreign(lambda _, context: context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "late"))
    message = run.fails(75, "kb", "digest")
    assert "TIMEOUT: the instance did not answer in time" in message
    assert "may have been done all the same" in message


def field(number, value):
    """Of a protobuf message; all lengths and numbers below 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    value = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(value)]) + value


# A server that says when to come back (google.rpc.RetryInfo) is left alone until then.
def test_retry_waits_as_long_as_the_server_says(foreign):
    retry_info = field(1, field(1, 1))  # one second
    any_ = field(1, "type.googleapis.com/google.rpc.RetryInfo") + field(2, retry_info)
    details = field(1, 14) + field(3, any_)

    def answer(number, context):
        if number < 3:
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")

    server, run = foreign(answer)
    run("kb", "digest")
    first, second, third = [when for _, when, _ in server.calls]
    assert 0.99 <= second - first < 10 and 0.99 <= third - second < 10


# What is not safe to repeat is not repeated, whatever the server says.
def test_put_is_not_repeated(foreign):
    server, run = foreign(
        lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "later"))
    assert "UNAVAILABLE: later" in run.fails(69, "kb", "add", "x")
    assert len(server.calls) == 1


# Of all that is linked into the library its users see what the header declares.
def test_exports_are_the_header():
    library = osiris.program("src/client/libosiris.so")
    run = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                         check=True)
    exported = {line.split()[-1].split("@")[0] for line in run.stdout.splitlines()}
    header = (ROOT / "include/osiris/osiris.h").read_text()
    declared = set()
    for piece in header.split("OSIRIS_PUBLIC ")[1:]:
        words = piece.split("(")[0].replace("*", " ").split()
        declared.add(words[-1])
    assert {name for name in exported if not name.startswith("__")} == declared - {"__attribute__"}


# The header stands alone, in C99 and in C++.
@pytest.mark.parametrize("command", [["cc", "-std=c99"], ["c++", "-std=c++98", "-Wno-long-long"]])
def test_header_stands_alone(folder, command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}")
    source = folder / ("user.c" if command[0] == "cc" else "user.cc")
    source.write_text("#include <osiris/osiris.h>\n"
                      "int main(void) { return osiris_close(NULL); }\n")
    subprocess.run([*command, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                    f"-I{ROOT / 'include'}", str(source)], check=True)
