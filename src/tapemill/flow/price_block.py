"""Price as context: the newest close an evening knows is that of the session before.

The bar of an evening's own session is final after 18:00, so nothing here ever reads its column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.flow.inputs import EveningInputs
from tapemill.flow.panel import Matrix, Panel
from tapemill.flow.robust import CONSISTENCY, mad_factor, prior_median, prior_median_mad
from tapemill.flow.surprise import MEDIAN_MIN_DAYS
from tapemill.settings.declaration import FlowSettings

__all__ = ["newest_close", "price_block", "prior_z"]

Places = npt.NDArray[np.int32]


def newest_close(panel: Panel, window: int) -> Places:
    """Column of the newest close that the evening of each session knows.

    Parameters
    ----------
    panel : Panel
    window : int
        Sessions that it may lie back; an older close is no price of today's.

    Returns
    -------
    ndarray
        int32, shape (symbols, sessions); −1 where there is none among the `window` sessions before.
    """
    size = panel.close.shape[1]
    columns = np.arange(size, dtype=np.int32)
    places = np.where(np.isfinite(panel.close), columns, np.int32(-1))
    newest = np.full_like(places, -1)
    np.maximum.accumulate(places[:, :-1], axis=1, out=newest[:, 1:])
    newest[newest < columns - window] = -1
    return newest


def prior_z(values: Matrix, window: int, minimum: int) -> Matrix:
    """How far each value is from the symbol's own sessions before, robustly.

    (x − median) / scale, scale = 1.4826 · MAD made unbiased for its n values, times √(1 + π / 2n)
    because the median of n values is itself uncertain: as for the short share, without the floor
    that other symbols give there.

    Parameters
    ----------
    values : ndarray
        float64, shape (symbols, sessions); NaN = not known.
    window : int
        Sessions before, the current one excluded.
    minimum : int
        Fewer known values give NaN.

    Returns
    -------
    ndarray
        float64, shape of `values`; NaN too where the values before did not vary.
    """
    median, mad, days = prior_median_mad(values, window, minimum)
    sizes = np.arange(int(days.max(initial=0)) + 1, dtype=np.int32)
    factor = CONSISTENCY * mad_factor(sizes) * np.sqrt(1 + np.pi / (2 * np.maximum(sizes, 1)))
    scale = mad * factor[days]
    z = np.full_like(values, np.nan)
    np.divide(values - median, scale, out=z, where=scale > 0)
    return z


def price_block(inputs: EveningInputs, cells: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """Close, return, range and dollar volume that the evening of each cell knows.

    Parameters
    ----------
    inputs : EveningInputs
    cells : pl.DataFrame
        ``symbol``, ``session``, and their places ``row``, ``column`` in the panel.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        One row a cell, in the order of `cells`: ``symbol``, ``session``, ``has_price`` and the
        metrics of the block ``price``. Close in dollars as traded on ``price_session``; returns
        are free of splits; everything null where no close of the last `median_sessions` is known.
    """
    panel = inputs.panel
    row, column = cells["row"].to_numpy(), cells["column"].to_numpy()
    place = newest_close(panel, flow.median_sessions)[row, column]
    known = place >= 0
    at = row, np.maximum(place, 0)
    returns = _returns(panel)
    dollars = prior_median(panel.close * panel.volume, flow.median_sessions, MEDIAN_MIN_DAYS)
    close, high, low = (matrix[at] for matrix in (panel.close, panel.high, panel.low))
    z = prior_z(returns, flow.baseline_sessions, flow.baseline_min_days)
    spread = np.full_like(close, np.nan)
    np.divide(high - low, close, out=spread, where=close > 0)
    taken: dict[str, Any] = {
        "close": close,
        "return_1d_frac": returns[at],
        "return_z": z[at],
        "range_frac": spread,
        "consolidated_volume": panel.volume[at],
        "dollar_volume_median": dollars[row, column],
    }
    columns = {
        name: pl.Series(np.where(known, values, np.nan), nan_to_null=True)
        for name, values in taken.items()
    }
    days = pl.Series(panel.sessions, dtype=pl.Date()).gather(pl.Series(at[1]).cast(pl.UInt32))
    return cells.select("symbol", "session").with_columns(
        has_price=pl.Series(known),
        price_session=pl.when(pl.Series(known)).then(days),
        **columns,
    )


def _returns(panel: Panel) -> Matrix:
    """close · share factor / close of the session before − 1; NaN without either close."""
    returns = np.full_like(panel.close, np.nan)
    before = panel.close[:, :-1]
    worth = panel.close[:, 1:] * panel.share_factor[:, 1:]
    np.divide(worth, before, out=returns[:, 1:], where=before > 0)
    return returns - 1
