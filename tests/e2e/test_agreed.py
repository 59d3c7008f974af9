"""What three instances obey because they have agreed on it: revocations made anywhere, one policy,
and the settings of the cluster."""
import hashlib
import re
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import authority
import cluster as clusters
import osiris

READERS = """roles:
  looker:
    - allow: observe
      on: "instance:"
members:
  "user:ana": [looker]
"""
NOBODY = READERS.replace("[looker]", "[]")


@pytest.fixture
def cluster(folder):
    with clusters.Cluster(folder) as made:
        yield made


@pytest.fixture
def three(cluster):
    return cluster.grow(3)


class Holder:
    """user:ana, by a certificate of the cluster's CA."""

    def __init__(self, first, folder):
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(
            key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        issued = first.call("ISSUE", request_pem=request.decode(), who="user:ana", days=3)
        self.serial = issued["serial"]
        self.path = folder / "ana.pem"
        self.path.write_bytes(authority.pem_of_key(key) + issued["certificate_pem"].encode())

    def connect(self, member):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.path)
        return osiris.Client(member.port, tls=context)

    def answer(self, member):
        """OK, the code of the refusal, or "shut out" where it is not even let in."""
        try:
            with self.connect(member) as client:
                client.call("STATUS")
            return "OK"
        except osiris.Failure as failure:
            return "shut out" if failure.code == "UNAUTHENTICATED" else failure.code
        except (OSError, ConnectionError, AssertionError):
            return "shut out"

    def wait_for(self, answer, members):
        for member in members:
            osiris.wait_for(lambda: self.answer(member) == answer,
                            f"{member.name} answers {answer}: {self.answer(member)}")


@pytest.fixture
def ana(three, folder):
    return Holder(three.members[0], folder)


def set_policy(member, text, *words):
    return member.cli("access", "set", "-", *words, input=text)


def revocations(member):
    return [row["id"] for row in
            member.call("CREDENTIALS", kind="revocation").get("credentials", [])]


# ---- revocations ----

# Made at a member that has no CA it holds at all of them, also where the member was down; and its
# maker is told so.
def test_revocation_at_any_member_reaches_all(three, ana):
    first, second, third = three
    set_policy(first, READERS)
    ana.wait_for("OK", three)
    third.kill()
    assert second.cli.run("ca", "revoke", ana.serial).stdout == "revoked\n"
    ana.wait_for("shut out", (first, second))
    third.start()
    ana.wait_for("shut out", three)
    for member in three:
        assert revocations(member) == [ana.serial]
        member.kill()
    for member in three:
        member.start()
    ana.wait_for("shut out", three)
    assert all(revocations(member) == [ana.serial] for member in three)


# All certificates of an instance, likewise: nobody lets it in any more.
def test_revoked_instance_is_shut_out_by_all(three):
    first, second, third = three
    assert not second.call("REVOKE", instance=third.instance()).get("local")
    osiris.wait_for(lambda: "instance:" + third.instance() in revocations(first),
                    "first knows of it")
    for member in (first, second):
        osiris.wait_for(lambda: not member.status().members[third_id(member, third)].get("reachable"),
                        f"{member.name} ends the link")


def third_id(member, third):
    return next(number for number, row in member.status().members.items()
                if row["instance"] == third.instance())


# Without a majority it is in force here, and it is said that this is all.
def test_revocation_without_a_majority_is_local(three, ana):
    first, second, third = three
    set_policy(first, READERS)
    ana.wait_for("OK", (second,))
    first.kill()
    third.kill()
    assert second.call("REVOKE", certificate=ana.serial)["local"]
    ana.wait_for("shut out", (second,))
    first.start()
    third.start()


# The CA's instance answers without a majority, as those hear of it who follow its feed.
def test_authority_does_not_wait(three, ana):
    first, second, third = three
    second.kill()
    third.kill()
    assert not first.call("REVOKE", certificate=ana.serial, timeout_s=3).get("local")
    second.start()
    third.start()
    osiris.wait_for(lambda: revocations(second) == [ana.serial], "second hears of it")


# ---- the policy ----

# Set at one it holds at all of them: after a restart, and where the member was down.
def test_policy_holds_at_all_members(three, ana):
    first, second, third = three
    ana.wait_for("PERMISSION_DENIED", three)
    third.kill()
    assert set_policy(second, READERS) == "set\n"
    ana.wait_for("OK", (first, second))
    third.start()
    ana.wait_for("OK", three)
    for member in three:
        member.kill()
    for member in three:
        member.start()
    ana.wait_for("OK", three)
    shown = third.cli("access", "show")
    assert shown == "# agreed, and in force here\n" + READERS
    assert set_policy(third, shown.replace("[looker]", "[]")) == "set\n"
    ana.wait_for("PERMISSION_DENIED", three)
    assert set_policy(third, "") == "set\n"
    osiris.wait_for(lambda: "the defaults hold" in first.cli("access", "show"), "first has defaults")


# What stands in a file on the spot goes first, and it is said which one holds; without it the agreed
# one holds again.
def test_own_file_goes_first(three, ana):
    first, second, third = three
    config = second.data / "osirisd.yaml"
    before = config.read_text()
    own = "".join("  " + line for line in NOBODY.splitlines(keepends=True))
    config.write_text(before + "access:\n" + own)
    second.cli("reload")
    assert "obeys the section access of its own config file all the same" in \
        set_policy(second, READERS)
    ana.wait_for("OK", (first, third))
    ana.wait_for("PERMISSION_DENIED", (second,))
    assert second.call("ACCESS_SHOW")["in_force"] == "own-file"
    assert second.call("ACCESS_SHOW")["yaml"] == READERS
    second.kill()
    second.start()
    ana.wait_for("PERMISSION_DENIED", (second,))
    config.write_text(before)
    second.cli("reload")
    ana.wait_for("OK", (second,))
    assert second.call("ACCESS_SHOW")["in_force"] == "agreed"
    assert re.search("access: the config file's own section holds here", second.log())


# A slip of the pen is refused: what is no policy, and what would cut the members' links.
def test_bad_policies_are_refused(three):
    first, second, _ = three
    said = second.cli.fails(64, "access", "set", "-", input="rolls: {}\n")
    assert "rolls" in said and "roles" in said
    cut = 'members:\n  "instance:*": []\n'
    said = second.cli.fails(64, "access", "set", "-", input=cut)
    assert "could not link and vote any more" in said and "--yes" in said
    with pytest.raises(osiris.Failure) as failure:
        second.call("ACCESS_SET", yaml="#" * (65 << 10))
    assert failure.value.code == "TOO_LARGE"
    assert first.call("ACCESS_SHOW")["in_force"] == "default"


# Nobody takes the right to set it from oneself unless it is meant.
def test_policy_that_shuts_out_who_sets_it(three, ana):
    first, second, _ = three
    trusted = READERS.replace("allow: observe", "allow: [observe, trust]")
    set_policy(first, trusted)
    ana.wait_for("OK", (second,))
    with ana.connect(second) as client:
        with pytest.raises(osiris.Failure) as failure:
            client.call("ACCESS_SET", yaml=READERS)
        assert failure.value.code == "INVALID_ARGUMENT"
        assert "user:ana could not set a policy" in failure.value.frame["message"]
        client.call("ACCESS_SET", yaml=trusted + "# as before\n")
        client.call("ACCESS_SET", yaml=READERS, even_if_shut_out=True)
        with pytest.raises(osiris.Failure) as failure:
            client.call("ACCESS_SET", yaml=trusted)
        assert failure.value.code == "PERMISSION_DENIED"
    records = [record for frame in second.client().stream("AUDIT")
               for record in frame.get("records", [])]
    assert [(record["who"], record["why"]) for record in records if record.get("part") == "policy:"] == [
        ("user:ana", "SHA-256 " + hashlib.sha256(text.encode()).hexdigest())
        for text in (trusted + "# as before\n", READERS)]


# ---- settings ----

# They are shown as they hold, everywhere; what is no setting, or no value of it, is refused.
def test_settings_are_shown_and_checked(three):
    first, second, third = three
    rows = {row["name"]: row for row in second.cli.json("cluster", "settings")}
    assert rows["join"]["value"] == "automatic" and rows["join"]["by_default"]
    assert rows["voters-max"]["value"] == "7"
    assert second.cli("cluster", "set", "voters-max", "5") == "set\n"
    osiris.wait_for(lambda: re.search(r"voters-max +5\n", third.cli("cluster", "settings")),
                    "third knows it")
    assert "voters-max" in first.cli.fails(64, "cluster", "set", "voter-max", "5")
    assert "1 to 7" in first.cli.fails(64, "cluster", "set", "voters-max", "many")
    assert "`osiris cluster settings` lists them" in first.cli.fails(64, "cluster", "set", "foo", "bar")
    shown = first.cli("cluster", "settings").splitlines()
    assert shown[0] == "join        automatic (by default)" and max(map(len, shown)) <= 80
    assert [line.strip() for line in shown[1::2]] == [row["meaning"] for row in rows.values()]
    first.cli("cluster", "set", "voters-max", "")
    assert {row["name"]: row for row in first.cli.json("cluster", "settings")}[
        "voters-max"]["by_default"]


# By hand: who joins waits until somebody adds it.
def test_join_by_hand(cluster):
    first = cluster.found()
    cluster.leader()
    first.cli("cluster", "set", "join", "by-hand")
    second = cluster.join()
    osiris.wait_for(lambda: second.status().role == "waiting", "second waits")
    time.sleep(2)  # it asks again and again meanwhile
    assert len(first.status().members) == 1
    osiris.wait_for(lambda: first.cli.run("cluster", "add", second.name).returncode == 0,
                    "second is added")
    cluster.wait_for_voters()


# Past so many voters who joins stays a learner, until somebody lets it vote.
def test_voters_max(cluster):
    first = cluster.found()
    cluster.leader()
    first.cli("cluster", "set", "voters-max", "2")
    second = cluster.join()
    cluster.wait_for_voters()
    third = cluster.join()
    osiris.wait_for(lambda: first.status().learners() == {third.name}, "third is a learner")
    cluster.wait_until_caught_up(third)
    assert first.status().voters() == {first.name, second.name}
    assert not any(row.get("promoted") for row in first.status().members.values()
                   if row["standing"] == "LEARNER")
    first.cli("cluster", "promote", third.name)
    cluster.wait_for_voters()
