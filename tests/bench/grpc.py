"""grpc.py -- Osiris's gRPC server beside gRPC C++'s, and nghttpd with a small static file.

All are driven by h2load with the same settings, one after the other in every round; each
server has one core, h2load the other. nghttpd is the bound: HTTP/2 alone, without gRPC.
`Get` asks an osirisd for 10,000 documents in turn, by a client on our own layer.
"""

import argparse
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import h2load  # these three stand beside this file
import protocols
from feed import free_port, wait_for_port
from protocols import osiris

TEXT_BYTES = 284  # 287 encoded
IDLE_CONNECTIONS = 1000
STREAM_MESSAGES = 10000  # that answer one Stream
CLIENTS, STREAMS = 10, 50
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def request_message():
    """One EchoMessage with its gRPC prefix."""
    message = b"\x0a" + bytes([TEXT_BYTES & 0x7F | 0x80, TEXT_BYTES >> 7]) + b"x" * TEXT_BYTES
    return b"\0" + len(message).to_bytes(4, "big") + message


class Server:
    def __init__(self, command, folder):
        self.port = free_port()
        self.folder = folder
        command = ["taskset", "-c", "0", *[str(part).replace("PORT", str(self.port))
                                          for part in command]]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def rss_kb(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1))

    def load(self, path, seconds, clients, streams, is_post=True):
        """Requests a second, CPU a request in us, latencies in us."""
        before = self.cpu_s()
        figures = h2load.load(f"http://127.0.0.1:{self.port}{path}", self.folder, seconds, clients,
                              streams, self.folder / "message" if is_post else None, cores="1")
        # CPU of the warm-up belongs to requests that are in the log as well, or nearly so.
        share = (self.cpu_s() - before) / (seconds + h2load.WARM_UP_S) / figures["rate"]
        return {**figures, "cpu_us": share * 1e6}

    def idle_kb(self):
        """RSS for each of many connections that have greeted and then say nothing."""
        before = self.rss_kb()
        connections = [socket.create_connection(("127.0.0.1", self.port))
                       for _ in range(IDLE_CONNECTIONS)]
        for connection in connections:
            connection.sendall(PREFACE)
        time.sleep(1)
        after = self.rss_kb()
        for connection in connections:
            connection.close()
        return (after - before) / IDLE_CONNECTIONS

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def measure(name, command, folder, seconds):
    figures = {}
    is_echo = name != "nghttpd"
    path = "/osiris.bench.Echo/Call" if is_echo else "/file"
    server = Server(command, folder)
    try:
        for clients, streams in (CLIENTS, STREAMS), (1, 1):
            for key, value in server.load(path, seconds, clients, streams, is_echo).items():
                figures[f"{key}_{clients}"] = value
        if is_echo:
            calls = server.load("/osiris.bench.Echo/Stream", seconds, 1, 10)["rate"]
            figures["messages"] = calls * STREAM_MESSAGES
        figures["rss_mb"] = server.rss_kb() / 1024
        figures["idle_kb"] = server.idle_kb()
    finally:
        server.stop()
    return figures


def measure_get(build, folder, seconds):
    """Knowledge.Get: calls a second and CPU a call."""
    daemon = osiris.Daemon(folder, "get")
    try:
        protocols.start_daemon(daemon)
        figures = protocols.run(build, "grpc", seconds, CLIENTS, STREAMS, daemon.process,
                                daemon.port)
    finally:
        daemon.stop()
    return {"get_rate": figures["calls_s"], "get_cpu_us": figures["cpu_us"]}


# Title, figure, its form, and of the others the figure to compare with.
ROWS = [
    ("unary calls a second, -c10 -m50", "rate_10", "{:,.0f}", "rate_10"),
    ("server CPU a call, us", "cpu_us_10", "{:.2f}", "cpu_us_10"),
    ("p50 at -c10 -m50, us", "p50_10", "{:,.0f}", "p50_10"),
    ("p99 at -c10 -m50, us", "p99_10", "{:,.0f}", "p99_10"),
    ("p50 at -c1 -m1, us", "p50_1", "{:,.0f}", "p50_1"),
    ("p99 at -c1 -m1, us", "p99_1", "{:,.0f}", "p99_1"),
    ("streamed messages a second", "messages", "{:,.0f}", "messages"),
    ("RSS loaded, MB", "rss_mb", "{:.1f}", "rss_mb"),
    ("RSS an idle connection, kB", "idle_kb", "{:.1f}", "idle_kb"),
    ("`Knowledge.Get` a second, beside their echo", "get_rate", "{:,.0f}", "rate_10"),
    ("server CPU a `Get`, us, beside their echo", "get_cpu_us", "{:.2f}", "cpu_us_10"),
]


def spread(values, form):
    if not values:
        return "-"
    middle = form.format(statistics.median(values))
    return f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def main():
    parser = argparse.ArgumentParser(prog="tools/bench grpc", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OSIRIS_BUILD"] = str(options.build)
    programs = options.build / "tests/bench"
    rounds = {"osiris": [], "grpc_cpp": [], "nghttpd": []}
    with tempfile.TemporaryDirectory(dir=options.build) as base:
        folder = pathlib.Path(base)
        (folder / "message").write_bytes(request_message())
        (folder / "file").write_bytes(b"x" * len(request_message()))
        commands = {
            "osiris": [programs / "echo_server", "PORT"],
            "grpc_cpp": [programs / "echo_server_cpp", "PORT"],
            "nghttpd": ["nghttpd", "--no-tls", "-d", folder, "PORT"],
        }
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds} ...", file=sys.stderr, flush=True)
            for name, command in commands.items():
                rounds[name].append(measure(name, command, folder, options.seconds))
            with tempfile.TemporaryDirectory(dir=folder) as data:
                rounds["osiris"][-1].update(
                    measure_get(options.build, pathlib.Path(data), options.seconds))

    print(f"287-byte messages over h2c, a core for the server; {options.rounds} rounds of "
          f"{options.seconds:g} s a figure; median (min to max), ratios round by round\n")
    print("| | Osiris | gRPC C++ | nghttpd, static file | Osiris / gRPC C++ | Osiris / nghttpd |")
    print("|-|-|-|-|-|-|")
    for title, key, form, other_key in ROWS:
        cells = [spread([figures[key] for figures in rounds[name] if key in figures], form)
                 for name in rounds]
        for other in ("grpc_cpp", "nghttpd"):
            ratios = [ours[key] / theirs[other_key]
                      for ours, theirs in zip(rounds["osiris"], rounds[other])
                      if theirs.get(other_key)]
            cells.append(spread(ratios, "{:.2f}"))
        print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
