"""From nothing to a cluster: init, join, doctor, and what goes wrong on the way."""
import contextlib
import os
import pathlib
import signal
import socket
import stat
import subprocess
import time

import pytest

import cli
import osiris


class Machine:
    """A home of one's own, and the instance in it, which `osiris` starts by itself."""

    def __init__(self, folder, name):
        self.home = folder / name
        self.home.mkdir()
        self.data = self.home / "data"
        self.name = name
        self.port = osiris.free_port()
        self.url = f"tls://127.0.0.1:{self.port}"
        self.run = cli.Cli("--data", self.data)
        self.environment = {"HOME": str(self.home), "XDG_CONFIG_HOME": ""}

    def __call__(self, *words, **options):
        return self.run(*words, env=self.environment, **options)

    def fails(self, status, *words, **options):
        return self.run.fails(status, *words, env=self.environment, **options)

    def json(self, *words, **options):
        return self.run.json(*words, env=self.environment, **options)

    def init(self, *words):
        return self.json("init", "--name", self.name, "--listen", self.url, *words)[0]

    def findings(self):
        """What doctor says, by what was looked at; and its exit status."""
        result = self.run.run("-o", "json", "doctor", env=self.environment)
        assert result.stderr == ""
        found = {}
        for line in result.stdout.splitlines():
            finding = osiris.json.loads(line)
            found.setdefault(finding["check"], []).append(finding)
        return found, result.returncode

    def pid(self):
        """Of its osirisd; None where none holds the folder."""
        try:
            pid = int((self.data / "lock").read_text())
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.data).encode() in command else None

    def stop(self):
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        osiris.wait_for(lambda: self.pid() is None, f"{self.name} ends")

    def log(self):
        path = self.data / "osirisd.log"
        return path.read_text(errors="replace") if path.exists() else ""


@pytest.fixture
def make_machine(folder):
    """Makes machines; at the end none of their instances runs on, and none has broken."""
    made = []

    def make(name="ana"):
        made.append(Machine(folder, name))
        return made[-1]

    yield make
    for machine in made:
        machine.stop()
        print(f"--- {machine.name}\n{machine.log()}")
        assert "ERROR: AddressSanitizer" not in machine.log()
        assert "runtime error:" not in machine.log()


@pytest.fixture
def machine(make_machine):
    return make_machine()


def files_below(folder):
    return {path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


# ---- init ----

# Everything that init makes is its owner's alone, and keys are never printed.
def test_init_makes_a_folder_for_its_owner_alone(machine):
    shown = machine("init", "--name", "ana", "--no-start")
    assert f"osirisd --data {machine.data}" in shown and "PRIVATE" not in shown
    assert stat.S_IMODE(machine.data.stat().st_mode) == 0o700
    for path in machine.data.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    config = (machine.data / "osirisd.yaml").read_text()
    assert 'name: "ana"' in config and '"tls://0.0.0.0:7400"' in config
    assert {"tls.key", "tls.crt", "ca.key", "ca.crt", "authorities.pem"} <= \
        {path.name for path in (machine.data / "trust").iterdir()}


# The chain that is shown holds the CA: who knows its fingerprint alone finds it there.
def test_own_certificate_comes_with_the_authority(machine):
    machine("init", "--no-start")
    chain = (machine.data / "trust" / "tls.crt").read_text()
    assert (machine.data / "trust" / "ca.crt").read_text() in chain
    verified = subprocess.run(
        ["openssl", "verify", "-CAfile", machine.data / "trust" / "ca.crt",
         machine.data / "trust" / "tls.crt"], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stderr


def test_init_again_changes_nothing(machine):
    first = machine.init("--no-start")
    before = files_below(machine.data)
    assert machine.init("--no-start") == first
    assert {**before, pathlib.Path("lock"): b""} == \
        {**files_below(machine.data), pathlib.Path("lock"): b""}


# What a run that was cut short has left is finished by the next one.
@pytest.mark.parametrize("lost", ["osirisd.yaml", "trust/tls.crt", "trust"])
def test_init_finishes_what_was_begun(machine, lost):
    first = machine.init("--no-start")
    path = machine.data / lost
    if path.is_dir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    else:
        path.unlink()
    assert machine.init("--no-start")["instance"] == first["instance"]
    assert path.exists()


@pytest.mark.parametrize("words, key", [
    (["--cluster", "another"], "cluster"), (["--name", "ben"], "name"),
    (["--listen", "tls://127.0.0.1:1"], "listen")])
def test_init_never_overwrites_a_config(machine, words, key):
    machine.init("--no-start")
    before = (machine.data / "osirisd.yaml").read_bytes()
    message = machine.fails(78, "init", "--no-start", *words)
    assert f"another {key}" in message and "hint:" in message
    assert (machine.data / "osirisd.yaml").read_bytes() == before


# A folder with somebody's files in it is nobody's data folder.
def test_init_leaves_foreign_folders_alone(machine):
    machine.data.mkdir()
    (machine.data / "letter.txt").write_text("dear")
    assert "FOREIGN_FILE" in machine.fails(65, "init")
    assert [path.name for path in machine.data.iterdir()] == ["letter.txt"]


def test_init_is_for_this_machine(machine):
    message = machine.run.run("--to", "tcp://127.0.0.1:1", "init").stderr
    assert "exclude each other" in message or "--data, not --to" in message


# It runs in the background, outlives the command, and another init finds it running.
def test_init_starts_an_instance(machine):
    shown = machine("init", "--name", "ana", "--listen", machine.url, "--role", "peer")
    assert "osiris join osri_" in shown
    assert machine.pid() is not None
    status, = machine.json("status")
    assert status["name"] == "ana" and machine.url in status["listeners"]
    pid = machine.pid()
    machine("init")
    assert machine.pid() == pid
    assert "runs here already" in machine.fails(75, "init", "--name", "ben")


# What keeps osirisd from starting is said by init itself, with osirisd's own words.
def test_init_says_why_osirisd_does_not_start(machine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", machine.port))
        taken.listen()
        message = machine.fails(75, "init", "--listen", machine.url)
    assert str(machine.port) in message and "IN_USE" in message
    machine("init", "--listen", machine.url)  # and once that is mended, the next one goes on
    assert machine.pid() is not None


def test_set_up_refuses_a_folder_in_use(machine):
    machine.init()
    setup = subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", machine.data],
                           capture_output=True, text=True)
    assert setup.returncode == 75 and '"code":"IN_USE"' in setup.stdout


# ---- invite, join ----

@pytest.fixture
def pair(make_machine):
    """One that runs, and one with nothing yet."""
    ana, ben = make_machine("ana"), make_machine("ben")
    ana.invitation = ana.init()["invitation"]
    return ana, ben


def test_two_commands_make_a_pair(pair):
    ana, ben = pair
    shown = ben("join", ana.invitation, "--name", "ben")
    assert "linked to" in shown and ana.url in shown
    document = ana("kb", "add", "from ana", "--acks", "1").strip()
    assert ben.json("kb", "get", document)[0]["data"] == "from ana"
    document = ben("kb", "add", "from ben", "--acks", "1").strip()
    assert ana.json("kb", "get", document)[0]["data"] == "from ben"
    config = (ben.data / "osirisd.yaml").read_text()
    assert ana.url in config and "listen" not in config
    assert not (ben.data / "trust" / "ca.key").exists()


# The secret is in no log, no config, no list of processes.
def test_invitation_is_written_down_nowhere(pair):
    ana, ben = pair
    ben("join", ana.invitation)
    secret = ana.invitation[5:]
    for machine in pair:
        for path, content in files_below(machine.data).items():
            assert secret.encode() not in content, path
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes()
        except OSError:
            continue
        assert secret.encode() not in command or b"pytest" in command


@pytest.mark.parametrize("spoil, what", [
    (lambda text: text[:20] + ("a" if text[20] != "a" else "b") + text[21:], "mistyped"),
    (lambda text: text[:-9], "invitation"),
    (lambda text: "osrt_" + text[5:], "invitation"),
    (lambda text: "hello", "invitation"),
])
def test_mistyped_invitation_is_called_so(pair, spoil, what):
    ana, ben = pair
    message = ben.fails(64, "join", spoil(ana.invitation))
    assert "INVALID_ARGUMENT" in message and what in message
    assert not ben.data.exists()
    ben("join", ana.invitation)  # and it is as good as before


def test_invitation_is_good_once(pair, make_machine):
    ana, ben = pair
    ben("join", ana.invitation)
    cleo = make_machine("cleo")
    message = cleo.fails(77, "join", ana.invitation)
    assert "used" in message
    assert cleo.pid() is None
    fresh = ana.json("invite")[0]["invitation"]
    cleo("join", fresh)  # a second try, in the folder that the first has left


def test_expired_invitation_is_called_so(pair):
    ana, ben = pair
    invitation = ana.json("invite", "--expires", "1s")[0]["invitation"]
    time.sleep(1.5)
    assert "expired" in ben.fails(77, "join", invitation)


def test_revoked_invitation_is_called_so(pair):
    ana, ben = pair
    invitation = ana.json("invite")[0]
    assert invitation["id"] in ana("invite", "list")
    ana("invite", "revoke", invitation["id"])
    assert "revoked" in ben.fails(77, "join", invitation["invitation"])


# Where nobody answers, each address is named with its reason, within seconds, and nothing is lost.
def test_unreachable_invitation_names_each_address(pair):
    ana, ben = pair
    port = osiris.free_port()
    invitation = ana.json("invite", "--address", f"tls://127.0.0.1:{port}",
                          "--address", "tls://no-such-host.invalid:7400")[0]["invitation"]
    message = ben.fails(69, "join", invitation)
    assert f"127.0.0.1:{port}" in message and "no-such-host.invalid" in message
    assert ben.pid() is None
    ben("join", ana.invitation)


# Who listens there and is not the cluster's is not told the secret.
def test_another_cluster_at_the_address_is_refused(pair, make_machine):
    ana, ben = pair
    other = make_machine("other")
    other.init()
    invitation = ana.json("invite", "--address", other.url)[0]["invitation"]
    message = ben.fails(69, "join", invitation)
    assert other.url in message
    assert "invite" not in other.log()


def test_member_of_one_cluster_cannot_join_another(pair, make_machine):
    ana, ben = pair
    other = make_machine("other")
    other.init("--cluster", "another")
    assert "IN_USE" in other.fails(75, "join", ana.invitation)
    other.stop()
    assert "ALREADY_EXISTS" in other.fails(1, "join", ana.invitation)
    other("init")  # it goes on as what it was
    ben("join", ana.invitation)
    ben.stop()
    invitation = other.json("invite")[0]["invitation"]
    assert "WRONG_CLUSTER" in ben.fails(78, "join", invitation)


@pytest.mark.parametrize("words", [("--expires", "soon"), ("--address", "desk"),
                                   ("--address", "udp://127.0.0.1:7400"),
                                   ("--address", "mqtts://broker.example/a")])
def test_init_makes_nothing_where_the_invitation_is_mistyped(machine, words):
    assert "INVALID_ARGUMENT" in machine.fails(64, "init", *words)
    assert not machine.data.exists()


# An invitation to where nobody without a certificate is let in would be a door that never opens.
def test_invitation_needs_a_listener_for_who_has_no_certificate(machine):
    words = machine("init", "--listen", machine.url + "?auth=certificate")
    assert "osiris join" not in words and "token or password" in words
    assert "CONFIG" in machine.fails(78, "invite")
    assert "osri_" in machine("invite", "--address", machine.url)


# ---- doctor ----

def test_doctor_finds_nothing_wrong(machine):
    machine.init()
    found, status = machine.findings()
    assert {"files", "identity", "certificate", "authority", "listener", "clock", "room", "fsync",
            "instance", "storage"} <= set(found)
    wrong = [finding for findings in found.values() for finding in findings
             if finding["level"] != "ok" and finding["check"] not in ("clock", "room", "fsync")]
    assert wrong == []
    assert status in (0, 1)  # the machine's own clock and disk may be worth a warning
    assert not (machine.data / "doctor.tmp").exists()


# Each finding that is bad comes with what mends it; done as it says, it is gone.
def test_doctor_says_what_mends_permissions(machine):
    machine.init("--no-start")
    (machine.data / "trust" / "ca.key").chmod(0o644)
    found, status = machine.findings()
    finding, = found["files"]
    assert status == 2 and finding["level"] == "error" and "ca.key" in finding["text"]
    assert subprocess.run(finding["mend"], shell=True).returncode == 0
    found, _ = machine.findings()
    assert found["files"][0]["level"] == "ok" and found["certificate"][0]["level"] == "ok"


@pytest.mark.parametrize("spoil, check", [
    (lambda data: (data / "identity.key").write_text("no key"), "identity"),
    (lambda data: (data / "trust" / "tls.crt").write_text("no certificate"), "certificate"),
    (lambda data: (data / "osirisd.yaml").write_text("nmae: ana\n"), "config"),
    (lambda data: (data / "trust" / "tls.key").unlink(), "certificate"),
    (lambda data: (data / "trust" / "authorities.pem").unlink(), "certificate"),
    (lambda data: (data / "identity.key").unlink(), "identity"),
])
def test_doctor_finds_what_is_broken(machine, spoil, check):
    machine.init("--no-start")
    spoil(machine.data)
    found, status = machine.findings()
    assert status == 2
    assert found[check][0]["level"] == "error" and found[check][0]["mend"] != ""


# A certificate that is another instance's, as after a wrong restore, keeps osirisd from starting.
def test_doctor_finds_the_certificate_of_another(pair):
    ana, ben = pair
    ben("join", ana.invitation, "--no-start")
    ana.stop()
    (ben.data / "identity.key").write_bytes((ana.data / "identity.key").read_bytes())
    found, status = ben.findings()
    wrong = [finding for finding in found["certificate"] if finding["level"] == "error"]
    assert status == 2 and "tls.crt is for instance:" in wrong[0]["text"]


# Root that looks at a service's folder is not told to take it away from the service.
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_doctor_leaves_the_folder_of_another_user_to_that_one(machine):
    machine.init("--no-start")
    subprocess.run(["chown", "-R", "65534", machine.data], check=True)
    found, status = machine.findings()
    finding, = found["files"]
    assert status == 2 and "sudo -u" in finding["mend"] and "chown" not in finding["mend"]
    assert "identity" not in found


def test_doctor_warns_of_plaintext_to_the_network(machine):
    machine.init("--no-start")
    config = machine.data / "osirisd.yaml"
    config.write_text('name: "ana"\nlisten: ["tcp://0.0.0.0:7401"]\ninsecure: true\n')
    found, status = machine.findings()
    assert status >= 1 and found["listener"][0]["level"] == "warning"
    assert "tls://" in found["listener"][0]["mend"]


def test_doctor_of_nothing_says_how_to_begin(machine):
    found, status = machine.findings()
    assert status == 2 and "osiris init" in found["files"][0]["mend"]


def test_doctor_names_a_peer_that_is_gone(pair):
    ana, ben = pair
    ben("join", ana.invitation)
    found, _ = ben.findings()
    assert found["peer"][0]["level"] == "ok"
    ana.stop()
    osiris.wait_for(lambda: ben.findings()[0]["peer"][0]["level"] == "error", "doctor sees it")


# What keeps a peer away today is shown, not what did so first.
def test_doctor_names_the_newest_reason(pair):
    ana, ben = pair
    ben("join", ana.invitation)
    ana.stop()
    osiris.wait_for(lambda: "nobody listens" in ben.findings()[0]["peer"][0]["text"], "it is gone")
    with socket.create_server(("127.0.0.1", ana.port)) as other:
        other.settimeout(0.1)

        def is_named():
            with contextlib.suppress(TimeoutError):
                with other.accept()[0] as connection:
                    connection.sendall(b"hello, this is something else\r\n")
                    connection.recv(4096)
            return "does not speak TLS" in ben.findings()[0]["peer"][0]["text"]

        osiris.wait_for(is_named, "the other program is named")


# ---- shared keys, certificates of the folder ----

def test_shared_key_is_carried_to_another_folder(machine, make_machine):
    other = make_machine("ben")
    machine.init("--no-start")
    other.init("--no-start")
    line = machine("key", "add", "winter")
    assert line.startswith("winter ") and line == machine("key", "show", "winter")
    secret = other.home / "winter.key"
    secret.write_text(line)
    assert "PERMISSION_DENIED" in other.fails(77, "key", "add", "winter", "--secret-file", secret)
    secret.chmod(0o600)
    assert other("key", "add", "winter", "--secret-file", secret) == ""
    assert other("key", "show", "winter") == line
    assert other("key", "list") == "winter\n"
    other("key", "remove", "winter")
    assert other("key", "list") == ""
    assert "NOT_FOUND" in other.fails(1, "key", "show", "winter")


def test_authority_rotates_in_three_steps(machine):
    machine.init("--no-start")

    def states():
        return [line["state"] for line in machine.json("ca", "list")]

    assert states() == ["ca", "own"]
    assert "NOT_FOUND" in machine.fails(1, "ca", "rotate", "switch")
    machine("ca", "rotate", "begin")
    assert states() == ["ca", "next ca", "own"]
    assert "--force" in machine.fails(69, "ca", "rotate", "switch")  # who would tell of members?
    assert states() == ["ca", "next ca", "own"]
    machine("ca", "rotate", "switch", "--force")
    assert states() == ["old ca", "ca", "own"]
    own = [line for line in machine.json("ca", "list") if line["state"] == "own"]
    chain = (machine.data / "trust" / "tls.crt").read_text()
    assert (machine.data / "trust" / "ca.crt").read_text() in chain and len(own) == 1
    refusal = machine.fails(69, "ca", "rotate", "end")  # who would tell which members are late?
    assert "is not known" in refusal and "--force" in refusal
    assert states() == ["old ca", "ca", "own"]
    machine("ca", "rotate", "end", "--force")
    assert states() == ["ca", "own"]
    assert "INVALID_ARGUMENT" in machine.fails(64, "ca", "rotate", "sideways")


def test_another_authority_can_be_believed(machine, make_machine):
    other = make_machine("ben")
    machine.init("--no-start")
    other.init("--no-start")
    machine("ca", "add", other.data / "trust" / "ca.crt")
    assert [line["state"] for line in machine.json("ca", "list")] == ["ca", "believed", "own"]
    assert "INVALID_ARGUMENT" in machine.fails(64, "ca", "add", machine.data / "osirisd.yaml")


# ---- help ----

def test_help_fits_a_terminal(run=cli.Cli()):
    for words in ([], ["init"], ["join"], ["invite"], ["doctor"], ["ca", "issue"], ["user"]):
        lines = run(*words, "--help").splitlines()
        assert lines and max(map(len, lines)) <= 80
