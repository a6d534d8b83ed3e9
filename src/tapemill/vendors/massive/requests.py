"""Questions to Massive (Polygon): paths and parameters, nothing else.

Prices are always asked unadjusted, pages always at the largest limit (50,000 base bars: the default
of 5,000 cuts a month of minutes without a word), and later pages are reached by `next_url` alone.
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from datetime import date

from tapemill.errors import DateError, UsageError
from tapemill.vendors.exchange import Request

__all__ = [
    "BAR_LIMIT",
    "LISTING_LIMIT",
    "daily_bars",
    "dividends",
    "grouped_daily",
    "market_status",
    "minute_bars",
    "splits",
    "tickers",
]

BAR_LIMIT = 50_000
LISTING_LIMIT = 1_000


def minute_bars(symbol: str, start: date, end: date) -> Request:
    """One-minute bars of one ticker, sessions `start` to `end` inclusive, extended hours included.

    Raises
    ------
    UsageError
        `symbol` is empty or has spaces (case matters to the vendor and is kept).
    DateError
        `start` is after `end`.
    """
    return _bars("bronze.massive_bars_1m", "minute", symbol, start, end)


def daily_bars(symbol: str, start: date, end: date) -> Request:
    """Daily bars of one ticker, sessions `start` to `end` inclusive.

    Raises
    ------
    UsageError, DateError
        As for :func:`minute_bars`.
    """
    return _bars("bronze.massive_bars_1d", "day", symbol, start, end)


def grouped_daily(session: date) -> Request:
    """Daily bars of the whole market for one session."""
    return _get(
        "bronze.massive_bars_1d",
        f"/v2/aggs/grouped/locale/us/market/stocks/{session.isoformat()}",
        {"adjusted": "false", "include_otc": "false"},
        start=session,
        end=session,
    )


def splits(start: date, end: date, symbol: str = "*") -> Request:
    """Splits that take effect from `start` to `end`, of one ticker or of the market."""
    return _listing("bronze.massive_splits", "splits", "execution_date", start, end, symbol)


def dividends(start: date, end: date, symbol: str = "*") -> Request:
    """Cash dividends with an ex-date from `start` to `end`, of one ticker or of the market."""
    return _listing("bronze.massive_dividends", "dividends", "ex_dividend_date", start, end, symbol)


def tickers(session: date, *, active: bool = True) -> Request:
    """Stock tickers listed on `session`, or with ``active=False`` those delisted by then.

    The last page of the listed ones is followed by the first page of the delisted: the vendor
    keeps them apart, and without the dead a change of ticker cannot be seen.
    """
    params = {
        "market": "stocks",
        "active": str(active).lower(),
        "date": session.isoformat(),
        "sort": "ticker",
        "order": "asc",
        "limit": str(LISTING_LIMIT),
    }
    found = _get(
        "bronze.massive_tickers", "/v3/reference/tickers", params, start=session, end=session
    )
    return dataclasses.replace(found, expect=(("then", "delisted"),)) if active else found


def market_status() -> Request:
    """Upcoming holidays and early closes."""
    return _get("bronze.massive_market_status", "/v1/marketstatus/upcoming", {})


def _bars(dataset: str, timespan: str, symbol: str, start: date, end: date) -> Request:
    _check(symbol, start, end)
    ticker = urllib.parse.quote(symbol, safe=":")
    path = f"/v2/aggs/ticker/{ticker}/range/1/{timespan}/{start.isoformat()}/{end.isoformat()}"
    params = {"adjusted": "false", "sort": "asc", "limit": str(BAR_LIMIT)}
    return _get(dataset, path, params, symbol=symbol, start=start, end=end)


def _listing(
    dataset: str, name: str, date_field: str, start: date, end: date, symbol: str
) -> Request:
    _check(symbol, start, end)
    params = {
        f"{date_field}.gte": start.isoformat(),
        f"{date_field}.lte": end.isoformat(),
        "sort": date_field,
        "order": "asc",
        "limit": str(LISTING_LIMIT),
    }
    if symbol != "*":
        params = {"ticker": symbol, **params}
    return _get(dataset, f"/v3/reference/{name}", params, symbol=symbol, start=start, end=end)


def _get(
    dataset: str,
    path: str,
    params: dict[str, str],
    *,
    symbol: str = "*",
    start: date | None = None,
    end: date | None = None,
) -> Request:
    return Request(
        vendor="massive",
        dataset=dataset,
        method="GET",
        base="massive",
        path=path,
        params=tuple(params.items()),
        symbol=symbol,
        start=start,
        end=end,
    )


def _check(symbol: str, start: date, end: date) -> None:
    if not symbol or any(character.isspace() for character in symbol):
        raise UsageError(
            f"{symbol!r} is not a ticker",
            next_step="give the vendor's ticker, case kept, for example SPY or BRK.B",
        )
    if start > end:
        raise DateError(
            f"the range starts on {start}, after its end {end}",
            where=f"request for {symbol}",
            next_step="swap the two dates",
        )
