"""Single messages about resting orders: what an exchange sends when one comes, changes or goes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tapemill.world._order_flow_book import (
    BASE,
    BID,
    DELTA,
    DEPTH,
    GATEWAY,
    HEAD,
    LEVEL,
    LEVEL_SIZE,
    MUTED,
    NEXT,
    NEXT_ID,
    SEQUENCE,
    SIZE,
    TAIL,
    TICK,
    TS,
    WAS_MUTED,
    push,
    remove,
    tell,
    tell_mbo,
)
from tapemill.world._order_flow_random import exponential, order_size, uniform

__all__ = [
    "SNAPSHOT",
    "add",
    "begin",
    "cancel",
    "fill_book",
    "modify",
    "move",
    "send_book",
    "usual",
]

SNAPSHOT = 40
"""Flags of a snapshot: SNAPSHOT and BAD_TS_RECV."""
_UNDEFINED = np.int64(2**63 - 1)
_ADD = 65
_CANCEL = 67
_MODIFY = 77
_CLEAR = 82
_ASK = 65
_BID = 66
_NONE = 78
_LAST = 130
_HALT = 0
_RECOVERED = 2
_LARGEST = 60
_REACH = 40


@njit(cache=True, nogil=True)
def begin(
    s: Any, random: Any, levels: Any, orders: Any, ids: Any, pauses: Any, mbo: Any,
    ts: Any, latest: Any, gateway: Any,
) -> None:  # fmt: skip
    """Start an event at `ts`, received before `gateway`; `latest` bounds `ts`.

    Where a feed comes back that recovers, the book is cleared and sent anew first.
    """
    s[TS] = max(s[TS], min(ts, latest))
    delay = 75_000 + np.int64(exponential(random, 25_000.0))
    if uniform(random) < 0.02:
        delay += np.int64(exponential(random, 400_000.0))
    s[GATEWAY] = max(s[GATEWAY], min(s[TS] + delay, gateway))
    s[DELTA] = 12_000 + np.int64(exponential(random, 3_500.0))
    s[SEQUENCE] += 1 if uniform(random) < 0.93 else 1 + np.int64(uniform(random) * 4)
    s[MUTED] = 0
    for i in range(pauses.shape[0]):
        if pauses[i, 2] != _HALT and pauses[i, 0] <= s[TS] < pauses[i, 1]:
            s[MUTED] = pauses[i, 2]
    if s[WAS_MUTED] == _RECOVERED and not s[MUTED]:
        tell_mbo(s, mbo, _CLEAR, _NONE, _UNDEFINED, np.int64(0), np.int64(0), SNAPSHOT)
        send_book(s, levels, orders, ids, mbo, SNAPSHOT)
    s[WAS_MUTED] = s[MUTED]


@njit(cache=True, nogil=True)
def send_book(s: Any, levels: Any, orders: Any, ids: Any, mbo: Any, flags: int) -> None:
    """Write every resting order as an add, best price first."""
    for distance in range(s[BID] + 1):
        level = s[BID] - distance
        slot = levels[level, HEAD]
        while slot >= 0:
            price = (level + s[BASE]) * s[TICK]
            tell_mbo(s, mbo, _ADD, _BID, price, np.int64(orders[slot, SIZE]), ids[slot], flags)
            slot = orders[slot, NEXT]
    for level in range(s[BID] + 1, levels.shape[0]):
        slot = levels[level, HEAD]
        while slot >= 0:
            price = (level + s[BASE]) * s[TICK]
            tell_mbo(s, mbo, _ADD, _ASK, price, np.int64(orders[slot, SIZE]), ids[slot], flags)
            slot = orders[slot, NEXT]


@njit(cache=True, nogil=True)
def usual(depth: Any, distance: Any) -> Any:
    """Contracts that usually rest so far from the best price: more behind it, less far away."""
    if distance <= 4:
        return depth + depth * distance // 4
    return max(2 * depth - depth * (distance - 4) // 24, depth // 2, 1)


@njit(cache=True, nogil=True)
def fill_book(s: Any, random: Any, levels: Any, orders: Any, ids: Any, reach: int) -> None:
    """Rest the orders that stand before the session opens."""
    for slot in range(orders.shape[0]):
        orders[slot, NEXT] = slot + 1 if slot + 1 < orders.shape[0] else -1
    levels[:, HEAD] = -1
    levels[:, TAIL] = -1
    for distance in range(reach):
        for side in range(2):
            level = s[BID] - distance if side == 0 else s[BID] + 1 + distance
            want = usual(s[DEPTH], distance) if distance < _REACH else 1 + s[DEPTH] // 6
            while levels[level, LEVEL_SIZE] < want:
                push(s, levels, orders, ids, level, order_size(random, _LARGEST), s[NEXT_ID])
                s[NEXT_ID] += 1 + np.int64(uniform(random) * 40)


@njit(cache=True, nogil=True)
def add(
    s: Any, levels: Any, orders: Any, ids: Any, mbo: Any, mbp: Any, level: Any, size: Any
) -> Any:
    slot = push(s, levels, orders, ids, level, size, s[NEXT_ID])
    if slot >= 0:
        tell(s, levels, mbo, mbp, _ADD, level, size, s[NEXT_ID], _LAST, level)
        s[NEXT_ID] += 1
    return slot


@njit(cache=True, nogil=True)
def cancel(s: Any, levels: Any, orders: Any, ids: Any, mbo: Any, mbp: Any, slot: Any) -> None:
    level, size = np.int64(orders[slot, LEVEL]), np.int64(orders[slot, SIZE])
    remove(s, levels, orders, slot)
    tell(s, levels, mbo, mbp, _CANCEL, level, size, ids[slot], _LAST, level)


@njit(cache=True, nogil=True)
def modify(
    s: Any, levels: Any, orders: Any, ids: Any, mbo: Any, mbp: Any, slot: Any, size: Any
) -> None:
    """Change the size of an order in its place."""
    level = np.int64(orders[slot, LEVEL])
    levels[level, LEVEL_SIZE] += size - orders[slot, SIZE]
    orders[slot, SIZE] = size
    tell(s, levels, mbo, mbp, _MODIFY, level, size, ids[slot], _LAST, level)


@njit(cache=True, nogil=True)
def move(
    s: Any, levels: Any, orders: Any, ids: Any, mbo: Any, mbp: Any, slot: Any, level: Any
) -> None:
    """Send an order to another price, behind those who stand there."""
    was, size, order_id = np.int64(orders[slot, LEVEL]), np.int64(orders[slot, SIZE]), ids[slot]
    remove(s, levels, orders, slot)
    push(s, levels, orders, ids, level, size, order_id)
    tell(s, levels, mbo, mbp, _MODIFY, level, size, order_id, _LAST, was)
