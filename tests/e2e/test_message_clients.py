"""Ordinary clients of brokers and of ZeroMQ: requests that come as messages, and the programs in
docs/clients.md that send them, as they stand there."""
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import pytest

import messages
import osiris
from asking import OK
from mosquitto import Mosquitto
from rabbitmq import Rabbitmq

# Requests in a row; more by tools/soak.
MANY = {"mqtt": 20000, "amqp": 2000, "zmq": 2000}
REQUESTS = int(os.environ.get("OSIRIS_REQUESTS", 0))
# Held by the broker for who does not keep up; by default it loses all but a thousand.
HOLDS_ALL = ["max_queued_messages 0", "max_queued_bytes 0", "set_tcp_nodelay true"]
DOCUMENT = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/clients.md"
CARRIERS = ("mqtt", "amqp", "zmq")
PORTS = {"mqtt": "1883", "amqp": "5672", "zmq": "7401"}  # in the programs


@pytest.fixture(scope="module")
def brokers():
    """One of each, which no test ends."""
    with tempfile.TemporaryDirectory(prefix="osr-") as path:
        folder = pathlib.Path(path)
        with Mosquitto(folder, settings=HOLDS_ALL) as mosquitto, Rabbitmq(folder) as rabbitmq:
            yield {"mqtt": mosquitto.start(), "amqp": rabbitmq.start()}


class Place:
    """An instance that takes requests over one carrier, of client:robot; at a broker the address is
    this test's own."""

    def __init__(self, carrier, daemon, brokers, role="editor", address=None):
        self.carrier = carrier
        self.daemon = daemon
        self.broker = brokers.get(carrier)
        self.address = address or f"osiris/{random.randrange(10**9)}"
        self.port = self.broker.port if self.broker else osiris.free_port()
        daemon.data.mkdir(mode=0o700, exist_ok=True)
        config = daemon.data / "osirisd.yaml"
        members = f'\n  members:\n    "client:robot": {role}' if role else " {}"
        config.write_text(f"access:{members}\n")
        self.keys = messages.zmq_keys(daemon.data, "robot") if carrier == "zmq" else None
        daemon.listen.append(self.url())

    def url(self):
        if self.carrier == "zmq":
            return f"zmq://127.0.0.1:{self.port}?for=clients"
        return self.broker.url(self.address, **{"for": "clients", "as": "robot"})

    def start(self):
        self.daemon.start()
        self.wait()
        return self

    def wait(self):
        osiris.wait_for(lambda: ": takes requests" in self.daemon.log(), "it takes requests")

    def client(self):
        if self.carrier == "mqtt":
            return messages.Mqtt(self.port, self.address)
        if self.carrier == "amqp":
            return messages.Amqp(self.port, self.address)
        return messages.Zmq(self.port, self.keys)


@pytest.fixture(params=CARRIERS)
def place(request, make_daemon, brokers):
    return Place(request.param, make_daemon(), brokers).start()


def put(number, **fields):
    frame = {"type": "KB_PUT", "document": {"id": f"d{number}", "data": number}, **fields}
    return json.dumps(frame).encode()


# ---- requests ----


# What is asked is done, and answered with the correlation data and the codec of the question.
def test_answers_where_the_message_says(place):
    client = place.client()
    client.send(put(1), correlation=b"one")
    body, correlation, content_type = client.receive_whole()
    assert json.loads(body)["id"] == "d1"
    assert correlation == b"one"
    assert content_type == (None if place.carrier == "zmq" else "application/json")
    client.send(b"---\ntype: KB_GET\nid: d1\n...\n", correlation=b"two")
    body, correlation, content_type = client.receive_whole()
    assert body.startswith(b"---\ntype: KB_GET_REPLY\n") and body.endswith(b"...\n")
    assert correlation == b"two"
    assert content_type == (None if place.carrier == "zmq" else "application/yaml")
    client.close()


# Each reply frame of several is a message of its own, and the last one says so.
def test_list_comes_in_several_messages(place):
    for number in range(250):
        place.daemon.call("KB_PUT", document={"id": f"d{number}", "data": number})
    frames = messages.Frames(place.client())
    replies = list(frames.stream("KB_LIST", request_id=7))
    assert len(replies) > 1
    assert [reply.get("end", False) for reply in replies] == [False] * (len(replies) - 1) + [True]
    assert sum(len(reply.get("documents", [])) for reply in replies) == 250
    frames.close()


# A message may hold several requests; UPDATE_KB needs no number, and a request no answer.
def test_message_of_several_requests(place):
    client = place.client()
    update = {"type": "UPDATE_KB", "data": {"text": "as a seed program says it"}}
    client.send(json.dumps(update).encode() + put(1) + b"\n" + put(2), wants_reply=False)
    osiris.wait_for(lambda: place.daemon.count() == 3, "all three are done")
    client.close()


# What would never end, and what is between instances, has no place in a message.
def test_what_is_no_request(place):
    frames = messages.Frames(place.client())
    assert frames.ask("KB_WATCH", {}) == "INVALID_ARGUMENT"
    for type in ("HELLO", "UPDATE", "ACK", "PING"):
        assert frames.first_answer(type, {}) == "INVALID_ARGUMENT"
    assert frames.ask("STATUS", {}) == OK
    assert place.daemon.call("FEEDS")["feeds"] is not None
    frames.close()


# Garbage is answered with an ERROR, whatever it is, and harms nobody.
def test_garbage(place):
    client = place.client()
    seeded = random.Random(5)
    garbage = [seeded.randbytes(size) for size in (1, 7, 100, 5000, 300000)]
    garbage += [b"{", b"[" * 100000, b'{"type":"KB_PUT"', b"\0\0\0\5abc", b"\0\xff\xff\xff",
                b"--- [", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                b'{"type":"KB_GET","id":7,"id":8}', b'{"type":"NOTHING"}']
    for bytes in garbage:
        client.send(bytes)
    for bytes in garbage:
        body = client.receive()
        assert body is not None and b"ERROR" in body or body.startswith(b"\0"), bytes[:100]
    assert client.receive(timeout_s=0.2) is None
    frames = messages.Frames(client)
    assert frames.ask("STATUS", {}) == OK
    frames.close()


# A role says what a client may; without one it may nothing.
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("role, codes", [("reader", (OK, "PERMISSION_DENIED")),
                                         (None, ("PERMISSION_DENIED", "PERMISSION_DENIED"))])
def test_roles_of_clients(carrier, role, codes, make_daemon, brokers):
    frames = messages.Frames(Place(carrier, make_daemon(), brokers, role).start().client())
    fields = {"document": {"data": 1}}
    assert (frames.ask("KB_LIST", {}), frames.ask("KB_PUT", fields)) == codes
    assert frames.first_answer("UPDATE_KB", {"data": 1}) == codes[1]
    frames.close()


# Many at a time: each is done once, and answered once.
def test_many_requests(place):
    count = REQUESTS or MANY[place.carrier]
    client = place.client()
    waiting = set()
    for number in range(count):
        client.send(put(number, request_id=number + 1))
        waiting.add(number + 1)
        while len(waiting) > 500 or (waiting and number == count - 1):
            reply = json.loads(client.receive())
            assert reply["type"] == "KB_PUT_REPLY", reply
            waiting.remove(reply["request_id"])
    assert place.daemon.count() == count
    assert client.receive(timeout_s=0.2) is None
    client.close()


# Who asks for much and never takes it does not stop the others: what the broker says about replies
# must not wait behind requests.
def test_greedy_client(make_daemon, brokers):
    place = Place("mqtt", make_daemon(), brokers).start()
    place.daemon.call("KB_PUT", document={"id": "large", "data": "x" * 100000})
    greedy = messages.Mqtt(place.port, place.address)
    greedy.client.max_inflight_messages_set(1500)
    for _ in range(1500):
        greedy.send(b'{"type":"KB_GET","id":"large"}', reply_to="nobody/listens")
    assert messages.Frames(place.client()).call("STATUS")["type"] == "STATUS_REPLY"
    greedy.close()


# ---- what fails ----


def publish_durably(broker, queue, bodies):
    """Each is the broker's own from then on."""
    connection = broker.connect()
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    import pika
    for body in bodies:
        channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2))
    connection.close()


# The broker is killed while requests wait in its queue, and the instance, too: none is lost, and by
# its id each is there once.
def test_broker_and_instance_are_killed_in_between(make_daemon, folder):
    with Rabbitmq(folder) as broker:
        broker.start()
        place = Place("amqp", make_daemon(), {"amqp": broker}, address="osiris/kb")
        count = 3000
        publish_durably(broker, place.address, (put(number) for number in range(count)))
        place.daemon.start()
        osiris.wait_for(lambda: place.daemon.count() > 100, "some are done")
        broker.kill()
        before = place.daemon.count()
        assert before < count
        broker.start()
        osiris.wait_for(lambda: place.daemon.count() > before, "it goes on")
        place.daemon.kill()
        place.daemon.start()
        osiris.wait_for(lambda: place.daemon.count() == count, "all are done")
        osiris.wait_for(lambda: broker.queues()[place.address] == 0, "the broker knows it")
        assert place.daemon.count() == count


# A broker that is not there yet is no error, and neither is one that goes and comes.
def test_broker_comes_later(make_daemon, folder):
    with Mosquitto(folder, settings=HOLDS_ALL) as broker:
        place = Place("mqtt", make_daemon(), {"mqtt": broker})
        place.daemon.start()
        osiris.wait_for(lambda: "takes no requests" in place.daemon.log(), "it says so")
        broker.start()
        place.wait()
        frames = messages.Frames(place.client())
        assert frames.ask("STATUS", {}) == OK
        frames.close()


# Over ZeroMQ nobody comes in whose key is not known, and nobody without one.
def test_zmq_takes_known_keys_alone(make_daemon, brokers):
    import zmq
    place = Place("zmq", make_daemon(), brokers).start()
    public, secret = zmq.curve_keypair()
    stranger = messages.Zmq(place.port, messages.ZmqKeys(place.keys.server, public, secret))
    stranger.send(put(1))
    known = messages.Frames(place.client())
    assert known.ask("STATUS", {}) == OK
    assert stranger.receive(timeout_s=0.5) is None
    assert place.daemon.count() == 0
    stranger.close()
    known.close()


# ---- configuration ----

REFUSED = {
    "tcp://127.0.0.1:1?for=clients": "for=clients goes with mqtt",
    "mqtt://127.0.0.1/osiris/kb?for=clients": "does not say who sends",
    "zmq://127.0.0.1:1?for=clients&as=robot": "by their keys",
    "mqtt://127.0.0.1/osiris/kb?as=robot": "goes with for=clients",
    "mqtt://broker.example/osiris/kb?for=clients&as=robot": "on the way to the broker",
    "mqtt://127.0.0.1/osiris/kb?for=clients&as=robot&peer=seed": "seed programs",
}


@pytest.mark.parametrize("option, url, why", [
    *(("--listen", url, why) for url, why in REFUSED.items()),
    ("--peer", "mqtt://127.0.0.1/osiris/kb?for=clients&as=robot", "is for listeners")])
def test_addresses_that_are_refused(option, url, why, folder):
    done = subprocess.run([osiris.program("osirisd"), "--data", folder / "one", option, url],
                          capture_output=True, text=True, timeout=osiris.WAIT_S)
    assert done.returncode == 78
    assert why in done.stderr


# ---- the programs of docs/clients.md ----


def program_of(chapter, carrier):
    text = DOCUMENT.read_text().split(f"\n## {chapter}")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)[CARRIERS.index(carrier)]


def work_at(place, folder):
    """A folder with what the pages say is there."""
    work = folder / "work"
    work.mkdir()
    if place.keys:
        (work / "server.key").write_bytes(place.keys.server + b"\n")
        (work / "robot.key").write_bytes(b"robot " + place.keys.secret + b"\n")
    return work


def write_program(text, carrier, port, work):
    path = work / "program.py"
    path.write_text(text.replace(PORTS[carrier], str(port)))
    return [sys.executable, path]


def environment():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("role", ["editor", "reader", None])
def test_program_that_asks(carrier, role, make_daemon, brokers, folder):
    place = Place(carrier, make_daemon(), brokers, role).start()
    work = work_at(place, folder)
    text = program_of("Through a broker", carrier).replace("osiris/kb", place.address)
    done = subprocess.run(write_program(text, carrier, place.port, work), cwd=work,
                          env=environment(), capture_output=True, text=True, timeout=osiris.WAIT_S)
    if role == "editor":
        assert (done.returncode, done.stdout) == (0, "Ana likes tea\n"), done.stderr
    else:
        assert done.returncode == 1
        assert done.stderr.startswith("PERMISSION_DENIED: client:robot may not"), done.stderr
