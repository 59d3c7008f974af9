"""What members agree on goes by links of its own: a knowledge base that is behind holds up no vote."""
import time

import cluster as clusters
import osiris

BEHIND_S = 13  # longer than a link for feeds lives on which nothing is read
LARGE = "x" * 1000 * 1000
MANY = 40  # of these: more than an instance lets wait before it stops reading


class Cluster(clusters.Cluster):
    """The knowledge base of each can be made to fall behind."""

    def __init__(self, folder, scheme="tls"):
        super().__init__(folder)
        self.scheme = scheme

    def make(self):
        member = super().make()
        member.link = f"{self.scheme}://{member.address}:{member.port}"
        member.stall = self.folder / f"{member.name}.stalled"
        member.preload({"LD_PRELOAD": osiris.program("tests/lib/stalled.so"),
                        "OSIRIS_STALLED": str(member.stall)})
        return member

    def grow(self, size):
        super().grow(size)
        osiris.wait_for(lambda: all(has_own_links(member) for member in self), "links of its own")
        return self


def has_own_links(member):
    status = member.status()
    return status is not None and all(other.get("own_link") for number, other
                                      in status.members.items() if number != status.member)


def is_copied(member, others):
    """Whether what is put there is acknowledged by so many others in a while."""
    try:
        member.put("is it copied?", acks=others, timeout_ms=3000)
        return True
    except osiris.Failure as failure:
        assert failure.code == "TIMEOUT", failure
        return False


class Behind:
    """More waits at a member than it lets wait, so that it reads no links for feeds."""

    def __init__(self, member):
        self.member = member

    def __enter__(self):
        self.member.stall.touch()
        self.client = self.member.client()
        self.client.socket.settimeout(1)
        try:
            for number in range(MANY):
                self.client.send("KB_PUT", request_id=number + 1,
                                 document={"id": f"large{number}", "data": LARGE})
        except TimeoutError:
            pass  # it is not read any more
        return self

    def __exit__(self, *_):
        self.member.stall.unlink()
        self.client.close()


# A leader whose knowledge base is behind reads nothing of feeds; it leads on, and does what is asked
# for at the others.
def test_a_leader_that_is_behind_leads_on(folder):
    with Cluster(folder) as cluster:
        cluster.grow(3)
        leader, (one, other) = cluster.leader(), cluster.followers()
        before = one.status()
        assert is_copied(one, others=2)
        with Behind(leader):
            osiris.wait_for(lambda: not is_copied(one, others=2), "the leader reads no feeds")
            until = time.monotonic() + BEHIND_S
            count = 0
            while time.monotonic() < until:
                for member in one, other:
                    member.write("count", str(count := count + 1), timeout_ms=1000)
                assert one.get("count") == other.get("count") == str(count)
            after = one.status()  # the leader has no ear for clients either
            assert (after.term, after.leader) == (before.term, before.leader)
            assert has_own_links(one) and has_own_links(other)
        osiris.wait_for(lambda: is_copied(one, others=2), "the leader reads feeds again")
        osiris.wait_until_equal(*cluster)


# A follower that is behind votes all the same: with it there is a majority after the leader's end.
def test_a_follower_that_is_behind_votes(folder):
    with Cluster(folder) as cluster:
        cluster.grow(3)
        leader, (one, other) = cluster.leader(), cluster.followers()
        with Behind(one):
            osiris.wait_for(lambda: not is_copied(leader, others=2), "it reads no feeds")
            leader.kill()
            other.write("key", "value")
            assert other.get("key") == "value"
        leader.start()
        cluster.wait_until_caught_up(leader)
        osiris.wait_until_equal(*cluster)


# Members whose addresses are gRPC's alone have a link of their own as well, by a call for it.
def test_members_agree_over_grpc_alone(folder):
    with Cluster(folder, scheme="grpcs") as cluster:
        cluster.grow(3)
        assert all(listener.startswith(("grpcs://", "unix://")) for member in cluster
                   for listener in member.call("STATUS")["listeners"])
        leader, (survivor, _) = cluster.leader(), cluster.followers()
        leader.kill()
        survivor.write("key", "value")
        assert survivor.get("key") == "value"
