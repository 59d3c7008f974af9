"""Seed programs: what they send arrives, what they should get reaches them, their files are
followed and kept, through kills of either side.

OSIRIS_UPDATES sets the counts (30), OSIRIS_SEED the random moments. Stand-ins of the project's own
take the programs' place; where ../shared/seed is there, the programs themselves run, too."""
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

import osiris
import seed

UPDATES = int(os.environ.get("OSIRIS_UPDATES", 30))
SEED = int(os.environ.get("OSIRIS_SEED", random.randrange(1 << 30)))
ORIGINAL_PORT = 12346  # both programs have it built in

needs_originals = pytest.mark.skipif(not seed.ORIGINALS.is_dir(), reason="no ../shared/seed")


def texts(daemon):
    return [document["data"] for document in daemon.documents()]


def numbered(count, text="update"):
    return [f"{text} {i}" for i in range(1, count + 1)]


def first_occurrences(entries):
    return list(dict.fromkeys(entries))


def seed_url(port, **parameters):
    return f"tcp://127.0.0.1:{port}?peer=seed" + "".join(f"&{k}={v}" for k, v in parameters.items())


def follower_of(daemon, url):
    """How `feeds` shows a seed peer under the daemon's own feed."""
    feed, = [feed for feed in daemon.call("FEEDS")["feeds"] if feed.get("leads")]
    follower, = [follower for follower in feed["followers"] if follower.get("peer") == url]
    return follower


def wait_delivered(daemon, url, sequence, timeout_s=120):
    osiris.wait_for(lambda: follower_of(daemon, url).get("acked", 0) == sequence,
                    f"{sequence} entries delivered to {url}", timeout_s)


def send_as_seed(port, message):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(message)


# -- arrivals --

# A bare UPDATE_KB becomes a document of the instance, in any form that JSON has.
def test_arrivals_become_documents(make_daemon):
    port = osiris.free_port()
    daemon = make_daemon(listen=[seed_url(port)]).start()
    for data in ("a", "a", {"b": [1, None]}, 2.5, "\u00f1"):
        send_as_seed(port, json.dumps({"type": "UPDATE_KB", "data": data}).encode())
    osiris.wait_for(lambda: len(texts(daemon)) == 5, "five documents")
    assert sorted(map(json.dumps, texts(daemon))) == sorted(
        map(json.dumps, ["a", "a", {"b": [1, None]}, 2.5, "\u00f1"]))


# What a program sends goes on to instances, and to programs that receive.
def test_arrivals_reach_instances_and_receivers(make_daemon, folder):
    port_in, port_out = osiris.free_port(), osiris.free_port()
    one = make_daemon("one", listen=[seed_url(port_in)]).listen_somewhere().start()
    two = make_daemon("two", peers=[one.url, seed_url(port_out)]).start()
    with seed.receiver(folder, port_out):
        subprocess.run([sys.executable, seed.HERE / "seed_sender.py", "--port", str(port_in),
                        "--count", "10", "--interval", "0.05", "--file", folder / "kb_a.json"],
                       check=True, timeout=60)
        osiris.wait_for(lambda: seed.read_array(folder / "kb_b.json") == numbered(10, "entry"),
                        "ten entries at the receiver", 60)
    assert texts(two) == numbered(10, "entry") or len(texts(two)) == 10


# With arrivals=no a program that sends and receives does not get its own entries back.
def test_arrivals_can_be_kept_back(make_daemon, folder):
    port_in, port_out = osiris.free_port(), osiris.free_port()
    url = seed_url(port_out, arrivals="no")
    daemon = make_daemon(listen=[seed_url(port_in)], peers=[url]).start()
    with seed.receiver(folder, port_out):
        send_as_seed(port_in, b'{"type":"UPDATE_KB","data":"from outside"}')
        osiris.wait_for(lambda: texts(daemon) == ["from outside"], "the arrival")
        daemon.put("from inside")
        wait_delivered(daemon, url, 2)
        assert seed.read_array(folder / "kb_b.json") == ["from inside"]


# -- delivery --

# A receiver that is killed and restarted while it waits gets all, in order, none twice.
@pytest.mark.parametrize("original", [False, pytest.param(True, marks=needs_originals)])
def test_receiver_killed_while_waiting_gets_each_once(make_daemon, folder, original):
    port = ORIGINAL_PORT if original else osiris.free_port()
    url = seed_url(port)
    daemon = make_daemon(peers=[url]).start()
    chance = seed.chance(SEED)
    receiver = seed.original_receiver(folder) if original else seed.receiver(folder, port)
    saved = folder / "kb_b.json"

    def is_waiting(printed):
        return "Conectado" not in printed

    def kill_while_waiting():
        # The stand-in prints nothing: there only what has been saved tells that it is at work.
        before = seed.read_array(saved)
        return receiver.kill_if(lambda printed: is_waiting(printed) and
                                seed.read_array(saved) == before)

    with receiver, (seed.Killer(kill_while_waiting, chance, 0.01, 0.3) if original
                    else contextlib.nullcontext()) as killer:
        for text in numbered(UPDATES):
            daemon.put(text)
            time.sleep(chance.uniform(0, 0.02))
        wait_delivered(daemon, url, UPDATES)
    print(f"{receiver.starts} starts, {killer.kills if killer else 0} kills")
    assert seed.read_array(saved) == numbered(UPDATES)
    # Whether a killed one had read the message nobody knows: some were sent again, none arrived.
    assert follower_of(daemon, url).get("doubles", 0) <= (killer.kills if killer else 0)


# Killed at any moment within the settle time, an atomic saver loses nothing: what may have
# been stored is sent again, counted and shown.
def test_receiver_killed_at_any_moment_loses_nothing(make_daemon, folder):
    port = osiris.free_port()
    url = seed_url(port, settle_ms=500)
    daemon = make_daemon(peers=[url]).start()
    chance = seed.chance(SEED)
    receiver = seed.receiver(folder, port, atomic=True)
    count = max(UPDATES // 3, 10)
    with receiver:
        with seed.Killer(receiver.kill, chance, 0.2, 1.5) as killer:
            for text in numbered(count):
                daemon.put(text)
            osiris.wait_for(lambda: killer.kills >= 3, "kills")
            osiris.wait_for(lambda: follower_of(daemon, url).get("acked", 0) >= count // 2, "half",
                            180)
        wait_delivered(daemon, url, count)
        entries = seed.read_array(folder / "kb_b.json")
    doubles = follower_of(daemon, url).get("doubles", 0)
    print(f"{killer.kills} kills, {doubles} doubles counted, {len(entries) - count} there")
    assert first_occurrences(entries) == numbered(count)
    assert len(entries) - count <= doubles <= killer.kills


# The daemon, killed with -9 at any moment, goes on where it was: at most the message under
# way comes twice.
def test_daemon_killed_goes_on_where_it_was(make_daemon, folder):
    port = osiris.free_port()
    url = seed_url(port, settle_ms=5)
    daemon = make_daemon(peers=[url]).start()
    chance = seed.chance(SEED)
    kills = 0
    with seed.receiver(folder, port, atomic=True):
        for text in numbered(UPDATES):
            daemon.put(text)
        while follower_of(daemon, url).get("acked", 0) < UPDATES and kills < 5:
            time.sleep(chance.uniform(0, 0.3))
            daemon.kill()
            kills += 1
            daemon.start()
        wait_delivered(daemon, url, UPDATES)
        entries = seed.read_array(folder / "kb_b.json")
    assert first_occurrences(entries) == numbered(UPDATES)
    assert len(entries) - UPDATES <= kills


# An entry whose message is too long is passed over, said in the log, and holds up nothing.
def test_long_entries_are_skipped(make_daemon, folder):
    port = osiris.free_port()
    url = seed_url(port)
    daemon = make_daemon(peers=[url]).start()
    with seed.receiver(folder, port):
        daemon.put("before")
        daemon.put("x" * 1024)
        daemon.put("\u00f1" * 300)
        daemon.put("after")
        wait_delivered(daemon, url, 4)
        assert seed.read_array(folder / "kb_b.json") == ["before", "after"]
    assert daemon.log().count("is skipped") == 2


# What the program destroyed itself, its owner has sent again.
def test_resend_repairs_what_a_receiver_destroyed(make_daemon, folder):
    port = osiris.free_port()
    url = seed_url(port)
    daemon = make_daemon(peers=[url]).start()
    saved = folder / "kb_b.json"
    with seed.receiver(folder, port) as receiver:
        for text in numbered(5):
            daemon.put(text)
        wait_delivered(daemon, url, 5)
        receiver.kill()
        saved.write_text('["update 1", "upd')
        assert daemon.call("FEEDS_RESEND", peer=url, from_sequence=1)["entries"] == 5
        osiris.wait_for(lambda: seed.read_array(saved) == numbered(5), "all again")
        wait_delivered(daemon, url, 5)
        daemon.call("FEEDS_RESEND", peer=url.split("?")[0], from_sequence=4)
        osiris.wait_for(lambda: seed.read_array(saved) == numbered(5) + numbered(5)[3:],
                        "the last two again")


# An instance that has written nothing itself repairs a receiver all the same.
def test_resend_of_what_others_wrote(make_daemon, folder):
    port = osiris.free_port()
    one = make_daemon("one").listen_somewhere().start()
    two = make_daemon("two", peers=[one.url, seed_url(port)]).start()
    saved = folder / "kb_b.json"
    with seed.receiver(folder, port):
        for text in numbered(3):
            one.put(text)
        osiris.wait_for(lambda: seed.read_array(saved) == numbered(3), "three entries")
        assert two.call("FEEDS_RESEND", peer=seed_url(port), from_sequence=1)["entries"] == 3
        osiris.wait_for(lambda: seed.read_array(saved) == 2 * numbered(3), "all again")


# -- followed files --

# A file's entries are imported by position, as it grows; what also came by wire is one document.
def test_followed_file_and_wire_are_one(make_daemon, folder):
    port = osiris.free_port()
    path = folder / "kb_a.json"
    daemon = make_daemon(listen=[seed_url(port)], flags=["--follow-file", str(path)]).start()
    subprocess.run([sys.executable, seed.HERE / "seed_sender.py", "--port", str(port), "--count",
                    "20", "--interval", "0.03", "--file", path], check=True, timeout=60)
    osiris.wait_for(lambda: len(texts(daemon)) >= 20, "twenty documents")
    time.sleep(1)
    assert sorted(texts(daemon)) == sorted(numbered(20, "entry"))


# Equal entries of a file are as many documents; half a file is waited out; a file that was begun
# anew is read anew.
def test_followed_file_in_all_conditions(make_daemon, folder):
    path = folder / "kb_a.json"
    daemon = make_daemon(flags=["--follow-file", str(path)]).start()
    path.write_text('["a", "a", {"b": 1}]')
    osiris.wait_for(lambda: len(texts(daemon)) == 3, "three documents")
    path.write_text('["a", "a", {"b": 1}, "c"')
    osiris.wait_for(lambda: "cannot follow the file" in daemon.log(), "a warning")
    path.write_text('["a", "a", {"b": 1}, "c"]')
    osiris.wait_for(lambda: len(texts(daemon)) == 4, "the fourth")
    path.write_text('["d"]')
    osiris.wait_for(lambda: "d" in texts(daemon), "the new beginning")
    assert len(texts(daemon)) == 5
    assert daemon.log().count("cannot follow the file") == 1


def kill_and_restart(daemon, chance):
    time.sleep(chance.uniform(0.1, 1))
    daemon.kill()
    time.sleep(chance.uniform(0, 0.5))
    daemon.start()


# The sender never sends anything twice; with its file followed all arrives through kills.
@pytest.mark.parametrize("original", [False, pytest.param(True, marks=needs_originals)])
def test_sender_loses_nothing_while_the_daemon_is_killed(make_daemon, folder, original):
    port = ORIGINAL_PORT if original else osiris.free_port()
    path = folder / "kb_a.json"
    daemon = make_daemon(listen=[seed_url(port)], flags=["--follow-file", str(path)]).start()
    chance = seed.chance(SEED)
    if original:
        if shutil.which("faketime") is None:
            pytest.skip("no faketime")
        # 5 seconds between entries become 50 ms; the text of each has its second in it.
        sender = subprocess.Popen(["faketime", "-f", "+0 x100", sys.executable,
                                   seed.ORIGINALS / "appA.py"], cwd=folder,
                                  stdout=subprocess.DEVNULL, start_new_session=True)
    else:
        sender = subprocess.Popen([sys.executable, seed.HERE / "seed_sender.py", "--port", str(port),
                                   "--interval", "0.05", "--file", path],
                                  start_new_session=True)
    kills = 0
    try:
        while kills < 3 or len(seed.read_array(path) or []) < UPDATES:
            kill_and_restart(daemon, chance)
            kills += 1
    finally:
        os.killpg(sender.pid, signal.SIGTERM)  # faketime runs the program as a child
        sender.wait()
    made = seed.read_array(path)
    if made is None:
        pytest.skip("the sender was ended in the middle of a save")
    osiris.wait_for(lambda: len(texts(daemon)) >= len(made), "all documents")
    time.sleep(1)
    print(f"{len(made)} entries, {kills} kills")
    assert sorted(texts(daemon)) == sorted(made)


# -- the mirror --

def mirrored(path):
    return seed.read_array(path)


# The mirror has the data of all that can be seen, and follows every change.
def test_mirror_follows_every_change(make_daemon, folder):
    path = folder / "mirror.json"
    daemon = make_daemon(flags=["--mirror", str(path), "--mirror-ms", "20"]).start()
    osiris.wait_for(lambda: mirrored(path) == [], "an empty array")
    ids = [daemon.put(text) for text in ("a", {"\u00f1": 1}, "c")]
    osiris.wait_for(lambda: mirrored(path) == ["a", {"\u00f1": 1}, "c"], "three entries")
    assert path.read_bytes().isascii()
    daemon.call("KB_DELETE", id=ids[0])
    daemon.call("KB_UPDATE", document={"id": ids[2], "data": "C"})
    osiris.wait_for(lambda: mirrored(path) == [{"\u00f1": 1}, "C"], "the changes")
    daemon.call("KB_PUT", document={"data": "brief", "expires_ms": int(time.time() * 1000) + 1500})
    osiris.wait_for(lambda: "brief" in mirrored(path), "the brief one")
    osiris.wait_for(lambda: "brief" not in mirrored(path), "its end")


# At every moment the file is whole: a reader that looks all the time finds no half.
def test_mirror_is_always_whole(make_daemon, folder):
    path = folder / "mirror.json"
    daemon = make_daemon(flags=["--mirror", str(path), "--mirror-ms", "10"]).start()
    osiris.wait_for(path.exists, "the mirror")
    for i in range(200):
        daemon.put(f"{i} " + "x" * 5000)
        assert isinstance(json.loads(path.read_text()), list)
    osiris.wait_for(lambda: len(mirrored(path)) == 200, "all 200")


# What is no array is set aside with every byte; an array is taken over.
def test_mirror_sets_a_corrupt_file_aside(make_daemon, folder):
    path = folder / "mirror.json"
    path.write_text('["half')
    daemon = make_daemon(flags=["--mirror", str(path)]).start()
    osiris.wait_for(lambda: mirrored(path) == [], "a new mirror")
    aside, = folder.glob("mirror.json.corrupt-*")
    assert aside.read_text() == '["half'
    daemon.stop()
    daemon.start()
    assert len(list(folder.glob("mirror.json.corrupt-*"))) == 1


# -- limits --

# Seed listeners are for this machine alone, whatever else is allowed.
def test_seed_listeners_stay_on_loopback(folder):
    result = subprocess.run([osiris.program("osirisd"), "--data", folder / "d", "--insecure",
                             "--listen", "tcp://0.0.0.0:0?peer=seed"], capture_output=True,
                            text=True, timeout=60)
    assert result.returncode == 78
    assert "must be on loopback" in result.stderr
    assert not (folder / "d").exists()
