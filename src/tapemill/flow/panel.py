"""The market as arrays: symbols down, consecutive sessions across, NaN where there is no row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Matrix", "Panel", "matrices_of", "matrix_of"]

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


def matrices_of(
    rows: pl.DataFrame,
    values: Sequence[str],
    symbols: Sequence[str],
    sessions: Sequence[date],
    *,
    empty: float = np.nan,
) -> dict[str, Matrix]:
    """Columns of facts as matrices.

    Parameters
    ----------
    rows : pl.DataFrame
        ``symbol``, ``session`` and `values`, at most one row a symbol and session; rows that lie
        off the axes are left out.
    values : sequence of str
    symbols : sequence of str
    sessions : sequence of date
    empty : float
        Where there is no row, or a null.

    Returns
    -------
    dict of str to ndarray
        Name → float64, shape (symbols, sessions).
    """
    down = pl.DataFrame(
        {"symbol": pl.Series(symbols, dtype=pl.String), "_row": np.arange(len(symbols))}
    )
    across = pl.DataFrame(
        {"session": pl.Series(sessions, dtype=pl.Date), "_column": np.arange(len(sessions))}
    )
    kept = rows.select("symbol", "session", *values).join(down, on="symbol")
    kept = kept.join(across, on="session")
    places = kept["_row"].to_numpy(), kept["_column"].to_numpy()
    found = {}
    for name in values:
        matrix = np.full((len(symbols), len(sessions)), empty, dtype=np.float64)
        matrix[places] = kept[name].cast(pl.Float64).fill_null(empty).to_numpy()
        found[name] = matrix
    return found


def matrix_of(
    rows: pl.DataFrame,
    value: str,
    symbols: Sequence[str],
    sessions: Sequence[date],
    *,
    empty: float = np.nan,
) -> Matrix:
    """One column of facts as a matrix; see :func:`matrices_of`."""
    return matrices_of(rows, (value,), symbols, sessions, empty=empty)[value]
