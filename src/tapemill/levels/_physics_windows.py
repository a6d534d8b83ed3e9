"""What windows before a decision hold: slope of price, sweeps, imbalance near the best prices."""

from __future__ import annotations

import math
from typing import Any

from tapemill.book._compiled import compiled
from tapemill.levels import _physics_layout as kept
from tapemill.levels._physics_book import depth_at

__all__ = ["best_prices", "joined", "slope", "spread_of_moments", "sweeps_since", "usual_depth"]

_MICROSECOND = 1e-6


@compiled
def joined(a: Any, b: Any) -> Any:
    """Moments of two samples together (Chan, Golub and LeVeque 1983).

    A sample is (count, mean time, mean price, Σ squared time, Σ time · price), both sums centred.
    """
    if a[0] == 0.0:
        return b
    if b[0] == 0.0:
        return a
    count = a[0] + b[0]
    share = b[0] / count
    time, price = b[1] - a[1], b[2] - a[2]
    return (
        count,
        a[1] + time * share,
        a[2] + price * share,
        a[3] + b[3] + time * time * a[0] * share,
        a[4] + b[4] + time * price * a[0] * share,
    )


@compiled
def spread_of_moments(
    seconds: Any, second: int, newest: int, oldest: int, price: int
) -> tuple[float, float, float, float, float]:
    """Moments of the trades of the seconds `newest` to `oldest` before `second`.

    Times are seconds from the start of `second`, prices are relative to `price`; the sums of one
    second are whole numbers, so nothing is lost before they are centred.
    """
    total = (0.0, 0.0, 0.0, 0.0, 0.0)
    for offset in range(newest, oldest + 1):
        row = (second - offset) & (kept.RING - 1)
        trades = seconds[row, kept.Q_TRADES]
        if trades == 0 or seconds[row, kept.Q_SECOND] != second - offset:
            continue
        moments = seconds[row, kept.Q_T]
        prices = seconds[row, kept.Q_P] - trades * price
        time, level = moments / trades, prices / trades
        squares = seconds[row, kept.Q_TT] - moments * time
        products = seconds[row, kept.Q_TP] - price * moments - moments * level
        one = (
            float(trades),
            time * _MICROSECOND - offset,
            level,
            squares * _MICROSECOND * _MICROSECOND,
            products * _MICROSECOND,
        )
        total = joined(total, one)
    return total


@compiled
def slope(sample: Any) -> float:
    """Least-squares slope of price on time; NaN where all trades share one moment."""
    # A microsecond apart is the least that differs; the centred square of two such is 5e-13.
    if sample[0] < 2.0 or sample[3] < 0.4 * _MICROSECOND * _MICROSECOND:
        return math.nan
    return float(sample[4] / sample[3])


@compiled
def sweeps_since(
    whole: Any, real: Any, sweeps: Any, multiples: Any, first: int, low: int, high: int
) -> tuple[int, float, float]:
    """Count, largest and signed sum of the sweeps of the second `first` on that overlap a band."""
    count, largest, balance = 0, math.nan, 0.0
    size = whole[kept.BURST_SIZE]
    if (
        whole[kept.BURST_PRINTS] >= 2
        and size >= real[kept.SWEEP_LEAST] * real[kept.BURST_USUAL]
        and whole[kept.BURST_NS] // kept.SECOND_NS >= first
        and whole[kept.BURST_LOW] <= high
        and whole[kept.BURST_HIGH] >= low
    ):
        count = 1
        largest = size / real[kept.BURST_USUAL]
        balance = whole[kept.BURST_SIDE] * largest
    for back in range(1, min(whole[kept.SWEEPS], kept.SWEEPS_KEPT) + 1):
        place = (whole[kept.SWEEPS] - back) % kept.SWEEPS_KEPT
        if sweeps[place, kept.SWEEP_SECOND] < first:
            break
        if sweeps[place, kept.SWEEP_LOW] > high or sweeps[place, kept.SWEEP_HIGH] < low:
            continue
        count += 1
        balance += sweeps[place, kept.SWEEP_SIDE] * multiples[place]
        if not largest >= multiples[place]:
            largest = multiples[place]
    return count, largest, balance


@compiled
def best_prices(whole: Any, book: Any, direction: int) -> tuple[float, float, float]:
    """Queue pressure, spread and microprice; NaN while the book is crossed or one-sided."""
    bid, ask = whole[kept.BEST_BID], -whole[kept.BEST_BID + 1]
    if bid == -kept.FAR or ask == kept.FAR or bid >= ask:
        return math.nan, math.nan, math.nan
    bid_size = depth_at(book, bid, kept.SIZE)
    ask_size = depth_at(book, ask, kept.SIZE + 1)
    total = bid_size + ask_size
    # The microprice lies where the smaller queue is: bid + spread · bid_size / total.
    pressure = direction * (bid_size - ask_size) / total
    spread = float(ask - bid)
    return pressure, spread, 0.5 * spread * pressure


@compiled
def usual_depth(whole: Any, baseline: Any, ticks: int) -> float:
    """What usually rests on a side less than `ticks` from its best; NaN if not known yet."""
    total = 0.0
    for distance in range(ticks):
        if whole[kept.SAMPLES] < kept.LEAST_SECONDS or baseline[1, distance] == 0:
            return math.nan
        total += baseline[0, distance] / baseline[1, distance]
    return total
