"""Massive (Polygon) REST: trades and quotes of one ticker, page after page behind a cursor."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
import polars as pl

from tapemill.clock.eastern import EASTERN, eastern_ns
from tapemill.world.sandbox.feed import FEED_DELAY_NS, VendorFeed
from tapemill.world.sandbox.wire import Call, Reply, json_reply
from tapemill.world.ticks import QUOTE_SCHEMA, TRADE_SCHEMA, Tape, draw_tape

__all__ = ["MassiveTicks"]

_PATH = re.compile(r"/v3/(?P<stream>trades|quotes)/(?P<ticker>[^/]+)")
_DEFAULT_LIMIT, _LARGEST_LIMIT = 1_000, 50_000
_UPGRADE = "Please upgrade your plan at https://massive.com/pricing"
_BOUNDS: dict[str, Callable[[pl.Expr, int], pl.Expr]] = {
    "timestamp.gte": pl.Expr.ge,
    "timestamp.gt": pl.Expr.gt,
    "timestamp.lte": pl.Expr.le,
    "timestamp.lt": pl.Expr.lt,
}
_DAYS_KEPT = 64


class MassiveTicks:
    """Answers of ``/v3/trades`` and ``/v3/quotes``.

    Parameters
    ----------
    feed : VendorFeed
    plan : str
        The free plan has no ticks.
    not_entitled : callable
        Refuses dates outside the plan.
    request_id : callable
        Makes the id of the answer to a call.
    """

    def __init__(
        self,
        feed: VendorFeed,
        plan: str,
        not_entitled: Callable[[Call, date, date], Reply | None],
        request_id: Callable[[Call], str],
    ) -> None:
        self._feed = feed
        self._plan = plan
        self._not_entitled = not_entitled
        self._request_id = request_id
        self._tape = lru_cache(_DAYS_KEPT)(self._draw)

    def answer(self, call: Call, page_fault: str) -> Reply | None:
        """Answer a call; None when the path is another one."""
        found = _PATH.fullmatch(call.path)
        if found is None:
            return None
        stream, ticker = found["stream"], found["ticker"]
        if self._withheld(stream):
            return json_reply(403, self._refusal(call))
        try:
            asked = _unfold(call.query)
            first, last = _stretch(asked, self._feed.today)
            limit = int(asked.get("limit", _DEFAULT_LIMIT))
            if not 1 <= limit <= _LARGEST_LIMIT:
                raise ValueError(f"limit must be between 1 and {_LARGEST_LIMIT}")
        except ValueError as wrong:
            body = {"status": "ERROR", "request_id": self._request_id(call), "error": str(wrong)}
            return json_reply(400, body)
        denied = self._not_entitled(call, first, last)
        if denied is not None:
            return denied
        rows = self._rows(stream, ticker, asked, first, last)
        return self._page(call, rows, asked, limit, page_fault)

    def _withheld(self, stream: str) -> bool:
        if self._plan == "free":
            return True
        switched = (fault for fault in self._feed.faults() if fault.kind == "ticks_not_entitled")
        return any(str(fault.option("what")) in ("both", stream) for fault in switched)

    def _refusal(self, call: Call) -> dict[str, str]:
        return {
            "status": "NOT_AUTHORIZED",
            "request_id": self._request_id(call),
            "message": f"You are not entitled to this data. {_UPGRADE}",
        }

    def _rows(
        self, stream: str, ticker: str, asked: Mapping[str, str], first: date, last: date
    ) -> pl.DataFrame:
        """Ticks of the stretch that are out by now, in the order asked for."""
        schema = TRADE_SCHEMA if stream == "trades" else QUOTE_SCHEMA
        frames = [schema.to_frame()]
        if ticker in self._feed.market.listings:
            for session in self._feed.sessions(first, last):
                tape = self._tape(ticker, session)
                frames.append(
                    (tape.trades if stream == "trades" else tape.quotes).select(schema.names())
                )
        stamp = pl.col("sip_timestamp")
        held = [stamp <= self._feed.now_ns() - FEED_DELAY_NS]
        held += [
            compare(stamp, _moment(asked[name]))
            for name, compare in _BOUNDS.items()
            if name in asked
        ]
        rows = pl.concat(frames).filter(*held)
        return rows if asked.get("order", "desc") == "asc" else rows.reverse()

    def _page(
        self,
        call: Call,
        rows: pl.DataFrame,
        asked: Mapping[str, str],
        limit: int,
        page_fault: str,
    ) -> Reply:
        offset = int(asked.get("offset", "0"))
        page = rows.slice(offset, limit)
        document: dict[str, object] = {
            "results": msgspec.Raw(_encoded(page)),
            "status": "OK",
            "request_id": self._request_id(call),
        }
        settings = {name: value for name, value in asked.items() if name not in ("offset", "again")}
        if page_fault == "cursor_loop":
            document["next_url"] = _next_url(call, {**settings, "offset": str(offset)})
        elif page_fault == "duplicated_page" and "again" not in asked:
            document["next_url"] = _next_url(
                call, {**settings, "offset": str(offset), "again": "1"}
            )
        elif offset + limit < rows.height:
            document["next_url"] = _next_url(call, {**settings, "offset": str(offset + limit)})
        return json_reply(200, document)

    def _draw(self, ticker: str, session: date) -> Tape:
        return draw_tape(self._feed.market, ticker, session)


def _encoded(rows: pl.DataFrame) -> bytes:
    """Rows as JSON; a field without a value is left out, as the vendor does."""
    records = [
        {name: value for name, value in row.items() if value is not None}
        for row in rows.iter_rows(named=True)
    ]
    return msgspec.json.encode(records)


def _unfold(query: Mapping[str, str]) -> dict[str, str]:
    cursor = query.get("cursor")
    if cursor is None:
        return {name: value for name, value in query.items() if name != "apiKey"}
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode(errors="replace")
    return dict(parse_qsl(text))


def _next_url(call: Call, settings: Mapping[str, str]) -> str:
    cursor = base64.urlsafe_b64encode(urlencode(settings).encode()).decode().rstrip("=")
    return f"{call.base_url}{quote(call.path)}?cursor={cursor}"


def _stretch(asked: Mapping[str, str], today: date) -> tuple[date, date]:
    """First and last exchange date of the stretch; without bounds the current day."""
    if "timestamp" in asked:
        raise ValueError("the sandbox knows ranges of timestamps only")
    starts = [_moment(asked[name]) for name in ("timestamp.gte", "timestamp.gt") if name in asked]
    ends = [_moment(asked[name]) - 1 for name in ("timestamp.lt",) if name in asked]
    ends += [_moment(asked[name]) for name in ("timestamp.lte",) if name in asked]
    first = _day(max(starts)) if starts else today
    return first, _day(min(ends)) if ends else max(first, today)


def _moment(text: str) -> int:
    """Nanoseconds UTC of a stamp or of the midnight in New York that begins a date."""
    if text.isdigit():
        return int(text)
    return eastern_ns(date.fromisoformat(text), 0)


def _day(ns: int) -> date:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).astimezone(EASTERN).date()
