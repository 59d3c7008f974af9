"""Debian's mosquitto as a process of the test, with its data in the test's folder.

    with Mosquitto(folder, users={"robot": "secret"}).start() as broker:
        broker.url("osiris/office", user="robot")   # mqtt://robot@127.0.0.1:PORT/osiris/office?...
        broker.kill(); broker.start()               # -9, and the same again with what it has saved
"""
import os
import pwd
import resource
import signal
import socket
import subprocess

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import osiris

PROGRAM = "/usr/sbin/mosquitto"


class Mosquitto:
    """`users`: names with passwords; nobody else gets in. `access`: the text of an acl_file.
    `authority`: takes TLS alone, at the name "localhost". `settings`: lines of its configuration,
    as "max_queued_messages 10". `disk_bytes`: no file of its grows beyond: a full disk."""

    def __init__(self, folder, users=None, access=None, authority=None, settings=(),
                 disk_bytes=None):
        self.folder = folder / "mosquitto"
        self.folder.mkdir(mode=0o700)
        self.port = osiris.free_port()
        self.users = users or {}
        self.is_secure = authority is not None
        self.disk_bytes = disk_bytes
        self.process = None
        self.log_path = self.folder / "log"
        self._configure(access, authority, settings)

    @property
    def saved(self):
        """What it keeps of sessions and messages."""
        return self.folder / "mosquitto.db"

    def _write(self, name, text):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
        return path

    def _configure(self, access, authority, settings):
        lines = ["user " + pwd.getpwuid(os.geteuid()).pw_name, "persistence true",
                 f"persistence_location {self.folder}/", "autosave_interval 1",
                 f"listener {self.port} 127.0.0.1",
                 f"allow_anonymous {'false' if self.users else 'true'}", *settings]
        if self.users:
            self._write("passwords", "")
            for user, password in self.users.items():
                subprocess.run(["mosquitto_passwd", "-b", self.folder / "passwords", user,
                                password], check=True)
                self._write(f"{user}.password", password + "\n")
            lines.append(f"password_file {self.folder}/passwords")
        if access is not None:
            lines.append(f"acl_file {self._write('access', access)}")
        if authority is not None:
            key, certificate = authority.issue("localhost", is_foreign=True)
            self._write("ca.pem", authority.pem)
            lines += [f"keyfile {self._write('key.pem', key)}",
                      f"certfile {self._write('certificate.pem', certificate)}"]
        self._write("mosquitto.conf", "\n".join(lines) + "\n")

    def url(self, address, user=None, **parameters):
        """`user` logs in with the password that is right. With "authority" the CA is named."""
        if user is not None:
            parameters = {"password_file": self.folder / f"{user}.password", **parameters}
        if self.is_secure:
            parameters = {"ca_file": self.folder / "ca.pem", **parameters}
        text = "&".join(f"{key}={value}" for key, value in parameters.items())
        return (f"{'mqtts' if self.is_secure else 'mqtt'}://{user + '@' if user else ''}"
                f"{'localhost' if self.is_secure else '127.0.0.1'}:{self.port}/{address}"
                f"{'?' + text if text else ''}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.resume()
            self.kill()

    def _limit_disk(self):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.disk_bytes, self.disk_bytes))

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "-c", self.folder / "mosquitto.conf"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=self._limit_disk if self.disk_bytes else None)
        osiris.wait_for(self._listens, "mosquitto listens")
        return self

    def _listens(self):
        assert self.process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        """In good order: it saves what it has."""
        self.process.terminate()
        assert self.process.wait(osiris.WAIT_S) == 0, self.log()
        self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def client(self, user=None):
        return Client(self, user)


class Client:
    """An ordinary client, by paho: what it subscribes to is in `received`."""

    def __init__(self, broker, user=None):
        self.received = []
        self.subscribed = 0
        self.paho = paho.Client(protocol=paho.MQTTv5)
        if user is not None:
            self.paho.username_pw_set(user, broker.users[user])
        self.paho.on_message = lambda _client, _context, message: self.received.append(message)
        self.paho.on_subscribe = self._on_subscribe
        self.paho.connect("127.0.0.1", broker.port)
        self.paho.loop_start()
        osiris.wait_for(self.paho.is_connected, "paho is connected")

    def _on_subscribe(self, *_):
        self.subscribed += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.paho.disconnect()
        self.paho.loop_stop()

    def subscribe(self, *topics):
        wanted = self.subscribed + len(topics)
        for topic in topics:
            self.paho.subscribe(topic, qos=1)
        osiris.wait_for(lambda: self.subscribed == wanted, f"paho is subscribed to {topics}")

    def publish(self, topic, payload=b"", retain=False, **properties):
        """`properties` by paho's names: ResponseTopic, CorrelationData, ContentType. Returns when
        the broker has it."""
        with_properties = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(with_properties, name, value)
        message = self.paho.publish(topic, payload, qos=1, retain=retain,
                                    properties=with_properties)
        osiris.wait_for(message.is_published, f"the broker takes what is for {topic}")
