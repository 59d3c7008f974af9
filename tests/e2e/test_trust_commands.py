"""The command line's part of trust: secrets by standard input, several commands at once, the CA of
an instance that has none, certificates that are renewed, a log that does not grow without end."""
import json
import signal
import stat
import subprocess
import time

import pytest

import cli
import osiris
from test_people import Home
from test_setup import make_machine, Machine  # noqa: F401 (a fixture)

LOG_BYTES_MAX = 16 << 20


@pytest.fixture
def home(folder):
    made = Home(folder)
    yield made
    made.stop()
    print(made.log())
    assert "ERROR: AddressSanitizer" not in made.log() and "runtime error:" not in made.log()


# ---- standard input ----

# What one command prints goes straight into the other, and stands in no list of processes.
def test_invitation_comes_by_standard_input(make_machine):
    ana, ben = make_machine("ana"), make_machine("ben")
    ana.init()
    joined = ben.json("join", "-", "--name", "ben", input=ana("invite"))[0]
    assert joined["peer"].endswith(str(ana.port))
    word = ana("invite").split()[-1]
    eve = make_machine("eve")
    assert eve.json("join", "-", input=f"  {word}\n\n")[0]["peer"] == joined["peer"]


@pytest.mark.parametrize("text, complaint", [
    ("", "there is no invitation in it"),
    (" \n", "there is no invitation in it"),
    ("osiris join \n", "invitation"),
    ("x" * 5000, "at most 4096 bytes"),
])
def test_what_is_no_invitation_is_refused(make_machine, text, complaint):
    machine = make_machine()
    result = machine.run.run("join", "-", input=text, env=machine.environment)
    assert result.returncode != 0 and complaint in result.stderr
    assert not machine.data.exists()


def test_shared_key_comes_by_standard_input(make_machine):
    ana, ben = make_machine("ana"), make_machine("ben")
    for machine in (ana, ben):
        machine("init", "--no-start")
    ana("key", "add", "winter")
    ben("key", "add", "winter", "--secret-file", "-", input=ana("key", "show", "winter"))
    assert ben("key", "show", "winter") == ana("key", "show", "winter")
    assert "there is no shared key" in ben.fails(64, "key", "add", "x", "--secret-file", "-",
                                                 input="")


# ---- several at once ----

# Commands that change the trust folder at the same time, beside an instance that reads it each
# time, lose nothing of each other.
def test_changes_at_once_lose_nothing(home):
    names = [f"key{i}" for i in range(6)]
    started = [home.run.start("key", "add", name) for name in names]
    for process in started:
        _, errors = process.communicate(timeout=osiris.WAIT_S)
        assert process.returncode == 0, errors
    assert {line["name"] for line in home.json("key", "list")} == set(names)
    home("reload")


# ---- the CA ----

# Who was linked without a CA so far can have one; who has one keeps it.
def test_ca_is_made_where_there_is_none(make_daemon):
    daemon = make_daemon("one").start()
    run = cli.Cli("--data", daemon.data)
    assert not [row for row in run.json("ca", "list") if row.get("state") == "ca"]
    assert "osiris invite" in run("ca", "init")
    rows = {row["state"]: row for row in run.json("ca", "list")}
    assert set(rows) == {"ca", "own"}
    assert "has a CA already" in run.fails(1, "ca", "init")
    assert run.json("ca", "list")[0]["serial"] == rows["ca"]["serial"]


def test_member_makes_no_ca_of_its_own(make_machine):
    ana, ben = make_machine("ana"), make_machine("ben")
    ana.init()
    ben("join", "-", "--no-start", input=ana("invite"))
    assert "a CA that is elsewhere" in ben.fails(1, "ca", "init")


def serial_of(path):
    shown = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-serial"], check=True,
                           capture_output=True, text=True).stdout
    return shown.strip().split("=")[1]


# A person's certificate is exchanged for a new one of the same name and key; both are good then.
def test_certificate_of_a_person_is_renewed(home):
    prefix = home.home / "ben"
    home("ca", "issue", "user:ben", "--out", prefix, "--days", "3")
    certificate, key = home.home / "ben.crt", home.home / "ben.key"
    (home.home / "old.crt").write_bytes(certificate.read_bytes())
    before = serial_of(certificate)
    run = home.remote("--cert", certificate, "--key", key)
    shown = run("ca", "renew")
    assert serial_of(certificate) != before and serial_of(certificate) in shown
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o644
    for file in (certificate, home.home / "old.crt"):
        assert home.remote("--cert", file, "--key", key).json("whoami")[0]["who"] == "user:ben"
    assert not (home.home / "ben.crt.new").exists()


# What cannot be renewed stays as it is.
def test_revoked_certificate_is_not_renewed(home):
    prefix = home.home / "ben"
    made, = home.json("ca", "issue", "user:ben", "--out", prefix)
    assert "check it" in home.run.run("ca", "revoke", made["serial"]).stderr  # not known of people
    certificate = home.home / "ben.crt"
    before = certificate.read_bytes()
    home.remote("--cert", certificate, "--key", home.home / "ben.key").fails(77, "ca", "renew")
    assert certificate.read_bytes() == before


def test_revoking_needs_to_know_what(home):
    assert "--instance ID" in home.fails(64, "ca", "revoke")
    assert "--instance ID" in home.fails(64, "ca", "revoke", "0A", "--instance", "x")


# A serial number that nobody's certificate has is said to be unknown, as it may be mistyped; that of a
# member is not.
def test_unknown_serial_number_is_called_so(home, make_machine):
    result = home.run.run("ca", "revoke", "0ABC")
    assert result.returncode == 0 and result.stdout == "revoked\n"
    assert result.stderr == ("0ABC is revoked; no certificate with this serial is known here "
                             "(people's are not listed): check it\n")
    assert "0ABC" in home("ca", "list")
    ben = make_machine("ben")
    ben("join", "-", "--no-start", input=home("invite"))
    serial = serial_of(ben.data / "trust" / "tls.crt")
    assert home.json("ca", "revoke", serial)[0]["who"].startswith("instance:")


# ---- the audit log ----

# What is noted from now on is shown as it is noted; reading it adds nothing to it; it ends with
# whom it is shown to, and with the instance.
def test_audit_is_followed(home):
    token = home("token", "create", "ci", "--role", "reader").strip()
    run = home.remote("--token-file", home.secret("ci.token", token))
    follower = home.run.start("-o", "json", "audit", "--follow", "--who", "token:ci")
    for text in ("a", "b"):
        run.fails(77, "kb", "add", text)
        while True:
            record = json.loads(follower.stdout.readline())
            if record["action"] == "write":
                break
        assert record["who"] == "token:ci" and not record.get("allowed")
    last = home.json("audit")[-1]["number"]
    time.sleep(2.5)  # five looks of the follower
    # These two questions alone, each of which may see itself or not.
    assert int(home.json("audit")[-1]["number"]) <= int(last) + 2
    follower.send_signal(signal.SIGINT)
    _, errors = follower.communicate(timeout=osiris.WAIT_S)
    assert follower.returncode == 130 and "interrupted" in errors
    follower = home.run.start("audit", "-f", "--denied")
    assert "DENIED" in follower.stdout.readline()
    begun = time.monotonic()
    home.stop()
    assert time.monotonic() - begun < 5  # and does not keep the instance from ending
    follower.communicate(timeout=osiris.WAIT_S)
    assert follower.returncode != 0


# ---- the log ----

def make_large(path):
    with open(path, "ab") as file:
        file.truncate(LOG_BYTES_MAX + 1)


# A log that has grown large is put aside, at the start and while the instance runs: one old one is
# kept, and what is written next stands in a new one.
def test_log_does_not_grow_without_end(make_machine):
    machine = make_machine()
    machine.init()
    log, old = machine.data / "osirisd.log", machine.data / "osirisd.log.old"
    make_large(log)
    osiris.wait_for(old.exists, "the log is turned over")
    machine("reload")
    osiris.wait_for(lambda: log.stat().st_size < LOG_BYTES_MAX, "a new log is written")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    machine.stop()
    assert "stopping" in log.read_text()
    old.unlink()
    make_large(log)
    machine("init")
    assert old.stat().st_size > LOG_BYTES_MAX > log.stat().st_size
    assert "is up" in log.read_text()


# ---- doctor ----

def restart(machine, **lines):
    """With these lists in the place of those in its config."""
    machine.stop()
    config = machine.data / "osirisd.yaml"
    kept, skips = [], False
    for line in config.read_text().splitlines(True):
        skips = line.split(":")[0] in lines or (skips and line.startswith(" "))
        kept += [] if skips else [line]
    config.write_text("".join(kept) + "".join(f'{name}: ["{url}"]\n' for name, url in lines.items()))
    machine("init")


def peers(machine):
    found, status = machine.findings()
    return found.get("peer", []), status


@pytest.fixture
def both_ways(make_machine):
    """Two that dial each other."""
    ana, ben = make_machine("ana"), make_machine("ben")
    ben("join", "-", "--name", "ben", "--listen", ben.url, input=ana.init()["invitation"])
    restart(ana, peer=ben.url)
    osiris.wait_for(lambda: all(peer["level"] == "ok" for peer in peers(ana)[0] + peers(ben)[0])
                    and peers(ana)[0] and peers(ben)[0], "they are linked")
    return ana, ben


# Of two that dial each other one link stays; doctor calls that well on both sides.
def test_doctor_knows_both_directions(both_ways):
    for machine in both_ways:
        texts = [peer["text"] for peer in peers(machine)[0]]
        assert any("from here" in text or "reaches this instance" in text for text in texts), texts


# Linked by the other side alone: that works until it does not, so it is said.
def test_doctor_warns_of_a_direction_that_is_shut(both_ways):
    ana, ben = both_ways
    ana("status", "--wait", "10")
    osiris.wait_for(lambda: "reached from here" in str(peers(ana)), "ana has pinned ben")
    restart(ben, listen=f"tls://127.0.0.1:{osiris.free_port()}")
    osiris.wait_for(lambda: any(peer["level"] == "warning" for peer in peers(ana)[0]),
                    "doctor sees it")
    warning, = (peer for peer in peers(ana)[0] if peer["level"] == "warning")
    assert "is not reached from here" in warning["text"] and ben.url in warning["text"]
    assert "osiris doctor" in warning["mend"]


# Who may come in by a listener that is open to the network is said in so many words.
def test_doctor_says_whom_a_listener_lets_in(make_machine):
    machine = make_machine()
    machine("init", "--no-start", "--listen", "tls://0.0.0.0:7411?auth=certificate,password")
    found, _ = machine.findings()
    finding, = found["listener"]
    assert finding["level"] == "ok"
    assert finding["text"].endswith("open to the network, by TLS, to certificates and passwords")
