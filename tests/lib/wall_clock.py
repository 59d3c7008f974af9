"""A program's wall clock, which jumps while it runs; its monotonic clock goes on as ever.

    clock = wall_clock.WallClock(folder / "clock")
    process = subprocess.Popen(command, env={**os.environ, **clock.environment()})
    clock.jump(3600)

tests/lib/wall_clock.c moves it, in this program alone."""
import pathlib
import struct

import osiris


class WallClock:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.jump(0)

    def environment(self):
        return {"LD_PRELOAD": osiris.program("tests/lib/wall_clock.so"),
                "OSIRIS_WALL_CLOCK": str(self.path)}

    def jump(self, seconds):
        """To so many seconds ahead of the machine's, or behind it."""
        with open(self.path, "r+b" if self.path.exists() else "w+b", buffering=0) as file:
            file.write(struct.pack("=q", seconds))
