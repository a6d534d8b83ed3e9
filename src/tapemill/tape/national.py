"""The national best bid and offer, made from the quotes of each exchange."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tapemill.errors import ContractError
from tapemill.tape.prints import Bools, Floats, Quotes

__all__ = ["EXCHANGE_SLOTS", "NationalBest", "national_best"]

EXCHANGE_SLOTS = 64
"""Exchanges are numbered 0-63: Massive's ids as they are, TAQ's letters as A = 1 … Z = 26."""


@dataclasses.dataclass(frozen=True, eq=False)
class NationalBest:
    """What every exchange quotes at a moment. Never changed in place.

    Attributes
    ----------
    bid, ask, bid_size, ask_size : ndarray of float64, length 64
        Each exchange's last quote; 0 = that side is empty.
    best : ndarray of float64, length 4
        Best bid, best ask and their sizes.
    """

    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    best: Floats

    @classmethod
    def fresh(cls) -> Self:
        """No exchange quotes yet, as at the start of a day."""
        bid, ask, bid_size, ask_size = np.zeros((4, EXCHANGE_SLOTS))
        return cls(bid, ask, bid_size, ask_size, np.zeros(4))


def national_best(
    exchange: npt.ArrayLike,
    quotes: Quotes,
    *,
    firm: Bools | None = None,
    state: NationalBest | None = None,
) -> tuple[Quotes, NationalBest]:
    """Merge the quotes of all exchanges into the national best.

    The best bid is the highest bid of any exchange, the best ask the lowest ask; the size is the
    largest single exchange's at that price. A later quote of an exchange replaces its earlier one,
    an empty side withdraws it. The result may be locked or crossed for moments, as the tape's is.

    Parameters
    ----------
    exchange : array_like of int, shape (n,)
        Number of the exchange of each quote, 0-63.
    quotes : Quotes
        Quotes of single exchanges, in the order of the tape.
    firm : ndarray of bool, optional
        False: the quote is not firm or closes the exchange's book; it withdraws both sides.
    state : NationalBest, optional
        Of the chunk before; None at the start of a day.

    Returns
    -------
    quotes : Quotes
        One row for each change of best bid, ask or size.
    state : NationalBest
        To go on with.

    Raises
    ------
    ContractError
        An exchange is not 0-63, or lengths differ.
    """
    numbers = np.ascontiguousarray(exchange, dtype=np.int64)
    n = len(quotes)
    if numbers.shape != (n,) or (firm is not None and firm.shape != (n,)):
        raise ContractError(
            f"{n} quotes with {numbers.shape} exchanges",
            next_step="give one exchange, and one firm flag, per quote",
        )
    if n and not (numbers.min() >= 0 and numbers.max() < EXCHANGE_SLOTS):
        raise ContractError(
            f"exchange numbers {numbers.min()} to {numbers.max()} do not fit 0-63",
            next_step="number the exchanges from 0 to 63",
        )
    before = NationalBest.fresh() if state is None else state

    from tapemill.tape._national import merge_best  # compiled: keep it out of start paths

    slots = [getattr(before, f.name).copy() for f in dataclasses.fields(before)]
    rows = np.empty(n, np.int64)
    best: Any = np.empty((4, n))
    flags = np.ones(n, np.bool_) if firm is None else np.ascontiguousarray(firm, np.bool_)
    count = merge_best(
        numbers, quotes.bid, quotes.ask, quotes.bid_size, quotes.ask_size, flags,
        *slots, rows, best,
    )  # fmt: skip
    columns = [best[k, :count].copy() for k in range(4)]
    return Quotes(quotes.ts[rows[:count]], *columns), NationalBest(*slots)
