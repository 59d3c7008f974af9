"""kill -9 of leader or follower at random moments while the leader imports: counts stay exact and
digests become equal.

OSIRIS_ROUNDS and OSIRIS_ENTRIES set the counts (10 of 2,000), OSIRIS_WIRE_ROUNDS the rounds over each
of the carriers that share no code with TCP (2), OSIRIS_SEED the random moments."""
import os
import random
import subprocess
import time

import pytest

import carriers
import osiris
import udp_proxy

ROUNDS = int(os.environ.get("OSIRIS_ROUNDS", 10))
ENTRIES = int(os.environ.get("OSIRIS_ENTRIES", 2000))
WIRE_ROUNDS = int(os.environ.get("OSIRIS_WIRE_ROUNDS", 2))
SEED = int(os.environ.get("OSIRIS_SEED", random.randrange(1 << 30)))
ROUNDS_A_PAIR = 10  # then on with empty folders, so that late rounds do not test the disk's size


def write_corpus(path, number):
    """Every tenth entry occurs twice in the file: both count."""
    with open(path, "w") as corpus:
        for i in range(ENTRIES):
            text = i if i % 10 else i + 1
            corpus.write(f'{{"round":{number},"text":"entry {text} {"x" * (i % 300)}"}}\n'
                         if i % 10 > 1 else f'{{"round":{number},"twice":{text}}}\n')


def begin_import(leader, path):
    return subprocess.Popen([osiris.program("osiris"), "--data", leader.data, "kb", "import", path],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def import_all(leader, path):
    process = begin_import(leader, path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def crash_round(chance, leader, victim, path, usual_s):
    """One import with one kill in it; the victim is a daemon, or a broker between the two."""
    process = begin_import(leader, path)
    time.sleep(chance.uniform(0, usual_s))
    victim.kill()
    if victim is not leader and chance.random() < 0.5:
        process.communicate(timeout=120)  # the victim is down until the import has ended
    victim.start()
    process.communicate(timeout=120)
    if process.returncode != 0:
        assert victim is leader, "the import failed although its daemon went on"
    import_all(leader, path)  # adds what is missing, and nothing twice


def run_rounds(link, rounds, folder, make_pair, broker=None):
    """`make_pair` gives a leader and a follower with empty folders, which run and are linked.
    `broker`: it is killed instead of these."""
    chance = random.Random(SEED)
    print(f"OSIRIS_SEED={SEED}")
    killed = {"leader": 0, "follower": 0, "broker": 0}
    usual_s = 0.2
    total = 0
    for number in range(rounds):
        if number % ROUNDS_A_PAIR == 0:
            if number:
                leader.stop()
                follower.stop()
            leader, follower = make_pair(number // ROUNDS_A_PAIR)
            total = 0
        path = folder / f"{number}.jsonl"
        write_corpus(path, number)
        began = time.monotonic()
        name, victim = ("broker", broker) if broker else chance.choice(
            [("leader", leader), ("follower", follower)])
        crash_round(chance, leader, victim, path, usual_s)
        total += ENTRIES
        documents = osiris.wait_until_equal(leader, follower, timeout_s=60)
        assert documents == total, f"round {number}: {documents} documents, not {total}"
        usual_s = 0.7 * usual_s + 0.3 * (time.monotonic() - began) / 2
        killed[name] += 1
        path.unlink()
    print(f"{link}: {rounds} rounds of {ENTRIES} entries: counts exact, digests equal; killed {killed}")
    assert sum(killed.values()) == rounds


# Whoever is killed, whenever: every entry of every import is there exactly once, at both.
@pytest.mark.parametrize("link", ["tcp", "grpc"])
def test_counts_are_exact_and_digests_equal(make_daemon, folder, link):
    def make_pair(number):
        leader = make_daemon(f"leader{number}").listen_somewhere().start()
        return leader, make_daemon(f"follower{number}",
                                   peers=[leader.url.replace("tcp", link)]).start()

    run_rounds(link, ROUNDS, folder, make_pair)


# The same over every other carrier; and with a broker that is killed between two who go on.
@pytest.mark.parametrize("link, victim", [
    ("udp", "instance"), ("zmq", "instance"), ("mqtt", "instance"), ("mqtt", "broker"),
    ("amqp", "instance"), ("amqp", "broker")])
def test_counts_are_exact_over_each_carrier(make_daemon, folder, link, victim):
    with carriers.link(link, folder) as carrier:
        def make_pair(number):
            names = f"leader{number}", f"follower{number}"
            carriers.share_key(*(folder / name for name in names))
            return (make_daemon(names[0], listen=[carrier.url]).start(),
                    make_daemon(names[1], peers=[carrier.url]).start())

        run_rounds(link, WIRE_ROUNDS, folder, make_pair,
                   carrier.broker if victim == "broker" else None)


# The same over UDP while the network loses, doubles and reorders.
def test_counts_are_exact_over_a_bad_network(make_daemon, folder):
    port = osiris.free_port()

    def make_pair(number):
        names = f"leader{number}", f"follower{number}"
        carriers.share_key(*(folder / name for name in names))
        return (make_daemon(names[0], listen=[f"udp://127.0.0.1:{port}?auth=key"]).start(),
                make_daemon(names[1], peers=[f"udp://127.0.0.1:{between.port}?auth=key"]).start())

    with udp_proxy.UdpProxy(port, loses=0.05, doubles=0.05, reorders=0.05) as between:
        run_rounds("udp, one in twenty lost", WIRE_ROUNDS, folder, make_pair)
        assert between.dropped > 0
