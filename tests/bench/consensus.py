"""consensus.py -- three members of Osiris beside three of etcd, fsync on, on one machine.

256-byte values are put over gRPC by h2load, with the same settings for both, at the leader. Each
round starts both trios afresh on empty folders and measures them one after the other; ratios are taken
round by round. What h2load counts, the key's version proves: it is how often the key was written. Then
Osiris once more without a client protocol: the leader proposes to itself (bench_consensus.c).
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import h2load  # these two stand beside this file
import protocols
from feed import rss_mb
from protocols import osiris

MEMBERS = 3
KEY = b"bench"
VALUE_BYTES = 256
SETTINGS = [(10, 100), (1, 256), (1, 64), (1, 1)]  # clients and streams of h2load
OUTSTANDING = [1, 64, 256, 1000]  # commands that the engine is given at a time


def field(number, data):
    """Of bytes, as protobuf has it."""
    size = len(data)
    length = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + data


def put_message():
    """PutRequest of etcd and PutValueRequest of Osiris: key 1, value 2, with gRPC's prefix."""
    message = field(1, KEY) + field(2, b"x" * VALUE_BYTES)
    return b"\0" + len(message).to_bytes(4, "big") + message


class Trio:
    """Three servers that elect a leader; clients go to that one."""

    def __init__(self, folder, build):
        self.folder = folder
        self.build = build
        self.ports = [osiris.free_port() for _ in range(MEMBERS)]
        self.processes = []

    def spawn(self, command):
        with open(self.folder / f"{len(self.processes)}.log", "w") as log:
            self.processes.append(subprocess.Popen(list(map(str, command)), stdout=log, stderr=log))

    def cpu_s(self):
        return [protocols.cpu_s(process) for process in self.processes]

    def load(self, leader, seconds, clients, streams):
        """Committed a second, latencies, and of each member the share of a core; leader first."""
        message = self.folder / "message"
        message.write_bytes(put_message())
        before, version = self.cpu_s(), self.version(leader)
        figures = h2load.load(f"http://127.0.0.1:{self.ports[leader]}{self.method}", self.folder,
                              seconds, clients, streams, message)
        shares = [(after - earlier) / (seconds + h2load.WARM_UP_S) * 100
                  for earlier, after in zip(before, self.cpu_s())]
        committed = self.version(leader) - version
        if committed < figures["count"]:
            sys.exit(f"{self.title}: {figures['count']} answers and {committed} writes")
        return {"rate": figures["rate"], "p50": figures["p50"] / 1000, "p99": figures["p99"] / 1000,
                "cpu": [shares[leader], *(share for number, share in enumerate(shares)
                                          if number != leader)]}

    def rss(self, leader):
        found = [rss_mb(process) for process in self.processes]
        return [found[leader], *(rss for number, rss in enumerate(found) if number != leader)]

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=30)


class Osiris(Trio):
    title = "Osiris"
    method = "/osiris.v1.Values/Put"

    def __init__(self, folder, build):
        super().__init__(folder, build)
        for number, port in enumerate(self.ports):
            how = ["--ledger", "join", "--peer", f"tcp://127.0.0.1:{self.ports[0]}"] if number else \
                ["--ledger", "found"]
            self.spawn([build / "osirisd", "--data", folder / str(number), "--name", f"m{number}",
                        "--listen", f"tcp://127.0.0.1:{port}", *how])
            osiris.wait_for(lambda: self.has_voters(number + 1), f"{number + 1} voters")

    def status(self, number):
        with osiris.Client(self.ports[number]) as client:
            return client.call("CLUSTER_STATUS")

    def has_voters(self, count):
        try:
            found = [self.status(number) for number in range(count)]
        except (OSError, ConnectionError):
            return False
        return all(status.get("leader") and sum(
            member["standing"] == "VOTER" for member in status["members"]) == count
            for status in found)

    def leader(self):
        def find():
            found = [number for number in range(MEMBERS) if self.status(number)["role"] == "leader"]
            return [found[0]] if found else None
        return osiris.wait_for(find, "a leader")[0]

    def version(self, leader):
        with osiris.Client(self.ports[leader]) as client:
            try:
                reply = client.call("KV_GET", key=base64.b64encode(KEY).decode())
            except osiris.Failure:
                return 0  # not there yet
            return int(reply["version"])


class Etcd(Trio):
    title = "etcd"
    method = "/etcdserverpb.KV/Put"

    def __init__(self, folder, build):
        super().__init__(folder, build)
        peers = [osiris.free_port() for _ in range(MEMBERS)]
        all_peers = ",".join(f"m{number}=http://127.0.0.1:{port}"
                             for number, port in enumerate(peers))
        for number, (port, peer) in enumerate(zip(self.ports, peers)):
            own, linked = (f"http://127.0.0.1:{each}" for each in (port, peer))
            self.spawn(["etcd", "--name", f"m{number}", "--data-dir", folder / str(number),
                        "--listen-client-urls", own, "--advertise-client-urls", own,
                        "--listen-peer-urls", linked, "--initial-advertise-peer-urls", linked,
                        "--initial-cluster", all_peers, "--initial-cluster-state", "new",
                        "--log-level", "error"])

    def ask(self, *words):
        endpoints = ",".join(f"http://127.0.0.1:{port}" for port in self.ports)
        run = subprocess.run(["etcdctl", "--endpoints", endpoints, "-w", "json", *words],
                             capture_output=True, text=True, timeout=60,
                             env={**os.environ, "ETCDCTL_API": "3"})
        return json.loads(run.stdout) if run.returncode == 0 else None

    def leader(self):
        def find():
            found = self.ask("endpoint", "status") or []
            led = [number for number, each in enumerate(found) if each["Status"]["leader"]
                   == each["Status"]["header"]["member_id"]]
            return led if len(found) == MEMBERS else None
        return osiris.wait_for(find, "a leader")[0]

    def version(self, leader):
        found = self.ask("get", KEY.decode())
        return found["kvs"][0]["version"] if found and "kvs" in found else 0


def measure(trio_class, options, base):
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    trio = trio_class(folder, options.build)
    figures = {}
    try:
        leader = trio.leader()
        for clients, streams in SETTINGS:
            for key, value in trio.load(leader, options.seconds, clients, streams).items():
                figures[key, clients, streams] = value
        figures["rss"] = trio.rss(leader)
    finally:
        trio.stop()
        shutil.rmtree(folder)
    return figures


def lead_by_bench(trio, options):
    """The first member starts again as bench_consensus, leads, and says what it measured."""
    trio.processes[0].terminate()
    trio.processes[0].wait(timeout=30)
    bench = subprocess.Popen(
        [options.build / "tests/bench/bench_consensus", ",".join(map(str, OUTSTANDING)),
         str(max(1, round(options.seconds))), str(VALUE_BYTES), "--data", trio.folder / "0",
         "--name", "m0", "--listen", f"tcp://127.0.0.1:{trio.ports[0]}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    trio.processes[0] = bench

    def transfer():  # fails where it is not there yet
        return subprocess.run([options.build / "osiris", "--data", trio.folder / "1", "cluster",
                               "transfer", "m0"], capture_output=True).returncode == 0
    osiris.wait_for(transfer, "m0 to lead")
    return bench.communicate(timeout=60 + 10 * options.seconds)[0]


def measure_engine(options, base):
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    trio = Osiris(folder, options.build)
    figures = {}
    try:
        for line in lead_by_bench(trio, options).splitlines():
            words = dict(word.split("=") for word in line.split())
            if words["failures"] != "0":
                sys.exit(f"the engine: {line}")
            figures[int(words["outstanding"])] = words
    finally:
        trio.stop()
        shutil.rmtree(folder)
    return figures


def print_engine(rounds):
    print("\nProposed inside the leader's process, without a client protocol\n\n"
          "| outstanding | committed a second | p50, ms | p99, ms | longest, ms |\n|-|-|-|-|-|")
    for outstanding in OUTSTANDING:
        found = [figures[outstanding] for figures in rounds]
        cells = [protocols.spread([float(words["committed_s"]) for words in found], "{:,.0f}")]
        cells += [protocols.spread([float(words[key]) / 1000 for words in found], "{:.2f}")
                  for key in ("p50_us", "p99_us", "max_us")]
        print(f"| {outstanding:,} | {' | '.join(cells)} |")


def rows():
    """Title, what to take of a round's figures, its form."""
    for clients, streams in SETTINGS:
        where = f"-c{clients} -m{streams}"
        for key, title, form in (("rate", "committed a second", "{:,.0f}"), ("p50", "p50, ms", "{:.2f}"),
                                 ("p99", "p99, ms", "{:.2f}")):
            yield f"{title}, {where}", lambda figures, at=(key, clients, streams): figures[at], form
        for number, who in enumerate(("leader", "follower", "other follower")):
            yield (f"CPU of the {who}, %, {where}",
                   lambda figures, at=("cpu", clients, streams), n=number: figures[at][n], "{:.0f}")
    for number, who in enumerate(("leader", "follower", "other follower")):
        yield f"RSS of the {who} after it, MB", lambda figures, n=number: figures["rss"][n], "{:.0f}"


def print_table(rounds, options):
    print(f"{VALUE_BYTES}-byte values over h2c at the leader, three members, fsync on, all on "
          f"{os.cpu_count()} cores; {options.rounds} rounds of {options.seconds:g} s a figure; median "
          "(min to max), ratios round by round\n")
    print("| | Osiris | etcd | Osiris / etcd |\n|-|-|-|-|")
    for title, take, form in rows():
        ours, theirs = ([take(figures) for figures in rounds[kind]] for kind in (Osiris, Etcd))
        ratios = [a / b for a, b in zip(ours, theirs) if b]
        cells = [protocols.spread(ours, form), protocols.spread(theirs, form),
                 protocols.spread(ratios, "{:.3f}")]
        print(f"| {title} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(prog="tools/bench consensus",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OSIRIS_BUILD"] = str(options.build)
    rounds = {Osiris: [], Etcd: []}
    engine = []
    with tempfile.TemporaryDirectory(dir=options.build) as base:
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds} ...", file=sys.stderr, flush=True)
            for kind, measured in rounds.items():
                measured.append(measure(kind, options, base))
            engine.append(measure_engine(options, base))
    print_table(rounds, options)
    print_engine(engine)


if __name__ == "__main__":
    main()
