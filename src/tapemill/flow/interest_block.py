"""Short interest as slow context: the newest settlement that an evening knows."""

from __future__ import annotations

import numpy as np
import polars as pl

from tapemill.flow.evening import as_of_column
from tapemill.flow.inputs import EveningInputs

__all__ = ["MAX_AGE_DAYS", "interest_block"]

MAX_AGE_DAYS = 62
"""Calendar days: settlements are half-monthly and out within two weeks; four missed is too old."""

_VALUES = (
    *("short_interest", "short_interest_settlement", "days_to_cover"),
    "short_interest_change_frac",
)


def interest_block(inputs: EveningInputs, cells: pl.DataFrame) -> pl.DataFrame:
    """Open short position of each cell.

    Parameters
    ----------
    inputs : EveningInputs
    cells : pl.DataFrame
        ``symbol``, ``session``, ``as_of``, and the symbol's place ``row`` in the panel.

    Returns
    -------
    pl.DataFrame
        One row a cell, in the order of `cells`: ``symbol``, ``session`` and the metrics of the
        block ``interest``, in shares and days. The change is against what FINRA published as the
        position of the settlement before, in the same row; null where it gave none or zero.
    """
    panel = inputs.panel
    events = _events(inputs)
    evenings = pl.Series(inputs.evenings, dtype=pl.Date())
    moments = evenings.to_frame("session").select(as_of_column()).to_series()
    # The first evening that sees each event; from there to the next event it is the newest.
    down = events["symbol"].cast(pl.Enum(panel.symbols)).to_physical().to_numpy()
    across = np.searchsorted(moments.to_physical().to_numpy(), events["known_at"].to_physical())
    newest = np.full((len(panel.symbols), len(evenings) + 1), -1, dtype=np.int32)
    np.maximum.at(newest, (down, across), np.arange(events.height, dtype=np.int32))
    np.maximum.accumulate(newest, axis=1, out=newest)
    days = np.searchsorted(
        evenings.to_physical().to_numpy(), cells["session"].to_physical().to_numpy()
    )
    taken = pl.Series(newest[cells["row"].to_numpy(), days])
    place = taken.set(taken < 0, None).cast(pl.UInt32)
    found = cells.select("symbol", "session", "as_of").with_columns(
        events[name].gather(place) for name in (*_VALUES, "superseded_at")
    )
    gone = (pl.col("superseded_at") <= pl.col("as_of")).fill_null(value=False)
    age = (pl.col("session") - pl.col("short_interest_settlement")).dt.total_days()
    shown = ~gone & (age <= MAX_AGE_DAYS)
    values = (pl.when(shown).then(pl.col(name)).alias(name) for name in _VALUES)
    return found.select("symbol", "session", *values)


def _events(inputs: EveningInputs) -> pl.DataFrame:
    """Settlements in the order in which they became the newest known, oldest first."""
    settled, before = pl.col("settlement_date"), pl.col("previous_short_interest")
    position = pl.col("short_interest").cast(pl.Float64)
    return (
        inputs.interest.filter(pl.col("symbol").is_in(list(inputs.panel.symbols)))
        .sort("known_at", "settlement_date", "version")
        # A restated older settlement is no news about the position of today.
        .filter(settled >= settled.cum_max().over("symbol"))
        .select(
            "symbol",
            "known_at",
            "superseded_at",
            short_interest=position,
            short_interest_settlement=settled,
            days_to_cover="days_to_cover",
            short_interest_change_frac=pl.when(before > 0).then(
                position / before.cast(pl.Float64) - 1
            ),
        )
    )
