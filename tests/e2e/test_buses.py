"""What every bus promises, with the brokers as Debian ships them (tests/contract/bus_contract.c)."""
import contextlib
import os
import subprocess

import pytest

import mosquitto
import osiris
import rabbitmq


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
