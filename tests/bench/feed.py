"""feed.py -- Osiris leader and follower beside Redis primary and replica, fsync on both sides.

Each round starts both pairs afresh on empty folders and measures them one after the other;
the ratio is taken round by round, so that it holds when the machine's speed drifts.
"""

import argparse
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ITEM = "256-byte items, fsync on both sides"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nobody listens at port {port}")


def rss_mb(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) / 1024


class Pair:
    """Two servers, the second following the first."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = [free_port(), free_port()]
        self.processes = []

    def spawn(self, command):
        log = open(self.folder / f"{len(self.processes)}.log", "w")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def run(self, *arguments):
        run = subprocess.run(self.command(arguments), capture_output=True, text=True, timeout=300)
        if run.returncode != 0:
            sys.exit(f"{self.name}: {run.stderr.strip()}")
        return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", run.stdout)}

    def rss(self):
        return [rss_mb(process) for process in self.processes]

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=30)


class Osiris(Pair):
    name = "osiris"
    title = "Osiris"
    link = "tcp"

    def __init__(self, folder, build):
        super().__init__(folder)
        self.build = build
        self.urls = [f"tcp://127.0.0.1:{port}" for port in self.ports]
        for i, url in enumerate(self.urls):
            peer = ["--peer", self.urls[0].replace("tcp", self.link)] if i else []
            self.spawn([build / "osirisd", "--data", folder / str(i), "--listen", url, *peer])
            wait_for_port(self.ports[i])
        time.sleep(1)

    def command(self, arguments):
        return [self.build / "tests/bench/bench_osiris", *arguments, *self.urls]


class Redis(Pair):
    name = "redis"
    title = "Redis"

    def __init__(self, folder, build):
        super().__init__(folder)
        self.build = build
        for i, port in enumerate(self.ports):
            (folder / str(i)).mkdir()
            follow = ["--replicaof", "127.0.0.1", str(self.ports[0])] if i else []
            self.spawn(["redis-server", "--port", str(port), "--dir", folder / str(i), "--save", "",
                        "--appendonly", "yes", "--appendfsync", "always",
                        "--auto-aof-rewrite-percentage", "0", "--repl-backlog-size", "1gb",
                        "--repl-diskless-sync-delay", "0",
                        "--client-output-buffer-limit", "replica 256mb 64mb 60", *follow])
            wait_for_port(port)
        time.sleep(2)

    def command(self, arguments):
        return [self.build / "tests/bench/bench_redis", *arguments, *map(str, self.ports)]


def measure(pair_class, build, seconds, windows, base):
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    pair = pair_class(folder, build)
    figures = {}
    try:
        latency = pair.run("latency", str(seconds))
        figures["p50_us"] = latency["p50_us"]
        figures["p99_us"] = latency["p99_us"]
        for window in windows:
            rate = pair.run("rate", str(seconds), str(window))
            figures[f"visible_s_{window}"] = rate["visible_items_s"]
            figures["items"] = figures.get("items", 0) + rate["items"]
        leader, follower = pair.rss()
        figures["rss_leader_mb"] = leader
        figures["rss_follower_mb"] = follower
    finally:
        pair.stop()
        shutil.rmtree(folder)
    return figures


def spread(values, form):
    middle = form.format(statistics.median(values))
    return f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


WINDOWS = [256, 1024]
TABLE = [*((f"visible at the follower, {window} outstanding, items/s", f"visible_s_{window}",
            "{:,.0f}") for window in WINDOWS),
         ("until visible, one outstanding, p50, us", "p50_us", "{:,.0f}"),
         ("until visible, one outstanding, p99, us", "p99_us", "{:,.0f}"),
         ("RSS of the leader after it, MB", "rss_leader_mb", "{:,.0f}"),
         ("RSS of the follower after it, MB", "rss_follower_mb", "{:,.0f}"),
         ("items written, for the RSS", "items", "{:,.0f}")]


def compare(name, description, ours, theirs):
    """Two kinds of pairs, in turn, and the table."""
    parser = argparse.ArgumentParser(prog=f"tools/bench {name}", description=description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = {ours: [], theirs: []}
    with tempfile.TemporaryDirectory(dir=options.build) as base:
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds} ...", file=sys.stderr, flush=True)
            for pair_class in rows:
                rows[pair_class].append(
                    measure(pair_class, options.build, options.seconds, WINDOWS, base))

    print(f"{ITEM}; {options.rounds} rounds of {options.seconds:g} s a figure; median (min to max),"
          f" ratio {ours.title} / {theirs.title} round by round\n")
    print(f"| | {ours.title} | {theirs.title} | ratio |\n|-|-|-|-|")
    for title, key, form in TABLE:
        values = [[row[key] for row in rows[pair_class]] for pair_class in rows]
        ratios = [a / b for a, b in zip(*values)]
        cells = [spread(values[0], form), spread(values[1], form), spread(ratios, "{:.2f}")]
        print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    compare("feed", __doc__.split("\n\n")[0], Osiris, Redis)
