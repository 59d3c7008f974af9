"""Seed programs in tests: started again whenever they end, killed when a test wants it."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
# The two programs that began it all; they are no part of this repository.
ORIGINALS = HERE.parent.parent.parent / "shared" / "seed"


def read_array(path):
    """What a seed program has saved; None while it is being written, or was killed in the middle."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (FileNotFoundError, ValueError):
        return None


class Restarted:
    """A program that is started again whenever it ends, as an owner with a shell loop would."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.log_path = pathlib.Path(folder) / "receiver.log"
        self.lock = threading.Lock()
        self.process = None
        self.stopping = False
        self.starts = 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with self.lock:
            self.stopping = True
            if self.process is not None:
                self.process.kill()
        self.thread.join()

    def run(self):
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        while True:
            with self.lock:
                if self.stopping:
                    return
                with open(self.log_path, "wb") as log:
                    self.process = subprocess.Popen(self.arguments, cwd=self.folder, stdout=log,
                                                    stderr=log, env=environment)
                self.starts += 1
            self.process.wait()
            time.sleep(0.005)

    def kill(self):
        """At any moment, whatever it does."""
        with self.lock:
            if self.process is not None:
                self.process.kill()

    def kill_if(self, is_right):
        """Holds it still, and kills it if what it has printed so far makes the moment right."""
        with self.lock:
            if self.process is None or self.process.poll() is not None:
                return False
            self.process.send_signal(signal.SIGSTOP)
            if is_right(self.log_path.read_text(errors="replace")):
                self.process.kill()
                return True
            self.process.send_signal(signal.SIGCONT)
            return False


def receiver(folder, port, atomic=False):
    arguments = [sys.executable, HERE / "seed_receiver.py", "--port", str(port), "--file", "kb_b.json"]
    return Restarted(arguments + (["--atomic"] if atomic else []), folder)


def original_receiver(folder):
    return Restarted([sys.executable, ORIGINALS / "appB.py"], folder)


class Killer:
    """Calls `kill` at random moments until the block ends."""

    def __init__(self, kill, chance, least_s, most_s):
        self.kill = kill
        self.chance = chance
        self.least_s = least_s
        self.most_s = most_s
        self.kills = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def run(self):
        while not self.ended.wait(self.chance.uniform(self.least_s, self.most_s)):
            if self.kill() is not False:
                self.kills += 1


def chance(seed):
    print(f"OSIRIS_SEED={seed}")
    return random.Random(seed)
