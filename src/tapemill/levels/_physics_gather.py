"""The compiled answer to one decision: all features of book and tape, from what is carried."""

from __future__ import annotations

import math
from typing import Any

from numba import types

from tapemill.book._compiled import compiled, compiled_for
from tapemill.contracts.level_physics import IMBALANCE_TICKS
from tapemill.levels import _physics_layout as kept
from tapemill.levels._physics_book import depth_at, view_limit
from tapemill.levels._physics_walk import STATE_TYPES
from tapemill.levels._physics_windows import (
    best_prices,
    joined,
    slope,
    spread_of_moments,
    sweeps_since,
    usual_depth,
)
from tapemill.levels.states import barrier_state

__all__ = ["BARRIER_NOW", "BARRIER_WINDOW", "IMBALANCE_NOW", "SUMS", "TAPE_WINDOW", "gather"]

# How many features each part of an answer has, in the order of the declaration.
BARRIER_NOW, BARRIER_WINDOW, TAPE_WINDOW, IMBALANCE_NOW = 6, 11, 14, 3
_NEAR = len(IMBALANCE_TICKS)
_BEST, _MIDDLE, _DEEP = IMBALANCE_TICKS

# Sums over a window; the last three say what stood in the way of knowing.
(
    _ADDED, _CANCELED, _FILLED, _BUY, _SELL, _LARGE, _PRINTS, _THROUGH, _TRADES,
    _OFI, _OFI_MIDDLE, _OFI_DEEP, _SEEN, _FLOW_LOST, _TAPE_LOST,
) = range(15)  # fmt: skip
SUMS = 15

_T: Any = types


@compiled
def _add_flow(flow: Any, seconds: Any, row: int, side: int, low: int, high: int, sums: Any) -> None:
    """Add what a second did to the zone on one side."""
    base = seconds[row, kept.Q_BASE]
    if base == kept.NO_BASE:
        return
    if low < base or high >= base + kept.WIDTH:
        sums[_FLOW_LOST] = 1
        return
    first = max(low - base, seconds[row, kept.Q_LOW])
    for price in range(first, min(high - base, seconds[row, kept.Q_HIGH]) + 1):
        for kind in range(3):
            sums[_ADDED + kind] += flow[row, price, 3 * side + kind]


@compiled
def _add_tape(
    tape: Any, seconds: Any, row: int, low: int, high: int, through: int, upwards: bool, sums: Any
) -> None:
    """Add what a second traded in the band; `through` is the zone's edge in break direction."""
    base = seconds[row, kept.Q_BASE]
    if base == kept.NO_BASE:
        return
    if low < base or high >= base + kept.WIDTH:
        sums[_TAPE_LOST] = 1
        return
    first = max(low - base, seconds[row, kept.Q_TAPE_LOW])
    for price in range(first, min(high - base, seconds[row, kept.Q_TAPE_HIGH]) + 1):
        buy, sell = tape[row, price, kept.TAPE_BUY], tape[row, price, kept.TAPE_SELL]
        sums[_BUY] += buy
        sums[_SELL] += sell
        sums[_LARGE] += tape[row, price, kept.TAPE_LARGE]
        sums[_PRINTS] += tape[row, price, kept.TAPE_PRINTS]
        if price + base > through if upwards else price + base < through:
            sums[_THROUGH] += buy + sell


@compiled
def _barrier_now(
    whole: Any, book: Any, baseline: Any, side: int, low: int, high: int, out: Any
) -> float:
    """What rests in the zone on one side; returns the depth, NaN where none of it is in view."""
    sign = 1 - 2 * side
    best = whole[kept.BEST_BID + side]
    worst = view_limit(whole, book, side)
    depth = orders = visible = holding = 0
    usual = 0.0
    for price in range(low, high + 1):
        mirrored = sign * price
        if mirrored < worst:
            continue
        visible += 1
        depth += depth_at(book, price, kept.SIZE + side)
        orders += depth_at(book, price, kept.ORDERS + side)
        if mirrored > best:
            continue
        holding += 1
        distance = min(best - mirrored, kept.DISTANCES - 1)
        if baseline[1, distance] > 0:
            usual += baseline[0, distance] / baseline[1, distance]
    out[3] = visible / (high - low + 1.0)
    if visible == 0:
        return math.nan
    out[0] = depth
    out[1] = orders
    if orders > 0:
        out[2] = depth / orders
    if holding > 0:
        out[4] = depth / holding
        if whole[kept.SAMPLES] >= kept.LEAST_SECONDS and usual > 0.0:
            out[5] = depth / usual
    return float(depth)


@compiled
def _barrier_window(sums: Any, depth: float, limits: Any, out: Any) -> None:
    """What was added, pulled and traded in a window; `limits` are thresholds of the states."""
    added, canceled, filled = sums[_ADDED], sums[_CANCELED], sums[_FILLED]
    taken = canceled + filled
    churn = added + taken
    out[0], out[1], out[2], out[3] = added, canceled, filled, added - taken
    if taken > 0:
        out[4] = added / taken
        out[8] = filled / taken
    if depth > 0.0:
        out[5] = (canceled - added) / depth
    out[6] = churn
    if churn > 0:
        out[7] = canceled / churn
    out[9] = barrier_state(
        float(added), float(canceled), float(filled), depth,
        limits[0], limits[1], limits[2], limits[3],
    )  # fmt: skip
    out[10] = min(1.0, churn / (5.0 * limits[2]))


@compiled
def _tape_volume(sums: Any, direction: int, large_known: bool, out: Any) -> None:
    buy, sell = sums[_BUY], sums[_SELL]
    volume = buy + sell
    out[0], out[1] = buy, sell
    if volume > 0:
        out[2] = (buy - sell) / volume
        out[3] = direction * out[2]
        out[8] = volume / sums[_PRINTS]
        if large_known:
            out[9] = sums[_LARGE] / volume
    out[10] = sums[_THROUGH]


@compiled
def _tape_motion(
    seconds: Any, second: int, span: int, direction: int, price: int, out: Any
) -> None:
    """Slope of price over a window of `span` seconds, and how it changed within."""
    late = spread_of_moments(seconds, second, 0, span // 2, price)
    early = spread_of_moments(seconds, second, span // 2 + 1, span, price)
    out[4] = slope(joined(early, late))
    out[5] = direction * out[4]
    out[6] = direction * (slope(late) - slope(early))


@compiled
def _imbalances(whole: Any, sums: Any, direction: int, near: Any, out: Any) -> None:
    """Order-flow imbalance of a window over what usually rests near the best prices."""
    for which in range(_NEAR):
        ticks = (_BEST, _MIDDLE, _DEEP)[which]
        if whole[kept.LIMITED] and whole[kept.LEVELS] < ticks:
            continue
        if near[which] > 0.0:
            out[which] = direction * sums[_OFI + which] / near[which]


@compiled_for(
    _T.void(
        *STATE_TYPES,
        _T.int64,
        _T.int64,
        _T.int64,
        _T.float64,
        _T.float64,
        _T.float64,
        _T.Array(_T.float64, 1, "C"),
        _T.Array(_T.int64, 1, "C"),
        _T.Array(_T.int64, 1, "C"),
        _T.Array(_T.float64, 1, "C"),
    )
)
def gather(
    whole: Any, real: Any, book: Any, flow: Any, tape: Any, seconds: Any, sweeps: Any,
    multiples: Any, sizes: Any, baseline: Any,
    decision_ns: int, touch_ns: int, direction: int, low: float, high: float, sigma: float,
    limits: Any, spans: Any, sums: Any, out: Any,
) -> None:  # fmt: skip
    """Fill `out` (NaN where there is no evidence) in the order of the declaration.

    `limits` are vacuum_ratio, wall_ratio, flow_min_contracts, weak_contracts, barrier_min_ticks,
    barrier_sigma, tape_min_ticks, tape_sigma; `spans` are the windows in seconds, the last one
    that since the touch (negative: none). `sums` is room for `SUMS` numbers.
    """
    out[:] = math.nan
    # A feed that has been silent for too long says nothing about now.
    if decision_ns - whole[kept.LAST_TS] > real[kept.GAP_NS] or whole[kept.LAST_TS] < 0:
        return
    calm = 0.0 if math.isnan(sigma) else sigma
    zone = max(limits[4], limits[5] * calm)
    band = max(limits[6], limits[7] * calm)
    zone_low, zone_high = math.ceil(low - zone), math.floor(high + zone)
    tape_low, tape_high = math.ceil(low - band), math.floor(high + band)
    upwards = direction > 0
    through = math.floor(high) if upwards else math.ceil(low)
    side = 1 if upwards else 0
    zone_top = zone_high if side == 0 else -zone_low
    second = decision_ns // kept.SECOND_NS

    sums[:] = 0
    sums[_FLOW_LOST] = zone_high - zone_low >= kept.WIDTH
    sums[_TAPE_LOST] = tape_high - tape_low >= kept.WIDTH
    depth = math.nan
    if not sums[_FLOW_LOST]:
        depth = _barrier_now(whole, book, baseline, side, zone_low, zone_high, out)
    sums[_SEEN] = not math.isnan(depth)
    windows = spans.size
    tape_at = BARRIER_NOW + windows * BARRIER_WINDOW
    near_at = tape_at + windows * TAPE_WINDOW
    out[near_at], out[near_at + 1], out[near_at + 2] = best_prices(whole, book, direction)
    near = (
        usual_depth(whole, baseline, _BEST),
        usual_depth(whole, baseline, _MIDDLE),
        usual_depth(whole, baseline, _DEEP),
    )

    longest = 0
    for window in range(windows):
        longest = max(longest, spans[window])
    for offset in range(longest + 1):
        row = (second - offset) & (kept.RING - 1)
        if seconds[row, kept.Q_SECOND] == second - offset:
            _add_flow(flow, seconds, row, side, zone_low, zone_high, sums)
            _add_tape(tape, seconds, row, tape_low, tape_high, through, upwards, sums)
            sums[_TRADES] += seconds[row, kept.Q_TRADES]
            for which in range(_NEAR):
                sums[_OFI + which] += seconds[row, kept.Q_OFI + which]
            if seconds[row, kept.Q_VIEW_BID + side] <= zone_top:
                sums[_SEEN] = 1
        start = second - offset
        if start * kept.SECOND_NS < whole[kept.SINCE]:
            break
        for window in range(windows):
            if spans[window] != offset:
                continue
            place = BARRIER_NOW + window * BARRIER_WINDOW
            if sums[_SEEN] and not sums[_FLOW_LOST]:
                _barrier_window(sums, depth, limits, out[place : place + BARRIER_WINDOW])
            place = tape_at + window * TAPE_WINDOW
            answer = out[place : place + TAPE_WINDOW]
            if not sums[_TAPE_LOST]:
                _tape_volume(sums, direction, whole[kept.LARGE_SINCE] <= start, answer)
            _tape_motion(seconds, second, offset, direction, whole[kept.LAST_PRICE], answer)
            answer[7] = sums[_TRADES] / ((decision_ns - start * kept.SECOND_NS) * 1e-9)
            if whole[kept.USUAL_SINCE] <= start:
                count, answer[12], balance = sweeps_since(
                    whole, real, sweeps, multiples, start, tape_low, tape_high
                )
                answer[11] = count
                answer[13] = direction * balance
            place = near_at + IMBALANCE_NOW + window * _NEAR
            _imbalances(whole, sums, direction, near, out[place : place + _NEAR])
