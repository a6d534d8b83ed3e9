"""FINRA's daily file of the evening: short share, its surprise, and the pressure read from it.

B is the short volume, D FINRA's own total, S what is left. No other volume ever stands in for D: a
share of the whole tape lies on another scale. Where evidence is missing the label says so and is
never neutral.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.flow.inputs import EveningInputs
from tapemill.flow.panel import Matrix, Panel
from tapemill.flow.surprise import median_volume, share_surprise, volume_surprise
from tapemill.refine.symbology import finra_symbol
from tapemill.settings.declaration import FlowSettings

__all__ = ["pressure_label", "row_places", "short_block"]

_FACTS = ("finra_symbol", "short_source", "short_volume", "short_exempt_volume", "total_volume")


def short_block(inputs: EveningInputs, cells: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """Short volume, surprise and pressure of each cell.

    Parameters
    ----------
    inputs : EveningInputs
    cells : pl.DataFrame
        ``symbol``, ``session``, and their places ``row``, ``column`` in the panel.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        One row a cell, in the order of `cells`: ``symbol``, ``session``, the metrics of the block
        ``short``, ``has_short``, ``status``, ``finra_symbol``, ``pressure_score`` and
        ``pressure_label``. Volumes in shares.
    """
    panel = inputs.panel
    usual = median_volume(panel, flow)
    share = share_surprise(panel, flow, usual=usual)
    at = cells["row"].to_numpy(), cells["column"].to_numpy()
    measured: dict[str, Any] = {
        "short_share_logit": _taken(share.y, at),
        "baseline": _taken(share.baseline, at),
        "baseline_days": pl.Series(share.days[at], dtype=pl.Int32()),
        "short_z": _taken(share.z, at),
        "usual": _taken(usual, at),
    }
    del share
    measured["volume_z"] = _taken(volume_surprise(panel, flow).z, at)
    place = row_places(inputs.short, cells, panel)
    facts = (inputs.short[name].gather(place) for name in _FACTS)
    found = cells.select("symbol", "session").with_columns(*facts, **measured)
    return _named(found, flow).drop("baseline", "usual")


def _taken(matrix: Matrix, at: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> pl.Series:
    """Values of the cells, NaN as null."""
    return pl.Series(matrix[at], nan_to_null=True)


def row_places(rows: pl.DataFrame, cells: pl.DataFrame, panel: Panel) -> pl.Series:
    """Which of `rows` belongs to each cell.

    Parameters
    ----------
    rows : pl.DataFrame
        ``symbol`` and ``session``, at most one row a symbol and session, all on the panel's axes.
    cells : pl.DataFrame
        ``row`` and ``column`` in the panel.
    panel : Panel

    Returns
    -------
    pl.Series
        UInt32 place in `rows`, one a cell; null where `rows` has none.
    """
    down = rows["symbol"].cast(pl.Enum(panel.symbols)).to_physical().to_numpy()
    days = pl.Series(panel.sessions, dtype=pl.Date()).to_physical().to_numpy()
    across = np.searchsorted(days, rows["session"].to_physical().to_numpy())
    places = np.full((len(panel.symbols), len(days)), -1, dtype=np.int32)
    places[down, across] = np.arange(rows.height, dtype=np.int32)
    taken = pl.Series(places[cells["row"].to_numpy(), cells["column"].to_numpy()])
    return taken.set(taken < 0, None).cast(pl.UInt32)


def _named(found: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """The columns that follow from facts and surprises."""
    short, total = pl.col("short_volume"), pl.col("total_volume")
    traded = total > 0
    rest = pl.max_horizontal(total - short, 0.0)
    found = found.with_columns(
        finra_symbol=pl.coalesce("finra_symbol", finra_symbol(pl.col("symbol"))),
        has_short=total.is_not_null(),
        rest_volume=pl.when(total.is_not_null()).then(rest),
        short_share=pl.when(traded).then(short / total),
        short_to_rest_ratio=pl.when(traded & (rest > 0)).then(short / rest),
        short_baseline_share=1 / (1 + (-pl.col("baseline")).exp()),
        volume_ratio=total / pl.col("usual"),
    )
    score = (pl.col("short_z") / 2).tanh()
    return found.with_columns(
        status=pl.when(pl.col("short_share").is_null())
        .then(pl.lit("no_short"))
        .when(pl.col("short_z").is_null())
        .then(pl.lit("warming"))
        .otherwise(pl.lit("ready")),
        pressure_score=score,
        pressure_label=pressure_label(flow),
    )


def pressure_label(flow: FlowSettings) -> pl.Expr:
    """What a ``short_z`` is called: buying or selling from `pressure_label_z` on, else neutral."""
    z = pl.col("short_z")
    return (
        pl.when(z.is_null())
        .then(pl.lit("insufficient"))
        .when(z >= flow.pressure_label_z)
        .then(pl.lit("buying"))
        .when(z <= -flow.pressure_label_z)
        .then(pl.lit("selling"))
        .otherwise(pl.lit("neutral"))
    )
