"""Hostile peers at a TLS port, before they have shown who they are: floods, half-open and broken
handshakes, and what was recorded of others. Beside them a client and a link work on.

They come from addresses of their own (127.0.0.0/8 is all ours), because what the daemon deals out
it deals out by address. Its memory is bounded in a release build alone: sanitizers keep what was
freed."""
import collections
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

import abuse
import authority
import osiris
from test_trust import ca, make_member, url_of, wait_for_log  # noqa: F401

ACCESS = "access:\n  members:\n    'user:*': editor\n"
ATTACKER = "127.0.0.2"
HALF_OPEN = 4096
RESET = struct.pack("ii", 1, 0)  # leaves nothing in TIME_WAIT
ADDRESS_LIMIT = "turned away: at most 200 TLS handshakes a second from one address"
UNDER_WAY_LIMIT = "given up for later ones: at most 256 are under way"


@pytest.fixture
def pair(make_member, ca):  # noqa: F811
    """Two that are linked, and a client of the first: all go on working, and the link stays up."""
    one = make_member("one", ca, config=ACCESS).start()
    two = make_member("two", ca, peers=[url_of(one)]).start()
    one.put("before")
    osiris.wait_until_equal(one, two)
    abuse.forget_peak(one)
    with osiris.Client(one.port, tls=authority.client_context(ca, "user:ana")) as client:
        one.good = client
        good_call(one)
        yield one, two
        good_call(one)
    one.put("after")
    osiris.wait_until_equal(one, two)
    assert "no link:" not in two.log()
    if not abuse.is_sanitized():
        assert abuse.peak_memory(one) < abuse.MEMORY_MAX


@pytest.fixture
def one(pair):
    return pair[0]


def good_call(daemon):
    daemon.good.call("KB_PUT", document={"data": "good", "id": "good"})
    assert daemon.good.call("KB_GET", id="good")["document"]["data"] == "good"


def newcomer(daemon, context):
    """Somebody from another address than the attacker's who comes just now."""
    with osiris.Client(daemon.port, tls=context) as client:
        client.call("STATUS")


def connect(daemon, source=ATTACKER):
    peer = socket.socket()
    peer.settimeout(osiris.WAIT_S)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.bind((source, 0))
    with contextlib.suppress(ConnectionResetError):  # it may be turned away as soon as this
        peer.connect(("127.0.0.1", daemon.port))
    return peer


def send(peer, data):
    """Whether it could be sent: the daemon may have closed already."""
    try:
        peer.sendall(data)
        return True
    except OSError:
        return False


def receive_all(peer):
    """What comes until the daemon closes, in whatever way."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := peer.recv(1 << 16):
            data += piece
    return data


class Handshake:
    """A client's side, by hand: each flight is bytes that can be cut, kept or sent twice."""

    def __init__(self, context):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.is_done = False

    def flight(self, received=b""):
        self.incoming.write(received)
        try:
            self.tls.do_handshake()
            self.is_done = True
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def run(self, peer):
        """Up to the end; returns all that was sent."""
        sent = self.flight()
        peer.sendall(sent)
        while not self.is_done:
            more = self.flight(peer.recv(1 << 16))
            peer.sendall(more)
            sent += more
        return sent

    def write(self, data):
        self.tls.write(data)
        return self.outgoing.read()


def hello_of(context):
    return Handshake(context).flight()


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


# ---- floods ----


class Flood:
    """One ClientHello over and over, from one address; each is answered with all of the daemon's
    flight, and left after a while."""

    KEPT = 1000
    PAUSE_S = 0.001  # about 1,000 a second

    def __init__(self, daemon, hello):
        self.daemon, self.hello = daemon, hello
        abuse.files_max()
        self.begun = self.answered = 0
        self.is_over = False
        self.thread = threading.Thread(target=self.work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    def work(self):
        peers = collections.deque()
        while not self.is_over or peers:
            if not self.is_over:
                peers.append(connect(self.daemon))
                self.begun += 1
                send(peers[-1], self.hello)
                time.sleep(self.PAUSE_S)
            if self.is_over or len(peers) > self.KEPT:
                self.leave(peers.popleft())

    def leave(self, peer):
        with peer, contextlib.suppress(OSError):  # nothing has come, or it was turned away
            peer.setblocking(False)
            self.answered += bool(peer.recv(1))


# 1,000 handshakes a second from one address: a client and a link that are up work on, somebody else
# who comes gets in, and the log says what is refused in a few lines.
def test_flood_of_one_address(pair, ca):  # noqa: F811
    one, two = pair
    context = authority.client_context(ca, "user:ben")
    calls = 0
    with Flood(one, hello_of(context)) as flood:
        begun = time.monotonic()
        while time.monotonic() < begun + 5:
            good_call(one)
            two.put("over the link")
            newcomer(one, context)
            calls += 1
        osiris.wait_until_equal(one, two)
        wait_for_log(one, f"{ADDRESS_LIMIT}|{UNDER_WAY_LIMIT}")
    seconds = time.monotonic() - begun
    print(f"{flood.begun} begun, {flood.answered} answered, {calls} good rounds in {seconds:.1f} s")
    assert flood.answered < flood.begun
    assert one.log().count(ADDRESS_LIMIT) <= 1 + seconds / 10


# A burst of good clients from one address, more than may begin at once, gets in to the last.
def test_burst_of_good_clients(one, ca):  # noqa: F811
    context = authority.client_context(ca, "user:ben")
    failures = []

    def work():
        try:
            newcomer(one, context)
        except (OSError, osiris.Failure) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# ---- half-open ----


def half_record(context):
    return hello_of(context)[:100]


STAGES = {
    "no byte": lambda context: b"",
    "half a record": half_record,
    "hello": hello_of,
}


def open_half(stack, daemon, words, count):
    for number in range(count):
        peer = stack.enter_context(connect(daemon, f"127.0.1.{number % 16 + 1}"))
        send(peer, words)
        yield peer


# Half-open handshakes by the thousand, from many addresses: those who came first go, the memory
# stays within its bound, and others get in.
@pytest.mark.parametrize("stage", STAGES)
def test_half_open(one, ca, stage):  # noqa: F811
    context = authority.client_context(ca, "user:ben")
    count = min(HALF_OPEN, abuse.files_max())
    with contextlib.ExitStack() as stack:
        for _ in open_half(stack, one, STAGES[stage](context), count):
            pass
        good_call(one)
        osiris.wait_for(lambda: is_let_in(one, context), "others get in")
    wait_for_log(one, f"{ADDRESS_LIMIT}|{UNDER_WAY_LIMIT}")


def is_let_in(daemon, context):
    try:
        newcomer(daemon, context)
        return True
    except OSError:
        return False


# More than may be under way at once, each within what its address may begin: the oldest go, and
# somebody else gets in beside them.
def test_half_open_crowd_each_other_out(one, ca):  # noqa: F811
    context = authority.client_context(ca, "user:ben")
    with contextlib.ExitStack() as stack:
        peers = []
        for number in range(400):
            peers.append(stack.enter_context(connect(one, f"127.0.2.{number % 4 + 1}")))
            peers[-1].sendall(hello_of(context))
            time.sleep(0.005)
        wait_for_log(one, UNDER_WAY_LIMIT)
        newcomer(one, context)
        for peer in peers[:4]:
            receive_all(peer)  # hung up on; else this would time out


# Who is silent behind the server's flight is hung up on, and told nothing that others may know.
def test_silence_behind_the_servers_flight(one, ca):  # noqa: F811
    with connect(one) as peer:
        peer.sendall(hello_of(authority.client_context(ca, "user:ben")))
        assert receive_all(peer) != b""
    wait_for_log(one, "no TLS handshake within 10000 ms")


# 1,000 that are closed in the middle leave neither descriptors nor memory behind.
def test_closed_in_the_middle(one, ca):  # noqa: F811
    hello = hello_of(authority.client_context(ca, "user:ben"))

    def close_many(count):
        for number in range(count):
            with connect(one, f"127.0.3.{number % 200 + 1}") as peer:
                send(peer, hello[:(len(hello) * (number % 5)) // 4])
                if number % 5 == 4:
                    with contextlib.suppress(OSError):
                        peer.recv(1)

    files = open_files(one)
    close_many(100)  # what is made once is made
    memory = one.memory()
    close_many(1000)
    osiris.wait_for(lambda: open_files(one) <= files, "all are closed")
    if not abuse.is_sanitized():
        assert one.memory() < memory + (8 << 20)


# ---- broken, old, recorded ----


# Each flight cut off behind some of its bytes: the handshake fails, and nobody is let in.
@pytest.mark.parametrize("flight", [0, 1])
def test_truncated(one, ca, flight):  # noqa: F811
    context = authority.client_context(ca, "user:ben")
    size = 1 << 20
    cut = 1
    while cut < size:
        with connect(one) as peer:
            handshake = Handshake(context)
            words = handshake.flight()
            for _ in range(flight):
                peer.sendall(words)
                words = b""
                while words == b"":
                    words = handshake.flight(peer.recv(1 << 16))
            size = len(words)
            peer.sendall(words[:cut])
            peer.shutdown(socket.SHUT_WR)
            answer = receive_all(peer)
            assert not application_data(handshake, answer)
        cut = cut * 3
    good_call(one)


def application_data(handshake, answer):
    """What the daemon said to somebody whose handshake it took for done."""
    handshake.incoming.write(answer)
    with contextlib.suppress(ssl.SSLError):
        if handshake.is_done:
            return handshake.tls.read()
    return b""


# What was recorded of somebody who was let in lets in nobody: neither the ClientHello alone nor all
# that the client sent, with what it wrote behind it.
def test_replay(one, ca):  # noqa: F811
    handshake = Handshake(authority.client_context(ca, "user:ben"))
    words = b'{"type":"KB_PUT","request_id":1,"document":{"id":"replayed","data":"%s"}}\n'
    with connect(one) as peer:
        sent = handshake.run(peer)
        sent += (written := handshake.write(words % b"once"))
        peer.sendall(written)
        osiris.wait_for(lambda: is_there(one, "replayed"), "the write that is recorded")
    one.call("KB_DELETE", id="replayed")
    hello = sent[:5 + int.from_bytes(sent[3:5], "big")]
    for replayed in sent, sent[len(hello):], hello + sent:
        with connect(one) as peer:
            send(peer, replayed)
            receive_all(peer)
    assert not is_there(one, "replayed")
    good_call(one)


def is_there(daemon, id):
    try:
        return bool(daemon.call("KB_GET", id=id))
    except osiris.Failure as failure:
        assert failure.code == "NOT_FOUND"
        return False


GARBAGE = {
    "zeros": bytes(1 << 16),
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(1 << 16),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "data before the handshake": b"\x17\x03\x03\x00\x10" + bytes(16),
    "plaintext": b'{"type":"STATUS","request_id":1}\n',
    "HTTP/2": abuse.http2.PREFACE,
    "a hello of SSL 2": b"\x80\x2e\x01\x00\x02" + bytes(43),
    "noise": bytes((number * 167 + 13) % 251 for number in range(1 << 16)),
}


# Bytes that are no handshake end the connection, and nothing but an alert comes back.
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage(one, name):
    with connect(one) as peer:
        send(peer, GARBAGE[name])
        answer = receive_all(peer)
    assert answer == b"" or answer[0] == 0x15
    good_call(one)


# TLS 1.2 and older are refused in words that an owner understands.
def test_older_versions(one, ca):  # noqa: F811
    context = authority.client_context(ca, "user:ben", version=ssl.TLSVersion.TLSv1_2)
    with connect(one) as peer:
        peer.sendall(hello_of(context))
        answer = receive_all(peer)
    assert answer[0] == 0x15  # an alert
    wait_for_log(one, r"TLS 1\.[23]")


# ---- what is left in memory ----


PASSWORD = "correct-horse-battery-staple"
HALF_PASSWORD = "wrong-horse-battery-staple"


def occurrences(process, marker):
    """How often the bytes stand in what the process may write to: what a core dump would have."""
    count = 0
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb") as memory:
        for line in maps:
            span, rights, *_, name = line.split(maxsplit=5) if line.count(" ") > 5 else [
                *line.split(), ""]
            if "w" not in rights or name.strip() == "[vvar]":
                continue
            begin, end = (int(place, 16) for place in span.split("-"))
            with contextlib.suppress(OSError):  # reserved, and never there
                memory.seek(begin)
                count += memory.read(end - begin).count(marker)
    return count


def assert_wiped(daemon, secret):
    assert occurrences(daemon.process.pid, secret.encode()) == 0


def half_a_login(daemon, connect_client):
    """A password whose frame is not complete is there, or else nobody would find one that is left."""
    with connect_client() as client:
        client.send_bytes(b'{"type":"LOGIN","request_id":1,"password":"%s","user"'
                          % HALF_PASSWORD.encode())
        osiris.wait_for(lambda: occurrences(daemon.process.pid, HALF_PASSWORD.encode()),
                        "half a frame is seen")
    osiris.wait_for(lambda: occurrences(daemon.process.pid, HALF_PASSWORD.encode()) == 0,
                    "half a frame is wiped")


# Behind a login no part of the daemon's memory has the password, nor the token that was given, nor
# one that was shown: by frames over TLS and over the data folder's socket, right or wrong, whole, in
# pieces, or not to be understood.
@pytest.mark.parametrize("way", ["tls", "unix"])
def test_no_secret_stays_in_memory(make_member, ca, way):  # noqa: F811
    if abuse.is_sanitized():
        pytest.skip("the sanitizers' own memory is too large to look through")
    one = make_member("one", ca, auth="password", config=ACCESS).start()

    def client():
        if way == "unix":
            return one.client()
        return osiris.Client(one.port, tls=authority.client_context(ca))

    one.call("USER_PUT", user="ana", roles=["reader"], password=PASSWORD)
    assert_wiped(one, PASSWORD)
    with client() as ana:
        token = ana.call("LOGIN", user="ana", password=PASSWORD)["token"]
        assert_wiped(one, PASSWORD)
        if way == "tls":
            assert_wiped(one, token)
        ana.call("AUTHENTICATE", token=token)
        if way == "tls":
            assert_wiped(one, token)
    with client() as ana:
        for wrong in {"password": PASSWORD + "?"}, {"password": PASSWORD, "user": 7}:
            with pytest.raises(osiris.Failure):
                ana.call("LOGIN", **{"user": "ana", **wrong})
        words = b'{"type":"LOGIN","request_id":77,"user":"ana","password":"%s"}\n' % PASSWORD.encode()
        for piece in range(0, len(words), 7):
            ana.send_bytes(words[piece:piece + 7])
            time.sleep(0.01)
        assert "token" in ana.receive()
    assert_wiped(one, PASSWORD)
    half_a_login(one, client)


# ---- passwords ----


# Logins by the hundred, from many addresses: as many as the one thread can look at in a second
# wait, the others are told when to come again, and the owner can still change a password.
def test_flood_of_logins(make_member, ca):  # noqa: F811
    one = make_member("one", ca, auth="password").start()
    one.call("USER_PUT", user="ana", roles=["reader"], password=PASSWORD)
    answers = []
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(100):
            client = stack.enter_context(osiris.Client(one.port, tls=authority.client_context(ca),
                                                       source=f"127.0.4.{number + 1}"))
            clients.append(client)
        for number, client in enumerate(clients):
            for attempt in range(3):
                client.ask("LOGIN", user=f"user {number} {attempt}", password="wrong one")
        one.call("USER_PUT", user="ben", roles=["reader"], password=PASSWORD)
        answers = [client.receive() for client in clients for _ in range(3)]
    codes = collections.Counter(answer["code"] for answer in answers)
    assert set(codes) == {"BUSY", "UNAUTHENTICATED"} and codes["UNAUTHENTICATED"] >= 32, codes
    busy = next(answer for answer in answers if answer["code"] == "BUSY")
    assert "passwords wait" in busy["message"] and "try again in" in busy["hint"]
    with osiris.Client(one.port, tls=authority.client_context(ca)) as client:
        assert client.call("LOGIN", user="ana", password=PASSWORD)["token"]
    if not abuse.is_sanitized():
        assert one.memory() < abuse.MEMORY_MAX


# A watcher whose token is revoked is told at once, though nothing is written.
def test_idle_watch_ends_with_its_token(make_member, ca):  # noqa: F811
    one = make_member("one", ca, auth="token").start()
    made = one.call("TOKEN_CREATE", name="ci", roles=["reader"])
    with osiris.Client(one.port, tls=authority.client_context(ca)) as client:
        client.call("AUTHENTICATE", token=made["token"])
        client.ask("KB_WATCH", position=1)
        one.put("seen")
        assert client.receive()["type"] == "KB_WATCH_REPLY"
        one.call("REVOKE", token=made["id"])
        answer = client.receive()
        assert (answer["type"], answer["code"]) == ("ERROR", "UNAUTHENTICATED")


class Login:
    """`osiris login` as a process that can be looked into while it runs: it stops before it tells
    what became of it, because nobody takes its words."""

    def __init__(self, folder, port, scheme, ca):  # noqa: F811
        for name, text in (("password", PASSWORD + "\n"), ("ca.pem", ca.pem.decode())):
            path = folder / name
            path.touch(0o600)
            path.write_text(text)
        self.kept = folder / ".config"
        self.reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, bytes(1 << 12)):
                pass
        os.set_blocking(writer, True)
        self.process = subprocess.Popen(
            [osiris.program("osiris"), "login", f"{scheme}://127.0.0.1:{port}", "ana",
             "--password-file", str(folder / "password"), "--ca", str(folder / "ca.pem")],
            stdout=writer, stderr=writer,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": ""})
        os.close(writer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.reader)

    def shows(self):
        return occurrences(self.process.pid, PASSWORD.encode())

    def is_stuck(self):
        """It is about to tell what became of it."""
        with open(f"/proc/{self.process.pid}/wchan") as wchan:
            return "pipe" in wchan.read()


# Nor does the command line's, once it has shown it: neither by frames nor by gRPC.
@pytest.mark.parametrize("scheme", ["tls", "grpcs"])
def test_no_password_stays_in_the_command_line(make_member, ca, folder, scheme):  # noqa: F811
    if abuse.is_sanitized():
        pytest.skip("the sanitizers' own memory is too large to look through")
    one = make_member("one", ca, auth="password").start()
    one.call("USER_PUT", user="ana", roles=["reader"], password=PASSWORD)
    with Login(folder, one.port, scheme, ca) as login:
        osiris.wait_for(login.is_stuck, "the login is done")
        assert login.kept.exists(), "it was let in"
        assert login.shows() == 0
    assert_wiped(one, PASSWORD)
