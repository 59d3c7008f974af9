"""trust.py -- what TLS and permission cost: the same instances, linked and called in plaintext and
over mutual TLS, one after the other in every round.

Replication is a leader and a follower, fsync on both sides; beside it, what chain and signatures
take of the CPU of both: each entry is hashed on either side, each batch signed on one and verified
on the other, by a thread of its own. Calls are `Knowledge.Get` with a bearer token, in plaintext
and in TLS alike, driven by h2load over one core, the server on the other. Handshakes are full ones
with certificates on both sides; nothing is ever resumed.
"""

import argparse
import os
import pathlib
import re
import shutil
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
WINDOW = 1024  # items outstanding
TARGETS = {"replication": "0.85", "calls": "0.85", "handshake": "2", "integrity": "10 %"}


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


def thread_cpu_s(process):
    """By the threads' names, and of all."""
    seconds = {"all": protocols.cpu_s(process)}
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        ticks = sum(map(int, fields.split()[11:13]))
        seconds[name] = seconds.get(name, 0) + ticks / os.sysconf("SC_CLK_TCK")
    return seconds


def measure_pair(pair_class, options, base):
    """Visible items a second, items, and for leader and follower the CPU of all and of signatures.
    """
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    pair = pair_class(folder, options.build)
    try:
        before = [thread_cpu_s(process) for process in pair.processes]
        figures = pair.run("rate", str(options.seconds), str(WINDOW))
        after = [thread_cpu_s(process) for process in pair.processes]
    finally:
        pair.stop()
        shutil.rmtree(folder)
    cpu_s = [{name: late[name] - early[name] for name in ("all", "keys")}
             for early, late in zip(before, after)]
    return {"visible_s": figures["visible_items_s"], "items": figures["items"], "cpu_s": cpu_s}


def measure_replication(options, base):
    return {pair.title: measure_pair(pair, options, base) for pair in (OverTcp, OverTls)}


def integrity(figures, chain_ns):
    """Percent of CPU: of the leader's what making chain, signatures and both takes, of the
    follower's what verifying them takes, and of both sides' that again."""
    chain_s = figures["items"] * chain_ns / 1e9
    leader, follower = figures["cpu_s"]
    made, verified = ((chain_s, cpu_s["keys"], chain_s + cpu_s["keys"])
                      for cpu_s in (leader, follower))
    columns = (made, leader["all"]), (verified, follower["all"]), (
        verified, leader["all"] + follower["all"])
    return [[100 * part / all_s for part in parts] for parts, all_s in columns]


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
        bearer = [f"authorization: Bearer {token}"]
        plain = f"http://127.0.0.1:{daemon.port}"
        return {
            "no token": load(folder, plain, [], options.seconds),
            "plaintext": load(folder, plain, bearer, options.seconds),
            "TLS": load(folder, f"https://127.0.0.1:{ports['token']}", bearer, options.seconds),
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


def bench(build, name):
    return subprocess.run([build / "tests/bench" / name], capture_output=True, text=True,
                          check=True).stdout


def print_integrity(rounds, chain_ns):
    """`rounds`: of replication over TLS."""
    shares = [integrity(figures, chain_ns) for figures in rounds]
    print("\nPercent of the CPU that replication over mutual TLS takes, 256 bytes an item. Chain: "
          f"{chain_ns:.0f} ns an entry, on each side; signatures: the thread that makes and "
          "verifies them.\n")
    print("| | made, of the leader's | verified, of the follower's | verified, of both | wanted |\n"
          "|-|-|-|-|-|")
    for row, title in enumerate(("chain", "signatures", "together")):
        cells = [feed.spread([share[column][row] for share in shares], "{:.1f}")
                 for column in range(3)]
        target = f"below {TARGETS['integrity']} of both" if title == "together" else "-"
        print(f"| {title} | {' | '.join(cells)} | {target} |")


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
    print_row(f"replicated items a second, 256 bytes each, {WINDOW:,} outstanding",
              *([round[kind]["visible_s"] for round in replication]
                for kind in ("plaintext", "mutual TLS")), TARGETS["replication"])
    print_row(f"unary calls a second with a token, -c{CLIENTS} -m{STREAMS}",
              *([round[kind] for round in calls] for kind in ("plaintext", "TLS")),
              TARGETS["calls"])
    handshakes = feed.spread([round["handshake_ms"] for round in calls], "{:.2f}")
    print(f"| server CPU of a full mutual handshake, ms | - | {handshakes} | - "
          f"| below {TARGETS['handshake']} |")
    free = feed.spread([round["no token"] for round in calls], "{:,.0f}")
    print(f"\nWithout a token, in plaintext: {free} calls a second. h2load sends it whole with "
          "each call, as HPACK may not keep it.")
    chain_ns = float(re.search(r"chain_ns=([\d.]+)", bench(options.build, "bench_chain")).group(1))
    print_integrity([round["mutual TLS"] for round in replication], chain_ns)
    print("\nAn access check with 1,000 rules (below 200 ns wanted):\n")
    print(bench(options.build, "bench_policy"))


if __name__ == "__main__":
    main()
