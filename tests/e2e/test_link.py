"""Two or three daemons that keep a knowledge base in step."""
import os
import signal
import socket
import time

import pytest

import osiris


@pytest.fixture
def pair(make_daemon):
    """A leader that listens and a follower that dials it."""
    leader = make_daemon("leader").listen_somewhere().start()
    follower = make_daemon("follower", peers=[leader.url]).listen_somewhere().start()
    return leader, follower


def import_numbers(daemon, first, count, batch=500):
    """Imports documents that carry a source, so that repeating it adds nothing."""
    with daemon.client() as client:
        for start in range(first, first + count, batch):
            numbers = range(start, min(start + batch, first + count))
            client.call("KB_IMPORT", documents=[
                {"data": f"entry {number}", "id": f"{daemon.name}-{number:06}"}
                for number in numbers])


# What one instance is told, the other knows; in both directions over one link.
def test_each_side_leads_its_own_feed(pair):
    leader, follower = pair
    first = leader.put("from the leader")
    second = follower.put({"from": "the follower", "number": 12345678901234567890})
    assert osiris.wait_until_equal(leader, follower) == 2
    assert follower.call("KB_GET", id=first)["document"]["data"] == "from the leader"
    assert leader.call("KB_GET", id=second)["document"]["data"]["number"] == 12345678901234567890


# A follower whose link speaks JSON holds the same as one whose link speaks protobuf.
def test_encodings_of_the_link_make_no_difference(make_daemon):
    leader = make_daemon("leader").listen_somewhere().start()
    by_json = make_daemon("json", peers=[leader.url + "?codec=json"]).start()
    by_protobuf = make_daemon("protobuf", peers=[leader.url + "?codec=protobuf"]).start()
    for data in ("español \u2603 \U0001f600", 1.10, None, [], {"a": {"b": [True]}}):
        leader.put(data)
    assert osiris.wait_until_equal(leader, by_json, by_protobuf) == 5


# A peer that is dialled, and answers with an ERROR that names no code, is heard like others.
def test_error_without_a_code_is_one_all_the_same(make_daemon):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}?codec=json"
        daemon = make_daemon("one", peers=[url]).start()
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            connection.sendall(b'{"type":"ERROR","message":"no"}\n')
            osiris.wait_for(lambda: "no" in daemon.call("STATUS")["peers"][0].get("last_error", ""),
                            "it is told")
    assert daemon.is_running()


# A follower that was away for a while gets what it missed, once.
def test_follower_catches_up_after_kill(pair):
    leader, follower = pair
    import_numbers(leader, 0, 1000)
    follower.kill()
    import_numbers(leader, 1000, 1000)
    follower.start()
    assert osiris.wait_until_equal(leader, follower) == 2000


# The leader is killed while it is written to: what it acknowledged is there afterwards, on
# both sides.
def test_leader_keeps_what_it_acknowledged(pair):
    leader, follower = pair
    client = leader.client()
    acknowledged = []
    for number in range(2000):
        client.ask("KB_PUT", document={"id": f"n{number}", "data": number})
    while len(acknowledged) < 500:
        reply = client.receive()
        if reply["type"] == "KB_PUT_REPLY":
            acknowledged.append(reply["id"])
    leader.kill()
    client.close()
    leader.start()
    osiris.wait_until_equal(leader, follower)
    held = {document["id"] for document in follower.documents()}
    assert held.issuperset(acknowledged)


# acks=1 waits for a follower; without one it times out and says that it is written.
def test_acks_wait_for_followers(pair):
    leader, follower = pair
    osiris.wait_until_equal(leader, follower)
    document = leader.put("held by two", acks=1)
    assert follower.call("KB_GET", id=document)["document"]["data"] == "held by two"
    follower.stop()
    with pytest.raises(osiris.Failure) as failure:
        leader.put("held by one", acks=1, timeout_ms=300)
    assert failure.value.code == "TIMEOUT"
    assert "written" in failure.value.frame["message"]


# Both name each other as peers: one link stays, and nothing is told twice.
def test_instances_that_dial_each_other(make_daemon):
    one = make_daemon("one").listen_somewhere()
    two = make_daemon("two").listen_somewhere()
    one.peers, two.peers = [two.url], [one.url]
    one.start(), two.start()
    one.put("1"), two.put("2")
    assert osiris.wait_until_equal(one, two) == 2
    entries = one.call("STATUS")["entries"]
    assert entries == 2
    osiris.wait_for(lambda: all(peer["state"] == "up" for daemon in (one, two)
                                for peer in daemon.call("STATUS")["peers"]), "both say up")

    def is_quiet():
        closed = one.log().count("closed:")
        time.sleep(2)
        return one.log().count("closed:") == closed

    osiris.wait_for(is_quiet, "they dial each other no more")


# An entry reaches an instance that has no link to its origin.
def test_entries_are_relayed(make_daemon):
    first = make_daemon("first").listen_somewhere().start()
    middle = make_daemon("middle", peers=[first.url]).listen_somewhere().start()
    last = make_daemon("last", peers=[middle.url]).start()
    first.put("told by the first"), last.put("told by the last")
    assert osiris.wait_until_equal(first, middle, last) == 2


# `feeds` shows who lags behind and by how much.
def test_feeds_show_the_lag(pair):
    leader, follower = pair
    leader.put("seen")
    osiris.wait_until_equal(leader, follower)

    def own_feed():
        feed, = [feed for feed in leader.call("FEEDS")["feeds"] if feed.get("leads")]
        return feed

    osiris.wait_for(lambda: own_feed()["followers"][0].get("acked") == 1, "the follower's ack")
    assert own_feed()["followers"][0]["name"] == "follower"
    assert own_feed()["followers"][0].get("lag_entries", 0) == 0
    os.kill(follower.process.pid, signal.SIGSTOP)
    try:
        leader.put("unseen")
        lagging = osiris.wait_for(
            lambda: [item for item in own_feed()["followers"] if item.get("lag_ms", 0) > 200],
            "a lag of over 200 ms")
        assert lagging[0]["lag_entries"] == 1
    finally:
        os.kill(follower.process.pid, signal.SIGCONT)
    assert osiris.wait_until_equal(leader, follower) == 2


# `feeds_followers` tells of one feed what `feeds` tells of it: the own one, or another by its origin.
def test_followers_of_one_feed(pair):
    leader, follower = pair
    leader.put("of the leader"), follower.put("of the follower")
    osiris.wait_until_equal(leader, follower)

    def told_alike():
        feeds = {feed["origin"]: feed for feed in leader.call("FEEDS")["feeds"]}
        own = leader.call("FEEDS_FOLLOWERS")["feed"]
        other = leader.call("FEEDS_FOLLOWERS", origin=follower.instance(), epoch=1)["feed"]
        return (own == feeds[leader.instance()] and other == feeds[follower.instance()]
                and own["leads"] and own["followers"][0]["instance"] == follower.instance())

    osiris.wait_for(told_alike, "the same from both")
    for stranger in ({"origin": "a" * 32}, {"stream": "threats"}, {"epoch": 2}):
        with pytest.raises(osiris.Failure) as failure:
            leader.call("FEEDS_FOLLOWERS", **stranger)
        assert failure.value.code == "NOT_FOUND"


# A rewound follower is sent the feed again, drops what it has, and nothing doubles.
def test_resend_doubles_nothing(pair):
    leader, follower = pair
    import_numbers(leader, 0, 300)
    osiris.wait_until_equal(leader, follower)
    reply = leader.call("FEEDS_RESEND", peer=follower.instance(), from_sequence=1)
    assert reply["entries"] == 300
    leader.put("one more")
    assert osiris.wait_until_equal(leader, follower) == 301
    with pytest.raises(osiris.Failure) as failure:
        leader.call("FEEDS_RESEND", peer="nobody", from_sequence=1)
    assert failure.value.code == "NOT_FOUND"


# `status --wait` answers when everything known is here and searchable.
def test_status_waits_for_everything(make_daemon):
    leader = make_daemon("leader").listen_somewhere().start()
    import_numbers(leader, 0, 3000)
    follower = make_daemon("follower", peers=[leader.url]).start()
    status = follower.call("STATUS", wait=True, timeout_ms=30000)
    assert status["documents"] == 3000
    assert status["entries"] == 3000
    assert status.get("projection_lag", 0) == 0


# A peer's URL is pinned to the instance found there: another one behind the same URL is
# refused, until its owner says by `?id=` that it is right.
def test_another_instance_at_a_pinned_url(make_daemon):
    leader = make_daemon("leader").listen_somewhere().start()
    follower = make_daemon("follower", peers=[leader.url]).start()
    leader.put("first")
    osiris.wait_until_equal(leader, follower)
    follower.stop(), leader.stop()
    other = make_daemon("other")
    other.listen, other.port = leader.listen, leader.port
    other.start()
    other.put("from a stranger")
    follower.start()

    def peer():
        return follower.call("STATUS")["peers"][0]

    refused = osiris.wait_for(lambda: peer().get("last_error"), "a refusal")
    assert leader.url in refused and other.instance() in refused
    assert follower.count() == 1
    follower.stop()
    follower.peers = [f"{leader.url}?id={other.instance()}"]
    follower.start()
    osiris.wait_for(lambda: peer()["state"] == "up", "the link")
    osiris.wait_for(lambda: follower.count() == 2, "the stranger's entry")


# Clusters do not mix.
def test_other_cluster_is_refused(make_daemon):
    leader = make_daemon("leader").listen_somewhere().start()
    follower = make_daemon("follower", peers=[leader.url], flags=["--cluster", "other"]).start()
    osiris.wait_for(lambda: follower.call("STATUS")["peers"][0].get("last_error"), "a refusal")
    assert "WRONG_CLUSTER" in leader.log() or "WRONG_CLUSTER" in follower.log()


# Two running instances with one identity are told apart and refused; others go on.
def test_copied_folder_while_both_run(pair, make_daemon, folder):
    leader, follower = pair
    leader.put("before the copy")
    osiris.wait_until_equal(leader, follower)
    twin = make_daemon("twin", peers=[leader.url])
    twin.data.mkdir(mode=0o700)
    key = (leader.data / "identity.key").read_bytes()
    with open(twin.data / "identity.key", "wb", opener=lambda path, flags: os.open(
            path, flags, 0o600)) as file:
        file.write(key)
    twin.start()
    for daemon in (twin, leader):
        osiris.wait_for(lambda: "DUPLICATE_IDENTITY" in daemon.log(), f"{daemon.name} says so")
    leader.put("after the copy")
    assert osiris.wait_until_equal(leader, follower) == 2


# A follower that does not move holds up nobody, and costs its leader a window, however much
# is written meanwhile; it has all of it soon after it moves again.
def test_stopped_follower_costs_no_memory(make_daemon):
    # A sanitizer keeps freed memory for a while: that is not what is measured here.
    few = os.environ | {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    leader = make_daemon("leader").listen_somewhere().start(env=few)
    stopped = make_daemon("stopped", peers=[leader.url]).start()
    other = make_daemon("other", peers=[leader.url]).start()

    def write(megabytes):
        with leader.client() as client:
            for _ in range(megabytes):
                client.call("KB_IMPORT", documents=[{"data": "x" * 4000} for _ in range(250)])

    write(40)  # fills the caches that have a fixed size
    assert osiris.wait_until_equal(leader, stopped, other) == 10000
    os.kill(stopped.process.pid, signal.SIGSTOP)
    try:
        before = leader.memory()
        write(100)
        assert osiris.wait_until_equal(leader, other) == 35000
        grown = leader.memory() - before
        assert grown < 48 << 20, f"{grown >> 20} MiB for one that does not move"
    finally:
        os.kill(stopped.process.pid, signal.SIGCONT)
    assert osiris.wait_until_equal(leader, stopped, other) == 35000
