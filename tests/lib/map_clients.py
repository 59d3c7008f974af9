"""Clients of the replicated map that keep a record of what they asked and were told.

    with MapClients(cluster, chance) as clients:   # they work from here
        ...
    clients.check()

Each goes to a member that it chooses, and to another when that one fails. Half of what they do is on
a few keys that they share: whether these were ever in an order, linearizable.py says. The other half
is a key of its own each, tried again until that was acknowledged, which it must be in the end: and then
it must be there for ever.

What the contract says of errors is taken at its word: after UNAVAILABLE, BUSY and DISK_FULL nothing
was done; after TIMEOUT, or a connection that broke, nobody knows."""
import random
import threading
import time

import linearizable
import osiris
from cluster import decode, encode

NOT_DONE = {"UNAVAILABLE", "BUSY", "DISK_FULL"}
UNKNOWN = {"TIMEOUT"}
TIMEOUT_MS = 2000  # that a member is given
GIVE_UP_S = 5  # of one that does not answer at all
RETRY_S = 0.02


class NoAnswer(Exception):
    """Nobody knows what came of it."""


class NotDone(Exception):
    """Nothing came of it."""


class MapClients:
    def __init__(self, cluster, chance=random, count=5, keys=4, name="round", pause_s=0.004):
        self.cluster = cluster
        self.name = name
        self.keys = [f"{name}/shared{number}" for number in range(keys)]
        self.history = linearizable.History()
        self.acknowledged = {}  # own key -> value
        self.unfinished = []  # own keys that were tried again and again to the end
        self.retries = 0  # roughly
        self.done_at = []  # when a write was acknowledged, and how long it took
        self.refused = {}  # code -> how often
        self.errors = []  # what no client should see
        self.ends = threading.Event()
        self.pause_s = pause_s
        self.threads = [threading.Thread(target=self._work, daemon=True,
                                         args=(number, random.Random(chance.random())))
                        for number in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ended_at = time.monotonic()
        self.ends.set()
        for thread in self.threads:
            thread.join()

    def wait_for_progress(self, count=20, timeout_s=osiris.WAIT_S):
        """Until so many more writes were acknowledged."""
        goal = len(self.done_at) + count
        osiris.wait_for(lambda: len(self.done_at) >= goal, f"{count} writes more", timeout_s)

    def longest_gap(self, since=0, until=float("inf")):
        """The longest time without an acknowledged write, in s."""
        times = [at for at, _ in sorted(self.done_at) if since <= at <= until]
        return max((after - before for before, after in zip(times, times[1:])), default=0)

    def check(self):
        """After the last fault, with all members there."""
        assert self.errors == [], self.errors[:5]
        assert self.unfinished == [], self.unfinished
        self._read_shared_keys()
        keys = linearizable.check(self.history.operations)
        assert self.acknowledged
        for member in self.cluster:
            with member.client() as client:
                for key, value in self.acknowledged.items():
                    found = decode(client.call("KV_GET", key=encode(key)).get("value", ""))
                    assert found == value, f"{member.name}: {key} is {found}, not {value}"
        return f"{len(self.history.operations)} operations on {keys} keys in an order, " \
               f"{len(self.acknowledged)} acknowledged writes there, {self.retries} retries; " \
               f"refused {self.refused}"

    def is_over(self):
        """Whoever still tries may do that for a while after the end."""
        return self.ends.is_set() and time.monotonic() - self.ended_at > osiris.WAIT_S

    def _read_shared_keys(self):
        for member in self.cluster:
            for key in self.keys:
                operation = self.history.call("get", key, by=f"{member.name} at last")
                self.history.returned(operation, member.get(key))

    # ---- one client ----

    def _work(self, number, chance):
        client = _Client(self, number, chance)
        while not self.ends.is_set():
            try:
                client.work()
            except NotDone:
                time.sleep(RETRY_S)
            except NoAnswer:
                pass
            except Exception as error:  # seen by check
                self.errors.append(error)
                return
            time.sleep(chance.uniform(0, 2 * self.pause_s))


class _Client:
    def __init__(self, clients, number, chance):
        self.clients = clients
        self.history = clients.history
        self.number = number
        self.chance = chance
        self.connection = None
        self.known = {}  # shared key -> (value, index), as it was last seen
        self.count = 0

    def work(self):
        self.count += 1
        if self.chance.random() < 0.5:
            self._write_own()
            return
        key = self.chance.choice(self.clients.keys)
        self.chance.choice([self._get, self._get, self._put, self._swap, self._delete])(key)

    def _call(self, type, **fields):
        """The reply, or the Failure of an error that is an answer."""
        try:
            if self.connection is None:
                member = self.chance.choice(list(self.clients.cluster))
                self.connection = osiris.Client(member.socket_path, GIVE_UP_S)
        except OSError as error:
            raise NotDone(str(error)) from error
        try:
            return self.connection.call(type, timeout_ms=TIMEOUT_MS, **fields)
        except osiris.Failure as failure:
            self.clients.refused[failure.code] = self.clients.refused.get(failure.code, 0) + 1
            if failure.code in NOT_DONE | UNKNOWN:
                self._hang_up()
                raise (NotDone if failure.code in NOT_DONE else NoAnswer)(failure) from failure
            return failure
        except (OSError, ConnectionError, AssertionError) as error:  # cut off, maybe in a frame
            self._hang_up()
            raise NoAnswer(error) from error

    def _hang_up(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _write(self, operation, type, **fields):
        began = time.monotonic()
        try:
            reply = self._call(type, **fields)
        except NotDone:
            if operation:
                self.history.forget(operation)
            raise
        if not isinstance(reply, osiris.Failure):
            now = time.monotonic()
            self.clients.done_at.append((now, now - began))
        return reply

    def _write_own(self):
        key = f"{self.clients.name}/own/{self.number}/{self.count}"
        value = f"{key} of {self.number}"
        while not self.clients.is_over():
            try:
                reply = self._write(None, "KV_PUT", key=encode(key), value=encode(value))
            except (NotDone, NoAnswer):
                self.clients.retries += 1
                time.sleep(RETRY_S)
                continue
            _must_be_done(reply)
            self.clients.acknowledged[key] = value
            return
        self.clients.unfinished.append(key)

    def _begin(self, kind, key, **fields):
        return self.history.call(kind, key, by=self.number, **fields)

    def _get(self, key):
        operation = self._begin("get", key)
        try:
            reply = self._call("KV_GET", key=encode(key))
        except (NotDone, NoAnswer):
            self.history.forget(operation)
            raise
        if isinstance(reply, osiris.Failure):
            _must_be(reply, "NOT_FOUND")
            value, index = None, 0
        else:
            value, index = decode(reply.get("value", "")), int(reply["index"])
        self.history.returned(operation, value)
        self.known[key] = value, index

    def _new_value(self):
        return f"{self.number}.{self.count}"

    def _put(self, key):
        value = self._new_value()
        operation = self._begin("put", key, value=value)
        reply = self._write(operation, "KV_PUT", key=encode(key), value=encode(value))
        _must_be_done(reply)
        self.history.returned(operation, True)
        self.known[key] = value, int(reply["index"])

    def _swap(self, key):
        expected, index = self.known.get(key, (None, 0))
        value = self._new_value()
        operation = self._begin("swap", key, value=value, expected=expected)
        reply = self._write(operation, "KV_PUT", key=encode(key), value=encode(value),
                            expected={"index": index})
        if isinstance(reply, osiris.Failure):
            _must_be(reply, "CONFLICT")
            self.history.returned(operation, False)
            return
        self.history.returned(operation, True)
        self.known[key] = value, int(reply["index"])

    def _delete(self, key):
        operation = self._begin("delete", key)
        reply = self._write(operation, "KV_DEL", key=encode(key))
        _must_be_done(reply)
        self.history.returned(operation, reply.get("removed", False))
        self.known[key] = None, 0


def _must_be_done(reply):
    if isinstance(reply, osiris.Failure):
        raise reply


def _must_be(failure, code):
    if failure.code != code:
        raise failure
