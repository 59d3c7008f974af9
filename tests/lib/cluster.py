"""Real instances that agree: made as a new user would make them, by `osiris init`, `osiris invite`
and `osiris join`.

    with Cluster(folder) as cluster:
        cluster.grow(3)
        leader = cluster.leader()
        leader.write("key", "value")
        leader.kill()
        cluster.leader()

With a Network each has a machine of its own, and links between them can be cut. With `disk_mb` each
has a disk of its own, which can run full. With `loses_power` what an instance has not synced can be
taken from it. With `clocks_jump` each has a wall clock of its own, which can be moved."""
import base64
import os
import pathlib
import random
import shutil
import signal
import subprocess

import cli
import osiris
import unsynced
import wall_clock

MEGABYTE = 1 << 20
PORT = 7400  # on machines of their own
STATUS_S = 5  # in which an instance that runs tells how it stands


def encode(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def decode(text):
    return base64.b64decode(text).decode()


class Commands(cli.Cli):
    """`osiris` at a member's machine, without the user's own config."""

    def __init__(self, member):
        super().__init__("--data", member.data)
        self.member = member

    def command(self, *words):
        return self.member.inside(super().command(*words))

    def run(self, *words, **options):
        home = {"HOME": str(self.member.place), "XDG_CONFIG_HOME": ""}
        return super().run(*words, env={**home, **options.pop("env", {})}, **options)


class Member(osiris.Daemon):
    """One instance. Its folder may be on a disk of its own, its process in a namespace."""

    def __init__(self, cluster, name):
        self.place = cluster.folder / name
        self.place.mkdir()
        super().__init__(self.place, name)
        self.log_path = cluster.folder / f"{name}.log"
        self.machine = cluster.network.add() if cluster.network else None
        self.port = PORT if self.machine else osiris.free_port()
        self.address = self.machine.address if self.machine else "127.0.0.1"
        self.link = f"tls://{self.address}:{self.port}"
        self.environment = {}  # of the process, beyond ours
        self.is_paused = False
        self.cli = Commands(self)
        self.ballast = self.place / "ballast"
        self.disk_mb = cluster.disk_mb
        if self.disk_mb:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.disk_mb}m", "tmpfs",
                            str(self.place)], check=True, capture_output=True)
        self.disk = None
        if cluster.loses_power:
            self.disk = unsynced.Disk(self.data, cluster.folder / f"{name}.journal")
            self.preload(self.disk.environment())
        self.clock = None
        if cluster.clocks_jump:
            self.clock = wall_clock.WallClock(cluster.folder / f"{name}.clock")
            self.preload(self.clock.environment())

    # ---- its process ----

    def preload(self, environment):
        """What comes with a library, beside those that are there already."""
        libraries = [each["LD_PRELOAD"] for each in (self.environment, environment)
                     if "LD_PRELOAD" in each]
        options = f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0".lstrip(":")
        self.environment.update(environment, LD_PRELOAD=":".join(libraries), ASAN_OPTIONS=options)

    def inside(self, command):
        return self.machine.inside(command) if self.machine else command

    def command(self):
        return self.inside([osiris.program("osirisd"), "--data", str(self.data), *self.flags])

    def launch(self, **options):
        return super().launch(env={**os.environ, **self.environment}, **options)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_paused = False

    def cut_power(self, chance=random):
        """Ends at once; what was not synced is lost. Start it again."""
        self.kill()
        return self.disk.cut_power(chance)

    def stop(self):
        if self.is_paused and self.is_running():
            self.resume()
        return super().stop()

    def kill(self):
        super().kill()
        self.is_paused = False

    # ---- its disk ----

    def fill_disk(self):
        with open(self.ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass

    def free_disk(self):
        self.ballast.unlink(missing_ok=True)

    def rejoin(self):
        """Gives up what it has of the ledger, and waits to be added anew."""
        self.flags = ["--ledger", "rejoin"]
        self.start()
        self.flags = []
        return self

    def drop_given_up(self):
        """What `rejoin` has put aside, once that is not needed any more."""
        for path in self.data.glob("ledger-given-up-*"):
            shutil.rmtree(path)

    def forget(self):
        """Its folder and disk go."""
        if self.disk_mb:
            subprocess.run(["umount", "-l", str(self.place)], check=True)
        shutil.rmtree(self.place)

    # ---- what it is asked ----

    def call(self, type, timeout_s=osiris.WAIT_S, **fields):
        with osiris.Client(self.socket_path, timeout_s) as client:
            return client.call(type, **fields)

    def status(self):
        """How the cluster stands as it sees it; None where it does not answer."""
        if not self.is_running() or self.is_paused:
            return None
        try:
            return Status(self.call("CLUSTER_STATUS", STATUS_S))
        except (OSError, ConnectionError):
            return None

    def get(self, key, **fields):
        """None where there is nothing."""
        try:
            return decode(self.call("KV_GET", key=encode(key), **fields).get("value", ""))
        except osiris.Failure as failure:
            if failure.code == "NOT_FOUND":
                return None
            raise

    def write(self, key, value, **fields):
        """Returns the index."""
        return int(self.call("KV_PUT", key=encode(key), value=encode(value), **fields)["index"])

    def write_many(self, count, size=100, keys=1000, outstanding=200):
        """Under few keys, so that the state stays small."""
        value = encode("x" * size)
        with self.client() as client:
            for number in range(count):
                client.ask("KV_PUT", key=encode(f"many{number % keys}"), value=value)
                if number >= outstanding:
                    assert client.receive()["type"] == "KV_PUT_REPLY"
            for _ in range(min(count, outstanding)):
                assert client.receive()["type"] == "KV_PUT_REPLY"

    def remove(self, key, **fields):
        return self.call("KV_DEL", key=encode(key), **fields).get("removed", False)


def outgrow_log(leader):
    """Until whoever begins with nothing needs a snapshot. What lies between the last two is kept, so
    two have to be made; few keys keep these small."""
    for _ in range(2):
        before = leader.status().snapshot
        while leader.status().snapshot == before:
            leader.write_many(8, MEGABYTE, keys=32, outstanding=4)


class Status:
    """CLUSTER_STATUS_REPLY; what is left out of a frame is 0, false or empty."""

    def __init__(self, frame):
        self.frame = frame
        self.ledger = frame.get("ledger", "")
        self.role = frame.get("role", "")
        for name in ("member", "term", "leader", "commit", "applied", "last", "snapshot"):
            setattr(self, name, int(frame.get(name, 0)))
        self.members = {int(each["member"]): each for each in frame.get("members", [])}
        self.findings = "\n".join(frame.get("findings", []))

    def voters(self):
        return {each["name"] for each in self.members.values() if each["standing"] == "VOTER"}

    def learners(self):
        return {each["name"] for each in self.members.values() if each["standing"] == "LEARNER"}

    def leads(self):
        return self.role == "leader"


class Cluster:
    def __init__(self, folder, network=None, disk_mb=None, loses_power=False, clocks_jump=False):
        self.folder = pathlib.Path(folder)
        self.network = network
        self.disk_mb = disk_mb
        self.loses_power = loses_power
        self.clocks_jump = clocks_jump
        self.members = []
        self.everyone = []  # those also that are no members yet, or any more

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Each must end well, if it still runs."""
        for member in self.everyone:
            member.free_disk()
        statuses = {member.name: member.stop() for member in self.everyone if member.process}
        for member in self.everyone:
            print(f"--- {member.name}\n{member.log()[-20000:]}")
        logs = "\n".join(member.log() for member in self.everyone)
        for member in self.everyone:
            member.forget()
        assert all(status == 0 for status in statuses.values()), statuses
        assert "ERROR: AddressSanitizer" not in logs and "runtime error:" not in logs

    def __iter__(self):
        return iter(self.members)

    # ---- who belongs to it ----

    def make(self):
        self.everyone.append(Member(self, f"member{len(self.everyone) + 1}"))
        return self.everyone[-1]

    def found(self):
        first = self.make()
        first.cli("init", "--name", first.name, "--listen", first.link, "--no-start")
        self.members.append(first.start())
        return first

    def invite(self, by=None):
        """The words of a command that joins; by the one that has the CA."""
        shown = (by or self.members[0]).cli("invite")
        line, = [line for line in shown.splitlines() if line.strip().startswith("osiris join osri_")]
        return line.split()[1:]

    def prepare(self, by=None):
        """An instance that has joined, and does not run yet."""
        member = self.make()
        member.cli(*self.invite(by), "--name", member.name, "--listen", member.link, "--no-start")
        return member

    def join(self, by=None):
        """One that runs, and will be a voter."""
        member = self.prepare(by)
        self.members.append(member.start())
        return member

    def grow(self, size):
        """Founds it, and adds members until there are so many voters."""
        if not self.members:
            self.found()
        while len(self.members) < size:
            self.join()
            self.wait_for_voters()
        return self

    def take_out(self, member, by=None):
        """Removes it by command, at another one."""
        by = by or next(each for each in self.members if each is not member)
        by.cli("cluster", "remove", member.name, "--yes")
        self.members.remove(member)

    # ---- how it stands ----

    def statuses(self):
        found = {member: member.status() for member in self.members}
        return {member: status for member, status in found.items() if status}

    def find_leader(self):
        """Who leads, as a majority of the members that can be asked agree; None at the moment. One
        that has got into another ledger has no say."""
        statuses = self.statuses()
        ledgers = [status.ledger for status in statuses.values()]
        statuses = {member: status for member, status in statuses.items()
                    if status.ledger == max(ledgers, key=ledgers.count)}
        leaders = [member for member, status in statuses.items() if status.leads()]
        if not leaders:
            return None
        newest = max(leaders, key=lambda member: statuses[member].term)
        status = statuses[newest]
        agree = [each for each in statuses.values()
                 if (each.term, each.leader) == (status.term, status.member)]
        return newest if 2 * len(agree) > len(status.voters()) else None

    def leader(self, timeout_s=osiris.WAIT_S):
        return osiris.wait_for(self.find_leader, f"a leader: {self.describe()}", timeout_s)

    def followers(self):
        leader = self.leader()
        return [member for member in self.members if member is not leader]

    def hand_over(self, member):
        """Until it leads. Who has only just come has no links to most others: it is told again."""
        def leads():
            leader = self.find_leader()
            if leader is not None and leader is not member:
                leader.cli.run("cluster", "transfer", member.name)
            return self.find_leader() is member

        osiris.wait_for(leads, f"{member.name} leads")

    def wait_for_voters(self, timeout_s=osiris.WAIT_S):
        """Until each that runs knows all of them as voters, and nobody else."""
        names = {member.name for member in self.members}
        self.leader(timeout_s)
        osiris.wait_for(lambda: all(status.voters() == names and not status.learners()
                                    for status in self.statuses().values()),
                        f"{names} are voters", timeout_s)

    def wait_until_caught_up(self, member, timeout_s=osiris.WAIT_S):
        """Until it has applied what is committed now."""
        commit = osiris.wait_for(lambda: self.leader().status(), "the leader answers").commit
        osiris.wait_for(lambda: (status := member.status()) and status.applied >= commit,
                        f"{member.name} has applied {commit}: {self.describe()}", timeout_s)

    def wait_until_equal(self, timeout_s=osiris.WAIT_S):
        """Until each has applied all that is committed; returns up to where that is."""
        def applied():
            statuses = self.statuses()
            found = {(status.applied, status.commit) for status in statuses.values()}
            (applied, commit), *others = found
            return commit if len(statuses) == len(self.members) and not others \
                and applied == commit else None
        return osiris.wait_for(applied, "all have applied the same", timeout_s)

    def assert_works(self, without=None):
        """What the leader writes is read at every member, or every other."""
        value = f"{random.random()}"
        osiris.wait_for(self.find_leader, "a leader").write("works", value)
        for member in self.members:
            if member is not without:
                assert member.get("works") == value

    def describe(self):
        return "; ".join(f"{member.name} {status.role} in term {status.term} under {status.leader}, "
                         f"commit {status.commit}"
                         for member, status in self.statuses().items()) or "nobody answers"
