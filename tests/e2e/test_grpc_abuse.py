"""Hostile peers at gRPC's port (abuse.py). After each attack the daemon is there, has answered
what the specification names, has not grown, and no call of a client that does no wrong has failed.
The bound of its memory is that of a release build: sanitizers keep what was freed."""
import pytest

import abuse
import good_client
import osiris


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """One for all attacks, so that what they leave behind would add up."""
    daemon = osiris.Daemon(tmp_path_factory.mktemp("abuse"), "one").listen_somewhere().start()
    yield daemon
    assert daemon.stop() == 0, daemon.log()
    assert "ERROR: AddressSanitizer" not in daemon.log() and "runtime error:" not in daemon.log()


@pytest.fixture(scope="module")
def good_client_of_all(daemon):
    with good_client.GoodClient(daemon.port) as good:
        yield good


@pytest.fixture(autouse=True)
def witness(daemon, good_client_of_all):
    """A client that was there before and must not notice anything."""
    abuse.forget_peak(daemon)
    good_client_of_all.take()
    yield
    assert daemon.is_running(), daemon.log()
    assert good_client_of_all.take()["failures"] == []
    if not abuse.is_sanitized():
        assert abuse.peak_memory(daemon) < abuse.MEMORY_MAX


# Each attack once; what it must be answered with stands there.
@pytest.mark.parametrize("name", abuse.ATTACKS)
def test_attack(daemon, name):
    abuse.ATTACKS[name](daemon)


# Who connects and then says nothing, or half of what begins a connection, is hung up on.
def test_half_open(daemon):
    abuse.half_open(daemon, 50)


# Connections beyond the limit are turned away in good order.
def test_many_connections(daemon):
    count = min(abuse.CONNECTIONS_MAX + 500, abuse.files_max())
    turned_away = abuse.many_connections(daemon, count)
    assert turned_away >= count - abuse.CONNECTIONS_MAX
