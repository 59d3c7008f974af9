"""kill -9 of leader or follower at random moments while the leader imports: counts stay exact and
digests become equal.

OSIRIS_ROUNDS and OSIRIS_ENTRIES set the counts (10 of 2,000), OSIRIS_SEED the random moments."""
import os
import random
import subprocess
import time

import pytest

import osiris

ROUNDS = int(os.environ.get("OSIRIS_ROUNDS", 10))
ENTRIES = int(os.environ.get("OSIRIS_ENTRIES", 2000))
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


def crash_round(chance, leader, follower, path, usual_s):
    """One import with one kill in it."""
    victim = chance.choice([leader, follower])
    process = begin_import(leader, path)
    time.sleep(chance.uniform(0, usual_s))
    victim.kill()
    if victim is follower and chance.random() < 0.5:
        process.communicate(timeout=120)  # the follower is down until the import has ended
    victim.start()
    process.communicate(timeout=120)
    if process.returncode != 0:
        assert victim is leader, "the import failed although its daemon went on"
    import_all(leader, path)  # adds what is missing, and nothing twice
    return victim


# Whoever is killed, whenever: every entry of every import is there exactly once, at both.
@pytest.mark.parametrize("link", ["tcp", "grpc"])
def test_counts_are_exact_and_digests_equal(make_daemon, folder, link):
    chance = random.Random(SEED)
    print(f"OSIRIS_SEED={SEED}")
    killed = {"leader": 0, "follower": 0}
    usual_s = 0.2
    total = 0
    for number in range(ROUNDS):
        if number % ROUNDS_A_PAIR == 0:
            if number:
                leader.stop()
                follower.stop()
            pair = number // ROUNDS_A_PAIR
            leader = make_daemon(f"leader{pair}").listen_somewhere().start()
            follower = make_daemon(f"follower{pair}", peers=[leader.url.replace("tcp", link)]).start()
            total = 0
        path = folder / f"{number}.jsonl"
        write_corpus(path, number)
        began = time.monotonic()
        victim = crash_round(chance, leader, follower, path, usual_s)
        total += ENTRIES
        documents = osiris.wait_until_equal(leader, follower, timeout_s=60)
        assert documents == total, f"round {number}: {documents} documents, not {total}"
        usual_s = 0.7 * usual_s + 0.3 * (time.monotonic() - began) / 2
        killed["leader" if victim is leader else "follower"] += 1
        path.unlink()
    print(f"{link}: {ROUNDS} rounds of {ENTRIES} entries: counts exact, digests equal; killed {killed}")
    assert sum(killed.values()) == ROUNDS
