"""What a hostile or broken program can send: each gets an error that says why, nothing stored is
lost, and the others go on."""
import contextlib
import json
import os
import resource
import select
import socket
import subprocess
import time

import pytest

import abuse
import impostor
import osiris


@pytest.fixture
def witness(daemon):
    """A client that was there before, and must not notice anything."""
    with osiris.Client(daemon.port) as client:
        kept = client.call("KB_PUT", document={"data": "kept"})["id"]
        yield client
        assert client.call("KB_GET", id=kept)["document"]["data"] == "kept"
    assert daemon.put("written afterwards")


def error_of(client):
    """The ERROR that a connection ends with."""
    error = client.receive()
    assert error is not None, "closed without a word"
    assert error["type"] == "ERROR", error
    assert error["message"]
    assert client.is_closed()
    return error["code"]


def refused(daemon, data, end=False):
    """Sends bytes on a new connection, ends our direction if `end`, returns the error's code."""
    with osiris.Client(daemon.port) as client:
        client.send_bytes(data)
        if end:
            client.socket.shutdown(socket.SHUT_WR)
        return error_of(client)


MALFORMED = {
    "not JSON": b"hello, who is there?\n",
    "a bare value": b"12\n",
    "an array": b'["type","STATUS"]\n',
    "invalid UTF-8": b'{"type":"KB_GET","id":"\xff\xfe"}\n',
    "overlong UTF-8": b'{"type":"KB_GET","id":"\xc0\xaf"}\n',
    "a raw NUL": b'{"type":"KB_GET","id":"a\x00b"}\n',
    "a control character": b'{"type":"KB_GET","id":"a\x01b"}\n',
    "a trailing comma": b'{"type":"STATUS",}\n',
    "single quotes": b"{'type':'STATUS'}\n",
    "a number with a leading zero": b'{"type":"KB_LIST","limit":01}\n',
    "NaN": b'{"type":"KB_LIST","limit":NaN}\n',
    "a lone bracket": b"}\n",
}


# Bytes that are no frame are answered with MALFORMED, and the connection ends.
@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bytes_end_the_connection(daemon, witness, data):
    assert refused(daemon, data) == "MALFORMED"


# Nesting is refused at a named depth, long before it could cost memory or stack.
def test_nesting_100000_deep(daemon, witness):
    data = b'{"type":"KB_PUT","document":{"data":' + b"[" * 100000
    assert refused(daemon, data) == "TOO_LARGE"


# Half a value and then the end of the stream.
def test_half_a_value(daemon, witness):
    assert refused(daemon, b'{"type":"KB_PUT","document":{"da', end=True) == "MALFORMED"


# A length prefix over the limit, and bytes that are no protobuf behind a good one.
@pytest.mark.parametrize("data, code", [
    (b"\x00\xff\xff\xff" + b"x" * 100, "TOO_LARGE"),
    (b"\x00\x00\x00\x04\xff\xff\xff\xff", "MALFORMED"),
    (b"\x00\x00\x00\x02\x08", None),
], ids=["too long", "no protobuf", "half a frame"])
def test_protobuf_that_is_none(daemon, witness, data, code):
    with osiris.Client(daemon.port) as client:
        client.send_bytes(data)
        client.socket.shutdown(socket.SHUT_WR)
        answer = client.socket.recv(4096)
        assert answer[:1] == b"\0", "the ERROR is in the encoding that was spoken"
        assert client.is_closed()
        if code:
            assert answer  # an ERROR frame; its text stands in clear in protobuf too
            assert b"\x00" == answer[:1]


# An object that never ends is refused long before it fills the memory.
@pytest.mark.parametrize("beginning", [b'{"type":"KB_PUT","document":{"data":"', b'{"a":[',
                                       b'{"type":"STATUS"' + b" " * 1000],
                         ids=["string", "array", "white space"])
def test_a_gigabyte_without_an_end(daemon, witness, beginning):
    before = daemon.memory()
    filler = {b'{"a":[': b"1," * (1 << 19)}.get(beginning, b" " * (1 << 20))
    sent = 0
    with osiris.Client(daemon.port) as client:
        client.send_bytes(beginning)
        try:
            while sent < 1 << 30:
                client.send_bytes(filler)
                sent += len(filler)
        except (ConnectionError, TimeoutError):
            pass
    assert sent < 1 << 28, "it is hung up on"
    assert "TOO_LARGE" in daemon.log()
    assert daemon.memory() - before < 256 << 20


BAD_REQUESTS = {
    "an unknown type": ({"type": "KB_EXPLODE"}, "UNKNOWN_TYPE"),
    "no type": ({"id": "x"}, "UNKNOWN_TYPE"),
    "a type that is no text": ({"type": 7}, "INVALID_ARGUMENT"),
    "a reply as a request": ({"type": "KB_GET_REPLY"}, "INVALID_ARGUMENT"),
    "a number as id": ({"type": "KB_GET", "id": 7}, "INVALID_ARGUMENT"),
    "text as a number": ({"type": "KB_LIST", "limit": "many"}, "INVALID_ARGUMENT"),
    "a negative limit": ({"type": "KB_LIST", "limit": -1}, "INVALID_ARGUMENT"),
    "a limit of 2^64": ({"type": "KB_LIST", "limit": "18446744073709551616"}, "INVALID_ARGUMENT"),
    "acks of 2^32": ({"type": "KB_PUT", "document": {"data": 1}, "acks": 4294967296},
                     "INVALID_ARGUMENT"),
    "too many acks": ({"type": "KB_PUT", "document": {"data": 1}, "acks": 65}, "INVALID_ARGUMENT"),
    "a fraction as a limit": ({"type": "KB_LIST", "limit": 1.5}, "INVALID_ARGUMENT"),
    "an array as a document": ({"type": "KB_PUT", "document": []}, "INVALID_ARGUMENT"),
    "no document": ({"type": "KB_PUT"}, "INVALID_ARGUMENT"),
    "no data": ({"type": "KB_PUT", "document": {"id": "x"}}, "INVALID_ARGUMENT"),
    "an empty id": ({"type": "KB_GET", "id": ""}, "INVALID_ARGUMENT"),
    "an id of 129 bytes": ({"type": "KB_PUT", "document": {"id": "x" * 129, "data": 1}},
                           "TOO_LARGE"),
    "33 tags": ({"type": "KB_PUT", "document": {"data": 1, "tags": ["t"] * 33}}, "TOO_LARGE"),
    "a document that is not there": ({"type": "KB_GET", "id": "nothing"}, "NOT_FOUND"),
    "an update of nothing": ({"type": "KB_UPDATE", "document": {"id": "nothing", "data": 1}},
                             "NOT_FOUND"),
    "too many hits": ({"type": "KB_SEARCH", "query": "x", "limit": 1001}, "INVALID_ARGUMENT"),
    "an empty query": ({"type": "KB_SEARCH", "query": ""}, "INVALID_ARGUMENT"),
    "an import of nothing": ({"type": "KB_IMPORT", "documents": []}, "INVALID_ARGUMENT"),
    "an operation for administrators": ({"type": "REBUILD"}, "PERMISSION_DENIED"),
    "a resend by a stranger": ({"type": "FEEDS_RESEND", "peer": "x", "from_sequence": 1},
                               "PERMISSION_DENIED"),
}


# A request that is wrong fails by itself: it is answered under its id, and where the next frame
# begins is known, so the connection goes on.
@pytest.mark.parametrize("request_, code", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_bad_request_is_answered(daemon, witness, request_, code):
    with osiris.Client(daemon.port) as client:
        client.call("STATUS")
        client.send_bytes(json.dumps({"request_id": 41, **request_}).encode())
        error = client.receive()
        assert (error["type"], error["code"]) == ("ERROR", code)
        assert error["message"]
        assert error["request_id"] == 41
        assert client.call("STATUS")["name"] == "one"


# Lone surrogates and NUL escapes are carried in data and refused elsewhere; a member given
# twice is carried in data and refused elsewhere.
@pytest.mark.parametrize("text", [r'"\ud800"', r'"\u0000"', r'{"a":1,"a":2}'])
def test_odd_json_is_carried_in_data_alone(daemon, witness, text):
    with osiris.Client(daemon.port) as client:
        client.send_bytes(b'{"type":"KB_PUT","request_id":1,"document":{"data":%s}}'
                          % text.encode())
        reply = client.receive()
        assert reply["type"] == "KB_PUT_REPLY"
        client.send("KB_GET", request_id=2, id=reply["id"])
        while b"\n" not in client.received:
            client.received += client.socket.recv(1 << 16)
        assert text.encode() in client.received
        client.received = b""
        if text.startswith('"'):
            client.send_bytes(b'{"type":"KB_GET","request_id":3,"id":%s}' % text.encode())
            assert client.receive()["code"] in ("MALFORMED", "INVALID_ARGUMENT")


# A member of a frame that is given twice does not count twice: it is refused.
def test_doubled_members_of_a_frame(daemon, witness):
    with osiris.Client(daemon.port) as client:
        client.send_bytes(b'{"type":"KB_GET","request_id":1,"id":"a","id":"b"}')
        assert client.receive()["code"] in ("MALFORMED", "INVALID_ARGUMENT")


# A bare UPDATE_KB at a listener that is not for seed programs.
def test_update_kb_where_seeds_are_not_let_in(daemon, witness):
    with osiris.Client(daemon.port) as client:
        client.send("UPDATE_KB", data="psst")
        assert client.receive()["code"] == "PERMISSION_DENIED"
        reply = client.call("UPDATE_KB", data="with a request_id it is a put")
        assert reply["type"] == "KB_PUT_REPLY" and reply["id"]


# Replication messages of somebody who has not greeted.
@pytest.mark.parametrize("type", ["ACK", "FETCH", "PING", "UPDATE", "HELLO_PROOF"])
def test_replication_without_hello(daemon, witness, type):
    with osiris.Client(daemon.port) as client:
        client.send(type)
        assert error_of(client) == "INVALID_ARGUMENT"


@pytest.fixture
def peer(daemon):
    with impostor.Peer(daemon.port) as peer:
        yield peer


def link_error(peer):
    """The ERROR that a link ends with; what was sent before it is passed over."""
    code = peer.expect("ERROR")["code"]
    assert peer.is_closed()
    return code


# An impostor that keeps to the rules is believed: the other tests mean something.
def test_honest_impostor_is_believed(daemon, witness, peer):
    peer.offer(2)
    peer.send("UPDATE", **impostor.Feed(peer.identity).update(["one", "two"]))
    osiris.wait_for(lambda: peer.expect("ACK")["origin"] == peer.identity.instance, "an ACK")
    osiris.wait_for(lambda: daemon.count() == 3, "both entries")


# HELLO with another cluster, another protocol, an id that is not the key's.
@pytest.mark.parametrize("change, code", [
    ({"cluster": "elsewhere"}, "WRONG_CLUSTER"),
    ({"protocol": 99}, "UNSUPPORTED_VERSION"),
    ({"nonce": "AAAA"}, "INVALID_ARGUMENT"),
    ({"instance": "nobody"}, "INVALID_ARGUMENT"),
], ids=["cluster", "protocol", "nonce", "instance"])
def test_bad_hello(daemon, witness, peer, change, code):
    peer.hello.update(change)
    peer.send("HELLO", **peer.hello)
    assert link_error(peer) == code


# A proof by another key than the one the id is made from.
def test_forged_proof(daemon, witness, peer):
    peer.greet(sign=impostor.Identity().sign)
    assert link_error(peer) in ("BAD_SIGNATURE", "UNAUTHENTICATED")


# Entries before the proof are not taken.
def test_entries_without_proof(daemon, witness, peer):
    peer.send("HELLO", **peer.hello)
    peer.send("UPDATE", **impostor.Feed(peer.identity).update(["too early"]))
    assert link_error(peer) == "UNAUTHENTICATED"
    assert daemon.count() == 1


def forge_signature(update):
    update["signature"] = impostor.base64_text(bytes(64))


def forge_chain(update):
    update["chain"] = impostor.base64_text(bytes(32))


def forge_data(update):
    update["entries"][0]["document"]["data"] = "forged"


def forge_key(update):
    update["public_key"] = impostor.base64_text(impostor.Identity().public)


def leave_a_gap(update):
    update["first_sequence"] += 1
    for entry in update["entries"]:
        entry["sequence"] += 1


def jumble(update):
    update["entries"].reverse()


# A batch whose hashes, signature, key or sequences do not fit is not stored, and its sender is
# told which.
@pytest.mark.parametrize("forge, codes", [
    (forge_signature, {"BAD_SIGNATURE"}),
    (forge_chain, {"BAD_HASH"}),
    (forge_data, {"BAD_HASH"}),
    (forge_key, {"BAD_SIGNATURE", "INVALID_ARGUMENT"}),
    (jumble, {"SEQUENCE_GAP", "INVALID_ARGUMENT", "BAD_HASH"}),
], ids=["signature", "chain", "data", "key", "order"])
def test_forged_batch(daemon, witness, peer, forge, codes):
    peer.offer(2)
    update = impostor.Feed(peer.identity).update(["one", "two"])
    forge(update)
    peer.send("UPDATE", **update)
    assert link_error(peer) in codes
    assert daemon.count() == 1


# A gap is no lie: the daemon asks again for what lacks, and takes it when it comes.
def test_sequence_gap_is_asked_for(daemon, witness, peer):
    peer.offer(2)
    feed = impostor.Feed(peer.identity)
    first, second = feed.update(["one"]), feed.update(["two"])
    peer.send("UPDATE", **second)
    assert peer.expect_fetch() == 1
    assert daemon.count() == 1
    peer.send("UPDATE", **first)
    peer.send("UPDATE", **second)
    osiris.wait_for(lambda: daemon.count() == 3, "both entries")


# What was replayed is stored once.
def test_replay_changes_nothing(daemon, witness, peer):
    peer.offer(2)
    feed = impostor.Feed(peer.identity)
    first = feed.update(["one", "two"])
    for _ in range(20):
        peer.send("UPDATE", **first)
    osiris.wait_for(lambda: daemon.count() == 3, "two entries")
    for _ in range(20):
        peer.send("UPDATE", **first)
    peer.send("UPDATE", **feed.update(["three"]))
    osiris.wait_for(lambda: daemon.count() == 4, "three entries")
    assert daemon.call("STATUS")["entries"] == 4


# Somebody who says that he is the daemon itself.
def test_stolen_identity(daemon, witness, peer):
    peer.hello["instance"] = daemon.instance()
    peer.send("HELLO", **peer.hello)
    assert link_error(peer) == "DUPLICATE_IDENTITY"
    assert "DUPLICATE_IDENTITY" in daemon.log()


# A program that connects and says nothing is shown out.
def test_peer_that_says_nothing(daemon, witness):
    began = time.monotonic()
    with osiris.Client(daemon.port) as client:
        assert error_of(client) == "TIMEOUT"
    assert 5 < time.monotonic() - began < 20


# Who connects, talks nonsense and comes again does not fill the disk with the daemon's log; how
# much was left out is said.
def test_nonsense_does_not_fill_the_log(daemon, witness):
    began = time.monotonic()
    for _ in range(300):
        with osiris.Client(daemon.port) as client:
            client.send_bytes(b"nonsense")
            assert error_of(client) == "MALFORMED"
    osiris.wait_for(lambda: "more lines like these" in daemon.log(), "how many more there were")
    seconds = time.monotonic() - began
    lines = [line for line in daemon.log().splitlines() if "MALFORMED" in line]
    assert 1 <= len(lines) <= 10 * (seconds + 2)


# A program that asks for much and reads nothing costs little memory, and is closed in the end.
def test_client_that_reads_nothing(daemon, witness):
    with daemon.client() as client:
        for start in range(0, 40):
            client.call("KB_IMPORT", documents=[{"data": "x" * 10000, "id": f"{start}-{number}"}
                                                for number in range(100)])
    before = daemon.memory()
    with osiris.Client(daemon.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(50):
            client.ask("KB_LIST")
        time.sleep(3)
        grown = daemon.memory() - before
        assert grown < 128 << 20, f"{grown >> 20} MiB for one that reads nothing"
        osiris.wait_for(lambda: "read nothing" in daemon.log(), "it is closed", timeout_s=60)


def assert_has_not_grown(daemon, before):
    """Sanitizers keep what was freed: only a release build says how much is really held."""
    grown = daemon.memory() - before
    assert grown < (640 if abuse.is_sanitized() else 96) << 20, f"{grown >> 20} MiB more"


# A program that asks for many large documents at once costs the memory of a few, and gets all of
# them when it reads.
def test_many_large_answers_at_once(daemon, witness):
    for number in range(8):
        daemon.call("KB_PUT", document={"id": f"large-{number}", "data": "x" * 1000000})
    before = daemon.memory()
    wanted = 1000
    with osiris.Client(daemon.port) as client:
        client.send_bytes(b"".join(
            b'{"type":"KB_GET","request_id":%d,"id":"large-%d"}\n' % (1 + number, number % 8)
            for number in range(wanted)))
        time.sleep(3)
        assert_has_not_grown(daemon, before)
        answered = {client.receive()["request_id"] for _ in range(wanted)}
    assert answered == set(range(1, wanted + 1))


# Many programs that ask for everything, again and again, and read nothing: others get their lists
# and documents nevertheless, and the daemon holds no more for all of them than for a few.
def test_many_clients_that_read_nothing(daemon, witness):
    for number in range(20):
        daemon.call("KB_PUT", document={"id": f"large-{number}", "data": "x" * 900000})
    before = daemon.memory()
    with contextlib.ExitStack() as stack:
        for number in range(20):
            client = stack.enter_context(osiris.Client(daemon.port))
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(40):
                client.ask("KB_LIST")
                client.ask("KB_GET", id=f"large-{number}")
        assert witness.call("KB_GET", id="large-1")["document"]["data"]
        listed = [document["id"] for frame in witness.stream("KB_LIST")
                  for document in frame["documents"]]
        assert {f"large-{number}" for number in range(20)} <= set(listed)
        assert_has_not_grown(daemon, before)


def read_to_last_reply(clients):
    """Of all of them at once, as it comes."""
    tails = {client.socket: b"" for client in clients}
    while tails:
        for peer in select.select(list(tails), [], [], osiris.WAIT_S)[0]:
            data = peer.recv(1 << 18)
            assert data, "closed before the last reply"
            tails[peer] = tails[peer][-16:] + data
            if b'"end":true' in tails[peer]:
                while not data.endswith(b"\n"):
                    data = peer.recv(1 << 18)
                del tails[peer]


# Many who ask for much more than the daemon may hold for all of them, and read late: they take
# turns, and each gets everything.
def test_many_clients_that_read_late(daemon, witness):
    for number in range(12):
        daemon.call("KB_PUT", document={"id": f"large-{number}", "data": "x" * 900000})
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(osiris.Client(daemon.port)) for _ in range(60)]
        for client in clients:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
            client.ask("KB_LIST")
        time.sleep(1)
        read_to_last_reply(clients)


# Watches of one connection are few: the next one is refused, and they do not bar other requests.
def test_many_watches(daemon, witness):
    with osiris.Client(daemon.port) as client:
        for _ in range(16):
            client.ask("KB_WATCH", from_position=1000)
        with pytest.raises(osiris.Failure) as refusal:
            client.call("KB_WATCH", from_position=1000)
        assert refusal.value.code == "BUSY"
        assert client.call("STATUS")["name"] == "one"


# Made-up feeds do not keep a new instance from being followed.
def test_made_up_feeds_leave_room(daemon, witness, peer):
    peer.hello["held"] = [{"origin": impostor.Identity().instance, "stream": "kb", "epoch": 1,
                           "sequence": 1, "chain": impostor.base64_text(os.urandom(32))}
                          for _ in range(1024)]
    peer.greet()
    peer.expect("FETCH")
    with impostor.Peer(daemon.port) as honest:
        honest.offer(1)
        honest.send("UPDATE", **impostor.Feed(honest.identity).update(["hello"]))
        osiris.wait_for(lambda: daemon.count() == 2, "its entry")


# 10,000 connections: as many as are allowed are served, the others are told BUSY, and those who
# were there before go on. Nothing is left behind.
def test_ten_thousand_connections(daemon, witness):
    wanted = 10000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > wanted + 100, f"the system allows {hard} descriptors: raise ulimit -n"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = []
    try:
        for _ in range(wanted):
            connection = socket.create_connection(("127.0.0.1", daemon.port), 30)
            connections.append(connection)
        assert witness.call("STATUS")["name"] == "one"
        answers = [answer_at_once(connection) for connection in connections]
        assert answers.count("BUSY") >= wanted - 4096
        assert answers.count(None) >= 4000
    finally:
        for connection in connections:
            connection.close()
    osiris.wait_for(lambda: descriptors_of(daemon) < 100, "the connections are gone")
    assert witness.call("STATUS")["name"] == "one"


def answer_at_once(connection):
    """The code of an ERROR that is there already; None where there is no answer yet."""
    connection.setblocking(False)
    try:
        data = connection.recv(4096)
    except BlockingIOError:
        return None
    return json.loads(data)["code"] if data else "CLOSED"


def descriptors_of(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def failing_start(daemon):
    """Exit status and words of an osirisd that must not start."""
    done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


# A second osirisd on the same folder is refused, and the first goes on.
def test_data_folder_in_use(daemon, witness, make_daemon):
    second = make_daemon("one")
    status, words = failing_start(second)
    assert status == 75
    assert "in use" in words and str(daemon.process.pid) in words


def test_port_in_use(daemon, witness, make_daemon):
    status, words = failing_start(make_daemon("other", listen=[daemon.url]))
    assert status == 75
    assert str(daemon.port) in words


# A socket's path has at most 107 bytes; the flag that mends it is named.
def test_socket_path_too_long(folder, make_daemon):
    deep = make_daemon("x" * 120)
    deep.data = folder / ("d" * 120)
    deep.name = "deep"
    status, words = failing_start(deep)
    assert status != 0
    assert "107" in words


def test_foreign_file_in_the_place_of_the_socket(make_daemon):
    daemon = make_daemon()
    daemon.data.mkdir(mode=0o700)
    daemon.socket_path.write_text("mine")
    status, words = failing_start(daemon)
    assert status != 0 and "osiris.sock" in words
    assert daemon.socket_path.read_text() == "mine"
