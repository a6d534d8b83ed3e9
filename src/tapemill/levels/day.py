"""One contract and trade date: from book events in any chunks to rows of gold.

:class:`LevelDay` joins the kernels and decides nothing itself. :class:`LiveDay` feeds it event by
event and learns each minute as it ends; :func:`whole_day` knows the minutes beforehand, which
changes nothing, for no kernel reads a row before its moment.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import polars as pl

from tapemill.book import Changes, Events
from tapemill.levels.arrivals import MINUTE_NS, ArrivalMinutes
from tapemill.levels.context import Context, Surroundings
from tapemill.levels.episodes import Decisions, EpisodeTracker
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.physics import FeatureRows, Physics
from tapemill.levels.registry import KIND_WEIGHTS, build_levels
from tapemill.levels.rows import DayEnd, DayTables, day_tables
from tapemill.levels.trades import NO_TRADES, FeedSilence, Gaps, Trades, trades_of
from tapemill.levels.volatility import Volatility, VolatilityTracker
from tapemill.levels.zones import ZoneRows, zone_rows
from tapemill.settings import LevelsSettings

__all__ = ["LevelDay", "LiveDay", "cut", "whole_day"]

Array = Any

NO_SIGMA = Volatility(np.empty(0, np.int64), np.empty(0, np.float64))
_KINDS = "i8 i8 i8 i1 i1 i4 i4 i2 i8 i2 i2 i4 i8"
NO_EVENTS = Events._make([*(np.empty(0, kind) for kind in _KINDS.split()), np.zeros(1, "i8")])
NO_CHANGES = Changes(*(np.empty(0, kind) for kind in ("i1", "i4", "i4", "i4", "i1", "i4")))


class LevelDay:
    """Episodes, features and levels of one contract and trade date.

    Parameters
    ----------
    inputs : LevelInputs
        What is known before the date begins; its `minutes` may be empty.
    settings : LevelsSettings
    """

    def __init__(self, inputs: LevelInputs, settings: LevelsSettings) -> None:
        self.inputs = inputs
        self._settings = settings
        self._tracker = EpisodeTracker(settings, inputs.globex_close_ns)
        self._physics = Physics(settings)
        self._context = Context(settings)
        self._silence = FeedSilence(settings.gap_seconds)
        self._volatility: VolatilityTracker | None = None
        self._sigma = NO_SIGMA
        self._counted = 0
        self._told_ns = np.iinfo(np.int64).min
        self._until_ns = inputs.globex_open_ns
        self._gaps: list[Gaps] = []
        self._decided: list[Decisions] = []
        self._described: list[Array] = []
        self._measured: list[FeatureRows] = []
        self.levels = pl.DataFrame()

    def know(self, minutes: pl.DataFrame, moment_ns: int | None = None) -> None:
        """Take the minutes finished so far (all of them, those known before too).

        Parameters
        ----------
        minutes : pl.DataFrame
            Columns of `silver.futures_minutes`, by time of arrival.
        moment_ns : int, optional
            The minute's end that was reached; every record before it must have been walked. None:
            the whole date is known beforehand.
        """
        # What was traded outside the hours of the date, if anything, makes no minute of it.
        inside = (self.inputs.globex_open_ns, self.inputs.globex_close_ns)
        minutes = minutes.filter(pl.col("ts_event").is_between(*inside, closed="left"))
        self._sigma = self._sigma_with(minutes)
        self.inputs = dataclasses.replace(
            self.inputs, minutes=minutes, volatility=self._sigma, as_of_ns=moment_ns
        )
        self.levels = build_levels(self.inputs, self._settings)
        # What may stand between this minute's end and the next is settled; what comes at the next
        # end is not.
        until = self.inputs.globex_close_ns if moment_ns is None else moment_ns + MINUTE_NS
        self._tell(min(until, self.inputs.globex_close_ns))
        regular = (self.inputs.regular_open_ns, self.inputs.regular_close_ns)
        opened, start = self.inputs, self.inputs.globex_open_ns
        self._context.know(
            Surroundings(
                self.inputs.globex_open_ns,
                None if regular[0] is None or regular[1] is None else (regular[0], regular[1]),
                minutes,
                self.inputs.history,
                self.levels,
                KIND_WEIGHTS,
                self._sigma,
                opened.whole_until(start) if opened.has_from(start) else 0,
            )
        )

    def _sigma_with(self, minutes: pl.DataFrame) -> Volatility:
        """Volatility after each minute of history and of this date so far."""
        if self._volatility is None:
            self._volatility = VolatilityTracker(self._settings.sigma_minutes)
            history = self.inputs.history
            self._sigma = (
                self._volatility.advance(history.sort("ts_event")) if history.height else NO_SIGMA
            )
        more = self._volatility.advance(minutes[self._counted :])
        self._counted = minutes.height
        return Volatility(*(np.concatenate(pair) for pair in zip(self._sigma, more, strict=True)))

    def _tell(self, until_ns: int) -> None:
        """Hand over the rows of the schedules that begin before `until_ns` and are new."""
        zones = zone_rows(self.levels)
        fresh = (zones.at_ns >= self._told_ns) & (zones.at_ns < until_ns)
        self._tracker.zones(ZoneRows._make([column[fresh] for column in zones]))
        fresh = (self._sigma.at_ns >= self._told_ns) & (self._sigma.at_ns < until_ns)
        self._tracker.volatility(Volatility(*(column[fresh] for column in self._sigma)))
        self._told_ns = until_ns

    def advance(self, events: Events, changes: Changes) -> None:
        """Walk the next records of the book."""
        if len(events.ts_gateway):
            self.walk(events, changes, trades_of(events))

    def walk(self, events: Events, changes: Changes, trades: Trades) -> None:
        """Walk the next records, at least one, whose trades are known."""
        gaps = self._silence.advance(events.ts_gateway)
        self._until_ns = int(events.ts_gateway[-1])
        _, decisions = self._tracker.advance(trades, self._until_ns, gaps)
        # A live day comes here twenty million times, nearly always with nothing to keep.
        if len(gaps.start_ns):
            self._gaps.append(gaps)
        self._take(decisions, trades)
        found = self._physics.advance(events, changes, decisions, self._until_ns)
        if len(found.episode):
            self._measured.append(found)

    def finish(self) -> DayTables:
        """End the date where its data end; rows of all tables but outcomes."""
        close = self.inputs.globex_close_ns
        until = min(self._until_ns + 1, close)
        gaps = self._silence.finish(until)
        reason: Literal["close", "end_of_data"] = (
            "close" if until >= close - MINUTE_NS else "end_of_data"
        )
        _, decisions = self._tracker.finish(until, reason, gaps)
        self._gaps.append(gaps)
        self._take(decisions, NO_TRADES)
        self._measured += [
            self._physics.advance(NO_EVENTS, NO_CHANGES, decisions, until),
            self._physics.finish(),
        ]
        return day_tables(
            self.inputs,
            self.levels,
            self._tracker.entered(),
            self._decided,
            self._described,
            self._measured,
            DayEnd(
                until, reason, Gaps(*(np.concatenate(g) for g in zip(*self._gaps, strict=True)))
            ),
        )

    def _take(self, decisions: Decisions, trades: Trades) -> None:
        described = self._context.advance(trades, decisions)
        if len(described) or not self._decided:
            self._described.append(described)
            self._decided.append(decisions)


class LiveDay:
    """A trade date as it happens: minutes are made from the trades and known when they end.

    Parameters
    ----------
    inputs : LevelInputs
    settings : LevelsSettings
    """

    def __init__(self, inputs: LevelInputs, settings: LevelsSettings) -> None:
        self._day = LevelDay(inputs, settings)
        self._minutes = ArrivalMinutes(inputs.symbol, inputs.session)
        self._next_ns = inputs.globex_open_ns
        self._learn()

    def _learn(self) -> None:
        self._minutes.reach(self._next_ns)
        self._day.know(self._minutes.frame(), self._next_ns)
        self._next_ns += MINUTE_NS

    def advance(self, events: Events, changes: Changes) -> None:
        """Walk the next records; minutes that end between them are learnt on the way."""
        if len(events.ts_gateway) and events.ts_gateway[-1] < self._next_ns:
            self._walk(events, changes)
            return
        for part, done in cut(events, changes, self._boundaries(events)):
            while part.ts_gateway[0] >= self._next_ns:
                self._learn()
            self._walk(part, done)

    def _walk(self, events: Events, changes: Changes) -> None:
        trades = trades_of(events)
        if len(trades.price):
            self._minutes.advance(trades)
        self._day.walk(events, changes, trades)

    def _boundaries(self, events: Events) -> Array:
        last = int(events.ts_gateway[-1]) if len(events.ts_gateway) else self._next_ns - 1
        return np.arange(self._next_ns, last + 1, MINUTE_NS)

    def finish(self) -> DayTables:
        """End the date where its data end."""
        self._minutes.finish()
        self._day.know(self._minutes.frame())
        return self._day.finish()


def cut(events: Events, changes: Changes, moments: Array) -> Iterator[tuple[Events, Changes]]:
    """Records before the first moment, those before the second, and so on."""
    places = np.searchsorted(events.ts_gateway, moments, side="left")
    inner: list[int] = np.atleast_1d(places).tolist()
    bounds = [0, *inner, len(events.ts_gateway)]
    for first, last in itertools.pairwise(bounds):
        if last > first:
            begin, end = int(events.first_change[first]), int(events.first_change[last])
            columns = [column[first:last] for column in events[:-1]]
            part = Events._make([*columns, events.first_change[first : last + 1] - begin])
            yield part, Changes(*(column[begin:end] for column in changes))


def whole_day(
    inputs: LevelInputs,
    settings: LevelsSettings,
    trades: Trades,
    feed: Iterable[tuple[Events, Changes]],
) -> DayTables:
    """Rows of a trade date whose data are all there.

    Parameters
    ----------
    inputs : LevelInputs
    settings : LevelsSettings
    trades : Trades
        All trades of the date.
    feed : iterable of (Events, Changes)
        Its book, in order of arrival and any chunks.
    """
    minutes = ArrivalMinutes(inputs.symbol, inputs.session)
    minutes.advance(trades)
    minutes.finish()
    day = LevelDay(inputs, settings)
    day.know(minutes.frame())
    for events, changes in feed:
        day.advance(events, changes)
    return day.finish()
