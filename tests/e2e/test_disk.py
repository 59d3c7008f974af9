"""Disks that run full, or cannot be written at all: real ones, made of memory (needs root)."""
import os
import pathlib
import subprocess

import pytest

import osiris


@pytest.fixture
def small_disk(folder):
    """A file system of 32 MiB; it goes with the test."""
    path = folder / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(path)],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def on_disk(make_daemon, disk, name="one", **options):
    daemon = make_daemon(name, **options)
    daemon.data = disk / name
    return daemon


def fill(disk):
    """Leaves no room, and returns the file that takes it."""
    filler = pathlib.Path(disk) / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    return filler


def put_until_full(daemon):
    """Puts documents of 100 KB until there is no room, and returns the ids of those written."""
    written = []
    with daemon.client() as client:
        for number in range(1000):
            try:
                reply = client.call("KB_PUT", document={"id": f"{number:04}", "data": "x" * 100000})
                written.append(reply["id"])
            except osiris.Failure as failure:
                assert failure.code == "DISK_FULL"
                assert failure.frame["hint"]
                return written
    raise AssertionError("the disk never ran full")


# No room: writes are refused with DISK_FULL and leave nothing behind; reads and followers go on;
# with room again writes work, without a restart; nothing that was acknowledged is lost.
def test_full_disk(make_daemon, small_disk):
    leader = on_disk(make_daemon, small_disk, "leader").listen_somewhere().start()
    follower = make_daemon("follower", peers=[leader.url]).start()
    filler = fill(small_disk)
    written = put_until_full(leader)
    assert written
    assert leader.call("KB_GET", id=written[0])["document"]["data"] == "x" * 100000
    assert "full" in leader.call("STATUS")["storage"]
    osiris.wait_for(lambda: follower.count() == len(written), "the follower has all")
    filler.unlink()
    leader.put("there is room again")
    assert osiris.wait_until_equal(leader, follower) == len(written) + 1
    osiris.wait_for(lambda: leader.call("STATUS")["storage"] == "ok", "all is well")
    leader.kill()
    leader.start()
    assert osiris.wait_until_equal(leader, follower) == len(written) + 1


# A follower whose disk is full holds back its own copy alone, and catches up when there is room.
def test_full_disk_of_a_follower(make_daemon, small_disk):
    leader = make_daemon("leader").listen_somewhere().start()
    follower = on_disk(make_daemon, small_disk, "follower", peers=[leader.url]).start()
    other = make_daemon("other", peers=[leader.url]).start()
    filler = fill(small_disk)
    with leader.client() as client:
        for number in range(200):
            client.call("KB_PUT", document={"id": f"{number:04}", "data": "x" * 100000})
    assert osiris.wait_until_equal(leader, other) == 200
    assert follower.count() < 200
    filler.unlink()
    assert osiris.wait_until_equal(leader, follower, other) == 200


# A folder that cannot be written is no place to start, and what is in it stays as it is.
def test_read_only_disk(make_daemon, small_disk):
    daemon = on_disk(make_daemon, small_disk).start()
    kept = daemon.put("kept")
    assert daemon.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 74
    assert "Read-only file system" in done.stderr or "read-only" in done.stderr
    assert str(daemon.data) in done.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    daemon.start()
    assert daemon.call("KB_GET", id=kept)["document"]["data"] == "kept"
