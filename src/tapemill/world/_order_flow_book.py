"""Orders resting at prices, and the records that tell of them, inside the order-flow kernels.

Levels are rows of an int32 table, one for each tick of a fixed range; orders are rows of a pool,
linked in the order of their priority. Records are written as 64-bit words, which is what a DBN
record is made of (7 words of mbo, 46 of mbp-10).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "LEVEL_COUNT",
    "LEVEL_SIZE",
    "MBO_WORDS",
    "MBP_WORDS",
    "ORDER_COLUMNS",
    "STATE_LENGTH",
    "push",
    "remove",
    "tell",
    "tell_mbo",
    "tell_mbp",
]

MBO_WORDS, MBP_WORDS = 7, 46
ORDER_COLUMNS, STATE_LENGTH = 5, 40

# Columns of the level table, of the order pool.
LEVEL_SIZE, LEVEL_COUNT, HEAD, TAIL = range(4)
SIZE, LEVEL, NEXT, PREV, MARK = range(5)

# Places in the int64 state.
(
    BASE, TICK, MBO_HEADER, MBP_HEADER, BID, LOWEST, HIGHEST, FREE, LIVE, NEXT_ID, TS, GATEWAY,
    DELTA, SEQUENCE, MUTED, WAS_MUTED, MBO_ROW, MBP_ROW, MBO_TOTAL, MBP_TOTAL, STAGE, TRADE,
    LEFT, NEAR, CONTROL, TARGET, TRADE_COST, FILLS, FILL_COST, DEPTH, SHOW,
) = range(31)  # fmt: skip

_UNDEFINED = np.int64(2**63 - 1)
_TEN = 10


@njit(cache=True, nogil=True)
def push(s: Any, levels: Any, orders: Any, ids: Any, level: Any, size: Any, order_id: Any) -> Any:
    """Rest an order behind the others of its level; its row of the pool, -1 when that is full."""
    slot = s[FREE]
    if slot < 0:
        return slot
    s[FREE] = orders[slot, NEXT]
    s[LIVE] += 1
    tail = levels[level, TAIL]
    orders[slot, SIZE], orders[slot, LEVEL] = size, level
    orders[slot, NEXT], orders[slot, PREV], orders[slot, MARK] = -1, tail, 0
    ids[slot] = order_id
    if tail >= 0:
        orders[tail, NEXT] = slot
    else:
        levels[level, HEAD] = slot
    levels[level, TAIL] = slot
    levels[level, LEVEL_SIZE] += size
    levels[level, LEVEL_COUNT] += 1
    s[LOWEST] = min(s[LOWEST], level)
    s[HIGHEST] = max(s[HIGHEST], level)
    return slot


@njit(cache=True, nogil=True)
def remove(s: Any, levels: Any, orders: Any, slot: Any) -> None:
    """Take an order out of its level."""
    level, after, before = orders[slot, LEVEL], orders[slot, NEXT], orders[slot, PREV]
    if before >= 0:
        orders[before, NEXT] = after
    else:
        levels[level, HEAD] = after
    if after >= 0:
        orders[after, PREV] = before
    else:
        levels[level, TAIL] = before
    levels[level, LEVEL_SIZE] -= orders[slot, SIZE]
    levels[level, LEVEL_COUNT] -= 1
    orders[slot, NEXT] = s[FREE]
    s[FREE] = slot
    s[LIVE] -= 1


@njit(cache=True, nogil=True)
def rank(s: Any, levels: Any, level: Any) -> Any:
    """How many occupied prices are better than `level` on its side; at most ten."""
    better = 0
    if level <= s[BID]:
        i = s[BID]
        while i > level and better < _TEN:
            better += levels[i, LEVEL_COUNT] > 0
            i -= 1
    else:
        i = s[BID] + 1
        while i < level and better < _TEN:
            better += levels[i, LEVEL_COUNT] > 0
            i += 1
    return better


@njit(cache=True, nogil=True)
def tell_mbo(
    s: Any, mbo: Any, action: Any, side: Any, price: Any, size: Any, order_id: Any, flags: Any
) -> None:
    """Write one mbo record; `price` in 1e-9."""
    if s[MUTED]:
        return
    s[MBO_TOTAL] += 1
    if mbo.shape[0] == 0:
        return
    row = mbo[s[MBO_ROW]]
    s[MBO_ROW] += 1
    row[0], row[1], row[2], row[3] = s[MBO_HEADER], s[TS], order_id, price
    row[4] = size | flags << 32 | action << 48 | side << 56
    row[5] = s[GATEWAY]
    row[6] = s[DELTA] | s[SEQUENCE] << 32


@njit(cache=True, nogil=True)
def tell_mbp(
    s: Any,
    levels: Any,
    mbp: Any,
    action: Any,
    side: Any,
    level: Any,
    size: Any,
    flags: Any,
    depth: Any,
) -> None:
    """Write one mbp-10 record with the book as it stands."""
    if s[MUTED]:
        return
    s[MBP_TOTAL] += 1
    if mbp.shape[0] == 0:
        return
    row = mbp[s[MBP_ROW]]
    s[MBP_ROW] += 1
    row[0], row[1] = s[MBP_HEADER], s[TS]
    row[2] = (level + s[BASE]) * s[TICK]
    row[3] = size | action << 32 | side << 40 | flags << 48 | depth << 56
    row[4] = s[GATEWAY]
    row[5] = s[DELTA] | s[SEQUENCE] << 32
    bid, ask = s[BID], s[BID] + 1
    for place in range(_TEN):
        while bid >= s[LOWEST] and levels[bid, LEVEL_COUNT] == 0:
            bid -= 1
        while ask <= s[HIGHEST] and levels[ask, LEVEL_COUNT] == 0:
            ask += 1
        at = 6 + 4 * place
        sizes, counts = np.int64(0), np.int64(0)
        if bid >= s[LOWEST]:
            row[at] = (bid + s[BASE]) * s[TICK]
            sizes, counts = np.int64(levels[bid, LEVEL_SIZE]), np.int64(levels[bid, LEVEL_COUNT])
            bid -= 1
        else:
            row[at] = _UNDEFINED
        if ask <= s[HIGHEST]:
            row[at + 1] = (ask + s[BASE]) * s[TICK]
            sizes |= np.int64(levels[ask, LEVEL_SIZE]) << 32
            counts |= np.int64(levels[ask, LEVEL_COUNT]) << 32
            ask += 1
        else:
            row[at + 1] = _UNDEFINED
        row[at + 2], row[at + 3] = sizes, counts


@njit(cache=True, nogil=True)
def tell(
    s: Any,
    levels: Any,
    mbo: Any,
    mbp: Any,
    action: Any,
    level: Any,
    size: Any,
    order_id: Any,
    flags: Any,
    elsewhere: Any,
) -> None:
    """Write what happened to a resting order, after it happened.

    `elsewhere` is the level that a moved order came from, else `level`.
    """
    side = 66 if level <= s[BID] else 65
    tell_mbo(s, mbo, action, side, (level + s[BASE]) * s[TICK], size, order_id, flags)
    depth = rank(s, levels, level)
    seen = depth < _TEN
    if not seen and elsewhere != level:
        seen = rank(s, levels, elsewhere) < _TEN
    if seen:
        tell_mbp(s, levels, mbp, action, side, level, size, flags, depth if depth < _TEN else 255)
