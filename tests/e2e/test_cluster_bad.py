"""What a cluster must bear: foreign and old data, two of one kind, lies from those who may link, full
and broken disks, clocks that jump."""
import random
import re
import shutil
import subprocess
import time

import pytest

import cluster as clusters
import map_clients
import osiris
import raft_peer

HOUR_S = 3600
HUGE = 2**64 - 1
LATE = 1_000_000  # a term that no honest member has reached


@pytest.fixture
def make_cluster(folder):
    made = []

    def make(size=3, **options):
        place = folder / f"cluster{len(made)}"
        place.mkdir()
        made.append(clusters.Cluster(place, **options))
        return made[-1].grow(size)

    yield make
    for cluster in made:
        cluster.__exit__()


@pytest.fixture
def three(make_cluster):
    return make_cluster()


def assert_works(cluster, by=None):
    """Values are written and read at every member."""
    value = f"{time.monotonic()}"
    (by or cluster.leader()).write("works", value)
    for member in cluster:
        assert member.get("works") == value


def why(member):
    return member.cli("cluster", "why")


def wait_for_why(member, pattern):
    try:
        osiris.wait_for(lambda: re.search(pattern, why(member)), pattern)
    except AssertionError as error:
        raise AssertionError(f"{error}: {why(member)}") from error


# ---- data that does not belong here ----

# An instance that is linked, and has a ledger of its own, has nothing to do with this one.
def test_instance_with_another_ledger(three):
    other = three.prepare()
    other.flags = ["--ledger", "found"]
    other.start()
    osiris.wait_for(lambda: other.status().leads(), "it leads its own")
    other.write("key", "of the other")
    three.leader().write("key", "of the three")
    assert other.status().ledger != three.leader().status().ledger
    assert other.get("key") == "of the other" and three.leader().get("key") == "of the three"
    assert other.name not in three.leader().status().voters()
    assert_works(three)


def lose_ledger(member):
    """It keeps its identity and its certificate."""
    end(member)
    for path in ("log", "ledger"):
        shutil.rmtree(member.data / path)


# A member that comes with the data of another ledger, or with none, is one that has lost its votes:
# nothing counts on it, why says what to do, and that helps.
@pytest.mark.parametrize("ledger", ["found", "join"])
def test_member_comes_without_its_ledger(three, ledger):
    leader = three.leader()
    leader.write("key", "value")
    lost, other = three.followers()
    lose_ledger(lost)
    lost.flags = ["--ledger", ledger]
    lost.start()
    wait_for_why(leader, f"{lost.name}.*(another ledger|lost)")
    other.kill()
    with pytest.raises(osiris.Failure) as refused:
        leader.write("other", "with the vote of one that forgot", timeout_ms=2000)
    assert refused.value.code in ("UNAVAILABLE", "TIMEOUT")
    other.start()
    assert_works_without(three, lost)
    three.take_out(lost)
    three.wait_for_voters()
    lose_ledger(lost)
    lost.flags = ["--ledger", "join"]
    three.members.append(lost.start())
    three.wait_for_voters()
    assert lost.get("key") == "value"


def copy_folder(member, name):
    target = member.place / name
    shutil.copytree(member.data, target, ignore=shutil.ignore_patterns("*.sock"))
    return target


def put_back(member, copy):
    shutil.rmtree(member.data)
    copy.rename(member.data)


# One whose folder was restored from an old copy has forgotten what it acknowledged: it may not vote,
# and nothing that counts on it is written. Removed and added anew it is a member again.
def test_restored_from_an_old_copy(three):
    leader = three.leader()
    old, other = three.followers()
    assert old.stop() == 0
    copy = copy_folder(old, "copy")
    old.start()
    three.wait_until_caught_up(old)
    for number in range(50):
        leader.write(f"key{number}", "acknowledged")
    three.wait_until_equal()
    old.kill()
    put_back(old, copy)
    old.launch()
    wait_for_why(leader, f"{old.name}.*(old|fewer|less|copy)")
    assert_works_without(three, old)
    other.kill()
    with pytest.raises(osiris.Failure) as refused:
        leader.write("other", "with the vote of one that forgot", timeout_ms=2000)
    assert refused.value.code in ("UNAVAILABLE", "TIMEOUT")
    other.start()
    assert_works_without(three, old)
    end(old)
    three.take_out(old)
    three.join()
    three.wait_for_voters()
    assert all(member.get("key49") == "acknowledged" for member in three)


def end(member):
    """It may have ended by itself."""
    if member.is_running():
        member.stop()
    member.process = None


def assert_works_without(cluster, missing):
    osiris.wait_for(cluster.find_leader, "a leader")
    cluster.leader().write("works", "without")
    for member in cluster:
        if member is not missing:
            assert member.get("works") == "without"


# Two processes with one identity: one is refused, and the members are still three.
def test_two_with_one_identity(three):
    twin = three.followers()[0]
    assert twin.stop() == 0
    copy = copy_folder(twin, "copy")
    twin.start()
    three.wait_until_caught_up(twin)
    port = osiris.free_port()
    config = copy / "osirisd.yaml"
    config.write_text(config.read_text().replace(f":{twin.port}", f":{port}"))
    second = osiris.Daemon(twin.place, "copy")
    second.launch()
    try:
        osiris.wait_for(lambda: not second.is_running()
                        or "DUPLICATE_IDENTITY" in second.log() + twin.log()
                        or "identity" in second.log() + twin.log(), "somebody says so")
        three.leader()
        for _ in range(5):
            three.leader().write("key", f"{time.monotonic()}")
            time.sleep(0.3)
        assert three.leader().status().voters() == {member.name for member in three}
    finally:
        if second.is_running():
            second.kill()
    three.wait_until_caught_up(twin)
    assert_works(three)


# ---- lies ----

def lies(term, last):
    """What an honest member might say in another state: what it is, and its fields."""
    return {
        "a vote is asked for": dict(term=LATE, vote_request={
            "last_index": 2**40, "last_term": LATE}),
        "a vote that a leader wants": dict(term=LATE, vote_request={
            "transfer": True, "last_index": 2**40, "last_term": LATE}),
        "a heartbeat of a later term": dict(term=LATE, append={
            "previous_index": 1, "previous_term": 1, "commit": 2**40}),
        "committed entries of a later term": dict(term=LATE, append={
            "previous_index": last, "previous_term": term, "commit": last + 2,
            "entries": [raft_peer.entry(LATE, b"", kind=2)] * 2}),
        "entries": dict(term=term, append={
            "previous_index": 1, "previous_term": 1, "commit": 3,
            "entries": [raft_peer.entry(term, b"forged"), raft_peer.entry(term, b"forged")]}),
        "an acknowledgement of what is not there": dict(term=term, appended={"index": HUGE}),
        "a snapshot": dict(term=LATE, snapshot={
            "index": 2**40, "term": LATE, "size": 8, "checksum": 1, "chunk": "Zm9yZ2Vk"}),
        "a snapshot that was taken": dict(term=term, snapshot_taken={
            "index": 2**40, "offset": HUGE}),
        "an answer to no read": dict(term=term, read_reply={"request": 1, "index": HUGE}),
        "an election now": dict(term=term, elect_now={}),
        "a granted vote": dict(term=LATE, vote_reply={"granted": True}),
    }


MALFORMED = {
    "nothing in it": {},
    "two in one": dict(elect_now={}, vote_reply={"granted": True}),
    "the last term there is": dict(term=HUGE, vote_request={
        "last_index": HUGE, "last_term": HUGE}),
    "a heartbeat of the last term there is": dict(term=HUGE, append={"commit": HUGE}),
    "the last index there is": dict(append={
        "previous_index": HUGE, "previous_term": 1, "commit": HUGE,
        "entries": [raft_peer.entry(1, b"x")]}),
    "an entry of no kind": dict(append={
        "previous_index": 0, "entries": [raft_peer.entry(1, b"x", kind=99)]}),
    "a configuration that is none": dict(append={
        "previous_index": 0, "entries": [raft_peer.entry(1, b"\xff" * 50, kind=3)]}),
    "a command that is none": dict(append={
        "previous_index": 0, "entries": [raft_peer.entry(1, b"\xff" * 50)]}),
    "a chunk outside its snapshot": dict(snapshot={
        "index": 5, "term": 1, "size": 4, "offset": 4000, "chunk": "eA=="}),
    "a snapshot without end": dict(snapshot={
        "index": 5, "term": 1, "size": HUGE, "offset": 0, "chunk": "eA=="}),
}


def tell_lies(data, victim, sender, messages, **claim):
    """Each on a link that is up; one that the victim has closed is made again."""
    status = victim.status()
    waiting = list(messages.values())
    while waiting:
        with raft_peer.linked(data, victim.port) as peer:
            peer.claim(status.ledger, sender, **claim)
            is_up = True
            while waiting and is_up:
                message = {"term": status.term, **waiting.pop()}
                try:
                    peer.raft(status.ledger, sender, status.member, **message)
                except OSError:
                    pass  # closed for what was said before
                is_up = peer.wait_until_seen()
        assert victim.is_running(), message


# Who may link, but is no member, can say of Raft what it likes, in whoever's name: nothing comes of
# it.
def test_outsider_forges_raft(three):
    three.leader().write("key", "value")
    outsider = three.prepare()
    before = {member: member.status() for member in three}
    for victim in three:
        status = before[victim]
        for sender in [*(id for id in status.members if id != status.member), 12345]:
            tell_lies(outsider.data, victim, sender, {**lies(status.term, status.last),
                                                 **MALFORMED},
                      starts=99, term=LATE, last_index=2**40)
    time.sleep(2)  # as long as an election would take
    for member in three:
        assert member.status().term == before[member].term
        assert member.status().leader == before[member].leader
        assert member.get("key") == "value"
    assert_works(three)


# The same from the very instance that is a member: its votes and entries must be borne, but what makes
# no sense changes nothing and ends nobody, and the others go on.
def test_member_says_what_makes_no_sense(three):
    three.leader().write("key", "value")
    liar = three.followers()[0]
    mine = liar.status()
    assert liar.stop() == 0
    for victim in three:
        if victim is not liar:
            theirs = victim.status()
            tell_lies(liar.data, victim, mine.member, MALFORMED, starts=1000, term=theirs.term,
                      last_index=theirs.last)
    for member in three:
        if member is not liar:
            assert osiris.wait_for(member.status, "it answers").term < LATE
            assert member.get("key") == "value"
    assert_works_without(three, liar)


# ---- requests that cannot be ----

# Too large or without a key: refused at once, at any member, and the cluster goes on.
def test_proposals_over_the_limits(three):
    for member in three:
        for key, size, codes in (("k", (1 << 20) + 1, {"TOO_LARGE"}),
                                 ("k" * 481, 1, {"TOO_LARGE", "INVALID_ARGUMENT"}),
                                 ("", 1, {"INVALID_ARGUMENT"})):
            with pytest.raises(osiris.Failure) as refused:
                member.write(key, "x" * size)
            assert refused.value.code in codes, (key, size)
    with three.leader().client() as client:  # over the limit of any frame
        try:
            client.call("KV_PUT", key="aw==", value=clusters.encode("x" * (16 << 20)))
            raise AssertionError("it was taken")
        except osiris.Failure as failure:
            assert failure.code == "TOO_LARGE"
        except (OSError, ConnectionError):
            pass  # hung up on while sending
    three.leader().write("k" * 480, "x" * (1 << 20))
    assert_works(three)


# ---- disks ----

@pytest.fixture
def small_disks(make_cluster):
    try:
        return make_cluster(disk_mb=600, loses_power=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot mount a small disk here: {error.stderr.decode().strip()}")


# Wherever a disk is full, the others go on; that member catches up when there is room again.
@pytest.mark.parametrize("whose", ["leader", "follower"])
def test_full_disk(small_disks, whose):
    three = small_disks
    victim = three.leader() if whose == "leader" else three.followers()[0]
    with map_clients.MapClients(three, random.Random(1)) as clients:
        clients.wait_for_progress()
        victim.fill_disk()
        osiris.wait_for(lambda: write_large(three) and "full" in victim.call("STATUS")["storage"],
                        "its log needs more room", 120)
        wait_for_why(victim, "disk")
        clients.wait_for_progress()
        osiris.wait_for(lambda: (leader := three.find_leader()) and leader is not victim,
                        "another leads")
        victim.free_disk()
        three.wait_until_caught_up(victim)
        clients.wait_for_progress()
    three.wait_until_equal()
    clients.check()


def write_large(three):
    """4 MB, again and again: no segment of the log has that much in reserve for ever."""
    try:
        for number in range(4):
            (three.find_leader() or three.members[0]).write(f"large{number}", "x" * (1 << 20))
    except osiris.Failure:
        pass  # leadership is on its way to another
    return True


# A disk that fails to sync ends the leader's process, with its reason; nothing acknowledged is lost.
def test_failing_fsync_ends_the_process(small_disks):
    three = small_disks
    leader = three.leader()
    with map_clients.MapClients(three, random.Random(1)) as clients:
        clients.wait_for_progress()
        leader.disk.break_down()
        osiris.wait_for(lambda: not leader.is_running(), "it ends")
        assert leader.process.returncode == 74, leader.log()[-2000:]
        leader.process = None
        clients.wait_for_progress()
        leader.disk.cut_power(random.Random(1))
        leader.start()
        three.wait_until_caught_up(leader)
    three.wait_until_equal()
    clients.check()


# ---- clocks ----

# A clock that jumps an hour, ahead or back, at the leader or a follower, changes nothing.
def test_clocks_jump(make_cluster):
    library = find_faketime()
    three = make_cluster()
    clocks = {}
    for member in three:
        clocks[member] = member.place / "clock"
        clocks[member].write_text("+0")
        member.environment.update({
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(clocks[member]),
            "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
        assert member.stop() == 0
        member.start()
    leader = three.leader()
    term = leader.status().term
    with map_clients.MapClients(three, random.Random(1)) as clients:
        for member in (leader, three.followers()[0]):
            for offset_s in (HOUR_S, 0, -HOUR_S, 0):
                clients.wait_for_progress()
                clocks[member].write_text(f"{offset_s:+}")
        clients.wait_for_progress(50)
    assert three.leader() is leader and leader.status().term == term
    three.wait_until_equal()
    clients.check()


def find_faketime():
    if shutil.which("faketime") is None:
        pytest.skip("no faketime")
    shown = subprocess.run(["faketime", "-m", "-f", "+0", "env"], capture_output=True, text=True,
                           check=True)
    preload, = [line.partition("=")[2] for line in shown.stdout.splitlines()
                if line.startswith("LD_PRELOAD=")]
    return preload
