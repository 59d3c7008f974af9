"""The command line against an instance that does what real ones do rarely: be busy, run full, hang
up in mid-sentence, send what would take the terminal over."""
import json
import os
import signal
import socket
import time

import pytest

import cli
import fake_instance
import osiris
from fake_instance import HANG_UP, error


@pytest.fixture
def fake(folder):
    """Makes a fake instance, and a command line that talks to it."""
    made = []

    def make(answer):
        made.append(fake_instance.FakeInstance(folder, answer))
        return made[-1], cli.Cli("--to", made[-1].url)

    yield make
    for instance in made:
        instance.listener.close()


def importing(request):
    return {"type": "KB_IMPORT_REPLY", "imported": len(request["documents"]), "end": True}


def sources(instance):
    """Each document that came with an import, as (data, occurrence)."""
    return [(document["data"], document["source"]["occurrence"])
            for request in instance.of_type("KB_IMPORT") for document in request["documents"]]


# A busy instance is asked again until it has taken every entry, each batch accepted once.
def test_import_waits_for_a_busy_instance(fake, folder):
    taken = []

    def answer(request):
        if len(instance.requests) % 3 != 0:
            yield error("BUSY")
        else:
            taken.extend(document["data"] for document in request["documents"])
            yield importing(request)

    instance, run = fake(answer)
    path = folder / "many.txt"
    path.write_text("".join(f"line {number}\n" for number in range(2000)))
    assert run("kb", "import", path).startswith("2,000 imported")
    assert sorted(taken) == sorted(f"line {number}" for number in range(2000))


# It does not wait for ever: --timeout without any progress ends the import.
def test_import_gives_up_on_an_instance_that_stays_busy(fake):
    _, run = fake(lambda request: [error("BUSY")])
    message = run.fails(75, "kb", "import", "-", "--timeout", "0.5", input="one\n")
    assert "BUSY" in message and "repeat the command" in message


# A full disk stops the import at once and says how much is done; nothing is sent after it.
def test_import_stops_at_a_full_disk(fake, folder):
    def answer(request):
        yield importing(request) if len(instance.requests) <= 3 else error("DISK_FULL")

    instance, run = fake(answer)
    path = folder / "many.txt"
    path.write_text("".join(f"line {number}\n" for number in range(100000)))
    result = run.run("kb", "import", path)
    assert result.returncode == 73
    assert result.stdout.startswith("1,536 imported")
    assert "DISK_FULL" in result.stderr and "repeat the command" in result.stderr
    assert len(instance.requests) < 20


# An instance that goes away in mid-import for good is an error, not a hang.
def test_import_notices_that_the_instance_went(fake):
    _, run = fake(lambda request: [HANG_UP])
    message = run.fails(69, "kb", "import", "-", "--timeout", "1", input="one\ntwo\n")
    assert "UNAVAILABLE" in message and "repeat the command" in message


# One that comes back, as in a restart, costs nothing.
def test_import_goes_on_when_the_instance_is_back(fake):
    instance, run = fake(lambda request: [HANG_UP if len(instance.requests) < 3 else
                                          importing(request)])
    assert run("kb", "import", "-", input="one\ntwo\n").startswith("2 imported")
    assert len(instance.requests) == 3


# Equal entries are told apart by their number, and the data's digest is that of the data alone.
def test_import_numbers_equal_entries(fake):
    instance, run = fake(lambda request: [importing(request)])
    run("kb", "import", "-", "--source", "notes", input='["a", {"b": 1}, "a",\n {"b":1}, "c", "a"]')
    assert sources(instance) == [("a", 1), ({"b": 1}, 1), ("a", 2), ({"b": 1}, 2), ("c", 1),
                                 ("a", 3)]
    documents = [document for request in instance.requests for document in request["documents"]]
    assert documents[1]["source"]["digest"] == documents[3]["source"]["digest"]
    assert {document["source"]["name"] for document in documents} == {"notes"}


# The entries of a slow writer are stored while it is still writing.
def test_import_does_not_hold_back_a_slow_writer(fake):
    instance, run = fake(lambda request: [importing(request)])
    process = run.start("kb", "import", "-", stdin=-1)
    process.stdin.write("first\n")
    process.stdin.flush()
    osiris.wait_for(lambda: len(sources(instance)) == 1, "the first line is imported")
    process.stdin.write("second\n")
    process.stdin.flush()
    osiris.wait_for(lambda: len(sources(instance)) == 2, "the second line is imported")
    output, _ = process.communicate()
    assert process.returncode == 0 and output.startswith("2 imported")


# Ctrl-C while the input says nothing ends the import in good order.
def test_import_ends_at_ctrl_c(fake):
    instance, run = fake(lambda request: [importing(request)])
    process = run.start("kb", "import", "-", stdin=-1)
    process.stdin.write("first\n")
    process.stdin.flush()
    osiris.wait_for(lambda: sources(instance), "the first line is imported")
    process.send_signal(signal.SIGINT)
    assert process.wait(osiris.WAIT_S) == 130  # its input is still open
    output, message = process.communicate()
    assert output.startswith("1 imported")
    assert "CANCELLED" in message and "repeat the command" in message


# Ctrl-C ends a command that waits for an instance which says nothing.
def test_ctrl_c_ends_a_call_without_an_answer(fake):
    instance, run = fake(lambda request: [])
    process = run.start("kb", "digest")
    osiris.wait_for(lambda: instance.requests, "the request is there")
    process.send_signal(signal.SIGINT)
    assert process.wait(osiris.WAIT_S) == 130


# Silence ends with TIMEOUT, after the time that was given.
def test_silence_times_out(fake):
    _, run = fake(lambda request: [])
    assert "TIMEOUT" in run.fails(75, "--timeout", "0.3", "status")


@pytest.fixture
def deaf():
    """A port whose queue is full: who connects to it waits."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    queued = [socket.socket() for _ in range(4)]
    for client in queued:
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    yield cli.Cli("--to", f"grpc://127.0.0.1:{listener.getsockname()[1]}")
    for client in queued:
        client.close()
    listener.close()


# Connecting is no wait for ever: --timeout ends it, and so does Ctrl-C.
def test_connecting_ends_in_time(deaf):
    began = time.monotonic()
    assert "TIMEOUT" in deaf.fails(75, "--timeout", "0.3", "status")
    assert 0.3 <= time.monotonic() - began < 5
    process = deaf.start("status")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(osiris.WAIT_S) == 130


# What is no frame is refused with a clear message.
@pytest.mark.parametrize("noise", [b"HTTP/1.1 400 Bad Request", b"[1]", b"{\"type\":7}",
                                   b"{\"type\":\"KB_GET_REPLY\",\"document\":[]}"])
def test_noise_is_refused(fake, noise):
    _, run = fake(lambda request: [noise, HANG_UP])
    assert "osiris: " in run.run("kb", "get", "x").stderr
    assert run.run("kb", "get", "x").returncode in (64, 65)


HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202eevil\u009b2J\r\n"


# No document can steer the terminal of who looks at it.
def test_output_has_nothing_for_a_terminal_to_obey(fake):
    document = {"id": HOSTILE.strip(), "collection": HOSTILE, "data": HOSTILE, "tags": [HOSTILE]}
    replies = {
        "KB_GET": {"type": "KB_GET_REPLY", "document": document},
        "KB_LIST": {"type": "KB_LIST_REPLY", "documents": [document]},
        "KB_SEARCH": {"type": "KB_SEARCH_REPLY",
                      "hits": [{"document": document, "snippet": HOSTILE}]},
        "KB_HISTORY": {"type": "KB_HISTORY_REPLY", "versions": [{"document": document}]},
        "STATUS": {"type": "STATUS_REPLY", "name": HOSTILE,
                   "peers": [{"url": HOSTILE, "last_error": HOSTILE}]},
        "FEEDS": {"type": "FEEDS_REPLY",
                  "feeds": [{"name": HOSTILE, "followers": [{"name": HOSTILE}]}]},
        "KB_DELETE": error("NOT_FOUND", HOSTILE),
    }
    _, run = fake(lambda request: [{**replies[request["type"]], "end": True}])
    for words in (["kb", "get", "x"], ["kb", "list"], ["kb", "search", "x"], ["kb", "history", "x"],
                  ["status"], ["feeds"], ["kb", "delete", "x"]):
        result = run.run(*words)
        shown = result.stdout + result.stderr
        assert not [c for c in shown if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)], words
        assert "\u202e" not in shown
        assert "evil" in shown


# Lists of any length come out as they come in: the reader may go away early.
def test_reader_may_go_away(fake):
    def answer(request):
        for number in range(100000):
            yield {"type": "KB_LIST_REPLY", "documents": [{"id": f"{number}", "data": "x" * 100}]}
        yield {"type": "KB_LIST_REPLY", "end": True}

    _, run = fake(answer)
    for words in (["kb", "export"], ["kb", "list", "--limit", "0"],
                  ["-o", "json", "kb", "list", "--limit", "0"]):
        process = run.start(*words)
        assert process.stdout.readline() != ""
        process.stdout.close()
        assert process.wait(osiris.WAIT_S) == 0
        assert process.stderr.read() == ""


# An export that breaks off is no valid JSON, and ends with an error.
def test_broken_export_does_not_look_whole(fake):
    documents = [{"id": "1", "data": 1}, {"id": "2", "data": 2}]
    _, run = fake(lambda request: [{"type": "KB_LIST_REPLY", "documents": documents}, HANG_UP])
    result = run.run("kb", "export")
    assert result.returncode == 69
    with pytest.raises(json.JSONDecodeError):
        json.loads(result.stdout)


# A full disk under the output is an error as well.
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_under_the_output_is_noticed(fake):
    _, run = fake(lambda request: [{"type": "KB_LIST_REPLY", "end": True,
                                    "documents": [{"id": "1", "data": 1}]}])
    with open("/dev/full", "w") as full:
        assert "DISK_FULL" in run.fails(73, "kb", "export", stdout=full)


# kb update changes what was given and leaves everything else as it was.
def test_update_keeps_what_was_not_given(fake):
    document = {"id": "x", "collection": "notes", "kind": "fact", "data": {"a": 1},
                "tags": ["one", "two"], "author": "me", "expires_ms": 4102444800000,
                "version": {"time_ms": 1, "origin": "a" * 32},
                "source": {"name": "file", "occurrence": 1}}

    def answer(request):
        if request["type"] == "KB_GET":
            yield {"type": "KB_GET_REPLY", "document": document, "end": True}
        else:
            yield {"type": "KB_UPDATE_REPLY", "id": "x", "end": True}

    instance, run = fake(answer)
    run("kb", "update", "x", "--tag", "three")
    sent = instance.of_type("KB_UPDATE")[-1]["document"]
    assert sent == {"id": "x", "collection": "notes", "kind": "fact", "data": {"a": 1},
                    "tags": ["three"], "author": "me", "expires_ms": 4102444800000}
    run("kb", "update", "x", "new text", "--tag", "")
    sent = instance.of_type("KB_UPDATE")[-1]["document"]
    assert sent["data"] == "new text" and "tags" not in sent


# --acks and --timeout reach the instance, and its TIMEOUT comes back as it says it.
def test_acks_and_their_time_are_sent(fake):
    instance, run = fake(lambda request: [error("TIMEOUT", "written; 1 of 2 followers hold it")])
    assert "1 of 2 followers" in run.fails(75, "kb", "add", "x", "--acks", "2", "--timeout", "1.5")
    assert instance.requests[0]["acks"] == 2 and instance.requests[0]["timeout_ms"] == 1500
