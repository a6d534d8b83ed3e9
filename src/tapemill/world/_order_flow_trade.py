"""A trade: the level it hits is made ready, then filled by priority as CME reports it.

The level is brought to the right size by ordinary orders and cancels. The event is T, then F of
each order hit, then C or M of it; an iceberg shows its next part under the same order id.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tapemill.world._order_flow_book import (
    BASE,
    BID,
    GATEWAY,
    HEAD,
    LEVEL_SIZE,
    MARK,
    NEXT,
    NEXT_ID,
    SEQUENCE,
    SIZE,
    TAIL,
    TICK,
    push,
    remove,
    tell,
    tell_mbo,
    tell_mbp,
)
from tapemill.world._order_flow_messages import add, begin, cancel, modify

__all__ = ["prepare", "trade"]

_ADD = 65
_CANCEL = 67
_FILL = 70
_MODIFY = 77
_TRADE = 84
_ASK = 65
_BID = 66
_NONE = 78
_LAST = 130
_PLANT_SIZE = 5


@njit(cache=True, nogil=True)
def _forget(orders: Any, slot: Any, shown: Any) -> None:
    """An iceberg's order is about to leave the book for good."""
    if orders[slot, MARK]:
        shown[orders[slot, MARK] - 1, 0] = 0


@njit(cache=True, nogil=True)
def prepare(
    s: Any, random: Any, levels: Any, orders: Any, ids: Any, shown: Any, mbo: Any, mbp: Any,
    level: Any, size: Any, whole: Any, ts: Any, gateway: Any, pauses: Any,
) -> None:  # fmt: skip
    """Bring the level to exactly `size` (the trade takes it all) or above it."""
    have = np.int64(levels[level, LEVEL_SIZE])
    short = size - have if whole else size + 1 - have
    if short > 0:
        begin(s, random, levels, orders, ids, pauses, mbo, ts - 4_000, ts, gateway)
        add(s, levels, orders, ids, mbo, mbp, level, short)
    while whole and levels[level, LEVEL_SIZE] > size:
        slot = levels[level, TAIL]
        surplus = np.int64(levels[level, LEVEL_SIZE]) - size
        begin(s, random, levels, orders, ids, pauses, mbo, ts - 4_000, ts, gateway)
        if orders[slot, SIZE] <= surplus:
            _forget(orders, slot, shown)
            cancel(s, levels, orders, ids, mbo, mbp, slot)
        else:
            modify(s, levels, orders, ids, mbo, mbp, slot, orders[slot, SIZE] - surplus)


@njit(cache=True, nogil=True)
def trade(
    s: Any, random: Any, levels: Any, orders: Any, ids: Any, plants: Any, shown: Any, hold: Any,
    mbo: Any, mbp: Any, level: Any, size: Any, aggressor: Any, gateway: Any,
) -> None:  # fmt: skip
    """T, the fills, then what is left of each order; one event."""
    side = _BID if aggressor > 0 else (_ASK if aggressor < 0 else _NONE)
    resting = _ASK if level > s[BID] else _BID
    price = (level + s[BASE]) * s[TICK]
    taker = s[NEXT_ID] if aggressor else np.int64(0)
    s[NEXT_ID] += 1
    tell_mbo(s, mbo, _TRADE, side, price, size, taker, 0)
    tell_mbp(s, levels, mbp, _TRADE, side, level, size, 0, 0)
    left, slot = size, levels[level, HEAD]
    while left > 0:
        part = min(left, np.int64(orders[slot, SIZE]))
        filled = resting if aggressor else _NONE
        tell_mbo(s, mbo, _FILL, filled, price, part, ids[slot], 0)
        left -= part
        slot = orders[slot, NEXT]
    s[SEQUENCE] += 1
    s[GATEWAY] = max(s[GATEWAY], min(s[GATEWAY] + 12_000, gateway))
    left = size
    while left > 0:
        slot = levels[level, HEAD]
        whole = np.int64(orders[slot, SIZE])
        mark, order_id = orders[slot, MARK], ids[slot]
        if whole > left:
            levels[level, LEVEL_SIZE] -= left
            orders[slot, SIZE] -= left
            tell(s, levels, mbo, mbp, _MODIFY, level, whole - left, order_id, _LAST, level)
            return
        left -= whole
        again = mark > 0 and shown[mark - 1, 1] > 0 and hold
        remove(s, levels, orders, slot)
        flags = 0 if left > 0 or again else _LAST
        tell(s, levels, mbo, mbp, _CANCEL, level, whole, order_id, flags, level)
        if again:
            shown[mark - 1, 1] -= 1
            peak = plants[mark - 1, _PLANT_SIZE]
            slot = push(s, levels, orders, ids, level, peak, order_id)
            orders[slot, MARK] = mark
            last = 0 if left > 0 else _LAST
            tell(s, levels, mbo, mbp, _ADD, level, peak, order_id, last, level)
        elif mark > 0:
            shown[mark - 1, 0] = 0
