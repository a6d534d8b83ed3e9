"""Questions for trades and quotes: one ticker, a stretch of nanoseconds, pages of 50,000."""

from __future__ import annotations

import urllib.parse
from datetime import date
from typing import Literal

from tapemill.errors import DateError, UsageError
from tapemill.vendors.exchange import Request

__all__ = ["TICKS", "TICK_LIMIT", "Stream", "quotes", "stream_of", "trades"]

TICKS = "bronze.massive_tape_5m"
"""Where what is made of ticks lands; the ticks themselves land nowhere."""

TICK_LIMIT = 50_000
"""The vendor's largest page; its default of 1,000 would cost fifty times the calls."""

Stream = Literal["trades", "quotes"]


def trades(
    symbol: str, session: date, start_ns: int, end_ns: int, *, limit: int = TICK_LIMIT
) -> Request:
    """Prints of one ticker whose SIP time lies in ``[start_ns, end_ns)``, ascending.

    Parameters
    ----------
    symbol : str
        The vendor's ticker, case kept.
    session : date
        Session that the stretch belongs to.
    start_ns, end_ns : int
        Nanoseconds UTC.
    limit : int
        Rows of a page, 1 to 50,000.

    Raises
    ------
    UsageError
        `symbol` is no ticker, or `limit` is none of the vendor's.
    DateError
        The stretch is empty.
    """
    return _ticks("trades", symbol, session, start_ns, end_ns, limit)


def quotes(
    symbol: str, session: date, start_ns: int, end_ns: int, *, limit: int = TICK_LIMIT
) -> Request:
    """National best bids and offers of one ticker in ``[start_ns, end_ns)``; see :func:`trades`.

    Raises
    ------
    UsageError, DateError
        As for :func:`trades`.
    """
    return _ticks("quotes", symbol, session, start_ns, end_ns, limit)


def stream_of(request: Request) -> Stream:
    """Which of the two a request asks for; its later pages keep the path."""
    return "quotes" if request.path.startswith("/v3/quotes/") else "trades"


def _ticks(
    stream: Stream, symbol: str, session: date, start_ns: int, end_ns: int, limit: int
) -> Request:
    if not symbol or any(character.isspace() for character in symbol):
        raise UsageError(
            f"{symbol!r} is not a ticker",
            next_step="give the vendor's ticker, case kept, for example SPY or BRK.B",
        )
    if not 1 <= limit <= TICK_LIMIT:
        raise UsageError(
            f"a page of {limit} rows", next_step=f"the vendor gives 1 to {TICK_LIMIT:,}"
        )
    if start_ns >= end_ns:
        raise DateError(
            f"the stretch from {start_ns} to {end_ns} ns is empty",
            where=f"{stream} of {symbol}",
            next_step="give a start before the end",
        )
    params = {
        "timestamp.gte": str(start_ns),
        "timestamp.lt": str(end_ns),
        "sort": "timestamp",
        "order": "asc",
        "limit": str(limit),
    }
    return Request(
        vendor="massive",
        dataset=TICKS,
        method="GET",
        base="massive",
        path=f"/v3/{stream}/{urllib.parse.quote(symbol, safe=':')}",
        params=tuple(params.items()),
        symbol=symbol,
        start=session,
        end=session,
        # The cursor of a later page hides the stretch: it travels along.
        expect=(("from_ns", str(start_ns)), ("before_ns", str(end_ns))),
    )
