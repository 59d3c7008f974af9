"""A bus of the project's (tests/contract/bus_probe.c), driven by lines."""
import subprocess
import threading

import osiris


class Probe:
    """Opens a bus at a URL; ends in good order, and without a sanitizer's complaint."""

    def __init__(self, role, url, name="probe", keys=()):
        self.lines = []
        self.seen = 0  # of these, by `expect`
        self.process = subprocess.Popen(
            [osiris.program("tests/contract/bus_probe"), role, url, name, *keys], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.close()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def expect(self, start, timeout_s=osiris.WAIT_S):
        """The next line that begins so; those before it are passed over."""
        def find():
            for at in range(self.seen, len(self.lines)):
                if self.lines[at].startswith(start):
                    self.seen = at + 1
                    return self.lines[at]
            return None
        try:
            return osiris.wait_for(find, f"'{start}'", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; there is {self.lines[self.seen:][-20:]}") from None

    def count(self, start):
        """How many lines begin so, of all."""
        return sum(line.startswith(start) for line in self.lines)

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            line, = [line for line in status if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(osiris.WAIT_S)
        self._done()
        assert status == 0, self.lines
        assert self.lines[-1] == "closed"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._done()

    def _done(self):
        self.reader.join()
        self.process.stdout.close()
        self.process = None


def open_up(role, url, name="probe", keys=()):
    """A probe whose bus is up."""
    probe = Probe(role, url, name, keys)
    try:
        probe.expect("up")
    except AssertionError:
        probe.kill()
        raise
    return probe


def exchange(listener, dialler, text):
    """A message there and its answer back; the dialler's address."""
    dialler.tell(f"send - {text}")
    address = listener.expect("message").split()[1]
    listener.tell(f"send {address} re:{text}")
    assert dialler.expect("message").endswith(f" re:{text}")
    return address
