"""The command line and a real instance: each command, for people and for programs."""
import gzip
import hashlib
import json
import os
import pty
import signal
import subprocess
import time

import pytest

import cli
import osiris


@pytest.fixture
def run(daemon):
    return cli.Cli("--data", daemon.data)


# ---- documents ----

# What was added is got back as it was written, by its id.
@pytest.mark.parametrize("value", ['"text"', "12345678901234567890", "1.10", "null",
                                   '{"a": 1, "a": [true, "\\ud800"]}', '"\u00fc\\n"'])
def test_json_value_comes_back_as_written(run, value):
    document_id = run("kb", "add", "--json", value).strip()
    line = run("-o", "json", "kb", "get", document_id)
    assert '"data":' + value.replace(": ", ":").replace(", ", ",") in line


def test_document_has_what_was_given(run):
    document_id = run("kb", "add", "a text", "-c", "notes", "-k", "fact", "-t", "one", "--tag=two",
                      "--author", "me", "--expires", "7d", "--id", "my-id").strip()
    assert document_id == "my-id"
    document, = run.json("kb", "get", "my-id")
    assert (document["data"], document["collection"], document["kind"], document["tags"],
            document["author"]) == ("a text", "notes", "fact", ["one", "two"], "me")
    assert document["expires_ms"] > document["version"]["time_ms"]
    shown = run("kb", "get", "my-id")
    assert shown.endswith("\n\na text\n") and "one, two" in shown


def test_standard_input_is_a_text(run):
    document_id = run("kb", "add", "-", input="two\nlines\n").strip()
    assert run.json("kb", "get", document_id)[0]["data"] == "two\nlines"


def test_update_and_delete_leave_a_history(run):
    run("kb", "add", "first", "--id", "x", "--tag", "t")
    assert run("kb", "update", "x", "second") == "updated x\n"
    assert run.json("kb", "get", "x")[0]["data"] == "second"
    assert run.json("kb", "get", "x")[0]["tags"] == ["t"]
    assert run("kb", "delete", "x") == "deleted x\n"
    assert "NOT_FOUND" in run.fails(1, "kb", "get", "x")
    versions = run.json("kb", "history", "x")
    assert [version["document"].get("data") for version in versions] == [None, "second", "first"]
    assert versions[0]["winner"] and versions[1]["superseded"] and versions[2]["superseded"]
    assert "second" in run("kb", "history", "x")


def test_list_is_limited_and_goes_on(run):
    for number in range(5):
        run("kb", "add", f"text {number}", "--collection", "even" if number % 2 == 0 else "odd")
    documents = run.json("kb", "list", "--limit", "0")
    assert [document["data"] for document in documents] == [f"text {n}" for n in range(5)]
    assert run.json("kb", "list", "-n", "2") == documents[:2]
    assert run.json("kb", "list", "--from", documents[1]["id"], "-n", "2") == documents[2:4]
    assert run.json("kb", "list", "-c", "odd") == documents[1::2]
    lines = run("kb", "list").splitlines()
    assert lines[0].split() == ["ID", "TIME", "COLLECTION", "DATA"] and len(lines) == 6
    assert {line.index("text") for line in lines[1:]} == {lines[0].index("DATA")}


def test_search_finds_the_best_first(run):
    run("kb", "add", "garbage collection of garbage: garbage!")
    run("kb", "add", "a collection of stamps, garbage among them, and many other words besides")
    run("kb", "add", "nothing of the kind")
    hits = run.json("kb", "search", "garbage", "collection")
    assert len(hits) == 2 and hits[0]["rank"] >= hits[1]["rank"]
    assert "**" in hits[0]["snippet"]
    assert "stamps" in run.json("kb", "search", '"collection of stamps"')[0]["document"]["data"]
    assert len(run.json("kb", "search", "gar*", "--limit", "1")) == 1
    assert run("kb", "search", "absent") == ""
    assert run("kb", "search", "stamps").splitlines()[0].split() == ["RANK", "ID", "DOCUMENT"]


# ---- import, export ----

VALUES = ["text", {"b": [1, 2]}, 3, "text", None, ["nested"], "\u00fcn\u00ef\u2603"]


@pytest.mark.parametrize("name, text", [
    ("array.json", json.dumps(VALUES, indent=1)),
    ("lines.jsonl", "".join(json.dumps(value) + "\n" for value in VALUES)),
])
def test_import_is_what_export_gives(run, folder, name, text):
    path = folder / name
    path.write_text(text)
    assert run("kb", "import", path).startswith("7 imported, 0 already there")
    key = json.dumps
    assert sorted(json.loads(run("kb", "export")), key=key) == sorted(VALUES, key=key)
    lines = run("kb", "export", "--format", "jsonl").splitlines()
    assert sorted(map(json.loads, lines), key=key) == sorted(VALUES, key=key)
    documents = json.loads(run("kb", "export", "--full"))
    assert {document["source"]["name"] for document in documents} == {str(path)}


def test_empty_export_is_an_empty_array(run):
    assert json.loads(run("kb", "export")) == []
    assert run("kb", "export", "--format", "jsonl") == ""


# Importing again adds nothing; an entry put in front, or a third equal one, is one more.
def test_import_again_makes_no_doubles(run, folder):
    path = folder / "notes.txt"
    path.write_text("one\ntwo\none\n")
    assert run.json("kb", "import", path)[0]["imported"] == 3
    assert run("kb", "import", path).startswith("0 imported, 3 already there")
    path.write_text("zero\none\none\ntwo\none\n")
    again, = run.json("kb", "import", path)
    assert (again["imported"], again["existed"]) == (2, 3)
    assert sorted(json.loads(run("kb", "export"))) == ["one", "one", "one", "two", "zero"]


# Twenty thousand entries are there once in the end, whichever side a kill -9 hits: the import goes on
# with an instance that is back, and another import goes on with what one that was killed has left.
@pytest.mark.parametrize("victim", ["daemon", "import"])
def test_import_survives_kill(daemon, run, folder, victim):
    path = folder / "many.txt"
    path.write_text("".join(f"entry {number % 15000}\n" for number in range(20000)))
    process = run.start("kb", "import", path)
    osiris.wait_for(lambda: daemon.call("STATUS").get("entries", 0) > 1000, "it is under way")
    if victim == "daemon":
        daemon.kill()
        daemon.start()
    else:
        process.kill()
    process.communicate()
    assert process.returncode in ((0,) if victim == "daemon" else (-signal.SIGKILL, 0))
    sums, = run.json("kb", "import", path)
    assert sums.get("imported", 0) + sums.get("existed", 0) == 20000
    assert daemon.call("KB_DIGEST")["documents"] == 20000


def test_import_refuses_what_is_broken(run, folder):
    path = folder / "broken.json"
    path.write_text('[1, 2, {"a": }]')
    message = run.fails(65, "kb", "import", path)
    assert "entry 3, line 1" in message
    assert sorted(json.loads(run("kb", "export"))) == [1, 2]
    assert "NOT_FOUND" in run.fails(1, "kb", "import", folder / "absent")
    (folder / "packed").write_bytes(gzip.compress(b"a line"))
    assert "gunzip" in run.fails(65, "kb", "import", folder / "packed")
    (folder / "large").write_text("x" * (1 << 21))
    assert "smaller" in run.fails(65, "kb", "import", folder / "large")
    assert "INVALID_ARGUMENT" in run.fails(64, "kb", "import", folder)


# ---- the instance ----

# Changes are shown as they are written, and positions go on where they stopped.
def test_watch_shows_what_is_written(run):
    run("kb", "add", "before")
    process = run.start("-o", "json", "kb", "watch", "--from", "1")
    first = json.loads(process.stdout.readline())
    assert first["document"]["data"] == "before"
    run("kb", "add", "while", "--id", "x")
    run("kb", "delete", "x")
    second = json.loads(process.stdout.readline())
    third = json.loads(process.stdout.readline())
    assert second["document"]["data"] == "while" and third["operation"] == "DELETE"
    assert first["position"] < second["position"] < third["position"]
    process.send_signal(signal.SIGINT)
    output, message = process.communicate()
    assert process.returncode == 130 and output == ""
    assert f"--from {third['position'] + 1}" in message


# Ctrl-C ends the wait for an instance that is not there.
def test_ctrl_c_ends_a_wait_for_nobody(folder):
    process = cli.Cli("--data", folder).start("status", "--wait", "60")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(osiris.WAIT_S) == 130


def test_status_feeds_and_digest(daemon, run):
    run("kb", "add", "x")
    status, = run.json("status")
    assert status["name"] == "one" and status["documents"] == 1 and status["storage"] == "ok"
    assert daemon.url in run("status")
    feed, = run.json("feeds")
    assert feed["leads"] and feed["sequence"] == 1
    assert "one/kb" in run("feeds")
    digest = run.json("kb", "digest")[0]["digest"]
    assert len(digest) == 44  # 32 bytes in base64
    assert "documents   1" in run("kb", "digest")


def test_rebuild_changes_nothing(run):
    run("kb", "add", "x")
    before = run("kb", "digest"), run("kb", "export")
    assert " records in " in run("rebuild")
    assert run.json("rebuild")[-1]["done"] == run.json("rebuild")[-1]["total"]
    assert (run("kb", "digest"), run("kb", "export")) == before


# status --wait is there before the daemon, and ends when that is ready.
def test_status_waits_for_the_daemon(make_daemon):
    daemon = make_daemon()
    process = cli.Cli("--data", daemon.data).start("status", "--wait", "30")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    daemon.launch()
    output, message = process.communicate(timeout=osiris.WAIT_S)
    assert process.returncode == 0, message
    assert "instance" in output


def test_instance_is_reached_over_tcp(daemon):
    for codec in ("", "?codec=json", "?codec=protobuf"):
        run = cli.Cli("--to", daemon.url + codec)
        assert run.json("status")[0]["name"] == "one"


def test_acks_wait_for_a_follower(make_daemon):
    leader = make_daemon("leader").listen_somewhere().start()
    run = cli.Cli("--data", leader.data)
    message = run.fails(75, "kb", "add", "alone", "--acks", "1", "--timeout", "0.5")
    assert "TIMEOUT" in message
    make_daemon("follower", peers=[leader.url]).start()
    run("kb", "add", "together", "--acks", "1")
    assert sorted(json.loads(run("kb", "export"))) == ["alone", "together"]


# ---- mistakes ----

def test_no_daemon_is_said_with_what_to_do(folder):
    run = cli.Cli("--data", folder / "nobody")
    message = run.fails(69, "kb", "list")
    assert "UNAVAILABLE" in message
    assert f"osirisd --data {folder / 'nobody'}" in message


@pytest.mark.parametrize("words, message", [
    ([], "which command?"),
    (["kb"], "which command of 'kb'?"),
    (["kb", "serach"], "did you mean 'kb search'?"),
    (["statsu"], "did you mean 'status'?"),
    (["frobnicate"], "osiris --help"),
    (["kb", "get"], "too few arguments"),
    (["kb", "get", "a", "b"], "too many arguments"),
    (["kb", "get", "--nonsense", "a"], "'--nonsense'"),
    (["kb", "list", "--limit", "-1"], "--limit '-1'"),
    (["kb", "add"], "nothing to add"),
    (["kb", "add", "x", "--json", "1"], "exclude each other"),
    (["kb", "add", "x", "--acks", "65"], "0 to 64"),
    (["kb", "export", "--format", "xml"], "json, jsonl"),
    (["feeds", "resend", "PEER"], "--from"),
    (["--data", "a", "--to", "tcp://b", "status"], "exclude each other"),
    (["--timeout", "0", "status"], "seconds are wanted"),
])
def test_misuse_is_explained(words, message):
    assert message in cli.Cli().fails(64, *words)


def test_broken_json_is_refused(run):
    assert "MALFORMED" in run.fails(65, "kb", "add", "--json", '{"a":}')
    result = subprocess.run(run.command("kb", "add") + [b"\xff"], stderr=subprocess.PIPE)
    assert result.returncode == 65 and b"not UTF-8" in result.stderr


# ---- help ----

def commands():
    lines = cli.Cli()("--help").split("Commands:\n")[1].split("\n\n")[0].splitlines()
    return [line[2:18].strip() for line in lines]


def test_every_level_has_help():
    run = cli.Cli()
    names = commands()
    assert "kb add" in names and "rebuild" in names
    assert "kb add" in run("kb", "--help") and "rebuild" not in run("kb", "--help").split("Opt")[0]
    for name in names:
        text = run(*name.split(), "--help")
        assert text.startswith(f"usage: osiris {name}") and "Example" in text
    assert run("--version").startswith("osiris 0.")


# The manual and the completion know every command and every option.
@pytest.mark.parametrize("path", ["docs/man/osiris.1", "packaging/completion/osiris.bash"])
def test_every_option_is_documented(path):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, path)) as file:
        text = file.read().replace("\\-", "-")
    run = cli.Cli()
    for name in commands():
        assert name.split()[-1] in text, name
        for word in run(*name.split(), "--help").split():
            if word.startswith("--") and word.strip("-"):
                assert word.strip(".,:;'\"`)")[2:].split("=")[0] in text, (name, word)


# ---- terminals ----

def on_terminal(command, columns):
    """What a terminal of that width is sent."""
    import fcntl
    import struct
    import termios
    try:
        master, slave = pty.openpty()
    except OSError:
        pytest.skip("no terminal can be made here: devpts is not mounted")
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(command, stdout=slave, stderr=slave, stdin=slave)
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # how Linux tells that nobody has the other end
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait() == 0
    return shown.decode()


def test_table_fits_the_terminal(run):
    run("kb", "add", "\u65e5\u672c\u8a9e " * 40, "--id", "wide")
    run("kb", "add", "word " * 40, "--id", "narrow")
    for columns in (40, 61, 100):
        lines = on_terminal(run.command("kb", "list"), columns).splitlines()
        assert len(lines) == 3
        for line in lines:
            width = sum(2 if ord(c) > 0x2fff else 1 for c in line)
            assert width <= columns
        assert lines[1].endswith("\u2026")


def test_import_shows_how_far_it_is(run, folder):
    path = folder / "many.txt"
    path.write_text("".join(f"entry {number}\n" for number in range(30000)))
    shown = on_terminal(run.command("kb", "import", path), 100)
    assert "30,000 imported" in shown
    assert "entries" in shown and "/s" in shown


# ---- what the seed's files hold ----

def test_digest_of_the_source_is_that_of_the_data(run, folder):
    path = folder / "kb_a.json"
    path.write_text(json.dumps(["Dato generado por A a las 2024-01-01 00:00:00"]))
    run("kb", "import", path)
    document, = run.json("kb", "list")
    wanted = hashlib.sha256(json.dumps(document["data"]).encode()).digest()
    import base64
    assert base64.b64decode(document["source"]["digest"]) == wanted
