"""Returns between an entry's open and a later close, less the market's over the same sessions.

An entry at session t with horizon h buys at the open of t and sells at the close of t + h − 1; a
horizon of one session is open to close of one day. A name that has no close on its last session
leaves at its last close before it: names that vanish are not left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.clock import calendar, eastern_ns
from tapemill.errors import UsageError

__all__ = ["PriceBoard", "Windows", "board_of", "market_regime", "place_events", "windows"]

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class PriceBoard:
    """Opens and closes over consecutive sessions.

    Attributes
    ----------
    symbols : tuple of str
        Sorted.
    sessions : tuple of datetime.date
        Consecutive XNYS sessions.
    opens_at : ndarray
        int64 nanoseconds UTC of 09:30 New York of each session.
    open, close : ndarray
        float64 dollars, splits removed, shape (symbols, sessions); NaN = no bar.
    """

    symbols: tuple[str, ...]
    sessions: tuple[date, ...]
    opens_at: npt.NDArray[np.int64]
    open: Matrix
    close: Matrix


@dataclasses.dataclass(frozen=True)
class Windows:
    """Abnormal returns of a horizon for every possible entry.

    Attributes
    ----------
    horizon : int
    abnormal : ndarray
        float64, shape (symbols, sessions): return from entry at the column's open, less the mean
        over all names with one. NaN: no price at entry, or the data end before the exit.
    early : ndarray
        bool: left at an earlier close than the exit's.
    complete : int
        Entries 0 … complete − 1 have their exit inside the data.
    """

    horizon: int
    abnormal: Matrix
    early: Flags
    complete: int


def board_of(prices: pl.DataFrame) -> PriceBoard:
    """Prices as matrices.

    Parameters
    ----------
    prices : pl.DataFrame
        ``symbol``, ``session``, ``open``, ``close`` with splits removed; values that are not above
        zero, or not finite, count as missing.

    Raises
    ------
    UsageError
        A symbol has two rows of one session.
    """
    if prices.is_empty():
        nothing = np.zeros((0, 0))
        return PriceBoard((), (), np.zeros(0, dtype=np.int64), nothing, nothing.copy())
    keys = prices.select("symbol", "session")
    if keys.is_duplicated().any():
        symbol, session = keys.filter(keys.is_duplicated()).row(0)
        raise UsageError(
            "a name has two prices on one session",
            where=f"{symbol}, {session}",
            next_step="give one row a symbol and session",
        )
    first, last = prices.select(a=pl.col("session").min(), b=pl.col("session").max()).row(0)
    sessions = calendar("XNYS").session_dates(first, last)
    symbols = prices["symbol"].unique().sort()
    axis = pl.Series(sessions, dtype=pl.Date)
    kept = prices.filter(pl.col("session").is_in(sessions))
    places = (
        symbols.search_sorted(kept["symbol"]).to_numpy(),
        axis.search_sorted(kept["session"]).to_numpy(),
    )

    def matrix(name: str) -> Matrix:
        filled = np.full((len(symbols), len(sessions)), np.nan)
        filled[places] = kept[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        filled[~(np.isfinite(filled) & (filled > 0))] = np.nan
        return filled

    opens_at = np.array([eastern_ns(day, 9, 30) for day in sessions], dtype=np.int64)
    return PriceBoard(tuple(symbols), tuple(sessions), opens_at, matrix("open"), matrix("close"))


def windows(board: PriceBoard, horizon: int, *, min_names: int) -> Windows:
    """Abnormal returns of every entry for one horizon.

    Parameters
    ----------
    board : PriceBoard
    horizon : int
        Sessions, at least 1.
    min_names : int
        A session on which fewer names have a return has no market and no abnormal return.
    """
    names, sessions = board.open.shape
    complete = max(0, sessions - horizon + 1)
    abnormal = np.full((names, sessions), np.nan)
    early = np.zeros((names, sessions), dtype=bool)
    if complete == 0 or names == 0:
        return Windows(horizon, abnormal, early, complete)
    last = _last_known(board.close)[:, horizon - 1 :]
    left = np.take_along_axis(board.close, np.maximum(last, 0), axis=1)
    entries = np.arange(complete)
    gross = np.where(last >= entries, left / board.open[:, :complete] - 1.0, np.nan)
    known = np.isfinite(gross)
    count = known.sum(axis=0)
    market = np.full(complete, np.nan)
    np.divide(np.where(known, gross, 0.0).sum(axis=0), count, out=market, where=count >= min_names)
    abnormal[:, :complete] = gross - market
    early[:, :complete] = known & (last < entries + horizon - 1)
    return Windows(horizon, abnormal, early, complete)


def _last_known(values: Matrix) -> npt.NDArray[np.int64]:
    """Column of the newest known value up to each column; −1 before the first."""
    columns = np.where(np.isfinite(values), np.arange(values.shape[1]), -1)
    return np.maximum.accumulate(columns, axis=1).astype(np.int64)


def market_regime(board: PriceBoard, window: int = 50) -> list[str]:
    """Whether the market stood above or below its own mean before each session's open.

    The equal-weight index of close-to-close returns through the session before, against its mean
    over the `window` sessions that end there; ``"unknown"`` where any of them is missing.
    """
    names, sessions = board.close.shape
    said = ["unknown"] * sessions
    if names == 0:
        return said
    moves = board.close[:, 1:] / board.close[:, :-1] - 1.0
    known = np.isfinite(moves)
    count = known.sum(axis=0)
    daily = np.full(max(sessions - 1, 0), np.nan)
    np.divide(np.where(known, moves, 0.0).sum(axis=0), count, out=daily, where=count > 0)
    index = np.concatenate([[0.0], np.cumsum(np.log1p(np.nan_to_num(daily)))])
    missing = np.concatenate([[0], np.cumsum(~np.isfinite(daily))])
    for entry in range(window, sessions):
        first, last = entry - window, entry - 1
        if missing[last] == missing[first]:
            level = np.exp(index[first : last + 1] - index[last])
            said[entry] = "above its mean" if level.mean() < 1.0 else "below its mean"
    return said


def place_events(
    board: PriceBoard, symbols: Sequence[str], known_ns: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row of each event's name (−1: no prices) and column of its entry.

    The entry is the first session whose open lies strictly after the event was known. The first
    session of the data is never one, because the session before it might have been; −1 stands for
    that, the number of sessions for an entry after the data.
    """
    rows = {symbol: row for row, symbol in enumerate(board.symbols)}
    row = np.array([rows.get(symbol, -1) for symbol in symbols], dtype=np.int64)
    column = np.searchsorted(board.opens_at, known_ns, side="right").astype(np.int64)
    return row, np.where(column == 0, -1, column)
