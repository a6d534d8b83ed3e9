"""Massive (Polygon) REST: splits, dividends, tickers with cursor paging; market status."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import polars as pl

from tapemill.clock.eastern import EASTERN
from tapemill.clock.sessions import calendar
from tapemill.world.sandbox.feed import VendorFeed
from tapemill.world.sandbox.wire import Call, Reply, json_reply

__all__ = ["MassiveReference"]

_LARGEST_LIMIT = 1_000
_COMPARISONS: dict[str, Callable[[pl.Expr, object], pl.Expr]] = {
    "": pl.Expr.eq,
    "gte": pl.Expr.ge,
    "gt": pl.Expr.gt,
    "lte": pl.Expr.le,
    "lt": pl.Expr.lt,
}
_SETTINGS = {"limit", "order", "sort", "cursor", "apiKey", "active", "date", "search"}


class MassiveReference:
    """Answers of the reference and market-status endpoints."""

    def __init__(self, feed: VendorFeed, request_id: Callable[[Call], str]) -> None:
        self._feed = feed
        self._request_id = request_id

    def answer(self, call: Call, page_fault: str) -> Reply:
        """Answer a call, or 404 where the vendor has no such path."""
        match call.path:
            case "/v3/reference/splits":
                return self._listing(call, self._splits(), "execution_date", 10, page_fault)
            case "/v3/reference/dividends":
                return self._listing(call, self._dividends(), "ex_dividend_date", 10, page_fault)
            case "/v3/reference/tickers":
                return self._listing(call, self._tickers, "ticker", 100, page_fault)
            case "/v1/marketstatus/now":
                return json_reply(200, self._status())
            case "/v1/marketstatus/upcoming":
                return json_reply(200, self._holidays())
        return Reply(404, b"404 page not found", {"content-type": "text/plain"})

    # -- listings ----------------------------------------------------------------------------

    def _listing(
        self,
        call: Call,
        source: pl.DataFrame | Callable[[Mapping[str, str]], pl.DataFrame],
        sort: str,
        default_limit: int,
        page_fault: str,
    ) -> Reply:
        asked, offset, again = _unfold(call.query)
        rows = source(asked) if callable(source) else source
        try:
            rows = _filtered(rows, asked)
            limit = min(int(asked.get("limit", default_limit)), _LARGEST_LIMIT)
        except ValueError as wrong:
            body = {"status": "ERROR", "request_id": self._request_id(call), "error": str(wrong)}
            return json_reply(400, body)
        descending = asked.get("order", "asc" if sort == "ticker" else "desc") == "desc"
        key = asked.get("sort", sort)
        rows = rows.sort(
            key if key in rows.columns else sort, "ticker", descending=[descending, False]
        )
        page = rows.slice(offset, limit)
        results = [
            {name: _plain(value) for name, value in row.items() if value is not None}
            for row in page.iter_rows(named=True)
        ]
        document: dict[str, object] = {
            "results": results,
            "status": "OK",
            "request_id": self._request_id(call),
        }
        if call.path.endswith("/tickers"):
            document["count"] = len(results)
        following = offset + limit
        if page_fault == "cursor_loop":
            document["next_url"] = _next_url(call, asked, offset, again=False)
        elif page_fault == "duplicated_page" and not again:
            document["next_url"] = _next_url(call, asked, offset, again=True)
        elif following < rows.height:
            document["next_url"] = _next_url(call, asked, following, again=False)
        return json_reply(200, document)

    def _splits(self) -> pl.DataFrame:
        splits = self._feed.splits()
        return _with_id(splits, "ticker", "execution_date")

    def _dividends(self) -> pl.DataFrame:
        frame = self._feed.dividends().with_columns(
            pl.lit("CD").alias("dividend_type"),
            pl.lit("USD").alias("currency"),
            pl.lit(4).alias("frequency"),
        )
        return _with_id(frame, "ticker", "ex_dividend_date")

    def _tickers(self, asked: Mapping[str, str]) -> pl.DataFrame:
        at = date.fromisoformat(asked["date"]) if asked.get("date") else self._feed.today
        frame = self._feed.market.tickers().filter(pl.col("first_session") <= at)
        gone = pl.col("renamed") & (pl.col("last_session") < at)
        frame = frame.filter(gone if asked.get("active") == "false" else ~gone)
        if asked.get("search"):
            frame = frame.filter(
                pl.col("name").str.to_lowercase().str.contains(asked["search"].lower())
            )
        midnight = pl.col("last_session").dt.to_string("%Y-%m-%dT00:00:00Z")
        return frame.select(
            "ticker",
            "name",
            pl.lit("stocks").alias("market"),
            pl.lit("us").alias("locale"),
            "primary_exchange",
            pl.col("kind").alias("type"),
            (~gone).alias("active"),
            pl.lit("usd").alias("currency_name"),
            "cik",
            "composite_figi",
            "share_class_figi",
            pl.lit(f"{self._feed.today}T00:00:00Z").alias("last_updated_utc"),
            pl.when(gone).then(midnight).alias("delisted_utc"),
        )

    # -- market status -----------------------------------------------------------------------

    def _status(self) -> dict[str, object]:
        now_ns = self._feed.now_ns()
        calendar_ = calendar("XNYS")
        today = self._feed.today
        phase = "closed"
        if calendar_.is_session(today):
            session = calendar_.session(today)
            if session.open_ns <= now_ns < session.close_ns:
                phase = "open"
            elif session.pre_open_ns <= now_ns < session.post_close_ns:
                phase = "extended-hours"
        early = phase == "extended-hours" and now_ns < calendar_.session(today).open_ns
        return {
            "afterHours": phase == "extended-hours" and not early,
            "currencies": {"crypto": "open", "fx": "open" if today.weekday() < 5 else "closed"},
            "earlyHours": early,
            "exchanges": {
                "nasdaq": phase,
                "nyse": phase,
                "otc": "open" if phase == "open" else "closed",
            },
            "indicesGroups": {"s_and_p": "open" if phase == "open" else "closed"},
            "market": phase,
            "serverTime": datetime.fromtimestamp(now_ns // 10**9, EASTERN).isoformat(),
        }

    def _holidays(self) -> list[dict[str, str]]:
        """Closed weekdays and early closes of the next twelve months, per exchange."""
        calendar_ = calendar("XNYS")
        today = self._feed.today
        end = min(today + timedelta(days=365), calendar_.coverage[1])
        early = {s.session: s for s in calendar_.sessions(today, end) if s.early_close}
        found: list[dict[str, str]] = []
        for offset in range((end - today).days + 1):
            day = today + timedelta(days=offset)
            if day in early:
                session = early[day]
                detail = {
                    "name": session.reason or "Early close",
                    "status": "early-close",
                    "open": _utc(session.open_ns),
                    "close": _utc(session.close_ns),
                }
            elif day.weekday() < 5 and not calendar_.is_session(day):
                detail = {"name": calendar_.closed_reason(day), "status": "closed"}
            else:
                continue
            found.extend(
                {"exchange": exchange, "date": day.isoformat(), **detail}
                for exchange in ("NYSE", "NASDAQ")
            )
        return found


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _with_id(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    marks = [
        "E" + hashlib.sha256("/".join(map(str, row)).encode()).hexdigest()
        for row in frame.select(columns).iter_rows()
    ]
    return frame.with_columns(pl.Series("id", marks, dtype=pl.String))


def _filtered(rows: pl.DataFrame, asked: Mapping[str, str]) -> pl.DataFrame:
    """Apply ``field=value`` and ``field.gte=value`` filters; ValueError names a wrong one."""
    for name, text in asked.items():
        column, _, comparison = name.partition(".")
        if name in _SETTINGS or column == "reverse_split":
            continue
        if column not in rows.columns or comparison not in _COMPARISONS:
            raise ValueError(f"Unknown query parameter {name!r}")
        value: object = text
        if rows.schema[column] == pl.Date:
            value = date.fromisoformat(text)
        elif rows.schema[column].is_numeric():
            value = float(text)
        rows = rows.filter(_COMPARISONS[comparison](pl.col(column), value))
    if "reverse_split" in asked:
        reverse = pl.col("split_from") > pl.col("split_to")
        rows = rows.filter(reverse if asked["reverse_split"] == "true" else ~reverse)
    return rows


def _unfold(query: Mapping[str, str]) -> tuple[dict[str, str], int, bool]:
    """Return the settings of the first page, the row to go on at, and whether it is a repeat."""
    if "cursor" not in query:
        return {k: v for k, v in query.items() if k != "apiKey"}, 0, False
    cursor = query["cursor"]
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode(errors="replace")
    settings = dict(parse_qsl(text))
    offset = settings.pop("page_marker", "0")
    again = settings.pop("again", "") == "1"
    return settings, int(offset) if offset.isdigit() else 0, again


def _next_url(call: Call, asked: Mapping[str, str], offset: int, *, again: bool) -> str:
    settings = {**asked, "page_marker": str(offset), **({"again": "1"} if again else {})}
    cursor = base64.urlsafe_b64encode(urlencode(settings).encode()).decode().rstrip("=")
    return f"{call.base_url}{call.path}?cursor={cursor}"
