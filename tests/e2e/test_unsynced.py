"""The power cuts, bad disks and odd clocks that other tests rely on: power cuts take what was not
synced, and nothing else."""
import os
import random
import subprocess
import sys
import time

import pytest

import unsynced
import wall_clock

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


WRITE_AND_SYNC = """
def noting(step, name):
    try:
        step()
    except OSError as error:
        make(f'{name}-{error.errno}')
for name in 'one', 'two':
    fd = make(name)
    os.pwrite(fd, b'a', 0)
    noting(lambda: os.pwrite(fd, b'b', 0), f'write-{name}')
    noting(lambda: os.fdatasync(fd), f'sync-{name}')
sync_folder()
"""


# On a broken disk a sync fails, and what it should have made safe is not; files that are not meant are
# as ever.
@pytest.mark.parametrize("whose, found", [
    ("", {"sync-one-5", "sync-two-5"}), ("/data/two", {"sync-two-5"})])
def test_broken_disk_refuses_to_sync(disk, whose, found):
    disk.break_down(whose)
    run(disk, WRITE_AND_SYNC)
    assert {path.name for path in disk.folder.glob("*-*")} == found
    run(disk, "fd = make('three'); os.fdatasync(fd)")  # it was mended


# So it is with writes over what is there.
def test_broken_disk_refuses_writes(disk):
    disk.refuse_writes("/data/two")
    run(disk, WRITE_AND_SYNC)
    assert {path.name for path in disk.folder.glob("*-*")} == {"write-two-5"}
    assert (disk.folder / "one").read_bytes() == b"b"


# A program's wall clock jumps, and its monotonic clock does not.
def test_wall_clock_jumps(folder):
    clock = wall_clock.WallClock(folder / "clock")
    script = "import time; [print(time.time(), time.monotonic()) for _ in iter(input, 'end')]"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, bufsize=1,
                          env={**os.environ, **clock.environment()}) as program:
        told = []
        for hours in (0, 1, -1, 0):
            clock.jump(3600 * hours)
            program.stdin.write("now\n")
            wall, monotonic = map(float, program.stdout.readline().split())
            told.append(round((wall - time.time()) / 3600))
            assert abs(monotonic - time.monotonic()) < 1800
        program.stdin.write("end\n")
    assert told == [0, 1, -1, 0]
