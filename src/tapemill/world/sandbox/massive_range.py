"""A request for a range of bars: reading it, its cursor, and windows wider than a minute."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode

import polars as pl

from tapemill.clock.eastern import EASTERN, eastern_ns
from tapemill.world.minutes import BAR_SCHEMA
from tapemill.world.sandbox.wire import Call

__all__ = ["RangeQuery", "day_of", "next_url", "parse_range", "windows"]

_RANGE = re.compile(
    r"/v2/aggs/ticker/(?P<ticker>[^/]+)/range/(?P<multiplier>\d+)/(?P<timespan>\w+)"
    r"/(?P<start>[^/]+)/(?P<end>[^/]+)"
)
_WINDOW_MS = {"minute": 60_000, "hour": 3_600_000}
_DEFAULT_LIMIT, _LARGEST_LIMIT = 5_000, 50_000


@dataclass(frozen=True)
class RangeQuery:
    """A request for bars; times in milliseconds UTC, both inclusive."""

    ticker: str
    multiplier: int
    timespan: str
    start: int
    end: int
    adjusted: bool
    ascending: bool
    limit: int
    again: bool = False


def parse_range(call: Call) -> RangeQuery | None:
    """Read a request for bars; None when the path is another one.

    Raises
    ------
    ValueError
        In the vendor's words, when a parameter is wrong.
    """
    found = _RANGE.fullmatch(call.path)
    if found is None:
        return None
    timespan, multiplier = found["timespan"], int(found["multiplier"])
    if timespan not in ("minute", "hour", "day") or (timespan == "day" and multiplier != 1):
        raise ValueError(f"The timespan {multiplier} {timespan} is not supported")
    start, end = _moment(found["start"], last=False), _moment(found["end"], last=True)
    if start > end:
        raise ValueError("'from' must be before 'to'")
    cursor = call.query.get("cursor")
    settings = call.query if cursor is None else _unfold(cursor)
    limit = settings.get("limit", str(_DEFAULT_LIMIT))
    if not limit.isdigit() or not 1 <= int(limit) <= _LARGEST_LIMIT:
        raise ValueError(f"limit must be between 1 and {_LARGEST_LIMIT}")
    return RangeQuery(
        ticker=found["ticker"],
        multiplier=multiplier,
        timespan=timespan,
        start=start,
        end=end,
        adjusted=settings.get("adjusted") != "false",
        ascending=settings.get("sort") != "desc",
        limit=int(limit),
        again=settings.get("again") == "1",
    )


def _unfold(cursor: str) -> dict[str, str]:
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode(errors="replace")
    return dict(parse_qsl(text))


def next_url(call: Call, query: RangeQuery, at: int) -> str:
    """Absolute address of the following page: the settings in the cursor, never the key."""
    settings = {
        "adjusted": str(query.adjusted).lower(),
        "limit": str(query.limit),
        "sort": "asc" if query.ascending else "desc",
    }
    if query.again:
        settings["again"] = "1"
    cursor = base64.urlsafe_b64encode(urlencode(settings).encode()).decode().rstrip("=")
    start, end = (at, query.end) if query.ascending else (query.start, at)
    return (
        f"{call.base_url}/v2/aggs/ticker/{quote(query.ticker)}/range/{query.multiplier}"
        f"/{query.timespan}/{start}/{end}?cursor={cursor}"
    )


def _moment(text: str, *, last: bool) -> int:
    """Milliseconds UTC of a date (its first or last in New York) or of a millisecond stamp."""
    if text.isdigit() and len(text) > 8:
        return int(text)
    try:
        day = date.fromisoformat(text)
    except ValueError as wrong:
        raise ValueError(
            "Could not parse the time parameter; use YYYY-MM-DD or Unix MS Timestamps"
        ) from wrong
    if last:
        return eastern_ns(day + timedelta(days=1), 0) // 1_000_000 - 1
    return eastern_ns(day, 0) // 1_000_000


def day_of(ms: int) -> date:
    """Exchange date of milliseconds UTC."""
    return datetime.fromtimestamp(ms / 1000, EASTERN).date()


def windows(base: pl.DataFrame, query: RangeQuery) -> pl.DataFrame:
    """Combine base minutes into wider windows."""
    width = _WINDOW_MS[query.timespan] * query.multiplier
    ordered = base.sort("t").with_columns(window=pl.col("t") // width * width)
    bars = ordered.group_by("window", maintain_order=True).agg(
        pl.col("o").first(),
        pl.col("h").max(),
        pl.col("l").min(),
        pl.col("c").last(),
        vw=((pl.col("vw") * pl.col("v")).sum() / pl.col("v").sum()).round(4),
        v=pl.col("v").sum().round(6),
        n=pl.col("n").sum(),
    )
    bars = bars.rename({"window": "t"}).select(list(BAR_SCHEMA))
    return bars if query.ascending else bars.reverse()
