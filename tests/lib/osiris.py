"""Real daemons and the plainest possible client, for end-to-end tests: the standard library and
nothing of the project's own code.

Programs are found in the folder that the environment variable OSIRIS_BUILD names."""
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

WAIT_S = 30  # for anything that must happen; sanitized builds on a busy machine are slow


def program(name):
    folder = os.environ.get("OSIRIS_BUILD")
    if not folder:
        raise RuntimeError("OSIRIS_BUILD must name the folder of osirisd and osiris")
    return str(pathlib.Path(folder).resolve() / name)


reserved = []  # a socket for each port given, which keeps it from other tests


def free_port():
    """A port at which nobody listens. Connections that go out have others, and tests that run at the
    same time are given others: a name of the kernel's, which goes with the process, reserves it."""
    while True:
        port = random.randrange(20000, 32768)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0osiris-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("", port))
        except OSError:
            name.close()
            continue
        reserved.append(name)
        return port


def wait_for(condition, what, timeout_s=WAIT_S):
    """Returns what `condition` gives as soon as that is true."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


class Failure(Exception):
    """An ERROR frame."""

    def __init__(self, frame):
        super().__init__(f"{frame.get('code')}: {frame.get('message')}")
        self.frame = frame
        self.code = frame.get("code")


class Client:
    """JSON frames over a Unix socket (a path) or TCP (a port of this machine, or an address and a
    port), in TLS where an ssl.SSLContext is given; `source`: from this address of this machine."""

    def __init__(self, where, timeout_s=WAIT_S, tls=None, source=""):
        if isinstance(where, (int, tuple)):
            address = where if isinstance(where, tuple) else ("127.0.0.1", where)
            self.socket = socket.create_connection(address, timeout_s, (source, 0))
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            self.socket.connect(str(where))
        self.received = b""
        self.last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, type, **fields):
        self.send_bytes(json.dumps({"type": type, **fields}).encode() + b"\n")

    def receive(self):
        """The next frame; None where the other end has closed in good order."""
        while b"\n" not in self.received:
            data = self.socket.recv(1 << 20)
            if not data:
                assert self.received == b"", f"closed inside a frame: {self.received[:200]}"
                return None
            self.received += data
        line, self.received = self.received.split(b"\n", 1)
        return json.loads(line)

    def ask(self, type, **fields):
        """Sends a request and returns its id, without waiting for the reply."""
        self.last_id += 1
        self.send(type, request_id=self.last_id, **fields)
        return self.last_id

    def stream(self, type, **fields):
        """Every reply to a request, until the last."""
        request_id = self.ask(type, **fields)
        while True:
            frame = self.receive()
            if frame is None:
                raise ConnectionError(f"closed before the last reply to {type}")
            if frame.get("request_id") != request_id:
                continue
            if frame["type"] == "ERROR":
                raise Failure(frame)
            yield frame
            if frame.get("end"):
                return

    def call(self, type, **fields):
        """The last reply to a request."""
        return list(self.stream(type, **fields))[-1]

    def is_closed(self, timeout_s=WAIT_S):
        """True once the other end has closed, in whatever way; what it sends first is lost."""
        self.socket.settimeout(timeout_s)
        try:
            while self.socket.recv(1 << 20):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True


class Daemon:
    """An osirisd with a data folder of its own. It survives `kill`: start it again."""

    def __init__(self, folder, name, listen=(), peers=(), flags=()):
        self.data = pathlib.Path(folder) / name
        self.name = name
        self.port = None
        self.listen = list(listen)
        self.peers = list(peers)
        self.flags = list(flags)
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        self.process = None

    @property
    def socket_path(self):
        return self.data / "osiris.sock"

    @property
    def url(self):
        return f"tcp://127.0.0.1:{self.port}"

    def listen_somewhere(self):
        """Adds a TCP listener at a port that is free now."""
        self.port = free_port()
        self.listen.append(self.url)
        return self

    def command(self):
        arguments = [program("osirisd"), "--data", str(self.data), "--name", self.name]
        for url in self.listen:
            arguments += ["--listen", url]
        for url in self.peers:
            arguments += ["--peer", url]
        return arguments + self.flags

    def launch(self, **options):
        """Starts the process and does not wait for it."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, **options)
        return self

    def start(self, **options):
        self.launch(**options)
        wait_for(self.is_ready, f"{self.name} answers")
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
        try:
            with Client(self.socket_path) as client:
                client.call("STATUS")
            return True
        except (OSError, ConnectionError):
            return False

    def stop(self):
        """Ends it in good order and returns its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT_S)
        self.process = None
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            line, = [line for line in status if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def client(self):
        return Client(self.socket_path)

    def call(self, type, **fields):
        with self.client() as client:
            return client.call(type, **fields)

    def instance(self):
        return self.call("STATUS")["instance"]

    def put(self, data, **fields):
        """Adds a document and returns its id."""
        return self.call("KB_PUT", document={"data": data}, **fields)["id"]

    def digest(self):
        reply = self.call("KB_DIGEST")
        return reply["digest"], reply.get("documents", 0)

    def count(self):
        """How many documents can be seen."""
        return self.call("STATUS").get("documents", 0)

    def documents(self):
        with self.client() as client:
            return [document for frame in client.stream("KB_LIST")
                    for document in frame.get("documents", [])]


def wait_until_equal(*daemons, timeout_s=WAIT_S):
    """Waits until all hold the same, and returns how many documents that is."""
    def digests():
        try:
            found = {daemon.digest() for daemon in daemons}
        except Failure as failure:
            assert failure.code == "DISK_FULL"  # its projection goes on when there is room
            return None
        return found if len(found) == 1 else None
    (_, documents), = wait_for(digests, "equal digests of " + ", ".join(d.name for d in daemons),
                               timeout_s)
    return documents


def wait_for_refusals(daemon, count=2, timeout_s=WAIT_S):
    """Waits until its one peer has refused the daemon so often, one attempt after the other."""
    last_ms = failed = 0

    def has_failed():
        nonlocal last_ms, failed
        peer, = [peer for peer in daemon.call("STATUS").get("peers", []) if peer.get("dialled")]
        left_ms = int(peer.get("retry_ms", 0))
        failed += peer.get("last_error", "") != "" and left_ms > last_ms
        last_ms = left_ms
        return failed >= count

    wait_for(has_failed, f"{count} refusals of {daemon.name}", timeout_s)
