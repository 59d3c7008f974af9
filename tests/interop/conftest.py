"""Fixtures of the interoperability suite: servers that do not outlive their test."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import http2  # noqa: E402
import peers  # noqa: E402


@pytest.fixture
def make_server():
    """Starts our server; at the end each must end well."""
    made = []

    def make(*place, **options):
        made.append(peers.Server("osiris", *place, **options))
        return made[-1]

    yield make
    statuses = [server.stop() for server in made]
    for server in made:
        print(server.log())
    assert all(status == 0 for status in statuses), statuses


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def make_other_server():
    """Starts a server of others, by its language."""
    made = []

    def make(language, **options):
        try:
            made.append(peers.Server(language, **options))
        except peers.Missing as missing:
            pytest.skip(str(missing))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def run_case():
    """Runs a case; a language that is missing or cannot do it is a skip, never a pass."""
    def run(language, case, server):
        try:
            done = peers.run_client(language, case, server.url)
        except peers.Missing as missing:
            pytest.skip(str(missing))
        if done.returncode == peers.CANNOT:
            pytest.skip(done.stdout.strip())
        assert done.returncode == 0, done.stdout + done.stderr
    return run


@pytest.fixture
def scripted():
    """Runs a script as the server of one of our client's reports; what became of its calls."""
    servers = []

    def run(script, case="report_unary"):
        server = http2.ScriptedServer(script)
        servers.append(server)
        try:
            found, others = peers.outcomes(server.url, case)
        finally:
            server.close()
        return found + others

    return run
