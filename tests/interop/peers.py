"""The programs of the suite, ours and others', as processes: each client takes a case's name and an
address, each server prints where it listens.

A language that this machine lacks raises Missing, with the reason."""
import collections
import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE / "testing.proto"
WAIT_S = 60  # for any program to be done; sanitized ones on a busy machine are slow
BUILD_S = 300  # for grpc-go, from nothing
CANNOT = 77  # exit status of a client whose library cannot do what a case needs
GO_SOURCES = pathlib.Path("/usr/share/gocode")  # golang-google-grpc-dev and what it needs

Outcome = collections.namedtuple("Outcome", "code local unprocessed messages text")


class Missing(Exception):
    pass


def build_folder(name=""):
    build = os.environ.get("OSIRIS_BUILD")
    if not build:
        raise RuntimeError("OSIRIS_BUILD must name the build folder (tests/interop in it)")
    folder = pathlib.Path(build).resolve() / "tests" / "interop" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(command, **options):
    """Runs a step of preparing a language; Missing with what it said where it fails."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=BUILD_S,
                       **options)
    except subprocess.CalledProcessError as failure:
        raise Missing(f"{command[0]} failed: {failure.stderr[-500:]}") from failure
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise Missing(str(failure)) from failure


# ---- languages: what starts a program, and its environment ----

def once(prepare):
    """Prepares a language when it is first needed; what fails then is not tried again."""
    results = []

    @functools.wraps(prepare)
    def prepared():
        if not results:
            try:
                results.append(prepare())
            except Missing as missing:
                results.append(missing)
        if isinstance(results[0], Missing):
            raise results[0]
        return results[0]
    return prepared


@once
def python():
    try:
        import google.protobuf  # noqa: F401
        import grpc  # noqa: F401
    except ImportError as failure:
        raise Missing(f"{failure} (packages python3-grpcio, python3-protobuf)") from failure
    folder = build_folder("python")
    run(["protoc", f"-I{HERE}", f"--python_out={folder}", str(PROTO)])
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


@once
def go():
    if shutil.which("go") is None or not (GO_SOURCES / "src/google.golang.org/grpc").is_dir():
        raise Missing("no Go or no grpc-go (packages golang-go, golang-google-grpc-dev)")
    folder = build_folder("go")
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_SOURCES),
                   "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    generator, sources = folder / "protoc-gen-go", folder / "source"
    sources.mkdir(exist_ok=True)
    run(["go", "build", "-o", str(generator), "github.com/golang/protobuf/protoc-gen-go"],
        env=environment)
    run(["protoc", f"--plugin=protoc-gen-go={generator}", f"-I{HERE}",
         f"--go_out=plugins=grpc,import_path=main:{sources}", str(PROTO)])
    for source in (HERE / "go").glob("*.go"):
        shutil.copy(source, sources)
    run(["go", "build", "-o", str(folder / "interop"), "."], cwd=sources, env=environment)
    return str(folder / "interop")


@once
def node():
    if shutil.which("node") is None:
        raise Missing("no Node (package nodejs)")
    folder = build_folder("node")
    wanted = (HERE / "node/package-lock.json").read_text()
    installed = folder / "installed.json"
    if not installed.exists() or installed.read_text() != wanted:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, folder)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
            cwd=folder)
        installed.write_text(wanted)
    return {**os.environ, "NODE_PATH": str(folder / "node_modules")}


def client_command(language, case, url):
    """The command, and its environment."""
    scheme, place = url.split("://")
    address = f"unix:{place}" if scheme == "unix" else place
    if language == "osiris":
        return [str(build_folder() / "interop_client"), case, url], os.environ
    if language == "python":
        return [sys.executable, str(HERE / "python/client.py"), case, address], python()
    if language == "go":
        return [go(), "client", case, address], os.environ
    assert language == "node"
    return ["node", str(HERE / "node/client.js"), case, address], node()


def server_command(language, place, options):
    arguments = place + [f"{name}={value}" for name, value in options.items()]
    if language == "osiris":
        return [str(build_folder() / "interop_server"), *arguments], os.environ
    if language == "python":
        return [sys.executable, str(HERE / "python/server.py"), *arguments], python()
    assert language == "go"
    return [go(), "server", *arguments], os.environ


# ---- processes ----

def run_client(language, case, url):
    """Runs it to its end; the completed process."""
    command, environment = client_command(language, case, url)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT_S)


def outcomes(url, case):
    """What our client reports of its calls (scenarios.c, report), and the lines that are none."""
    done = run_client("osiris", case, url)
    assert done.returncode == 0, done.stderr
    found, others = [], []
    for line in done.stdout.splitlines():
        head, colon, text = line.partition(": ")
        words = head.split()
        if not colon and not head.endswith(":"):
            others.append(line)
            continue
        found.append(Outcome(words[0], "local" in words, "unprocessed" in words,
                             int(words[-1].rstrip(":").split("=")[1]), text))
    return found, others


class Server:
    """`place`: a URL to listen at, else it is a free port of this machine."""

    def __init__(self, language, *place, **options):
        command, environment = server_command(language, list(place), options)
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise AssertionError(f"{command}: {line}{self.process.stderr.read()}")
        self.url = line.split()[-1]
        self.is_asked_to_end = False
        self.lines = []
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()

    def read_log(self):
        self.lines.extend(self.process.stderr)

    def log(self):
        return "".join(self.lines)

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            line, = [line for line in status if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def ask_to_end(self):
        """Once: a second signal would not be waited for."""
        if not self.is_asked_to_end:
            self.is_asked_to_end = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """Its exit status; all that it has logged is there after."""
        if self.process.poll() is None:
            self.ask_to_end()
        try:
            status = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return status
