"""h2load.py -- requests by h2load, the same way for whoever answers them."""

import re
import subprocess
import sys

WARM_UP_S = 0.5
GRPC = ["-H", "content-type: application/grpc", "-H", "te: trailers"]


def load(url, folder, seconds, clients, streams, message=None, cores=None):
    """A second: requests; latencies in us; and how many there were, with those of the warm-up.

    `message`: the file of a gRPC message that is sent each time."""
    log = folder / "requests"
    log.unlink(missing_ok=True)
    pin = ["taskset", "-c", cores] if cores else []
    post = ["-d", message, *GRPC] if message else []
    command = [*pin, "h2load", "-D", f"{round(seconds * 1000)}ms", "--warm-up-time",
               f"{round(WARM_UP_S * 1000)}ms", "-c", clients, "-m", streams, "-w", "30", "-W", "30",
               f"--log-file={log}", *post, url]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    if run.returncode != 0 or "finished" not in run.stdout:
        sys.exit(f"h2load: {run.stdout}{run.stderr}")
    rate = float(re.search(r"finished in .*?, ([\d.]+) req/s", run.stdout).group(1))
    failed = int(re.search(r"(\d+) failed", run.stdout).group(1))
    if failed or rate == 0:
        sys.exit(f"h2load: {run.stdout}{run.stderr}")
    times = sorted(int(line.split("\t")[2]) for line in log.read_text().split("\n")[:-1])
    return {"rate": rate, "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100],
            "count": len(times)}
