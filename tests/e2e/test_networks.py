"""Two machines, as two network namespaces with a switch between them: from nothing to a pair, in each
way in which instances can show who they are. Needs root."""
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import cli
import network
import osiris

PORT = 7400


class Machine(cli.Cli):
    """Commands in a namespace of their own, with a data folder of their own."""

    def __init__(self, folder, name, place):
        self.home = folder / name
        self.home.mkdir()
        self.data = self.home / "data"
        super().__init__("--data", self.data)
        self.name = name
        self.inside = place.inside
        self.address = place.address

    def command(self, *words):
        return self.inside(super().command(*words))

    def run(self, *words, **options):
        return super().run(*words, env={"HOME": str(self.home), "XDG_CONFIG_HOME": ""}, **options)

    def url(self, parameters=""):
        return f"tls://{self.address}:{PORT}{parameters}"

    def configure(self, text):
        self.data.mkdir(exist_ok=True, mode=0o700)
        path = self.data / "osirisd.yaml"
        path.write_text(f"name: {self.name}\n{text}")
        path.chmod(0o600)

    def start(self):
        """With the config as it is."""
        with open(self.data / "osirisd.log", "ab") as log:
            subprocess.Popen(self.inside([osiris.program("osirisd"), "--data", str(self.data)]),
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        osiris.wait_for(lambda: self.run("status").returncode == 0,
                        f"{self.name} runs: {self.log()}")

    def log(self):
        path = self.data / "osirisd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def status(self):
        return self.json("status")[0]

    def stop(self):
        result = self.run("-o", "json", "status")
        if result.returncode != 0:
            return
        pid = int((self.data / "lock").read_text())
        os.kill(pid, signal.SIGTERM)
        osiris.wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists()
                        or pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z",
                        f"{self.name} ends")


@pytest.fixture
def machines(folder):
    reason = network.why_not()
    if reason is not None:
        pytest.skip(reason)
    with network.Network() as wires:
        made = [Machine(folder, who, wires.add()) for who in ("ana", "ben")]
        try:
            yield made
        finally:
            for machine in made:
                machine.stop()
                print(f"--- {machine.name}\n{machine.log()}")
    assert all("ERROR: AddressSanitizer" not in machine.log() for machine in made)


def assert_linked(ana, ben):
    """Each reads what the other wrote."""
    for here, there in ((ana, ben), (ben, ana)):
        document = here("kb", "add", f"from {here.name}", "--acks", "1", "--timeout", "20").strip()
        assert there.json("kb", "get", document)[0]["data"] == f"from {here.name}"


def ids_of(*machines):
    """The ids of instances that have never been linked."""
    for machine in machines:
        machine.start()
    ids = [machine.status()["instance"] for machine in machines]
    for machine in machines:
        machine.stop()
    return ids


# Two commands, nothing else: `osiris init` here, what it prints there.
def test_two_commands_make_a_pair(machines):
    ana, ben = machines
    shown = ana("init", "--name", "ana", "--listen", ana.url())
    command = re.search(r"^ *osiris (join osri_\S+)$", shown, re.MULTILINE).group(1)
    ben(*command.split(), "--name", "ben")
    assert_linked(ana, ben)


# A shared key: made on one, carried to the other.
def test_shared_key_makes_a_pair(machines, folder):
    ana, ben = machines
    ana.configure(f"listen: ['{ana.url('?auth=key')}']\n")
    key = ana("key", "add", "winter")
    ben.configure(f"peer: ['{ana.url('?auth=key')}']\n")
    (folder / "winter.key").touch(0o600)
    (folder / "winter.key").write_text(key)
    ben("key", "add", "winter", "--secret-file", folder / "winter.key")
    ana.start()
    ben.start()
    assert_linked(ana, ben)


# Two ids, each approved by the other side, and no CA.
def test_pinned_ids_make_a_pair(machines):
    ana, ben = machines
    for machine in machines:
        machine.configure("")
    ids = ids_of(ana, ben)
    ana.configure(f"listen: ['{ana.url('?auth=pin')}']\napproved: [{ids[1]}]\n")
    ben.configure(f"peer: ['{ana.url('?id=' + ids[0])}']\n")
    ana.start()
    ben.start()
    assert_linked(ana, ben)


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


# A CA that was there before, made with openssl, which knows nothing of instances: roles go by the
# names in its certificates.
def test_outside_authority_makes_a_pair(machines, folder):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=Some CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    access = "access:\n  members:\n    'subject:*.example': peer\n"
    ana, ben = machines
    for machine in machines:
        (folder / "names").write_text(f"subjectAltName=DNS:{machine.name}.example,"
                                      f"IP:{machine.address}\nbasicConstraints=CA:FALSE\n"
                                      "extendedKeyUsage=serverAuth,clientAuth\n")
        openssl(folder, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", "tls.key", "-out", "tls.csr",
                "-subj", f"/CN={machine.name}.example")
        openssl(folder, "x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "7", "-extfile", "names", "-out", "tls.crt")
        machine.configure(access)
        trust = machine.data / "trust"
        trust.mkdir(mode=0o700)
        for name, target in (("tls.key", "tls.key"), ("tls.crt", "tls.crt"),
                             ("ca.crt", "authorities.pem")):
            shutil.copy(folder / name, trust / target)
            (trust / target).chmod(0o600)
    ana.configure(f"listen: ['{ana.url('?auth=certificate')}']\n{access}")
    ben.configure(f"peer: ['{ana.url()}']\n{access}")
    ana.start()
    ben.start()
    assert_linked(ana, ben)
