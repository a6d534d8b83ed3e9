"""Volatility of one minute in ticks, as it could be known."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tapemill.errors import ContractError

__all__ = ["LEAST_CHANGES", "Volatility", "VolatilityTracker", "volatility"]

Array = Any

LEAST_CHANGES = 5
"""Changes from minute to minute before a volatility is known."""

_MINUTE = 60_000_000_000


class Volatility(NamedTuple):
    """Volatility from moment to moment, arrays of length n.

    Attributes
    ----------
    at_ns : int64
        From when it is known: the end of its latest minute (ns UTC).
    sigma : float64
        Standard deviation of the price change of one minute, in ticks; above zero.
    """

    at_ns: Array
    sigma: Array


class VolatilityTracker:
    """Exponentially weighted standard deviation of one-minute changes, carried on.

    The mean is taken as zero. A change over d minutes x counts as d changes of variance x² / d
    (weight ``1 - 2**(-d / half_life)``, older ones times ``2**(-d / half_life)``), so minutes
    without trades neither raise nor lower it. Between two sessions no change is counted and no
    weight is lost: the clock of volatility stands while the market is closed. Weights are
    normalised by their sum (West 1979), as `ewm_mean(adjust=True)` does.

    Parameters
    ----------
    half_life : int
        Minutes of trading after which a change weighs half.
    """

    def __init__(self, half_life: int) -> None:
        self._half_life = half_life
        self._changes = 0
        self._weight = 0.0
        self._square = 0.0
        self._latest: tuple[dt.date, int, int] | None = None

    def advance(self, minutes: pl.DataFrame) -> Volatility:
        """Take the next minutes.

        Parameters
        ----------
        minutes : polars.DataFrame
            Rows of `silver.futures_minutes` of one contract: session, ts_event (start, ns UTC) and
            close_ticks, in order of time.

        Returns
        -------
        Volatility
            A row for each minute that ends with a known volatility.

        Raises
        ------
        ContractError
            When a minute does not lie after the one before it.
        """
        at, sigma = [], []
        for session, start, close in minutes.select(
            "session", "ts_event", "close_ticks"
        ).iter_rows():
            if self._latest is not None and start <= self._latest[1]:
                raise ContractError(
                    f"minute {start} does not lie after minute {self._latest[1]}",
                    where="silver.futures_minutes",
                    next_step="give the minutes of one contract, in order and each once",
                )
            if self._latest is not None and self._latest[0] == session:
                self._count(close - self._latest[2], (start - self._latest[1]) / _MINUTE)
            self._latest = (session, start, close)
            if self._changes >= LEAST_CHANGES and self._square > 0.0:
                at.append(start + _MINUTE)
                sigma.append(math.sqrt(self._square / self._weight))
        return Volatility(np.array(at, np.int64), np.array(sigma, np.float64))

    def _count(self, change: int, elapsed: float) -> None:
        keep = 2.0 ** (-elapsed / self._half_life)
        self._changes += 1
        self._weight = keep * self._weight + (1.0 - keep)
        self._square = keep * self._square + (1.0 - keep) * change * change / elapsed


def volatility(minutes: pl.DataFrame, half_life: int) -> Volatility:
    """Volatility after each minute of one contract; see :class:`VolatilityTracker`.

    Parameters
    ----------
    minutes : polars.DataFrame
        Rows of `silver.futures_minutes` of one contract in any order.
    half_life : int
        Minutes of trading after which a change weighs half.
    """
    return VolatilityTracker(half_life).advance(minutes.sort("ts_event"))
