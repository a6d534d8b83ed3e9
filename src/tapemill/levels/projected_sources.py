"""Minutes of the other instruments on which the user's file has levels, from the lake."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import polars as pl

from tapemill.errors import ContractError
from tapemill.lake import Lake
from tapemill.levels.continuous import continuous, dominant_contracts

__all__ = ["OTHER_MINUTES", "other_minutes"]

_CONTRACTS = "reference.futures_contracts"
_FUTURES = "silver.futures_minutes"
_SHARES = "silver.equity_bars_1m"
OTHER_MINUTES = (_SHARES, _FUTURES)
"""Where minutes of other instruments come from."""
_COLUMNS = ("symbol", "ts_event", "price", "known_ns")


def other_minutes(
    lake: Lake, symbols: Sequence[str], start: datetime.date, end: datetime.date
) -> pl.DataFrame:
    """Closes of minutes of any instruments, each with the moment when it was known.

    Parameters
    ----------
    lake : Lake
    symbols : sequence of str
        Contracts, products (their dominant contract of `end`, the ones before it adjusted by the
        gaps of the rolls), stocks or ETFs. What is a future and a stock by name is the future.
    start, end : date
        First and last session.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``ts_event`` (start, ns UTC), ``price`` (close, points), ``known_ns`` (with the
        delay of the feed); every version of a bar. A symbol that the lake does not know has no
        rows.
    """
    contracts = pl.DataFrame(schema={"symbol": pl.String, "root": pl.String})
    if lake.tables.exists(_CONTRACTS):
        contracts = lake.tables.scan(_CONTRACTS).select("symbol", "root").collect()
    names, roots = set(contracts["symbol"]), set(contracts["root"])
    frames = [_shares(lake, [one for one in symbols if one not in names | roots], start, end)]
    for one in symbols:
        if one in names:
            frames.append(_priced(_contract(lake, one, start, end), one))
        elif one in roots:
            frames.append(_priced(_product(lake, one, start, end), one))
    return pl.concat(frames).sort("symbol", "ts_event", "known_ns", "price")


def _shares(
    lake: Lake, symbols: list[str], start: datetime.date, end: datetime.date
) -> pl.DataFrame:
    rows = lake.tables.scan(_SHARES, symbols=symbols, start=start, end=end).filter(
        pl.col("symbol").is_in(symbols), pl.col("session").is_between(start, end)
    )
    return rows.select("symbol", "ts_event", price="close", known_ns=_KNOWN_NS).collect()


def _contract(lake: Lake, symbol: str, start: datetime.date, end: datetime.date) -> pl.LazyFrame:
    return lake.tables.scan(_FUTURES, symbols=[symbol], start=start, end=end).filter(
        pl.col("symbol") == symbol, pl.col("session").is_between(start, end)
    )


def _product(lake: Lake, root: str, start: datetime.date, end: datetime.date) -> pl.LazyFrame:
    chosen = dominant_contracts(lake, root, start, end)
    if not chosen.height or chosen["session"][-1] != end:
        return lake.tables.scan(_FUTURES).filter(pl.lit(value=False))
    try:
        return continuous(lake, root, start, end, adjust="difference")
    except ContractError:
        # A roll whose gap nobody measured: the last contract's own minutes must do.
        return _contract(lake, chosen["symbol"][-1], start, end)


def _priced(minutes: pl.LazyFrame, symbol: str) -> pl.DataFrame:
    price = pl.col("close_ticks").cast(pl.Float64) * pl.col("tick_size")
    return (
        minutes.select("ts_event", price=price, known_ns=_KNOWN_NS)
        .with_columns(symbol=pl.lit(symbol))
        .select(_COLUMNS)
        .collect()
    )


_KNOWN_NS = pl.col("known_at").dt.timestamp("us") * 1000
