"""Debian's rabbitmq-server as a process of the test, with all it keeps in the test's folder.

    with Rabbitmq(folder, users={"robot": "secret"}).start() as broker:
        broker.url("osiris/office", user="robot")   # amqp://robot@127.0.0.1:PORT/osiris/office?...
        broker.kill(); broker.start()               # -9, and the same again with what it has saved

It takes some seconds to start: share one where the test does not end it. It has an epmd of its own
and no plugins; the program is run without Debian's wrapper, which changes the user and the folder.
"""
import logging
import os
import re
import signal
import socket
import subprocess

import pika

import osiris

PROGRAMS = "/usr/lib/rabbitmq/bin/"
START_S = 90

logging.getLogger("pika").setLevel(logging.CRITICAL)  # a refused login is a traceback to it

# Small, and on the loopback alone. An alarm blocks whoever publishes: only a test is to raise one.
CONFIGURATION = """
loopback_users = none
vm_memory_high_watermark.absolute = 4GB
disk_free_limit.absolute = 1MB
log.file.level = warning
log.console = false
"""


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Rabbitmq:
    """`users`: names with passwords, who may do everything; "guest" always may. `authority`: takes
    TLS, too, at `tls_port`, and the name "localhost"."""

    def __init__(self, folder, users=None, authority=None):
        self.folder = folder / "rabbitmq"
        self.folder.mkdir(mode=0o700)
        self.port = osiris.free_port()
        self.tls_port = osiris.free_port() if authority else None
        self.users = users or {}
        self.process = None
        self.epmd = None
        self.environment = self._environment()
        self._configure(authority)

    def _environment(self):
        epmd_port, node_port = osiris.free_port(), osiris.free_port()
        name = f"osiris{node_port}@127.0.0.1"  # small systems do not know "localhost"
        files = {"RABBITMQ_MNESIA_BASE": "data", "RABBITMQ_LOG_BASE": "log",
                 "RABBITMQ_CONFIG_FILE": "rabbitmq.conf", "HOME": "home",
                 "RABBITMQ_ENABLED_PLUGINS_FILE": "plugins", "RABBITMQ_PID_FILE": "pid",
                 "RABBITMQ_GENERATED_CONFIG_DIR": "generated",
                 "RABBITMQ_CONF_ENV_FILE": "no-such-file"}
        return {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": name, "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_DIST_PORT": str(node_port),
            "ERL_EPMD_PORT": str(epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_CRASH_DUMP_BYTES": "0", "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
            **{name: str(self.folder / path) for name, path in files.items()},
        }

    def _write(self, name, text):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
        return path

    def _configure(self, authority):
        text = CONFIGURATION + f"listeners.tcp.local = 127.0.0.1:{self.port}\n"
        if authority is not None:
            key, certificate = authority.issue("localhost", is_foreign=True)
            text += (f"listeners.ssl.local = 127.0.0.1:{self.tls_port}\n"
                     f"ssl_options.cacertfile = {self._write('ca.pem', authority.pem)}\n"
                     f"ssl_options.keyfile = {self._write('key.pem', key)}\n"
                     f"ssl_options.certfile = {self._write('certificate.pem', certificate)}\n"
                     "ssl_options.verify = verify_none\n")
        self._write("rabbitmq.conf", text)
        self._write("plugins", "[].\n")
        (self.folder / "home").mkdir(mode=0o700)
        (self.folder / "log").mkdir()
        for user, password in self.users.items():
            self._write(f"{user}.password", password + "\n")

    def url(self, address, user=None, **parameters):
        """`user` logs in with the password that is right."""
        if user is not None:
            parameters = {"password_file": self.folder / f"{user}.password", **parameters}
        return self._url("amqp", "127.0.0.1", self.port, user, address, parameters)

    def tls_url(self, address, host="localhost", **parameters):
        parameters = {"ca_file": self.folder / "ca.pem", **parameters}
        return self._url("amqps", host, self.tls_port, None, address, parameters)

    @staticmethod
    def _url(scheme, host, port, user, address, parameters):
        text = "&".join(f"{key}={value}" for key, value in parameters.items())
        return (f"{scheme}://{user + '@' if user else ''}{host}:{port}/{address}"
                f"{'?' + text if text else ''}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.resume()
            self.kill()
        if self.epmd is not None:
            self.epmd.kill()
            self.epmd.wait()

    def _start_epmd(self):
        """Ours: the one that the broker would start is nobody's child, and outlives the test."""
        self.epmd = subprocess.Popen(["epmd"], env=self.environment, stdin=subprocess.DEVNULL)
        port = int(self.environment["ERL_EPMD_PORT"])
        osiris.wait_for(lambda: _listens(port), "epmd listens")

    def start(self):
        if self.epmd is None:
            self._start_epmd()
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(
                [PROGRAMS + "rabbitmq-server"], env=self.environment, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        osiris.wait_for(self._answers, "rabbitmq takes connections", START_S)
        if not (self.folder / "has-users").exists():
            for user, password in self.users.items():
                self.control("add_user", user, password)
                self.permit(user)
            self._write("has-users", "")
        return self

    def _answers(self):
        assert self.process.poll() is None, self.log()
        if not _listens(self.port):
            return False
        try:
            self.connect().close()
        except pika.exceptions.AMQPError:
            return False
        return True

    def control(self, *arguments):
        """rabbitmqctl, and what it prints."""
        return subprocess.run([PROGRAMS + "rabbitmqctl", "--quiet", *arguments], check=True,
                              env=self.environment, cwd=self.folder, text=True, timeout=START_S,
                              stdout=subprocess.PIPE).stdout

    def permit(self, user, configure=".*", write=".*", read=".*"):
        self.control("set_permissions", user, configure, write, read)

    def fill_disk(self):
        """As far as the broker can tell."""
        self.control("set_disk_free_limit", "1000000GB")

    def free_disk(self):
        self.control("set_disk_free_limit", "1MB")

    def stop(self):
        """In good order."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(START_S)
        self.process = None

    def kill(self):
        """All of it at once, as a power cut."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def pause(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def log(self):
        texts = [path.read_text(errors="replace") for path in (self.folder / "log").glob("*.log")]
        return (self.folder / "output").read_text(errors="replace") + "".join(texts)

    def kept(self):
        """All bytes that it has written to its disk."""
        return b"".join(path.read_bytes() for base in ("data", "log")
                        for path in (self.folder / base).rglob("*") if path.is_file())

    def connect(self, user="guest", **parameters):
        """An ordinary client's connection, by pika."""
        login = pika.PlainCredentials(user, self.users.get(user, "guest"))
        return pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", self.port, credentials=login, **parameters))

    def queues(self):
        """{name: messages} of those there are."""
        lines = self.control("list_queues", "name", "messages", "--no-table-headers").splitlines()
        return {name: int(count) for name, count in (re.split(r"\t", line) for line in lines)}
