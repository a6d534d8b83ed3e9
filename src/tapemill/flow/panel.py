"""The market as arrays: symbols down, consecutive sessions across, NaN where there is no row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Matrix", "Panel", "matrix_of", "placed"]

Matrix = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Panel:
    """Facts of a market over consecutive sessions, as visible at one moment.

    All matrices are float64 of shape (symbols, sessions), C-contiguous; NaN = no fact.

    Attributes
    ----------
    symbols : tuple of str
        Massive's style, sorted.
    sessions : tuple of datetime.date
        Consecutive XNYS sessions, ascending.
    short_volume, total_volume : ndarray
        B and D in shares. Column t is known on the evening of session t.
    share_factor : ndarray
        New shares for an old one from the open of session t on; 1 where nothing was split.
        Volumes of earlier sessions are multiplied by it to compare with t. Known on evening t.
    close, high, low : ndarray
        Unadjusted dollars. **Column t is known only from the evening of session t + 1 on**: daily
        bars are final after the evening's 18:00.
    volume : ndarray
        Consolidated shares of the daily bar, known as `close` is.
    """

    symbols: tuple[str, ...]
    sessions: tuple[date, ...]
    short_volume: Matrix
    total_volume: Matrix
    share_factor: Matrix
    close: Matrix
    high: Matrix
    low: Matrix
    volume: Matrix

    @property
    def priced(self) -> bool:
        """Whether there is any price at all."""
        return bool(np.isfinite(self.close).any())

    def column(self, session: date) -> int:
        """Place of a session on the axis; ValueError if it is not there."""
        return self.sessions.index(session)


def placed(
    rows: pl.DataFrame, symbols: Sequence[str], sessions: Sequence[date]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], pl.DataFrame]:
    """Row and column of each fact, and the facts that lie on the axes, in the same order."""
    down = pl.DataFrame({"symbol": symbols, "_row": np.arange(len(symbols), dtype=np.int64)})
    across = pl.DataFrame(
        {"session": pl.Series(sessions, dtype=pl.Date), "_column": np.arange(len(sessions))}
    )
    kept = rows.join(down, on="symbol").join(across, on="session")
    return (
        kept["_row"].to_numpy(),
        kept["_column"].cast(pl.Int64).to_numpy(),
        kept.drop("_row", "_column"),
    )


def matrix_of(
    rows: pl.DataFrame,
    value: str,
    symbols: Sequence[str],
    sessions: Sequence[date],
    *,
    empty: float = np.nan,
) -> Matrix:
    """One column of facts as a matrix.

    Parameters
    ----------
    rows : pl.DataFrame
        ``symbol``, ``session`` and `value`, at most one row a symbol and session.
    value : str
    symbols : sequence of str
    sessions : sequence of date
    empty : float
        Where there is no row, or a null.

    Returns
    -------
    ndarray of float64, shape (symbols, sessions)
    """
    down, across, kept = placed(rows, symbols, sessions)
    found = np.full((len(symbols), len(sessions)), empty, dtype=np.float64)
    found[down, across] = kept[value].cast(pl.Float64).fill_null(empty).to_numpy()
    return found
