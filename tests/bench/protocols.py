"""protocols.py -- one operation, to get a document, in each protocol that a program can choose.

gRPC and both kinds of frames are answered by osirisd. HTTP/1.1 is not spoken by it: a stand-in
gives the same documents from memory, and spares itself what an instance does beside that. All are
driven by one load generator, one after the other in every round; the server has one core, the
generator the other.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import osiris  # noqa: E402

DOCUMENTS = 10000  # as in bench_documents.h
DATA = "x" * 254  # 256 bytes as JSON
BATCH = 1000
OUTSTANDING = 500
CONNECTIONS = 10  # that share them
SERVER_CORE, GENERATOR_CORE = 0, 1
TITLES = {"grpc": "gRPC", "json": "JSON frames over TCP", "protobuf": "protobuf frames over TCP",
          "http": "HTTP/1.1 (stand-in)"}
ROWS = [
    ("request on the wire, bytes", "request_bytes", "{:,.0f}"),
    ("reply on the wire, bytes", "reply_bytes", "{:,.0f}"),
    (f"calls a second, {OUTSTANDING} outstanding on {CONNECTIONS} connections", "shared_calls_s",
     "{:,.0f}"),
    ("server CPU a call there, us", "shared_cpu_us", "{:.2f}"),
    (f"calls a second, {OUTSTANDING} connections with one call each", "apart_calls_s", "{:,.0f}"),
    ("server CPU a call there, us", "apart_cpu_us", "{:.2f}"),
    ("p50, one call at a time, us", "p50_us", "{:,.0f}"),
    ("p99, one call at a time, us", "p99_us", "{:,.0f}"),
]
WORDS = """\
| multiplexing | yes, each call with its own flow control | yes, by `request_id`; who reads slowly \
slows all calls of the connection | as JSON frames | no: one call at a time on a connection |
| streaming | both ways; each call can be cancelled, or have a deadline | many replies to a request; \
ends with the connection | as JSON frames | one answer, in pieces |
| caching on the way | no | no | no | yes: proxies and browsers know how |
| needed to call it | a gRPC library, and the `.proto` files or reflection | a socket and JSON | a \
socket and a protobuf library | any HTTP client, `curl`, a browser |
| readable on the wire | no | yes | no | yes |"""


def pin(core):
    return lambda: os.sched_setaffinity(0, {core})


def cpu_s(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def document_id(number):
    return f"{number:026}"


def fill(client):
    for first in range(0, DOCUMENTS, BATCH):
        client.call("KB_IMPORT", documents=[{"id": document_id(number), "data": DATA}
                                            for number in range(first, first + BATCH)])


def read_all(client):
    """Each document as JSON, by id; the daemon has all of them in memory after."""
    found = {}
    for number in range(DOCUMENTS):
        document = client.call("KB_GET", id=document_id(number))["document"]
        found[document["id"]] = json.dumps(document, separators=(",", ":"))
    return found


def start_daemon(daemon):
    """Afterwards it holds all documents and has read them; returns the documents."""
    daemon.listen_somewhere().start(preexec_fn=pin(SERVER_CORE))
    with osiris.Client(daemon.port) as client:
        fill(client)
        documents = read_all(client)
        osiris.wait_for(lambda: "projection_lag" not in client.call("STATUS"), "the projection")
    time.sleep(2)  # the full-text index follows when nothing is written
    return documents


def start_stand_in(folder, build, documents):
    (folder / "documents").write_text(
        "".join(f"{name} {text}\n" for name, text in documents.items()))
    port = osiris.free_port()
    process = subprocess.Popen([build / "tests/bench/http_server", str(port), folder / "documents"],
                               preexec_fn=pin(SERVER_CORE))
    return process, port


def listens(port):
    try:
        osiris.Client(port).close()
        return True
    except OSError:
        return False


def run(build, protocol, seconds, connections, outstanding, server, port):
    """What the load generator prints, and the server's CPU for each call."""
    before = cpu_s(server)
    generator = subprocess.run(
        [build / "tests/bench/bench_protocols", protocol, str(seconds), str(connections),
         str(outstanding), str(port)],
        capture_output=True, text=True, timeout=120, preexec_fn=pin(GENERATOR_CORE))
    if generator.returncode != 0:
        sys.exit(generator.stderr.strip())
    figures = {key: float(value)
               for key, value in re.findall(r"(\w+)=([\d.]+)", generator.stdout)}
    figures["cpu_us"] = (cpu_s(server) - before) / figures["calls"] * 1e6
    return figures


def measure(build, protocol, seconds, server, port):
    """Over HTTP/1.1 a connection has no second call under way."""
    def load(connections, outstanding):
        return run(build, protocol, seconds, connections, outstanding, server, port)

    one, apart = load(1, 1), load(OUTSTANDING, 1)
    shared = load(CONNECTIONS, OUTSTANDING // CONNECTIONS) if protocol != "http" else {}
    return {**one, **{f"apart_{key}": value for key, value in apart.items()},
            **{f"shared_{key}": value for key, value in shared.items()}}


def measure_all(build, seconds, folder):
    """One round: the figures of each protocol."""
    with contextlib.ExitStack() as stack:
        daemon = osiris.Daemon(folder, "bench")
        stack.callback(daemon.stop)
        documents = start_daemon(daemon)
        stand_in, port = start_stand_in(folder, build, documents)
        stack.callback(stand_in.wait)
        stack.callback(stand_in.terminate)
        osiris.wait_for(lambda: listens(port), "the stand-in listens")
        return {protocol: measure(build, protocol, seconds,
                                  *((stand_in, port) if protocol == "http"
                                    else (daemon.process, daemon.port)))
                for protocol in TITLES}


def spread(values, form):
    if not values:
        return "-"
    middle, low, high = (form.format(value) for value in
                         (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def main():
    parser = argparse.ArgumentParser(prog="tools/bench protocols",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OSIRIS_BUILD"] = str(options.build)
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=options.build, prefix="p") as folder:
            rounds.append(measure_all(options.build, options.seconds, pathlib.Path(folder)))

    print(f"One of {DOCUMENTS:,} documents of 256 bytes by its id, all read before; loopback, a core "
          f"for the server; {options.rounds} round{'s' if options.rounds > 1 else ''} of "
          f"{options.seconds:g} s a figure; median (min to max)\n")
    print(f"| | {' | '.join(TITLES.values())} |\n|-|{'-|' * len(TITLES)}")
    for title, key, form in ROWS:
        cells = [spread([figures[protocol][key] for figures in rounds
                         if key in figures[protocol]], form) for protocol in TITLES]
        print(f"| {title} | {' | '.join(cells)} |")
    print(WORDS)


if __name__ == "__main__":
    main()
