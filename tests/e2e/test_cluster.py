"""Instances that agree, mostly three: from nothing to a cluster, its commands, and its members replaced
while clients go on.

OSIRIS_BEHIND sets how many entries a follower misses (5,000)."""
import os
import random
import time

import pytest

import cluster as clusters
import map_clients
import osiris

BEHIND = int(os.environ.get("OSIRIS_BEHIND", 5000))
MEGABYTE = 1 << 20


@pytest.fixture
def cluster(folder):
    with clusters.Cluster(folder) as made:
        yield made


@pytest.fixture
def three(cluster):
    return cluster.grow(3)


def why(member):
    return member.cli("cluster", "why")


# ---- one, two, three ----

# One instance is its own majority, with nothing to configure.
def test_one_instance_agrees_with_itself(cluster):
    one = cluster.found()
    cluster.leader()
    assert one.cli("kv", "put", "color", "green").strip().isdigit()
    assert one.cli("kv", "get", "color") == "green"
    assert "One voter" in why(one)
    one.kill()
    one.start()
    cluster.leader()
    assert one.cli("kv", "get", "color") == "green"


# Two commands for each that joins, and it is a voter soon after; an even number is explained.
def test_joining_makes_voters(cluster):
    one = cluster.found()
    one.write("before", "they came")
    two = cluster.join()
    cluster.wait_for_voters()
    assert "Two voters" in why(one) and "Two voters" in why(two)
    three = cluster.join()
    cluster.wait_for_voters()
    for member in (one, two, three):
        assert member.get("before") == "they came"
        assert member.cli("cluster", "members").count(" voter ") == 3
    assert len({member.status().ledger for member in cluster}) == 1
    cluster.join()
    cluster.wait_for_voters()
    assert "4 voters survive the loss of 1" in why(one)


# A learner becomes a voter by command once it is there and has most: one that is not would be needed for
# every majority, and beside a single voter nobody could take it back.
def test_learner_is_promoted(cluster):
    one = cluster.found()
    cluster.leader()
    one.cli("cluster", "set", "join", "by-hand")
    two = cluster.prepare().start()
    add = ("cluster", "add", two.name, "--learner")
    osiris.wait_for(lambda: one.cli.run(*add).returncode == 0, "it is linked, and added")
    one.cli("cluster", "promote", two.name)  # at once: this waits for it
    cluster.members.append(two)
    cluster.wait_for_voters()
    one.cli("cluster", "remove", two.name, "--yes")
    two.kill()
    cluster.members.remove(two)
    two.rejoin()
    osiris.wait_for(lambda: one.cli.run(*add).returncode == 0, "it is added again")
    osiris.wait_for(lambda: two.status().member, "it has heard of that")
    two.kill()
    time.sleep(2)  # an election timeout and more
    assert one.cli.run("cluster", "promote", two.name, "--timeout", "2").returncode != 0
    one.write("key", "value")
    assert one.status().voters() == {one.name} and one.get("key") == "value"


# Whatever is asked at whichever member, the answer is the same everywhere from then on.
def test_every_member_answers(three):
    for number, member in enumerate(three):
        index = int(member.cli("kv", "put", f"key{number}", member.name))
        for other in three:
            reply = other.cli.json("kv", "get", f"key{number}")[0]
            assert (clusters.decode(reply["value"]), int(reply["index"])) == (member.name, index)
    for member, other in zip(three, reversed(list(three))):
        assert member.cli("kv", "del", "key1") in ("deleted\n", "there was no such key\n")
        assert other.get("key1") is None
    assert "no such key" in next(iter(three)).cli.fails(1, "kv", "get", "key1")


# A write can say what it expects, and is refused where that is not so: at any member.
def test_writes_can_expect(three):
    one, two, other = three
    index = one.write("key", "first", expected={"index": 0})
    for member in three:
        with pytest.raises(osiris.Failure) as refused:
            member.write("key", "not the first", expected={"index": 0})
        assert refused.value.code == "CONFLICT"
    index = two.write("key", "second", expected={"index": index})
    assert other.get("key") == "second"
    assert other.remove("key", expected={"index": index})
    assert one.get("key") is None


# Bytes of any kind, and of any length up to the limits.
def test_keys_and_values_are_bytes(three):
    key, value = bytes(range(240)) * 2, os.urandom(MEGABYTE)
    with three.members[1].client() as client:
        client.call("KV_PUT", key=clusters.encode(key), value=clusters.encode(value))
        client.call("KV_PUT", key=clusters.encode(b"\0"), value="")
    with three.members[2].client() as client:
        assert client.call("KV_GET", key=clusters.encode(key))["value"] == clusters.encode(value)
        assert client.call("KV_GET", key=clusters.encode(b"\0")).get("value", "") == ""


# ---- the leader ----

# Leadership goes where it is told to, and to the best where it is not; clients do not notice.
def test_transfer(three):
    with map_clients.MapClients(three, random.Random(1)) as clients:
        clients.wait_for_progress()
        for target in [*three.followers(), None]:
            before = three.leader()
            before.cli("cluster", "transfer", *([target.name] if target else []))
            after = three.leader()
            assert after is target if target else after is not before
            clients.wait_for_progress()
    three.wait_until_equal()
    print(f"longest time without a write {clients.longest_gap():.2f} s")
    assert_quiet(clients)
    clients.check()


# The leader can be removed, also by itself: another leads, and it takes no part any more.
def test_leader_is_removed(three):
    three.leader().write("key", "value")
    leader = three.leader()
    three.take_out(leader, by=leader)
    three.wait_for_voters()
    other = three.leader()
    assert other is not leader and other.get("key") == "value"
    other.write("key", "changed")
    osiris.wait_for(lambda: not leader.status().leads(), "it leads no more")
    with pytest.raises(osiris.Failure) as refused:
        leader.write("key", "by one that was removed", timeout_ms=2000)
    assert refused.value.code in ("UNAVAILABLE", "TIMEOUT")
    assert "removed" in why(leader) and leader.status().role == "removed"
    assert other.get("key") == "changed"
    leader.kill()
    leader.start()
    osiris.wait_for(lambda: leader.status().role == "removed", "it knows so after a restart, too")


# The last voter stays: without it there would be no cluster.
def test_last_voter_is_not_removed(cluster):
    one = cluster.found()
    cluster.leader()
    told = one.cli.fails(64, "cluster", "remove", one.name, "--yes")
    assert "the last voter" in told and "let another one join first" in told
    one.write("key", "value")
    assert one.get("key") == "value"


# ---- without a majority ----

# Nobody leads, and why says so, and what to do; what is there can be read; nothing else is done.
def test_minority_does_nothing(three):
    three.leader().write("key", "value")
    three.wait_until_equal()
    survivor, *others = three.members
    for other in others:
        other.kill()
    osiris.wait_for(lambda: survivor.status().leader == 0, "nobody leads")
    with pytest.raises(osiris.Failure) as refused:
        survivor.write("key", "of a minority", timeout_ms=1000)
    assert refused.value.code in ("UNAVAILABLE", "TIMEOUT")
    with pytest.raises(osiris.Failure):
        survivor.get("key", timeout_ms=1000)
    began = time.monotonic()
    told = survivor.cli.fails(75, "kv", "get", "key", "--timeout", "2")
    assert time.monotonic() - began < 6  # it is not begun again once its time is over
    assert "TIMEOUT" in told and "osiris cluster why" in told
    assert survivor.get("key", local=True) == "value"
    text = why(survivor)
    assert "Nobody leads" in text and "1 of 3 voters" in text
    assert all(other.name in text for other in others)
    others[0].start()
    osiris.wait_for(three.find_leader, "a leader again")
    assert survivor.get("key") == "value"  # or "of a minority" would have had to be answered
    others[1].start()
    three.wait_for_voters()


# While one is down, the others are told what removing one of them would do; the one that is down can
# go, and nothing stops.
def test_removal_while_another_is_down(three):
    down = three.followers()[0]
    down.kill()
    leader = three.leader()
    up, = [member for member in three if member not in (down, leader)]
    osiris.wait_for(lambda: down.name in why(leader), "why tells who is gone")
    assert down.name in leader.cli.fails(64, "cluster", "remove", up.name)
    leader.write("key", "value")
    three.take_out(down, by=up)
    three.wait_for_voters()
    leader.write("key", "changed")
    assert up.get("key") == "changed"


# A change while the one before has not been agreed on waits its time and is BUSY then: it never counts
# as done.
def test_changes_come_one_at_a_time(three):
    leader = three.leader()
    one, two = three.followers()
    one.pause()
    two.pause()
    with leader.client() as client:
        first, second = (client.ask("CLUSTER_CHANGE", change="REMOVE_MEMBER", member=member.name,
                                    timeout_ms=timeout_ms)
                         for member, timeout_ms in ((one, 8000), (two, 150)))
        refused = client.receive()
        assert refused["request_id"] == second
        # UNAVAILABLE where it leads no more by then, for nobody answers it.
        assert refused["code"] == "BUSY" or leader.status().leader == 0, refused
        one.resume()
        two.resume()
        answer = client.receive()
        assert answer["request_id"] == first
    three.leader()
    names = three.leader().status().voters()
    done = answer["type"] == "CLUSTER_CHANGE_REPLY"
    assert two.name in names and (one.name not in names or not done), answer


# ---- more than three ----

def kill_with_leader(cluster, count):
    """The leader and others, at once; returns them and those that are left."""
    leader = cluster.leader()
    down = [leader, *cluster.followers()[:count - 1]]
    for member in down:
        member.kill()
    return down, [member for member in cluster if member not in down]


def assert_agreed(cluster, members, value):
    """What the leader writes is read at each of these."""
    osiris.wait_for(cluster.find_leader, "a leader").write("key", value)
    assert {member.get("key") for member in members} == {value}


# Five go on without two of them, the leader among these. Without three they do nothing, and say so,
# until one is back.
def test_five_voters(cluster):
    cluster.grow(5)
    assert_agreed(cluster, cluster, "of five")
    down, up = kill_with_leader(cluster, 2)
    assert_agreed(cluster, up, "of three")
    osiris.wait_for(lambda: "Stop none" in why(cluster.leader()), "no other may be stopped")
    third = next(member for member in up if member is not cluster.leader())
    third.kill()
    up.remove(third)
    down.append(third)
    with pytest.raises(osiris.Failure) as refused:
        up[0].write("other", "of a minority", timeout_ms=2000)
    assert refused.value.code in ("UNAVAILABLE", "TIMEOUT")
    for member in up:
        osiris.wait_for(lambda: "2 of 5 voters" in why(member), f"{member.name} says why")
        assert "Nobody leads" in why(member)
        assert all(other.name in why(member) for other in down)
        with pytest.raises(osiris.Failure):
            member.get("key", timeout_ms=500)
        assert member.get("key", local=True) == "of three"
    back = down.pop()
    back.start()
    assert_agreed(cluster, [*up, back], "of three again")
    for member in down:
        member.start()
    cluster.wait_for_voters()
    cluster.wait_until_equal()
    assert all(member.get("key", local=True) == "of three again" for member in cluster)


# Seven, of which six join at the same time, go on without three of them, the leader among these.
def test_seven_voters(cluster):
    cluster.found()
    for _ in range(6):
        cluster.join()
    cluster.wait_for_voters()
    assert_agreed(cluster, cluster, "of seven")
    down, up = kill_with_leader(cluster, 3)
    assert_agreed(cluster, up, "of four")
    for member in down:
        member.start()
    cluster.wait_for_voters()
    cluster.wait_until_equal()
    assert all(member.get("key", local=True) == "of four" for member in cluster)


# ---- members come, go, and come back ----

def assert_quiet(clients):
    """Nobody was refused for anything but what trying again mends, and that has mended it: no write
    was given up."""
    assert clients.unfinished == []
    assert clients.errors == [], clients.errors[:3]
    assert set(clients.refused) <= {"UNAVAILABLE", "BUSY", "TIMEOUT", "NOT_FOUND", "CONFLICT"}


# Each is stopped and started in turn under load: no failed request beyond retries.
def test_rolling_restart(three):
    with map_clients.MapClients(three, random.Random(1)) as clients:
        for member in list(three):
            clients.wait_for_progress()
            assert member.stop() == 0
            clients.wait_for_progress()
            member.start()
            three.wait_until_caught_up(member)
        clients.wait_for_progress()
    three.wait_until_equal()
    assert_quiet(clients)
    clients.check()


# Each is replaced by a new one, under load: at last none of the first three is left.
def test_all_are_replaced(three):
    first = list(three)
    with map_clients.MapClients(three, random.Random(1)) as clients:
        for member in reversed(first):  # the first one has the CA, and lets the others in
            clients.wait_for_progress()
            three.join(by=first[0])
            three.wait_for_voters()
            three.take_out(member)
            three.wait_for_voters()
            assert member.stop() == 0
        clients.wait_for_progress()
    three.wait_until_equal()
    assert_quiet(clients)
    clients.check()
    assert not {member.name for member in first} & three.leader().status().voters()


# A follower that was down while many entries were written has them all soon after.
def test_follower_catches_up(three):
    follower = three.followers()[0]
    follower.kill()
    three.leader().write_many(BEHIND)
    three.leader().write("last", "one")
    follower.start()
    three.wait_until_caught_up(follower, timeout_s=30 + BEHIND / 5000)
    assert follower.get("last", local=True) == "one"


def wait_for_snapshot(three, member):
    """Until the leader sends it one, and it has all."""
    osiris.wait_for(lambda: any(
        each["name"] == member.name and each.get("progress") == "snapshot"
        for each in three.leader().status().members.values()), f"a snapshot for {member.name}")
    three.wait_until_caught_up(member)


# Where the log does not reach back as far any more, it gets a snapshot, and so does a new member.
def test_follower_gets_a_snapshot(three):
    follower = three.followers()[0]
    follower.kill()
    clusters.outgrow_log(three.leader())
    three.leader().write("last", "one")
    follower.start()
    wait_for_snapshot(three, follower)
    newcomer = three.join()
    wait_for_snapshot(three, newcomer)
    three.wait_for_voters()
    for member in (follower, newcomer):
        assert member.get("last", local=True) == "one"
        assert member.get("many7", local=True) == "x" * MEGABYTE


# One that was removed while it was down comes back, disturbs nobody, and says what it is.
def test_removed_member_returns(three):
    removed = three.followers()[0]
    removed.kill()
    three.take_out(removed, by=three.leader())
    three.wait_for_voters()
    term = three.leader().status().term
    removed.start()
    three.leader().write("key", "value")
    osiris.wait_for(lambda: "removed" in why(removed), "it knows")
    time.sleep(3)  # several election timeouts
    assert three.leader().status().term == term
    with pytest.raises(osiris.Failure) as refused:
        removed.get("key", timeout_ms=1000)
    assert refused.value.code in ("UNAVAILABLE", "TIMEOUT")


# It may come back as a new one, with an empty folder.
def test_lost_folder_is_replaced(three):
    lost = three.followers()[0]
    lost.kill()
    three.take_out(lost)
    three.leader().write("key", "value")
    newcomer = three.join()
    three.wait_for_voters()
    three.wait_until_caught_up(newcomer)
    assert newcomer.get("key", local=True) == "value"
