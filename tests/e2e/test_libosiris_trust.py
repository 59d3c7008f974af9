"""libosiris over TLS with real daemons, by way of the command line, which is a program on it."""
import base64
import json
import os
import subprocess

import pytest

import authority
import cli
import osiris

NOT_PERMITTED = 77  # the exit status of UNAUTHENTICATED and PERMISSION_DENIED
SCHEMES = ["tls", "grpcs"]


def write_secret(path, text):
    authority.write_private(path, text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture(scope="module")
def ca():
    return authority.Authority()


@pytest.fixture
def ca_file(ca, folder):
    path = folder / "ca.pem"
    path.write_bytes(ca.pem)
    return path


@pytest.fixture
def one(make_daemon, folder, ca):
    """An instance that listens with TLS, where ana may write."""
    authority.Member(folder / "one", ca)
    config = folder / "one.yaml"
    config.write_text("access:\n  members:\n    'user:ana': editor\n")
    daemon = make_daemon("one", flags=["--config", str(config)])
    daemon.port = osiris.free_port()
    daemon.listen = [f"tls://127.0.0.1:{daemon.port}"]
    return daemon.start()


def far(daemon, scheme, *flags):
    return cli.Cli("--to", f"{scheme}://127.0.0.1:{daemon.port}", *flags)


def token_file(daemon, folder, role):
    made = daemon.call("TOKEN_CREATE", name=f"a-{role}", roles=[role])
    return write_secret(folder / f"{role}.token", made["token"] + "\n"), made


# Nobody in particular may do nothing.
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody(one, ca_file, scheme):
    assert "anonymous may not" in far(one, scheme, "--ca", ca_file).fails(NOT_PERMITTED, "kb", "list")


# A token has its roles until it is revoked; each answer comes at once, as nothing is tried again.
@pytest.mark.parametrize("scheme", SCHEMES)
def test_token(one, ca_file, folder, scheme):
    path, made = token_file(one, folder, "reader")
    reader = far(one, scheme, "--ca", ca_file, "--token-file", path)
    one.put("hello")
    assert "hello" in reader("kb", "list")
    assert "token:a-reader" in reader.fails(NOT_PERMITTED, "kb", "add", "no")
    plain = far(one, scheme, "--ca", ca_file)
    assert "hello" in plain("kb", "list", env={"OSIRIS_TOKEN": made["token"]})
    one.call("REVOKE", token=made["id"])
    told = reader.fails(NOT_PERMITTED, "kb", "list", "--timeout", "5")
    assert "revoked" in told and made["token"] not in told and "attempts" not in told


# A certificate says who the caller is, and its key has to be the caller's alone.
@pytest.mark.parametrize("scheme", SCHEMES)
def test_certificate(one, ca, ca_file, folder, scheme):
    key, certificate = ca.issue("user:ana")
    key_file = write_secret(folder / "ana.key", key)
    certificate_file = write_secret(folder / "ana.crt", certificate)
    ana = far(one, scheme, "--ca", ca_file, "--cert", certificate_file, "--key", key_file)
    ana("kb", "add", "from afar")
    assert one.count() == 1
    key_file.chmod(0o644)
    assert f"chmod 600 {key_file}" in ana.fails(NOT_PERMITTED, "kb", "list")


# An instance of another CA is not believed, one of another id neither, and the reason is told.
@pytest.mark.parametrize("scheme", SCHEMES)
def test_wrong_instance(one, ca_file, folder, scheme):
    other = folder / "other.pem"
    other.write_bytes(authority.Authority("other").pem)
    told = far(one, scheme, "--ca", other).fails(NOT_PERMITTED, "status")
    assert "is of a CA that is not believed here" in told
    wrong = f"{scheme}://127.0.0.1:{one.port}?id={'a' * 32}"
    told = cli.Cli("--to", wrong, "--ca", ca_file).fails(NOT_PERMITTED, "status")
    assert f"and not of {'a' * 32}" in told


# With a shared key nobody needs a certificate.
@pytest.mark.parametrize("scheme", SCHEMES)
def test_shared_key(make_daemon, folder, scheme):
    config = folder / "one.yaml"
    config.write_text("access:\n  members:\n    'key:winter': editor\n")
    key = f"winter {base64.b64encode(os.urandom(32)).decode()}\n"
    write_secret(folder / "one/trust/psk", key)
    (folder / "one").chmod(0o700)
    one = make_daemon("one", flags=["--config", str(config)])
    one.port = osiris.free_port()
    one.listen = [f"tls://127.0.0.1:{one.port}?auth=key"]
    one.start()
    far(one, scheme, "--shared-key", write_secret(folder / "key", key))("kb", "add", "x")
    assert one.count() == 1
    wrong = write_secret(folder / "wrong", f"winter {base64.b64encode(os.urandom(32)).decode()}\n")
    told = far(one, scheme, "--shared-key", wrong).fails(NOT_PERMITTED, "status")
    assert 'does not take the shared key "winter"' in told


# An import goes on over restarts of the instance with the same token, and loses nothing.
@pytest.mark.parametrize("scheme", SCHEMES)
def test_reconnecting_shows_the_same(one, ca_file, folder, scheme):
    path, _ = token_file(one, folder, "editor")
    writer = far(one, scheme, "--ca", ca_file, "--token-file", path)
    process = writer.start("kb", "import", "-", stdin=subprocess.PIPE)
    total = 0
    for _ in range(3):
        for _ in range(200):
            total += 1
            process.stdin.write(json.dumps({"number": total}) + "\n")
        process.stdin.flush()
        osiris.wait_for(lambda: one.count() > 0, "something is written")
        one.stop()
        one.start()
    _, errors = process.communicate(timeout=osiris.WAIT_S)
    assert process.returncode == 0, errors
    assert sorted(document["data"]["number"] for document in one.documents()) == list(
        range(1, total + 1))
