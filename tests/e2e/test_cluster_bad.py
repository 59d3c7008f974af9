"""What a cluster must bear: foreign and old data, two of one kind, what is too large, full and broken
disks, clocks that jump."""
import contextlib
import random
import re
import shutil
import subprocess
import threading
import time

import pytest

import cli
import cluster as clusters
import map_clients
import osiris

HOUR_S = 3600


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
    three.assert_works()


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
    three.assert_works(without=lost)
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
    three.assert_works(without=old)
    other.kill()
    with pytest.raises(osiris.Failure) as refused:
        leader.write("other", "with the vote of one that forgot", timeout_ms=2000)
    assert refused.value.code in ("UNAVAILABLE", "TIMEOUT")
    other.start()
    three.assert_works(without=old)
    end(old)
    three.take_out(old)
    three.join()
    three.wait_for_voters()
    assert all(member.get("key49") == "acknowledged" for member in three)


FLIPPED = 10  # bytes


def damage_log(member, content):
    """Alters what it has on its disk of an entry."""
    path, = [path for path in member.data.glob("log/*.seg") if content in path.read_bytes()]
    begin = path.read_bytes().index(content)
    with open(path, "r+b") as file:
        file.seek(begin)
        file.write(bytes(byte ^ 0xff for byte in content[:FLIPPED]))


def advised_commands(log):
    """What the last hint in it says to run, word by word."""
    hint = [line for line in log.splitlines() if line.startswith("hint: ")][-1]
    return [command.split()[1:] for command in re.findall("`(osiris [^`]+)`", hint)]


# A log that is damaged where it was safe on disk is refused, with `--ledger rejoin` as well, and what
# osirisd says to do, done word by word, makes a new member that has everything.
def test_damaged_log(three):
    leader = three.leader()
    damaged = next(member for member in three.followers() if member is not three.members[0])
    damaged.put({"text": "written at the one that will be damaged"})
    leader.write("key", "the value that is altered")
    for number in range(20):  # each is stored before the next one is
        leader.write(f"key{number}", "acknowledged")
    three.wait_until_equal()
    osiris.wait_for(lambda: all(member.count() == 1 for member in three), "all have the document")
    damaged.kill()
    damage_log(damaged, b"the value that is altered")
    for flags in (["--ledger", "rejoin"], []):
        damaged.flags = flags
        damaged.launch()
        assert damaged.process.wait(osiris.WAIT_S) == 65
        assert re.search("osirisd: CORRUPT: .*seg: offset .*damaged", damaged.log())
    damaged.process = None
    three.assert_works(without=damaged)

    remove, invite, join = advised_commands(damaged.log())
    assert (remove, invite, join) == (["cluster", "remove", "NAME"], ["invite"],
                                      ["join", "INVITATION", "--data", "NEW_FOLDER"])
    assert "learner" in damaged.log()
    newcomer = three.make()
    leader.cli(*(word.replace("NAME", damaged.name) for word in remove))
    three.members.remove(damaged)
    invitation = three.members[0].cli(*invite).split("osiris join ")[1].split()[0]
    words = {"INVITATION": invitation, "NEW_FOLDER": newcomer.data}
    cli.Cli()(*(words.get(word, word) for word in join),
              "--name", newcomer.name, "--listen", newcomer.link, "--no-start",
              env={"HOME": str(newcomer.place), "XDG_CONFIG_HOME": ""})
    three.members.append(newcomer.start())
    osiris.wait_for(lambda: any(newcomer.name in member.status().learners() | member.status().voters()
                                for member in three), "it is added")
    three.wait_for_voters()
    three.wait_until_caught_up(newcomer)
    assert newcomer.get("key", local=True) == "the value that is altered"
    assert all(newcomer.get(f"key{number}", local=True) == "acknowledged" for number in range(20))
    osiris.wait_for(lambda: newcomer.count() == 1, "it has the document")
    three.assert_works()


def end(member):
    """It may have ended by itself."""
    if member.is_running():
        member.stop()
    member.process = None


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
    three.assert_works()


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
    three.assert_works()


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


# A disk that fails to sync the log, or to write the values, ends that process, with its reason, also
# while they are read; the others go on; nothing acknowledged is lost, and it comes back.
@pytest.mark.parametrize("ailment, file", [("break_down", "/log/"), ("refuse_writes", "/values.mdb")])
@pytest.mark.parametrize("whose", ["leader", "follower"])
def test_failing_disk_ends_the_process(make_cluster, whose, ailment, file):
    three = make_cluster(loses_power=True)
    victim = three.leader() if whose == "leader" else three.followers()[0]
    with map_clients.MapClients(three, random.Random(1)) as clients, local_readers(victim):
        clients.wait_for_progress()
        getattr(victim.disk, ailment)(file)
        osiris.wait_for(lambda: not victim.is_running(), "it ends")
        assert victim.process.returncode == 74, victim.log()[-2000:]
        assert re.search(rf"osirisd: IO: .*{file}.*Input/output error", victim.log())
        victim.process = None
        clients.wait_for_progress()
        victim.disk.cut_power(random.Random(1))
        victim.start()
        three.wait_until_caught_up(victim)
    three.wait_until_equal()
    clients.check()


@contextlib.contextmanager
def local_readers(member, count=4):
    """They read what this one has, one value after the other, until it is gone."""
    def read():
        try:
            with member.client() as client:
                while not ends.is_set():
                    try:
                        client.call("KV_GET", key="aw==", local=True)
                    except osiris.Failure:
                        pass  # it stops, or there is no such key
        except (OSError, ConnectionError, AssertionError):
            pass  # cut off, maybe in a frame

    ends = threading.Event()
    readers = [threading.Thread(target=read) for _ in range(count)]
    for reader in readers:
        reader.start()
    yield
    ends.set()
    for reader in readers:
        reader.join()


# One that is told to end while it installs a snapshot, on a slow disk, ends well, and goes on with it at
# its next start.
def test_stop_while_a_snapshot_is_installed(make_cluster):
    three = make_cluster(loses_power=True)
    clusters.outgrow_log(three.leader())
    three.leader().write("last", "one")
    newcomer = three.prepare()
    newcomer.disk.slow_down("/log/")
    three.members.append(newcomer.start())
    osiris.wait_for(lambda: any((newcomer.data / "ledger/snapshots").glob("*.snapshot")),
                    "it has the snapshot")
    assert newcomer.stop() == 0
    assert "is installed" not in newcomer.log()
    newcomer.disk.mend()
    newcomer.start()
    three.wait_for_voters()
    three.wait_until_caught_up(newcomer)
    assert newcomer.get("last", local=True) == "one"


# ---- clocks ----

# A clock that jumps an hour, ahead or back, at the leader or a follower, changes nothing.
def test_clocks_jump(make_cluster):
    three = make_cluster(clocks_jump=True)
    leader = three.leader()
    term = leader.status().term
    with map_clients.MapClients(three, random.Random(1)) as clients:
        for member in (leader, three.followers()[0]):
            for offset_s in (HOUR_S, 0, -HOUR_S, 0):
                clients.wait_for_progress()
                member.clock.jump(offset_s)
        clients.wait_for_progress(50)
    assert three.leader() is leader and leader.status().term == term
    three.wait_until_equal()
    clients.check()
