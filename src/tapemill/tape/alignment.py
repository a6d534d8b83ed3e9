"""How well trades and quotes of a tape stand in time, told without knowing any true side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tapemill.errors import ContractError
from tapemill.tape.classify import classify
from tapemill.tape.prints import Quotes, Trades
from tapemill.tape.rules import Rules, Rung

__all__ = ["alignment", "best_lag_ns"]


def alignment(trades: Trades, quotes: Quotes, lags_ns: Sequence[int] = (0,)) -> pl.DataFrame:
    """Where prints lie against the prevailing quote, for each lag.

    Venues must not trade through a better quote, so prints outside the prevailing one mean that
    the two streams are out of step (or that a sweep walked the book). Most prints are made at the
    quote: where quotes run ahead of prints, the share at the quote is low and peaks at the lag that
    puts them back (:func:`best_lag_ns`).

    Parameters
    ----------
    trades, quotes : Trades, Quotes
    lags_ns : sequence of int
        Lags to try, as in ``Rules.lag_ns``.

    Returns
    -------
    pl.DataFrame
        ``lag_ns``, ``prints`` (eligible, outside auctions) and the fractions ``at_frac``,
        ``inside_frac``, ``through_frac``, ``no_market_frac`` (locked, crossed or no quote) of
        them; null without a print. Fractions add to 1.
    """
    rows = []
    for lag in lags_ns:
        made = classify(trades, quotes, rules=Rules(lag_ns=lag))
        standing = ~np.isin(made.rung, (Rung.AUCTION, Rung.INELIGIBLE))
        price, bid, ask = (column[standing] for column in (trades.price, made.bid, made.ask))
        n = price.size
        market = (bid > 0) & (ask > 0) & (ask > bid)
        slack = 1e-12 * ask
        through = market & ((price > ask + slack) | (price < bid - slack))
        inside = market & (price < ask - slack) & (price > bid + slack)
        counts = {
            "at_frac": int((market & ~through & ~inside).sum()),
            "inside_frac": int(inside.sum()),
            "through_frac": int(through.sum()),
            "no_market_frac": int((~market).sum()),
        }
        fractions = {name: count / n if n else None for name, count in counts.items()}
        rows.append({"lag_ns": lag, "prints": n, **fractions})
    names = ("at_frac", "inside_frac", "through_frac", "no_market_frac")
    schema: dict[str, pl.DataType] = {"lag_ns": pl.Int64(), "prints": pl.Int64()}
    return pl.DataFrame(rows, schema=schema | dict.fromkeys(names, pl.Float64()))


def best_lag_ns(trades: Trades, quotes: Quotes, lags_ns: Sequence[int]) -> int:
    """Lag at which most prints stand at the prevailing quote; the smallest of equals.

    No true side is needed. Take it from earlier days than the one to classify: it looks at all
    prints of the tape it is given.

    Raises
    ------
    ContractError
        No lag to try, or no print to judge by.
    """
    frame = alignment(trades, quotes, sorted(lags_ns)).drop_nulls()
    if frame.is_empty():
        raise ContractError(
            f"no lag can be chosen from {len(lags_ns)} lags and {len(trades)} prints",
            next_step="give lags to try and a tape with eligible prints",
        )
    return int(frame["lag_ns"][int(frame["at_frac"].arg_max() or 0)])
