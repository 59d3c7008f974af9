"""osirisd as a service: what it tells the service manager, and the unit that comes with it."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

import osiris
import system_calls

UNIT = pathlib.Path(__file__).resolve().parent.parent.parent / "packaging" / "osirisd.service"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                                   reason="systemd-analyze is not installed")


# The service manager hears when it is ready to be used, and when it begins to stop.
@pytest.mark.parametrize("is_abstract", [False, True])
def test_service_manager_is_told(make_daemon, folder, is_abstract):
    name = f"osr-notify-{os.getpid()}" if is_abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if is_abstract else name)
        manager.settimeout(osiris.WAIT_S)
        daemon = make_daemon()
        daemon.launch(env={**os.environ, "NOTIFY_SOCKET": "@" + name if is_abstract else name})
        assert manager.recv(64) == b"READY=1"
        with osiris.Client(daemon.socket_path) as client:  # it is
            client.call("STATUS")
        daemon.process.send_signal(signal.SIGTERM)
        assert manager.recv(64) == b"STOPPING=1"
        assert daemon.process.wait(osiris.WAIT_S) == 0


# Where it cannot be told, that is no reason not to run.
@pytest.mark.parametrize("name", ["", "/", "/nobody/listens/there", "x" * 300])
def test_service_manager_need_not_listen(make_daemon, name):
    make_daemon().start(env={**os.environ, "NOTIFY_SOCKET": name})


# systemd reads the unit without a complaint.
@needs_systemd
def test_unit_is_valid(folder):
    unit = folder / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/osirisd", osiris.program("osirisd")))
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)],
                            capture_output=True, text=True, timeout=60)
    complaints = [line for line in result.stderr.splitlines() if UNIT.stem in line]
    assert result.returncode == 0 and not complaints, result.stderr


# Its sandbox is among the tightest, by systemd's own measure (0 is the tightest, 10 none).
@needs_systemd
def test_unit_is_a_tight_sandbox():
    result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                             str(UNIT)], capture_output=True, text=True, timeout=60)
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", result.stdout)
    if exposure is None:
        pytest.skip(f"systemd-analyze security gives no measure here: {result.stderr.strip()}")
    assert float(exposure.group(1)) <= 1.5, result.stdout


# All that it does it can do under the unit's system call filter: any other call would end it.
def test_unit_allows_all_that_is_needed(make_daemon, folder):
    try:
        allowed = system_calls.allowed_by(UNIT.read_text())
        if os.geteuid() == 0:
            allowed.add("fchown")  # SQLite's, as root alone; the unit's user is not
        load = system_calls.make_filter(allowed)
    except system_calls.Unavailable as reason:
        pytest.skip(str(reason))
    followed = folder / "kb.json"
    followed.write_text('["followed"]\n')
    daemon = make_daemon(flags=["--follow-file", str(followed), "--mirror", str(folder / "copy.json")])
    # The leak check of a sanitized build looks at its own process by ptrace.
    quiet = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    daemon.listen_somewhere().start(preexec_fn=load, env=quiet)
    other = make_daemon("two", peers=[daemon.url]).start(preexec_fn=load, env=quiet)
    daemon.put("written")
    osiris.wait_for(lambda: len(other.documents()) == 2, "both documents at the other")
    osiris.wait_for((folder / "copy.json").exists, "the mirror")
    with osiris.Client(daemon.socket_path) as client:
        client.call("KB_LIST")
        client.call("REBUILD")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(osiris.WAIT_S) == 0, daemon.log()


# A filter that forbids what it needs would be noticed.
def test_filter_ends_who_calls_otherwise(folder):
    try:
        load = system_calls.make_filter(system_calls.allowed_by("") | {"execve"})
    except system_calls.Unavailable as reason:
        pytest.skip(str(reason))
    result = subprocess.run([osiris.program("osirisd"), "--data", str(folder / "data")],
                            preexec_fn=load, capture_output=True, timeout=60)
    assert result.returncode == -signal.SIGSYS
