"""A network of machines on this machine: a namespace for each, and one for the switch between them.
Links can be cut, in either direction alone, and mended. Needs root and iproute2, nothing else.

    with Network() as network:
        ana, ben = network.add(), network.add()
        subprocess.run(ana.inside(["osirisd", ...]))
        network.cut(ana, ben)   # what ana sends does not arrive at ben

What is cut is lost in silence, as by a bad cable: frames to the other go to a hardware address that
nobody has. Refusing them instead, by a route, would tell the sender at once."""
import itertools
import os
import shutil
import subprocess

NOBODY = "02:00:00:00:ff:ff"
DEVICE = "wire"

_numbers = itertools.count()


def why_not():
    """Why namespaces cannot be made here; None where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    name = f"osr-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None if made.returncode == 0 else f"no network namespaces: {made.stderr.strip()}"


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Machine:
    def __init__(self, namespace, address):
        self.namespace = namespace
        self.address = address

    def inside(self, command):
        """A command of this machine's, which becomes the process itself: no other is between."""
        return ["ip", "netns", "exec", self.namespace, *map(str, command)]


class Network:
    def __init__(self):
        self.name = f"osr{os.getpid()}n{next(_numbers)}"
        self.switch = f"{self.name}s"
        self.machines = []
        self.cuts = set()  # (sender, receiver)

    def __enter__(self):
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge", "up")
        return self

    def __exit__(self, *_):
        for namespace in [*(machine.namespace for machine in self.machines), self.switch]:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)

    def add(self):
        number = len(self.machines) + 1
        machine = Machine(f"{self.name}m{number}", f"10.78.0.{number}")
        ip("netns", "add", machine.namespace)
        self.machines.append(machine)
        ip("link", "add", DEVICE, "netns", machine.namespace, "type", "veth", "peer", "name",
           f"port{number}", "netns", self.switch)
        ip("-n", self.switch, "link", "set", f"port{number}", "master", "bridge", "up")
        ip("-n", machine.namespace, "address", "add", f"{machine.address}/24", "dev", DEVICE)
        for device in (DEVICE, "lo"):
            ip("-n", machine.namespace, "link", "set", device, "up")
        return machine

    def cut(self, sender, receiver):
        """One way."""
        ip("-n", sender.namespace, "neighbour", "replace", receiver.address, "lladdr", NOBODY,
           "dev", DEVICE, "nud", "permanent")
        self.cuts.add((sender, receiver))

    def cut_both_ways(self, one, other):
        self.cut(one, other)
        self.cut(other, one)

    def isolate(self, machine):
        for other in self.machines:
            if other is not machine:
                self.cut_both_ways(machine, other)

    def split(self, side):
        """These from all others."""
        for machine in side:
            for other in self.machines:
                if other not in side:
                    self.cut_both_ways(machine, other)

    def mend(self):
        """All links."""
        for sender, receiver in self.cuts:
            ip("-n", sender.namespace, "neighbour", "del", receiver.address, "dev", DEVICE)
        self.cuts.clear()
