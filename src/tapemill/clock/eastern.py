"""New York wall time and UTC nanoseconds."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

__all__ = ["EASTERN", "eastern_datetime", "eastern_ns", "eastern_wall", "exchange_date"]

EASTERN = ZoneInfo("America/New_York")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def eastern_ns(day: date, hour: int, minute: int = 0) -> int:
    """Nanoseconds UTC of a New York wall time.

    Parameters
    ----------
    day : date
        Calendar date in New York.
    hour, minute : int
        Wall time of that date.

    Returns
    -------
    int
        Nanoseconds since 1970-01-01 UTC.
    """
    moment = datetime.combine(day, time(hour, minute), tzinfo=EASTERN)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def eastern_wall(ns: pl.Expr) -> pl.Expr:
    """New York wall time, naive ``Datetime("ns")``, of nanoseconds UTC (``Int64``)."""
    utc = pl.from_epoch(ns, time_unit="ns").dt.replace_time_zone("UTC")
    return utc.dt.convert_time_zone(EASTERN.key).dt.replace_time_zone(None)


def exchange_date(ns: pl.Expr) -> pl.Expr:
    """Calendar date in New York (``Date``) of nanoseconds UTC (``Int64``)."""
    return eastern_wall(ns).dt.date()


def eastern_datetime(day: pl.Expr, hour: int, minute: int = 0) -> pl.Expr:
    """The moment of a New York wall time on each date, ``Datetime("us", "UTC")``.

    Parameters
    ----------
    day : pl.Expr
        ``Date`` column, calendar dates in New York.
    hour, minute : int
        Wall time; hours from 3 on exist exactly once on every date.
    """
    wall = day.cast(pl.Datetime("us")) + pl.duration(hours=hour, minutes=minute)
    return wall.dt.replace_time_zone(EASTERN.key).dt.convert_time_zone("UTC")
