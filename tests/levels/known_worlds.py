"""Made-up sessions through the kernels of levels: levels of one's own, placebos, outcomes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from unittest import mock

import numpy as np
import polars as pl

from tapemill.book import OrderBook
from tapemill.book.queue import RefillWatch
from tapemill.book.records import MBO
from tapemill.clock import calendar
from tapemill.levels.arrivals import ArrivalMinutes
from tapemill.levels.day import whole_day
from tapemill.levels.episodes import EpisodeTracker
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.labels import label_day
from tapemill.levels.outcomes import OUTCOMES, OutcomeTracker, barrier_names
from tapemill.levels.registry import build_levels
from tapemill.levels.trades import FeedSilence, Gaps, Trades, trades_of
from tapemill.levels.user_levels import USER_KINDS, USER_SCHEMA
from tapemill.levels.volatility import Volatility, VolatilityTracker
from tapemill.levels.zones import zone_rows
from tapemill.settings import LevelsSettings
from tapemill.world.order_book import OrderBookSpec, OrderBookWorld, path_world

TICK = 0.25


def trade_dates(count: int) -> tuple[dt.date, ...]:
    return tuple(calendar("CMES").session_dates(dt.date(2024, 1, 2), dt.date(2024, 12, 20))[:count])


def user_levels(prices) -> pl.DataFrame:
    """Levels at these ticks, known long before."""
    rows = [("ESH4", price * TICK, f"{price}", 0, None) for price in prices]
    return pl.DataFrame(rows, schema=USER_SCHEMA, orient="row")


def outcomes_of(
    seed: int,
    spec: OrderBookSpec,
    prices,
    settings: LevelsSettings,
    *,
    horizon: int = 240,
    barrier: str = "k1",
    kinds=USER_KINDS,
) -> pl.DataFrame:
    """Outcomes at the touch of all trade dates of a world, as `read_outcomes` gives them."""
    trades = Trades(*path_world(seed, spec).trades)
    past = Past(settings, user_levels(prices))
    days = [_day(trades, spec, day, past, settings, kinds) for day in spec.trade_dates]
    return pl.concat(days).filter(
        pl.col("horizon_seconds") == horizon,
        pl.col("barrier") == barrier_names(settings).index(barrier),
    )


class Past:
    """What is carried from one trade date to the next."""

    def __init__(self, settings: LevelsSettings, user: pl.DataFrame) -> None:
        self.user = user
        self.volatility = VolatilityTracker(settings.sigma_minutes)
        self.known = self.volatility.advance(ArrivalMinutes("", dt.date(2024, 1, 2)).frame())
        self.minutes = ArrivalMinutes("", dt.date(2024, 1, 2)).frame()

    def learn(self, minutes: pl.DataFrame) -> None:
        more = self.volatility.advance(minutes)
        self.known = Volatility(*map(np.concatenate, zip(self.known, more, strict=True)))


def _day(trades, spec, day, past, settings, kinds) -> pl.DataFrame:
    symbol = spec.instrument.symbol
    empty = ArrivalMinutes(symbol, day).frame()
    inputs = LevelInputs.for_session(
        symbol, spec.instrument.asset, day, TICK, empty, history=past.minutes, user=past.user
    )
    first, last = np.searchsorted(
        trades.ts_gateway, (inputs.globex_open_ns, inputs.globex_close_ns)
    )
    own = Trades(*(column[first:last] for column in trades))
    builder = ArrivalMinutes(symbol, day)
    builder.advance(own)
    builder.finish()
    minutes = builder.frame()
    before = len(past.known.at_ns)
    past.learn(minutes)
    if kinds is not USER_KINDS:
        inputs = dataclasses.replace(inputs, minutes=minutes, volatility=past.known)
        past.minutes = pl.concat([past.minutes, minutes])
    known = Volatility(*(column[before:] for column in past.known))
    levels = build_levels(inputs, settings, kinds)
    tracker = EpisodeTracker(settings, inputs.globex_close_ns)
    tracker.zones(zone_rows(levels))
    tracker.volatility(known)
    until = int(own.ts_gateway[-1]) + 1
    silence = FeedSilence(settings.gap_seconds)
    gaps = Gaps(
        *map(
            np.concatenate, zip(silence.advance(own.ts_gateway), silence.finish(until), strict=True)
        )
    )
    _, decisions = tracker.advance(own, until, gaps)
    at_touch = decisions.delay == 0
    decisions = decisions._replace(
        **{name: column[at_touch] for name, column in decisions._asdict().items()}
    )
    watcher = OutcomeTracker(settings, inputs.globex_close_ns)
    watcher.open(decisions)
    parts = watcher.advance(own, until, gaps), watcher.finish(until, "end_of_data")
    labels = pl.concat([pl.DataFrame(part._asdict()) for part in parts])
    members = levels.group_by("zone").agg(
        pl.col("family").first(), kinds=pl.col("kind").unique().sort().str.join("+")
    )  # all that ever stood in the zone
    zones = pl.DataFrame({"episode": decisions.episode, "zone": decisions.zone})
    words = dict(enumerate(OUTCOMES))
    return (
        labels.join(zones, on="episode")
        .join(members, on="zone")
        .select(
            pl.format("{} {}", pl.lit(str(day)), "episode").alias("episode_id"),
            pl.lit(day).alias("session"),
            "family",
            "kinds",
            "decision_ns",
            "barrier",
            pl.col("horizon").cast(pl.Int32).alias("horizon_seconds"),
            pl.col("outcome").replace_strict(words, return_dtype=pl.String),
        )
    )


def described_days(
    spec: OrderBookSpec, prices, settings: LevelsSettings, seeds: int
) -> pl.DataFrame:
    """Decisions at one's own levels and their placebos, over one trade date of each seed.

    All features, the outcomes at ``t8`` within 900 s, what came back after fills at the level in
    the minute after the touch (`refilled`), and `unit`, the seed.
    """
    return pl.concat([_described(spec, prices, settings, seed) for seed in range(seeds)])


def _described(spec: OrderBookSpec, prices, settings: LevelsSettings, seed: int) -> pl.DataFrame:
    symbol, day = spec.instrument.symbol, spec.trade_dates[0]
    records = OrderBookWorld(seed, spec).records("mbo").view(MBO)
    book = OrderBook(spec.instrument.tick_nano)
    events, changes = book.apply(records, np.arange(records.size))
    empty = ArrivalMinutes(symbol, day).frame()
    inputs = LevelInputs.for_session(
        symbol, spec.instrument.asset, day, TICK, empty, user=user_levels(prices)
    )
    trades = trades_of(events)
    # Only one's own: stacked with levels that follow price, zones are widest where they are
    # touched, and their placebos are not.
    own_levels = functools.partial(build_levels, kinds=USER_KINDS)
    with mock.patch("tapemill.levels.day.build_levels", own_levels):
        tables = whole_day(inputs, settings, trades, [(events, changes)])
    labels = label_day(
        tables, trades, settings, close_ns=inputs.globex_close_ns, tick_value=12.5
    ).filter(pl.col("barrier") == "t8", pl.col("horizon_seconds") == 900)
    own = tables.episodes.filter(pl.col("touch_ns").is_not_null())
    refills = RefillWatch(100_000_000).apply(events, changes)
    back = [
        _refilled(events, refills, *row)
        for row in own.select("low_ticks", "high_ticks", "direction", "touch_ns").iter_rows()
    ]
    known = own.select("episode_id", "kinds", refilled=pl.Series(back, dtype=pl.Float64))
    keys = ["episode_id", "delay_seconds"]
    return (
        tables.features.join(known, on="episode_id")
        .join(labels.select(*keys, "outcome"), on=keys)
        .with_columns(unit=pl.lit(f"{seed}"))
    )


def _refilled(events, refills, low, high, direction, touch_ns) -> float:
    """Contracts that came back on the defending side of a zone in the minute after its touch."""
    first, last = np.searchsorted(events.ts_gateway, (touch_ns, touch_ns + 60_000_000_000))
    part = slice(first, last)
    inside = (events.price[part] >= low) & (events.price[part] <= high)
    inside &= events.side[part] == ord("A" if direction > 0 else "B")
    return float(refills[part][inside].sum())
