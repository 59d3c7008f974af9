"""What an instance publishes of its knowledge base, read by ordinary programs: paho-mqtt, pika and
pyzmq, with mosquitto and RabbitMQ as Debian ships them."""
import json
import pathlib
import re
import signal
import subprocess
import sys
import threading

import paho.mqtt.client as paho
import pika
import pytest
import yaml
import zmq
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import cli
import contract
import osiris
from mosquitto import Mosquitto
from rabbitmq import Rabbitmq
from withholding import Withholding

ADDRESS = "osiris/events"
HOLDS_ALL = ["max_queued_messages 0"]  # else it drops what a reader does not take at once


# ---- those who read ----

class MqttReader:
    """A session that the broker keeps: it misses nothing."""

    def __init__(self, broker, filter="kb/#"):
        self.messages = []  # (topic, content type, body)
        self.is_subscribed = False
        self.client = paho.Client(client_id="reader", protocol=paho.MQTTv5)
        self.client.on_connect = lambda client, *_: client.subscribe(f"{ADDRESS}/{filter}", qos=1)
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", broker.port, clean_start=False, properties=session)
        self.client.loop_start()
        osiris.wait_for(lambda: self.is_subscribed, "the reader is subscribed")

    def _on_subscribe(self, *_):
        self.is_subscribed = True

    def _on_message(self, _client, _context, message):
        topic = message.topic[len(ADDRESS) + 1:]
        self.messages.append((topic, message.properties.ContentType, message.payload))

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class AmqpReader:
    """A durable queue, bound to all changes."""

    def __init__(self, broker, filter="kb.#"):
        self.messages = []
        self.broker = broker
        self.filter = filter
        self.is_closing = False
        self.is_bound = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        osiris.wait_for(lambda: self.is_bound, "the reader's queue is bound")

    def _consume(self):
        with self.broker.connect() as connection:
            channel = connection.channel()
            channel.exchange_declare(ADDRESS, "topic", durable=True)
            channel.queue_declare("reader", durable=True)
            channel.queue_bind("reader", ADDRESS, self.filter)
            self.is_bound = True
            for method, properties, body in channel.consume("reader", inactivity_timeout=0.1):
                if self.is_closing:
                    return
                if method is not None:
                    topic = method.routing_key.replace(".", "/")
                    self.messages.append((topic, properties.content_type, body))
                    channel.basic_ack(method.delivery_tag)

    def _run(self):
        while not self.is_closing:
            try:
                self._consume()
            except (pika.exceptions.AMQPError, OSError):
                threading.Event().wait(0.2)

    def close(self):
        self.is_closing = True
        self.thread.join()


class ZmqReader:
    def __init__(self, keys, port, prefix="kb"):
        self.messages = []
        self.is_closing = False
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.curve_serverkey, self.socket.curve_secretkey = keys
        self.socket.curve_publickey = zmq.curve_public(keys[1])
        self.socket.rcvtimeo = 100
        self.socket.connect(f"tcp://127.0.0.1:{port}")
        self.socket.subscribe(prefix)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.is_closing:
            try:
                topic, body = self.socket.recv_multipart()
            except zmq.Again:
                continue
            self.messages.append((topic.decode(), None, body))
        self.socket.close(linger=0)

    def close(self):
        self.is_closing = True
        self.thread.join()


# ---- the places ----

@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory):
    """One for all: it takes long to start."""
    with Rabbitmq(tmp_path_factory.mktemp("events")).start() as broker:
        yield broker


def empty(broker):
    with broker.connect() as connection:
        channel = connection.channel()
        channel.queue_delete("reader")
        channel.queue_delete("tea-reader")
        channel.exchange_delete(ADDRESS)


@pytest.fixture(params=["mqtt", "amqp"])
def broker(request, folder):
    if request.param == "amqp":
        broker = request.getfixturevalue("rabbitmq")
        empty(broker)
        yield broker
    else:
        with Mosquitto(folder, settings=HOLDS_ALL).start() as broker:
            yield broker


@pytest.fixture
def make_reader():
    made = []

    def make(broker, *arguments):
        kind = MqttReader if isinstance(broker, Mosquitto) else AmqpReader
        made.append(kind(broker, *arguments))
        return made[-1]

    yield make
    for reader in made:
        reader.close()


def publisher(make_daemon, folder, url, **target):
    """An instance that publishes there; not started."""
    daemon = make_daemon("one")
    path = folder / "one.yaml"
    path.write_text(yaml.safe_dump({"events": [{"to": url, **target}]}))
    daemon.flags += ["--config", str(path)]
    return daemon


def changes_of(reader):
    return [json.loads(body) for _, _, body in list(reader.messages)]


def name_of(change):
    return change["origin"], change["epoch"], change["sequence"]


def once(changes):
    """Without what came again, which is the same as the first time but for nothing."""
    first = {}
    for change in changes:
        assert first.setdefault(name_of(change), change) == change
    return list(first.values())


def wait_for_changes(reader, count):
    osiris.wait_for(lambda: len(reader.messages) >= count and
                    len(once(changes_of(reader))) >= count, f"{count} changes")
    return changes_of(reader)


def events_of(daemon):
    events, = daemon.call("STATUS")["events"]
    return events


def put(daemon, collection, data, id=None):
    document = {"collection": collection, "data": data, **({"id": id} if id else {})}
    return daemon.call("KB_PUT", document=document)["id"]


# ---- what comes ----

def make_changes(daemon):
    """Of each kind; gives the topics."""
    put(daemon, "notes", "Ana likes tea", id="a")
    put(daemon, "notes", "Ana likes coffee", id="a")
    put(daemon, "", {"n": 1}, id="b")
    put(daemon, "a/b.c #+*", [1], id="c")
    daemon.call("KB_DELETE", id="a")
    return ["kb/notes", "kb/notes", "kb", "kb/a%2Fb%2Ec%20%23%2B%2A", "kb/notes"]


def check_changes(daemon, changes):
    assert [change["type"] for change in changes] == ["KB_CHANGE"] * 5
    assert [change["operation"] for change in changes] == ["PUT"] * 4 + ["DELETE"]
    assert [change["document"]["id"] for change in changes] == ["a", "a", "b", "c", "a"]
    assert [change["document"].get("data") for change in changes] == [
        "Ana likes tea", "Ana likes coffee", {"n": 1}, [1], None]
    assert [change["sequence"] for change in changes] == [1, 2, 3, 4, 5]
    assert {change["origin"] for change in changes} == {daemon.instance()}
    positions = [change["position"] for change in changes]
    assert positions == sorted(set(positions))
    assert all("time_ms" in change["document"]["version"] for change in changes)


def test_each_change_comes_once_and_in_order(make_daemon, folder, broker, make_reader):
    reader = make_reader(broker)
    daemon = publisher(make_daemon, folder, broker.url(ADDRESS)).start()
    osiris.wait_for(lambda: events_of(daemon).get("up"), "the broker is reached")
    topics = make_changes(daemon)
    changes = wait_for_changes(reader, 5)
    check_changes(daemon, changes)
    assert [topic for topic, _, _ in reader.messages] == topics
    assert {kind for _, kind, _ in reader.messages} == {"application/json"}
    osiris.wait_for(lambda: int(events_of(daemon).get("lag", 0)) == 0, "all is confirmed")
    assert int(events_of(daemon)["position"]) == changes[-1]["position"]


def test_only_what_is_wanted_comes(make_daemon, folder, broker, make_reader):
    reader = make_reader(broker)
    daemon = publisher(make_daemon, folder, broker.url(ADDRESS),
                       collections=["notes", "tasks-*"]).start()
    osiris.wait_for(lambda: events_of(daemon).get("up"), "the broker is reached")
    for collection in ("notes", "notes-2", "tasks", "tasks-1", ""):
        put(daemon, collection, collection)
    put(daemon, "notes", "last")
    wait_for_changes(reader, 3)
    assert [change["document"]["data"] for change in changes_of(reader)] == [
        "notes", "tasks-1", "last"]


def decode(codec, body):
    if codec == "yaml":
        return yaml.safe_load(body)
    frame = contract.message("osiris.v1.Frame")
    frame.ParseFromString(body)
    change = frame.kb_change
    return {"type": "KB_CHANGE", "sequence": change.sequence,
            "document": {"data": json.loads(change.document.data.text)}}


@pytest.mark.parametrize("codec", ["yaml", "protobuf"])
def test_each_codec_says_the_same(make_daemon, folder, broker, make_reader, codec):
    reader = make_reader(broker)
    daemon = publisher(make_daemon, folder, broker.url(ADDRESS, codec=codec), **{
        "from": "start"}).start()
    put(daemon, "notes", {"n": 1})
    osiris.wait_for(lambda: reader.messages, "the change")
    (_, kind, body), = reader.messages
    change = decode(codec, body)
    assert change["type"] == "KB_CHANGE" and change["sequence"] == 1
    assert change["document"]["data"] == {"n": 1}
    assert kind == {"yaml": "application/yaml", "protobuf": "application/x-protobuf"}[codec]


# ---- what goes wrong ----

def test_what_happens_while_the_broker_is_down_comes_afterwards(make_daemon, folder, broker,
                                                                make_reader):
    reader = make_reader(broker)
    daemon = publisher(make_daemon, folder, broker.url(ADDRESS)).start()
    put(daemon, "notes", 0)
    wait_for_changes(reader, 1)
    broker.stop()
    osiris.wait_for(lambda: not events_of(daemon).get("up"), "it is known to be down")
    for i in range(1, 51):
        put(daemon, "notes", i)
    events = events_of(daemon)
    assert events["last_error"] != "" and int(events["lag"]) >= 50
    out = cli.Cli("--data", daemon.data).run("doctor").stdout
    assert re.search("error +events +not published at " + re.escape(broker.url(ADDRESS)), out)
    broker.start()
    changes = once(wait_for_changes(reader, 51))
    assert [change["document"]["data"] for change in changes] == list(range(51))
    osiris.wait_for(lambda: events_of(daemon).get("last_error", "") == "", "all is well")


def test_a_broker_that_is_away_costs_nothing_at_the_start(make_daemon, folder, broker, make_reader):
    reader = make_reader(broker)
    broker.stop()
    daemon = publisher(make_daemon, folder, broker.url(ADDRESS)).start()
    put(daemon, "notes", "early")
    broker.start()
    change, = once(wait_for_changes(reader, 1))
    assert change["document"]["data"] == "early"


def test_kill_9_loses_nothing(make_daemon, folder, broker, make_reader):
    """Killed again and again while documents are written: each that was acknowledged is published,
    in order, and what comes twice is the same both times."""
    reader = make_reader(broker)
    daemon = publisher(make_daemon, folder, broker.url(ADDRESS)).start()
    written = []
    for i in range(4):
        with daemon.client() as client:
            for n in range(100):
                client.call("KB_PUT", document={"data": [i, n]})
                written.append([i, n])
        daemon.kill()
        daemon.start()
    put(daemon, "", "last")
    osiris.wait_for(lambda: "last" in [c["document"]["data"] for c in changes_of(reader)], "all")
    changes = once(changes_of(reader))
    assert [change["document"]["data"] for change in changes] == [*written, "last"]
    assert [change["sequence"] for change in changes] == list(range(1, len(changes) + 1))


def test_a_broker_that_stands_still_holds_up_no_write(make_daemon, folder, make_reader):
    with Mosquitto(folder, settings=HOLDS_ALL).start() as broker:
        reader = make_reader(broker)
        daemon = publisher(make_daemon, folder, broker.url(ADDRESS)).start()
        put(daemon, "", 0)
        wait_for_changes(reader, 1)
        broker.pause()
        memory = daemon.memory()
        with daemon.client() as client:
            for batch in range(10):
                documents = [{"data": f"{batch} {i} {'x' * 1000}"} for i in range(1000)]
                client.call("KB_IMPORT", documents=documents)
        assert daemon.count() == 10001
        assert daemon.memory() < memory + (256 << 20)
        broker.resume()
        changes = once(wait_for_changes(reader, 10001))
        assert [change["sequence"] for change in changes] == list(range(1, 10002))


def test_a_broker_that_confirms_nothing_gets_no_more_than_a_window(make_daemon, folder, broker,
                                                                  make_reader):
    """Writes go on, the status says how far behind it is, and all comes once it is reached anew."""
    window, count = 1000, 5000
    reader = make_reader(broker)
    with Withholding(broker) as proxy:
        daemon = publisher(make_daemon, folder, proxy.url(ADDRESS)).start()
        put(daemon, "", 0)
        wait_for_changes(reader, 1)
        osiris.wait_for(lambda: int(events_of(daemon).get("lag", 0)) == 0, "it is confirmed")
        proxy.withholds = True
        with daemon.client() as client:
            for batch in range(count // 1000):
                documents = [{"data": f"{batch} {i} {'x' * 1000}"} for i in range(1000)]
                client.call("KB_IMPORT", documents=documents)
        osiris.wait_for(lambda: int(events_of(daemon)["lag"]) >= count, "it is behind")
        threading.Event().wait(1)
        assert events_of(daemon)["up"]
        assert 0 < len(reader.messages) - 1 <= window
        assert daemon.memory() < 512 << 20
        proxy.withholds = False
        proxy.cut()
        changes = once(wait_for_changes(reader, count + 1))
        assert [change["sequence"] for change in changes] == list(range(1, count + 2))


# ---- ZeroMQ ----

@pytest.fixture
def socket_reader(make_daemon, folder):
    """An instance with a socket, and a reader that is known to it and subscribed."""
    port = osiris.free_port()
    daemon = publisher(make_daemon, folder, f"zmq://127.0.0.1:{port}")
    osiris_of = cli.Cli("--data", daemon.data)
    daemon.start()  # which makes the folder; keys are read at a start
    secret = osiris_of("client", "add", "tea").split()[-1].encode()
    server = osiris_of("client", "key").strip().encode()
    daemon.stop()
    daemon.start()
    reader = ZmqReader((server, secret), port)
    osiris.wait_for(lambda: put(daemon, "notes", "knock") and reader.messages, "it is subscribed")
    threading.Event().wait(0.2)
    reader.messages.clear()
    yield daemon, reader, (server, port)
    reader.close()


def test_a_socket_publishes_each_change_once(socket_reader):
    daemon, reader, _ = socket_reader
    topics = make_changes(daemon)
    changes = wait_for_changes(reader, 5)
    first = changes[0]["sequence"] - 1
    check_changes(daemon, [{**change, "sequence": change["sequence"] - first}
                           for change in changes])
    assert [topic for topic, _, _ in reader.messages] == topics
    osiris.wait_for(lambda: int(events_of(daemon).get("lag", 0)) == 0, "all is taken over")


def test_a_socket_tells_strangers_nothing(socket_reader):
    daemon, reader, (server, port) = socket_reader
    stranger = ZmqReader((server, zmq.curve_keypair()[1]), port)
    put(daemon, "notes", "secret")
    wait_for_changes(reader, 1)
    threading.Event().wait(0.5)
    assert stranger.messages == []
    stranger.close()


# ---- the programs of the documentation ----

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/clients.md"


def start_program(index, folder, old, new):
    chapter = DOCUMENT.read_text().split("\n## What changes, as events")[1].split("\n## ")[0]
    text = re.findall(r"```python\n(.*?)```", chapter, re.DOTALL)[index]
    assert old in text
    path = folder / "program.py"
    path.write_text(text.replace(old, new))
    return subprocess.Popen([sys.executable, "-u", str(path)], cwd=folder, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def check_program(process, daemon, expected):
    """It prints that line, once something is written that it hears of."""
    is_done = threading.Event()

    def write():
        while not is_done.wait(0.1):
            put(daemon, "notes", "Ana likes tea", id="a")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        line = process.stdout.readline()
    finally:
        is_done.set()
        writer.join()
        process.kill()
        rest = process.communicate()[0]
    assert expected in line, line + rest


def test_the_program_for_mqtt(make_daemon, folder):
    with Mosquitto(folder).start() as broker:
        daemon = publisher(make_daemon, folder, broker.url(ADDRESS)).start()
        process = start_program(0, folder, "1883", str(broker.port))
        check_program(process, daemon, "PUT a Ana likes tea")


def test_the_program_for_amqp(make_daemon, folder, rabbitmq):
    empty(rabbitmq)
    daemon = publisher(make_daemon, folder, rabbitmq.url(ADDRESS)).start()
    process = start_program(1, folder, 'ConnectionParameters("127.0.0.1"',
                            f'ConnectionParameters("127.0.0.1", {rabbitmq.port}')
    check_program(process, daemon, "PUT a Ana likes tea")


def test_the_program_for_zeromq(make_daemon, folder):
    port = osiris.free_port()
    daemon = publisher(make_daemon, folder, f"zmq://127.0.0.1:{port}").start()
    osiris_of = cli.Cli("--data", daemon.data)
    (folder / "tea.key").write_text(osiris_of("client", "add", "tea"))
    (folder / "server.key").write_text(osiris_of("client", "key"))
    daemon.stop()
    daemon.start()
    process = start_program(2, folder, "7500", str(port))
    check_program(process, daemon, "Ana likes tea")


# ---- configuration ----

def test_a_reload_names_what_wants_a_restart(make_daemon, folder):
    daemon = publisher(make_daemon, folder, "mqtt://127.0.0.1:1/x").start()
    path = folder / "one.yaml"
    path.write_text(path.read_text().replace("/x", "/y"))
    reply = daemon.call("RELOAD")
    assert "events" in reply["restart"]
    daemon.process.send_signal(signal.SIGHUP)
    osiris.wait_for(lambda: "events has changed: wants a restart" in daemon.log(), "it is named")
