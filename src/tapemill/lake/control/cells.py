"""What one cell of the ledger is, and how sessions map to slots of a year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tapemill.errors import DateError

__all__ = [
    "COMPLETE",
    "MARKET",
    "Cell",
    "CellMatrix",
    "CellRecord",
    "CellState",
    "SessionSlots",
    "days_of",
    "is_part",
    "overlay",
]

MARKET = "*"
"""The symbol of a cell that covers the whole market of its session."""


class CellState(IntEnum):
    """What is known of one (dataset, symbol, session)."""

    PENDING = 0
    DATA = 1
    EMPTY = 2
    NOT_ENTITLED = 3
    OUT_OF_WINDOW = 4
    RATE_LIMITED = 5
    TRANSIENT = 6
    BAD_ANSWER = 7
    PARTIAL = 8


COMPLETE = frozenset({CellState.DATA, CellState.EMPTY})
"""The only states that close a cell: rows arrived, or their absence was confirmed."""

_EPOCH = date(1970, 1, 1).toordinal()
_IS_COMPLETE = np.array([state in COMPLETE for state in CellState])


@dataclass(frozen=True)
class Cell:
    """One cell with the reason of its last event."""

    state: CellState
    reason: str
    rows: int
    versions: int
    updated_ns: int | None


@dataclass(frozen=True)
class CellMatrix:
    """Cells of symbols (axis 0) by sessions (axis 1): uint8 states, uint32 rows, uint16 versions.

    A cell that the symbol itself has not completed shows the market's cell where that is complete;
    its rows are then those of the whole market.
    """

    states: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.uint32]
    versions: npt.NDArray[np.uint16]


@dataclass(frozen=True)
class CellRecord:
    """One finding about cells of one symbol.

    Parameters
    ----------
    dataset, symbol : str
        `symbol` "*" stands for the whole market.
    sessions : sequence of date
        Exchange dates, each once.
    state : CellState
        What was found.
    reason : str
        Why, in words; empty for plain success.
    rows : int or sequence of int
        Rows that the cell now has; one number for every session, or one each.
    answer_id : int, optional
        The stored answer that says so.
    raw_sha256 : str, optional
        The raw object, where there is no answer (imported files).
    """

    dataset: str
    symbol: str
    sessions: Sequence[date]
    state: CellState
    reason: str = ""
    rows: int | Sequence[int] = 0
    answer_id: int | None = None
    raw_sha256: str | None = None


class SessionSlots:
    """Sessions split into the years and slots where their cells lie.

    Parameters
    ----------
    sessions : sequence of date
        Each date once, in any order; the order is kept in every result.

    Raises
    ------
    DateError
        A session is given twice.
    """

    def __init__(self, sessions: Sequence[date]) -> None:
        self.days = days_of(sessions)
        if len(np.unique(self.days)) != len(self.days):
            raise DateError(
                "a session is given twice", next_step="give every session of the range once"
            )
        start_of_year = self.days.astype("datetime64[Y]")
        years = start_of_year.astype(np.int64) + 1970
        slots = (self.days - start_of_year.astype("datetime64[D]")).astype(np.int64)
        self.by_year: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}
        for year in np.unique(years).tolist():
            (columns,) = np.nonzero(years == year)
            self.by_year[year] = (columns, slots[columns])
        self.count = len(self.days)


def days_of(sessions: Sequence[date]) -> npt.NDArray[np.datetime64]:
    """Dates as a datetime64[D] array (NumPy's own conversion is ten times slower)."""
    ordinals = np.array([session.toordinal() for session in sessions], dtype=np.int64)
    return (ordinals - _EPOCH).view("datetime64[D]")


def is_part(symbol: str) -> bool:
    """Whether a name stands for another listing of the dataset, such as ``*firms``.

    The market's cell says nothing of it.
    """
    return symbol.startswith(MARKET) and symbol != MARKET


def overlay(
    own: npt.NDArray[np.uint8],
    market: npt.NDArray[np.uint8],
    symbols: Sequence[str] = (),
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Lay the market's states under a symbol's own.

    Parameters
    ----------
    own : uint8 array [symbol, session]
    market : uint8 array [session]
    symbols : sequence of str, optional
        Names of the rows; parts (see :func:`is_part`) keep their own states.

    Returns
    -------
    states : uint8 array [symbol, session]
    from_market : bool array [symbol, session]
        Where the market's cell is the one that counts.
    """
    settled_by_market = _IS_COMPLETE[market][np.newaxis, :] & ~_IS_COMPLETE[own]
    silent = (own == CellState.PENDING) & (market != CellState.PENDING)[np.newaxis, :]
    from_market = settled_by_market | silent
    if apart := [row for row, symbol in enumerate(symbols) if is_part(symbol)]:
        from_market[apart] = False
    return np.where(from_market, market[np.newaxis, :], own), from_market
