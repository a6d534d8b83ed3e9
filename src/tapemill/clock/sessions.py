"""Exchange sessions: which dates trade, from when to when, and why not."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args

import numpy as np
import polars as pl

from tapemill.clock._table import SessionTable, session_table
from tapemill.clock.eastern import eastern_wall
from tapemill.errors import DateError, UnknownNameError, did_you_mean

__all__ = ["Calendar", "CalendarName", "Session", "calendar"]

CalendarName = Literal["XNYS", "CMES", "CBOE"]

_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True)
class Session:
    """One trading session; times are nanoseconds UTC, `session` is the exchange date.

    `open_ns`/`close_ns` bound regular trading, `pre_open_ns`/`post_close_ns` the extended window
    (equal to regular where the calendar has none). `minutes` counts regular minutes. `reason`
    names what made an unusual session unusual.
    """

    calendar: str
    session: date
    open_ns: int
    close_ns: int
    pre_open_ns: int
    post_close_ns: int
    early_close: bool
    minutes: int
    reason: str


class Calendar:
    """Sessions of one exchange, from the committed table; get it by :func:`calendar`.

    XNYS: US stocks, 09:30-16:00 New York, extended 04:00-20:00 (17:00 after an early close).
    CMES: Globex equity index futures, 18:00 of the evening before to 17:00.
    CBOE: index and ETF options, 09:30-16:15.
    """

    def __init__(self, name: str, table: SessionTable) -> None:
        self.name = name
        self._table = table

    @property
    def version(self) -> str:
        """Content hash of the table and its overrides."""
        return self._table.version

    @property
    def coverage(self) -> tuple[date, date]:
        """First and last calendar date that the table knows."""
        return self._table.first, self._table.last

    def _require_covered(self, day: date) -> None:
        first, last = self.coverage
        if not first <= day <= last:
            raise DateError(
                f"{day} lies outside the {self.name} session table",
                where=f"the table covers {first} to {last}",
                next_step="use a date inside, or update tapemill to a newer session table",
            )

    def _bounds(self, start: date, end: date) -> tuple[int, int]:
        if start > end:
            raise DateError(
                f"the range starts on {start}, after its end {end}",
                next_step="swap the two dates",
            )
        self._require_covered(start)
        self._require_covered(end)
        days = self._table.days
        return (
            int(np.searchsorted(days, np.datetime64(start), side="left")),
            int(np.searchsorted(days, np.datetime64(end), side="right")),
        )

    def _date(self, index: int) -> date:
        day: date = self._table.days[index].item()
        return day

    def _session(self, index: int) -> Session:
        table, day = self._table, self._date(index)
        opens, closes = int(table.open_ns[index]), int(table.close_ns[index])
        return Session(
            calendar=self.name,
            session=day,
            open_ns=opens,
            close_ns=closes,
            pre_open_ns=int(table.pre_open_ns[index]),
            post_close_ns=int(table.post_close_ns[index]),
            early_close=bool(table.early_close[index]),
            minutes=(closes - opens) // _MINUTE_NS,
            reason=table.reasons.get(day, ""),
        )

    def is_session(self, day: date) -> bool:
        """Whether `day` trades.

        Raises
        ------
        DateError
            Outside the coverage.
        """
        begin, stop = self._bounds(day, day)
        return stop > begin

    def ordinal(self, day: date) -> int:
        """Number of the session, counted from the first one of the table (0).

        Raises
        ------
        DateError
            When `day` is no session, with the reason and the nearest sessions.
        """
        begin, stop = self._bounds(day, day)
        if stop == begin:
            count = len(self._table.days)
            near = [self._date(i) for i in (begin - 1, begin) if 0 <= i < count]
            raise DateError(
                f"{day} is not a {self.name} session: {self.closed_reason(day)}",
                next_step="nearest sessions: " + ", ".join(map(str, near)),
            )
        return begin

    def date_of(self, ordinal: int) -> date:
        """Session date of an ordinal.

        Raises
        ------
        DateError
            When no session of the table has this number.
        """
        count = len(self._table.days)
        if not 0 <= ordinal < count:
            first, last = self.coverage
            raise DateError(
                f"the {self.name} session table has no session number {ordinal}",
                where=f"it covers {first} to {last}: 0 to {count - 1}",
                next_step="ask for fewer sessions, or nearer dates",
            )
        return self._date(ordinal)

    def session(self, day: date) -> Session:
        """The session of `day`.

        Raises
        ------
        DateError
            When `day` is no session or outside the coverage.
        """
        return self._session(self.ordinal(day))

    def sessions(self, start: date, end: date) -> list[Session]:
        """Sessions from `start` to `end`, both included, in order.

        Raises
        ------
        DateError
            Outside the coverage, or `start` after `end`.
        """
        return [self._session(index) for index in range(*self._bounds(start, end))]

    def session_dates(self, start: date, end: date) -> list[date]:
        """Session dates from `start` to `end`, both included.

        Raises
        ------
        DateError
            Outside the coverage, or `start` after `end`.
        """
        dates: list[date] = self._table.days[slice(*self._bounds(start, end))].tolist()
        return dates

    def previous(self, day: date, n: int = 1) -> date:
        """The nth session strictly before `day` (any date).

        Raises
        ------
        DateError
            When the table does not reach as far.
        """
        return self.date_of(self._bounds(day, day)[0] - n)

    def next(self, day: date, n: int = 1) -> date:
        """The nth session strictly after `day` (any date).

        Raises
        ------
        DateError
            When the table does not reach as far.
        """
        return self.date_of(self._bounds(day, day)[1] + n - 1)

    def closed_reason(self, day: date) -> str:
        """Why `day` does not trade (``"weekend"``, a holiday, an event); empty for a session.

        Raises
        ------
        DateError
            Outside the coverage.
        """
        if self.is_session(day):
            return ""
        return "weekend" if day.weekday() >= 5 else self._table.reasons[day]

    def frame(self, start: date, end: date) -> pl.DataFrame:
        """Sessions from `start` to `end` as a frame for joins.

        Returns
        -------
        pl.DataFrame
            ``session`` Date, ``open_ns``, ``close_ns``, ``pre_open_ns``, ``post_close_ns`` Int64
            (nanoseconds UTC), ``minutes`` Int32 (regular), ``early_close`` Boolean; sorted by
            ``session``.

        Raises
        ------
        DateError
            Outside the coverage, or `start` after `end`.
        """
        table, cut = self._table, slice(*self._bounds(start, end))
        minutes = (table.close_ns[cut] - table.open_ns[cut]) // _MINUTE_NS
        return pl.DataFrame(
            {
                "session": pl.Series(table.days[cut]).cast(pl.Date),
                "open_ns": table.open_ns[cut],
                "close_ns": table.close_ns[cut],
                "pre_open_ns": table.pre_open_ns[cut],
                "post_close_ns": table.post_close_ns[cut],
                "minutes": minutes.astype(np.int32),
                "early_close": table.early_close[cut],
            }
        ).with_columns(pl.col("session").set_sorted())

    def trade_dates(self, ts_event_ns: pl.Series) -> pl.Series:
        """Exchange date that each moment belongs to.

        XNYS and CBOE: the calendar date in New York. CMES: the Globex trade date, which begins at
        18:00 of the evening before; moments of a closed date count for the next trade date.

        Parameters
        ----------
        ts_event_ns : pl.Series
            ``Int64`` nanoseconds UTC; nulls stay null.

        Returns
        -------
        pl.Series
            ``Date``, same length and name.

        Raises
        ------
        DateError
            CMES only: a moment outside the coverage.
        """
        wall = eastern_wall(pl.lit(ts_event_ns))
        if self.name != "CMES":
            return pl.select(wall.dt.date()).to_series().alias(ts_event_ns.name)
        evening = pl.select((wall + pl.duration(hours=6)).dt.date()).to_series()
        earliest, latest = evening.min(), evening.max()
        if not isinstance(earliest, date) or not isinstance(latest, date):
            return evening.alias(ts_event_ns.name)
        self._require_covered(earliest)
        self._require_covered(latest)
        days = pl.Series(self._table.days).cast(pl.Date)
        if latest > self._date(-1):
            # Closed days at the very end of the table: their next trade date is unknown.
            self._require_covered(self._table.last + timedelta(days=1))
        at = days.search_sorted(evening.fill_null(earliest), side="left")
        return (
            pl.select(pl.when(pl.lit(evening).is_not_null()).then(pl.lit(days.gather(at))))
            .to_series()
            .alias(ts_event_ns.name)
        )


@functools.cache
def calendar(name: CalendarName) -> Calendar:
    """The calendar of an exchange: ``"XNYS"``, ``"CMES"`` or ``"CBOE"``.

    Raises
    ------
    UnknownNameError
        For any other name.
    """
    known = get_args(CalendarName)
    if name not in known:
        raise UnknownNameError(
            f"there is no calendar {name!r}",
            next_step=did_you_mean(name, known) or f"known: {', '.join(known)}",
        )
    return Calendar(name, session_table(name))
