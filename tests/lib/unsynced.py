"""Power cuts: what a program wrote and did not sync is taken back, once it has been killed.

    disk = unsynced.Disk(folder / "one", folder / "journal")
    process = subprocess.Popen(command, env={**os.environ, **disk.environment()})
    ...
    process.kill()
    process.wait()
    disk.cut_power(random.Random(seed))

Each sector of a file comes back as it was after one of the writes since the last sync, or before all
of them; the file's size likewise; of the changes of names the last ones are undone, however many.
tests/lib/unsynced.c keeps the journals."""
import collections
import os
import pathlib
import struct

import osiris

SECTOR_BYTES = 512
AILMENTS = ("broken", "unwritable", "slow")
_EXTENT = struct.Struct("=QQ")
_RECORD = struct.Struct("=QQQQ")

Change = collections.namedtuple("Change", "offset written size_before saved")


class Disk:
    def __init__(self, folder, journal):
        """`journal`: elsewhere, where there is always room."""
        self.folder = pathlib.Path(folder)
        self.journal = pathlib.Path(journal)
        self.kept = self.folder.with_name(f"{self.folder.name}.kept")
        for path in (self.journal, self.kept):
            path.mkdir(mode=0o700)

    def environment(self):
        """What makes a program keep the journals."""
        return {"LD_PRELOAD": osiris.program("tests/lib/unsynced.so"),
                "OSIRIS_UNSYNCED": str(self.folder), "OSIRIS_UNSYNCED_JOURNAL": str(self.journal)}

    def fall_ill(self, ailment, whose):
        """At once: a file that is still empty would mean all files."""
        written = self.journal / f"{ailment}.tmp"
        written.write_text(whose)
        written.rename(self.journal / ailment)

    def break_down(self, whose=""):
        """From now on no sync of a file with that in its path succeeds, until the power was cut."""
        self.fall_ill("broken", whose)

    def refuse_writes(self, whose=""):
        """So it is with writes over what is there, as of sectors that have gone bad."""
        self.fall_ill("unwritable", whose)

    def slow_down(self, whose=""):
        """Each sync takes a second longer, until `mend`."""
        self.fall_ill("slow", whose)

    def mend(self):
        for ailment in AILMENTS:
            (self.journal / ailment).unlink(missing_ok=True)

    def settle(self):
        """All that is there is synced, and all names. Only while no program uses it."""
        for path in [*self.journal.iterdir(), *self.kept.iterdir()]:
            path.unlink()

    def cut_power(self, chance):
        """Returns how many writes were lost, at least in part, and how many changes of names."""
        lost = self._undo_writes(chance), self._undo_names(chance)
        self.settle()
        return lost

    def _undo_writes(self, chance):
        lost = 0
        for path in [*self.folder.rglob("*"), *self.kept.iterdir()]:
            if path.is_file() and not path.is_symlink():
                journal = self.journal / str(path.stat().st_ino)
                if journal.exists():
                    lost += _undo_file(path, _changes(journal.read_bytes()), chance)
        return lost

    def _undo_names(self, chance):
        path = self.journal / "names"
        pending = []
        for line in path.read_text().splitlines() if path.exists() else []:
            verb, *names = line.split(" ")
            if verb == "synced":
                pending = [step for step in pending
                           if os.path.dirname(_name_of(step)) != names[0]]
            else:
                pending.append((verb, *names))
        undone = pending[chance.randint(0, len(pending)):]
        for step in reversed(undone):
            self._undo_name(*step)
        return len(undone)

    def _undo_name(self, verb, name, *others):
        """A step that was noted may not have been done: the kill came in between."""
        if verb == "create":
            pathlib.Path(name).unlink(missing_ok=True)
            return
        lost, kept = others if verb == "move" else (name, others[0])
        if verb == "move" and os.path.exists(lost) and not os.path.exists(name):
            os.rename(lost, name)
        if (self.kept / kept).exists():
            os.rename(self.kept / kept, lost)


def _name_of(step):
    """The name whose folder has to be synced for it."""
    return step[2] if step[0] == "move" else step[1]


def _changes(journal):
    """Those since the last sync, in order."""
    at, end = _EXTENT.unpack_from(journal)
    changes = []
    while at < end:
        offset, written, size_before, saved = _RECORD.unpack_from(journal, at)
        at += _RECORD.size
        changes.append(Change(offset, written, size_before, journal[at:at + saved]))
        at += saved
    return changes


def _undo_file(path, changes, chance):
    if not changes:
        return 0
    kept = {}  # how many of the changes each sector has seen
    size = chance.choice([path.stat().st_size, *(change.size_before for change in changes)])
    lost = 0
    with open(path, "r+b") as file:
        for number, change in reversed(list(enumerate(changes))):
            pieces = list(_sectors(change, kept, number, len(changes), chance))
            lost += bool(pieces)
            for offset, data in pieces:
                file.seek(offset)
                file.write(data)
        file.truncate(size)
    return lost


def _sectors(change, kept, number, count, chance):
    """What stood in those sectors that this change did not reach."""
    end = change.offset + len(change.saved)
    for sector in range(change.offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)):
        if sector not in kept:
            kept[sector] = chance.choice([0, count, chance.randint(0, count)])
        if number >= kept[sector]:
            begin = max(change.offset, sector * SECTOR_BYTES)
            until = min(end, (sector + 1) * SECTOR_BYTES)
            yield begin, change.saved[begin - change.offset:until - change.offset]
