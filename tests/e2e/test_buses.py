"""What every bus promises, with the brokers as Debian ships them (tests/contract/bus_contract.c),
and what each does with a broker that confirms nothing."""
import contextlib
import os
import subprocess

import pytest

import bus_probe
import carriers
import mosquitto
import osiris
import rabbitmq
from withholding import Withholding


@contextlib.contextmanager
def mqtt(folder):
    with mosquitto.Mosquitto(folder).start() as broker:
        yield broker.url("contract")


@contextlib.contextmanager
def zmq(folder):
    yield "zmq://127.0.0.1:0"


@contextlib.contextmanager
def amqp(folder):
    with rabbitmq.Rabbitmq(folder).start() as broker:
        yield broker.url("contract")


BUSES = {"amqp": amqp, "mqtt": mqtt, "zmq": zmq}


# Each carrier keeps the contract, however its broker's library does it.
@pytest.mark.parametrize("bus", BUSES)
def test_contract(bus, folder):
    with BUSES[bus](folder) as url:
        result = subprocess.run([osiris.program("tests/contract/bus_contract")], text=True,
                                env={**os.environ, "OSIRIS_BUS_URL": url}, timeout=300,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout


BROKERS = {
    "amqp": rabbitmq.Rabbitmq,
    "mqtt": lambda folder: mosquitto.Mosquitto(folder, settings=["max_inflight_messages 0"]),
}
UNCONFIRMED_MAX = {"amqp": 4096, "mqtt": 256}
QUEUE_BYTES_MAX = 32 << 20


@pytest.fixture(params=BROKERS)
def withholding(request, folder):
    """A broker that can withhold its confirmations, and its kind."""
    with BROKERS[request.param](folder).start() as broker, Withholding(broker) as proxy:
        yield proxy, request.param


# What is sent waits here, and no more than may; who asks whether there is room is told that there
# is none, and who does not ask loses the connection before that takes the memory.
def test_nothing_is_confirmed(withholding):
    proxy, kind = withholding
    proxy.withholds = True
    with bus_probe.open_up("listener", proxy.broker.url("contract")) as listener, \
            bus_probe.open_up("dialler", proxy.url("contract")) as dialler:
        listener.tell(f"count {UNCONFIRMED_MAX[kind]}")
        dialler.tell("flood 100000 4000")
        listener.expect("counted")
        listener.tell("count 1")
        with pytest.raises(AssertionError):
            listener.expect("counted", timeout_s=2)
        assert dialler.count("down") == 0
        before = dialler.memory()
        for _ in range(2 * QUEUE_BYTES_MAX // 60000):
            dialler.tell("send - " + 60000 * "x")
        dialler.expect("down UNAVAILABLE")
        assert dialler.memory() < before + 4 * QUEUE_BYTES_MAX


def lean_environment():
    """Where a sanitized build keeps little of what was freed, so that memory can be judged."""
    return {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=8"}


# A link over such a broker holds up nobody who writes, and does not grow: where it stands still it
# is made anew, and all arrives when the broker is well.
def test_link_where_nothing_is_confirmed(withholding, make_daemon, folder):
    proxy, _ = withholding
    carriers.share_key(folder / "one", folder / "two")
    one = make_daemon("one", listen=[proxy.broker.url("link", auth="key")]).start()
    two = make_daemon("two", peers=[proxy.url("link", auth="key")]).start(env=lean_environment())
    two.put("the first")
    osiris.wait_until_equal(one, two)
    before = two.memory()
    proxy.withholds = True
    with two.client() as client:
        for number in range(3000):
            client.call("KB_PUT", document={"data": f"{number} {30000 * 'x'}"})
    assert two.count() == 3001
    assert two.memory() < before + (64 << 20)
    proxy.withholds = False
    proxy.cut()
    assert osiris.wait_until_equal(one, two, timeout_s=60) == 3001
