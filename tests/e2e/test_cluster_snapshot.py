"""What writers feel while a snapshot of a large state is made, and while it is sent to a newcomer.

OSIRIS_STATE_MB sets the size of the state (80), OSIRIS_STALL_MS the longest that a write may take;
without that it is only told."""
import multiprocessing
import os
import time

import cluster as clusters
import osiris

STATE_MB = int(os.environ.get("OSIRIS_STATE_MB", 80))
STALL_MS = os.environ.get("OSIRIS_STALL_MS")
VALUE_KB = 64
MB_A_SECOND = 20  # written beside what is measured
KEYS = STATE_MB * 1024 // VALUE_KB
KEYS_A_LOOK = 97  # one of so many is read at last


def value_of(number):
    return f"{number:08}" * (VALUE_KB * 1024 // 8)


def write_state(member, first, count, pause_s=0.0):
    """Values of their own content each, at most 16 under way."""
    with member.client() as client:
        for number in range(first, first + count):
            client.ask("KV_PUT", key=clusters.encode(f"state{number % KEYS}"),
                       value=clusters.encode(value_of(number)))
            if number - first >= 16:
                assert client.receive()["type"] == "KV_PUT_REPLY"
            time.sleep(pause_s)
        for _ in range(min(count, 16)):
            assert client.receive()["type"] == "KV_PUT_REPLY"


def probe(path, ends, results):
    """Small writes, one after the other, in a process of its own: how long they took, in ms."""
    took_ms = []
    with osiris.Client(path) as client:
        while not ends.is_set():
            began = time.monotonic()
            client.call("KV_PUT", key=clusters.encode("probe"), value=clusters.encode("x"))
            took_ms.append((time.monotonic() - began) * 1000)
    results.put(took_ms)


class Probe:
    """`with Probe("what goes on meanwhile", member):`, and then its `longest_ms`."""

    def __init__(self, title, member):
        self.title = title
        self.ends = multiprocessing.Event()
        self.results = multiprocessing.Queue()
        self.process = multiprocessing.Process(
            target=probe, args=(member.socket_path, self.ends, self.results), daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        took_ms = sorted(self.results.get(timeout=osiris.WAIT_S))
        self.process.join()
        self.longest_ms = took_ms[-1]
        print(f"{self.title}: {len(took_ms)} writes, p50 {took_ms[len(took_ms) // 2]:.2f} ms, "
              f"p99 {took_ms[len(took_ms) * 99 // 100]:.2f} ms, longest {self.longest_ms:.1f} ms")


def settled_snapshot(member):
    """The index of the newest, once none is being made."""
    before = None
    while (now := member.status().snapshot) != before:
        before = now
        time.sleep(3)
    return now


def assert_state(member, written):
    """What the last pass has left, of keys here and there."""
    for key in range(0, KEYS, KEYS_A_LOOK):
        last = max(range(key, max(written, key + 1), KEYS))
        assert member.get(f"state{key}", local=True) == value_of(last), key


# A snapshot is made in the background, and sent piece by piece: writers do not wait for either, and
# whoever got it has the state.
def test_snapshots_stall_nobody(folder):
    with clusters.Cluster(folder) as cluster:
        cluster.grow(3)
        leader = cluster.leader()
        write_state(leader, 0, KEYS)
        before = settled_snapshot(leader)
        pause_s = VALUE_KB / 1024 / MB_A_SECOND
        with Probe(f"{MB_A_SECOND} MB/s of values beside", leader):
            write_state(leader, 0, 5 * 16 * MB_A_SECOND // 10, pause_s)
        written = 0
        with Probe(f"the same while a snapshot of {STATE_MB} MB is made", leader) as making:
            while leader.status().snapshot == before:
                write_state(leader, written, 16 * MB_A_SECOND, pause_s)
                written += 16 * MB_A_SECOND
                assert written < 3 * 16 * max(STATE_MB, 100), "no snapshot was made"
        with Probe("while it is sent to a newcomer", leader) as sending:
            newcomer = cluster.join()
            cluster.wait_for_voters(timeout_s=300)
        assert newcomer.status().snapshot > before
        cluster.wait_until_caught_up(newcomer)
        assert_state(newcomer, written)
        if STALL_MS is not None:
            assert cluster.leader() is leader
            assert max(making.longest_ms, sending.longest_ms) < float(STALL_MS)
