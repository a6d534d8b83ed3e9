"""What the levels of one session are made of, and what of it was known at a moment."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl

from tapemill.clock.sessions import Session, calendar
from tapemill.errors import ContractError
from tapemill.levels.kinds import FloatArray, IntArray

__all__ = [
    "HOLE_NS",
    "MINUTE_NS",
    "KnownVolatility",
    "LevelInputs",
    "MinuteArrays",
    "sigma_at",
]

MINUTE_NS = 60_000_000_000
HOLE_NS = 5 * MINUTE_NS
"""So long nothing may be at hand of a trade date before it counts as a hole."""
_PRIOR_SESSIONS = 30
_EDGE_NS = 5 * MINUTE_NS
"""A prior session counts as whole when its minutes reach this near to both of its ends."""
_QUIET_NS = 30 * MINUTE_NS
"""Nobody tells how far the data of a prior session reach inside it: longer than a halt of the
venue, this is data that are missing."""

_MINUTE_COLUMNS = (
    "ts_event",
    "high_ticks",
    "low_ticks",
    "close_ticks",
    "volume",
    "price_volume",
)


class KnownVolatility(Protocol):
    """Volatility of one minute as a step function: from ``at_ns[i]`` on it is ``sigma[i]``."""

    @property
    def at_ns(self) -> IntArray:
        """Ascending, ns UTC."""

    @property
    def sigma(self) -> FloatArray:
        """Ticks."""


class MinuteArrays(NamedTuple):
    """Minutes as columns; times in ns UTC, prices in ticks.

    `ended` is when the minute was known: its end and the finish lag.
    """

    start: IntArray
    ended: IntArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    price_volume: FloatArray

    def between(self, begin_ns: int, end_ns: int) -> MinuteArrays:
        """Minutes that start in [`begin_ns`, `end_ns`)."""
        first, last = np.searchsorted(self.start, (begin_ns, end_ns))
        return MinuteArrays._make(column[first:last] for column in self)

    def joined(self, later: MinuteArrays) -> MinuteArrays:
        """These minutes and then the `later` ones."""
        pairs = zip(self, later, strict=True)
        return MinuteArrays._make(np.concatenate(pair) for pair in pairs)


def _arrays(frame: pl.DataFrame, lag_ns: int, what: str) -> MinuteArrays:
    missing = [name for name in _MINUTE_COLUMNS if name not in frame.columns]
    if missing:
        raise ContractError(
            f"{what} of the levels lack {', '.join(missing)}",
            next_step="give rows of silver.futures_minutes",
        )
    start = frame["ts_event"].cast(pl.Int64).to_numpy()
    if len(start) > 1 and not bool((np.diff(start) > 0).all()):
        raise ContractError(
            f"{what} of the levels are not in ascending order, or one comes twice",
            next_step="sort by ts_event; give one contract only",
        )
    columns = (frame[name].cast(pl.Float64).to_numpy() for name in _MINUTE_COLUMNS[1:])
    return MinuteArrays(start, start + (MINUTE_NS + lag_ns), *columns)


@dataclass(frozen=True)
class LevelInputs:
    """Everything that the levels of one contract and trade date may be made of.

    Parameters
    ----------
    symbol, root : str
        Contract and product, for example ``"ESH4"`` and ``"ES"``.
    session : date
        Trade date.
    tick_size : float
        Price of one tick, points.
    globex_open_ns, globex_close_ns : int
        Bounds of the trade date, ns UTC.
    regular_open_ns, regular_close_ns : int or None
        US regular hours of the date (half days end early); None when US stocks are closed.
    minutes : pl.DataFrame
        Columns of ``silver.futures_minutes``: this contract and trade date, finished minutes.
    history : pl.DataFrame
        Minutes of earlier trade dates, prices in ticks of this contract (continuous adjusted
        prices may be fractional); may be empty.
    profile : pl.DataFrame
        Columns of ``silver.futures_profile`` of earlier trade dates, as `history`.
    settlements : pl.DataFrame
        ``session`` Date, ``price`` points, and optionally ``known_ns`` Int64.
    user : pl.DataFrame
        The user's levels, as :func:`tapemill.levels.user_levels.read_user_levels` gives them.
    others : pl.DataFrame
        Minutes of the other instruments on which the user has levels: ``symbol``, ``ts_event``
        (start, ns UTC), ``price`` (close, points) and ``known_ns``.
    volatility : KnownVolatility or None
        Volatility of one minute as known at each moment.
    prior_regular, prior_globex : tuple of Session
        Sessions before this one, ascending: US regular hours (XNYS) and Globex trade dates. They
        tell a day without data from a day without trading.
    feed_start_ns : int or None
        From when the data of this trade date is complete; None: from its first minute.
    holes : tuple of (int, int)
        Stretches of this trade date of which no data are at hand (start and end, ns UTC), in order.
    finish_lag_ns : int
        How long after its end a minute counts as finished, on the clock of decisions.
    as_of_ns : int or None
        Nothing later is given out; None: the whole session.
    """

    symbol: str
    root: str
    session: date
    tick_size: float
    globex_open_ns: int
    globex_close_ns: int
    regular_open_ns: int | None
    regular_close_ns: int | None
    minutes: pl.DataFrame
    history: pl.DataFrame = field(default_factory=pl.DataFrame)
    profile: pl.DataFrame = field(default_factory=pl.DataFrame)
    settlements: pl.DataFrame = field(default_factory=pl.DataFrame)
    user: pl.DataFrame = field(default_factory=pl.DataFrame)
    others: pl.DataFrame = field(default_factory=pl.DataFrame)
    volatility: KnownVolatility | None = None
    prior_regular: tuple[Session, ...] = ()
    prior_globex: tuple[Session, ...] = ()
    feed_start_ns: int | None = None
    holes: tuple[tuple[int, int], ...] = ()
    finish_lag_ns: int = 0
    as_of_ns: int | None = None

    @classmethod
    def for_session(
        cls,
        symbol: str,
        root: str,
        session: date,
        tick_size: float,
        minutes: pl.DataFrame,
        history: pl.DataFrame | None = None,
        profile: pl.DataFrame | None = None,
        settlements: pl.DataFrame | None = None,
        user: pl.DataFrame | None = None,
        volatility: KnownVolatility | None = None,
    ) -> LevelInputs:
        """Inputs with the bounds of `session` and the sessions before it from the calendars.

        Raises
        ------
        DateError
            `session` is no Globex trade date, or outside the calendars.
        """
        globex, stocks = calendar("CMES"), calendar("XNYS")
        bounds = globex.session(session)
        regular = stocks.session(session) if stocks.is_session(session) else None
        begin = max(session - timedelta(days=2 * _PRIOR_SESSIONS), globex.coverage[0])
        begin, end = min(begin, session), session - timedelta(days=1)
        reaches = begin <= end
        return cls(
            symbol=symbol,
            root=root,
            session=session,
            tick_size=tick_size,
            globex_open_ns=bounds.open_ns,
            globex_close_ns=bounds.close_ns,
            regular_open_ns=regular.open_ns if regular else None,
            regular_close_ns=regular.close_ns if regular else None,
            minutes=minutes,
            history=pl.DataFrame() if history is None else history,
            profile=pl.DataFrame() if profile is None else profile,
            settlements=pl.DataFrame() if settlements is None else settlements,
            user=pl.DataFrame() if user is None else user,
            volatility=volatility,
            prior_regular=tuple(stocks.sessions(begin, end)[-_PRIOR_SESSIONS:]) if reaches else (),
            prior_globex=tuple(globex.sessions(begin, end)[-_PRIOR_SESSIONS:]) if reaches else (),
        )

    def known_by(self, moment_ns: int) -> LevelInputs:
        """What of it was known at `moment_ns`: only minutes that had finished."""
        finished = pl.col("ts_event") + (MINUTE_NS + self.finish_lag_ns) <= moment_ns
        others = self.others
        if not others.is_empty():
            others = others.filter(pl.col("known_ns") <= moment_ns)
        return dataclasses.replace(
            self, minutes=self.minutes.filter(finished), others=others, as_of_ns=moment_ns
        )

    @cached_property
    def today(self) -> MinuteArrays:
        """Minutes of this trade date."""
        every = _arrays(self.minutes, self.finish_lag_ns, "minutes")
        return every.between(self.globex_open_ns, self.globex_close_ns)

    @cached_property
    def earlier(self) -> MinuteArrays:
        """Minutes of the trade dates before, back to the first one without data."""
        if self.history.is_empty():
            return self.today.between(0, 0)
        every = _arrays(self.history, self.finish_lag_ns, "minutes of history")
        begin = self.globex_open_ns
        for prior in reversed(self.prior_globex):
            if not len(every.between(prior.open_ns, prior.close_ns).start):
                break
            begin = prior.open_ns
        return every.between(begin, self.globex_open_ns)

    def has_from(self, begin_ns: int) -> bool:
        """Whether the data of this trade date reach back to `begin_ns` (or a minute after it)."""
        start = self.feed_start_ns
        if start is None:
            start = int(self.today.start[0]) if len(self.today.start) else self.globex_close_ns
        missing = any(low <= begin_ns and high > begin_ns + MINUTE_NS for low, high in self.holes)
        return start <= begin_ns + MINUTE_NS and not missing

    def whole_until(self, begin_ns: int) -> int:
        """Until when the data of this trade date have no hole after `begin_ns`."""
        after = (low for low, high in self.holes if low > begin_ns)
        return next(after, self.globex_close_ns)

    def unbroken(self, begin_ns: int, end_ns: int) -> tuple[MinuteArrays, int | None]:
        """Minutes that start in [`begin_ns`, `end_ns`) and before the first hole of the data.

        Returns
        -------
        tuple of MinuteArrays and int or None
            The minutes, and when it was known that others are missing; None if none are.
        """
        stop = self.whole_until(begin_ns)
        if stop >= end_ns:
            return self.today.between(begin_ns, end_ns), None
        return self.today.between(begin_ns, stop), stop + HOLE_NS

    def regular_minutes(self, prior: Session) -> MinuteArrays | None:
        """Minutes of the regular hours of an earlier session; None unless all of it is there.

        They must reach both ends, and no half hour may be without a trade.
        """
        found = self.earlier.between(prior.open_ns, prior.close_ns)
        if not len(found.start):
            return None
        whole = found.start[0] <= prior.open_ns + _EDGE_NS
        whole &= found.ended[-1] >= prior.close_ns - _EDGE_NS
        whole &= bool((np.diff(found.start) <= _QUIET_NS).all())
        return found if whole else None


def sigma_at(volatility: KnownVolatility | None, moments_ns: IntArray) -> FloatArray:
    """Volatility known at each moment, ticks; NaN where none was."""
    if volatility is None or not len(volatility.at_ns):
        return np.full(len(moments_ns), np.nan)
    at = np.searchsorted(volatility.at_ns, moments_ns, side="right") - 1
    return np.where(at >= 0, volatility.sigma[np.maximum(at, 0)], np.nan)
