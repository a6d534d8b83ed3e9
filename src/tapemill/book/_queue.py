"""Compiled queues: which order waits behind which at a price."""

from __future__ import annotations

from typing import Any

from tapemill.book._compiled import compiled, inlined
from tapemill.book._table import find_row, insert_row, remove_row
from tapemill.book.events import NO_PRICE

__all__ = [
    "AHEAD",
    "FREE",
    "FULL",
    "LINKED",
    "PRICE",
    "SIDE",
    "SIZE",
    "WIDTH",
    "quantity_ahead",
    "read_queue",
]

# Columns of an order's slot.
SIZE = 0
PRICE = 1
SIDE = 2
AHEAD = 3
"""Quantity ahead when it joined the queue."""
CREDIT = 4
"""Filled, but still shown."""
FRONT = 5
BACK = 6
"""Slots of its neighbours, −1 for none."""
WIDTH = 7

# Places in the vector of carried numbers.
LINKED = 0
FREE = 1

FULL = -1

_NO_PRICE = NO_PRICE
_A, _C, _F, _M, _R = ord("A"), ord("C"), ord("F"), ord("M"), ord("R")
_BID, _ASK = ord("B"), ord("A")


@inlined
def _waiting(slots: Any, slot: int) -> int:
    """What of an order is still to be filled."""
    return max(0, int(slots[slot, SIZE] - slots[slot, CREDIT]))


@compiled
def quantity_ahead(slots: Any, slot: int) -> int:
    """Quantity that is to be filled before this order."""
    total = 0
    other = slots[slot, FRONT]
    while other >= 0:
        total += _waiting(slots, other)
        other = slots[other, FRONT]
    return total


@compiled
def _join(slots: Any, queues: Any, slot: int) -> None:
    """Stand at the back of the queue of one's price."""
    key = 2 * slots[slot, PRICE] + (slots[slot, SIDE] == _ASK)
    at = find_row(queues, key)
    slots[slot, BACK] = -1
    if at < 0:
        slots[slot, FRONT] = -1
        slots[slot, AHEAD] = 0
        insert_row(queues, key, slot, 0, 1)
        return
    last = queues[at, 1]
    slots[last, BACK] = slot
    slots[slot, FRONT] = last
    queues[at, 1] = slot
    slots[slot, AHEAD] = quantity_ahead(slots, slot)


@compiled
def _leave(slots: Any, queues: Any, slot: int) -> None:
    """Step out of the queue; a row of `queues` is (price and side, last slot)."""
    front, back = slots[slot, FRONT], slots[slot, BACK]
    if front >= 0:
        slots[front, BACK] = back
    if back >= 0:
        slots[back, FRONT] = front
        return
    at = find_row(queues, 2 * slots[slot, PRICE] + (slots[slot, SIDE] == _ASK))
    if front >= 0:
        queues[at, 1] = front
    else:
        remove_row(queues, at)


@compiled
def _modify(slots: Any, queues: Any, slot: int, side: int, price: int, size: int) -> bool:
    """Change an order; return whether it lost its place.

    Another price or more size goes to the back, less size keeps its place as on CME
    Globex. More is told against what fills left: a refilled iceberg waits anew.
    """
    moved = price != slots[slot, PRICE] or side != slots[slot, SIDE]
    lost = moved or size > _waiting(slots, slot)
    if lost:
        _leave(slots, queues, slot)
    slots[slot, SIZE], slots[slot, PRICE], slots[slot, SIDE] = size, price, side
    slots[slot, CREDIT] = 0
    if lost:
        _join(slots, queues, slot)
    return lost


@compiled
def _forget(ids: Any, queues: Any, slots: Any, carried: Any) -> None:
    ids[:, 3] = 0
    queues[:, 3] = 0
    carried[LINKED] = 0
    for slot in range(slots.shape[0]):
        slots[slot, BACK] = slot + 1
    carried[FREE] = 0


@compiled
def read_queue(
    events: Any, start: int, ids: Any, queues: Any, slots: Any, carried: Any, ahead: Any
) -> int:
    """Read events from `start`; return where it stopped: before the end if a table is full."""
    for i in range(start, events.action.size):
        ahead[i] = -1
        action = events.action[i]
        if action == _R:
            _forget(ids, queues, slots, carried)
            continue
        if action not in (_A, _C, _F, _M):
            continue
        key, side, price, size = (
            events.order_id[i],
            events.side[i],
            events.price[i],
            events.size[i],
        )
        at = find_row(ids, key)
        if at < 0:
            if action != _A or price == _NO_PRICE or side not in (_BID, _ASK) or size == 0:
                continue
            if carried[LINKED] >= slots.shape[0] - 1:
                return i
            slot = carried[FREE]
            carried[FREE] = slots[slot, BACK]
            carried[LINKED] += 1
            insert_row(ids, key, slot, 0, 1)
            slots[slot, SIZE], slots[slot, PRICE], slots[slot, SIDE] = size, price, side
            slots[slot, CREDIT] = 0
            _join(slots, queues, slot)
            ahead[i] = slots[slot, AHEAD]
            continue
        slot = ids[at, 1]
        if action == _F:
            if price == slots[slot, PRICE] or side not in (_BID, _ASK):
                ahead[i] = quantity_ahead(slots, slot)
                slots[slot, CREDIT] += size
        elif action == _C or size == 0 or price == _NO_PRICE:
            ahead[i] = quantity_ahead(slots, slot)
            left = slots[slot, SIZE] - size if action == _C else 0
            slots[slot, CREDIT] = max(0, slots[slot, CREDIT] - size)
            slots[slot, SIZE] = left
            if left <= 0:
                _leave(slots, queues, slot)
                remove_row(ids, at)
                slots[slot, BACK] = carried[FREE]
                carried[FREE] = slot
                carried[LINKED] -= 1
        elif side in (_BID, _ASK):
            lost = _modify(slots, queues, slot, side, price, size)
            ahead[i] = slots[slot, AHEAD] if lost else quantity_ahead(slots, slot)
    return int(events.action.size)
