"""osirisd as a process: how it starts, what it says, how it ends."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest

import osiris


def run(*arguments, **options):
    return subprocess.run([osiris.program("osirisd"), *map(str, arguments)], capture_output=True,
                          text=True, timeout=60, **options)


def errors_of(result):
    """The message and the hint."""
    return (result.stderr.splitlines() + ["", ""])[:2]


# Help and version go to stdout and are no failure.
def test_help_and_version():
    result = run("--help")
    assert result.returncode == 0 and not result.stderr
    assert "--follow-file FILE" in result.stdout and "Examples:" in result.stdout
    result = run("-V")
    assert result.returncode == 0
    assert re.fullmatch(r"osirisd \d+\.\d+\.\d+\n", result.stdout)


# What is wrong with the flags or the file is one line with the code, one with what to do, and a
# status of its own; nothing is made before that.
@pytest.mark.parametrize("flags, text, status, message, hint", [
    (["--liste", "x"], None, 64, "INVALID_ARGUMENT: --liste: unknown flag",
     "did you mean '--listen'?"),
    ([], "name: a\nlsten: x\n", 78, "CONFIG: {path}:2: lsten: unknown key", "did you mean 'listen'?"),
    ([], "peer: [tcp://a\n", 78, "CONFIG: {path}:2: not YAML", "indent with spaces"),
    (["--listen", "tcp://0.0.0.0:1"], None, 78, "CONFIG: listen: tcp://0.0.0.0:1: everybody",
     "insecure: true"),
])
def test_wrong_configuration(folder, flags, text, status, message, hint):
    path = folder / "osiris.yaml"
    if text is not None:
        path.write_text(text)
        flags = ["--config", path]
    result = run("--data", folder / "data", *flags)
    assert result.returncode == status
    first, second = errors_of(result)
    assert first.startswith("osirisd: " + message.format(path=path))
    assert second.startswith("hint: ") and hint in second
    assert not (folder / "data").exists()


# The file says the same as flags would.
def test_config_file_is_obeyed(make_daemon, folder):
    port = osiris.free_port()
    path = folder / "osiris.yaml"
    path.write_text(f"cluster: home\nlisten: [tcp://127.0.0.1:{port}]\nheartbeat-ms: 500\n")
    daemon = make_daemon(flags=["--config", str(path)]).start()
    with osiris.Client(port) as client:
        status = client.call("STATUS")
    assert status["cluster"] == "home"
    assert f"tcp://127.0.0.1:{port}" in status["listeners"]
    assert daemon.name == status["name"]


# SIGTERM and SIGINT end it well.
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_well(daemon, number):
    daemon.put("kept")
    daemon.process.send_signal(number)
    assert daemon.process.wait(osiris.WAIT_S) == 0
    assert f"stopping on {number.name}" in daemon.log()
    assert not daemon.socket_path.exists()
    daemon.start()
    assert [document["data"] for document in daemon.documents()] == ["kept"]


# A name server that does not answer does not keep it from ending.
def test_ends_while_a_name_is_looked_up(make_daemon, folder):
    library = folder / "hanging.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", "-o", library], text=True, check=True,
                   input="#include <unistd.h>\nint getaddrinfo(void) { for (;;) pause(); }\n")
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    environment = {**os.environ, "LD_PRELOAD": str(library), "ASAN_OPTIONS": sanitizer}
    daemon = make_daemon(peers=["tcp://hangs.test:1"]).start(env=environment)
    threads = pathlib.Path(f"/proc/{daemon.process.pid}/task")
    osiris.wait_for(lambda: any(name.read_text() == "name\n" for name in threads.glob("*/comm")),
                    "the look-up")
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5


# Whatever it makes is for its owner alone, and no core would show the key.
def test_what_it_makes_is_private(daemon):
    daemon.put("private")
    paths = [daemon.data, *daemon.data.rglob("*")]
    assert len(paths) > 4
    for path in paths:
        assert stat.S_IMODE(os.lstat(path).st_mode) & 0o077 == 0, path
    with open(f"/proc/{daemon.process.pid}/limits") as limits:
        core, = [line for line in limits if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]


# A key that others can read, or none at all in its place, stops the start and stays as it is.
def test_key_open_to_others_is_refused(make_daemon):
    daemon = make_daemon().start()
    daemon.stop()
    key = daemon.data / "identity.key"
    before = key.read_bytes()
    key.chmod(0o640)
    result = run("--data", daemon.data)
    assert result.returncode == 77
    assert errors_of(result)[1] == f"hint: chmod 600 {key}"
    key.chmod(0o600)
    assert key.read_bytes() == before
    daemon.start()


# A key that is lost is not replaced while the log has entries of the identity that it was: neither at
# the start nor by set-up. Where the log is empty, or not there, there is nothing to lose.
def test_lost_key_is_not_replaced(make_daemon, folder):
    daemon = make_daemon().start()
    instance = daemon.instance()
    daemon.stop()
    key = daemon.data / "identity.key"
    key.rename(folder / "backup.key")
    result = run("--data", daemon.data)  # no entries, but it is a member of its ledger
    assert result.returncode == 78 and "log/ has records of a ledger" in result.stderr
    (folder / "backup.key").rename(key)
    daemon.start()
    daemon.put("kept")
    daemon.stop()
    key.rename(folder / "backup.key")
    for words in ([], ["setup", "init"]):
        result = run(*words, "--data", daemon.data)
        assert result.returncode == 78
        said = result.stdout + result.stderr  # set-up answers in JSON
        assert "CONFIG" in said and "put it back from a backup" in said
        assert (f"identity.key is missing in {daemon.data}, but log/ has entries of instance "
                f"{instance}") in said
        assert not key.exists()
    (folder / "backup.key").rename(key)
    daemon.start()
    assert daemon.instance() == instance
    assert [document["data"] for document in daemon.documents()] == ["kept"]
    daemon.stop()
    key.unlink()
    shutil.rmtree(daemon.data / "log")
    shutil.rmtree(daemon.data / "ledger")
    daemon.start()
    assert daemon.instance() != instance


# Each line of the log has a time and a level.
def test_log_lines_have_time_and_level(daemon):
    lines = daemon.log().splitlines()
    assert lines
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|trace) .", line)


# Under systemd the journal adds the time, and reads the level from the line's beginning.
def test_log_for_the_journal(folder):
    read, write = os.pipe()
    file = os.fstat(write)
    process = subprocess.Popen([osiris.program("osirisd"), "--data", folder / "d"], stderr=write,
                               env={**os.environ, "JOURNAL_STREAM": f"{file.st_dev}:{file.st_ino}"})
    os.close(write)
    with os.fdopen(read) as log:
        lines = []
        for line in log:
            lines.append(line)
            if " is up, " in line:
                process.terminate()
    assert process.wait(osiris.WAIT_S) == 0
    assert lines and all(re.match(r"<[3-7]>[^ ]", line) for line in lines)
