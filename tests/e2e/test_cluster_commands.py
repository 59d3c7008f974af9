"""What `osiris cluster` shows and asks a person at a terminal, where several are members."""
import os
import pty
import select
import subprocess
import time

import pytest

import cluster as clusters
import osiris


@pytest.fixture
def three(folder):
    with clusters.Cluster(folder) as cluster:
        yield cluster.grow(3)


class Terminal:
    """A command at a terminal of 80 columns."""

    def __init__(self, command):
        try:
            self.master, slave = pty.openpty()
        except OSError:
            pytest.skip("no terminal can be made here: devpts is not mounted")
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.shown = ""

    def wait_for(self, text):
        osiris.wait_for(lambda: text in self._read(), f"'{text}' in: {self.shown}")

    def _read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                self.shown += os.read(self.master, 65536).decode().replace("\r", "")
            except OSError:  # how Linux tells that nobody has the other end
                break
        return self.shown

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        """Its exit status."""
        status = self.process.wait(osiris.WAIT_S)
        self._read()
        os.close(self.master)
        return status


# Removing one that is well while another one is away may leave too few: a person is asked first, and
# only yes is yes.
def test_a_person_is_asked_before_what_is_dangerous(three):
    down = three.followers()[0]
    down.kill()
    leader = three.leader()
    up, = [member for member in three if member not in (down, leader)]
    osiris.wait_for(lambda: not leader.status().members[down_number(leader, down)].get("reachable"),
                    "the leader knows who is away")
    for answer in "\n", "n\n", "\x04":
        terminal = Terminal(leader.cli.command("cluster", "remove", up.name))
        terminal.wait_for("[y/N]")
        assert f"{down.name} cannot be reached" in terminal.shown
        terminal.type(answer)
        assert terminal.end() == 130 and "nothing was removed" in terminal.shown
    assert leader.status().voters() == {member.name for member in three}
    terminal = Terminal(leader.cli.command("cluster", "remove", up.name))
    terminal.wait_for("[y/N]")
    down.start()  # else nobody could agree on it
    terminal.type("y\n")
    assert terminal.end() == 0 and f"removed {up.name}" in terminal.shown
    osiris.wait_for(lambda: leader.status().voters() == {leader.name, down.name}, "two are left")
    terminal = Terminal(leader.cli.command("cluster", "remove", down.name))
    assert terminal.end() == 0 and "[y/N]" not in terminal.shown  # nobody is away


def down_number(leader, down):
    number, = [number for number, each in leader.status().members.items()
               if each["name"] == down.name]
    return number


# A member goes by its name, its number and its instance's id; what it is is told the same way by
# each of them.
def test_members_by_all_their_names(three):
    leader = three.leader()
    rows = {row["name"]: row for row in leader.cli.json("cluster", "members")}
    other = three.followers()[0]
    shown = leader.cli("cluster", "transfer", rows[other.name]["member"])
    assert shown == f"{other.name} ({rows[other.name]['member']}) leads\n"
    osiris.wait_for(lambda: three.find_leader() is other, f"{other.name} leads")
    shown = leader.cli("cluster", "transfer", rows[leader.name]["instance"])  # it asks the other
    assert shown == f"{leader.name} ({rows[leader.name]['member']}) leads\n"
    osiris.wait_for(lambda: three.find_leader() is leader, f"{leader.name} leads")
    for member in three:
        shown = member.cli("cluster", "members")
        line, = [line for line in shown.splitlines() if " leader " in line]
        assert line.split()[0] == leader.name and str(rows[leader.name]["member"]) in line
        status = member.cli("cluster", "status")
        assert f"{leader.name} ({rows[leader.name]['member']})" in status
    assert "NOT_FOUND" in leader.cli.fails(1, "cluster", "transfer", "nobody")


# On a terminal the findings are paragraphs, in lines that it shows whole.
def test_why_is_wrapped_for_terminals(three):
    down = three.followers()[0]
    down.kill()
    leader = three.leader()
    osiris.wait_for(lambda: down.name in leader.cli("cluster", "why"), "it is missed")
    terminal = Terminal(leader.cli.command("cluster", "why"))
    assert terminal.end() == 0
    assert all(len(line) <= 80 for line in terminal.shown.splitlines())
    paragraphs = [text.replace("\n", " ") for text in terminal.shown.strip().split("\n\n")]
    findings = [line["finding"] for line in leader.cli.json("cluster", "why")]
    assert paragraphs[-1] == findings[-1] and len(paragraphs) == len(findings)
    assert max(len(finding) for finding in findings) > 80  # else nothing was wrapped


# What there is of members fits into 80 columns, and nothing of it is cut.
def test_members_fit_a_terminal(three):
    leader = three.leader()
    osiris.wait_for(lambda: leader.cli("cluster", "members").count(" replicating ") == 2, "both follow")
    for command in "members", "status":
        terminal = Terminal(leader.cli.command("cluster", command))
        assert terminal.end() == 0
        table = terminal.shown[terminal.shown.index("NAME"):].splitlines()
        assert len(table) == 4 and all(len(line) <= 80 for line in table)
        assert "…" not in terminal.shown


# With `join` by hand who joined waits for as long as nobody adds it; one that is added as a learner
# stays one until it is promoted.
def test_who_is_added_by_hand(three):
    leader = three.leader()
    leader.cli("cluster", "set", "join", "by-hand")
    archive = three.join()
    osiris.wait_for(lambda: archive.status().role == "waiting", "it waits")
    told = archive.cli("cluster", "why")
    assert "waits to be added" in told and "`osiris cluster add NAME`" in told
    assert archive.cli("cluster", "members") == "no members are known here yet\n"
    assert archive.cli("-o", "json", "cluster", "members") == ""
    shown = archive.cli("cluster", "status")
    assert "waiting" in shown and " ms" not in shown  # it has no part yet, for whatever time
    assert "\nfor " in leader.cli("cluster", "status")
    time.sleep(5)  # more than twice the time in which it says so again
    assert archive.status().role == "waiting" and not leader.status().learners()

    inviter = three.members[0]  # that it is linked to
    assert "stays a learner" in inviter.cli("cluster", "add", "--learner", archive.name)
    osiris.wait_for(lambda: archive.status().role == "learner", "it has been told")
    leader.write("key", "value")
    osiris.wait_for(lambda: archive.get("key", local=True) == "value", "it has all")
    time.sleep(3)  # it has caught up, and would be a voter by now
    assert all(status.learners() == {archive.name} for status in three.statuses().values())
    assert "stays one until it is promoted" in leader.cli("cluster", "why")

    assert "promoted" in archive.cli("cluster", "promote", archive.name)
    three.wait_for_voters()
    assert archive.status().role in ("follower", "leader")
