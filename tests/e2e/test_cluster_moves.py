"""Members that move to other addresses and are renamed: all the others know soon, and it stays so."""
import time

import pytest

import cluster as clusters
import network
import osiris


@pytest.fixture
def cluster(folder):
    with clusters.Cluster(folder) as made:
        yield made


def restart(member, *flags):
    member.kill()
    member.flags = list(flags)
    member.start()


def known_addresses(asked, member):
    """Where `member` is, as `asked` says."""
    row, = [row for row in asked.cli.json("cluster", "members") if row["name"] == member.name]
    return row.get("addresses", [])


def all_know(cluster, member, address):
    return all(known_addresses(each, member) == [address] for each in cluster)


def move(member):
    member.port = osiris.free_port()
    member.link = f"tls://127.0.0.1:{member.port}"
    restart(member, "--listen", member.link)


def join_without_listening(cluster):
    member = cluster.make()
    member.cli(*cluster.invite(), "--name", member.name, "--no-start")
    cluster.members.append(member.start())
    cluster.wait_for_voters()
    return member


def reaches(member, other):
    row, = [row for row in member.cli.json("cluster", "members") if row["name"] == other.name]
    return row.get("reachable", False)


# One that moves is found at its new address, also by one that it cannot dial: that has it from the
# configuration alone. The same goes where it is the leader that moves; and where the one that it
# cannot dial leads, the third of them tells that one.
@pytest.mark.parametrize("leads", ["who stays", "who moves", "whom it cannot dial"])
def test_who_moves_is_found(cluster, leads):
    cluster.grow(3)
    quiet = join_without_listening(cluster)
    moved = cluster.members[2]  # which the quiet one has not been told of by its invitation
    target = {"who stays": cluster.members[0], "who moves": moved,
              "whom it cannot dial": quiet}[leads]
    for member in cluster.members[:3]:
        osiris.wait_for(lambda: reaches(quiet, member), "the quiet one has dialled them")
    cluster.hand_over(target)
    assert known_addresses(quiet, quiet) == []

    move(moved)
    osiris.wait_for(lambda: all_know(cluster, moved, moved.link), "all know where it is")
    osiris.wait_for(lambda: reaches(quiet, moved), "the quiet one has dialled it there")
    cluster.wait_for_voters()
    restart(quiet)  # which knows nothing but what is stored
    osiris.wait_for(lambda: reaches(quiet, moved), "it finds it again")


# Who was away while one moved that leads, and that it can neither dial nor be dialled by, hears from
# the others where that is.
def test_who_was_away_finds_a_leader_that_moved(cluster):
    cluster.grow(3)
    quiet = join_without_listening(cluster)
    moved = cluster.members[2]
    quiet.kill()
    move(moved)
    others = cluster.members[:3]
    osiris.wait_for(lambda: all(known_addresses(each, moved) == [moved.link] for each in others),
                    "the others know where it is")
    cluster.hand_over(moved)
    assert known_addresses(moved, quiet) == []
    quiet.start()
    osiris.wait_for(lambda: all_know(cluster, moved, moved.link), "it knows where the leader is")
    cluster.wait_for_voters()


# One that was renamed goes by its new name, at each of them and in each command.
def test_who_is_renamed_goes_by_its_new_name(cluster):
    cluster.grow(3)
    for member, name in zip([cluster.followers()[0], cluster.leader()], ["archive", "desk"]):
        old = member.name
        restart(member, "--name", name)
        member.name = name
        cluster.wait_for_voters()
        osiris.wait_for(lambda: cluster.leader().cli.run("cluster", "transfer", name).returncode == 0,
                        f"{name} leads")
        assert "NOT_FOUND" in member.cli.fails(1, "cluster", "transfer", old)


def updates(cluster):
    return [line for member in cluster for line in member.log().splitlines()
            if "ledger: member " in line and " now, at " in line]


# Nothing is written down twice: a cluster in which nothing changes changes nothing, and what another
# leader sees is the same.
def test_what_is_known_stays(cluster):
    cluster.grow(3)
    assert not updates(cluster)
    for member in cluster:
        cluster.hand_over(member)
        last = member.status().last
        time.sleep(3)  # it looks every second
        assert member.status().last == last and cluster.find_leader() is member
    assert not updates(cluster)


class OpenCluster(clusters.Cluster):
    """Each of them listens at all addresses of its machine."""

    def make(self):
        member = super().make()
        member.seen = member.link
        member.link = f"tls://0.0.0.0:{member.port}"
        return member


# Who listens at all addresses is known by the one that a leader sees, also the founder, whom nobody
# had seen, and whoever leads then.
def test_who_listens_everywhere_is_known_where_it_is_seen(folder):
    reason = network.why_not()
    if reason is not None:
        pytest.skip(reason)
    with network.Network() as net, OpenCluster(folder, net) as cluster:
        cluster.grow(3)

        def lead_by_turns():
            for member in cluster:
                cluster.hand_over(member)
                time.sleep(3)  # it looks every second

        lead_by_turns()
        assert all(all_know(cluster, member, member.seen) for member in cluster)
        before = updates(cluster)
        assert len(before) == 1  # of the founder
        lead_by_turns()
        assert updates(cluster) == before
