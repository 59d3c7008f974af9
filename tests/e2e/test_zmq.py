"""ZeroMQ: links between instances, whoever else knocks there, and ordinary clients by their keys."""
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest
import zmq

import bus_probe
import carriers
import osiris
from proxy import Proxy

PATIENCE_MS = 2000  # for an answer that must not come
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)


# ---- links ----

@pytest.fixture
def pair(make_daemon, folder):
    """Two that are linked; the first one listens."""
    port = osiris.free_port()
    one, two = carriers.pair(make_daemon, folder, f"zmq://127.0.0.1:{port}?auth=key")
    one.port = port
    return one, two


def is_linked(one, two):
    one.put("from one")
    two.put("from two")
    osiris.wait_until_equal(one, two)
    return True


# Whoever is killed in mid-stream: nothing is lost, and nothing there twice.
@pytest.mark.parametrize("victim", ["listener", "dialler"])
def test_kill_in_mid_stream(pair, folder, victim):
    one, two = pair
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(f'{{"number":{i},"text":"{"x" * (i % 500)}"}}\n' for i in range(5000)))
    importing = [osiris.program("osiris"), "--data", one.data, "kb", "import", corpus]
    process = subprocess.Popen(importing, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    osiris.wait_for(lambda: two.count() > 0, "the first ones arrive")
    killed = one if victim == "listener" else two
    killed.kill()
    process.wait(osiris.WAIT_S)
    killed.start()
    subprocess.run(importing, stdout=subprocess.DEVNULL, check=True, timeout=120)
    assert osiris.wait_until_equal(one, two, timeout_s=60) == 5000


# What goes over the wire is not to be read on the way.
def test_nothing_is_in_clear(make_daemon, folder):
    carriers.share_key(folder / "one", folder / "two")
    port = osiris.free_port()
    one = make_daemon("one", listen=[f"zmq://127.0.0.1:{port}?auth=key"]).start()
    with Proxy(port) as proxy:
        two = make_daemon("two", peers=[f"zmq://127.0.0.1:{proxy.port}?auth=key"]).start()
        one.put("MARKER-OF-ONE " * 100)
        two.put("MARKER-OF-TWO " * 100)
        assert osiris.wait_until_equal(one, two) == 2
        seen = proxy.capture()
    assert len(seen) > 2000
    assert b"DEALER" in seen, "the recording is not of ZeroMQ"
    assert b"MARKER-OF" not in seen


# A connection that breaks in the middle is made again.
def test_connection_is_cut(make_daemon, folder):
    carriers.share_key(folder / "one", folder / "two")
    port = osiris.free_port()
    one = make_daemon("one", listen=[f"zmq://127.0.0.1:{port}?auth=key"]).start()
    with Proxy(port) as proxy:
        two = make_daemon("two", peers=[f"zmq://127.0.0.1:{proxy.port}?auth=key"]).start()
        for _ in range(3):
            assert is_linked(one, two)
            proxy.cut()
        assert is_linked(one, two)


# Another key of the same name: no link.
def test_wrong_shared_key(make_daemon, folder):
    for name in ("one", "two"):
        carriers.share_key(folder / name)
    url = f"zmq://127.0.0.1:{osiris.free_port()}?auth=key"
    one = make_daemon("one", listen=[url]).start()
    two = make_daemon("two", peers=[url]).start()
    one.put("not for two")
    osiris.wait_for_refusals(two)
    assert two.count() == 0


# A dialler says what is wrong where nobody listens, and links as soon as somebody does.
def test_nobody_listens(make_daemon, folder):
    carriers.share_key(folder / "one", folder / "two")
    url = f"zmq://127.0.0.1:{osiris.free_port()}?auth=key"
    two = make_daemon("two", peers=[url]).start()
    osiris.wait_for(lambda: "nobody answers there" in two.log(), "it says so")
    one = make_daemon("one", listen=[url]).start()
    assert is_linked(one, two)


# So it does where something else listens.
def test_something_else_listens(make_daemon, folder):
    carriers.share_key(folder / "one", folder / "two")
    one = make_daemon("one").listen_somewhere().start()
    two = make_daemon("two", peers=[f"zmq://127.0.0.1:{one.port}?auth=key"]).start()
    osiris.wait_for(lambda: "does not speak ZeroMQ" in two.log(), "it says so")


# ---- whoever knocks at the port of links ----

def frame(body, flags=0):
    return struct.pack("!BB", flags, len(body)) + body


READY = frame(b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER", 4)

KNOCKS = {
    "nothing": b"",
    "noise": os.urandom(4096),
    "HTTP": b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + os.urandom(190),
    "a greeting that is cut": GREETING[:40],
    "an old version": b"\xff" + bytes(8) + b"\x7f\x00" + bytes(53),
    "another mechanism": GREETING[:12] + b"CURVE".ljust(20, b"\0") + GREETING[32:],
    "no READY": GREETING + frame(b"body"),
    "a READY that is cut": GREETING + READY[:12] + bytes(30),
    "a wrong socket": GREETING + READY.replace(b"DEALER", b"SUB\0\0\0"),
    "noise as a message": GREETING + READY + frame(os.urandom(200)),
    "many frames": GREETING + READY + frame(b"x", 1) * 1000 + frame(b"body"),
    "a frame of 2^62 bytes": GREETING + READY + struct.pack("!BQ", 2, 1 << 62) + bytes(100),
    "a long routing id": GREETING + frame(b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
                                          b"\x08Identity\0\0\0\xc8" + b"i" * 200, 4) + frame(b"x"),
}


# Whatever is sent there: the link of those who belong there goes on.
@pytest.mark.parametrize("knock", KNOCKS)
def test_knocks(pair, knock):
    one, two = pair
    with socket.create_connection(("127.0.0.1", one.port)) as stranger:
        stranger.sendall(KNOCKS[knock])
        assert is_linked(one, two)
    assert is_linked(one, two)


# Messages of ZeroMQ's own that are none of a link's; one that shows another's routing id.
def test_foreign_messages(pair):
    one, two = pair
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        stranger.routing_id = bytes.fromhex("006b8b4567")
        stranger.connect(f"tcp://127.0.0.1:{one.port}")
        for body in (b"", b"x", os.urandom(100), os.urandom(100000)):
            for _ in range(100):
                stranger.send(body)
        assert is_linked(one, two)


LARGE_FRAMES = struct.pack("!BQ", 3, 60000) + bytes(60000)
EMPTY_FRAMES = frame(b"", 1) * 30000  # libzmq needs 32 times the memory that they have bytes


def send_without_end(connection, ready, frames):
    """Much of one message; fails where it is not taken."""
    connection.settimeout(5)
    connection.sendall(GREETING + ready)
    answer = b""
    while b"Identity" not in answer:  # the other side's READY: the greetings are over
        data = connection.recv(1000)
        assert data, answer
        answer += data
    for _ in range(500 * 1024 * 1024 // len(frames)):
        connection.sendall(frames)


class MemoryPeak:
    """By how much a daemon has grown at most meanwhile."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.growth = 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        before = self.daemon.memory()
        while not self.is_over.wait(0.02):
            self.growth = max(self.growth, self.daemon.memory() - before)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


# libzmq keeps the frames of a message until the last one has come: who sends one without an end is
# cut off before that takes the memory, and nobody else is.
@pytest.mark.parametrize("frames", [LARGE_FRAMES, EMPTY_FRAMES], ids=["large", "empty"])
def test_message_without_an_end(pair, frames):
    one, two = pair
    with socket.create_connection(("127.0.0.1", one.port)) as stranger:
        with MemoryPeak(one) as peak, pytest.raises(OSError):
            send_without_end(stranger, READY, frames)
    assert peak.growth < 512 << 20
    assert is_linked(one, two)
    assert two.log().count(": linked") == 1


# So does a dialler with a listener that is none of ours, and tries again.
@pytest.mark.parametrize("frames", [LARGE_FRAMES, EMPTY_FRAMES], ids=["large", "empty"])
def test_listener_without_an_end(make_daemon, folder, frames):
    carriers.share_key(folder / "two")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(osiris.WAIT_S)
        url = f"zmq://127.0.0.1:{server.getsockname()[1]}?auth=key"
        two = make_daemon("two", peers=[url]).start()
        for _ in range(2):
            dialler, _ = server.accept()
            with dialler, MemoryPeak(two) as peak, pytest.raises(OSError):
                send_without_end(dialler, READY.replace(b"DEALER", b"ROUTER"), frames)
            assert peak.growth < 512 << 20
    assert "a message without an end comes from there" in two.log()


def is_turned_away(connection):
    connection.settimeout(osiris.WAIT_S)
    try:
        while connection.recv(1000):
            pass
    except ConnectionError:
        pass
    return True


# Strangers who speak ZeroMQ and show nothing more crowd out each other, and neither a link that
# stands nor one that comes.
def test_strangers_take_no_places(pair):
    one, two = pair
    assert is_linked(one, two)
    strangers = []
    for _ in range(700):
        strangers.append(socket.create_connection(("127.0.0.1", one.port)))
        strangers[-1].sendall(GREETING + READY)
    for stranger in strangers[:400]:
        assert is_turned_away(stranger)
    assert is_linked(one, two)
    assert two.log().count(": linked") == 1
    two.kill()
    two.start()
    assert is_linked(one, two)
    for stranger in strangers:
        stranger.close()


# Those who connect and say nothing take neither all descriptors nor, for long, anybody's place.
def test_silent_connections(pair):
    one, two = pair
    assert is_linked(one, two)
    before = one.memory()
    strangers = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(700)]
    assert is_linked(one, two)
    osiris.wait_for(lambda: len(os.listdir(f"/proc/{one.process.pid}/fd")) < 600,
                    "those that are too many are turned away")
    assert one.memory() < before + (64 << 20)
    two.kill()
    two.start()
    assert is_linked(one, two)
    for stranger in strangers:
        stranger.close()


# ---- ordinary clients ----

def run_client(daemon, *words, status=0):
    result = subprocess.run([osiris.program("osiris"), "--data", daemon.data, "client", *words],
                            text=True, capture_output=True, timeout=osiris.WAIT_S)
    assert result.returncode == status, result.stderr
    return result.stdout


class Keys:
    def __init__(self, server, secret):
        self.server = server
        self.secret = secret
        self.public = zmq.curve_public(secret)


@pytest.fixture
def instance(make_daemon, folder):
    """It takes requests; `robot` may read and write, `guest` is known and may nothing."""
    (folder / "one.yaml").write_text("access:\n  members:\n    client:robot: [editor]\n")
    port = osiris.free_port()
    one = make_daemon("one", listen=[f"zmq://127.0.0.1:{port}?for=clients"],
                      flags=["--config", str(folder / "one.yaml")])
    one.data.mkdir(mode=0o700)
    one.port = port
    one.server = run_client(one, "key").strip().encode()
    one.keys = {}
    for name in ("robot", "guest"):
        said, secret = run_client(one, "add", name).split()
        assert said == name
        one.keys[name] = Keys(one.server, secret.encode())
    return one.start()


class Client:
    def __init__(self, daemon, keys, kind=zmq.REQ):
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        self.socket.linger = 0
        if keys is not None:
            self.socket.curve_serverkey = keys.server
            self.socket.curve_publickey, self.socket.curve_secretkey = keys.public, keys.secret
        self.socket.connect(f"tcp://127.0.0.1:{daemon.port}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.context.term()

    def receive(self, timeout_ms=osiris.WAIT_S * 1000):
        return self.socket.recv_multipart() if self.socket.poll(timeout_ms) else None

    def call(self, type, **fields):
        self.socket.send(json.dumps({"type": type, "request_id": 1, **fields}).encode())
        return json.loads(self.receive()[-1])


# A client whose key is known does what its roles let it do.
def test_client_reads_and_writes(instance):
    with Client(instance, instance.keys["robot"]) as robot:
        written = robot.call("KB_PUT", document={"data": "by a robot"})
        assert written.get("id"), written
        found = robot.call("KB_GET", id=written["id"])
        assert found["document"]["data"] == "by a robot"
    assert instance.count() == 1


# One that is known, and may do nothing, is told so.
def test_client_without_a_role(instance):
    with Client(instance, instance.keys["guest"]) as guest:
        assert guest.call("KB_PUT", document={"data": "x"})["code"] == "PERMISSION_DENIED"
    assert instance.count() == 0


# What a DEALER sends before the body comes back before the reply.
@pytest.mark.parametrize("head", [[], [b""], [b"7", b""], [b"call-7", b"x" * 200]])
def test_envelope_comes_back(instance, head):
    with Client(instance, instance.keys["robot"], zmq.DEALER) as robot:
        robot.socket.send_multipart([*head, b'{"type":"STATUS","request_id":7}'])
        *returned, body = robot.receive()
        assert returned == head
        assert json.loads(body)["request_id"] == 7


# An envelope over the limit is dropped, and the next request is served.
def test_envelope_is_limited(instance):
    with Client(instance, instance.keys["robot"], zmq.DEALER) as robot:
        robot.socket.send_multipart([b"x" * 256, b'{"type":"STATUS","request_id":1}'])
        robot.socket.send_multipart([b""] * 300 + [b'{"type":"STATUS","request_id":2}'])
        robot.socket.send_multipart([b"", b'{"type":"STATUS","request_id":3}'])
        assert json.loads(robot.receive()[-1])["request_id"] == 3


def strangers(instance):
    public, secret = zmq.curve_keypair()
    robot = instance.keys["robot"]
    return {
        "an unknown key": Keys(instance.server, secret),
        "another server's key": Keys(public, robot.secret),
        "no CURVE": None,
    }


# A key that nobody has listed, the key of another server, and no key at all: not one answer.
@pytest.mark.parametrize("stranger", ["an unknown key", "another server's key", "no CURVE"])
def test_strangers_are_not_let_in(instance, stranger):
    with Client(instance, strangers(instance)[stranger], zmq.DEALER) as client:
        client.socket.send(b'{"type":"KB_PUT","request_id":1,"document":{"data":"x"}}')
        assert client.receive(PATIENCE_MS) is None
    assert instance.count() == 0
    if stranger == "an unknown key":
        assert "is no client's: osiris client add NAME KEY" in instance.log()
    with Client(instance, instance.keys["robot"]) as robot:
        assert robot.call("STATUS").get("end")


# One that asks for much and reads nothing does not hold up the others.
def test_client_that_does_not_read(instance):
    with Client(instance, instance.keys["robot"]) as robot:
        big = robot.call("KB_PUT", document={"data": "x" * 500000})["id"]
        with Client(instance, instance.keys["robot"], zmq.DEALER) as deaf:
            deaf.socket.rcvhwm = 1
            for _ in range(200):
                deaf.socket.send(json.dumps({"type": "KB_GET", "request_id": 1, "id": big}).encode())
            began = time.monotonic()
            for _ in range(20):
                assert robot.call("KB_GET", id=big)["document"]
            assert time.monotonic() - began < osiris.WAIT_S / 2


@pytest.fixture
def paused():
    """A taker of requests that reads none for now, and the keys of the one client."""
    server, secret = zmq.curve_keypair()
    keys = Keys(server, zmq.curve_keypair()[1])
    port = osiris.free_port()
    with bus_probe.open_up("clients", f"zmq://127.0.0.1:{port}?for=clients",
                           keys=(secret.decode(), keys.public.decode())) as probe:
        probe.port = port
        probe.tell("read off")
        yield probe, keys


# Large requests wait for as long as nothing is read, and none is lost.
def test_requests_wait_while_nothing_is_read(paused):
    probe, keys = paused
    with Client(probe, keys, zmq.DEALER) as robot:
        for _ in range(20):
            robot.socket.send(bytes(8 << 20))
        time.sleep(PATIENCE_MS / 1000)
        assert probe.count("log") == 0
        probe.tell("count 20")
        probe.tell("read on")
        probe.expect("counted")
    assert probe.count("log") == 0


# A message of more frames than may be kept ends its connection then, too, and no other one's.
def test_long_message_while_nothing_is_read(paused):
    probe, keys = paused
    with Client(probe, keys, zmq.DEALER) as hostile, Client(probe, keys, zmq.DEALER) as robot:
        robot.socket.send(b"hello")
        hostile.socket.send_multipart([bytes(60000)] * 5000)
        assert "closed a connection" in probe.expect("log")
        probe.tell("read on")
        assert probe.expect("message").endswith(" hello")


# A client's own key, in place of one that the instance makes; and all that can be wrong with it.
def test_client_commands(instance):
    public, secret = zmq.curve_keypair()
    instance.stop()
    assert run_client(instance, "add", "own", public.decode()) == ""
    assert f"own {public.decode()}\n" in run_client(instance, "list")
    run_client(instance, "add", "own", status=1)
    run_client(instance, "add", "other", public.decode(), status=1)
    run_client(instance, "add", "../own", status=64)
    run_client(instance, "add", "short", public.decode()[:-1], status=64)
    run_client(instance, "add", "wrong", "~" * 40, status=64)
    instance.start()
    with Client(instance, Keys(instance.server, secret)) as own:
        assert own.call("KB_PUT", document={"data": "x"})["code"] == "PERMISSION_DENIED"
    instance.stop()
    run_client(instance, "remove", "own")
    run_client(instance, "remove", "own", status=1)
    instance.start()
    with Client(instance, Keys(instance.server, secret), zmq.DEALER) as own:
        own.socket.send(b'{"type":"STATUS","request_id":1}')
        assert own.receive(PATIENCE_MS) is None


# A server key that others can read is refused, with what mends it.
def test_server_key_is_private(instance):
    instance.stop()
    (instance.data / "trust" / "zmq" / "server.key").chmod(0o644)
    instance.launch()
    assert instance.process.wait(osiris.WAIT_S) != 0
    instance.process = None
    assert "chmod 600" in instance.log()
