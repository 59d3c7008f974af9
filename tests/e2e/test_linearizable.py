"""The checker of histories: good ones pass, bad ones do not, and long ones do not take for ever."""
import math
import random

import pytest

from linearizable import NotLinearizable, Operation, check

NEVER = math.inf


def get(called, returned, result, key="k"):
    return Operation("get", key, called, returned=returned, result=result)


def put(called, returned, value, key="k"):
    return Operation("put", key, called, returned=returned, value=value, result=True)


def delete(called, returned, result=None):
    return Operation("delete", "k", called, returned=returned, result=result)


def swap(called, returned, expected, value, result=None):
    return Operation("swap", "k", called, returned=returned, expected=expected, value=value,
                     result=result)


GOOD = {
    "nothing": [],
    "one after the other": [get(0, 1, None), put(2, 3, "a"), get(4, 5, "a")],
    "a read beside a write sees it": [put(0, 9, "a"), get(1, 2, "a"), get(3, 4, "a")],
    "a read beside a write does not see it": [put(0, 9, "a"), get(1, 2, None), get(3, 4, "a")],
    "two writes in either order": [put(0, 9, "a"), put(0, 9, "b"), get(10, 11, "a")],
    "a write without answer happened": [put(0, NEVER, "a"), get(5, 6, "a")],
    "a write without answer happened late": [put(0, NEVER, "a"), get(5, 6, None), get(7, 8, "a")],
    "a write without answer never happened": [put(0, NEVER, "a"), get(5, 6, None)],
    "a hidden write explains a refusal": [put(0, 1, "a"), put(2, NEVER, "b"),
                                          swap(3, 4, "a", "c", False), get(5, 6, "b")],
    "a hidden delete": [put(0, 1, "a"), delete(2, NEVER), delete(3, 4, False), get(5, 6, None)],
    "a swap": [put(0, 1, "a"), swap(2, 3, "a", "b", True), get(4, 5, "b")],
    "a chain of swaps without answer": [put(0, 1, "a"), swap(2, NEVER, "a", "b"),
                                        swap(2, NEVER, "b", "c"), get(3, 4, "a"), get(5, 6, "c")],
    "a swap where nothing was": [swap(0, 1, None, "a", True), swap(0, 2, None, "b", False)],
    "keys stand for themselves": [put(0, 1, "a", "one"), get(2, 3, None, "two")],
}

BAD = {
    "a lost write": [put(0, 1, "a"), get(2, 3, None)],
    "an old value": [put(0, 1, "a"), put(2, 3, "b"), get(4, 5, "a")],
    "a value that nobody wrote": [put(0, 1, "a"), get(2, 3, "b")],
    "back in time": [put(0, 9, "a"), get(1, 2, "a"), get(3, 4, None)],
    "readers disagree": [put(0, 9, "a"), put(0, 9, "b"), get(10, 11, "a"), get(12, 13, "b")],
    "a write without answer happened twice": [put(0, NEVER, "a"), get(1, 2, "a"), put(3, 4, "b"),
                                              get(5, 6, "b"), get(7, 8, "a")],
    "two swaps took the same value": [put(0, 1, "a"), swap(2, 5, "a", "b", True),
                                      swap(2, 5, "a", "c", True)],
    "a swap refused without reason": [put(0, 1, "a"), swap(2, 3, "a", "b", False)],
    "a refused swap happened": [put(0, 1, "a"), swap(2, 3, "x", "b", False), get(4, 5, "b")],
    "a delete of nothing": [delete(0, 1, True)],
    "a delete that left it": [put(0, 1, "a"), delete(2, 3, True), get(4, 5, "a")],
    "a write before it was called": [get(0, 1, "a"), put(2, 3, "a")],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_history_passes(name):
    check(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_bad_history_is_caught(name):
    with pytest.raises(NotLinearizable) as caught:
        check(BAD[name])
    assert "no order explains" in str(caught.value)


def recorded(chance, count, clients=8, keys=5, lost=0.03):
    """What clients of a good map see: each operation happens at a moment between its call and its
    return; some returns are lost, and of these some operations."""
    held, history, free = {}, [], [0.0] * clients
    moments = []
    for number in range(count):
        client = min(range(clients), key=free.__getitem__)
        called = free[client]
        happens = called + chance.expovariate(1)
        returned = free[client] = happens + chance.expovariate(1)
        kind = chance.choice(["get", "get", "put", "delete", "swap"])
        operation = Operation(kind, f"k{chance.randrange(keys)}", called, returned=returned,
                              value=number, by=client)
        moments.append((happens, operation))
        history.append(operation)
    for _, operation in sorted(moments, key=lambda moment: moment[0]):
        is_lost = chance.random() < lost and operation.kind != "get"
        if is_lost:
            operation.returned = NEVER
        if not is_lost or chance.random() < 0.5:
            happen(operation, held, chance)
    return history


def happen(operation, held, chance):
    now = held.get(operation.key)
    if operation.kind == "get":
        operation.result = now
        return
    operation.expected = now if chance.random() < 0.7 else -1
    takes_effect = {"put": True, "delete": now is not None,
                    "swap": operation.expected == now}[operation.kind]
    operation.result = takes_effect
    if takes_effect:
        held[operation.key] = None if operation.kind == "delete" else operation.value


# Thousands of operations of which many got no answer take seconds, not hours: this ends.
@pytest.mark.parametrize("seed", range(3))
def test_long_history_is_checked(seed):
    history = recorded(random.Random(seed), 4000)
    assert sum(operation.is_open() for operation in history) > 50
    assert check(history) == 5


# One wrong answer among thousands is found: a read that is given what stood there long before.
@pytest.mark.parametrize("seed", range(10))
def test_one_wrong_answer_is_found(seed):
    chance = random.Random(seed)
    history = recorded(chance, 1000)
    reads = [operation for operation in history if operation.kind == "get"]
    victim = chance.choice(reads[len(reads) // 2:])
    stale = [operation.value for operation in history if operation.kind == "put"
             and operation.key == victim.key and operation.returned < victim.called / 2]
    victim.result = stale[0]
    with pytest.raises(NotLinearizable):
        check(history)
