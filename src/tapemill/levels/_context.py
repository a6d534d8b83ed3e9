"""Compiled parts of the context of a decision: price path before it, levels around it."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

__all__ = ["paths", "surroundings"]


@njit(cache=True, nogil=True)
def _after(ts: Any, ordinal: Any, at: int, last: int) -> int:
    """Number of trades at or before (at, last)."""
    low, high = 0, ts.size
    while low < high:
        middle = (low + high) >> 1
        if ts[middle] < at or (ts[middle] == at and ordinal[middle] <= last):
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _until(ts: Any, at: int) -> int:
    """Number of trades at or before `at`."""
    low, high = 0, ts.size
    while low < high:
        middle = (low + high) >> 1
        if ts[middle] <= at:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def paths(
    ts: Any,
    ordinal: Any,
    price: Any,
    decision_ns: Any,
    last_ordinal: Any,
    touch_ns: Any,
    direction: Any,
    low: Any,
    high: Any,
    sigma: Any,
    velocity_windows: Any,
    path_window: int,
    out: Any,
) -> None:
    """Distance, penetration, velocities, efficiency and range of each decision, into `out`.

    Columns: distance_ticks, distance_sigma, penetration_ticks, one velocity a window,
    efficiency, range in sigma. NaN where the trades do not reach back far enough.
    """
    windows = velocity_windows.size
    for i in range(decision_ns.size):
        stop = _after(ts, ordinal, decision_ns[i], last_ordinal[i])
        for column in range(out.shape[1]):
            out[i, column] = math.nan
        if stop == 0:
            continue
        sign = direction[i]
        edge = low[i] if sign > 0 else high[i]
        now = price[stop - 1]
        out[i, 0] = sign * (now - edge)
        out[i, 1] = out[i, 0] / sigma[i] if sigma[i] > 0 else math.nan
        furthest = -math.inf
        for k in range(stop - 1, -1, -1):
            if ts[k] < touch_ns[i]:
                break
            furthest = max(furthest, sign * (price[k] - edge))
        out[i, 2] = furthest if furthest > -math.inf else math.nan
        for w in range(windows):
            before = _until(ts, decision_ns[i] - velocity_windows[w])
            if before > 0:
                seconds = velocity_windows[w] / 1e9
                out[i, 3 + w] = sign * (now - price[before - 1]) / seconds
        before = _until(ts, decision_ns[i] - path_window)
        if before > 0:
            travelled, top, bottom = 0, price[before - 1], price[before - 1]
            for k in range(before, stop):
                travelled += abs(price[k] - price[k - 1])
                top = max(top, price[k])
                bottom = min(bottom, price[k])
            if travelled > 0:
                out[i, 3 + windows] = abs(now - price[before - 1]) / travelled
            if sigma[i] > 0:
                out[i, 4 + windows] = (top - bottom) / sigma[i]


@njit(cache=True, nogil=True)
def surroundings(
    valid_from: Any,
    valid_to: Any,
    level: Any,
    weight: Any,
    zone: Any,
    decision_ns: Any,
    own_zone: Any,
    direction: Any,
    low: Any,
    high: Any,
    sigma: Any,
    band: Any,
    strong: float,
    out: Any,
) -> None:
    """Members of the zone and the real levels around it, into `out`.

    Columns: zone_levels, zone_width_ticks, confluence_count, confluence_score,
    nearest_level_ticks, runway_break_ticks, runway_break_sigma, runway_bounce_ticks,
    runway_bounce_sigma, obstacles_in_runway.
    """
    for i in range(decision_ns.size):
        members, count, score, nearest = 0, 0, 0.0, math.inf
        ahead, behind = math.inf, math.inf
        at = decision_ns[i]
        for k in range(level.size):
            if not valid_from[k] <= at < valid_to[k]:
                continue
            if zone[k] == own_zone[i]:
                members += 1
                continue
            above, below = level[k] - high[i], low[i] - level[k]
            distance = max(above, below, 0.0)
            nearest = min(nearest, distance)
            if distance <= band[i]:
                count += 1
                score += weight[k] * (1.0 - distance / band[i])
            forward = above if direction[i] > 0 else below
            backward = below if direction[i] > 0 else above
            if weight[k] >= strong:
                if forward > 0:
                    ahead = min(ahead, forward)
                if backward > 0:
                    behind = min(behind, backward)
        obstacles = 0
        for k in range(level.size):
            if valid_from[k] <= at < valid_to[k] and weight[k] < strong and zone[k] != own_zone[i]:
                forward = level[k] - high[i] if direction[i] > 0 else low[i] - level[k]
                if 0 < forward < ahead:
                    obstacles += 1
        out[i, 0] = members
        out[i, 1] = high[i] - low[i]
        out[i, 2] = count
        out[i, 3] = score
        out[i, 4] = nearest if nearest < math.inf else math.nan
        out[i, 5] = ahead if ahead < math.inf else math.nan
        out[i, 6] = out[i, 5] / sigma[i] if sigma[i] > 0 else math.nan
        out[i, 7] = behind if behind < math.inf else math.nan
        out[i, 8] = out[i, 7] / sigma[i] if sigma[i] > 0 else math.nan
        out[i, 9] = obstacles if ahead < math.inf else math.nan
