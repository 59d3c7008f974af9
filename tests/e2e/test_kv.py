"""Values that all agree on, at an instance that is alone: by frames, gRPC and the command line.
test_cluster.py has several."""
import base64
import collections
import os
import threading

import grpc
import pytest

import cli
import contract
import osiris
from asking import as_json
from contract import message, method

KEY_MAX, VALUE_MAX = 480, 1 << 20


def put(client, key, value, **fields):
    return client.call("KV_PUT", **as_json({"key": key, "value": value, **fields}))


def get(client, key, **fields):
    reply = client.call("KV_GET", **as_json({"key": key, **fields}))
    return base64.b64decode(reply.get("value", ""))


def fails_with(code, client, type, **fields):
    with pytest.raises(osiris.Failure) as failure:
        client.call(type, **as_json(fields))
    assert failure.value.code == code
    return failure.value.frame


@pytest.fixture
def client(daemon):
    with osiris.Client(daemon.port) as client:
        yield client


# ---- frames ----


# Each write has its place in one order, and counts up its key's version, which begins anew with
# the key.
def test_life_of_a_value(client):
    written = [put(client, b"port", b"7400"), put(client, b"other", b""), put(client, b"port", b"1")]
    assert [reply["version"] for reply in written] == [1, 1, 2]
    assert written[0]["index"] < written[1]["index"] < written[2]["index"]
    found = client.call("KV_GET", **as_json({"key": b"port"}))
    assert (found["version"], found["index"]) == (2, written[2]["index"])
    assert get(client, b"port") == get(client, b"port", local=True) == b"1"
    assert get(client, b"other") == b""
    removed = client.call("KV_DEL", **as_json({"key": b"port"}))
    assert removed["removed"] and removed["index"] > written[2]["index"]
    fails_with("NOT_FOUND", client, "KV_GET", key=b"port")
    fails_with("NOT_FOUND", client, "KV_GET", key=b"port", local=True)
    assert "removed" not in client.call("KV_DEL", **as_json({"key": b"port"}))
    assert put(client, b"port", b"7400")["version"] == 1


# Keys and values are bytes, and no key is another one's beginning, end or other spelling.
def test_keys_are_any_bytes(client):
    keys = [b"\0", b"\0\0", b"a", b"a\0", b"A", b"a/", b"\xff", bytes(range(256)), b"x" * KEY_MAX,
            b"x" * (KEY_MAX - 1), "ñ".encode(), b"{}"]
    for number, key in enumerate(keys):
        put(client, key, bytes([number]) + key)
    for number, key in enumerate(keys):
        assert get(client, key) == bytes([number]) + key
    client.call("KV_DEL", **as_json({"key": b"a"}))
    assert get(client, b"a\0") == b"\3a\0"


# A write that expects what is not so changes nothing, and is told how it is.
def test_expectations(client):
    absent = {"index": 0}
    first = put(client, b"lease", b"one", expected=absent)["index"]
    error = fails_with("CONFLICT", client, "KV_PUT", key=b"lease", value=b"two", expected=absent)
    assert f"index {first}" in error["message"] and "read" in error["hint"]
    fails_with("CONFLICT", client, "KV_DEL", key=b"lease", expected={"index": first + 1})
    assert get(client, b"lease") == b"one"
    second = put(client, b"lease", b"two", expected={"index": first})["index"]
    fails_with("CONFLICT", client, "KV_PUT", key=b"lease", value=b"three",
               expected={"index": first})
    assert client.call("KV_DEL", **as_json({"key": b"lease", "expected": {"index": second}}))[
        "removed"]
    error = fails_with("CONFLICT", client, "KV_PUT", key=b"lease", value=b"three",
                       expected={"index": second})
    assert "no such key" in error["message"]
    fails_with("CONFLICT", client, "KV_DEL", key=b"lease", expected={"index": second})
    assert "removed" not in client.call("KV_DEL", **as_json({"key": b"lease", "expected": absent}))


# Limits are said by name, and the connection goes on.
def test_limits(client):
    for type in "KV_GET", "KV_PUT", "KV_DEL":
        fails_with("INVALID_ARGUMENT", client, type)
        fails_with("INVALID_ARGUMENT", client, type, key=b"")
        fails_with("TOO_LARGE", client, type, key=b"x" * (KEY_MAX + 1))
        fails_with("INVALID_ARGUMENT", client, type, key=b"x", timeout_ms=3600 * 1000 + 1)
    value = os.urandom(VALUE_MAX)
    put(client, b"large", value)
    assert get(client, b"large") == value
    fails_with("TOO_LARGE", client, "KV_PUT", key=b"large", value=value + b"x")
    fails_with("TOO_LARGE", client, "KV_PUT", key=b"large", value=bytes(3 << 20))
    assert get(client, b"large") == value


# Many at once over one connection: each is answered once, and all are done in the order asked.
def test_many_at_once(client):
    count = 5000  # more than one connection may have under way
    sender = threading.Thread(target=lambda: [
        client.send("KV_PUT", request_id=number, **as_json({"key": b"n", "value": b"%d" % number}))
        for number in range(1, count + 1)])
    sender.start()
    replies = {frame["request_id"]: frame for frame in (client.receive() for _ in range(count))}
    sender.join()
    assert {frame["type"] for frame in replies.values()} == {"KV_PUT_REPLY"}
    assert [replies[number]["version"] for number in range(1, count + 1)] == \
        list(range(1, count + 1))
    assert get(client, b"n") == b"%d" % count


# Read, think, write: where each says what it has read, nothing that another one wrote is lost.
def test_counting_together(daemon):
    workers, each = 8, 25
    conflicts = collections.Counter()

    def count_up(name):
        with osiris.Client(daemon.port) as client:
            for _ in range(each):
                while not count_one(client):
                    conflicts[name] += 1

    def count_one(client):
        found = client.call("KV_GET", **as_json({"key": b"count"}))
        number = int(base64.b64decode(found["value"])) + 1
        try:
            put(client, b"count", b"%d" % number, expected={"index": found["index"]})
            return True
        except osiris.Failure as failure:
            assert failure.code == "CONFLICT"
            return False

    with osiris.Client(daemon.port) as client:
        put(client, b"count", b"0")
        threads = [threading.Thread(target=count_up, args=(name,)) for name in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert get(client, b"count") == b"%d" % (workers * each)
        assert client.call("KV_GET", **as_json({"key": b"count"}))["version"] == workers * each + 1
    assert conflicts  # else nothing was tried


# What asks for large values and reads none of them costs the instance no more memory than any
# reader may, and holds up nobody else.
def test_readers_that_do_not_read(daemon):
    with osiris.Client(daemon.port) as client:
        put(client, b"large", bytes(VALUE_MAX))
        put(client, b"small", b"1")
        before = daemon.memory()
        idle = [osiris.Client(daemon.port) for _ in range(6)]
        for other in idle:
            for number in range(1, 61):
                other.send("KV_GET", request_id=number, **as_json({"key": b"large"}))
        for _ in range(20):
            assert get(client, b"small") == b"1"
        assert daemon.memory() - before < 300 << 20  # with what the sanitizers keep; of 480 MiB
        for other in idle:
            other.close()
        assert get(client, b"large") == bytes(VALUE_MAX)


# Callers that go before their answer take nothing with them.
def test_callers_that_go(daemon):
    for _ in range(30):
        other = osiris.Client(daemon.port)
        for type in ("KV_PUT", "KV_GET", "KV_DEL") * 10:
            other.ask(type, **as_json({"key": b"gone"}))
        other.close()
    with osiris.Client(daemon.port) as client:
        put(client, b"gone", b"1")
        assert get(client, b"gone") == b"1"


# ---- what stays ----


# A stop keeps all; what was acknowledged before kill -9, too, and the order goes on behind it.
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_restart_keeps(daemon, how):
    kept = {}
    for round in range(3):
        with osiris.Client(daemon.port) as client:
            for number in range(50):
                key = b"%d-%d" % (round, number)
                kept[key] = put(client, key, key * 3)["index"]
            client.call("KV_DEL", **as_json({"key": b"%d-0" % round}))
            del kept[b"%d-0" % round]
        getattr(daemon, how)()
        daemon.start()
    with osiris.Client(daemon.port) as client:
        for key, index in kept.items():
            found = client.call("KV_GET", **as_json({"key": key}))
            assert found["index"] == index and base64.b64decode(found["value"]) == key * 3
        for round in range(3):
            fails_with("NOT_FOUND", client, "KV_GET", key=b"%d-0" % round)
        assert put(client, b"next", b"")["index"] > max(kept.values())


# ---- gRPC ----


@pytest.fixture
def channel(daemon):
    with contract.channel(daemon) as channel:
        yield channel


@pytest.fixture
def admin_channel(daemon):
    with grpc.insecure_channel(f"unix:{daemon.socket_path}") as channel:
        yield channel


def rpc(channel, name):
    return method(channel, f"osiris.v1.{name}")


def rpc_fails_with(status, reason, call, request):
    with pytest.raises(grpc.RpcError) as failure:
        call(request)
    assert failure.value.code() == status
    assert contract.status_details(failure.value)[1].reason == reason


# The same by gRPC, with bytes as they are.
def test_grpc(channel):
    get, put, remove = (rpc(channel, f"Values.{name}") for name in ("Get", "Put", "Remove"))
    written = put(message("osiris.v1.PutValueRequest", key=b"\0port", value=b"\xff"))
    found = get(message("osiris.v1.GetValueRequest", key=b"\0port"))
    assert (found.value, found.version, found.index) == (b"\xff", 1, written.index)
    assert get(message("osiris.v1.GetValueRequest", key=b"\0port", local=True)).value == b"\xff"
    absent = message("osiris.v1.ExpectedValue", index=0)
    rpc_fails_with(grpc.StatusCode.FAILED_PRECONDITION, "CONFLICT", put,
                   message("osiris.v1.PutValueRequest", key=b"\0port", expected=absent))
    rpc_fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", get,
                   message("osiris.v1.GetValueRequest"))
    large = message("osiris.v1.PutValueRequest", key=b"x", value=bytes(VALUE_MAX + 1))
    with pytest.raises(grpc.RpcError) as failure:
        put(large)
    assert contract.status_details(failure.value)[1].reason == "TOO_LARGE"
    assert remove(message("osiris.v1.RemoveValueRequest", key=b"\0port")).removed
    rpc_fails_with(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", get,
                   message("osiris.v1.GetValueRequest", key=b"\0port"))


# One alone is its own only voter, and says so.
def test_grpc_cluster(admin_channel):
    rpc(admin_channel, "Values.Put")(message("osiris.v1.PutValueRequest", key=b"x"))  # it leads
    status = rpc(admin_channel, "Cluster.Status")(message("osiris.v1.ClusterStatusRequest"))
    member, = status.members
    assert status.role == "leader" and status.leader == status.member == member.member
    assert member.leader and member.reachable and member.name == "one" and status.findings
    assert status.last >= status.commit >= status.applied > 0 and status.ledger
    change = rpc(admin_channel, "Cluster.Change")
    rpc_fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", change,
                   message("osiris.v1.ClusterChangeRequest"))
    rpc_fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", change,
                   message("osiris.v1.ClusterChangeRequest", change=2))
    rpc_fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", change,
                   message("osiris.v1.ClusterChangeRequest", change=2, member="one",
                           learner=True))


# ---- the command line ----


@pytest.fixture
def run(daemon):
    return cli.Cli("--data", daemon.data)


# A value is printed as the bytes that it has, and nothing more.
def test_cli_life_of_a_value(run, folder):
    first = int(run("kv", "put", "port", "7400"))
    assert run("kv", "get", "port") == run("kv", "get", "--local", "port") == "7400"
    assert run.json("kv", "get", "port") == [{"value": "NzQwMA==", "version": 1, "index": first}]
    assert "index: " in run("-o", "yaml", "kv", "get", "port")
    value = folder / "value"
    value.write_bytes(b"two\nlines\n")
    assert int(run("kv", "put", "port", "--file", value)) > first
    assert run("kv", "get", "port") == "two\nlines\n"
    run("kv", "put", "port", "-", input="typed\n")
    assert run("kv", "get", "port") == "typed\n"
    run("kv", "put", "port", "")
    assert run("kv", "get", "port") == ""
    assert run("kv", "del", "port") == "deleted\n"
    assert run("kv", "del", "port") == "there was no such key\n"
    assert run.json("kv", "del", "port")[0].get("removed", False) is False
    assert run.fails(1, "kv", "get", "port").startswith("osiris: NOT_FOUND: ")


# Expectations are what scripts wait for: done or not, by the exit status.
def test_cli_expectations(run):
    index = run("kv", "put", "lease", "desk", "--expect", "absent").strip()
    assert "CONFLICT" in run.fails(1, "kv", "put", "lease", "lab", "--expect", "absent")
    assert "CONFLICT" in run.fails(1, "kv", "del", "lease", "--expect", str(int(index) + 1))
    assert run("kv", "get", "lease") == "desk"
    assert run("kv", "del", "lease", "--expect", index) == "deleted\n"


# Wrong use is refused before anybody is asked.
def test_cli_wrong_use(run, folder):
    value = folder / "value"
    value.write_bytes(bytes(VALUE_MAX + 1))
    assert "VALUE" in run.fails(64, "kv", "put", "key")
    assert "exclude" in run.fails(64, "kv", "put", "key", "value", "--file", value)
    assert "1048576" in run.fails(65, "kv", "put", "key", "--file", value)
    assert "1048576" in run.fails(65, "kv", "put", "key", "-", input="x" * (VALUE_MAX + 1))
    assert "NOT_FOUND" in run.fails(1, "kv", "put", "key", "--file", folder / "none")
    assert "--expect" in run.fails(64, "kv", "put", "key", "value", "--expect", "-1")
    assert "--expect" in run.fails(64, "kv", "del", "key", "--expect", "x")
    assert "key" in run.fails(64, "kv", "get", "")
    assert "TOO_LARGE" in run.fails(65, "kv", "get", "x" * (KEY_MAX + 1))
    run("kv", "put", "x" * KEY_MAX, "value")


# How it stands, for people and for programs.
def test_cli_cluster(run, daemon):
    run("kv", "put", "x", "")  # it leads
    status, members, why = (run("cluster", word) for word in ("status", "members", "why"))
    assert "leader" in status and daemon.call("CLUSTER_STATUS")["ledger"] in status
    title, row = members.splitlines()
    assert title.split()[:3] == ["NAME", "MEMBER", "STANDING"]
    assert row.split()[0] == "one" and "voter" in row and "this one" in row
    assert members.strip() in status
    assert "One voter" in why
    member, = run.json("cluster", "members")
    assert member["name"] == "one" and member["standing"] == "VOTER" and member["leader"]
    assert run.json("cluster", "status")[0]["role"] == "leader"
    findings = [line["finding"] for line in run.json("cluster", "why")]
    assert findings[1:] == why.strip().split("\n\n")[1:]  # the first says since when


# The last voter stays, and whom nobody knows is nobody.
def test_cli_changes_that_cannot_be(run, daemon):
    before = daemon.call("CLUSTER_STATUS")["members"]
    number = before[0]["member"]
    for name in "one", str(number), before[0]["instance"]:
        assert run.run("cluster", "remove", name).returncode != 0
        assert run.run("cluster", "remove", "--yes", name).returncode != 0
    for words in (["add", "nobody"], ["remove", "nobody"], ["promote", "nobody"],
                  ["transfer", "nobody"]):
        assert "NOT_FOUND" in run.fails(1, "cluster", *words)
    after = daemon.call("CLUSTER_STATUS")["members"]
    assert [member["member"] for member in after] == [number]
    run("kv", "put", "still", "here")


# ---- who did what ----


# Who may change the members is in the audit log with what was changed; a denied key with the key,
# in which nothing steers a terminal.
def test_audit(make_daemon, folder):
    config = folder / "osirisd.yaml"
    config.write_text('access:\n  members:\n    local: []\n    "token:*": []\n')
    daemon = make_daemon(flags=["--config", str(config)]).listen_somewhere().start()
    with pytest.raises(osiris.Failure):
        daemon.call("CLUSTER_CHANGE", change="REMOVE_MEMBER", member="nobody")
    with osiris.Client(daemon.port) as client:
        fails_with("PERMISSION_DENIED", client, "KV_PUT", key=b"config/\0\x1b[2J\xff", value=b"")
        fails_with("PERMISSION_DENIED", client, "CLUSTER_CHANGE", change="REMOVE_MEMBER",
                   member="one")
    run = cli.Cli("--data", daemon.data)
    records = [line for line in run.json("audit") if "what" in line]
    changes = [record for record in records if record["what"] == "CLUSTER_CHANGE"]
    assert {(record.get("allowed", False), record["who"]) for record in changes} == \
        {(True, "admin"), (False, "local")}
    assert any(record["part"] == "member:nobody" and record["why"] == "remove"
               for record in changes)
    denied, = [record for record in records if record["what"] == "KV_PUT"]
    assert (denied["part"], denied["who"]) == ("key:config/??[2J?", "local")
