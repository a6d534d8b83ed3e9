"""How well trades and quotes of a tape stand in time, told without knowing any true side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tapemill.tape.classify import classify
from tapemill.tape.prints import Quotes, Trades
from tapemill.tape.rules import Rules, Rung

__all__ = ["alignment"]


def alignment(trades: Trades, quotes: Quotes, lags_ns: Sequence[int] = (0,)) -> pl.DataFrame:
    """Where prints lie against the prevailing quote, for each lag.

    Venues must not trade through a better quote, so prints outside the prevailing one mean that
    the two streams are out of step (or that a sweep walked the book). A share of more than some
    per cent calls for a lag, or for ``Rules(through="tick")``.

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
