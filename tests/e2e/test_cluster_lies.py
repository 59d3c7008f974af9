"""What a cluster must bear from those who may link with it, or even are members: forged and malformed
messages, and requests of which nothing may come."""
import time

import pytest

import cluster as clusters
import osiris
import raft_peer

HUGE = 2**64 - 1
LATE = 1_000_000  # a term that no honest member has reached


@pytest.fixture
def three(folder):
    with clusters.Cluster(folder) as made:
        yield made.grow(3)


def lies(term, last):
    """What an honest member might say in another state: what it is, and its fields."""
    return {
        "a vote is asked for": dict(term=LATE, vote_request={
            "last_index": 2**40, "last_term": LATE}),
        "a vote that a leader wants": dict(term=LATE, vote_request={
            "transfer": True, "last_index": 2**40, "last_term": LATE}),
        "a heartbeat of a later term": dict(term=LATE, append={
            "previous_index": 1, "previous_term": 1, "commit": 2**40}),
        "committed entries of a later term": dict(term=LATE, append={
            "previous_index": last, "previous_term": term, "commit": last + 2,
            "entries": [raft_peer.entry(LATE, b"", kind=2)] * 2}),
        "entries": dict(term=term, append={
            "previous_index": 1, "previous_term": 1, "commit": 3,
            "entries": [raft_peer.entry(term, b"forged"), raft_peer.entry(term, b"forged")]}),
        "an acknowledgement of what is not there": dict(term=term, appended={"index": HUGE}),
        "a snapshot": dict(term=LATE, snapshot={
            "index": 2**40, "term": LATE, "size": 8, "checksum": 1, "chunk": "Zm9yZ2Vk"}),
        "a snapshot that was taken": dict(term=term, snapshot_taken={
            "index": 2**40, "offset": HUGE}),
        "an answer to no read": dict(term=term, read_reply={"request": 1, "index": HUGE}),
        "an election now": dict(term=term, elect_now={}),
        "a granted vote": dict(term=LATE, vote_reply={"granted": True}),
    }


MALFORMED = {
    "nothing in it": {},
    "two in one": dict(elect_now={}, vote_reply={"granted": True}),
    "the last term there is": dict(term=HUGE, vote_request={
        "last_index": HUGE, "last_term": HUGE}),
    "a heartbeat of the last term there is": dict(term=HUGE, append={"commit": HUGE}),
    "the last index there is": dict(append={
        "previous_index": HUGE, "previous_term": 1, "commit": HUGE,
        "entries": [raft_peer.entry(1, b"x")]}),
    "an entry of no kind": dict(append={
        "previous_index": 0, "entries": [raft_peer.entry(1, b"x", kind=99)]}),
    "a configuration that is none": dict(append={
        "previous_index": 0, "entries": [raft_peer.entry(1, b"\xff" * 50, kind=3)]}),
    "a command that is none": dict(append={
        "previous_index": 0, "entries": [raft_peer.entry(1, b"\xff" * 50)]}),
    "a chunk outside its snapshot": dict(snapshot={
        "index": 5, "term": 1, "size": 4, "offset": 4000, "chunk": "eA=="}),
    "a snapshot without end": dict(snapshot={
        "index": 5, "term": 1, "size": HUGE, "offset": 0, "chunk": "eA=="}),
}


def tell_lies(data, victim, sender, messages, **claim):
    """Each on a link that is up; one that the victim has closed is made again."""
    status = victim.status()
    waiting = list(messages.values())
    while waiting:
        with raft_peer.linked(data, victim.port) as peer:
            peer.claim(status.ledger, sender, **claim)
            is_up = True
            while waiting and is_up:
                message = {"term": status.term, **waiting.pop()}
                try:
                    peer.raft(status.ledger, sender, status.member, **message)
                except OSError:
                    pass  # closed for what was said before
                is_up = peer.wait_until_seen()
        assert victim.is_running(), message


# Who may link, but is no member, can say of Raft what it likes, in whoever's name: nothing comes of
# it.
def test_outsider_forges_raft(three):
    three.leader().write("key", "value")
    outsider = three.prepare()
    before = {member: member.status() for member in three}
    for victim in three:
        status = before[victim]
        for sender in [*(id for id in status.members if id != status.member), 12345]:
            tell_lies(outsider.data, victim, sender, {**lies(status.term, status.last),
                                                 **MALFORMED},
                      starts=99, term=LATE, last_index=2**40)
    time.sleep(2)  # as long as an election would take
    for member in three:
        assert member.status().term == before[member].term
        assert member.status().leader == before[member].leader
        assert member.get("key") == "value"
    three.assert_works()


# The same from the very instance that is a member: its votes and entries must be borne, but what makes
# no sense changes nothing and ends nobody, and the others go on.
def test_member_says_what_makes_no_sense(three):
    three.leader().write("key", "value")
    liar = three.followers()[0]
    mine = liar.status()
    assert liar.stop() == 0
    for victim in three:
        if victim is not liar:
            theirs = victim.status()
            tell_lies(liar.data, victim, mine.member, MALFORMED, starts=1000, term=theirs.term,
                      last_index=theirs.last)
    for member in three:
        if member is not liar:
            assert osiris.wait_for(member.status, "it answers").term < LATE
            assert member.get("key") == "value"
    three.assert_works(without=liar)


VALID = "a" * 32  # an instance that nobody has seen
KNOWN = [255] * 16  # all versions of all machines
GHOST = "g" * 64

ASKS = {
    "nothing": {},
    "empty commands": dict(commands=[""] * 4096),
    "more commands than are allowed": dict(commands=[""] * 4097),
    "a command without its envelope": dict(commands=[clusters.encode(b"\xff" * 40)]),
    "a machine and a version that are not": dict(commands=[
        raft_peer.command(65535, 255, 1, 1)]),
    "of a start that never was": dict(commands=[raft_peer.command(2, 1, HUGE, HUGE)]),
    "no command of the map": dict(commands=[raft_peer.command(2, 1, 0, 0, b"\xff" * 100)]),
    "no command of the cluster": dict(commands=[raft_peer.command(1, 1, 0, 0, b"\xff" * 100)]),
    "a key without end": dict(commands=[
        raft_peer.command(2, 1, 0, 0, b"\1\1" + bytes(8) + b"\xff\xffk")]),
    "a value over the limit": dict(commands=[
        raft_peer.command(2, 1, 0, 0, b"\1\0" + bytes(8) + b"\0\1k" + b"v" * 1_400_000)]),
    "a change of no kind": dict(number=HUGE, change={"change": 77, "member": "x"}),
    "no change": dict(number=1, change={"change": 0, "member": "x"}),
    "a promotion of nobody": dict(number=2, change={"change": "PROMOTE_MEMBER"}),
    "a removal of a stranger": dict(number=2, change={
        "change": "REMOVE_MEMBER", "member": "nobody"}),
    "a transfer to a stranger": dict(number=3, transfer={"member": "nobody"}),
    "nobody is added": dict(number=4, change={"change": "ADD_MEMBER", "member": "x"}),
    "one without a name is added": dict(number=5, change={
        "change": "ADD_MEMBER", "member": "x"}, instance=VALID, versions=KNOWN),
    "one with a name that is none": dict(number=6, change={
        "change": "ADD_MEMBER", "member": "x"}, instance=VALID, name="evil\x01\n",
        versions=KNOWN),
    "one with a long name": dict(number=6, change={
        "change": "ADD_MEMBER", "member": "x"}, instance=VALID, name="m" * 1000, versions=KNOWN),
    "one with long addresses": dict(number=7, change={
        "change": "ADD_MEMBER", "member": "x"}, instance=VALID, name=GHOST,
        addresses=["tls://" + "h" * 500] * 4, versions=KNOWN),
    "one with too many addresses": dict(number=7, change={
        "change": "ADD_MEMBER", "member": "x"}, instance=VALID, name="m",
        addresses=["tls://h:1"] * 5, versions=KNOWN),
    "one that understands nothing": dict(number=8, change={
        "change": "ADD_MEMBER", "member": "x"}, instance=VALID, name="old"),
    "one that is no instance": dict(number=9, change={
        "change": "ADD_MEMBER", "member": "x"}, instance="A" * 32, name="m", versions=KNOWN),
}


# So it is with what a member asks the leader for: nothing is written that the others could not read,
# and nobody ends. A member can have an instance added that is not there: that never votes, and goes.
def test_member_asks_for_what_cannot_be(three):
    three.leader().write("key", "value")
    liar = three.followers()[0]
    mine = liar.status()
    assert liar.stop() == 0
    leader = three.leader()
    names = leader.status().voters()
    for what, fields in ASKS.items():
        with raft_peer.linked(liar.data, leader.port) as peer:
            status = leader.status()
            peer.claim(status.ledger, mine.member, starts=1000, term=status.term,
                       last_index=status.last)
            peer.wait_until_seen()
            peer.ask(status.ledger, status.term, **fields)
            peer.wait_until_seen()
        leader.write("after", what)
        assert leader.get("after") == what
        status = leader.status()
        assert status.voters() == names and status.learners() <= {GHOST}, what
    leader.cli("cluster", "remove", GHOST, "--yes")
    assert not leader.status().learners()
    for member in three:
        assert member is liar or member.get("key") == "value"
    three.assert_works(without=liar)
