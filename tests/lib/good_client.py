"""A client that does nothing wrong, in a process of its own: writes a document, reads it, and so on
over one channel. For each line that it is given it tells, as a line of JSON, what became of its
calls (one at least) since the line before."""
import json
import subprocess
import sys
import threading
import time

import grpc

import contract
from contract import message, method

CALL_S = 20  # a call that takes longer has failed
PAUSE_S = 0.001


class Calls:
    """What became of them since they were last asked for."""

    def __init__(self):
        self.lock = threading.Lock()
        self.forget()

    def forget(self):
        self.seconds = []
        self.failures = []

    def add(self, seconds, failure=None):
        with self.lock:
            self.seconds.append(seconds)
            if failure:
                self.failures.append(failure)

    def take(self):
        with self.lock:
            seconds = sorted(self.seconds) or [0]
            taken = {"calls": len(self.seconds), "failures": self.failures[:5],
                     "p50_ms": 1000 * seconds[len(seconds) // 2],
                     "p99_ms": 1000 * seconds[len(seconds) * 99 // 100],
                     "max_ms": 1000 * seconds[-1]}
            self.forget()
            return taken


def write_and_read(channel, calls):
    document = message("osiris.v1.Document", id="good",
                       data=message("osiris.v1.Json", text=b'"' + b"x" * 254 + b'"'))
    steps = [(method(channel, "osiris.v1.Knowledge.Put"),
              message("osiris.v1.PutRequest", document=document)),
             (method(channel, "osiris.v1.Knowledge.Get"),
              message("osiris.v1.GetRequest", id="good"))]
    while True:
        for call, request in steps:
            began, failure = time.monotonic(), None
            try:
                call(request, timeout=CALL_S)
            except grpc.RpcError as error:
                failure = f"{error.code().name}: {error.details()}"
            calls.add(time.monotonic() - began, failure)
            time.sleep(PAUSE_S)


def main():
    calls = Calls()
    channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}")
    threading.Thread(target=write_and_read, args=[channel, calls], daemon=True).start()
    for _ in sys.stdin:
        while not calls.seconds:
            time.sleep(PAUSE_S)
        print(json.dumps(calls.take()), flush=True)


class GoodClient:
    """The other end of that: starts it, and asks it."""

    def __init__(self, port):
        self.process = subprocess.Popen([sys.executable, __file__, str(port)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def take(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


if __name__ == "__main__":
    main()
