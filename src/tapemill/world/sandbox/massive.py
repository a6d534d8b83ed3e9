"""Massive (Polygon) REST: authentication, plan limits, and the aggregates with their paging."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal
from urllib.parse import quote, urlencode

import msgspec
import polars as pl

from tapemill.clock.eastern import EASTERN, eastern_ns
from tapemill.world.minutes import BAR_SCHEMA
from tapemill.world.sandbox.feed import VendorFeed
from tapemill.world.sandbox.massive_reference import MassiveReference
from tapemill.world.sandbox.wire import Call, Reply, json_reply

__all__ = ["HISTORY_DAYS", "MassiveApi", "PlanName"]

PlanName = Literal["free", "paid"]
HISTORY_DAYS = 730

_UPGRADE = "Please upgrade your plan at https://massive.com/pricing"
_RANGE = re.compile(
    r"/v2/aggs/ticker/(?P<ticker>[^/]+)/range/(?P<multiplier>\d+)/(?P<timespan>\w+)"
    r"/(?P<start>[^/]+)/(?P<end>[^/]+)"
)
_GROUPED = re.compile(r"/v2/aggs/grouped/locale/us/market/stocks/(?P<day>[^/]+)")
_WINDOW_MS = {"minute": 60_000, "hour": 3_600_000}
_DEFAULT_LIMIT, _LARGEST_LIMIT = 5_000, 50_000
_PAGES_KEPT = 64


@dataclass(frozen=True)
class _RangeQuery:
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


class MassiveApi:
    """Answers of the vendor's REST interface.

    Parameters
    ----------
    feed : VendorFeed
        The facts.
    plan : {"free", "paid"}
        Free: two years, nothing of the current day. Paid: everything, 15 minutes late.
    api_keys : collection of str
        Keys that are known; any other answers 401.
    request_id : callable
        Makes the id of the answer to a call.
    """

    def __init__(
        self,
        feed: VendorFeed,
        *,
        plan: PlanName,
        api_keys: Collection[str],
        request_id: Callable[[Call], str],
    ) -> None:
        self._feed = feed
        self.plan = plan
        self._api_keys = frozenset(api_keys)
        self._request_id = request_id
        self._reference = MassiveReference(feed, request_id)
        self._pages: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def answer(self, call: Call, page_fault: str = "") -> Reply:
        """Answer a call; `page_fault` spoils the paging (duplicated_page or cursor_loop)."""
        denied = self._unauthorized(call)
        if denied is not None:
            return denied
        if found := _RANGE.fullmatch(call.path):
            return self._aggregates(call, found, page_fault)
        if found := _GROUPED.fullmatch(call.path):
            return self._grouped(call, found["day"])
        return self._reference.answer(call, page_fault)

    # -- who may ask -------------------------------------------------------------------------

    def _unauthorized(self, call: Call) -> Reply | None:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        key = token if scheme.lower() == "bearer" else call.query.get("apiKey", "")
        if key in self._api_keys:
            return None
        error = "Unknown API Key" if key else "API Key was not provided"
        return json_reply(401, self._error(call, error))

    def _not_entitled(self, call: Call, first: date, last: date) -> Reply | None:
        if self.plan == "paid":
            return None
        today = self._feed.today
        oldest = today - timedelta(days=HISTORY_DAYS)
        too_old = first < oldest and not self._hides_old_window()
        if too_old or last > today:
            message = f"Your plan doesn't include this data timeframe. {_UPGRADE}"
        elif last == today:
            message = f"Attempted to request today's data before end of day. {_UPGRADE}"
        else:
            return None
        body = {
            "status": "NOT_AUTHORIZED",
            "request_id": self._request_id(call),
            "message": message,
        }
        return json_reply(403, body)

    def _hides_old_window(self) -> bool:
        """Whether the vendor answers with nothing what the plan does not cover."""
        return self.plan == "free" and any(
            fault.kind == "old_window_empty" for fault in self._feed.faults()
        )

    def _error(self, call: Call, text: str) -> dict[str, str]:
        return {"status": "ERROR", "request_id": self._request_id(call), "error": text}

    # -- bars of one ticker ------------------------------------------------------------------

    def _aggregates(self, call: Call, found: re.Match[str], page_fault: str) -> Reply:
        query = _parse_range(call, found)
        if isinstance(query, str):
            return json_reply(400, self._error(call, query))
        first, last = _day_of(query.start), _day_of(query.end)
        denied = self._not_entitled(call, first, last)
        if denied is not None:
            return denied
        if self._hides_old_window():
            oldest = self._feed.today - timedelta(days=HISTORY_DAYS)
            query = replace(query, start=max(query.start, eastern_ns(oldest, 0) // 1_000_000))
        served, base_count, withheld, following = self._page(self._anchored(query))
        document: dict[str, object] = {
            "ticker": query.ticker,
            "queryCount": base_count + withheld,
            "resultsCount": served.height + withheld,
            "adjusted": query.adjusted,
        }
        if not served.is_empty():
            document["results"] = msgspec.Raw(self._encoded(query, served))
        document["status"] = "DELAYED" if last >= self._feed.today else "OK"
        document["request_id"] = self._request_id(call)
        document["count"] = served.height + withheld
        if page_fault == "cursor_loop":
            document["next_url"] = _next_url(
                call, query, query.start if query.ascending else query.end
            )
        elif page_fault == "duplicated_page" and not query.again:
            at = query.start if query.ascending else query.end
            document["next_url"] = _next_url(call, replace(query, again=True), at)
        elif following is not None:
            document["next_url"] = _next_url(call, replace(query, again=False), following)
        return json_reply(200, document)

    def _anchored(self, query: _RangeQuery) -> _RangeQuery:
        """Shift the range into the past when the vendor ignores where it should start."""
        for fault in self._feed.faults():
            concerned = {s for s, _ in self._feed.targets(fault)}
            if fault.kind == "start_anchor_ignored" and query.ticker in concerned:
                dates = self._feed.market.session_dates(None, _day_of(query.start))
                older = dates[-int(fault.number("sessions")) - 1 :][0] if dates else None
                if older is not None:
                    shift = query.start - eastern_ns(older, 0) // 1_000_000
                    return replace(query, start=query.start - shift, end=query.end - shift)
        return query

    def _page(self, query: _RangeQuery) -> tuple[pl.DataFrame, int, int, int | None]:
        """Bars of one page, base bars scanned, rows claimed but withheld, where the next begins."""
        if query.ticker not in self._feed.market.listings:
            return BAR_SCHEMA.to_frame(), 0, 0, None
        base, withheld = self._base_bars(query)
        following = None
        if base.height > query.limit:
            following = int(base["t"][query.limit])
            base = base.head(query.limit)
        bars = _windows(base, query) if query.multiplier > 1 or query.timespan == "hour" else base
        if query.adjusted:
            bars = self._adjusted(bars, query.ticker)
        return bars, base.height, withheld, following

    def _base_bars(self, query: _RangeQuery) -> tuple[pl.DataFrame, int]:
        """At least ``limit + 1`` base bars in the asked order, if there are as many."""
        first, last = _day_of(query.start), _day_of(query.end)
        inside = pl.col("t").is_between(query.start, query.end)
        if query.timespan == "day":
            served = self._feed.daily(query.ticker, first, last)
            return served.frame.filter(inside).sort("t", descending=not query.ascending), 0
        frames, rows, withheld = [BAR_SCHEMA.to_frame()], 0, 0
        sessions = self._feed.sessions(first, last)
        for session in sessions if query.ascending else reversed(sessions):
            served = self._feed.minutes(query.ticker, session)
            frame = served.frame.filter(inside)
            frames.append(frame if query.ascending else frame.reverse())
            rows, withheld = rows + frame.height, withheld + served.withheld
            if rows > query.limit:
                break
        return pl.concat(frames), withheld

    def _adjusted(self, bars: pl.DataFrame, ticker: str) -> pl.DataFrame:
        """Restate bars in today's shares: split-adjusted, never dividend-adjusted."""
        forgotten = self._feed.unadjusted_splits()
        for split in self._feed.splits().filter(pl.col("ticker") == ticker).iter_rows(named=True):
            day = split["execution_date"]
            if day > self._feed.today or (ticker, day) in forgotten:
                continue
            before = pl.col("t") < eastern_ns(day, 0) // 1_000_000
            ratio = pl.when(before).then(split["split_to"] / split["split_from"]).otherwise(1.0)
            bars = bars.with_columns(
                (pl.col("o", "h", "l", "c", "vw") / ratio).round(6), (pl.col("v") * ratio).round(6)
            )
        return bars

    def _encoded(self, query: _RangeQuery, bars: pl.DataFrame) -> bytes:
        """JSON rows; pages of an undisturbed feed are encoded once."""
        if self._feed.faulty:
            return encode_rows(bars)
        key = (query, bars.height)
        if key not in self._pages:
            self._pages[key] = encode_rows(bars)
            if len(self._pages) > _PAGES_KEPT:
                self._pages.popitem(last=False)
        return self._pages[key]

    # -- the whole market of a day -----------------------------------------------------------

    def _grouped(self, call: Call, text: str) -> Reply:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return json_reply(400, self._error(call, f"Could not parse the time parameter: {text}"))
        denied = self._not_entitled(call, day, day)
        if denied is not None:
            return denied
        adjusted = call.query.get("adjusted", "true") != "false"
        rows = self._feed.grouped(self._anchored_day(day)).frame
        if adjusted and not rows.is_empty():
            rows = pl.concat(
                self._adjusted(rows.slice(row, 1), ticker) for row, ticker in enumerate(rows["T"])
            )
        document: dict[str, object] = {
            "queryCount": rows.height,
            "resultsCount": rows.height,
            "adjusted": adjusted,
        }
        if not rows.is_empty():
            document["results"] = msgspec.Raw(encode_rows(rows))
        document["status"] = "OK"
        document["request_id"] = self._request_id(call)
        document["count"] = rows.height
        return json_reply(200, document)

    def _anchored_day(self, day: date) -> date:
        for fault in self._feed.faults():
            if fault.kind == "start_anchor_ignored":
                dates = self._feed.market.session_dates(None, day)
                return dates[-int(fault.number("sessions")) - 1 :][0] if dates else day
        return day


def encode_rows(rows: pl.DataFrame) -> bytes:
    """Encode rows as a JSON list of objects; whole-number volumes as the vendor writes them."""
    if (rows["v"] % 1 == 0).all():
        rows = rows.with_columns(pl.col("v").cast(pl.Int64))
    return rows.write_json().encode()


def _parse_range(call: Call, found: re.Match[str]) -> _RangeQuery | str:
    """Read a range request, or say what is wrong with it in the vendor's words."""
    timespan, multiplier = found["timespan"], int(found["multiplier"])
    if timespan not in ("minute", "hour", "day") or (timespan == "day" and multiplier != 1):
        return f"The timespan {multiplier} {timespan} is not supported"
    start, end = _moment(found["start"], last=False), _moment(found["end"], last=True)
    if start is None or end is None:
        return "Could not parse the time parameter; use YYYY-MM-DD or Unix MS Timestamps"
    if start > end:
        return "'from' must be before 'to'"
    limit = call.query.get("limit", str(_DEFAULT_LIMIT))
    if not limit.isdigit() or not 1 <= int(limit) <= _LARGEST_LIMIT:
        return f"limit must be between 1 and {_LARGEST_LIMIT}"
    settings = call.query.get("cursor", "")
    return (
        _RangeQuery(
            ticker=found["ticker"],
            multiplier=multiplier,
            timespan=timespan,
            start=start,
            end=end,
            adjusted=call.query.get("adjusted", "true") != "false",
            ascending=call.query.get("sort", "asc") != "desc",
            limit=int(limit),
        )
        if not settings
        else _from_cursor(settings, found, start, end)
    )


def _from_cursor(cursor: str, found: re.Match[str], start: int, end: int) -> _RangeQuery | str:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        settings = dict(part.split("=", 1) for part in text.split("&"))
        limit = int(settings["limit"])
    except (ValueError, KeyError):
        return "invalid cursor"
    return _RangeQuery(
        ticker=found["ticker"],
        multiplier=int(found["multiplier"]),
        timespan=found["timespan"],
        start=start,
        end=end,
        adjusted=settings.get("adjusted") != "false",
        ascending=settings.get("sort") != "desc",
        limit=limit,
        again=settings.get("again") == "1",
    )


def _next_url(call: Call, query: _RangeQuery, at: int) -> str:
    """Absolute address of the following page: the settings in the cursor, never the key."""
    settings = {
        "adjusted": str(query.adjusted).lower(),
        "limit": query.limit,
        "sort": "asc" if query.ascending else "desc",
    }
    if query.again:
        settings["again"] = 1
    cursor = base64.urlsafe_b64encode(urlencode(settings).encode()).decode().rstrip("=")
    start, end = (at, query.end) if query.ascending else (query.start, at)
    return (
        f"{call.base_url}/v2/aggs/ticker/{quote(query.ticker)}/range/{query.multiplier}"
        f"/{query.timespan}/{start}/{end}?cursor={cursor}"
    )


def _moment(text: str, *, last: bool) -> int | None:
    """Milliseconds UTC of a date (its first or last in New York) or of a millisecond stamp."""
    if text.isdigit() and len(text) > 8:
        return int(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    if last:
        return eastern_ns(day + timedelta(days=1), 0) // 1_000_000 - 1
    return eastern_ns(day, 0) // 1_000_000


def _day_of(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, EASTERN).date()


def _windows(base: pl.DataFrame, query: _RangeQuery) -> pl.DataFrame:
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


def request_digest(*parts: str | int) -> str:
    """A request id in the vendor's shape: 32 hexadecimal digits."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:32]
