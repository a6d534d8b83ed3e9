"""Orders between two trades: the ordinary ones, and what planted levels need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tapemill.world._order_flow_book import (
    BASE,
    BID,
    DEPTH,
    LEVEL_COUNT,
    LEVEL_SIZE,
    LIVE,
    MARK,
    NEAR,
    SIZE,
    TAIL,
)
from tapemill.world._order_flow_messages import add, cancel, modify, move, usual
from tapemill.world._order_flow_random import exponential, order_size, uniform

__all__ = ["MARGIN", "rest"]

MARGIN = 4_096
"""Records that one step can write at most, beside a snapshot."""
_WALL, _VACUUM, _ICEBERG = 1, 2, 3
_PHASE_BREAK = 2
_PHASE_PULLED = 5
_PLANT_LEVEL = 0
_PLANT_KIND = 1
_PLANT_SIZE = 5
_PLANT_REFILLS = 7
_LARGEST = 60
_THIN = 2
_THIN_TICKS = 3
_REACH = 40


@njit(cache=True, nogil=True)
def wanted(s: Any, plants: Any, phase: Any, level: Any, distance: Any) -> Any:
    """Contracts towards which ordinary orders bring a level."""
    if s[NEAR] >= 0:
        plant = plants[s[NEAR]]
        ahead = level - (plant[_PLANT_LEVEL] - s[BASE])
        if plant[_PLANT_KIND] == _WALL and ahead == 0 and phase != _PHASE_PULLED:
            return plant[_PLANT_SIZE]
        inward = ahead if level > s[BID] else -ahead
        if plant[_PLANT_KIND] == _VACUUM and 0 <= inward < _THIN_TICKS:
            return np.int64(_THIN)
    return usual(s[DEPTH], distance)


@njit(cache=True, nogil=True)
def keep_plant(
    s: Any, random: Any, levels: Any, orders: Any, ids: Any, plants: Any, shown: Any, phase: Any,
    mbo: Any, mbp: Any,
) -> Any:  # fmt: skip
    """Do what the planted level nearby needs; whether anything was done."""
    i = s[NEAR]
    kind, level = plants[i, _PLANT_KIND], plants[i, _PLANT_LEVEL] - s[BASE]
    have, size = np.int64(levels[level, LEVEL_SIZE]), plants[i, _PLANT_SIZE]
    best = level == s[BID] or level == s[BID] + 1
    if kind == _WALL:
        if phase == _PHASE_PULLED:
            if have <= 2 * s[DEPTH] or levels[level, LEVEL_COUNT] < 2:
                return False
            cancel(s, levels, orders, ids, mbo, mbp, levels[level, TAIL])
            return True
        if phase == _PHASE_BREAK or have >= size:
            return False
        lot = min(4 + np.int64(exponential(random, size / 14.0)), size)
        return add(s, levels, orders, ids, mbo, mbp, level, lot) >= 0
    if kind == _VACUUM:
        level += np.int64(uniform(random) * _THIN_TICKS) * (1 if level > s[BID] else -1)
        if levels[level, LEVEL_SIZE] <= _THIN or levels[level, LEVEL_COUNT] < 2:
            return False
        cancel(s, levels, orders, ids, mbo, mbp, levels[level, TAIL])
        return True
    if kind == _ICEBERG and shown[i, 0] == 0 and not (best and levels[level, LEVEL_COUNT] == 0):
        slot = add(s, levels, orders, ids, mbo, mbp, level, size)
        if slot >= 0:
            orders[slot, MARK] = i + 1
            shown[i, 0], shown[i, 1] = 1, plants[i, _PLANT_REFILLS]
        return slot >= 0
    return False


@njit(cache=True, nogil=True)
def rest(
    s: Any, random: Any, levels: Any, orders: Any, ids: Any, plants: Any, shown: Any, phase: Any,
    mbo: Any, mbp: Any,
) -> None:  # fmt: skip
    """One ordinary message near the best prices."""
    planted = s[NEAR] >= 0 and uniform(random) < 0.3
    if planted and keep_plant(s, random, levels, orders, ids, plants, shown, phase, mbo, mbp):
        return
    distance: Any = min(np.int64(exponential(random, 5.0)), _REACH)
    bid_side = uniform(random) < 0.5
    level = s[BID] - distance if bid_side else s[BID] + 1 + distance
    count, have = levels[level, LEVEL_COUNT], levels[level, LEVEL_SIZE]
    spare = count > (1 if distance == 0 else 0)  # the best price is never left empty
    slot = levels[level, TAIL]
    if spare and uniform(random) < 0.18 and orders[slot, MARK] == 0:
        if uniform(random) < 0.5:
            size = order_size(random, _LARGEST)
            size += size == orders[slot, SIZE]
            modify(s, levels, orders, ids, mbo, mbp, slot, size)
            return
        away = -1 if bid_side else 1
        if distance > 0 and uniform(random) < 0.5:
            away = -away
        move(s, levels, orders, ids, mbo, mbp, slot, level + away)
        return
    want = wanted(s, plants, phase, level, distance)
    adding = max(0.95 - 0.45 * have / want, 0.03)
    going = uniform(random) >= adding
    if going and spare and orders[slot, MARK] == 0:
        cancel(s, levels, orders, ids, mbo, mbp, slot)
        return
    if s[LIVE] + MARGIN < orders.shape[0]:
        add(s, levels, orders, ids, mbo, mbp, level, order_size(random, _LARGEST))
