"""Trades of a session with planted effects, and the truth of every approach to a level."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.world._order_flow_path import walk
from tapemill.world.order_book_spec import (
    KINDS,
    OrderBookSpec,
    Outcome,
    Pause,
    check_spec,
    move_probability,
)
from tapemill.world.seeds import stream

__all__ = ["TRUTH_SCHEMA", "DayPath", "PathWorld", "WorldTrades", "day_path", "path_world"]

Array = Any

TRUTH_SCHEMA: Final = pl.Schema(
    {
        "symbol": pl.String,
        "trade_date": pl.Date,
        "name": pl.String,
        "kind": pl.String,
        "level_ticks": pl.Int32,
        "probability": pl.Float64,
        "direction": pl.Int8,
        "touch_ns": pl.Int64,
        "touch_gateway_ns": pl.Int64,
        "planted": pl.String,
        "outcome": pl.String,
        "ended_ns": pl.Int64,
    }
)
"""One row an approach. `direction` +1 from below; `planted` is the outcome that was drawn (null for
a level without effect), `outcome` what happened (null when the session ended first)."""

_HOUR_NS = 3_600_000_000_000
_MINUTE_NS = 60_000_000_000
_REGULAR = (15.5, 22.0)  # hours after 18:00: 09:30 and 16:00 New York
_RANGE_TICKS = 7_000
_PHASES = {1: "hold", 2: "break", 3: "pinned", 4: "free", 5: "break"}

# Relative rate of trades by hours after 18:00 New York: reopening, Asia, London, the releases at
# 08:30, the opening burst, the lull at lunch, the close.
_RATE_HOURS = (0, 0.1, 1, 4, 8, 9, 12, 14.4, 14.5, 15.4, 15.5, 15.6, 16.5, 18, 19.2, 20.5, 21.8,
               21.95, 22, 22.2, 22.5, 23)  # fmt: skip
_RATES = (0.6, 0.25, 0.12, 0.1, 0.12, 0.45, 0.3, 0.4, 0.9, 0.7, 5.5, 3.4, 2.0, 1.1, 0.8, 1.1, 1.8,
          3.6, 2.2, 0.8, 0.25, 0.15)  # fmt: skip


class WorldTrades(NamedTuple):
    """Trades in the order of the feed; `ordinal` is their position in the file.

    `ts_gateway` int64 ns UTC (never decreasing), `ordinal` int64, `price` int32 ticks, `size` int32
    contracts, `aggressor` int8 (+1 buy, -1 sell, 0 none).
    """

    ts_gateway: Array
    ordinal: Array
    price: Array
    size: Array
    aggressor: Array


class PathWorld(NamedTuple):
    """Trades of all trade dates and the truth of every approach (`TRUTH_SCHEMA`)."""

    trades: WorldTrades
    truth: pl.DataFrame


@dataclass(frozen=True)
class DayPath:
    """The walk of one trade date: what the book must make happen (arrays of length n)."""

    trade_date: date
    open_ns: int
    close_ns: int
    first_bid: int
    last_bid: int
    ts_event: Array
    ts_gateway: Array
    price: Array
    aggressor: Array
    size: Array
    move: Array
    active: Array
    phase: Array
    truth: pl.DataFrame

    def recorded(self, pauses: tuple[Pause, ...]) -> Array:
        """Which trades the feed recorded."""
        seen = np.ones(self.ts_event.size, np.bool_)
        for pause in pauses:
            inside = (self.ts_event >= pause.start_ns) & (self.ts_event < pause.end_ns)
            seen &= ~inside
        return seen


def path_world(seed: int, spec: OrderBookSpec) -> PathWorld:
    """Return only the trades of a world: the same trades that its order feeds hold, in moments.

    Parameters
    ----------
    seed : int
        The same seed and specification give the same trades as :class:`OrderBookWorld`.
    spec : OrderBookSpec
        One instrument. `ordinal` counts trades, since there is no feed around them.

    Raises
    ------
    UsageError
        For a specification that cannot be meant.
    DateError
        For a date without a session.
    """
    bid, paths = spec.start_ticks, []
    for day in spec.trade_dates:
        path = day_path(seed, spec, day, bid)
        paths.append(path)
        bid = path.last_bid
    seen = [path.recorded(spec.pauses) for path in paths]

    def column(name: str, dtype: Any) -> Array:
        parts = [getattr(path, name)[mask] for path, mask in zip(paths, seen, strict=True)]
        return np.concatenate(parts).astype(dtype) if parts else np.empty(0, dtype)

    stamps = column("ts_gateway", np.int64)
    trades = WorldTrades(
        stamps,
        np.arange(stamps.size, dtype=np.int64),
        column("price", np.int32),
        column("size", np.int32),
        column("aggressor", np.int8),
    )
    return PathWorld(trades, pl.concat([pl.DataFrame(schema=TRUTH_SCHEMA), *_truths(paths)]))


def _truths(paths: list[DayPath]) -> list[pl.DataFrame]:
    return [path.truth for path in paths]


def hours_of(spec: OrderBookSpec, day: date) -> tuple[int, int, int]:
    """When the session opens, when the wanted hours begin and end (ns UTC)."""
    session = calendar("CMES").session(day)
    if spec.hours == "globex":
        return session.open_ns, session.open_ns, session.close_ns
    begin, end = (session.open_ns + int(hours * _HOUR_NS) for hours in _REGULAR)
    return session.open_ns, begin, min(end, session.close_ns)


def day_path(seed: int, spec: OrderBookSpec, day: date, first_bid: int) -> DayPath:
    """Walk one trade date from `first_bid`."""
    draw = stream(seed, "order book", spec.instrument.symbol, day.toordinal())
    opened, begin, end = hours_of(spec, day)
    full = _REGULAR[1] - _REGULAR[0] if spec.hours == "regular" else 23.0
    check_spec(spec, full * 60)
    stamps = _trade_times(draw, spec, opened, begin, end)
    n = stamps.size
    latency = 80_000 + draw.exponential(30_000, n) + (draw.random(n) < 0.02) * 500_000
    gateway = np.maximum.accumulate(stamps + latency.astype(np.int64)) if n else stamps.copy()
    columns = {
        "price": np.empty(n, np.int32),
        "aggressor": np.empty(n, np.int8),
        "size": np.empty(n, np.int32),
        "move": np.empty(n, np.int8),
        "active": np.empty(n, np.int16),
        "phase": np.empty(n, np.int8),
    }
    truth = np.zeros((n * (1 + len(spec.plants)) // 2 + 16, 6), np.int64)
    table, chances = plant_table(spec)
    last_bid, found = walk(
        np.array([draw.integers(1, 2**63)], np.uint64),
        np.array([draw.integers(1, 2**63)], np.uint64),
        stamps,
        first_bid,
        move_probability(spec, full * 60) if spec.trades else 0.0,
        int(spec.auction),
        spec.start_ticks - _RANGE_TICKS,
        spec.start_ticks + _RANGE_TICKS,
        spec.depth,
        table,
        chances,
        columns["price"],
        columns["aggressor"],
        columns["size"],
        columns["move"],
        columns["active"],
        columns["phase"],
        truth,
    )
    return DayPath(
        trade_date=day,
        open_ns=begin,
        close_ns=end,
        first_bid=first_bid,
        last_bid=int(last_bid),
        ts_event=stamps,
        ts_gateway=gateway,
        truth=_truth_frame(spec, day, truth[:found], stamps, gateway),
        **columns,
    )


def plant_table(spec: OrderBookSpec) -> tuple[Array, Array]:
    """Plants as the kernels take them: int64 (m, 8) as `PLANT_FIELDS`, float64 (m,)."""
    rows = [
        (
            plant.level,
            KINDS.index(plant.kind),
            plant.travel_ticks,
            plant.touch_ticks,
            plant.guard_ticks,
            plant.size,
            int(plant.minutes * _MINUTE_NS),
            plant.refills,
        )
        for plant in spec.plants
    ]
    chances = np.array([plant.probability for plant in spec.plants], np.float64)
    return np.array(rows, np.int64).reshape(len(rows), 8), chances


def _trade_times(
    draw: np.random.Generator, spec: OrderBookSpec, opened: int, begin: int, end: int
) -> Array:
    """Sorted moments (ns UTC) of the trades: rates by time of day, a third in bursts."""
    hours = np.linspace((begin - opened) / _HOUR_NS, (end - opened) / _HOUR_NS, 1_381)
    rate = np.ones(hours.size) if spec.flat else np.interp(hours, _RATE_HOURS, _RATES)
    load = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    load *= (hours[-1] - hours[0]) / (hours.size - 1)
    count = round(spec.trades * load[-1] / _full_load(spec))
    if not count:
        return np.empty(0, np.int64)
    at = np.interp(np.sort(draw.random(count)) * load[-1], load, hours)
    stamps = opened + (at * _HOUR_NS).astype(np.int64)
    child = draw.random(count) < 0.33
    child[0] = False
    parent = np.maximum.accumulate(np.where(child, 0, np.arange(count)))
    near = (
        stamps[parent]
        + 1_000
        + np.cumsum(draw.exponential(150_000, count)).astype(np.int64) % (400_000)
    )
    stamps = np.sort(np.where(child, near, stamps))
    if spec.auction:
        stamps[0] = begin
    stamps = np.clip(stamps, begin, end - 1_000_000_000)
    for pause in spec.pauses:
        if pause.kind == "halt":
            stamps = stamps[(stamps < pause.start_ns) | (stamps >= pause.end_ns)]
    return stamps


def _full_load(spec: OrderBookSpec) -> float:
    """Sum of the rates of a session that is not shortened."""
    first, last = _REGULAR if spec.hours == "regular" else (0.0, 23.0)
    if spec.flat:
        return last - first
    hours = np.linspace(first, last, 1_381)
    return float(np.trapezoid(np.interp(hours, _RATE_HOURS, _RATES), hours))


def _truth_frame(
    spec: OrderBookSpec, day: date, rows: Array, stamps: Array, gateway: Array
) -> pl.DataFrame:
    plants = [spec.plants[int(i)] for i in rows[:, 0]]
    n = len(plants)
    outcomes = [Outcome(int(code)).name.lower() if code else None for code in rows[:, 4]]
    return pl.DataFrame(
        {
            "symbol": [spec.instrument.symbol] * n,
            "trade_date": [day] * n,
            "name": [plant.name for plant in plants],
            "kind": [plant.kind for plant in plants],
            "level_ticks": [plant.level for plant in plants],
            "probability": [plant.probability for plant in plants],
            "direction": rows[:, 1].astype(np.int8),
            "touch_ns": stamps[rows[:, 2]],
            "touch_gateway_ns": gateway[rows[:, 2]],
            "planted": [_PHASES.get(int(code)) for code in rows[:, 3]],
            "outcome": outcomes,
            "ended_ns": [int(stamps[k]) if k >= 0 else None for k in rows[:, 5]],
        },
        schema=TRUTH_SCHEMA,
    )
