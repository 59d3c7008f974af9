"""YAML as a third encoding: PyYAML reads what an instance and the command line write, and they read
what PyYAML writes. Python's own reader and libyaml's differ in places: both are asked."""
import json
import socket

import pytest

import cli
import osiris

yaml = pytest.importorskip("yaml")
LOADERS = [yaml.SafeLoader] + ([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])

# Each is a string, whatever a reader of YAML 1.1 or 1.2 might take it for.
STRINGS = ["", " ", "null", "~", "true", "Yes", "off", "y", "1", "1.0", "0x1F", "010", "1e5", "1_0",
           "12:30", "2026-11-23", ".inf", "<<", "=", "- a", "a: b", "a #b", "---", "...", "%a", "@a",
           "two\nlines\n", " lead", "trail ", "tab\t", "\x01\x7f\x85\xa0\u2028\u2029\ufeff\ufffe",
           "\U0001f600", "it's \"so\"", "\\", "caf\u00e9 ol\u00e9", "&a", "*a", "!a", "{a}", "[a]"]


def read(text):
    """The documents in a text, as all readers see them."""
    documents = [list(yaml.load_all(text, Loader=loader)) for loader in LOADERS]
    assert all(other == documents[0] for other in documents)
    return documents[0]


class YamlClient(osiris.Client):
    """Frames as PyYAML writes them: names in alphabetical order, so `type` comes late."""

    def send(self, type, **fields):
        self.send_bytes(yaml.safe_dump({"type": type, **fields}, explicit_start=True,
                                       explicit_end=True, allow_unicode=True).encode())

    def receive(self):
        while b"\n...\n" not in self.received:
            data = self.socket.recv(1 << 20)
            if not data:
                assert self.received == b"", f"closed inside a frame: {self.received[:200]}"
                return None
            self.received += data
        document, self.received = self.received.split(b"\n...\n", 1)
        frame, = read(document.decode())
        if "data_json" in frame.get("document", {}):
            frame["document"]["data"] = json.loads(frame["document"]["data_json"])
        return frame


@pytest.fixture
def client(daemon):
    with YamlClient(daemon.port) as client:
        yield client


@pytest.fixture
def run(daemon):
    return cli.Cli("--data", daemon.data)


# A document's life in YAML over TCP, and the same document in JSON.
def test_operations_over_tcp(daemon, client):
    # PyYAML writes this one without quotes, and others read a number: see test_refusals
    strings = [string for string in STRINGS if string != "1e5"]
    data = {"strings": strings, "numbers": [0, -1, 1.5, 2 ** 53 - 1], "on": {"none": None, "": []}}
    id = client.call("KB_PUT", document={"data": data, "kind": "note", "tags": ["yes", "1"]})["id"]
    document = client.call("KB_GET", id=id)["document"]
    assert (document["data"], document["tags"]) == (data, ["yes", "1"])
    assert daemon.call("KB_GET", id=id)["document"]["data"] == data
    with pytest.raises(osiris.Failure) as failure:
        client.call("KB_GET", id="nowhere")
    assert failure.value.code == "NOT_FOUND"


# What YAML would not bring back stands as text, digit by digit.
@pytest.mark.parametrize("text", ["12345678901234567890", "1.10", "1e5", "-0", '{"a":1,"a":2}',
                                  '"\\ud800"', '"\\/"', '{"data_json":"1"}'])
def test_data_as_text(daemon, client, run, text):
    id = run("kb", "add", "--json", text).strip()
    client.send("KB_GET", request_id=1, id=id)
    while b"\n...\n" not in client.received:
        client.received += client.socket.recv(1 << 20)
    document = read(client.received.split(b"\n...\n")[0].decode())[0]["document"]
    if text == '{"data_json":"1"}':  # but within a document it cannot be taken for anything else
        assert document["data"] == json.loads(text)
    else:
        assert document["data_json"] == text and "data" not in document
    client.received = b""
    frame = {"type": "KB_PUT", "request_id": 2, "document": {"data_json": text}}
    client.send_bytes(f"--- {json.dumps(frame)}\n...\n".encode())  # of which YAML has a style
    copy = client.receive()["id"]
    assert f'"data":{text}' in run("-o", "json", "kb", "get", copy)


# A frame ends with a line "...", or where the next begins; the answer comes at once.
def test_framing(daemon):
    with socket.create_connection(("127.0.0.1", daemon.port), osiris.WAIT_S) as connection:
        replies = connection.makefile("r", encoding="utf-8")

        def reply():
            lines = []
            while not lines or lines[-1] != "...\n":
                lines.append(replies.readline())
                assert lines[-1] != ""
            return read("".join(lines))[0]

        connection.sendall(b"%YAML 1.1\n---\ntype: STATUS\nrequest_id: 1\n...\n")
        assert reply()["request_id"] == 1
        connection.sendall(b"--- {type: STATUS, request_id: 2}\n---\ntype: STATUS\n")
        assert reply()["request_id"] == 2
        connection.sendall(b"request_id: 3\n...\n...\n\n# nothing\n"
                           b"--- {type: STATUS, request_id: 4}\n...\n")
        assert [reply()["request_id"], reply()["request_id"]] == [3, 4]
        connection.sendall(b"type: STATUS\n")
        assert "begins with a line" in reply()["message"]
        assert replies.read() == ""


# What is dangerous, or nobody could be sure of, is refused where it stands.
@pytest.mark.parametrize("fields, message", [
    ("a: &a [1]\nnonce: 1", "line 4, column 4: anchors"), ("nonce: *a", "line 4, column 8: anchors"),
    ("nonce: !!python/object/apply:os.system [id]", "line 4, column 8: the tag"),
    ("<<: {nonce: 1}", "line 4, column 1: merge keys"), ("nonce: 1\nnonce: 2", "given twice"),
    ("nonce: 0x1", "line 4, column 8: this is a number"), ("nonce: 1e5", "line 4, column 8: this is one thing"),
     ("end: yes", "line 4, column 6: this is one thing")])
def test_refusals(daemon, client, fields, message):
    client.send_bytes(f"---\ntype: PING\nrequest_id: 7\n{fields}\n...\n".encode())
    error = client.receive()
    assert (error["type"], error["request_id"]) == ("ERROR", 7)
    assert message in error["message"]
    assert client.is_closed()


# A billion laughs, and a scalar without an end, cost an instance nothing.
def test_bombs(daemon):
    before = daemon.memory()
    laughs = "---\na: &a [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n" + "".join(
        f"{name}: &{name} [{','.join('*' + previous for _ in range(9))}]\n"
        for previous, name in zip("abcdefghijklmnopqrstuvwxy", "bcdefghijklmnopqrstuvwxyz"))
    with YamlClient(daemon.port) as client:
        client.send_bytes(laughs.encode() + b"...\n")
        assert "anchors and aliases" in client.receive()["message"]
    with YamlClient(daemon.port) as client:
        client.send_bytes(b"--- \"")
        with pytest.raises(OSError):
            for _ in range(1 << 10):  # of a MiB
                client.send_bytes(b"x" * (1 << 20))
        # It is told why, where the connection's end lets it through.
    assert daemon.call("STATUS")["type"] == "STATUS_REPLY"
    assert daemon.memory() < before + (200 << 20)  # sanitizers keep what was freed for a while


# Two instances whose link speaks YAML hold the same.
def test_link_in_yaml(make_daemon):
    leader = make_daemon("leader").listen_somewhere().start()
    follower = make_daemon("follower", peers=[leader.url + "?codec=yaml"]).start()
    for data in [*STRINGS, {"a": [1.5, {"b": None}]}, 12345678901234567890]:
        leader.put(data)
    follower.put("from the follower")
    assert osiris.wait_until_equal(leader, follower) == len(STRINGS) + 3


# The command line speaks it to an instance, and writes it for programs.
def test_output(daemon, run):
    run("kb", "add", "--json", json.dumps(STRINGS, ensure_ascii=False), "--id", "x", "--tag", "no")
    run("kb", "add", "--json", "1.10", "--id", "y")
    document, = read(run("-o", "yaml", "kb", "get", "x"))
    assert (document["id"], document["data"], document["tags"]) == ("x", STRINGS, ["no"])
    assert document == json.loads(run("-o", "json", "kb", "get", "x"))
    both = read(run("-o", "yaml", "kb", "list"))
    assert [document.get("data_json") for document in both] == [None, "1.10"]
    assert read(run("-o", "yaml", "status"))[0]["instance"] == daemon.instance()
    levels = read(run.run("-o", "yaml", "doctor").stdout)
    lines = run.run("-o", "json", "doctor").stdout.splitlines()
    assert [level["check"] for level in levels] == [json.loads(line)["check"] for line in lines]
    over_yaml = cli.Cli("--to", f"tcp://127.0.0.1:{daemon.port}?codec=yaml")
    assert "1.10" in over_yaml("kb", "get", "y")


# What is exported can be imported elsewhere, value by value.
@pytest.mark.parametrize("name, flags", [("kb.yaml", []), ("kb.yml", []),
                                         ("kb.txt", ["--format", "yaml"])])
def test_export_and_import(run, make_daemon, folder, name, flags):
    values = ['"a: b"', "1.10", "null", '{"a":1,"a":2}', '{"data_json":"1"}', '{"n":[1,{"x":""}]}',
              '"two\\nlines\\n"', "[[],{}]"]
    for number, value in enumerate(values):
        run("kb", "add", "--json", value, "--id", f"d{number}")
    exported = run("kb", "export", "--format", "yaml")
    assert len(read(exported)) == len(values)
    assert read(exported)[0] == "a: b" and read(exported)[5] == {"n": [1, {"x": ""}]}
    (folder / name).write_text(exported)
    second = make_daemon("two").start()
    other = cli.Cli("--data", second.data)
    assert f"{len(values)} imported" in other("kb", "import", folder / name, *flags)
    assert sorted(other("kb", "export", "--format", "jsonl").splitlines()) == sorted(values)
    assert "0 imported" in other("kb", "import", folder / name, *flags)
    full = read(run("kb", "export", "--format", "yaml", "--full"))
    assert [document["id"] for document in full] == [f"d{number}" for number in range(len(values))]


# A mistake in a file is told with its entry, its line and its column; what stands before it is kept.
def test_import_of_a_broken_file(run, folder):
    (folder / "kb.yaml").write_text("a: 1\n---\nb: 2\n---\nc: 3\nd: yes\n")
    message = run.fails(65, "kb", "import", folder / "kb.yaml")
    assert "entry 3, which begins in line 4: line 3, column 4: this is one thing" in message
    assert sorted(run("kb", "export", "--format", "jsonl").splitlines()) == ['{"a":1}', '{"b":2}']
