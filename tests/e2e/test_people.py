"""Tokens, users, certificates of people, and the audit log, by the command line."""
import os
import pty
import select
import stat
import subprocess

import pytest

import cli
import osiris
from test_setup import Machine


class Home(Machine):
    """An instance that serves gRPC by TLS, and people who come in there."""

    def __init__(self, folder):
        super().__init__(folder, "ana")
        self.url = f"grpcs://127.0.0.1:{self.port}"
        self.init()
        self.ca = self.home / "ca.pem"
        self.ca.write_bytes((self.data / "trust" / "ca.crt").read_bytes())

    def remote(self, *options):
        """The command line of somebody at another machine."""
        return cli.Cli("--to", self.url, "--ca", self.ca, *options)

    def secret(self, name, text):
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        return path


@pytest.fixture
def home(folder):
    made = Home(folder)
    yield made
    made.stop()
    print(made.log())
    assert "ERROR: AddressSanitizer" not in made.log() and "runtime error:" not in made.log()


def who(run, **options):
    return run.json("whoami", **options)[0]["who"]


def test_owner_on_this_machine_is_administrator(home):
    assert home.json("whoami")[0]["who"] == "admin"


def test_nobody_is_believed_without_a_ca(home):
    message = cli.Cli("--to", home.url).fails(78, "whoami")
    assert "whom to believe" in message


# ---- tokens ----

def test_token_does_what_its_role_may(home):
    token = home("token", "create", "ci", "--role", "reader").strip()
    assert token.startswith("osrt_") and token not in home("token", "list")
    run = home.remote("--token-file", home.secret("ci.token", token))
    assert who(run) == "token:ci"
    assert who(home.remote(), env={"OSIRIS_TOKEN": token}) == "token:ci"
    run("kb", "list")
    assert "PERMISSION_DENIED" in run.fails(77, "kb", "add", "a text")
    assert token not in home.log()


def test_revoked_token_is_refused(home):
    made, = home.json("token", "create", "ci", "--role", "reader", "--expires", "1h")
    run = home.remote("--token-file", home.secret("ci.token", made["token"]))
    run("kb", "list")
    home("token", "revoke", made["id"])
    assert "revoked" in run.fails(77, "kb", "list")
    listed, = home.json("token", "list")
    assert listed["id"] == made["id"] and listed["state"].startswith("revoked by admin")


def test_token_file_open_to_others_is_refused(home):
    path = home.secret("ci.token", home("token", "create", "ci", "--role", "reader"))
    path.chmod(0o644)
    message = home.remote("--token-file", path).fails(77, "whoami")
    assert f"chmod 600 {path}" in message


def test_token_without_a_role_is_not_made(home):
    assert "--role" in home.fails(64, "token", "create", "ci")


# ---- users ----

@pytest.fixture
def ana(home):
    """A user's password in a file."""
    path = home.secret("password", "correct horse battery\n")
    home("user", "add", "ana", "--role", "editor", "--password-file", path)
    return path


# A login is kept for its owner alone, is shown for that URL and for no other.
def test_login_is_kept_for_its_url(home, ana):
    run = home.remote()
    run("login", home.url, "ana", "--password-file", ana, env=home.environment)
    kept, = (home.home / ".config" / "osiris" / "tokens").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert who(run, env=home.environment) == "user:ana"
    run("kb", "add", "by ana", env=home.environment)
    elsewhere = cli.Cli("--to", home.url.replace("127.0.0.1", "localhost"), "--ca", home.ca)
    assert who(elsewhere, env=home.environment) == "anonymous"


# As keys and tokens are: what others can read is not secret.
def test_password_file_that_others_can_read_is_refused(home, ana):
    ana.chmod(0o644)
    message = home.remote().fails(77, "login", home.url, "ana", "--password-file", ana,
                                  env=home.environment)
    assert "PERMISSION_DENIED" in message and f"chmod 600 {ana}" in message


def test_login_wants_a_url(home, ana):
    message = home.run.fails(64, "login", "desk", "ana", "--password-file", ana)
    assert "INVALID_ARGUMENT" in message and "tls://HOST:PORT" in message


def test_wrong_password_is_refused(home, ana):
    wrong = home.secret("wrong", "correct horse\n")
    message = home.remote().fails(77, "login", home.url, "ana", "--password-file", wrong,
                                  env=home.environment)
    unknown = home.remote().fails(77, "login", home.url, "nobody", "--password-file", wrong,
                                  env=home.environment)
    assert message.replace("ana", "") == unknown.replace("nobody", "")
    assert not (home.home / ".config").exists()


def test_disabled_user_is_out_until_enabled(home, ana):
    run = home.remote()

    def login(status=0):
        result = run.run("login", home.url, "ana", "--password-file", ana, env=home.environment)
        assert result.returncode == status, result.stderr

    login()
    home("user", "disable", "ana")
    assert "UNAUTHENTICATED" in run.fails(77, "whoami", env=home.environment)
    login(77)
    home("user", "enable", "ana")
    assert home.json("user", "list")[0]["roles"] == ["editor"]
    login()


def test_new_password_replaces_the_old_one(home, ana):
    new = home.secret("new", "another one altogether\n")
    home("user", "password", "ana", "--password-file", new)
    run = home.remote()
    run.fails(77, "login", home.url, "ana", "--password-file", ana, env=home.environment)
    run("login", home.url, "ana", "--password-file", new, env=home.environment)
    assert "ALREADY_EXISTS" in home.fails(1, "user", "add", "ana", "--role", "reader",
                                          "--password-file", new)
    assert "NOT_FOUND" in home.fails(1, "user", "disable", "ben")


# Without a terminal nobody is asked, and nothing waits.
def test_password_is_never_waited_for_in_vain(home):
    command = home.run.command("user", "add", "ben", "--role", "reader")
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                            start_new_session=True, timeout=osiris.WAIT_S)
    assert result.returncode == 64 and "--password-file" in result.stderr


# On a terminal it is asked for twice, shown at no time, and both must be the same.
@pytest.mark.parametrize("second, status", [("long enough", 0), ("long enougj", 64)])
def test_password_is_asked_for_twice(home, second, status):
    try:
        pid, terminal = pty.fork()
    except OSError:
        pytest.skip("no terminal can be made here: devpts is not mounted")
    if pid == 0:
        command = home.run.command("user", "add", "ben", "--role", "reader")
        os.execv(command[0], command)
    shown = b""
    for answer in ("long enough", second):
        while not shown.endswith(b": "):
            assert select.select([terminal], [], [], osiris.WAIT_S)[0], shown
            shown += os.read(terminal, 1024)
        os.write(terminal, answer.encode() + b"\n")
        shown += os.read(terminal, 1024)
    _, ended = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(ended) == status
    assert b"long" not in shown


# ---- what a listener takes ----

def listen_apart(home):
    """The instance anew, with a listener for tokens and one for passwords: their URLs."""
    urls = [f"grpcs://127.0.0.1:{osiris.free_port()}" for _ in range(2)]
    home.stop()
    config = home.data / "osirisd.yaml"
    first = f'  - "{home.url}"\n'
    more = [f'  - "{url}?auth={way}"\n' for url, way in zip(urls, ("token", "password"))]
    config.write_text(config.read_text().replace(first, first + "".join(more)))
    home("init")
    return urls


# Tokens come in where tokens are taken, passwords and what they gave where passwords are; both
# where the URL names none.
def test_listener_takes_what_its_url_names(home, ana):
    urls = listen_apart(home)
    tokens, passwords = (cli.Cli("--to", url, "--ca", home.ca) for url in urls)
    token = home("token", "create", "ci", "--role", "reader").strip()
    login = ("--password-file", ana)

    assert who(tokens, env={"OSIRIS_TOKEN": token}) == "token:ci"
    assert "takes no tokens: it takes passwords" in \
        passwords.fails(77, "whoami", env={"OSIRIS_TOKEN": token})
    assert "takes no passwords: it takes tokens" in \
        tokens.fails(77, "login", urls[0], "ana", *login, env=home.environment)
    passwords("login", urls[1], "ana", *login, env=home.environment)
    assert who(passwords, env=home.environment) == "user:ana"
    kept, = (home.home / ".config" / "osiris" / "tokens").iterdir()
    got = {"OSIRIS_TOKEN": kept.read_text().split()[-1]}
    assert "takes no passwords" in tokens.fails(77, "whoami", env=got)
    assert who(home.remote(), env=got) == "user:ana"
    assert who(home.remote(), env={"OSIRIS_TOKEN": token}) == "token:ci"
    refused = home.json("audit", "--denied", "--since", "1h")
    assert [record["why"] for record in refused if "this listener takes" in record["why"]]


# ---- certificates ----

def test_certificate_of_a_person_lets_in_until_revoked(home):
    prefix = home.home / "ben"
    made, = home.json("ca", "issue", "user:ben", "--out", prefix, "--days", "3")
    key = home.home / "ben.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "ALREADY_EXISTS" in home.fails(1, "ca", "issue", "user:ben", "--out", prefix)
    run = home.remote("--cert", f"{prefix}.crt", "--key", key)
    assert who(run) == "user:ben"
    assert home.run.run("ca", "revoke", made["serial"]).returncode == 0
    assert made["serial"] in home("ca", "list")
    assert "revoked" in run.fails(77, "whoami")


# A key that never leaves its owner's hands: only the request does.
def test_request_made_elsewhere_is_certified(home):
    key, request = home.home / "eve.key", home.home / "eve.csr"
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                    "-subj", "/CN=eve"], check=True, capture_output=True)
    key.chmod(0o600)
    home("ca", "issue", "user:eve", "--request", request, "--out", home.home / "eve-signed")
    assert not (home.home / "eve-signed.key").exists()
    assert who(home.remote("--cert", home.home / "eve-signed.crt", "--key", key)) == "user:eve"


# ---- who may do what, and what was done ----

def test_access_is_explained(home, ana):
    assert home("access", "check", "user:ana", "write", "collection:notes").endswith("allowed\n")
    token = home.run.run("access", "check", "token:nobody", "trust", "instance:")
    assert token.returncode == 77 and "denied" in token.stdout and token.stderr == ""
    for question in (("user:ana", "wriet", "collection:notes"), ("ana", "write", "collection:notes"),
                     ("usr:ana", "write", "collection:notes")):
        assert "INVALID_ARGUMENT" in home.fails(64, "access", "check", *question)


def test_audit_tells_what_was_refused(home):
    token = home("token", "create", "ci", "--role", "reader").strip()
    run = home.remote("--token-file", home.secret("ci.token", token))
    run.fails(77, "kb", "add", "a text")
    refused = home.json("audit", "--denied", "--who", "token:ci", "--since", "1h")
    assert [record["action"] for record in refused] == ["write"]
    assert all(not record.get("allowed") for record in refused)
    assert "verified up to number" in home("audit")
    assert token not in home("audit")
    assert "PERMISSION_DENIED" in run.fails(77, "audit")


# All or nothing: a config that is wrong changes nothing, and says where.
def test_reload_takes_over_or_says_why_not(home):
    assert home("reload") == "nothing has changed\n"
    config = home.data / "osirisd.yaml"
    before = config.read_text()
    config.write_text(before + "nmae: x\n")
    message = home.fails(78, "reload")
    assert "osirisd.yaml" in message and "nmae" in message
    config.write_text(before + 'access:\n  members:\n    "token:ci": administrator\n')
    assert home("reload") != "nothing has changed\n"
    assert "allowed" in home("access", "check", "token:ci", "trust", "instance:")
