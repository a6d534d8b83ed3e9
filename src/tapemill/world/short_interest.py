"""Open short positions per symbol and settlement date, as FINRA publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from tapemill.world.seeds import stream

__all__ = ["INTEREST_SCHEMA", "draw_interest", "open_shares"]

INTEREST_SCHEMA = pl.Schema(
    {
        "settlement_date": pl.Date,
        "symbol": pl.String,
        "short_interest": pl.Int64,
        "previous": pl.Int64,
        "average_volume": pl.Int64,
        "published": pl.Date,
    }
)
"""Whole shares; `previous` is the position of the settlement before, null where there is none."""


def open_shares(seed: int, symbol: str, settled: date, usual_volume: float) -> int:
    """The planted open short position.

    Parameters
    ----------
    usual_volume : float
        Median shares a session of the company: positions are days of it.
    """
    days = stream(seed, "interest", symbol).uniform(1.0, 6.0)
    news = stream(seed, "interest", symbol, settled.toordinal()).normal(0.0, 0.08)
    return int(usual_volume * days * (1.0 + max(-0.5, min(news, 0.5))))


def draw_interest(
    seed: int,
    settled: date,
    before: date | None,
    published: date,
    symbols: Mapping[str, tuple[str, float, int]],
) -> pl.DataFrame:
    """Positions of all symbols at one settlement date.

    Parameters
    ----------
    before : date, optional
        The settlement before; None where the market had not begun.
    published : date
    symbols : mapping
        Ticker → company, its usual volume, average shares a session since the settlement before.
    """
    rows = [
        (
            settled,
            ticker,
            open_shares(seed, company, settled, usual),
            None if before is None else open_shares(seed, company, before, usual),
            average,
            published,
        )
        for ticker, (company, usual, average) in symbols.items()
    ]
    return pl.DataFrame(rows, schema=INTEREST_SCHEMA, orient="row").sort("symbol")
