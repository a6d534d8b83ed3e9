"""Minutes of one company and session, bridged so that they aggregate exactly to the daily bar."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tapemill.clock.sessions import Session
from tapemill.world.corporate_actions import Halt
from tapemill.world.daily import FRACTIONAL_FROM, MICRO, DailyPath
from tapemill.world.specs import Tier

__all__ = ["BAR_SCHEMA", "draw_minutes"]

BAR_SCHEMA = pl.Schema(
    {
        "t": pl.Int64,
        "o": pl.Float64,
        "h": pl.Float64,
        "l": pl.Float64,
        "c": pl.Float64,
        "v": pl.Float64,
        "vw": pl.Float64,
        "n": pl.Int64,
    }
)
"""The vendor's bar: `t` start in milliseconds UTC, unadjusted dollars, shares, VWAP, trades."""

_MINUTE_NS = 60_000_000_000
_REGULAR_PRESENCE = {"mega": 1.0, "mid": 0.985, "illiquid": 0.25}
_PRE_PRESENCE = {"mega": 0.75, "mid": 0.15, "illiquid": 0.01}
_POST_PRESENCE = {"mega": 0.60, "mid": 0.08, "illiquid": 0.005}

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Day:
    """Slot layout of a session: pre-market ``[0, first)``, regular ``[first, last)``, post."""

    slots: int
    first: int
    last: int
    open: float
    high: float
    low: float
    close: float
    sigma: float


def draw_minutes(
    draw: np.random.Generator,
    tier: Tier,
    session: Session,
    daily: DailyPath,
    index: int,
    halts: tuple[Halt, ...],
) -> pl.DataFrame:
    """Draw the minute bars of one session, pre- and post-market included.

    Open, high, low and close of the regular minutes equal the daily bar's; volume and trades of
    all minutes sum to it (volumes in millionths of a share). The VWAPs are not reconciled.

    Returns
    -------
    polars.DataFrame
        Schema :data:`BAR_SCHEMA`, sorted by `t`; a minute without a trade has no row.
    """
    day = _Day(
        slots=(session.post_close_ns - session.pre_open_ns) // _MINUTE_NS,
        first=(session.open_ns - session.pre_open_ns) // _MINUTE_NS,
        last=(session.close_ns - session.pre_open_ns) // _MINUTE_NS,
        open=float(daily.open[index]),
        high=float(daily.high[index]),
        low=float(daily.low[index]),
        close=float(daily.close[index]),
        sigma=float(daily.sigma[index]),
    )
    halted = np.zeros(day.slots, dtype=bool)
    for halt in halts:
        begin = (halt.start_ns - session.pre_open_ns) // _MINUTE_NS
        halted[begin : (halt.end_ns - session.pre_open_ns) // _MINUTE_NS] = True
    bars, forced = _prices(draw, day, halted, daily, index)
    present = _presence(draw, tier, day) & ~halted
    present[forced] = True
    volume, trades = _activity(draw, day, present, daily, index, session.session >= FRACTIONAL_FROM)
    slot = np.flatnonzero(present)
    start_ms = (session.pre_open_ns + slot * _MINUTE_NS) // 1_000_000
    open_, high, low, close = (series[slot] for series in bars)
    vwap = np.round((open_ + high + low + close) / 4, 4)
    columns = [start_ms, open_, high, low, close, volume[slot] / MICRO, vwap, trades[slot]]
    return pl.DataFrame(dict(zip(BAR_SCHEMA, columns, strict=True)), schema=BAR_SCHEMA)


def _prices(
    draw: np.random.Generator, day: _Day, halted: NDArray[np.bool_], daily: DailyPath, index: int
) -> tuple[tuple[Floats, Floats, Floats, Floats], list[int]]:
    """Open, high, low, close of every slot, and the slots that must trade."""
    step = np.full(day.slots, day.sigma / np.sqrt(day.last - day.first) * 0.4)
    live = np.flatnonzero(~halted[day.first : day.last]) + day.first
    diurnal = _u_shape(live - day.first, day.last - day.first)
    step[live] = day.sigma * np.sqrt(diurnal / diurnal.sum())
    close, anchors = _regular_path(draw, day, live, step[live])
    series = np.empty(day.slots)
    series[: day.first] = _bridge(draw, float(daily.morning[index]), day.open, step[: day.first])
    series[day.first : day.last] = np.nan
    series[live] = close
    series[day.last :] = _bridge(draw, day.close, float(daily.evening[index]), step[day.last :])
    closes = np.maximum(np.round(series, 2), 0.05)
    ticks = draw.integers(-1, 2, day.slots) * 0.01
    previous = np.empty(day.slots)
    previous[0], previous[1:] = closes[0], closes[:-1]
    previous[live[1:]] = closes[live[:-1]]
    opens = np.maximum(np.round(previous + ticks, 2), 0.05)
    opens[day.first] = day.open
    spread = np.abs(draw.standard_normal((2, day.slots))) * step * closes * 0.6
    highs = np.round(np.maximum(opens, closes) + spread[0], 2)
    lows = np.maximum(np.round(np.minimum(opens, closes) - spread[1], 2), 0.05)
    regular = slice(day.first, day.last)
    for values in (opens, highs, lows):
        values[regular] = np.clip(values[regular], day.low, day.high)
    return (opens, highs, lows, closes), [day.first, *(int(live[a]) for a in anchors), day.last - 1]


def _regular_path(
    draw: np.random.Generator, day: _Day, live: NDArray[np.intp], step: Floats
) -> tuple[Floats, tuple[int, int]]:
    """Closing price of each live minute: bridged through both extremes, folded in between.

    Folding a Brownian path at the day's high and low keeps its step sizes, so no bar stands out
    because of the construction.
    """
    start, high, low, end = (math.log(v) for v in (day.open, day.high, day.low, day.close))
    low_first = draw.random() < (0.8 if end > start else 0.2)
    first, second = (low, high) if low_first else (high, low)
    # A Brownian path needs time in proportion to the square of the distance it covers.
    legs = np.array([first - start, second - first, end - second]) ** 2 + 1e-12
    legs = (legs + legs.sum() * 0.02) * draw.uniform(0.7, 1.3, 3)
    time = np.cumsum(step**2)
    time /= time[-1]
    targets = np.cumsum(legs)[:2] / legs.sum()
    count = live.size
    one = int(np.clip(np.searchsorted(time, targets[0]), 0, count - 3))
    two = int(np.clip(np.searchsorted(time, targets[1]), one + 1, count - 2))
    walk = np.concatenate([[0.0], np.cumsum(step * draw.standard_normal(count))])
    clock = np.concatenate([[0.0], time])
    pins = np.array([0, one + 1, two + 1, count])
    drift = np.array([start, first, second, end]) - walk[pins]
    path = walk + np.interp(clock, clock[pins], drift)
    close: Floats = np.clip(np.round(np.exp(_fold(path[1:], low, high)), 2), day.low, day.high)
    close[one], close[two] = (day.low, day.high) if low_first else (day.high, day.low)
    close[-1] = day.close
    return close, (one, two)


def _fold(values: Floats, low: float, high: float) -> Floats:
    """Reflect values at both bounds until they lie between them."""
    width = high - low
    if width <= 0:
        return np.full_like(values, low)
    phase = np.mod(values - low, 2 * width)
    return low + np.where(phase > width, 2 * width - phase, phase)


def _bridge(draw: np.random.Generator, start: float, end: float, step: Floats) -> Floats:
    """Geometric Brownian bridge over the slots of `step`, ending at `end`."""
    walk = np.cumsum(step * draw.standard_normal(step.size))
    share = np.arange(1, step.size + 1) / step.size
    bridged: Floats = np.exp(np.log(start) + walk + share * (np.log(end / start) - walk[-1]))
    return bridged


def _u_shape(minute: NDArray[np.intp], minutes: int) -> Floats:
    """Variance of the minutes of a session: three times higher at the open, some at the close."""
    shape: Floats = 1 + 3 * np.exp(-minute / 20) + 0.8 * np.exp(-(minutes - 1 - minute) / 15)
    return shape


def _presence(draw: np.random.Generator, tier: Tier, day: _Day) -> NDArray[np.bool_]:
    """Which slots see a trade."""
    chance = np.empty(day.slots)
    chance[: day.first] = _PRE_PRESENCE[tier] * np.linspace(0.1, 1.0, day.first) ** 2
    chance[day.first : day.last] = _REGULAR_PRESENCE[tier]
    chance[day.last :] = _POST_PRESENCE[tier] * np.exp(-np.arange(day.slots - day.last) / 60)
    return draw.random(day.slots) < chance


def _activity(
    draw: np.random.Generator,
    day: _Day,
    present: NDArray[np.bool_],
    daily: DailyPath,
    index: int,
    fractional: bool,
) -> tuple[Ints, Ints]:
    """Split the day's volume and trades over the present slots, to the last share."""
    minutes = day.last - day.first
    minute = np.arange(minutes)
    weight = np.empty(day.slots)
    weight[day.first : day.last] = (
        1 + 2.5 * np.exp(-minute / 15) + 3 * np.exp(-(minutes - 1 - minute) / 10)
    )
    weight[day.last - 1] *= 3  # the closing auction
    weight[: day.first] = 0.04
    weight[day.last :] = 0.06
    weight *= np.exp(0.35 * draw.standard_normal(day.slots)) * present
    total = int(daily.volume_micro[index])
    unit = 1 if fractional else MICRO
    volume = _apportion(total // unit, weight, present, MICRO // unit) * unit
    return volume, _apportion(int(daily.trades[index]), weight, present, 1)


def _apportion(total: int, weight: Floats, present: NDArray[np.bool_], least: int) -> Ints:
    """Whole numbers in proportion to `weight`, at least `least` where present, summing to total."""
    spare = total - least * int(present.sum())
    edges = np.floor(np.cumsum(weight) / weight.sum() * spare).astype(np.int64)
    edges[np.flatnonzero(present)[-1] :] = spare
    whole: Ints = np.diff(edges, prepend=0) + present * least
    return whole
