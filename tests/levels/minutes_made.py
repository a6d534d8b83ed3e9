"""Minutes, profiles and inputs of levels made from seeded random walks, for tests."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from tapemill.clock.sessions import calendar
from tapemill.levels.inputs import MINUTE_NS, LevelInputs

SESSION = date(2023, 12, 14)
"""A Thursday with nothing special about it."""
TICK = 0.25


class Sigma(NamedTuple):
    at_ns: np.ndarray
    sigma: np.ndarray


def minutes_frame(start, high, low, close, volume, price_volume) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts_event": np.asarray(start, np.int64),
            "open_ticks": np.asarray(close, np.int32),
            "high_ticks": np.asarray(high, np.int32),
            "low_ticks": np.asarray(low, np.int32),
            "close_ticks": np.asarray(close, np.int32),
            "volume": np.asarray(volume, np.int64),
            "price_volume": np.asarray(price_volume, np.int64),
        }
    )


def flat_minutes(start_ns: int, closes, spread: int = 0, volume: int = 10) -> pl.DataFrame:
    """One minute after the other with the given closes, high and low `spread` beyond them."""
    closes = np.asarray(closes, np.int64)
    start = start_ns + MINUTE_NS * np.arange(len(closes))
    size = np.full(len(closes), volume)
    return minutes_frame(start, closes + spread, closes - spread, closes, size, closes * size)


def walk_minutes(seed: int, start_ns: int, end_ns: int, price: int, density: float = 0.95):
    """Minutes of a random walk; some are missing."""
    rng = np.random.default_rng(seed)
    start = np.arange(start_ns, end_ns, MINUTE_NS)
    start = start[(rng.random(len(start)) < density) | (start == start_ns)]
    n = len(start)
    close = price + np.cumsum(rng.integers(-6, 7, n))
    high = close + rng.integers(0, 6, n)
    low = close - rng.integers(0, 6, n)
    volume = rng.integers(1, 500, n)
    price_volume = (low * volume + rng.random(n) * (high - low) * volume).astype(np.int64)
    return minutes_frame(start, high, low, close, volume, price_volume)


def profile_of(minutes: pl.DataFrame) -> pl.DataFrame:
    """Half-hour profile with the volume of each minute at its close."""
    half = 30 * MINUTE_NS
    return (
        minutes.with_columns(ts_event=pl.col("ts_event") // half * half)
        .group_by("ts_event", price_ticks="close_ticks")
        .agg(pl.col("volume").sum())
        .sort("ts_event", "price_ticks")
    )


def rolling_sigma(minutes: pl.DataFrame) -> Sigma:
    """Some volatility that knows nothing later than each minute's end."""
    change = np.abs(np.diff(minutes["close_ticks"].to_numpy().astype(float), prepend=np.nan))
    sigma = np.sqrt(np.cumsum(np.nan_to_num(change) ** 2) / np.arange(1, len(change) + 1))
    sigma *= 1 + 0.5 * np.sin(np.arange(len(sigma)))  # so that it wavers from minute to minute
    return Sigma(minutes["ts_event"].to_numpy() + MINUTE_NS, np.maximum(sigma, 0.5))


def walk_inputs(seed: int = 1, session: date = SESSION, sessions: int = 8) -> LevelInputs:
    """Inputs of a whole session with the sessions before, all of one random walk."""
    bounds = calendar("CMES").session(session)
    today = walk_minutes(seed, bounds.open_ns, bounds.close_ns, 19_000)
    priors = calendar("CMES").session_dates(date(2023, 11, 1), session)[-sessions - 1 : -1]
    parts, price = [], 19_000 - 40
    for number, day in enumerate(reversed(priors)):
        prior = calendar("CMES").session(day)
        parts.append(walk_minutes(seed * 100 + number, prior.open_ns, prior.close_ns, price))
        price -= 25
    history = pl.concat(parts[::-1]) if parts else None
    every = pl.concat([history, today]) if history is not None else today
    return LevelInputs.for_session(
        "ESH4",
        "ES",
        session,
        TICK,
        today,
        history,
        profile_of(history) if history is not None else None,
        pl.DataFrame({"session": priors[-1:], "price": [4755.25] * len(priors[-1:])}),
        pl.DataFrame(
            {
                "symbol": ["ES", "ES", "NQ"],
                "price": [4750.5, None, 1.0],
                "name": ["mine", "news", "other"],
                "valid_from_ns": [bounds.open_ns - 10**15, bounds.open_ns + 10**13, 0],
                "valid_to_ns": [bounds.open_ns + 3 * 10**13, None, None],
            }
        ),
        rolling_sigma(every),
    )
