"""Minutes as they arrive: what the levels of a running trade date are made of.

`silver.futures_minutes` puts a trade into the minute in which the venue matched it. A decision
lives on the clock of arrival, where a trade of 12:00:59.9999 may come at 12:01:00.0001: minutes
of that clock hold nothing that was not there at their end.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from tapemill.book.minutes import Built, MinuteBuilder
from tapemill.contracts import contract
from tapemill.levels.trades import Trades

__all__ = ["MINUTE_NS", "ArrivalMinutes"]

MINUTE_NS = 60_000_000_000
_SCHEMA = contract("silver.futures_minutes").schema
_COLUMNS = (
    "symbol",
    "session",
    "ts_event",
    "open_ticks",
    "high_ticks",
    "low_ticks",
    "close_ticks",
    "volume",
    "buy_volume",
    "sell_volume",
    "trades",
    "price_volume",
)


class ArrivalMinutes:
    """Finished minutes of one contract and trade date by `ts_gateway`.

    Parameters
    ----------
    symbol : str
    session : date
    """

    def __init__(self, symbol: str, session: date) -> None:
        self._symbol = symbol
        self._session = session
        self._builder = MinuteBuilder()
        self._built: list[Built] = []

    def advance(self, trades: Trades) -> None:
        """Take the next trades."""
        self._keep(
            self._builder.apply(
                trades.ts_gateway, trades.ts_gateway, trades.price, trades.size, trades.aggressor
            )
        )

    def reach(self, moment_ns: int) -> None:
        """Finish the minutes that ended by a moment that has been reached."""
        self._keep(self._builder.advance(moment_ns))

    def finish(self) -> None:
        """Finish the last minute: nothing more comes."""
        self._keep(self._builder.finish())

    def _keep(self, built: Built) -> None:
        if len(built.minutes.start):
            self._built.append(built)

    def frame(self) -> pl.DataFrame:
        """Finished minutes so far: the columns of `silver.futures_minutes` that levels read."""
        parts = [part.minutes for part in self._built]
        names = ("start", "open", "high", "low", "close", "volume", "buy_volume", "sell_volume")
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            if parts
            else np.empty(0, np.int64)
            for name in (*names, "trades", "price_volume")
        }
        renamed = {"start": "ts_event"} | {
            name: f"{name}_ticks" for name in ("open", "high", "low", "close")
        }
        return (
            pl.DataFrame(columns)
            .rename(renamed)
            .with_columns(symbol=pl.lit(self._symbol), session=pl.lit(self._session))
            .select(pl.col(name).cast(_SCHEMA[name]) for name in _COLUMNS)
        )
