"""Trades and quotes as arrays, checked once where they enter."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tapemill.errors import ContractError

__all__ = ["Bools", "Floats", "Int8s", "Int64s", "Quotes", "Trades"]

Int64s = npt.NDArray[np.int64]
Int8s = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def _refuse(kind: str, what: str) -> ContractError:
    return ContractError(
        f"{kind}: {what}", next_step="sort by time, and set apart what cannot be read, beforehand"
    )


def _column(values: Any, dtype: Any, kind: str, name: str, length: int) -> npt.NDArray[Any]:
    column = np.ascontiguousarray(values, dtype=dtype)
    if column.shape != (length,):
        raise _refuse(kind, f"{name} has shape {column.shape}, the times have ({length},)")
    return column


def _ascending(ts: Int64s, kind: str) -> None:
    falls = np.flatnonzero(ts[1:] < ts[:-1])
    if falls.size:
        row = int(falls[0]) + 1
        raise _refuse(kind, f"times must not fall, row {row} is {ts[row - 1] - ts[row]} ns back")


@dataclasses.dataclass(frozen=True, eq=False)
class Trades:
    """Prints of one symbol in the order of their time. Use :meth:`of` to check what comes in.

    Attributes
    ----------
    ts : ndarray of int64
        Nanoseconds UTC, not falling. The moment the tape showed the print (SIP time).
    price, size : ndarray of float64
        Dollars above zero; shares of at least zero (fractions exist).
    trf : ndarray of bool
        Printed through a FINRA facility, off every exchange.
    eligible : ndarray of bool
        False: its conditions say nothing of the market now (see ``tape.conditions``).
    auction : ndarray of bool
        Part of an opening, closing or reopening auction, where nobody is the aggressor.
    """

    ts: Int64s
    price: Floats
    size: Floats
    trf: Bools
    eligible: Bools
    auction: Bools

    @classmethod
    def of(
        cls,
        ts: npt.ArrayLike,
        price: npt.ArrayLike,
        size: npt.ArrayLike,
        *,
        trf: npt.ArrayLike | None = None,
        eligible: npt.ArrayLike | None = None,
        auction: npt.ArrayLike | None = None,
    ) -> Self:
        """Make prints from anything NumPy reads; flags left out are False, eligible True.

        Raises
        ------
        ContractError
            Lengths differ, times fall, a price is not above zero or a size is below zero.
        """
        times = np.ascontiguousarray(ts, dtype=np.int64)
        if times.ndim != 1:
            raise _refuse("trades", f"times must be one row, not {times.ndim} dimensions")
        n = times.size
        _ascending(times, "trades")
        prices = _column(price, np.float64, "trades", "price", n)
        sizes = _column(size, np.float64, "trades", "size", n)
        if not (np.isfinite(prices) & (prices > 0)).all():
            raise _refuse("trades", "a price is not a number above zero")
        if not (np.isfinite(sizes) & (sizes >= 0)).all():
            raise _refuse("trades", "a size is not a number of at least zero")
        flags = [
            np.full(n, default, dtype=np.bool_)
            if given is None
            else _column(given, np.bool_, "trades", name, n)
            for name, given, default in (
                ("trf", trf, False),
                ("eligible", eligible, True),
                ("auction", auction, False),
            )
        ]
        return cls(times, prices, sizes, *flags)

    def __len__(self) -> int:
        return self.ts.size

    def between(self, start: int, stop: int) -> Self:
        """Prints of the rows ``start:stop`` (views)."""
        rows = slice(start, stop)
        return type(self)(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True, eq=False)
class Quotes:
    """Best bid and ask of one symbol in the order of their time.

    A side of 0 means that nobody quotes it. A quote with one side, or with none, replaces the one
    before all the same: it is then known that there is no two-sided market. Locked (bid = ask) and
    crossed quotes (bid > ask) are kept, and trades against them fall to the tick rule.

    Attributes
    ----------
    ts : ndarray of int64
        Nanoseconds UTC, not falling.
    bid, ask : ndarray of float64
        Dollars; 0 = that side is empty.
    bid_size, ask_size : ndarray of float64
        Shares or round lots, as the source counts. No classifier reads them.
    """

    ts: Int64s
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats

    @classmethod
    def of(
        cls,
        ts: npt.ArrayLike,
        bid: npt.ArrayLike,
        ask: npt.ArrayLike,
        *,
        bid_size: npt.ArrayLike | None = None,
        ask_size: npt.ArrayLike | None = None,
    ) -> Self:
        """Make quotes from anything NumPy reads; sizes left out are 0.

        Raises
        ------
        ContractError
            Lengths differ, times fall, or a price or size is not a number of at least zero.
        """
        times = np.ascontiguousarray(ts, dtype=np.int64)
        if times.ndim != 1:
            raise _refuse("quotes", f"times must be one row, not {times.ndim} dimensions")
        _ascending(times, "quotes")
        columns = []
        for name, given in (
            ("bid", bid),
            ("ask", ask),
            ("bid_size", bid_size),
            ("ask_size", ask_size),
        ):
            values = np.zeros(times.size) if given is None else given
            column = _column(values, np.float64, "quotes", name, times.size)
            if not (np.isfinite(column) & (column >= 0)).all():
                raise _refuse("quotes", f"a {name} is not a number of at least zero")
            columns.append(column)
        return cls(times, *columns)

    @classmethod
    def none(cls) -> Self:
        """No quotes at all: every print falls to the tick rule."""
        return cls.of([], [], [])

    def __len__(self) -> int:
        return self.ts.size

    def between(self, start: int, stop: int) -> Self:
        """Quotes of the rows ``start:stop`` (views)."""
        rows = slice(start, stop)
        return type(self)(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))
