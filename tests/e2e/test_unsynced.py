"""The power cuts that other tests rely on: they take what was not synced, and nothing else."""
import os
import random
import subprocess
import sys

import pytest

import unsynced

PREAMBLE = """
import os, signal
def end(): os.kill(os.getpid(), signal.SIGKILL)
def make(name):
    return os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT, 0o600)
def sync_folder():
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""


@pytest.fixture
def disk(folder):
    (folder / "data").mkdir()
    return unsynced.Disk(folder / "data", folder / "journal")


def run(disk, script, seed=1):
    """Runs lines of Python until they kill themselves, and cuts the power."""
    program = f"folder = {str(disk.folder)!r}\n{PREAMBLE}\n{script}\nend()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                           env={**os.environ, **disk.environment()})
    assert ended.returncode == -9, ended.stderr
    return disk.cut_power(random.Random(seed))


def outcomes(disk, setup, script, path, seeds=10):
    """What the file holds after the same script and another power cut each time."""
    found = set()
    for seed in range(seeds):
        run(disk, setup)
        run(disk, script, seed)
        file = disk.folder / path
        found.add(file.read_bytes() if file.exists() else None)
        file.unlink(missing_ok=True)
    return found


ONE = "fd = make('one'); os.pwrite(fd, b'a' * 1024, 0); os.fsync(fd); sync_folder()"


# What was synced stands, also where more is written to the file later.
def test_synced_writes_stay(disk):
    run(disk, f"{ONE}; os.pwrite(fd, b'b' * 512, 0); os.fdatasync(fd); os.pwrite(fd, b'c', 1023)")
    data = (disk.folder / "one").read_bytes()
    assert data[:512] == b"b" * 512 and data[512:1023] == b"a" * 511


# Each sector is lost or not by itself, in whatever order the writes came.
def test_unsynced_writes_are_lost_sector_by_sector(disk):
    found = outcomes(disk, ONE, "fd = make('one'); os.pwrite(fd, b'b' * 1024, 0);"
                     "os.pwrite(fd, b'c' * 1024, 0)", "one", seeds=40)
    assert found == {first * 512 + second * 512 for first in (b"a", b"b", b"c")
                     for second in (b"a", b"b", b"c")}


# A file that grew has its old size again, or keeps the new one.
def test_unsynced_growth_is_lost(disk):
    found = outcomes(disk, ONE, "fd = make('one'); os.pwrite(fd, b'b' * 512, 1024)", "one")
    assert {len(data) for data in found} == {1024, 1536}


# So it is with one that was cut.
def test_unsynced_cut_is_lost(disk):
    found = outcomes(disk, ONE, "fd = make('one'); os.ftruncate(fd, 512)", "one")
    assert b"a" * 512 in found and b"a" * 1024 in found


# A new file has a name once its folder was synced, and not before.
def test_names_are_lost_without_a_sync_of_the_folder(disk):
    script = "fd = make('one'); os.pwrite(fd, b'a', 0); os.fsync(fd)"
    assert outcomes(disk, "", script, "one") == {None, b"a"}
    assert outcomes(disk, "", f"{script}; sync_folder()", "one") == {b"a"}


# A file put in another's place gives it back; one that was removed returns.
@pytest.mark.parametrize("last", [
    "os.rename(folder + '/two', folder + '/one')", "os.unlink(folder + '/one')"])
def test_what_was_replaced_or_removed_returns(disk, last):
    script = f"two = make('two'); os.write(two, b'new'); os.fsync(two); sync_folder(); {last}"
    after = b"new" if "rename" in last else None
    assert outcomes(disk, ONE, script, "one") == {b"a" * 1024, after}
    assert outcomes(disk, ONE, f"{script}; sync_folder()", "one") == {after}


# On a broken disk a sync fails, and what it should have made safe is not.
def test_broken_disk_refuses_to_sync(disk):
    disk.break_down()
    run(disk, """
fd = make('one')
try:
    os.fdatasync(fd)
except OSError as error:
    os.link(folder + '/one', folder + f'/{error.errno}')
""")
    assert (disk.folder / "5").exists()
