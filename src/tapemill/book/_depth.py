"""Compiled replay of changes: both ladders as sorted rows."""

from __future__ import annotations

from typing import Any

from tapemill.book._compiled import compiled, inlined

__all__ = ["replay"]

_ASK = ord("A")


@inlined
def _place(rows: Any, count: int, key: int) -> int:
    """First row whose key is not below; most changes are near the best, which is last."""
    low, high = 0, count
    step = 1
    while step < count and rows[count - step, 0] >= key:
        high = count - step
        step += step
    low = max(0, count - step)
    while low < high:
        middle = (low + high) >> 1
        if rows[middle, 0] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def replay(changes: Any, start: int, stop: int, rows: Any, counts: Any) -> int:
    """Apply changes from `start`; return where it stopped: below `stop` a side has no more room.

    `rows[side]` holds (key, size, orders), worst first; the key is the price of a bid and minus
    the price of an ask.
    """
    for m in range(start, stop):
        ask = changes.side[m] == _ASK
        part = 1 if ask else 0
        side = rows[part]
        count = counts[part]
        if count == side.shape[0]:
            return m
        price = changes.price[m]
        key = -price if ask else price
        at = _place(side, count, key)
        found = at < count and side[at, 0] == key
        gone = changes.size[m] == 0 and changes.orders[m] == 0
        if gone:
            if found:
                for k in range(at, count - 1):
                    for column in range(3):
                        side[k, column] = side[k + 1, column]
                counts[part] = count - 1
            continue
        if not found:
            for k in range(count, at, -1):
                for column in range(3):
                    side[k, column] = side[k - 1, column]
            counts[part] = count + 1
            side[at, 0] = key
        side[at, 1] = changes.size[m]
        side[at, 2] = changes.orders[m]
    return stop
