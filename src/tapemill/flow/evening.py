"""The evening: the moment a session's row of gold stands for, and which sessions come before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

from tapemill.clock import calendar, eastern_datetime, eastern_ns

__all__ = ["EVENING_HOUR", "as_of_column", "evening_of", "sessions_before"]

EVENING_HOUR = 18
"""FINRA's daily files are out by 18:00 New York."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def evening_of(session: date) -> datetime:
    """18:00 New York of a session, in UTC."""
    return _EPOCH + timedelta(microseconds=eastern_ns(session, EVENING_HOUR) // 1000)


def as_of_column(session: str = "session") -> pl.Expr:
    """The evening of each session as ``Datetime("us", "UTC")``."""
    return eastern_datetime(pl.col(session), EVENING_HOUR)


def sessions_before(evenings: Sequence[date], lookback: int) -> list[date]:
    """Consecutive sessions from `lookback` before the first evening to the last, both included."""
    exchange = calendar("XNYS")
    first, last = min(evenings), max(evenings)
    begin = exchange.coverage[0]
    if exchange.ordinal(first) >= lookback:
        begin = exchange.previous(first, lookback)
    return exchange.session_dates(begin, last)
