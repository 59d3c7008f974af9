"""Ways into a daemon that Python has none for, each as a port of this machine: whatever connects
there is carried by a program that shows what it has been given. So every client of the tests, gRPC's
too, can come with any certificate, with a shared key, or as another user of this machine.

    with tunnel.Tls(port, ca=ca.pem, certificate=key + certificate) as door:
        osiris.Client(door.port)
    with tunnel.Carrier("udp://127.0.0.1:7400", ca=ca.pem, key=("office", secret)) as door:
        osiris.Client(door.port)
"""
import base64
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import osiris

NOBODY = 65534

# Carries standard input and output to a Unix socket, whose other end sees who runs this.
CARRY = """
import select, socket, sys
here, there = socket.socket(fileno=0), socket.socket(socket.AF_UNIX)
there.connect(sys.argv[1])
while True:
    for side in select.select([here, there], [], [])[0]:
        data = side.recv(1 << 16)
        if not data:
            sys.exit()
        (there if side is here else here).sendall(data)
"""


class Tunnel:
    """Each connection to `port` is the standard input and output of a process of its own."""

    def __init__(self, command, **options):
        self.command = command
        self.options = options
        self.errors = tempfile.TemporaryFile()
        self.processes = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed
            with connection:
                self.processes.append(subprocess.Popen(self.command, stdin=connection,
                                                       stdout=connection, stderr=self.errors,
                                                       **self.options))

    def said(self):
        """What its processes have written to standard error."""
        size = os.fstat(self.errors.fileno()).st_size  # they write where its position is
        return os.pread(self.errors.fileno(), size, 0).decode(errors="replace")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for process in self.processes:
            process.kill()
            process.wait()
        self.errors.close()


class AnotherUser(Tunnel):
    """To a Unix socket, as a user who is neither root nor the daemon's. Needs root."""

    def __init__(self, path):
        super().__init__([sys.executable, "-I", "-c", CARRY, str(path)], user=NOBODY)


class Shown:
    """Files of what is shown, for a command's arguments."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="osr-"))

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def remove(self):
        shutil.rmtree(self.folder)


class Tls(Tunnel):
    """To a port of this machine that speaks TLS, by the openssl command."""

    def __init__(self, port, ca=None, certificate=None, key=None, protocol=None,
                 options=("-quiet",)):
        """`ca`: PEM of whom it believes; `certificate`: PEM of a key and its certificate; `key`:
        name and secret of a shared key; `options`: further ones of `openssl s_client`, which
        without -quiet begins with a report."""
        self.shown = Shown()
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-nocommands",
                   *options, "-no_ign_eof"]
        if protocol is not None:
            command += ["-alpn", protocol]
        if ca is not None:
            command += ["-CAfile", self.shown.file("ca", ca), "-verify_return_error"]
        if certificate is not None:
            command += ["-cert", self.shown.file("own", certificate)]
        if key is not None:
            name, secret = key
            command += ["-psk_identity", name]
            command += ["-psk_session", self.shown.file("psk", session_of(secret))]
        super().__init__(command)

    def close(self):
        super().close()
        self.shown.remove()

    def alert(self):
        """The one by which the other side refused, in OpenSSL's words; None: there was none."""
        found = re.search(r"alert ([a-z0-9 ]+):", self.said())
        return None if found is None else found.group(1)


class Carrier(Tunnel):
    """To a URL of any carrier, by the project's own transport (tests/contract/transport_probe.c),
    whose processes have to end by themselves when their connections do."""

    def __init__(self, url, ca, certificate=None, key=None, protocol=None):
        """As of Tls."""
        self.shown = Shown()
        command = [osiris.program("tests/contract/transport_probe"),
                   "-a", self.shown.file("ca", ca)]
        if certificate is not None:
            command += ["-c", self.shown.file("own", certificate)]
        if key is not None:
            line = key[0].encode() + b" " + base64.b64encode(key[1]) + b"\n"
            command += ["-k", self.shown.file("psk", line)]
        if protocol is not None:
            command += ["-p", protocol]
        super().__init__([*command, url])

    def __exit__(self, failure, *_):
        try:
            if failure is None:
                statuses = {process.wait(osiris.WAIT_S) for process in self.processes}
                assert statuses <= {0}, self.said()
        finally:
            self.close()

    def close(self):
        super().close()
        self.shown.remove()

    def alert(self):
        """What the other side refused with, as our code and words; None: it has refused nobody."""
        refusals = set(re.findall(r"^(\w+): \S+: the server (.*)$", self.said(), re.MULTILINE))
        assert len(refusals) <= 1, refusals
        return ": ".join(refusals.pop()) if refusals else None


def session_of(secret):
    """A shared key as `openssl s_client` takes it where it is not for AES-128: as a session of
    TLS 1.3 with TLS_AES_256_GCM_SHA384 that never was (d2i_SSL_SESSION)."""
    def part(tag, content):
        assert len(content) < 128
        return bytes([tag, len(content)]) + content

    content = (part(2, b"\1") + part(2, b"\3\4") + part(4, b"\x13\2") + part(4, b"")
               + part(4, secret))
    text = base64.encodebytes(part(0x30, content)).decode()
    kind = "SSL SESSION PARAMETERS"
    return f"-----BEGIN {kind}-----\n{text}-----END {kind}-----\n".encode()
