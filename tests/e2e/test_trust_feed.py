"""The feed of the stream "trust": what the CA's instance says of members and revocations is in force
at every member, also at those that are linked with others alone."""
import re
import subprocess

import pytest

import joining
import osiris

CLUSTER = "lab"


@pytest.fixture
def first(make_daemon):
    """The CA's instance."""
    daemon = make_daemon("first")
    daemon.port = osiris.free_port()
    subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", str(daemon.data),
                    "--cluster", CLUSTER, "--listen", url_of(daemon)], check=True,
                   capture_output=True)
    daemon.start()
    daemon.id = daemon.instance()
    return daemon


@pytest.fixture
def make_member(make_daemon, folder, first):
    """Makes daemons that have joined; not yet started."""
    def make(name, *peers, role=""):
        invitation = first.call("INVITE", role=role)["invitation"]
        daemon = make_daemon(name, peers=[url_of(peer) for peer in peers],
                             flags=["--cluster", CLUSTER])
        daemon.port = osiris.free_port()
        daemon.listen = [url_of(daemon)]
        daemon.member = joining.Joining(folder / name, first, invitation, name)
        daemon.id = daemon.member.instance
        return daemon

    return make


@pytest.fixture
def chain(first, make_member):
    """first - second - third: what first says reaches third through second alone."""
    second = make_member("second", first).start()
    third = make_member("third", second).start()
    return first, second, third


def url_of(daemon):
    return f"tls://127.0.0.1:{daemon.port}"


def credentials(daemon, kind):
    return daemon.call("CREDENTIALS", kind=kind).get("credentials", [])


def rows(daemon, kind):
    return {row["id"]: row for row in credentials(daemon, kind)}


def wait_for_revocation(daemon, who):
    osiris.wait_for(lambda: any(who in (row["id"], row.get("name"))
                                for row in credentials(daemon, "revocation")),
                    f"{daemon.name} knows of the revocation of {who}")


def held(daemon, origin, stream="kb"):
    """How many entries of an origin are held."""
    return max([int(feed.get("sequence", 0)) for feed in daemon.call("FEEDS").get("feeds", [])
                if feed["origin"] == origin and feed["stream"] == stream], default=0)


def linked(daemon):
    return {follower["instance"] for feed in daemon.call("FEEDS").get("feeds", [])
            for follower in feed.get("followers", []) if follower.get("connected")}


def assert_nothing_shows_trust(*daemons):
    """No trust document can be seen anywhere where documents are."""
    for daemon in daemons:
        assert all(document.get("collection", "") != "trust" for document in daemon.documents())
        assert daemon.count() == len(daemon.documents())
        assert all(head["stream"] == "kb" for head in daemon.call("KB_DIGEST").get("feeds", []))
        assert not any("revocation:" in line for line in mirror_lines(daemon))


def mirror_lines(daemon):
    path = daemon.data / "mirror.jsonl"
    return path.read_text().splitlines() if path.exists() else []


# Who joins is a member everywhere, with the serial number of its certificate; no document of it is
# seen by anybody.
def test_members_are_known_everywhere(chain):
    for number, daemon in enumerate(chain):
        daemon.put(f"document {number}")
    osiris.wait_until_equal(*chain)
    first, second, third = chain
    for daemon in chain:
        osiris.wait_for(lambda: third.id in rows(daemon, "member"), f"third is known at {daemon.name}")
        row = rows(daemon, "member")[third.id]
        assert (row["name"], row["roles"], row["serial"], row["state"]) == (
            "third", ["peer"], third.member.serial, "good")
        assert held(daemon, first.id, "trust") > 0
    assert osiris.wait_until_equal(*chain) == 3
    assert_nothing_shows_trust(*chain)


# What is written at a member that only reads would reach nobody: it is refused there, and said so. Before
# anything is known of itself, and at a peer, it is not.
def test_reader_takes_no_writes(first, make_member):
    reader = make_member("reader", first, role="reader").start()
    first.put("from the first")
    osiris.wait_for(lambda: reader.id in rows(reader, "member"), "the reader knows what it is")
    kept = first.documents()[0]["id"]
    writes = [("KB_PUT", {"document": {"data": "x"}}),
              ("KB_UPDATE", {"document": {"id": kept, "data": "x"}}),
              ("KB_DELETE", {"id": kept}),
              ("KB_IMPORT", {"documents": [{"data": "x"}]})]
    osiris.wait_for(lambda: len(reader.documents()) == 1, "the reader has the document")
    for type, fields in writes:
        with pytest.raises(osiris.Failure) as failure:
            reader.call(type, **fields)
        assert failure.value.code == "PERMISSION_DENIED", type
        assert "may not lead the stream kb" in failure.value.frame["message"]
        assert "the role peer" in failure.value.frame["hint"]
    assert [document["data"] for document in reader.documents()] == ["from the first"]
    peer = make_member("peer", first).start()
    osiris.wait_for(lambda: peer.id in rows(peer, "member"), "the peer knows what it is")
    peer.put("from the peer")


# A watcher that begins with the log's first entry is shown documents alone.
def test_watch_passes_over_trust(chain):
    first, second, third = chain
    first.put("before")
    osiris.wait_until_equal(*chain)
    first.call("REVOKE", instance="a" * 32)
    wait_for_revocation(third, f"instance:{'a' * 32}")
    first.put("after")
    osiris.wait_until_equal(*chain)
    with third.client() as client:
        client.ask("KB_WATCH", from_position=1)
        assert [client.receive()["document"]["data"] for _ in range(2)] == ["before", "after"]


# The certificate of a member is revoked: everybody refuses its link and its entries, at once.
def test_revoked_certificate_is_refused_by_its_neighbour(chain):
    first, second, third = chain
    third.put("good")
    osiris.wait_until_equal(*chain)
    reply = first.call("REVOKE", certificate=third.member.serial)
    assert not reply.get("local")
    wait_for_revocation(second, third.member.serial)
    osiris.wait_for(lambda: third.id not in linked(second), "second ends the link")
    third.put("too late")
    osiris.wait_for(lambda: re.search("was revoked", second.log()), "second refuses the handshake")
    assert held(first, third.id) == held(second, third.id) == 1
    assert rows(first, "member")[third.id]["state"] == "revoked"
    assert first.count() == second.count() == 1  # what it wrote before stays


# A whole identity: the one in the middle. What it has passed on stays good.
def test_revoked_instance_is_cut_out(chain):
    first, second, third = chain
    third.put("of the third")
    osiris.wait_until_equal(*chain)
    first.call("REVOKE", instance=second.id)
    osiris.wait_for(lambda: second.id not in linked(first), "first ends the link")
    second.put("too late")
    third.peers = [url_of(first)]
    third.stop()
    third.start()
    wait_for_revocation(third, f"instance:{second.id}")
    osiris.wait_for(lambda: held(third, first.id, "trust") == held(first, first.id, "trust"),
                    "third holds all that first says")
    assert held(first, second.id) == 0
    assert first.count() == 1


# A member that was down during a revocation learns of it before it believes the revoked one.
def test_revocation_reaches_who_was_down(chain):
    first, second, third = chain
    osiris.wait_for(lambda: len(rows(third, "member")) == 2, "third knows the members")
    third.stop()
    first.call("REVOKE", instance=second.id)
    second.stop()
    third.peers = [url_of(first)]
    third.start()
    wait_for_revocation(third, f"instance:{second.id}")
    second.peers = [url_of(third)]
    second.start()
    second.put("too late")
    osiris.wait_for(lambda: re.search("was revoked", third.log()), "third refuses second")
    assert held(third, second.id) == 0 and third.count() == 0


# Whoever was revoked is not let in again under that identity.
def test_revoked_instance_cannot_join_again(first, make_member):
    member = make_member("member")
    first.call("REVOKE", instance=member.id)
    request = member.member.request(first.call("INVITE")["invitation"], "again")
    with pytest.raises(osiris.Failure) as failure:
        first.call("JOIN", **request)
    assert failure.value.code == "UNAUTHENTICATED" and "revoked" in failure.value.frame["message"]


# The role of an invitation is in force at every member, and after all of them have restarted.
def test_role_of_an_invitation_holds_everywhere(first, make_member):
    second = make_member("second", first).start()
    reader = make_member("reader", second, role="reader").start()
    daemons = (first, second, reader)
    for _ in range(2):
        first.put("for all")
        reader.call("UPDATE_KB", data="for nobody")  # as a seed program does, which is not refused
        osiris.wait_for(lambda: held(reader, first.id) == held(first, first.id), "reader follows")
        osiris.wait_for(lambda: held(second, first.id) == held(first, first.id), "second follows")
        assert held(second, reader.id) == held(first, reader.id) == 0
        for daemon in daemons:
            assert rows(daemon, "member")[reader.id]["roles"] == ["reader"]
        for daemon in daemons:
            daemon.stop()
        for daemon in daemons:
            daemon.start()


# A role that nobody has made cannot be given.
def test_invitation_needs_a_role_that_there_is(first):
    with pytest.raises(osiris.Failure) as failure:
        first.call("INVITE", role="emperor")
    assert failure.value.code == "NOT_FOUND"


# Revocations are in force after a restart, whoever is asked.
def test_revocation_survives_restarts(chain):
    first, second, third = chain
    first.call("REVOKE", certificate=third.member.serial)
    wait_for_revocation(second, third.member.serial)
    before = len(second.log())
    for daemon in chain:
        daemon.kill()
    for daemon in (first, second, third):
        daemon.start()
    third.put("too late")
    # In the handshake, or, where third was sooner than the revocation, on the link.
    osiris.wait_for(lambda: re.search("(was|has been) revoked", second.log()[before:]),
                    "second refuses third")
    assert held(second, third.id) == 0
    assert [row["id"] for row in credentials(second, "revocation")] == [third.member.serial]


# At an instance that is not the CA's a revocation stays where it is made, and it is said.
def test_revocation_of_a_member_is_local(chain):
    first, second, third = chain
    reply = second.call("REVOKE", certificate=third.member.serial)
    assert reply["local"]
    osiris.wait_for(lambda: third.id not in linked(second), "second ends the link")
    assert credentials(first, "revocation") == []
    assert held(second, second.id, "trust") == 0


# Invitations are shown everywhere, and are good at the CA's instance alone.
def test_invitations_travel_without_their_secret(chain):
    first, second, _ = chain
    made = first.call("INVITE")
    osiris.wait_for(lambda: made["id"] in rows(second, "invitation"), "second knows the invitation")
    assert rows(second, "invitation")[made["id"]]["state"] == "good"
    first.call("REVOKE", invitation=made["id"])
    osiris.wait_for(lambda: rows(second, "invitation")[made["id"]]["state"].startswith("revoked"),
                    "second knows that it was taken back")
