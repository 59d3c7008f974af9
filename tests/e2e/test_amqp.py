"""AMQP against RabbitMQ: what goes wrong with a broker, and what others send to our queues."""
import itertools
import os
import socket
import threading
import time

import pika
import pytest

import carriers
import osiris
from authority import Authority
from bus_probe import Probe, exchange, open_up
from rabbitmq import Rabbitmq

USERS = {"ana": "right", "robot": "secret"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """For all tests that leave it as it was; `address` tells their queues apart."""
    with Rabbitmq(tmp_path_factory.mktemp("amqp"), USERS, Authority()).start() as broker:
        yield broker


@pytest.fixture
def fragile(folder):
    """For those that end it."""
    with Rabbitmq(folder, USERS).start() as broker:
        yield broker


numbers = itertools.count(1)


@pytest.fixture
def address():
    return f"osiris/office-{next(numbers)}"


def publish(channel, key, body=b"", exchange="", **properties):
    channel.basic_publish(exchange, key, body, pika.BasicProperties(**properties))


# ---- brokers that fail ----

# A broker that is not there is waited for, and said so once, with what to look at; a dialler does
# not come back by itself.
def test_broker_is_down_at_the_start(folder, address):
    with Rabbitmq(folder) as broker, Probe("listener", broker.url(address)) as listener, \
            Probe("dialler", broker.url(address)) as dialler:
        assert "is the broker running" in listener.expect("down UNAVAILABLE")
        dialler.expect("down UNAVAILABLE")
        broker.start()
        listener.expect("up")
        assert listener.count("down") == 1
        assert dialler.count("up") == 0


# A broker stopped or killed in mid-stream comes back, and the listener with it.
def test_broker_ends_in_mid_stream(fragile, address):
    with open_up("listener", fragile.url(address)) as listener:
        for end in (fragile.kill, fragile.stop):
            with open_up("dialler", fragile.url(address)) as dialler:
                exchange(listener, dialler, "before")
                listener.tell("count 1000000")
                dialler.tell("flood 1000000 256")
                end()
                dialler.expect("down UNAVAILABLE")
                listener.expect("down UNAVAILABLE")
            fragile.start()
            listener.expect("up")
            listener.tell("count 0")
            with open_up("dialler", fragile.url(address)) as dialler:
                exchange(listener, dialler, "after")


# A request given out and not done yet comes again, once, after the broker was killed.
def test_requests_outlive_a_kill(fragile, address):
    with open_up("clients", fragile.url(address)) as taker:
        taker.tell("read off")
        channel = fragile.connect().channel()
        channel.confirm_delivery()
        publish(channel, address, b"not done")
        time.sleep(2)  # RabbitMQ 3.10 itself writes down a new quorum queue after half a second
        fragile.kill()
        taker.expect("down UNAVAILABLE")
        fragile.start()
        taker.expect("up")
        taker.tell("read on")
        assert taker.expect("message").endswith(" not done")
        osiris.wait_for(lambda: fragile.queues()[address] == 0, "it is done")
        assert taker.count("message") == 1


# A broker that hangs brings the bus down before what is to go out takes the memory, and a close
# does not wait for it.
def test_broker_hangs(fragile, address):
    with open_up("listener", fragile.url(address)), \
            open_up("dialler", fragile.url(address)) as dialler:
        fragile.pause()
        for _ in range(4000):
            dialler.tell("send - " + 16000 * "x")
        assert "the broker takes too little" in dialler.expect("down UNAVAILABLE")
    fragile.resume()


# ---- alarms ----

# A broker out of disk stops who publishes, not who takes; it goes on by itself, and nothing of
# what was sent is lost.
def test_brokers_disk_is_full(fragile, address):
    with open_up("listener", fragile.url(address)) as listener, \
            open_up("dialler", fragile.url(address)) as dialler:
        exchange(listener, dialler, "before")
        fragile.fill_disk()
        listener.tell("count 5000")
        dialler.tell("flood 5000 4000")
        assert "the broker takes no messages for now" in dialler.expect("log ")
        assert dialler.count("flooded") == 0
        fragile.free_disk()
        assert "the broker takes messages again" in dialler.expect("log ")
        listener.expect("counted")
        dialler.expect("flooded")
        assert dialler.count("down") == listener.count("down") == 0


# A bus that is closed while the broker takes nothing does not wait for ever.
def test_close_under_an_alarm(fragile, address):
    with open_up("listener", fragile.url(address)), \
            open_up("dialler", fragile.url(address)) as dialler:
        fragile.fill_disk()
        dialler.tell("flood 5000 4000")
        dialler.expect("log ")
    fragile.free_disk()


# ---- queues and exchanges that others delete or have ----

# A queue deleted under us is told, and declared anew.
@pytest.mark.parametrize("role", ["listener", "clients"])
def test_queue_is_deleted_under_us(broker, address, role):
    queue = address + ".in" if role == "listener" else address
    with open_up(role, broker.url(address)) as probe:
        broker.control("delete_queue", queue)
        assert "was deleted" in probe.expect("down UNAVAILABLE")
        probe.expect("up")
        connection = broker.connect()
        publish(connection.channel(), queue, b"after", reply_to="amq.gen-nobody")
        assert probe.expect("message").endswith(" after")
        connection.close()


# An exchange deleted under a publisher of events is told when the next one goes out.
def test_exchange_is_deleted_under_us(broker, address):
    with open_up("events", broker.url(address)) as events:
        connection = broker.connect()
        connection.channel().exchange_delete(address)
        events.tell("send a/topic lost")
        assert "no exchange" in events.expect("down ")
        events.expect("up")
        events.tell("send a/topic text")
        events.expect("confirmed")
        connection.close()


# Two listeners do not share an address: the second is told who has it, and takes over when it goes.
def test_address_is_in_use(broker, address):
    with open_up("listener", broker.url(address)) as first:
        second = Probe("listener", broker.url(address))
        assert "another instance listens at this address" in second.expect("down IN_USE")
        assert first.count("down") == 0
    second.expect("up")
    second.close()


# A queue of the same name and of another kind is told as that.
def test_queue_of_another_kind(broker, address):
    connection = broker.connect()
    connection.channel().queue_declare(address, durable=True)
    with Probe("clients", broker.url(address)) as probe:
        assert "delete it there" in probe.expect("down CONFIG")
    connection.close()


# ---- logins and permissions ----

# A wrong password is told as that, with what to check; the right one gets in.
def test_login(broker, address, folder):
    wrong = folder / "wrong"
    wrong.touch(0o600)
    wrong.write_text("wrong\n")
    with Probe("listener", broker.url(address, "ana", password_file=wrong)) as listener:
        assert "user 'ana'" in listener.expect("down UNAUTHENTICATED")
    with open_up("listener", broker.url(address, "ana")) as listener:
        assert listener.count("down") == 0


# A virtual host that is not there, or not ours, is told with the commands that make it.
def test_virtual_host(broker, address):
    with Probe("listener", broker.url(address, "ana", vhost="nosuch")) as listener:
        assert "rabbitmqctl add_vhost 'nosuch'" in listener.expect("down PERMISSION_DENIED")
    broker.control("add_vhost", "other")
    with Probe("listener", broker.url(address, "ana", vhost="other")) as listener:
        listener.expect("down PERMISSION_DENIED")
        broker.control("set_permissions", "-p", "other", "ana", ".*", ".*", ".*")
        listener.expect("up")


# What a user may not do is told for each role, with the command that permits it, and works once it
# is permitted.
@pytest.mark.parametrize("role", ["listener", "dialler", "clients", "events"])
def test_access_is_refused(broker, address, role):
    broker.permit("robot", "none", "none", "none")
    try:
        with Probe(role, broker.url(address, "robot")) as probe:
            line = probe.expect("down PERMISSION_DENIED")
            assert "ACCESS_REFUSED" in line and "rabbitmqctl set_permissions" in line
            broker.permit("robot")
            if role != "dialler":
                probe.expect("up")
    finally:
        broker.permit("robot")


# What docs/protocols.md lets each role's user do is enough for it, and nothing else is needed.
def test_least_permissions(broker, address):
    own, default, made = f"^{address}$", r"^amq\.default$", r"^amq\.gen-.*"
    inbox = rf"^{address}\.in$"
    try:
        broker.permit("robot", inbox, default, inbox)
        broker.permit("ana", made, default, made)
        with open_up("listener", broker.url(address, "robot")) as listener, \
                open_up("dialler", broker.url(address, "ana")) as dialler:
            exchange(listener, dialler, "text")
        broker.permit("robot", own, default, own)
        with open_up("clients", broker.url(address, "robot")) as taker:
            connection = broker.connect()
            publish(connection.channel(), address, b"request")
            assert taker.expect("message").endswith(" request")
            connection.close()
        topics = rf"^{address}/events$"
        broker.permit("robot", topics, topics, "^$")
        with open_up("events", broker.url(f"{address}/events", "robot")) as events:
            events.tell("send a/topic text")
            events.expect("confirmed")
    finally:
        broker.permit("robot")
        broker.permit("ana")


# Whose message it is the broker makes sure of: nobody sends in another's name.
def test_sender_is_validated(broker, address):
    with open_up("clients", broker.url(address)) as taker:
        connection = broker.connect("robot")
        with pytest.raises(pika.exceptions.ChannelClosed):
            channel = connection.channel()
            channel.confirm_delivery()
            publish(channel, address, b"forged", user_id="ana")
        publish(connection.channel(), address, b"mine", user_id="robot")
        assert taker.expect("message").endswith(" mine")
        assert taker.count("message") == 1
        connection.close()


# ---- TLS to the broker ----

# By its certificate for the name that is dialled, from the CA that is given.
def test_broker_over_tls(broker, address):
    with open_up("listener", broker.tls_url(address)) as listener, \
            open_up("dialler", broker.tls_url(address)) as dialler:
        exchange(listener, dialler, "secret " + 20000 * "x")
        listener.tell("count 2000")
        dialler.tell("flood 2000 1000")
        listener.expect("counted")
        dialler.expect("flooded")


# A broker with another's certificate, or that of another name, or none at all, is not logged in to.
def test_brokers_certificate_is_refused(broker, address, folder):
    other = folder / "other.pem"
    other.write_bytes(Authority("other").pem)
    with Probe("listener", broker.tls_url(address, ca_file=other)) as listener:
        assert "ca_file" in listener.expect("down UNAUTHENTICATED")
    with Probe("listener", f"amqps://localhost:{broker.tls_port}/{address}") as listener:
        listener.expect("down UNAUTHENTICATED")  # not by the system's CAs
    with Probe("listener", broker.tls_url(address, host="127.0.0.1")) as listener:
        assert "a name that stands in its certificate" in listener.expect("down UNAUTHENTICATED")
    with Probe("listener", f"amqps://127.0.0.1:{broker.port}/{address}") as listener:
        listener.expect("down UNAVAILABLE")


# ---- hints that somebody has gone ----

# However the other end goes, what is sent to it comes back: nobody takes it.
@pytest.mark.parametrize("way", ["close", "kill"])
def test_the_other_end_has_gone(broker, address, way):
    with open_up("listener", broker.url(address)) as listener:
        dialler = open_up("dialler", broker.url(address))
        peer = exchange(listener, dialler, "hello")
        getattr(dialler, way)()
        osiris.wait_for(lambda: peer not in broker.queues(), "its queue is gone")
        listener.tell(f"send {peer} anybody?")
        assert listener.expect("gone") == f"gone {peer}"
    with open_up("dialler", broker.url(address)) as dialler:
        dialler.tell("send - anybody?")
        assert dialler.expect("gone") == "gone -"


# ---- what others send to our queues ----

# An ordinary client's garbage arrives as what it is or not at all, and nothing falls over.
def test_garbage_on_our_queues(broker, address):
    with open_up("listener", broker.url(address)) as listener, \
            open_up("dialler", broker.url(address)) as dialler:
        peer = exchange(listener, dialler, "hello")
        connection = broker.connect()
        channel = connection.channel()
        channel.confirm_delivery()
        publish(channel, address + ".in", b"no address")
        publish(channel, address + ".in", b"", reply_to="")
        publish(channel, address + ".in", b"make it write there", reply_to="somebody's queue")
        publish(channel, address + ".in", b"x", reply_to="amq.gen-\0")
        publish(channel, address + ".in", b"x", headers={"a": [1, {"b": None}]}, priority=255,
                expiration="100000", content_type=255 * "t", correlation_id=255 * "c",
                reply_to="amq.gen-" + 247 * "r")
        publish(channel, address + ".in", b"in its name", reply_to=peer)
        publish(channel, peer, b"not from the listener")
        seen = [listener.expect("message").split()[1] for _ in range(2)]
        assert seen == ["amq.gen-" + 247 * "r", peer]
        assert dialler.expect("message").endswith(" not from the listener")
        exchange(listener, dialler, "still there")
        connection.close()


# A message over the limit is forgotten by the broker; what follows it arrives.
def test_message_over_the_limit(broker, address):
    with open_up("clients", broker.url(address)) as taker:
        connection = broker.connect()
        channel = connection.channel()
        channel.confirm_delivery()
        publish(channel, address, bytes((9 << 20) + 1))
        publish(channel, address, b"next")
        assert taker.expect("message").endswith(" next")
        osiris.wait_for(lambda: broker.queues()[address] <= 1, "it is forgotten")
        assert taker.count("down") == 0
        connection.close()


# Many messages that cannot be answered cost a line in the log now and then, and no place.
def test_flood_of_garbage(broker, address):
    with open_up("listener", broker.url(address)) as listener, \
            open_up("dialler", broker.url(address)) as dialler:
        connection = broker.connect()
        channel = connection.channel()
        for _ in range(20000):
            publish(channel, address + ".in", b"garbage")
        exchange(listener, dialler, "through it")
        osiris.wait_for(lambda: broker.queues()[address + ".in"] < 100, "it is forgotten")
        assert 1 <= listener.count("log") <= 5
        connection.close()


# Who gives a queue that refuses all messages to answer to does not bring the others down.
def test_reply_queue_refuses(broker, address):
    with open_up("clients", broker.url(address)) as taker:
        connection = broker.connect()
        channel = connection.channel()
        full = channel.queue_declare("", exclusive=True, arguments={
            "x-max-length": 0, "x-overflow": "reject-publish"}).method.queue
        good = channel.queue_declare("", exclusive=True).method.queue
        taker.tell("reply on")
        publish(channel, address, b"to the full one", reply_to=full)
        publish(channel, address, b"to nowhere", reply_to="no such queue")
        publish(channel, address, b"to the good one", reply_to=good, correlation_id="7")
        for _, properties, body in channel.consume(good, inactivity_timeout=osiris.WAIT_S):
            assert body == b"to the good one" and properties.correlation_id == "7"
            break
        assert taker.count("down") == 0
        connection.close()


# ---- events ----

# An event's topic is the routing key, and it is kept by a queue that is bound for it.
def test_events_are_routed_by_topic(broker, address):
    with open_up("events", broker.url(address)) as events:
        connection = broker.connect()
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, address, "kb.people.#")
        events.tell("send kb/people/added first")
        events.tell("send kb/things/added second")
        events.tell("send kb/people/gone third")
        events.expect("confirmed 3")
        keys = {}
        for method, properties, body in channel.consume(queue, inactivity_timeout=osiris.WAIT_S):
            assert properties.delivery_mode == 2
            keys[method.routing_key] = body
            if len(keys) == 2:
                break
        assert keys == {"kb.people.added": b"first", "kb.people.gone": b"third"}
        connection.close()


# ---- brokers that talk nonsense ----

def serve(*answers):
    """A broker that sends these, one after each thing that it is sent; returns its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def talk():
        with server:
            connection, _ = server.accept()
            with connection:
                for answer in answers:
                    connection.recv(4096)
                    connection.sendall(answer)
                while connection.recv(4096):
                    pass

    threading.Thread(target=talk, daemon=True).start()
    return server.getsockname()[1]


# What a broker says wrong becomes an error that names it, and the bus lives on.
@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x00\x09\x00", b"\x00" * 1000,
    b"\x01\x00\x00\xff\xff\xff\xff" + os.urandom(1000), b"\x01\x00\x00\x00\x00\x00\x02\x00\x00\xce",
], ids=["http", "version", "zeros", "length", "short"])
def test_broker_talks_nonsense(answer, address):
    with Probe("listener", f"amqp://127.0.0.1:{serve(answer)}/{address}") as listener:
        assert "127.0.0.1" in listener.expect("down ", 2 * osiris.WAIT_S)


# A bus can be closed while its broker is silent.
def test_close_while_the_broker_is_silent(address):
    with socket.create_server(("127.0.0.1", 0)) as server:
        probe = Probe("listener", f"amqp://127.0.0.1:{server.getsockname()[1]}/{address}")
        server.accept()
        probe.process.stdin.close()
        assert probe.process.wait(6) == 0
        probe.kill()


# ---- links between instances ----

@pytest.fixture
def link(folder):
    with carriers.link("amqp", folder) as link:
        yield link


@pytest.fixture
def pair(make_daemon, folder, link):
    """Two that meet at the broker."""
    return carriers.pair(make_daemon, folder, link.url)


# The broker is killed while both write: nothing is lost, nothing is there twice.
def test_links_outlive_their_broker(pair, link):
    count = 300
    writers = carriers.start_writers(pair, count)
    osiris.wait_for(lambda: pair[1].count() > 0, "it goes on")
    link.broker.kill()
    link.broker.start()
    for writer in writers:
        writer.join()
    assert osiris.wait_until_equal(*pair, timeout_s=60) == 2 * count


# What goes over a link is neither in what the broker shows to who traces everything, nor in what it
# writes down; who sends what it has seen once more, or makes something up, changes nothing.
def test_broker_learns_and_changes_nothing(pair, link):
    marker = b"marker-4711"
    link.broker.control("trace_on")
    connection = link.broker.connect()
    channel = connection.channel()
    spy = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(spy, "amq.rabbitmq.trace", "publish.#")
    for number in range(20):
        pair[number % 2].put(f"{marker.decode()} {number}")
    assert osiris.wait_until_equal(*pair) == 20
    seen = list(itertools.takewhile(lambda message: message[0] is not None,
                                    (channel.basic_get(spy, True) for _ in itertools.count())))
    assert len(seen) > 4
    assert not any(marker in body for _, _, body in seen)
    link.broker.control("trace_off")
    for _, properties, body in seen[-20:]:
        target = properties.headers["routing_keys"][0]
        reply_to = properties.headers["properties"].get("reply_to")
        publish(channel, target, body, reply_to=reply_to)
        publish(channel, target, body[:-1], reply_to=reply_to)
        publish(channel, target, os.urandom(len(body)), reply_to=reply_to)
    publish(channel, "osiris/link.in", os.urandom(1000), reply_to="amq.gen-stranger")
    pair[0].put("still in step")
    assert osiris.wait_until_equal(*pair) == 21
    connection.close()
    link.broker.stop()
    kept = link.broker.kept()
    assert len(kept) > 1000  # it is where we look
    assert marker not in kept
