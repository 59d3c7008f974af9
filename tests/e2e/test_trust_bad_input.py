"""Instances that are not what they say, or take what is not theirs: by certificates and proofs that
do not fit together, as relays, as followers, and after they were thrown out."""
import subprocess
import time

import pytest

import authority
import cli
import impostor
import osiris
import tunnel
from test_trust import CLUSTER, ca, links, make_member, url_of, wait_for_log  # noqa: F401


# ---- the right CA, and the wrong instance ----


def greet(daemon, ca, identity, who):
    """What comes to an instance that proves to be `identity`, with a certificate of `who`."""
    shown = b"".join(ca.issue(who))
    with tunnel.Tls(daemon.port, ca=ca.pem, certificate=shown, protocol="osiris/1",
                    options=impostor.TlsPeer.TLS_OPTIONS) as between:
        with impostor.TlsPeer(between.port, identity) as peer:
            peer.greet()
            return peer.expect("ACK", "FETCH", "ERROR").get("code")


# An instance proves to be another one than its certificate says: it is not let in, whoever it is
# that the certificate names. With its own it is.
def test_proof_of_another_instance_than_the_certificates(make_member, ca):  # noqa: F811
    one = make_member("one", ca, config="access:\n  members:\n    'user:ana': peer\n").start()
    thief, victim = impostor.Identity(), impostor.Identity()
    assert greet(one, ca, thief, f"instance:{thief.instance}") is None
    assert greet(one, ca, thief, f"instance:{victim.instance}") == "UNAUTHENTICATED"
    assert greet(one, ca, thief, "user:ana") == "UNAUTHENTICATED"
    wait_for_log(one, f"of instance:{victim.instance}, and the link of instance:{thief.instance}")


# The same for who is dialled: a member of the cluster, but not the one that is meant.
def test_another_member_at_the_address(make_member, ca):  # noqa: F811
    one = make_member("one", ca).start()
    three = make_member("three", ca).start()
    two = make_member("two", ca, peers=[url_of(three, f"?id={one.member.instance}")]).start()
    wait_for_log(two, three.member.instance)
    two.put("for one alone")
    osiris.wait_for_refusals(two)
    assert three.count() == 0 and links(three) == []


# ---- relays and followers ----


class Relay(impostor.Peer):
    """A peer that bears the feed of somebody else."""

    def bear(self, feed):
        """Waits until it is asked for that feed."""
        self.greet()
        self.send("ACK", origin=feed.identity.instance, stream="kb", epoch=1, sequence=2)
        while self.expect("FETCH")["origin"] != feed.identity.instance:
            pass


@pytest.fixture
def relay(daemon):
    with Relay(daemon.port) as peer:
        yield peer


def alter_data(update):
    update["entries"][0]["document"]["data"] = "altered"


def alter_time(update):
    update["entries"][1]["time_ms"] += 1


def drop_the_last(update):
    update["entries"].pop()


def sign_it_oneself(update):
    update["signature"] = impostor.base64_text(impostor.Identity().sign(b"whatever"))


# A relay bears what another one has signed; what it has altered is stored by nobody, and the relay
# is told what is wrong with it.
@pytest.mark.parametrize("alter, code", [
    (None, None),
    (alter_data, "BAD_HASH"), (alter_time, "BAD_HASH"), (drop_the_last, "BAD_HASH"),
    (sign_it_oneself, "BAD_SIGNATURE"),
])
def test_entry_altered_by_a_relay(daemon, relay, alter, code):
    feed = impostor.Feed(impostor.Identity())
    update = feed.update(["one", "two"])
    relay.bear(feed)
    if alter is None:
        relay.send("UPDATE", **update)
        osiris.wait_for(lambda: daemon.count() == 2, "what it bears")
        return
    alter(update)
    relay.send("UPDATE", **update)
    assert relay.expect("ERROR")["code"] == code
    assert relay.is_closed()
    assert daemon.count() == 0


# A follower that may link and not follow is told so when it asks, and sent nothing.
@pytest.mark.parametrize("stream", ["kb", "trust"])
def test_follower_without_leave(make_daemon, folder, stream):
    config = folder / "osirisd.yaml"
    config.write_text("access:\n  roles:\n    guest:\n      - allow: link\n"
                      "        on: 'instance:'\n  members:\n    'instance:*': guest\n")
    daemon = make_daemon(flags=["--config", str(config)]).listen_somewhere().start()
    daemon.put("not for guests")
    with impostor.Peer(daemon.port) as peer:
        peer.greet()
        peer.send("FETCH", origin=daemon.instance(), stream=stream, epoch=1, from_sequence=1)
        frame = peer.expect("ERROR", "UPDATE")
        assert (frame["type"], frame["code"]) == ("ERROR", "PERMISSION_DENIED")


# ---- revoked ----


@pytest.fixture
def headquarters(make_daemon):
    """The CA's instance of a cluster, and its CA."""
    port = osiris.free_port()
    daemon = make_daemon("one", listen=[f"tls://127.0.0.1:{port}"])
    subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", str(daemon.data),
                    "--cluster", CLUSTER], check=True, capture_output=True)
    (daemon.data / "osirisd.yaml").write_text(f"cluster: {CLUSTER}\n")
    daemon.port = port
    daemon.start()
    return daemon, authority.Authority(CLUSTER, daemon.data / "trust")


# `osiris ca revoke` ends the link at once, and there is no other one from then on: the handshake is
# refused. What the instance wrote before stays; what it writes then does not come.
@pytest.mark.parametrize("scheme", ["tls", "grpcs"])
def test_revocation_ends_a_link(headquarters, make_member, scheme):  # noqa: F811
    one, own = headquarters
    two = make_member("two", own, peers=[f"{scheme}://127.0.0.1:{one.port}"]).start()
    with (one.data / "osirisd.yaml").open("a") as config:  # no record was made with its certificate
        config.write(f"access:\n  members:\n    'instance:{two.instance()}': peer\n")
    one.call("RELOAD")
    two.put("written with leave")
    assert osiris.wait_until_equal(one, two) == 1
    shown = (two.data / "trust" / "tls.key").read_bytes() + \
        (two.data / "trust" / "tls.crt").read_bytes()
    begun = time.monotonic()
    cli.Cli("--data", one.data).run("ca", "revoke", authority.serial_of(shown))
    osiris.wait_for(lambda: links(one) == [], "the link has ended", timeout_s=5)
    assert time.monotonic() - begun < 5
    two.put("written without leave")
    wait_for_log(two, "revoked")
    with tunnel.Tls(one.port, ca=own.pem, certificate=shown, protocol="osiris/1") as door:
        with osiris.Client(door.port) as client:
            client.send("STATUS", request_id=1)
            assert client.is_closed()
        assert door.alert() == "certificate revoked"
    assert [document["data"] for document in one.documents()] == ["written with leave"]
