"""What an instance wrote: `osiris audit --written-by`, also of one that is not believed any more."""
import json

import pytest

import cli
import osiris

# Plaintext links of this machine; at first any instance may lead.
ACCESS = """
access:
  roles: {auditor: [{allow: audit, on: "instance:"}]}
  members: {local: [editor, newcomer]%s}
"""
LINKED = ACCESS % ""
REFUSED = ACCESS % ", 'instance:*': []"


@pytest.fixture
def pair(make_daemon, folder):
    """Two that hold what both wrote; what the first one lets in is in its config."""
    config = folder / "one.yaml"
    config.write_text(LINKED)
    one = make_daemon("one", flags=["--config", str(config)]).listen_somewhere().start()
    two = make_daemon("two", peers=[one.url]).start()
    one.config = config
    one.run, two.run = (cli.Cli("--data", daemon.data) for daemon in (one, two))
    return one, two


def write_at(daemon):
    daemon.call("KB_PUT", document={"id": "a", "data": "secret words", "collection": "notes"})
    daemon.call("KB_PUT", document={"id": "b", "data": 1})
    daemon.call("KB_DELETE", id="a")


WRITTEN = [("a", "notes", "PUT", 1), ("b", "", "PUT", 2), ("a", "notes", "DELETE", 3)]


def entries(records):
    return [(record["id"], record.get("collection", ""), record["operation"], record["sequence"])
            for record in records]


def refuse(one):
    one.config.write_text(REFUSED)
    one.call("RELOAD")


# Each entry of the one, in its order, and nothing of the other; none of what stands in it.
def test_what_an_instance_wrote_is_listed(pair):
    one, two = pair
    one.put("of the first")
    write_at(two)
    osiris.wait_until_equal(one, two)
    records = one.run.json("audit", "--written-by", two.instance())
    assert entries(records) == WRITTEN
    assert {record["origin"] for record in records} == {two.instance()}
    assert {record["stream"] for record in records} == {"kb"}
    positions = [record["position"] for record in records]
    assert positions == sorted(positions) and len(set(positions)) == 3
    assert "secret" not in json.dumps(records)
    shown = one.run("audit", "--written-by", two.instance())
    assert "delete" in shown and shown.endswith("3 entries\n") and "secret" not in shown


# What was taken while it was believed is listed when it is not any more, also after a restart.
def test_what_a_refused_instance_wrote_is_listed(pair):
    one, two = pair
    write_at(two)
    osiris.wait_until_equal(one, two)
    refuse(one)
    two.put("too late")
    command = f"osiris audit --written-by {two.instance()}\n"
    assert one.run("audit").count(command) == 1
    assert two.run("audit").count("--written-by") == 0
    assert entries(one.run.json("audit", "--written-by", two.instance())) == WRITTEN
    one.stop()
    one.start()
    assert entries(one.run.json("audit", "--written-by", two.instance())) == WRITTEN
    assert one.run("audit").count(command) == 1


# An instance is called by its id, the beginning of it, or the form that people read out.
def test_instance_is_found_by_what_it_is_called(pair):
    one, two = pair
    two.put("x")
    one.put("y")
    osiris.wait_until_equal(one, two)
    instance = two.instance()
    speakable, = (finding["text"].split()[0] for finding in map(
        json.loads, two.run.run("-o", "json", "doctor").stdout.splitlines())
        if finding["check"] == "identity")
    for called in (instance, instance[:12], instance.upper(), speakable, f"instance:{instance}"):
        assert len(one.run.json("audit", "--written-by", called)) == 1
    wrong = "a" if instance[0] != "a" else "b"
    message = one.run.fails(1, "audit", "--written-by", wrong + instance[1:])
    assert "NOT_FOUND" in message and "osiris -o json feeds" in message


# It takes the right to audit: who has that alone is told what was written where, and no more.
def test_right_to_audit_is_enough(pair):
    one, two = pair
    write_at(two)
    osiris.wait_until_equal(one, two)
    token = one.call("TOKEN_CREATE", name="auditor", roles=["auditor"])["token"]
    with osiris.Client(one.port) as client:
        with pytest.raises(osiris.Failure) as failure:
            client.call("WRITTEN", origin=two.instance())
        assert failure.value.code == "PERMISSION_DENIED"  # an editor
        client.call("AUTHENTICATE", token=token)
        records = [record for frame in client.stream("WRITTEN", origin=two.instance())
                   for record in frame.get("entries", [])]
        assert entries(records) == WRITTEN
        with pytest.raises(osiris.Failure) as failure:
            client.call("KB_GET", id="b")
        assert failure.value.code == "PERMISSION_DENIED"


# A part can be asked for, and said is how to go on.
def test_part_of_what_was_written(pair):
    one, two = pair
    write_at(two)
    osiris.wait_until_equal(one, two)
    by = ("audit", "--written-by", two.instance())
    first, = one.run.json(*by, "--limit", 1)
    behind = first["position"] + 1
    assert one.run(*by, "--limit", 1).endswith(f"1 entries; go on with --from {behind}\n")
    assert entries(one.run.json(*by, "--from", behind)) == WRITTEN[1:]
    assert len(one.run.json(*by, "--since", "1h")) == 3
    assert one.run.json(*by, "--since", "2001-01-01", "--from", 1000000) == []
    assert "--denied" in one.run.fails(64, *by, "--denied")
    assert "--limit" in one.run.fails(64, "audit", "--limit", 1)


# A long list goes to one who does not read at once, while others are served.
def test_long_list_waits_for_its_reader(pair):
    one, two = pair
    with two.client() as client:
        for _ in range(4):
            client.call("KB_IMPORT", documents=[{"data": "x" * 2000} for _ in range(2000)])
    osiris.wait_until_equal(one, two)
    before = one.memory()
    with one.client() as slow:
        request_id = slow.ask("WRITTEN", origin=two.instance())
        for _ in range(5):
            one.put("meanwhile")
        assert one.memory() < before + (64 << 20)
        count = 0
        while True:
            frame = slow.receive()
            assert frame["request_id"] == request_id and frame["type"] == "WRITTEN_REPLY"
            count += len(frame.get("entries", []))
            if frame.get("end"):
                break
    assert count == 8000
