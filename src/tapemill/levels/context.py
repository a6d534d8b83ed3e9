"""The situation around a decision: how price came, what time it is, what stands nearby.

Everything here is read from trades, finished minutes and levels known at the decision. The book
and the tape at the level are in :mod:`tapemill.levels.physics`.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.contracts.level_context import (
    APPROACH_FEATURES,
    CONFLUENCE_FEATURES,
    CONTEXT_FEATURES,
    RUNWAY_FEATURES,
)
from tapemill.levels._context import paths, surroundings
from tapemill.levels.episodes import Decisions
from tapemill.levels.trades import Trades
from tapemill.levels.volatility import Volatility
from tapemill.settings import LevelsSettings

__all__ = ["CONTEXT_NAMES", "Context", "Surroundings"]

Array = Any

CONTEXT_NAMES = tuple(
    feature.name
    for feature in (
        *APPROACH_FEATURES,
        *CONTEXT_FEATURES,
        *CONFLUENCE_FEATURES,
        *RUNWAY_FEATURES,
    )
)
"""Columns of the matrix that :meth:`Context.advance` returns."""

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_VELOCITY = np.array([60, 300, 600], dtype=np.int64) * _SECOND
_PATH = 300 * _SECOND
_STRONG = 0.9
_SESSIONS = 20
_LEAST_MINUTES = 60
_EDGE = 5 * _MINUTE
"""The data of an earlier date reach to a moment if its minutes come so near to it."""
_NEVER = np.iinfo(np.int64).max
_NOTHING = np.empty((0, len(CONTEXT_NAMES)))


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What a trade date is like, as far as it is known.

    Parameters
    ----------
    globex_open_ns : int
        Start of the trade date.
    regular_ns : tuple of int, optional
        Regular open and close; None on a date without regular hours.
    minutes, history : pl.DataFrame
        Finished minutes of this trade date, and of prior ones (`silver.futures_minutes`).
    levels : pl.DataFrame
        Rows of `gold.levels`.
    weights : mapping of str to float
        Kind → weight.
    volatility : Volatility
    whole_until_ns : int
        Until when the data of this trade date are whole from its open on: its volume so far is
        known until then. 0 if they begin late.
    """

    globex_open_ns: int
    regular_ns: tuple[int, int] | None
    minutes: pl.DataFrame
    history: pl.DataFrame
    levels: pl.DataFrame
    weights: Mapping[str, float]
    volatility: Volatility
    whole_until_ns: int = np.iinfo(np.int64).max


class Context:
    """Answers decisions as they come; trades may arrive in any chunks.

    Parameters
    ----------
    settings : LevelsSettings
    """

    def __init__(self, settings: LevelsSettings) -> None:
        self._settings = settings
        self._ts = np.empty(0, dtype=np.int64)
        self._ordinal = np.empty(0, dtype=np.int64)
        self._price = np.empty(0, dtype=np.int64)
        self._size = 0
        self._touches: dict[int, list[tuple[int, int]]] = {}

    def know(self, surroundings: Surroundings) -> None:
        """Take what is known now: after each finished minute, or once for a whole date.

        Rows that lie after a decision are ignored for it, so both give the same features.
        """
        self._known = surroundings
        self._real = _level_arrays(surroundings)
        self._volume = _Volumes(surroundings)
        self._ranks: dict[int, float] = {}

    def advance(self, trades: Trades, decisions: Decisions) -> Array:
        """Features of `decisions`.

        Parameters
        ----------
        trades : Trades
            All trades since the last call; they reach at least to the last decision.
        decisions : Decisions
            In their order; every touch of the trade date comes through here.

        Returns
        -------
        float64, (decisions, len(CONTEXT_NAMES))
            NaN where there is no evidence.
        """
        if len(trades.ts_gateway):
            self._keep(trades)
        count = len(decisions.decision_ns)
        if not count:
            return _NOTHING
        out = np.full((count, len(CONTEXT_NAMES)), np.nan)
        at = {name: column for column, name in enumerate(CONTEXT_NAMES)}
        path = np.empty((count, 5 + _VELOCITY.size))
        paths(
            self._ts[: self._size],
            self._ordinal[: self._size],
            self._price[: self._size],
            decisions.decision_ns,
            decisions.ordinal,
            decisions.touch_ns,
            decisions.direction,
            decisions.low,
            decisions.high,
            decisions.sigma,
            _VELOCITY,
            _PATH,
            path,
        )
        out[:, : path.shape[1]] = path
        self._attempts(decisions, out, at)
        self._time_and_volume(decisions, out, at)
        near = np.empty((count, 10))
        band = 4.0 * np.maximum(
            self._settings.merge_min_ticks, self._settings.merge_sigma * decisions.sigma
        )
        describe: Any = surroundings
        describe(
            *self._real,
            decisions.decision_ns,
            decisions.zone,
            decisions.direction,
            decisions.low,
            decisions.high,
            decisions.sigma,
            band,
            _STRONG,
            near,
        )
        out[:, at["zone_levels"] :] = near
        return out

    def _keep(self, trades: Trades) -> None:
        new = len(trades.ts_gateway)
        if self._size + new > len(self._ts):
            room = max(2 * len(self._ts), self._size + new, 1024)
            for name in ("_ts", "_ordinal", "_price"):
                wider = np.empty(room, dtype=np.int64)
                wider[: self._size] = getattr(self, name)[: self._size]
                setattr(self, name, wider)
        place = slice(self._size, self._size + new)
        self._ts[place] = trades.ts_gateway
        self._ordinal[place] = trades.ordinal
        self._price[place] = trades.price
        self._size += new

    def _attempts(self, decisions: Decisions, out: Array, at: Mapping[str, int]) -> None:
        gap = self._settings.attempt_gap_minutes * _MINUTE
        for i in range(len(decisions.zone)):
            zone, touch = int(decisions.zone[i]), int(decisions.touch_ns[i])
            own = (touch, int(decisions.direction[i]))
            log = self._touches.setdefault(zone, [])
            if decisions.delay[i] == 0:
                bisect.insort(log, own)
            place = bisect.bisect_left(log, (touch, -2))
            out[i, at["prior_touches"]] = place
            if place:
                since = (touch - log[place - 1][0]) / _SECOND
                out[i, at["seconds_since_previous_touch"]] = since
            attempt, last = 1, touch
            for earlier, direction in reversed(log[:place]):
                if last - earlier > gap:
                    break
                if direction == own[1]:
                    attempt, last = attempt + 1, earlier
            out[i, at["attempt"]] = attempt

    def _time_and_volume(self, decisions: Decisions, out: Array, at: Mapping[str, int]) -> None:
        known, now = self._known, decisions.decision_ns
        out[:, at["is_regular"]] = 0.0
        if known.regular_ns is not None:
            opens, closes = known.regular_ns
            out[:, at["seconds_since_open"]] = (now - opens) / _SECOND
            out[:, at["seconds_to_close"]] = (closes - now) / _SECOND
            out[:, at["is_regular"]] = (now >= opens) & (now < closes)
        place = np.searchsorted(known.volatility.at_ns, now, side="right") - 1
        known_at: list[int] = np.atleast_1d(place).tolist()
        for i, index in enumerate(known_at):
            if index >= 0:
                out[i, at["sigma_now_ticks"]] = known.volatility.sigma[index]
                out[i, at["volatility_percentile"]] = self._rank(index)
            out[i, at["relative_volume"]] = self._volume.relative(int(now[i]))
            out[i, at["minute_volume_ratio"]] = self._volume.recent(int(now[i]))

    def _rank(self, index: int) -> float:
        if index not in self._ranks:
            sigma = self._known.volatility.sigma
            before = sigma[:index][np.isfinite(sigma[:index])]
            enough = len(before) >= _LEAST_MINUTES and np.isfinite(sigma[index])
            self._ranks[index] = float((before < sigma[index]).mean()) if enough else np.nan
        return self._ranks[index]


class _Volumes:
    """Volume of finished minutes: of this trade date so far, and of earlier ones to that point."""

    def __init__(self, known: Surroundings) -> None:
        minutes = known.minutes.sort("ts_event")
        self._start = minutes["ts_event"].to_numpy()
        self._sums = np.concatenate(([0], np.cumsum(minutes["volume"].to_numpy())))
        self._open = known.globex_open_ns
        self._whole_until = known.whole_until_ns
        self._earlier: list[tuple[Array, Array]] = []
        exchange = calendar("CMES")
        sessions = (
            known.history["session"].unique().sort().to_list() if known.history.height else []
        )
        for day in sessions[-_SESSIONS:]:
            rows = known.history.filter(pl.col("session") == day).sort("ts_event")
            offset = rows["ts_event"].to_numpy() - exchange.session(day).open_ns
            self._earlier.append(
                (offset, np.concatenate(([0], np.cumsum(rows["volume"].to_numpy()))))
            )
        self._cache: dict[int, float] = {}

    def _to(self, end: int) -> int:
        """Volume of the minutes that ended by `end`."""
        return int(self._sums[np.searchsorted(self._start, end - _MINUTE, side="right")])

    def relative(self, now: int) -> float:
        """This date's volume over the mean of earlier dates to the same minute.

        Only of dates whose data reach from their open to that minute; NaN without one, and until a
        minute of this date has finished.
        """
        end = now // _MINUTE * _MINUTE
        if end not in self._cache:
            offset = end - self._open - _MINUTE
            earlier = [
                int(sums[np.searchsorted(starts, offset, side="right")])
                for starts, sums in self._earlier
                if starts[0] <= _EDGE and starts[-1] >= offset - _EDGE
            ]
            usual = float(np.mean(earlier)) if earlier and end <= self._whole_until else 0.0
            now_volume = self._to(end)
            self._cache[end] = now_volume / usual if usual > 0 and now_volume else np.nan
        return self._cache[end]

    def recent(self, now: int) -> float:
        """Mean volume of the last five finished minutes over that of the last sixty."""
        end = now // _MINUTE * _MINUTE
        if not len(self._start) or self._start[0] > end - 60 * _MINUTE:
            return np.nan
        hour = self._to(end) - self._to(end - 60 * _MINUTE)
        five = self._to(end) - self._to(end - 5 * _MINUTE)
        return five / 5 / (hour / 60) if hour > 0 else np.nan


def _level_arrays(known: Surroundings) -> tuple[Array, ...]:
    """Real levels as arrays: valid from, valid to, price, weight, zone."""
    real = known.levels.filter(pl.col("family") == "real")
    weight = real["kind"].replace_strict(dict(known.weights), default=0.0, return_dtype=pl.Float64)
    return (
        real["valid_from_ns"].to_numpy(),
        real["valid_to_ns"].fill_null(_NEVER).to_numpy(),
        real["price_ticks"].to_numpy(),
        weight.to_numpy(),
        real["zone"].to_numpy(),
    )
