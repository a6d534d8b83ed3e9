"""Bronze rows of some sessions, in the one shape that the kernels take, and their fingerprints."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import polars as pl

from tapemill.clock import CalendarName, calendar
from tapemill.lake import Lake
from tapemill.refine.recipe import digest_of

__all__ = ["bronze_bars", "content", "hours", "session_digests", "sessions_frame", "sessions_of"]

_BAR = (
    "symbol",
    "ts_event",
    "session",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "trades",
    "source",
    "raw_sha256",
    "ordinal",
    "ts_recv",
)


def sessions_of(lake: Lake, dataset: str, sessions: Sequence[datetime.date]) -> pl.LazyFrame:
    """Rows of a dataset in the given sessions; no rows if it has no table yet."""
    days = sorted(sessions)
    rows = lake.tables.scan(dataset, start=days[0], end=days[-1])
    return rows.filter(pl.col("session").is_in(days))


def bronze_bars(
    lake: Lake, datasets: Sequence[str], sessions: Sequence[datetime.date], *, futures: bool
) -> pl.DataFrame:
    """Bars of several bronze datasets under the columns they share, with ``adjusted``.

    Imported files hold several asset classes; indices go with stocks, futures apart.
    """
    frames = []
    for dataset in datasets:
        rows = sessions_of(lake, dataset, sessions)
        if "imported" in dataset:
            is_future = pl.col("asset_class") == "future"
            rows = rows.filter(is_future if futures else ~is_future)
            frames.append(rows.select(*_BAR, adjusted=pl.lit(value=False)))
        else:
            frames.append(rows.select(*_BAR, "adjusted"))
    collected = [frame for frame in pl.collect_all(frames) if frame.height]
    if not collected:
        return pl.collect_all(frames)[0]
    return collected[0] if len(collected) == 1 else pl.concat(collected)


def content(lake: Lake, datasets: Sequence[str]) -> dict[datetime.date, str]:
    """Per session: digest of the raw objects behind all of the given bronze datasets."""
    found = [lake.control.contents.fingerprint(dataset) for dataset in datasets]
    days = sorted(set().union(*found))
    return {day: digest_of(*(part.get(day, "") for part in found)) for day in days}


def sessions_frame(name: CalendarName, sessions: Sequence[datetime.date]) -> pl.DataFrame:
    """`Calendar.frame` over the given dates, as far as the table reaches; empty beyond it."""
    known = calendar(name)
    first, last = known.coverage
    start, end = max(min(sessions), first), min(max(sessions), last)
    return known.frame(start, end) if start <= end else known.frame(first, first).clear()


def hours(name: CalendarName, sessions: Sequence[datetime.date]) -> dict[datetime.date, str]:
    """Per date: digest of its trading hours: a corrected calendar rebuilds what it moves."""
    if not sessions:
        return {}
    found = {row[0]: digest_of(*row) for row in sessions_frame(name, sessions).iter_rows()}
    return {day: found.get(day, "closed") for day in sessions}


def session_digests(frame: pl.DataFrame) -> dict[datetime.date, str]:
    """Per session: digest of all rows of a small frame that has a ``session`` column."""
    if frame.is_empty():
        return {}
    line = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("\\N") for name in frame.columns], separator="|"
    )
    lines = frame.select("session", line=line).group_by("session").agg(pl.col("line").sort())
    return {
        session: digest_of(*rows) for session, rows in lines.select("session", "line").iter_rows()
    }
