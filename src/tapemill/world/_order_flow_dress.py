"""The order flow around the walk of price: what makes each of its trades happen.

Before a trade come ordinary messages; then the trade; behind it new orders take the empty best
price, so that the book of the walk stands again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tapemill.world._order_flow_book import (
    BASE,
    BID,
    CONTROL,
    FILL_COST,
    FILLS,
    GATEWAY,
    LEFT,
    LEVEL_COUNT,
    LIVE,
    MBO_ROW,
    MBO_TOTAL,
    MBP_ROW,
    MBP_TOTAL,
    NEAR,
    SHOW,
    STAGE,
    TARGET,
    TRADE,
    TRADE_COST,
    TS,
)
from tapemill.world._order_flow_messages import add, begin
from tapemill.world._order_flow_random import exponential, order_size, uniform
from tapemill.world._order_flow_rest import MARGIN, rest
from tapemill.world._order_flow_trade import prepare, trade

__all__ = ["advance"]

_DRAW, _REST, _HIT, _DONE = range(4)
_WALL, _VACUUM, _ICEBERG = 1, 2, 3
_PHASE_HOLD = 1
_PLANT_LEVEL = 0
_PLANT_KIND = 1
_HALT = 0
_SPARE = 1.2
_LARGEST = 60


@njit(cache=True, nogil=True)
def _after_halt(ts: Any, pauses: Any) -> Any:
    for i in range(pauses.shape[0]):
        if pauses[i, 2] == _HALT and pauses[i, 0] <= ts < pauses[i, 1]:
            return pauses[i, 1]
    return ts


@njit(cache=True, nogil=True)
def _draw_rest(s: Any, random: Any, trades: Any, plants: Any) -> None:
    """How many messages come before the next trade, and which planted level is near."""
    done = s[MBP_TOTAL] if s[CONTROL] else s[MBO_TOTAL]
    ahead = trades - s[TRADE] + 1
    cost = s[TRADE_COST] / s[TRADE] if s[TRADE] else 8.0
    each = s[FILL_COST] / s[FILLS] if s[FILLS] > 1_000 else 0.85
    mean = max((s[TARGET] - done) / ahead - cost, 0.0) / max(each, 0.1)
    s[LEFT] = np.int64(exponential(random, mean) + uniform(random))
    if s[TRADE] == trades:  # the rest of the day, with a little more than will be needed
        s[LEFT] = np.int64((s[TARGET] - done) / max(each, 0.1) * _SPARE) + 1
    s[NEAR] = -1
    nearest = s[SHOW] + 1
    for i in range(plants.shape[0]):
        kind = plants[i, _PLANT_KIND]
        away = abs(plants[i, _PLANT_LEVEL] - s[BASE] - s[BID])
        if _WALL <= kind <= _ICEBERG and away < nearest:
            nearest, s[NEAR] = away, i


@njit(cache=True, nogil=True)
def advance(
    s: Any,
    random: Any,
    levels: Any,
    orders: Any,
    ids: Any,
    plants: Any,
    shown: Any,
    pauses: Any,
    stamps: Any,
    gateways: Any,
    prices: Any,
    aggressors: Any,
    sizes: Any,
    moves: Any,
    active: Any,
    phases: Any,
    close_ns: int,
    mbo: Any,
    mbp: Any,
) -> bool:
    """Write records until the blocks are nearly full; whether the session is over.

    Parameters
    ----------
    s, random, levels, orders, ids, shown
        State, carried from call to call; any size of the blocks gives the same records.
    plants : int64 (m, 8)
        As `PLANT_FIELDS` of the walk.
    pauses : int64 (k, 3)
        Start, end, kind: 0 halt, 1 gap, 2 gap with recovery.
    stamps ... phases : length n
        The walk of price.
    mbo, mbp : int64 (rows, 7), (rows, 46), out
        Blocks; no rows: that feed is not wanted.
    """
    n = stamps.size
    while s[STAGE] != _DONE:
        full = mbo.shape[0] > 0 and s[MBO_ROW] + s[LIVE] + MARGIN > mbo.shape[0]
        if full or (mbp.shape[0] > 0 and s[MBP_ROW] + MARGIN > mbp.shape[0]):
            return False
        k = s[TRADE]
        until = stamps[k] if k < n else close_ns
        gateway = gateways[k] if k < n else close_ns + 1_000_000
        acting = active[k - 1] if k > 0 else -1
        before = s[MBP_TOTAL] if s[CONTROL] else s[MBO_TOTAL]
        if s[STAGE] == _DRAW:
            _draw_rest(s, random, n, plants)
            s[STAGE] = _REST
        elif s[STAGE] == _REST:
            if s[LEFT] <= 0 or (k == n and before >= s[TARGET]):
                s[STAGE] = _HIT if k < n else _DONE
                continue
            phase = phases[k - 1] if acting >= 0 and acting == s[NEAR] else 0
            ahead = until - s[TS]
            if uniform(random) < 0.5:
                ts = s[TS] + 1_000 + np.int64(exponential(random, 30_000.0))
            else:
                ts = s[TS] + np.int64(ahead * (1.0 - uniform(random) ** (1.0 / s[LEFT])))
            ts = _after_halt(ts, pauses)
            begin(s, random, levels, orders, ids, pauses, mbo, ts, until, gateway)
            rest(s, random, levels, orders, ids, plants, shown, phase, mbo, mbp)
            s[LEFT] -= 1
            s[FILLS] += 1
            s[FILL_COST] += (s[MBP_TOTAL] if s[CONTROL] else s[MBO_TOTAL]) - before
        else:
            level, size, step = prices[k] - s[BASE], np.int64(sizes[k]), np.int64(moves[k])
            prepare(s, random, levels, orders, ids, shown, mbo, mbp, level, size, step != 0,
                     until, gateway, pauses)  # fmt: skip
            begin(s, random, levels, orders, ids, pauses, mbo, until, until, gateway)
            s[GATEWAY] = gateway
            following = gateways[k + 1] if k + 1 < n else close_ns + 1_000_000
            hold = step == 0 and (phases[k] == _PHASE_HOLD or phases[k] == 0)
            trade(s, random, levels, orders, ids, plants, shown, hold, mbo, mbp, level, size,
                   np.int64(aggressors[k]), following)  # fmt: skip
            s[BID] += step
            later = stamps[k + 1] if k + 1 < n else close_ns
            for best in range(s[BID], s[BID] + 2):
                if levels[best, LEVEL_COUNT] == 0:
                    ts = s[TS] + 15_000 + np.int64(exponential(random, 20_000.0))
                    begin(s, random, levels, orders, ids, pauses, mbo, ts, later, following)
                    add(s, levels, orders, ids, mbo, mbp, best, order_size(random, _LARGEST))
            s[TRADE_COST] += (s[MBP_TOTAL] if s[CONTROL] else s[MBO_TOTAL]) - before
            s[TRADE] += 1
            s[STAGE] = _DRAW
    return True
