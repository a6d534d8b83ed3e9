"""Compiled reader of a feed of every order: which order did what to which price level."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book._compiled import compiled, inlined
from tapemill.book._emit import (
    BAD_PRICE,
    DONE,
    FULL_CHANGES,
    FULL_LEVELS,
    FULL_ORDERS,
    put_change,
    to_ticks,
)
from tapemill.book._table import find_row, insert_row, remove_row
from tapemill.book.events import Cause, Flag
from tapemill.book.records import UNDEFINED

__all__ = ["HALF", "LEVELS", "MISSING", "ORDERS", "UNMATCHED", "read_orders"]

# Places in the vector of carried numbers.
MISSING = 0
UNMATCHED = 1
ORDERS = 2
LEVELS = 3
FAR = 4
BASE = 5
STARTED = 6

HALF = 1 << 17
"""Price levels are dense within so many ticks of the first price; others are in a hash table."""

_UNDEFINED = UNDEFINED
_ADD, _CANCEL, _FILL, _RESET = (
    int(Cause.ADD),
    int(Cause.CANCEL),
    int(Cause.FILL),
    int(Cause.RESET),
)
_SNAPSHOT = int(Flag.SNAPSHOT)
_A, _C, _F, _M, _R = ord("A"), ord("C"), ord("F"), ord("M"), ord("R")
_BID, _ASK = ord("B"), ord("A")


@inlined
def _shift(
    levels: Any, far: Any, carried: Any, side: int, price: int, size: int, orders: int
) -> tuple[int, int]:
    """Add to the size and the orders of a level; return both afterwards."""
    at = price - carried[BASE]
    if 0 <= at < 2 * HALF:
        part = 1 if side == _ASK else 0
        old = levels[part, at, 1]
        levels[part, at, 0] += size
        levels[part, at, 1] = old + orders
        carried[LEVELS] += int(old + orders > 0) - int(old > 0)
        return levels[part, at, 0], old + orders
    return _shift_far(far, carried, side, price, size, orders)


@compiled
def _shift_far(
    far: Any, carried: Any, side: int, price: int, size: int, orders: int
) -> tuple[int, int]:
    """Do the same for a level far from the first price."""
    key = 2 * price + (1 if side == _ASK else 0)
    at = find_row(far, key)
    if at < 0:
        insert_row(far, key, size, orders, 1)
        carried[FAR] += 1
        carried[LEVELS] += 1
        return size, orders
    far[at, 1] += size
    far[at, 2] += orders
    after = (far[at, 1], far[at, 2])
    if after[1] == 0:
        remove_row(far, at)
        carried[FAR] -= 1
        carried[LEVELS] -= 1
    return after


@inlined
def _put(
    levels: Any,
    far: Any,
    carried: Any,
    changes: Any,
    m: int,
    side: int,
    price: int,
    cause: int,
    quantity: int,
    orders: int,
) -> int:
    """Change a level and write that down; return the number of the next change."""
    size, count = _shift(levels, far, carried, side, price, quantity, orders)
    return put_change(changes, m, side, price, size, count, cause, quantity)


@compiled
def _clear(table: Any, levels: Any, far: Any, carried: Any, changes: Any, m: int) -> int:
    """Write every level as gone, from the lowest price, bids first; forget all orders."""
    for part in range(2):
        side = _ASK if part else _BID
        for at in range(levels.shape[1]):
            if levels[part, at, 1] > 0:
                size = levels[part, at, 0]
                price = at + carried[BASE]
                m = put_change(changes, m, side, price, 0, 0, _RESET, -size)
                levels[part, at, 0] = 0
                levels[part, at, 1] = 0
    for k in range(far.shape[0]):
        if far[k, 3] != 0:
            side = _ASK if far[k, 0] & 1 else _BID
            m = put_change(changes, m, side, far[k, 0] >> 1, 0, 0, _RESET, -far[k, 1])
            far[k, 3] = 0
    table[:, 3] = 0
    carried[ORDERS] = 0
    carried[LEVELS] = 0
    carried[FAR] = 0
    return m


@compiled
def _come_to_light(
    table: Any, at: int, levels: Any, far: Any, carried: Any, changes: Any, m: int
) -> int:
    """Show what trades took of an iceberg beyond its shown size: it was there and was added."""
    hidden = (table[at, 3] >> 8) - table[at, 2]
    if hidden <= 0:
        return m
    table[at, 2] += hidden
    side = table[at, 3] & 255
    return int(_put(levels, far, carried, changes, m, side, table[at, 1], _ADD, hidden, 0))


@inlined
def _take(
    table: Any,
    at: int,
    levels: Any,
    far: Any,
    carried: Any,
    changes: Any,
    m: int,
    taken: int,
    cause: int,
    last: bool,
) -> int:
    """Take `taken` off an order, what trades took of it first; `last`: the order leaves."""
    price = table[at, 1]
    side = table[at, 3] & 255
    credit = table[at, 3] >> 8
    filled = min(credit, taken)
    rest = taken - filled
    table[at, 2] -= taken
    table[at, 3] = side | ((credit - filled) << 8)
    leaves = -1 if last else 0
    if filled > 0:
        m = _put(
            levels, far, carried, changes, m, side, price, _FILL, -filled,
            leaves if rest == 0 else 0,
        )  # fmt: skip
    if rest > 0 or filled == 0:
        m = _put(levels, far, carried, changes, m, side, price, cause, -rest, leaves)
    return m


@compiled
def _modify(
    table: Any,
    at: int,
    levels: Any,
    far: Any,
    carried: Any,
    changes: Any,
    m: int,
    price: int,
    side: int,
    size: int,
    state: bool,
) -> int:
    """Give an order another price or size.

    A refill of an iceberg comes as one message that leaves the size as it was or raises it: what
    trades took is a fill of its own, what came back an add.
    """
    less = _RESET if state else _CANCEL
    more = _RESET if state else _ADD
    old = table[at, 2]
    if price == table[at, 1] and side == (table[at, 3] & 255):
        filled = min(table[at, 3] >> 8, old)
        if size < old or filled > 0:
            taken = max(old - size, filled)
            m = _take(table, at, levels, far, carried, changes, m, taken, less, False)
        added = size - table[at, 2]
        if added > 0:
            m = _put(levels, far, carried, changes, m, side, price, more, added, 0)
    else:
        m = _take(table, at, levels, far, carried, changes, m, old, less, True)
        m = _put(levels, far, carried, changes, m, side, price, more, size, 1)
        table[at, 1] = price
    table[at, 2] = size
    table[at, 3] = side  # credit that is left belonged to what was never shown
    return m


@compiled
def read_orders(
    records: Any,
    ordinals: Any,
    tick: int,
    per_nano: float,
    carried: Any,
    table: Any,
    levels: Any,
    far: Any,
    start: int,
    m: int,
    events: Any,
    changes: Any,
) -> tuple[int, int, int, int]:
    """Read records from `start`; return (why it stopped, record, next change, bad price)."""
    room = changes.side.size - 8
    for i in range(start, records.size):
        head = records[i]
        action: Any = np.int64(head.action)
        if m + (carried[LEVELS] if action == _R else 0) > room:
            return FULL_CHANGES, i, m, 0
        if 2 * carried[ORDERS] >= table.shape[0]:
            return FULL_ORDERS, i, m, 0
        if 2 * carried[FAR] + 2 >= far.shape[0]:
            return FULL_LEVELS, i, m, 0
        price, good = to_ticks(head.price, tick, per_nano)
        if not good:
            return BAD_PRICE, i, m, head.price
        key = head.order_id
        side: Any = np.int64(head.side)
        size: Any = np.int64(head.size)
        flags: Any = np.int64(head.flags)
        events.ts_event[i] = head.ts_event
        events.ts_gateway[i] = head.ts_recv
        events.ordinal[i] = ordinals[i]
        events.action[i] = action
        events.side[i] = side
        events.price[i] = price
        events.size[i] = size
        events.order_id[i] = key
        events.flags[i] = flags
        events.channel_id[i] = head.channel_id
        events.ts_in_delta[i] = head.ts_in_delta
        events.sequence[i] = head.sequence
        events.first_change[i] = m

        state = (flags & _SNAPSHOT) != 0
        known = head.price != _UNDEFINED and side in (_BID, _ASK)
        if known and carried[STARTED] == 0:
            carried[STARTED] = 1
            carried[BASE] = price - HALF
        if action == _A:
            if not known or size == 0:
                continue
            at = find_row(table, key)
            if at >= 0:
                # The same order again, in a later snapshot: it is replaced, not doubled.
                m = _modify(table, at, levels, far, carried, changes, m, price, side, size, state)
                continue
            insert_row(table, key, price, size, side)
            carried[ORDERS] += 1
            m = _put(
                levels, far, carried, changes, m, side, price, _RESET if state else _ADD, size, 1
            )
        elif action in (_C, _M):
            at = find_row(table, key)
            if at < 0:
                carried[MISSING] += 1
                continue
            shown = table[at, 2]
            if table[at, 3] >> 8 > shown:
                m = _come_to_light(table, at, levels, far, carried, changes, m)
            if action == _M and known and size > 0:
                m = _modify(table, at, levels, far, carried, changes, m, price, side, size, state)
            else:
                held = table[at, 2]
                taken = held if action == _M or size >= shown else held - shown + size
                m = _take(
                    table, at, levels, far, carried, changes, m, taken,
                    _RESET if state else _CANCEL, taken == held,
                )  # fmt: skip
                if taken == held:
                    remove_row(table, at)
                    carried[ORDERS] -= 1
        elif action == _F:
            at = find_row(table, key)
            if at < 0:
                carried[UNMATCHED] += 1
            elif price == table[at, 1] or side not in (_BID, _ASK):
                # Elsewhere the order was sent across the market and traded there as aggressor: it
                # left this price unfilled. In an auction (no side) all trade at one price.
                table[at, 3] += size << 8
        elif action == _R:
            m = _clear(table, levels, far, carried, changes, m)
    return DONE, records.size, m, 0
