"""wires.py -- feed replication over each wire and codec, beside what the wire's own library does.

Replication is a leader and a follower, fsync on both sides, as in feed.py; what lies between the
two goes over the wire, encrypted from end to end. The bare rate is that of messages of an item's size,
from one end to the other through the same broker, with the same guarantees and nothing of Osiris:
UDP datagrams, libzmq PUSH to PULL, mosquitto with QoS 1, RabbitMQ with confirms. At last UDP over a
path that loses one datagram in 20 and takes 5 ms each way, beside stop-and-wait on the same path.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types

import feed
import protocols  # these stand beside this file
from protocols import osiris

import authority  # in tests/lib, as osiris is
import mosquitto
import rabbitmq

ITEM_BYTES = 256
WINDOW = 1024  # items outstanding
CODECS = ["protobuf", "json", "yaml"]
LOSS_PERCENT, DELAY_US = 5, 5000


# ---- the wires ----

class Direct:
    """A port of the listener's own."""

    def __init__(self, scheme, folder):
        self.scheme = scheme

    def __enter__(self):
        self.port = osiris.free_port()
        return self

    def __exit__(self, *_):
        pass

    def url(self, number):
        """Of the `number`th link: no two meet."""
        return f"{self.scheme}://127.0.0.1:{self.port + number}"

    def bare_place(self):
        port = osiris.free_port()
        return f"tcp://127.0.0.1:{port}" if self.scheme == "zmq" else f"{port}:{port}"

    def cpu_s(self):
        return 0


class Broker:
    def __init__(self, broker):
        self.broker = broker

    def __enter__(self):
        self.broker.__enter__().start()
        return self

    def __exit__(self, *arguments):
        self.broker.__exit__(*arguments)

    def url(self, number):
        return self.broker.url(f"osiris/bench{number}")

    def bare_place(self):
        return str(self.broker.port)

    def cpu_s(self):
        """Of all its processes: rabbitmq-server is a shell and what it starts, a group of their own."""
        group = os.getpgid(self.broker.process.pid)
        if group != self.broker.process.pid:
            return protocols.cpu_s(self.broker.process)
        members = subprocess.run(["pgrep", "-g", str(group)], capture_output=True, text=True,
                                 check=True).stdout.split()
        return sum(protocols.cpu_s(types.SimpleNamespace(pid=pid)) for pid in members)


WIRES = {
    "tcp": lambda folder: Direct("tcp", folder),
    "tls": lambda folder: Direct("tls", folder),
    "udp": lambda folder: Direct("udp", folder),
    "zmq": lambda folder: Direct("zmq", folder),
    "mqtt": lambda folder: Broker(mosquitto.Mosquitto(
        folder, settings=["max_inflight_messages 0", "max_queued_messages 0"])),
    "amqp": lambda folder: Broker(rabbitmq.Rabbitmq(folder)),
}


class Pair(feed.Osiris):
    """Leader and follower; `relay`: the port of one in front of the leader."""

    def __init__(self, folder, build, link, codec, relay=None):
        feed.Pair.__init__(self, folder)
        self.build = build
        self.urls = [f"tcp://127.0.0.1:{port}" for port in self.ports]
        ca = authority.Authority()
        dialled = re.sub(r":\d+$", f":{relay}", link) if relay else link
        for i, url in enumerate(self.urls):
            authority.Member(folder / str(i), ca)
            peer = ["--peer", f"{dialled}{'&' if '?' in link else '?'}codec={codec}"]
            extra = peer if i else ["--listen", link]
            self.spawn([build / "osirisd", "--data", folder / str(i), "--listen", url, *extra])
            feed.wait_for_port(self.ports[i])
        self.wait_for_link()

    def wait_for_link(self):
        with osiris.Client(self.ports[1]) as client:
            osiris.wait_for(lambda: any(peer["state"] == "up" for peer in
                                        client.call("STATUS").get("peers", [])), "the link is up")

    def cpu_s(self):
        return sum(protocols.cpu_s(process) for process in self.processes)


# ---- figures ----

def measure_link(wire, link, codec, options, base, relay=None):
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    pair = Pair(folder, options.build, link, codec, relay)
    try:
        latency = pair.run("latency", str(options.seconds))
        before = pair.cpu_s() + wire.cpu_s()
        rate = pair.run("rate", str(options.seconds), str(WINDOW))
        cpu_s = pair.cpu_s() + wire.cpu_s() - before
    finally:
        pair.stop()
        shutil.rmtree(folder)
    return {"items_s": rate["visible_items_s"], "p50_us": latency["p50_us"],
            "p99_us": latency["p99_us"], "cpu_us": cpu_s * 1e6 / rate["items"]}


def run_bare(name, options, what, place, **environment):
    run = subprocess.run([options.build / "tests/bench" / f"bench_bare_{name}", what,
                          str(options.seconds), str(ITEM_BYTES), str(WINDOW), place],
                         env={**os.environ, **environment}, capture_output=True, text=True,
                         timeout=60 + 10 * options.seconds)
    if run.returncode != 0:
        sys.exit(f"bench_bare_{name}: {run.stderr.strip()}")
    return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", run.stdout)}


def measure_bare(name, wire, options):
    latency = run_bare(name, options, "latency", wire.bare_place())
    before = wire.cpu_s()
    rate = run_bare(name, options, "rate", wire.bare_place())
    broker_us = (wire.cpu_s() - before) * 1e6 / rate["items"]
    return {"items_s": rate["items_s"], "p50_us": latency["p50_us"], "p99_us": latency["p99_us"],
            "cpu_us": rate["cpu_us"] + broker_us}


def measure_wire(name, options, base):
    """Figures by codec, and of the library alone under "bare"."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    figures = {}
    with WIRES[name](folder) as wire:
        for number, codec in enumerate(CODECS):
            figures[codec] = measure_link(wire, wire.url(number), codec, options, base)
        if (options.build / "tests/bench" / f"bench_bare_{name}").exists():
            figures["bare"] = measure_bare(name, wire, options)
    return figures


class Relay:
    def __init__(self, build, target):
        self.port = osiris.free_port()
        self.process = subprocess.Popen([build / "tests/bench/bench_relay", str(self.port),
                                         str(target), str(LOSS_PERCENT), str(DELAY_US)])
        time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def measure_loss(options, base):
    """Items a second of a link, and of stop-and-wait."""
    port = osiris.free_port()
    with Relay(options.build, port) as relay:
        bare = run_bare("udp", options, "latency", f"{port}:{relay.port}", BARE_STOP_AND_WAIT="1")
    with Relay(options.build, port) as relay, Direct("udp", base) as wire:
        link = measure_link(wire, f"udp://127.0.0.1:{port}", "protobuf", options, base, relay.port)
    return {"items_s": link["items_s"], "stop_and_wait_s": bare["n"] / options.seconds}


# ---- the table ----

COLUMNS = [("items a second", "items_s", "{:,.0f}"), ("p50, us", "p50_us", "{:,.0f}"),
           ("p99, us", "p99_us", "{:,.0f}"), ("CPU an item, us", "cpu_us", "{:,.1f}")]


def print_rows(name, rounds):
    for kind in [*CODECS, "bare"]:
        figures = [round[name][kind] for round in rounds if kind in round[name]]
        if not figures:
            continue
        cells = [feed.spread([figure[key] for figure in figures], form)
                 for _, key, form in COLUMNS]
        ratio = "-"
        if kind != "bare" and "bare" in rounds[0][name]:
            ratio = feed.spread([round[name][kind]["items_s"] / round[name]["bare"]["items_s"]
                                 for round in rounds], "{:.2f}")
        title = "its library alone" if kind == "bare" else kind
        print(f"| {name} | {title} | {' | '.join(cells)} | {ratio} |")


def main():
    parser = argparse.ArgumentParser(prog="tools/bench wires", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--wires", default=",".join(WIRES), help="some of %(default)s")
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OSIRIS_BUILD"] = str(options.build)
    names = options.wires.split(",")
    rounds, losses = [], []
    with tempfile.TemporaryDirectory(dir=options.build) as base:
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds} ...", file=sys.stderr, flush=True)
            rounds.append({name: measure_wire(name, options, base) for name in names})
            if "udp" in names:
                losses.append(measure_loss(options, pathlib.Path(base)))

    print(f"Items of {ITEM_BYTES} bytes, {WINDOW:,} outstanding, fsync on both sides; latencies "
          f"with one outstanding; {options.rounds} rounds of {options.seconds:g} s a figure; median "
          "(min to max). CPU: of both ends, and of the broker.\n")
    print("| wire | codec | " + " | ".join(title for title, *_ in COLUMNS) +
          " | of the library's rate |\n|-|-|-|-|-|-|-|")
    for name in names:
        print_rows(name, rounds)
    if losses:
        link, single = ([loss[key] for loss in losses] for key in ("items_s", "stop_and_wait_s"))
        times = statistics.median(link) / statistics.median(single)
        print(f"\nUDP over a path that loses {LOSS_PERCENT} % and takes {DELAY_US / 1000:g} ms each "
              f"way: {feed.spread(link, '{:,.0f}')} items a second; stop-and-wait "
              f"{feed.spread(single, '{:,.0f}')}; {times:.0f} times as many.")


if __name__ == "__main__":
    main()
