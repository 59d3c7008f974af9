"""Fixtures of the end-to-end tests: daemons that do not outlive their test."""
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import osiris  # noqa: E402


@pytest.fixture
def folder():
    """Short, for a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="osr-") as path:
        yield pathlib.Path(path)


@pytest.fixture
def make_daemon(folder):
    """Makes daemons (not yet started); at the end each must end well, if it still runs."""
    made = []

    def make(name="one", **options):
        made.append(osiris.Daemon(folder, name, **options))
        return made[-1]

    yield make
    statuses = {daemon.name: daemon.stop() for daemon in made}
    logs = "\n".join(f"--- {daemon.name}\n{daemon.log()}" for daemon in made)
    print(logs)
    assert all(status in (0, None) for status in statuses.values()), statuses
    assert "ERROR: AddressSanitizer" not in logs and "runtime error:" not in logs


@pytest.fixture
def daemon(make_daemon):
    """One that runs, with a TCP listener."""
    return make_daemon().listen_somewhere().start()
