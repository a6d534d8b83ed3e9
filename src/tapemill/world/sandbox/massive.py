"""Massive (Polygon) REST: authentication, plan limits, and the aggregates with their paging."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, timedelta
from typing import Literal

import msgspec
import polars as pl

from tapemill.clock.eastern import eastern_ns
from tapemill.world.minutes import BAR_SCHEMA
from tapemill.world.sandbox.feed import VendorFeed
from tapemill.world.sandbox.massive_range import RangeQuery, day_of, next_url, parse_range, windows
from tapemill.world.sandbox.massive_reference import MassiveReference
from tapemill.world.sandbox.massive_ticks import MassiveTicks
from tapemill.world.sandbox.wire import Call, Reply, json_reply

__all__ = ["HISTORY_DAYS", "MassiveApi", "PlanName"]

PlanName = Literal["free", "paid"]
HISTORY_DAYS = 730

_UPGRADE = "Please upgrade your plan at https://massive.com/pricing"
_GROUPED = re.compile(r"/v2/aggs/grouped/locale/us/market/stocks/(?P<day>[^/]+)")
_PAGES_KEPT = 64


class MassiveApi:
    """Answers of the vendor's REST interface.

    Parameters
    ----------
    feed : VendorFeed
        The facts.
    plan : {"free", "paid"}
        Free: limited history, nothing of the current day. Paid: everything, 15 minutes late.
    history_days : int
        How far back the free plan reaches from the current day.
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
        history_days: int,
        api_keys: Collection[str],
        request_id: Callable[[Call], str],
    ) -> None:
        self._feed = feed
        self.plan = plan
        self._history_days = history_days
        self._api_keys = frozenset(api_keys)
        self._request_id = request_id
        self._reference = MassiveReference(feed, request_id)
        self._ticks = MassiveTicks(feed, plan, self._not_entitled, request_id)
        self._pages: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def answer(self, call: Call, page_fault: str = "") -> Reply:
        """Answer a call; `page_fault` spoils the paging (duplicated_page or cursor_loop)."""
        denied = self._unauthorized(call)
        if denied is not None:
            return denied
        try:
            query = parse_range(call)
        except ValueError as wrong:
            return json_reply(400, self._error(call, str(wrong)))
        if query is not None:
            return self._aggregates(call, query, page_fault)
        if found := _GROUPED.fullmatch(call.path):
            return self._grouped(call, found["day"])
        ticks = self._ticks.answer(call, page_fault)
        return self._reference.answer(call, page_fault) if ticks is None else ticks

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
        too_old = first < self._oldest and not self._hides_old_window()
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

    @property
    def _oldest(self) -> date:
        """First date that the plan covers."""
        return self._feed.today - timedelta(days=self._history_days)

    def _hides_old_window(self) -> bool:
        """Whether the vendor answers with nothing what the plan does not cover."""
        return self.plan == "free" and any(
            fault.kind == "old_window_empty" for fault in self._feed.faults()
        )

    def _error(self, call: Call, text: str) -> dict[str, str]:
        return {"status": "ERROR", "request_id": self._request_id(call), "error": text}

    # -- bars of one ticker ------------------------------------------------------------------

    def _aggregates(self, call: Call, query: RangeQuery, page_fault: str) -> Reply:
        first, last = day_of(query.start), day_of(query.end)
        denied = self._not_entitled(call, first, last)
        if denied is not None:
            return denied
        if self._hides_old_window():
            query = replace(query, start=max(query.start, eastern_ns(self._oldest, 0) // 1_000_000))
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
            document["next_url"] = next_url(
                call, query, query.start if query.ascending else query.end
            )
        elif page_fault == "duplicated_page" and not query.again:
            at = query.start if query.ascending else query.end
            document["next_url"] = next_url(call, replace(query, again=True), at)
        elif following is not None:
            document["next_url"] = next_url(call, replace(query, again=False), following)
        return json_reply(200, document)

    def _anchored(self, query: RangeQuery) -> RangeQuery:
        """Shift the range into the past when the vendor ignores where it should start."""
        for fault in self._feed.faults():
            concerned = {s for s, _ in self._feed.targets(fault)}
            if fault.kind == "start_anchor_ignored" and query.ticker in concerned:
                dates = self._feed.market.session_dates(None, day_of(query.start))
                older = dates[-int(fault.number("sessions")) - 1 :][0] if dates else None
                if older is not None:
                    shift = query.start - eastern_ns(older, 0) // 1_000_000
                    return replace(query, start=query.start - shift, end=query.end - shift)
        return query

    def _page(self, query: RangeQuery) -> tuple[pl.DataFrame, int, int, int | None]:
        """Bars of one page, base bars scanned, rows claimed but withheld, where the next begins."""
        if query.ticker not in self._feed.market.listings:
            return BAR_SCHEMA.to_frame(), 0, 0, None
        base, withheld = self._base_bars(query)
        following = None
        if base.height > query.limit:
            following = int(base["t"][query.limit])
            base = base.head(query.limit)
        bars = windows(base, query) if query.multiplier > 1 or query.timespan == "hour" else base
        if query.adjusted:
            bars = self._adjusted(bars, query.ticker)
        return bars, base.height, withheld, following

    def _base_bars(self, query: RangeQuery) -> tuple[pl.DataFrame, int]:
        """At least ``limit + 1`` base bars in the asked order, if there are as many."""
        first, last = day_of(query.start), day_of(query.end)
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

    def _encoded(self, query: RangeQuery, bars: pl.DataFrame) -> bytes:
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
        if self._hides_old_window() and day < self._oldest:
            rows = rows.clear()
        if adjusted:
            for ticker in self._feed.splits()["ticker"].unique(maintain_order=True):
                mine = pl.col("T") == ticker
                rows = pl.concat([rows.filter(~mine), self._adjusted(rows.filter(mine), ticker)])
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


def request_digest(*parts: str | int) -> str:
    """A request id in the vendor's shape: 32 hexadecimal digits."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:32]
