"""trust.py -- what TLS and permission cost: the same instances, linked and called in plaintext and
over mutual TLS, one after the other in every round.

Replication is a leader and a follower, fsync on both sides. Calls are `Knowledge.Get`, driven by
h2load over one core, the server on the other. Handshakes are full ones with certificates on both
sides; nothing is ever resumed.
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

import feed
import protocols  # these stand beside this file
from protocols import osiris

import authority  # in tests/lib, as osiris is

CLIENTS, STREAMS = 10, 50
HANDSHAKES = 500
TARGETS = {"replication": "0.85", "calls": "0.85", "handshake": "2"}


# ---- replication ----


class OverTcp(feed.Osiris):
    title = "plaintext"


class OverTls(feed.Osiris):
    """The bench writes and reads in plaintext on both; what lies between the two is TLS."""
    title = "mutual TLS"

    def __init__(self, folder, build):
        feed.Pair.__init__(self, folder)
        self.build = build
        self.urls = [f"tcp://127.0.0.1:{port}" for port in self.ports]
        link = f"tls://127.0.0.1:{osiris.free_port()}?auth=certificate"
        ca = authority.Authority()
        for i, url in enumerate(self.urls):
            authority.Member(folder / str(i), ca)
            extra = ["--peer", link.split("?")[0]] if i else ["--listen", link]
            self.spawn([build / "osirisd", "--data", folder / str(i), "--listen", url, *extra])
            feed.wait_for_port(self.ports[i])
        time.sleep(1)


def measure_replication(options, base):
    """Visible items a second, by kind."""
    return {pair.title: feed.measure(pair, options.build, options.seconds, [1024],
                                     base)["visible_s_1024"]
            for pair in (OverTcp, OverTls)}


# ---- calls and handshakes ----


def call_message():
    """A GetRequest with its gRPC prefix."""
    name = protocols.document_id(1).encode()
    message = b"\x0a" + bytes([len(name)]) + name
    return b"\0" + len(message).to_bytes(4, "big") + message


def load(folder, url, headers, seconds):
    """Calls a second."""
    (folder / "message").write_bytes(call_message())
    command = ["taskset", "-c", str(protocols.GENERATOR_CORE), "h2load",
               "-D", f"{round(seconds * 1000)}ms", "--warm-up-time", "500ms", "-c", CLIENTS,
               "-m", STREAMS, "-w", 30, "-W", 30, "-d", folder / "message",
               "-H", "content-type: application/grpc", "-H", "te: trailers"]
    for header in headers:
        command += ["-H", header]
    run = subprocess.run([*map(str, command), f"{url}/osiris.v1.Knowledge/Get"],
                         capture_output=True, text=True, timeout=120)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", run.stdout)
    failed = re.search(r"(\d+) failed", run.stdout)
    if run.returncode != 0 or rate is None or int(failed.group(1)) > 0:
        sys.exit(f"h2load: {run.stdout}{run.stderr}")
    return float(rate.group(1))


def handshake_ms(process, port, ca):
    """Of the server's CPU for each."""
    context = authority.client_context(ca, "user:bench")

    def shake_hands(count):
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", port)) as plain:
                with context.wrap_socket(plain) as connection:
                    connection.unwrap()  # not before the server is through with it, too

    shake_hands(20)
    before = protocols.cpu_s(process)
    shake_hands(HANDSHAKES)
    return (protocols.cpu_s(process) - before) / HANDSHAKES * 1000


def measure_calls(options, base):
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    ca = authority.Authority()
    authority.Member(folder / "calls", ca)
    ports = {name: osiris.free_port() for name in ("token", "certificate")}
    daemon = osiris.Daemon(folder, "calls", listen=[
        f"tls://127.0.0.1:{port}?auth={name}" for name, port in ports.items()])
    try:
        protocols.start_daemon(daemon)
        with osiris.Client(daemon.socket_path) as client:
            token = client.call("TOKEN_CREATE", name="bench", roles=["reader"])["token"]
        return {
            "plaintext": load(folder, f"http://127.0.0.1:{daemon.port}", [], options.seconds),
            "mutual TLS": load(folder, f"https://127.0.0.1:{ports['token']}",
                               [f"authorization: Bearer {token}"], options.seconds),
            "handshake_ms": handshake_ms(daemon.process, ports["certificate"], ca),
        }
    finally:
        daemon.stop()


# ---- the table ----


def print_row(title, plain, secure, target):
    ratios = [theirs / ours for ours, theirs in zip(plain, secure)]
    cells = [feed.spread(plain, "{:,.0f}"), feed.spread(secure, "{:,.0f}"),
             feed.spread(ratios, "{:.2f}"), f"at least {target}"]
    print(f"| {title} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(prog="tools/bench trust", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OSIRIS_BUILD"] = str(options.build)
    replication, calls = [], []
    with tempfile.TemporaryDirectory(dir=options.build) as base:
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds} ...", file=sys.stderr, flush=True)
            replication.append(measure_replication(options, base))
            calls.append(measure_calls(options, base))

    print(f"{options.rounds} rounds of {options.seconds:g} s a figure; median (min to max), ratio "
          "TLS / plaintext round by round\n")
    print("| | plaintext | TLS | ratio | wanted |\n|-|-|-|-|-|")
    print_row("replicated items a second, 256 bytes each, 1,024 outstanding",
              *([round[kind] for round in replication] for kind in ("plaintext", "mutual TLS")),
              TARGETS["replication"])
    print_row(f"unary calls a second, -c{CLIENTS} -m{STREAMS}",
              *([round[kind] for round in calls] for kind in ("plaintext", "mutual TLS")),
              TARGETS["calls"])
    handshakes = feed.spread([round["handshake_ms"] for round in calls], "{:.2f}")
    print(f"| server CPU of a full mutual handshake, ms | - | {handshakes} | - "
          f"| below {TARGETS['handshake']} |")
    print("\nAn access check with 1,000 rules (below 200 ns wanted):\n")
    print(subprocess.run([options.build / "tests/bench/bench_policy"], capture_output=True,
                         text=True, check=True).stdout)


if __name__ == "__main__":
    main()
