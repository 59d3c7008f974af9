"""Instances that keep in step over UDP, directly and through a network that is as bad as networks
get."""
import base64
import os

import pytest

import authority
import osiris
import udp_proxy

CLUSTER = "osiris"
SECRET = "pineapple-on-the-wire"


@pytest.fixture(scope="module")
def ca():
    return authority.Authority(CLUSTER)


@pytest.fixture
def make_member(make_daemon, folder):
    """Makes daemons with an identity and a certificate, that listen with UDP and link with others."""
    def make(name, ca, auth="certificate", peers=()):
        port = osiris.free_port()
        made = authority.Member(folder / name, ca)
        daemon = make_daemon(name, listen=[f"udp://127.0.0.1:{port}?auth={auth}"], peers=list(peers))
        daemon.port, daemon.member = port, made
        return daemon

    return make


def url_of(port, parameters=""):
    return f"udp://127.0.0.1:{port}{parameters}"


def import_numbers(daemon, first, count, batch=250):
    with daemon.client() as client:
        for start in range(first, first + count, batch):
            client.call("KB_IMPORT", documents=[
                {"data": f"{SECRET} {number}", "id": f"{daemon.name}-{number:06}"}
                for number in range(start, min(start + batch, first + count))])


# Two instances with certificates of one CA hold the same, also after one of them was killed.
def test_instances_replicate(make_member, ca):
    one = make_member("one", ca).start()
    two = make_member("two", ca, peers=[url_of(one.port)]).start()
    import_numbers(one, 0, 2000)
    two.put("written at two")
    assert osiris.wait_until_equal(one, two) == 2001
    two.kill()
    one.put("written while two was away")
    two.start()
    assert osiris.wait_until_equal(one, two) == 2002
    one.kill()
    two.put("written while one was away")
    one.start()
    assert osiris.wait_until_equal(one, two, timeout_s=60) == 2003


# Through loss, doubles, another order, the smallest datagrams and a port that changes under way all
# of it arrives, once, and nothing of it can be read.
@pytest.mark.parametrize("network", [
    {},
    {"loses": 0.05, "doubles": 0.05, "reorders": 0.05},
    {"size_max": 548},
    {"loses": 0.3, "doubles": 0.1, "reorders": 0.1, "size_max": 548},
], ids=["good", "bad", "small", "worst"])
def test_any_network_will_do(make_member, ca, network):
    count = 100 if network.get("loses", 0) > 0.1 else 1000
    one = make_member("one", ca).start()
    with udp_proxy.UdpProxy(one.port, **network) as between:
        two = make_member("two", ca, peers=[url_of(between.port)]).start()
        import_numbers(one, 0, count)
        import_numbers(two, 0, count)
        between.move()
        one.put("after the move")
        assert osiris.wait_until_equal(one, two, timeout_s=120) == 2 * count + 1
        seen = between.capture()
    assert len(seen) > count * len(SECRET)
    assert SECRET.encode() not in seen and CLUSTER.encode() * 2 not in seen
    assert base64.b64encode(SECRET.encode())[:-4] not in seen
    if network:
        assert between.dropped > 0


def write_keys(folder, *names_and_secrets):
    text = "".join(f"{name} {base64.b64encode(secret).decode()}\n"
                   for name, secret in names_and_secrets)
    authority.write_private(folder / "trust" / "psk", text.encode())


# A shared key alone makes a link; another one under the same name does not, and that is told.
def test_shared_keys(make_daemon, folder):
    secret, other = os.urandom(32), os.urandom(32)
    port = osiris.free_port()
    write_keys(folder / "one", ("office", secret))
    write_keys(folder / "two", ("office", secret))
    write_keys(folder / "three", ("office", other))
    one = make_daemon("one", listen=[url_of(port, "?auth=key")]).start()
    two, three = (make_daemon(name, peers=[url_of(port, "?auth=key")]).start()
                  for name in ("two", "three"))
    two.put("by the key")
    three.put("not by it")
    assert osiris.wait_until_equal(one, two) == 1
    osiris.wait_for_refusals(three, count=1, timeout_s=60)
    assert three.count() == 1 and one.count() == 1
    peer, = three.call("STATUS")["peers"]
    assert 'does not take the shared key "office"' in peer["last_error"]
    assert 'shared key "office" is another one than ours' in one.log()


# Instances without any CA that approve each other's id.
def test_instances_that_are_pinned_link(make_daemon, folder):
    port = osiris.free_port()
    one = make_daemon("one", listen=[url_of(port, "?auth=pin")],
                      flags=["--config", str(folder / "one.yaml")])
    two = make_daemon("two", flags=["--config", str(folder / "two.yaml")])
    (folder / "one.yaml").write_text("")
    (folder / "two.yaml").write_text("")
    ids = [daemon.start().instance() for daemon in (one, two)]
    one.stop(), two.stop()
    (folder / "one.yaml").write_text(f"approved: [{ids[1]}]\n")
    (folder / "two.yaml").write_text(f"approved: [{ids[0]}]\n")
    two.peers = [url_of(port, f"?id={ids[0]}")]
    one.start(), two.start()
    one.put("for the approved")
    assert osiris.wait_until_equal(one, two) == 1
