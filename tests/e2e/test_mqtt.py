"""MQTT against mosquitto: what goes wrong with a broker, and what others send to our topics."""
import contextlib
import json
import os
import socket
import threading

import pytest

import carriers
import cli
import osiris
from authority import Authority
from bus_probe import Probe, exchange, open_up
from mosquitto import Mosquitto

ADDRESS = "osiris/office"


@pytest.fixture
def broker(folder):
    with Mosquitto(folder).start() as broker:
        yield broker


# ---- brokers that fail ----

# A broker that is not there is waited for, and said so once, with what to look at.
def test_broker_is_down_at_the_start(folder):
    with Mosquitto(folder) as broker, Probe("listener", broker.url(ADDRESS)) as listener:
        assert "is the broker running" in listener.expect(
            "down UNAVAILABLE: " + broker.url(ADDRESS) + ": cannot reach the broker")
        broker.start()
        listener.expect("up")
        assert listener.count("down") == 1


# A dialler does not come back by itself.
def test_dialler_goes_down_once(folder):
    with Mosquitto(folder) as broker, Probe("dialler", broker.url(ADDRESS)) as dialler:
        dialler.expect("down UNAVAILABLE")
        broker.start()
        with open_up("listener", broker.url(ADDRESS)) as listener, \
                open_up("dialler", broker.url(ADDRESS)) as other:
            exchange(listener, other, "other")
        assert dialler.count("up") == 0


# A broker killed in mid-stream comes back, and the listener with it, again and again.
def test_broker_is_killed_in_mid_stream(broker):
    with open_up("listener", broker.url(ADDRESS)) as listener:
        for _ in range(3):
            with open_up("dialler", broker.url(ADDRESS)) as dialler:
                exchange(listener, dialler, "before")
                listener.tell("count 1000000")
                dialler.tell("flood 1000000 256")
                osiris.wait_for(lambda: dialler.memory() > 0, "it floods")
                broker.kill()
                assert "(" in dialler.expect("down UNAVAILABLE")
                listener.expect("down UNAVAILABLE")
                broker.start()
                listener.expect("up")
            listener.tell("count 0")
            with open_up("dialler", broker.url(ADDRESS)) as dialler:
                exchange(listener, dialler, "after")


# A broker that stops in good order is told apart by its own words.
def test_broker_is_stopped(broker):
    with open_up("listener", broker.url(ADDRESS)) as listener:
        broker.stop()
        listener.expect("down UNAVAILABLE")
        broker.start()
        listener.expect("up")


# A broker that takes nothing more brings the bus down before that takes the memory.
def test_broker_hangs(broker):
    with open_up("listener", broker.url(ADDRESS)), \
            open_up("dialler", broker.url(ADDRESS)) as dialler:
        broker.pause()
        for _ in range(4000):
            dialler.tell("send - " + 16000 * "x")
        dialler.expect("down UNAVAILABLE: " + broker.url(ADDRESS) + ": the broker takes messages")
        broker.resume()


# What comes for a taker of requests while it is away, and the broker restarts, waits for it.
def test_requests_outlive_restarts(broker):
    with open_up("clients", broker.url(ADDRESS), "one"):
        pass
    with broker.client() as client:
        client.publish(ADDRESS, "while you were out", ResponseTopic="answers",
                       ContentType="application/json")
    broker.stop()
    broker.start()
    with open_up("clients", broker.url(ADDRESS), "one") as taker:
        assert taker.expect("message") == ("message - application/json answers "
                                           "while you were out")
    with open_up("clients", broker.url(ADDRESS), "two") as other:
        with broker.client() as client:
            client.publish(ADDRESS, "now")
        assert other.expect("message").endswith(" now")


# Two takers of one instance, at two addresses, do not push each other out.
def test_one_name_takes_requests_at_two_addresses(broker):
    with open_up("clients", broker.url("first"), "one") as first, \
            open_up("clients", broker.url("second"), "one") as second, broker.client() as client:
        client.publish("first", "for the first")
        client.publish("second", "for the second")
        assert first.expect("message").endswith(" for the first")
        assert second.expect("message").endswith(" for the second")
        assert first.count("down") == second.count("down") == 0


# A copy of an instance, which takes its requests away, is told as what it is.
def test_second_instance_with_the_same_name_is_told(broker):
    with open_up("clients", broker.url(ADDRESS), "one") as first, \
            Probe("clients", broker.url(ADDRESS), "one"):
        assert "is a copy of this instance running" in first.expect("down UNAVAILABLE")


# The broker drops what is over its own limit of messages that wait; the bus stays up.
def test_brokers_queue_runs_over(folder):
    settings = ["max_queued_messages 10", "max_inflight_messages 5"]
    with Mosquitto(folder, settings=settings).start() as broker, \
            open_up("listener", broker.url(ADDRESS)) as listener, \
            open_up("dialler", broker.url(ADDRESS)) as dialler:
        listener.tell("read off")
        dialler.tell("flood 1000 65536")
        dialler.expect("flooded")
        listener.tell("count 10")
        listener.tell("read on")
        listener.expect("counted")
        listener.tell("count 0")
        assert listener.count("down") == dialler.count("down") == 0


# A broker whose disk is full goes on, with what it has in memory.
def test_brokers_disk_is_full(folder):
    with Mosquitto(folder, disk_bytes=4096).start() as broker, \
            open_up("clients", broker.url(ADDRESS), "one") as taker, \
            open_up("events", broker.url("events")) as events:
        taker.tell("read off")
        events.tell("flood 100 1000")
        events.expect("flooded")
        with broker.client() as client:
            for number in range(20):
                client.publish(ADDRESS, f"{number} {1000 * 'x'}")
        taker.tell("read on")
        osiris.wait_for(lambda: taker.count("message") == 20, "all requests come")


# ---- logins and permissions ----

# A wrong password is told as that, with what to check; the right one gets in.
def test_login(folder):
    with Mosquitto(folder, users={"ana": "right"}).start() as broker:
        wrong = folder / "wrong"
        wrong.touch(0o600)
        wrong.write_text("wrong\n")
        with Probe("listener", broker.url(ADDRESS, "ana", password_file=wrong)) as listener:
            assert "user 'ana'" in listener.expect("down UNAUTHENTICATED")
        with Probe("listener", broker.url(ADDRESS)) as listener:
            assert "?password_file=" in listener.expect("down UNAUTHENTICATED")
        with open_up("listener", broker.url(ADDRESS, "ana")) as listener:
            assert listener.count("down") == 0


# Who may not publish there is told so, and where such things are allowed.
@pytest.mark.parametrize("role", ["dialler", "events"])
def test_publishing_is_not_permitted(folder, role):
    access = f"user ana\ntopic read {ADDRESS}/#\n"
    with Mosquitto(folder, users={"ana": "1"}, access=access).start() as broker, \
            open_up(role, broker.url(ADDRESS, "ana")) as probe:
        probe.tell("send topic text")
        line = probe.expect("down PERMISSION_DENIED")
        assert "publishing: Not authorized" in line and "acl_file" in line
        assert probe.count("confirmed") == 0


# A client that wants its reply where we may not publish does not bring us down by it.
def test_reply_to_is_not_permitted(folder):
    access = "user ana\ntopic readwrite osiris/#\nuser client\ntopic readwrite #\n"
    users = {"ana": "1", "client": "2"}
    with Mosquitto(folder, users=users, access=access).start() as broker, \
            broker.client("client") as client, \
            open_up("clients", broker.url(ADDRESS, "ana")) as taker:
        taker.tell("reply on")
        client.subscribe("osiris/answers")
        for topic in ("forbidden", "with/#", "a" * 255, "$SYS/broker/version", "osiris/answers"):
            client.publish(ADDRESS, f"reply to {topic}", ResponseTopic=topic,
                           CorrelationData=b"7")
        osiris.wait_for(lambda: client.received, "the reply that may be")
        assert client.received[0].payload == b"reply to osiris/answers"
        assert client.received[0].properties.CorrelationData == b"7"
        assert taker.count("down") == 0


def serve_once(answer):
    """A broker that sends this whatever it is sent; returns its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        with server, contextlib.suppress(ConnectionError):
            connection, _ = server.accept()
            with connection:
                for part in answer:
                    connection.recv(4096)
                    connection.sendall(part)
                while connection.recv(4096):
                    pass

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


CONNACK = bytes([0x20, 3, 0, 0, 0])


# What a broker refuses or says wrong becomes an error that says what, and the bus lives on.
@pytest.mark.parametrize("answer, told", [
    ([CONNACK, bytes([0x90, 4, 0, 1, 0, 0x87])], "PERMISSION_DENIED"),
    ([bytes([0x20, 3, 0, 0x86, 0])], "UNAUTHENTICATED"),
    ([bytes([0x20, 3, 0, 0x89, 0])], "UNAVAILABLE"),
    ([bytes([0x20, 2, 0, 1])], "UNSUPPORTED_VERSION"),
    ([CONNACK, bytes([0xe0, 1, 0x8b])], "UNAVAILABLE"),
    ([b"HTTP/1.1 400 Bad Request\r\n\r\n" + 100 * b"<p>"], ""),
    ([b"\x00" * 1000], ""),
    ([bytes([0x20]) + b"\xff" * 100], "MALFORMED"),
    ([CONNACK, bytes([0x32, 3, 0xff, 0xff, 0x41])], ""),
], ids=["suback", "password", "busy", "version", "shutdown", "http", "zeros", "length", "topic"])
def test_broker_refuses_or_talks_nonsense(answer, told):
    with Probe("listener", f"mqtt://127.0.0.1:{serve_once(answer)}/{ADDRESS}") as listener:
        assert "127.0.0.1" in listener.expect(f"down {told}")


# ---- TLS to the broker ----

# By its certificate for the name that is dialled, from the CA that is given.
def test_broker_over_tls(folder):
    with Mosquitto(folder, authority=Authority()).start() as broker, \
            open_up("listener", broker.url(ADDRESS)) as listener, \
            open_up("dialler", broker.url(ADDRESS)) as dialler:
        exchange(listener, dialler, "secret " + 20000 * "x")
        listener.tell("count 2000")
        dialler.tell("flood 2000 1000")
        listener.expect("counted")
        broker.kill()
        listener.expect("down UNAVAILABLE")
        broker.start()
        listener.expect("up")


# A broker with another's certificate, or that of another name, or none at all, is not logged in to.
def test_brokers_certificate_is_refused(folder):
    other = folder / "other.pem"
    other.write_bytes(Authority("other").pem)
    with Mosquitto(folder, authority=Authority()).start() as broker:
        with Probe("listener", broker.url(ADDRESS, ca_file=other)) as listener:
            assert "ca_file" in listener.expect("down UNAUTHENTICATED")
        with Probe("listener", f"mqtts://localhost:{broker.port}/{ADDRESS}") as listener:
            listener.expect("down UNAUTHENTICATED")  # not by the system's CAs
        address = broker.url(ADDRESS).replace("localhost", "127.0.0.1")
        with Probe("listener", address) as listener:
            assert "a name that stands in its certificate" in listener.expect(
                "down UNAUTHENTICATED")
        assert "New client connected" not in broker.log()


# Without TLS there is no talk with a broker that wants it, nor the other way round.
def test_tls_on_one_side_alone(folder):
    with Mosquitto(folder, authority=Authority()).start() as broker:
        with Probe("listener", f"mqtt://127.0.0.1:{broker.port}/{ADDRESS}") as listener:
            listener.expect("down ")
    (folder / "plain").mkdir()
    with Mosquitto(folder / "plain").start() as broker:
        with Probe("listener", f"mqtts://127.0.0.1:{broker.port}/{ADDRESS}") as listener:
            listener.expect("down ")


# ---- hints that somebody has gone ----

# However a dialler goes, its listener is told whose it was, and the other way round.
@pytest.mark.parametrize("way", ["close", "kill"])
def test_the_other_end_has_gone(broker, way):
    with open_up("listener", broker.url(ADDRESS)) as listener:
        dialler = open_up("dialler", broker.url(ADDRESS))
        address = exchange(listener, dialler, "hello")
        getattr(dialler, way)()
        assert listener.expect("gone") == f"gone {address}"
    listener = open_up("listener", broker.url(ADDRESS))
    with open_up("dialler", broker.url(ADDRESS)) as dialler:
        getattr(listener, way)()
        assert dialler.expect("gone") == "gone -"


# Where nobody takes what is sent, the broker says so.
def test_nobody_is_there(broker):
    with open_up("dialler", broker.url(ADDRESS)) as dialler:
        dialler.tell("send - anybody?")
        assert dialler.expect("gone") == "gone -"
    with open_up("listener", broker.url(ADDRESS)) as listener:
        listener.tell("send nobody anybody?")
        assert listener.expect("gone") == "gone nobody"


# ---- what others publish to our topics ----

# An ordinary client's garbage arrives as what it is or not at all, and nothing falls over.
def test_garbage_on_our_topics(broker):
    with open_up("listener", broker.url(ADDRESS)) as listener, \
            open_up("dialler", broker.url(ADDRESS)) as dialler, broker.client() as client:
        address = exchange(listener, dialler, "hello")
        client.publish(f"{ADDRESS}/in/", "no peer")
        client.publish(f"{ADDRESS}/in/deeper/peer", "two levels")
        client.publish(f"{ADDRESS}/in/{'p' * 256}", "too long a peer")
        client.publish(f"{ADDRESS}/in/stranger", os.urandom(100).hex())
        client.publish(f"{ADDRESS}/in/empty")
        client.publish(f"{ADDRESS}/in/{address}", "in its name")
        client.publish(f"{ADDRESS}/in/long", "text", ResponseTopic="r" * 300)
        client.publish(f"{ADDRESS}/in/long", "text", CorrelationData=b"c" * 300)
        client.publish(f"{ADDRESS}/out/{address}", "not from the listener")
        client.publish(f"{ADDRESS}/gone", "forged")
        client.publish(f"{ADDRESS}/in/last", "last")
        senders = [listener.expect("message").split()[1] for _ in range(4)]
        assert senders == ["stranger", "empty", address, "last"]
        assert dialler.expect("message").endswith(" not from the listener")
        assert dialler.expect("gone") == "gone -"
        exchange(listener, dialler, "still there")


# What somebody has the broker retain is another time's, and not given to who comes.
def test_retained_messages_are_not_taken(broker):
    with broker.client() as client:
        client.publish(f"{ADDRESS}/in/old", "retained", retain=True)
        client.publish(ADDRESS, "retained", retain=True)
    with open_up("listener", broker.url(ADDRESS)) as listener, \
            open_up("dialler", broker.url(ADDRESS)) as dialler, \
            open_up("clients", broker.url(ADDRESS)) as taker:
        exchange(listener, dialler, "first")
        assert listener.count("message") == 1 and taker.count("message") == 0


# A message over the limit is dropped by the broker or by us; what follows it arrives.
def test_message_over_the_limit(broker):
    with open_up("clients", broker.url(ADDRESS)) as taker, broker.client() as client:
        client.publish(ADDRESS, bytes((9 << 20) + 1))
        client.publish(ADDRESS, bytes(12 << 20))
        client.publish(ADDRESS, "next")
        assert taker.expect("message").endswith(" next")
        assert taker.count("down") == 0


# An event that is too large for the broker is lost, with a line in the log; those behind it go out.
@pytest.mark.parametrize("limit", ["message_size_limit 1000", "max_packet_size 1000"])
def test_event_over_the_brokers_limit(folder, limit):
    with Mosquitto(folder, settings=[limit]).start() as broker, broker.client() as client, \
            open_up("events", broker.url(ADDRESS)) as publisher:
        client.subscribe(f"{ADDRESS}/#")
        for body in ("before", "x" * 2000, "behind"):
            publisher.tell(f"send kb {body}")
        publisher.expect("confirmed 3")
        osiris.wait_for(lambda: len(client.received) == 2, "the others come")
        assert [message.payload for message in client.received] == [b"before", b"behind"]
        assert publisher.count("log") == 1 and publisher.count("down") == 0


# ---- links between instances ----

@pytest.fixture
def link(folder):
    with carriers.link("mqtt", folder) as link:
        yield link


@pytest.fixture
def pair(make_daemon, folder, link):
    """Two that meet at the broker."""
    return carriers.pair(make_daemon, folder, link.url)


# The broker is killed again and again while both write: nothing is lost, nothing is there twice.
def test_links_outlive_their_broker(pair, link):
    count = 300
    writers = carriers.start_writers(pair, count)
    for _ in range(3):
        seen = pair[1].count()
        osiris.wait_for(lambda: pair[1].count() > seen or not any(w.is_alive() for w in writers),
                        "it goes on")
        link.broker.kill()
        link.broker.start()
    for writer in writers:
        writer.join()
    assert osiris.wait_until_equal(*pair) == 2 * count


def bad_findings(daemon, check):
    """What doctor says of it, where that is not well."""
    lines = cli.Cli("--data", daemon.data).run("-o", "json", "doctor").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    return [each for each in found if each["check"] == check and each["level"] == "error"]


# A broker that is gone is named on both sides, once, with what to look at.
def test_doctor_names_the_broker_that_is_gone(pair, link):
    one, two = pair
    osiris.wait_until_equal(one, two)
    link.broker.stop()
    osiris.wait_for(lambda: "cannot reach the broker" in str(bad_findings(one, "listener"))
                    and "cannot reach the broker" in str(bad_findings(two, "peer")), "it is known")
    for finding in bad_findings(one, "listener") + bad_findings(two, "peer"):
        assert finding["text"].count("mqtt://") == 1 and "the broker runs" in finding["mend"]
    assert "is the broker running" in one.log()
    assert "no link: the broker has closed the connection; the broker's log may say why" in two.log()


# What goes over a link is neither in what a client sees that may see all, nor in what the broker
# saves; who publishes what it has seen once more, or makes something up, changes nothing.
def test_broker_learns_and_changes_nothing(pair, link):
    marker = "marker-4711"
    with link.broker.client() as spy:
        spy.subscribe("#")
        for number in range(20):
            pair[number % 2].put(f"{marker} {number}")
        assert osiris.wait_until_equal(*pair) == 20
        seen = [(message.topic, message.payload) for message in list(spy.received)]
        assert len(seen) > 4
        assert not any(marker.encode() in payload for _, payload in seen)
        for topic, payload in seen[-20:]:
            spy.publish(topic, payload)
            spy.publish(topic, payload[:-1])
            spy.publish(topic, os.urandom(len(payload)))
        spy.publish("osiris/link/in/stranger", os.urandom(1000))
        spy.publish("osiris/link/gone", b"")
        pair[0].put("still in step")
        assert osiris.wait_until_equal(*pair) == 21
    link.broker.stop()
    saved = link.broker.saved.read_bytes()
    assert saved.startswith(b"\x00\xb5\x00mosquitto db") and marker.encode() not in saved
