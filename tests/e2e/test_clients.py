"""The programs in docs/clients.md, run as they stand there, each against a daemon of its own; only
the port is another."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from google.protobuf import json_format

import contract
import osiris

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENT = ROOT / "docs/clients.md"
PORT = "12346"
WAIT_S = 120  # for any of them; npm fetches from afar
# What npm ends with where its registry cannot be asked; all else is the document's fault.
UNREACHABLE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|\w+UNREACH|E403|E407|E5\d\d)\b")

FOUND = "{} Ana likes **tea** note"
MISSED = "NOT_FOUND no document has the id nowhere"


def blocks_of(beginning, language):
    chapter = DOCUMENT.read_text().split(f"\n## {beginning}")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", chapter, re.DOTALL)


@pytest.fixture
def workplace(folder):
    """A folder that has the contract where the project's own folder has it."""
    path = folder / "work"
    path.mkdir()
    (path / "proto").symlink_to(ROOT / "proto")
    return path


def start(command, workplace):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(command, cwd=workplace, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=WAIT_S)


def run(block, daemon, workplace, *interpreter):
    """What a block prints."""
    program = workplace / "program"
    program.write_text(block.replace(PORT, str(daemon.port)))
    done = start([*interpreter, program], workplace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def npm_install(block, workplace):
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node or no npm on this machine")
    (workplace / "package.json").write_text("{}")  # npm looks for one in the folders above, too
    try:
        done = start(["bash", "-ec", block], workplace)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install within {WAIT_S} s")
    unreachable = UNREACHABLE.search(done.stderr)
    if done.returncode != 0 and unreachable:
        pytest.skip(f"npm cannot reach its registry: {unreachable.group()}")
    assert done.returncode == 0, done.stderr


def compiler_for(library, workplace):
    """A folder with a `cc` that makes programs for this build of libosiris, sanitized or not."""
    symbols = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True)
    options = "-fsanitize=address,undefined" if "__asan_init" in symbols.stdout else ""
    compiler = workplace / "bin/cc"
    compiler.parent.mkdir()
    compiler.write_text(f'#!/bin/sh\nexec {shutil.which("cc")} {options} "$@"\n')
    compiler.chmod(0o755)
    return compiler.parent


# C, with the library as pkg-config tells of it.
def test_c(daemon, workplace, monkeypatch):
    program, = blocks_of("C", "c")
    build, = blocks_of("C", "sh")
    library = pathlib.Path(osiris.program("src/client/libosiris.so"))
    tools = compiler_for(library, workplace)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("PKG_CONFIG_PATH", osiris.program("meson-uninstalled"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    (workplace / "tea.c").write_text(program.replace(PORT, str(daemon.port)))
    run(build, daemon, workplace, "bash", "-e")
    done = start(["./tea"], workplace)
    assert done.stdout.splitlines() == [FOUND.format(True), MISSED], done.stderr


# Python, with a client that protoc makes.
def test_python(daemon, workplace):
    generate, = blocks_of("Python", "sh")
    program, = blocks_of("Python", "python")
    run(generate, daemon, workplace, "bash", "-e")
    assert run(program, daemon, workplace, sys.executable) == [FOUND.format(True), MISSED]


# Node, with packages that npm fetches.
def test_node(daemon, workplace):
    install, = blocks_of("Node", "sh")
    program, = blocks_of("Node", "js")
    npm_install(install, workplace)
    assert run(program, daemon, workplace, "node") == [FOUND.format("true")]


# grpcurl, which knows the services by reflection alone.
def test_grpcurl(daemon, workplace):
    if shutil.which("grpcurl") is None:
        pytest.skip("no grpcurl on this machine")
    commands, = blocks_of("grpcurl", "sh")
    output = "\n".join(run(commands, daemon, workplace, "bash", "-e"))
    for part in ("osiris.v1.Instance", "rpc Put ( .osiris.v1.PutRequest )", '"**abc**"',
                 '"storage": "ok"', '"SERVING"'):
        assert part in output


# The requests that grpcurl is given are requests, also where there is no grpcurl to send them.
def test_requests_for_grpcurl(daemon):
    commands, = blocks_of("grpcurl", "sh")
    requests = re.findall(r"-d '(.*?)'.*?(osiris\.v1\.\w+)/(\w+)", commands, re.DOTALL)
    assert [name for _, _, name in requests] == ["Put", "Search"]
    with contract.channel(daemon) as channel:
        for body, service, name in requests:
            request = json_format.Parse(body, contract.message(f"osiris.v1.{name}Request"))
            reply = contract.method(channel, f"{service}.{name}")(request)
        assert [hit.snippet for part in reply for hit in part.hits] == ["**abc**"]


# JSON over TCP, with nothing but what Python comes with.
def test_json_over_tcp(daemon, workplace):
    program, = blocks_of("Any language", "python")
    assert run(program, daemon, workplace, sys.executable, "-S") == [FOUND.format(True), MISSED]


# YAML over TCP, with PyYAML.
def test_yaml_over_tcp(daemon, workplace):
    pytest.importorskip("yaml")
    program, = blocks_of("YAML over TCP", "python")
    assert run(program, daemon, workplace, sys.executable) == [FOUND.format(True), MISSED]


# ---- from another machine ----

SECURE_PORT = "7400"
INSTANCE = "abcdefghijklmnopqrstuvwxyz234567"


@pytest.fixture
def secure(make_daemon, workplace):
    """An instance of a cluster of its own, with TLS, and the two files that a program needs."""
    daemon = make_daemon("secure")
    subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", daemon.data],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    daemon.port = osiris.free_port()
    daemon.listen = [f"grpcs://127.0.0.1:{daemon.port}"]
    daemon.start()
    token = daemon.call("TOKEN_CREATE", name="tea", roles=["editor"])["token"]
    shutil.copy(daemon.data / "trust/authorities.pem", workplace / "ca.pem")
    (workplace / "tea.token").write_text(token + "\n")
    (workplace / "tea.token").chmod(0o600)
    return daemon


def far_blocks(language):
    return blocks_of("From another machine", language)


def run_far(block, secure, workplace, *interpreter):
    program = workplace / "program"
    program.write_text(block.replace(SECURE_PORT, str(secure.port))
                       .replace(INSTANCE, secure.instance()))
    done = start([*interpreter, program], workplace)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


# C, with a token, to an instance that its certificate's identity shows.
def test_c_from_another_machine(secure, workplace, monkeypatch):
    program, = far_blocks("c")
    build, = blocks_of("C", "sh")
    library = pathlib.Path(osiris.program("src/client/libosiris.so"))
    tools = compiler_for(library, workplace)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("PKG_CONFIG_PATH", osiris.program("meson-uninstalled"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    (workplace / "tea.c").write_text(program.replace(SECURE_PORT, str(secure.port)))
    run_far(build, secure, workplace, "bash", "-e")
    done = start(["./tea"], workplace)
    assert (done.returncode, done.stdout) == (0, '"Ana likes tea"\n'), done.stderr

    secure.call("REVOKE", token=secure.call("CREDENTIALS", kind="token")["credentials"][0]["id"])
    done = start(["./tea"], workplace)
    assert done.stdout.startswith("UNAUTHENTICATED"), done.stdout + done.stderr


# Python's gRPC, which looks for the instance's name in its certificate.
def test_python_from_another_machine(secure, workplace):
    generate, = blocks_of("Python", "sh")
    rpc, frames = far_blocks("python")
    run_far(generate, secure, workplace, "bash", "-e")
    assert run_far(rpc, secure, workplace, sys.executable) == ['"Ana likes tea"']
    assert run_far(frames, secure, workplace, sys.executable, "-S") == ["token:tea",
                                                                        "Ana likes tea"]


def test_node_from_another_machine(secure, workplace):
    install, = blocks_of("Node", "sh")
    program, = far_blocks("js")
    npm_install(install, workplace)
    assert run_far(program, secure, workplace, "node") == ['"Ana likes tea"']
