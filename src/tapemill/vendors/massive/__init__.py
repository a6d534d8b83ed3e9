"""How Massive (Polygon until October 2025) speaks: requests, answers, flat files.

In: sessions and tickers, and the bytes that came back. Out: requests without secrets, and typed
answers with rows in bronze columns.
"""

from __future__ import annotations

from tapemill.vendors.massive.answers import interpret_massive
from tapemill.vendors.massive.requests import (
    daily_bars,
    dividends,
    grouped_daily,
    market_status,
    minute_bars,
    splits,
    tickers,
)
from tapemill.vendors.massive.tick_requests import TICK_LIMIT, TICKS, quotes, stream_of, trades

__all__ = [
    "TICKS",
    "TICK_LIMIT",
    "daily_bars",
    "dividends",
    "grouped_daily",
    "interpret_massive",
    "market_status",
    "minute_bars",
    "quotes",
    "splits",
    "stream_of",
    "tickers",
    "trades",
]
