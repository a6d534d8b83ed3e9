"""What was known when: the as-of filter and the readings of a moment and of a range."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import polars as pl

from tapemill.contracts import Dataset
from tapemill.errors import DateError, UsageError

__all__ = ["AsOf", "Day", "as_of_moment", "read_day", "read_range", "visible"]

Day = datetime.date | str
AsOf = datetime.date | datetime.datetime | str | int

_EASTERN = ZoneInfo("America/New_York")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def as_of_moment(as_of: AsOf) -> datetime.datetime:
    """The moment meant, in UTC with microseconds.

    Parameters
    ----------
    as_of : date, datetime, str or int
        A date means its last microsecond in New York; a datetime must carry its zone; text is ISO
        8601 of either; an integer is nanoseconds since 1970 UTC.

    Raises
    ------
    DateError
        The text is no date, or the time lacks a zone.
    """
    if isinstance(as_of, bool) or not isinstance(as_of, int | str | datetime.date):
        raise DateError(
            f"as_of={as_of!r} is no moment",
            next_step="give a date, a datetime with zone, ISO text or nanoseconds UTC",
        )
    if isinstance(as_of, int):
        return _EPOCH + datetime.timedelta(microseconds=as_of // 1000)
    value: datetime.date = _parse(as_of) if isinstance(as_of, str) else as_of
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time.max, tzinfo=_EASTERN)
    if value.tzinfo is None:
        raise DateError(
            f"as_of={as_of!r} does not say its time zone",
            next_step=f"write {value.isoformat()}+00:00, or only the date",
        )
    return value.astimezone(datetime.UTC)


def _parse(text: str) -> datetime.date:
    try:
        if len(text) == len("2026-01-31"):
            return datetime.date.fromisoformat(text)
        return datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise DateError(
            f"{text!r} is not a date or time", next_step="write YYYY-MM-DD or 2026-01-31T16:00:00Z"
        ) from error


def read_day(day: Day | None, name: str) -> datetime.date | None:
    """A session date from a date or ``YYYY-MM-DD``; DateError if it is neither."""
    if day is None:
        return None
    value = _parse(day) if isinstance(day, str) else day
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
        raise DateError(
            f"{name}={day!r} is a time; sessions are asked for by date",
            next_step="write YYYY-MM-DD (the New York date)",
        )
    return value


def read_range(
    start: Day | None, end: Day | None
) -> tuple[datetime.date | None, datetime.date | None]:
    """Both ends of an inclusive range of sessions; DateError if it runs backwards."""
    first, last = read_day(start, "start"), read_day(end, "end")
    if first is not None and last is not None and last < first:
        raise DateError(
            f"the range ends before it starts: {first} to {last}",
            next_step="swap start and end",
        )
    return first, last


def visible(rows: pl.LazyFrame, dataset: Dataset, as_of: AsOf | None) -> pl.LazyFrame:
    """Rows as they were known at `as_of`; the current ones if it is None.

    ``superseded_at`` comes out null: when a version will be replaced is a fact of its future.

    Raises
    ------
    UsageError
        The dataset does not keep when its rows were known.
    """
    if as_of is None:
        return rows.filter(pl.col("superseded_at").is_null()) if dataset.versioned else rows
    known = next((name for name in ("known_at", "ts_recv") if name in dataset.schema), None)
    if known is None:
        raise UsageError(
            f"{dataset.name} does not keep when its rows were known",
            next_step="leave as_of out, or ask the bars themselves as of that moment",
        )
    moment = as_of_moment(as_of)
    rows = rows.filter(pl.col(known) <= moment)
    if not dataset.versioned:
        return rows
    superseded = pl.col("superseded_at")
    return rows.filter(superseded.is_null() | (superseded > moment)).with_columns(
        superseded_at=pl.lit(None, dtype=dataset.schema["superseded_at"])
    )
