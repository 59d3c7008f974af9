"""Was a history of operations on a map linearizable? That is: could each operation have happened at
one moment between its call and its return, one after the other?

    history = History()
    operation = history.call("put", "key", value="a")
    history.returned(operation, True)   # or not at all: nobody knows whether it happened
    check(history.operations)           # raises NotLinearizable

A key is a register of its own, so each is checked by itself. The search (Wing and Gong, 1993; Lowe,
2017) follows the calls and returns in time and keeps every way in which the operations so far may
have happened: what the register holds then, and which operations that have not returned are among
them. An operation is only placed when its own return, or another's that needs it, asks for it.

Of two ways that differ only in operations that never return, the one that used fewer of them can do
all that the other can, and the other is dropped: otherwise each client that went unanswered would
double the ways.

Operations, by `kind`:
    get                    result: the value, None where there is none
    put value              result: True
    delete                 result: whether there was something
    swap expected value    puts where `expected` stands (None: nothing); result: whether it did"""
import dataclasses
import heapq
import itertools
import math
import threading
import time


@dataclasses.dataclass(eq=False)
class Operation:
    kind: str
    key: str
    called: float
    value: object = None
    expected: object = None
    returned: float = math.inf
    result: object = None
    by: object = None  # the client, for people

    def __str__(self):
        what = {"get": "", "put": f" {self.value}", "delete": "",
                "swap": f" {self.expected} for {self.value}"}[self.kind]
        until = "never returned" if self.is_open() else f"{self.returned:.4f}: {self.result}"
        return f"{self.called:.4f} to {until}  {self.by} {self.kind} {self.key}{what}"

    def is_open(self):
        return self.returned == math.inf

    def apply(self, held):
        """What the register holds after it, as a tuple; None where it cannot have happened here."""
        if self.kind == "get":
            return (held,) if self.result == held else None
        if self.kind == "put":
            return (self.value,)
        if self.kind == "swap":
            happens, after = held == self.expected, self.value
        else:
            happens, after = held is not None, None
        if self.is_open():  # one that changes nothing might as well not have happened
            return (after,) if happens else None
        if self.result != happens:
            return None
        return (after,) if happens else (held,)


class History:
    """Filled by many threads."""

    def __init__(self):
        self.operations = []
        self.lock = threading.Lock()

    def call(self, kind, key, **fields):
        operation = Operation(kind, key, time.monotonic(), **fields)
        with self.lock:
            self.operations.append(operation)
        return operation

    @staticmethod
    def returned(operation, result):
        operation.result = result
        operation.returned = time.monotonic()

    def forget(self, operation):
        """It surely did not happen, or was a read without an answer."""
        with self.lock:
            self.operations.remove(operation)


class NotLinearizable(Exception):
    """The operation that could not have had its result, and those of its key around it."""

    def __init__(self, operation, operations):
        near = [each for each in operations if each.called <= operation.returned
                and each.returned >= operation.called - 1]
        super().__init__("\n".join([f"no order explains: {operation}",
                                    *(f"    {each}" for each in near[-60:])]))
        self.operation = operation


def check(operations, initial=None):
    """Returns how many keys there were."""
    by_key = {}
    for operation in operations:
        by_key.setdefault(operation.key, []).append(operation)
    for of_key in by_key.values():
        _check_register(of_key, initial)
    return len(by_key)


class _Ways:
    """How the register may stand: of each state the smallest sets of open operations used."""

    def __init__(self):
        self.least = {}

    def add(self, held, placed, used):
        """`placed`: operations that will return and have happened; `used`: of those that never
        return. False where it is no better than what is there."""
        sets = self.least.setdefault((held, placed), [])
        if any(other <= used for other in sets):
            return False
        sets[:] = [other for other in sets if not used <= other]
        sets.append(used)
        return True

    def __iter__(self):
        for (held, placed), sets in self.least.items():
            for used in sets:
                yield held, placed, used


def _check_register(operations, initial):
    operations = sorted(operations, key=lambda operation: operation.called)
    returns = sorted((operation for operation in operations if not operation.is_open()),
                     key=lambda operation: operation.returned)
    ways = _Ways()
    ways.add(initial, frozenset(), frozenset())
    called, running = 0, {}
    for operation in returns:
        while called < len(operations) and operations[called].called <= operation.returned:
            running[operations[called]] = None
            called += 1
        ways = _place(operation, ways, running)
        if not ways.least:
            raise NotLinearizable(operation, operations)
        del running[operation]


def _place(wanted, ways, running):
    """All ways in which `wanted` has happened, after any others that are running."""
    done, seen = _Ways(), _Ways()
    waiting, order = [], itertools.count()

    def add(held, placed, used):
        if seen.add(held, placed, used):
            heapq.heappush(waiting, (len(used), next(order), (held, placed, used)))

    for way in ways:
        add(*way)
    while waiting:
        held, placed, used = heapq.heappop(waiting)[-1]
        if wanted in placed:
            done.add(held, placed - {wanted}, used)
            continue
        for operation in running:
            after = None if operation in placed or operation in used else operation.apply(held)
            if after is None:
                continue
            if operation.is_open():
                add(*after, placed, used | {operation})
            else:
                add(*after, placed | {operation}, used)
    return done
