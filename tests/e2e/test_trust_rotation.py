"""Everything that lets instances and clients in is exchanged while an import runs, each write of
which waits for the other instance: no write fails, no entry is lost, and the link stays the one it
was."""
import os
import threading

import pytest

import authority
import osiris
from test_renewal import make_machine  # noqa: F401
from test_trust import (CLUSTER, ca, links, make_member, reload, url_of,  # noqa: F401
                        write_keys)


class Import:
    """Writes that go on over one connection until they are stopped; each must go well."""

    def __init__(self, client):
        self.client = client
        self.count = 0
        self.failures = []
        self.stopped = threading.Event()
        self.between = []  # what is to be done between two writes
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.stopped.is_set():
                while self.between:
                    self.between.pop()(self.client)
                self.client.call("KB_PUT", document={"data": f"entry {self.count}"}, acks=1)
                self.count += 1
        except (osiris.Failure, OSError) as failure:
            self.failures.append(failure)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        self.client.close()

    def goes_on(self):
        begun = self.count
        osiris.wait_for(lambda: self.count > begun + 20 or self.failures, "the import goes on")
        assert self.failures == []


def connection(daemon):
    """Of its only link: where that came from, with the port of the other end."""
    link, = links(daemon)
    assert link["state"] == "up" and not link.get("dialled")
    return link["url"]


@pytest.fixture
def is_kept():
    """Ends a test: all of it is on both sides, over the link that was there at the beginning."""
    def check(running, before, one, two):
        assert running.failures == []
        assert connection(one) == before
        assert osiris.wait_until_equal(one, two) == running.count

    return check


def linked(one, two):
    osiris.wait_for(lambda: links(one) and links(one)[0]["state"] == "up", "the link")
    return connection(one)


# Certificates and then the CA. A new handshake is by the new CA alone.
@pytest.mark.parametrize("scheme", ["tls", "grpcs"])
def test_rotation_of_the_authority(make_member, ca, is_kept, scheme):  # noqa: F811
    one = make_member("one", ca).start()
    two = make_member("two", ca, peers=[f"{scheme}://127.0.0.1:{one.port}"]).start()
    before = linked(one, two)
    next_ca = authority.Authority(CLUSTER)
    both = ca.pem + next_ca.pem
    with Import(one.client()) as running:
        running.goes_on()
        for daemon in (one, two):  # begin: both believe both
            authority.write_private(daemon.data / "trust" / "authorities.pem", both)
        reload(one, two)
        running.goes_on()
        for daemon in (one, two):  # switch: new certificates, one after the other
            daemon.member.certify(next_ca)
            authority.write_private(daemon.data / "trust" / "authorities.pem", both)
            reload(daemon)
            running.goes_on()
        for daemon in (one, two):  # end
            authority.write_private(daemon.data / "trust" / "authorities.pem", next_ca.pem)
        reload(one, two)
        running.goes_on()
    is_kept(running, before, one, two)
    two.stop()
    two.start()
    one.put("after")
    assert osiris.wait_until_equal(one, two) == running.count + 1


# The same by the commands, with a CA of the cluster's own: the member hears of it over the link.
def test_rotation_by_commands(make_machine, is_kept):  # noqa: F811
    keeper, member = make_machine("keeper"), make_machine("member")
    keeper.run("init", "--name", "keeper", "--listen", keeper.listen[0], "--no-start")
    keeper.start()
    invitation = keeper.run.json("invite")[0]["invitation"]
    member.run("join", invitation, "--name", "member", "--no-start")
    member.start()
    before = linked(keeper, member)
    with Import(keeper.client()) as running:
        for step in "begin", "switch", "end":
            running.goes_on()
            keeper.run("ca", "rotate", step, *(["--force"] if step == "switch" else []))
            running.goes_on()
            member.run("renew")
        running.goes_on()
    is_kept(running, before, keeper, member)


# A shared key, by the overlap of two.
def test_rotation_of_a_shared_key(make_daemon, folder, is_kept):
    old, new = os.urandom(32), os.urandom(32)
    port = osiris.free_port()
    for name in ("one", "two"):
        write_keys(folder / name, ("old", old))
    one = make_daemon("one", listen=[f"tls://127.0.0.1:{port}?auth=key"]).start()
    two = make_daemon("two", peers=[f"tls://127.0.0.1:{port}?auth=key"]).start()
    before = linked(one, two)
    with Import(one.client()) as running:
        for keys in ([("new", new), ("old", old)], [("new", new)]):
            for name, daemon in (("one", one), ("two", two)):
                write_keys(folder / name, *keys)
                reload(daemon)
                running.goes_on()
    is_kept(running, before, one, two)
    two.stop()
    two.start()
    one.put("after")
    assert osiris.wait_until_equal(one, two) == running.count + 1


# The token by which the import itself comes: it shows the next one, and then the first is revoked.
def test_rotation_of_a_token(make_member, ca, is_kept):  # noqa: F811
    one = make_member("one", ca, auth="certificate,token").start()
    two = make_member("two", ca, peers=[url_of(one)]).start()
    before = linked(one, two)
    first, second = (one.call("TOKEN_CREATE", name="import", roles=["editor"]) for _ in range(2))
    client = osiris.Client(one.port, tls=authority.client_context(ca))
    client.call("AUTHENTICATE", token=first["token"])
    with Import(client) as running:
        running.goes_on()
        running.between.append(lambda own: own.call("AUTHENTICATE", token=second["token"]))
        running.goes_on()
        one.call("REVOKE", token=first["id"])
        running.goes_on()
    is_kept(running, before, one, two)


# The import would have noticed: without the second token it ends as the first is revoked.
def test_import_notices_what_goes_wrong(make_member, ca):  # noqa: F811
    one = make_member("one", ca, auth="certificate,token").start()
    two = make_member("two", ca, peers=[url_of(one)]).start()
    linked(one, two)
    made = one.call("TOKEN_CREATE", name="import", roles=["editor"])
    client = osiris.Client(one.port, tls=authority.client_context(ca))
    client.call("AUTHENTICATE", token=made["token"])
    with Import(client) as running:
        running.goes_on()
        one.call("REVOKE", token=made["id"])
        osiris.wait_for(lambda: running.failures, "a failure")
    failure, = running.failures
    assert failure.code == "UNAUTHENTICATED"
