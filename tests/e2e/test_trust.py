"""Trust between real processes: links and clients over TLS, and all who are not let in."""
import base64
import contextlib
import datetime
import os
import re
import signal
import socket
import ssl
import threading
import time

import pytest

import asking
import authority
import osiris
import proxy
import tunnel

CLUSTER = "osiris"
SECRET = "pineapple-on-the-wire"
PASSWORD = "banana-behind-the-door"


@pytest.fixture(scope="module")
def ca():
    return authority.Authority(CLUSTER)


@pytest.fixture
def make_member(make_daemon, folder):
    """Makes daemons with an identity and a certificate, that listen with TLS and link with others."""
    def make(name, ca, auth="certificate", peers=(), config="", **member):
        listen = osiris.free_port()
        made = authority.Member(folder / name, ca, **member)
        path = folder / f"{name}.yaml"
        path.write_text(config)
        daemon = make_daemon(name, listen=[f"tls://127.0.0.1:{listen}?auth={auth}"],
                             peers=list(peers), flags=["--config", str(path)])
        daemon.port, daemon.member = listen, made
        return daemon

    return make


def url_of(daemon, parameters=""):
    return f"tls://127.0.0.1:{daemon.port}{parameters}"


def links(daemon):
    return daemon.call("STATUS").get("peers", [])


def wait_for_log(daemon, pattern):
    return osiris.wait_for(lambda: re.search(pattern, daemon.log()), f"{pattern} in {daemon.name}'s log")


def assert_never_linked(daemon, other):
    """The other dials, and is refused again and again."""
    daemon.put("of the one")
    other.put("of the other")
    osiris.wait_for_refusals(other)
    assert daemon.count() == 1 and other.count() == 1


# ---- links ----


# Two instances with certificates of one CA hold the same, also after one of them was killed.
def test_instances_replicate_over_tls(make_member, ca):
    one = make_member("one", ca).start()
    two = make_member("two", ca, peers=[url_of(one)]).start()
    one.put("written at one")
    two.put("written at two")
    assert osiris.wait_until_equal(one, two) == 2
    two.kill()
    one.put("written while two was away")
    two.start()
    assert osiris.wait_until_equal(one, two) == 3
    one.kill()
    two.put("written while one was away")
    one.start()
    assert osiris.wait_until_equal(one, two) == 4


# A link over TLS that is cut in the middle of an import comes back, and nothing is lost or doubled.
def test_link_survives_cuts(make_member, ca):
    one = make_member("one", ca).start()
    with proxy.Proxy(one.port) as between:
        two = make_member("two", ca, peers=[f"tls://127.0.0.1:{between.port}"]).start()
        with one.client() as client:
            for first in range(0, 5000, 500):
                client.call("KB_IMPORT", documents=[{"data": f"{number} {'x' * 500}"}
                                                    for number in range(first, first + 500)])
                between.cut()
        assert osiris.wait_until_equal(one, two) == 5000


# What is sent over a link does not occur in a capture of it; over plaintext it does.
@pytest.mark.parametrize("scheme", ["tls", "grpcs", "tcp"])
def test_nothing_can_be_read_on_the_way(make_member, ca, scheme):
    one = make_member("one", ca)
    if scheme == "tcp":
        one.listen_somewhere()
    one.start()
    with proxy.Proxy(one.port) as between:
        two = make_member("two", ca, peers=[f"{scheme}://127.0.0.1:{between.port}"]).start()
        one.call("KB_PUT", document={"data": SECRET, "collection": "fruit-bowl"})
        two.put(SECRET)
        osiris.wait_until_equal(one, two)
        capture = between.capture()
    words = [SECRET, "fruit-bowl", two.member.instance, f"instance:{one.member.instance}"]
    found = [word for word in words[:3] if word.encode() in capture]
    assert found == (words[:3] if scheme == "tcp" else [])
    assert words[3].encode() not in capture  # certificates are encrypted, too


# The same for clients: neither their documents nor what they show can be read; in plaintext all of it
# could.
@pytest.mark.parametrize("language", [asking.JsonFrames, asking.Grpc])
@pytest.mark.parametrize("is_secure", [True, False])
def test_nothing_of_clients_can_be_read_on_the_way(make_member, ca, is_secure, language):
    one = make_member("one", ca, auth="token,password")
    if not is_secure:
        one.listen_somewhere()
    one.start()
    one.call("USER_PUT", user="ana", password=PASSWORD, roles=["editor"])
    token = one.call("TOKEN_CREATE", name="ci", roles=["editor"])["token"]
    is_grpc = language is asking.Grpc
    put, login = ("Knowledge.Put", "Trust.Login") if is_grpc else ("KB_PUT", "LOGIN")
    with contextlib.ExitStack() as stack:
        between = stack.enter_context(proxy.Proxy(one.port))
        where = between.port
        if is_secure:
            where = stack.enter_context(tunnel.Tls(where, ca=ca.pem,
                                                   protocol="h2" if is_grpc else "osiris/1")).port
        asker = language(where)
        stack.callback(asker.close)
        assert asker.ask(login, {"user": "ana", "password": PASSWORD}) == asking.OK
        assert asker.show_token(token) == asking.OK
        document = {"data": asking.Data(f'"{SECRET}"'), "collection": "fruit-bowl"}
        assert asker.ask(put, {"document": document}) == asking.OK
        capture = between.capture()
    words = [SECRET, "fruit-bowl", PASSWORD, token]
    found = [word for word in words if word.encode() in capture]
    assert found == ([] if is_secure else words)


# Instances without any CA that approve each other's id, for as long as both do: a reload that takes one out
# ends its link.
def test_instances_that_are_pinned_link(make_daemon, folder):
    ports = [osiris.free_port() for _ in range(3)]
    daemons = []
    for name, port in zip(("one", "two", "three"), ports):
        daemons.append(make_daemon(name, listen=[f"tls://127.0.0.1:{port}?auth=pin"],
                                   flags=["--config", str(folder / f"{name}.yaml")]))
        (folder / f"{name}.yaml").write_text("")
    ids = []
    for daemon in daemons:
        ids.append(daemon.start().instance())
        daemon.stop()
    one, two, three = daemons
    (folder / "one.yaml").write_text(f"approved: [{ids[1]}]\n")
    (folder / "two.yaml").write_text(f"approved: [{ids[0]}]\n")
    (folder / "three.yaml").write_text(f"approved: [{ids[0]}]\n")
    two.peers = three.peers = [f"tls://127.0.0.1:{ports[0]}?id={ids[0]}"]
    for daemon in daemons:
        daemon.start()
    one.put("for the approved")
    assert osiris.wait_until_equal(one, two) == 1
    osiris.wait_for_refusals(three)
    assert three.count() == 0
    (folder / "one.yaml").write_text("")
    one.call("RELOAD")
    osiris.wait_for_refusals(two)
    one.put("for nobody")
    assert two.count() == 1


def write_keys(folder, *names_and_secrets):
    text = "".join(f"{name} {base64.b64encode(secret).decode()}\n"
                   for name, secret in names_and_secrets)
    authority.write_private(folder / "trust" / "psk", text.encode())


# A shared key alone makes a link; a wrong one under the same name does not; two at a time do while
# one replaces the other.
def test_shared_keys(make_daemon, folder):
    old, new = os.urandom(32), os.urandom(32)
    port = osiris.free_port()
    write_keys(folder / "one", ("new", new), ("old", old))
    write_keys(folder / "two", ("old", old))
    write_keys(folder / "three", ("new", new))
    write_keys(folder / "four", ("old", new))
    one = make_daemon("one", listen=[f"tls://127.0.0.1:{port}?auth=key"]).start()
    two, three, four = (make_daemon(name, peers=[f"tls://127.0.0.1:{port}?auth=key"]).start()
                        for name in ("two", "three", "four"))
    two.put("by the old key")
    three.put("by the new key")
    assert osiris.wait_until_equal(one, two, three) == 2
    osiris.wait_for_refusals(four)
    assert four.count() == 0


# ---- instances that are not let in ----


# Those of another CA do not come to a link, and each side says whom it does not believe.
def test_another_authority_is_not_believed(make_member, ca):
    one = make_member("one", ca).start()
    two = make_member("two", authority.Authority(CLUSTER), peers=[url_of(one)]).start()
    wait_for_log(two, "CA")
    assert_never_linked(one, two)


# Certificates that have expired, or are not valid yet, do not let in; the log says which and when.
@pytest.mark.parametrize("begins, ends, word", [(-9, -2, "expired"), (2, 9, "not valid")])
def test_certificate_out_of_its_time(make_member, ca, begins, ends, word):
    now = authority.now()
    one = make_member("one", ca).start()
    context = authority.client_context(ca, f"instance:{one.member.instance}",
                                       begins=now + datetime.timedelta(days=begins),
                                       ends=now + datetime.timedelta(days=ends))
    assert is_refused(one, context)
    wait_for_log(one, word)


# A certificate for another instance is refused at the start, before anybody could be deceived.
def test_certificate_of_another_instance(make_member, ca, folder):
    one = make_member("one", ca, who="instance:" + "a" * 32)
    one.launch()
    assert one.process.wait(osiris.WAIT_S) == 78
    one.process = None
    assert "CONFIG: tls.crt is for instance:" + "a" * 32 in one.log()


# One of the CA that names another cluster is refused.
def test_certificate_of_another_cluster(make_member, ca):
    one = make_member("one", ca).start()
    other = authority.Authority("elsewhere")
    other.key, other.certificate = ca.key, ca.certificate
    assert is_refused(one, authority.client_context(ca_named(other, ca), "user:ana"))


def ca_named(other, ca):
    """Issues for the other cluster, and believes the same CA."""
    assert other.pem == ca.pem
    return other


# A key file that others can read is refused, with the command that mends it.
@pytest.mark.parametrize("name", ["identity.key", "trust/tls.key", "trust/psk", "trust/ca.key"])
def test_key_that_others_can_read(make_member, ca, name):
    one = make_member("one", ca)
    write_keys(one.data, ("winter", os.urandom(32)))
    authority.write_private(one.data / "trust" / "ca.key", authority.pem_of_key(ca.key))
    authority.write_private(one.data / "trust" / "ca.crt", ca.pem)
    (one.data / name).chmod(0o644)
    one.launch()
    assert one.process.wait(osiris.WAIT_S) != 0
    one.process = None
    assert re.search(rf"chmod [\w=,-]+ \S*{name}", one.log())
    (one.data / name).chmod(0o600)
    one.start()


# ---- clients ----


def is_refused(daemon, context):
    """Whether a client never gets an answer; and others still do."""
    try:
        with osiris.Client(daemon.port, tls=context) as client:
            client.call("STATUS")
        answered = True
    except osiris.Failure as failure:
        answered = failure.code not in ("UNAUTHENTICATED", "WRONG_CLUSTER")
    except (OSError, ConnectionError):
        answered = False
    daemon.call("STATUS")
    return not answered


# A client by certificate has what its roles allow, and no more.
def test_certificate_has_its_roles(make_member, ca):
    one = make_member("one", ca, config="access:\n  members:\n    'user:ana': reader\n").start()
    with osiris.Client(one.port, tls=authority.client_context(ca, "user:ana")) as client:
        client.call("KB_LIST")
        with pytest.raises(osiris.Failure) as failure:
            client.call("KB_PUT", document={"data": "no"})
        assert failure.value.code == "PERMISSION_DENIED"
    with osiris.Client(one.port, tls=authority.client_context(ca, "user:ben")) as client:
        with pytest.raises(osiris.Failure) as failure:
            client.call("KB_LIST")
        assert failure.value.code == "PERMISSION_DENIED"


# Without a certificate nobody gets through the handshake of a listener that wants one.
def test_no_certificate(make_member, ca):
    one = make_member("one", ca).start()
    assert is_refused(one, authority.client_context(ca))


# TLS 1.2 is not spoken, and the log says so.
def test_older_tls_is_refused(make_member, ca):
    one = make_member("one", ca).start()
    context = authority.client_context(ca, "user:ana", version=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(OSError), osiris.Client(one.port, tls=context):
        pass
    wait_for_log(one, r"TLS 1\.[23]|TLS version|protocol")


# Neither is an application protocol that is not ours.
def test_foreign_protocol_is_refused(make_member, ca):
    one = make_member("one", ca).start()
    with pytest.raises(OSError), osiris.Client(
            one.port, tls=authority.client_context(ca, "user:ana", protocol="http/1.1")):
        pass


# Who speaks in plaintext to a TLS port gets no answer in plaintext.
def test_plaintext_to_a_tls_port(make_member, ca):
    one = make_member("one", ca).start()
    with osiris.Client(one.port) as client:
        client.send("STATUS", request_id=1)
        assert client.is_closed()
    one.call("STATUS")


# A token lets in until it is revoked; then it is worth nothing, also on connections that are up.
def test_token_until_it_is_revoked(make_member, ca):
    one = make_member("one", ca, auth="token").start()
    made = one.call("TOKEN_CREATE", name="ci", roles=["reader"])
    context = authority.client_context(ca)
    with osiris.Client(one.port, tls=context) as client:
        with pytest.raises(osiris.Failure):
            client.call("KB_LIST")
        assert client.call("AUTHENTICATE", token=made["token"])["who"] == "token:ci"
        client.call("KB_LIST")
        one.call("REVOKE", token=made["id"])
        with pytest.raises((osiris.Failure, OSError)):
            client.call("KB_LIST")
    with osiris.Client(one.port, tls=context) as client:
        with pytest.raises(osiris.Failure) as failure:
            client.call("AUTHENTICATE", token=made["token"])
        assert failure.value.code == "UNAUTHENTICATED"
    assert made["token"] not in one.log()


# Half-open handshakes by the hundred cost nobody else anything.
def test_half_open_handshakes(make_member, ca):
    one = make_member("one", ca, config="access:\n  members:\n    'user:ana': reader\n").start()
    idle = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(200)]
    try:
        for connection in idle[::2]:
            connection.sendall(bytes.fromhex("16030102000100"))  # the beginning of a ClientHello
        begun = time.monotonic()
        with osiris.Client(one.port, tls=authority.client_context(ca, "user:ana")) as client:
            client.call("KB_LIST")
        assert time.monotonic() - begun < 5
    finally:
        for connection in idle:
            connection.close()
    one.call("STATUS")


# ---- reload ----


# New certificates, and another CA beside the old one, hold from SIGHUP on; links that are up stay up,
# and what does not fit together changes nothing.
def test_reload_changes_certificates(make_member, ca):
    config = "access:\n  members:\n    'user:*': reader\n"
    one = make_member("one", ca, config=config).start()
    two = make_member("two", ca, peers=[url_of(one)]).start()
    one.put("before")
    osiris.wait_until_equal(one, two)

    next_ca = authority.Authority(CLUSTER)
    one.member.certify(next_ca, believes=None)
    both = ca.pem + next_ca.pem
    authority.write_private(one.data / "trust" / "authorities.pem", both)
    one.process.send_signal(signal.SIGHUP)

    def is_new():
        context = authority.client_context(next_ca, "user:ana")
        try:
            with osiris.Client(one.port, tls=context) as client:
                client.call("KB_LIST")
            return True
        except OSError:
            return False

    osiris.wait_for(is_new, "the new certificate")
    two.put("after")
    assert osiris.wait_until_equal(one, two) == 2

    authority.write_private(one.data / "trust" / "tls.key", b"no key\n")
    one.process.send_signal(signal.SIGHUP)
    wait_for_log(one, r"tls\.key")
    assert is_new()


# ---- under way ----


def reload(*daemons):
    for daemon in daemons:
        daemon.call("RELOAD")


# An instance that has lost its roles is linked with no more; what it writes then gets nowhere, not
# by a third one that has not heard of it either; and what it wrote before stays.
def test_instance_without_leave_gets_nowhere(make_member, ca, folder):
    one = make_member("one", ca).start()
    relay = make_member("relay", ca, peers=[url_of(one)]).start()
    thief = make_member("thief", ca, peers=[url_of(one), url_of(relay)]).start()
    thief.put("written with leave")
    assert osiris.wait_until_equal(one, relay, thief) == 1
    (folder / "one.yaml").write_text(
        "access:\n  roles:\n    shut-out:\n"
        "      - deny: [link, follow, lead]\n        on: '*'\n"
        f"  members:\n    'instance:{thief.member.instance}': shut-out\n")
    reload(one)
    thief.put("written without leave")
    osiris.wait_for(lambda: relay.count() == 2, "the relay, which has not heard of it")
    relay.put("of the relay")
    osiris.wait_for(lambda: one.count() == 2, "what the relay wrote itself")
    relay.put("of the relay, later")
    osiris.wait_for(lambda: one.count() == 3, "what the relay wrote after that")
    assert sorted(document["data"] for document in one.documents()) == [
        "of the relay", "of the relay, later", "written with leave"]
    (folder / "one.yaml").write_text("")
    reload(one)
    assert osiris.wait_until_equal(one, relay, thief) == 4


# Handshakes as fast as one can make them do not keep others from their work.
def test_flood_of_handshakes(make_member, ca):
    one = make_member("one", ca, config="access:\n  members:\n    'user:ana': editor\n").start()
    stopped = threading.Event()
    stranger = authority.client_context(ca)

    def flood():
        while not stopped.is_set():
            try:
                osiris.Client(one.port, tls=stranger).close()
            except OSError:
                pass  # it has no certificate

    threads = [threading.Thread(target=flood) for _ in range(8)]
    with osiris.Client(one.port, tls=authority.client_context(ca, "user:ana")) as client:
        for thread in threads:
            thread.start()
        try:
            begun = time.monotonic()
            for number in range(50):
                client.call("KB_PUT", document={"data": number})
            took = time.monotonic() - begun
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
    assert took < 15
    assert one.count() == 50
