"""Short interest as slow context: the newest settlement that an evening knows."""

from __future__ import annotations

import polars as pl

from tapemill.flow.inputs import EveningInputs

__all__ = ["MAX_AGE_DAYS", "interest_block"]

MAX_AGE_DAYS = 62
"""Calendar days: settlements are half-monthly and out within two weeks; four missed is too old."""

_VALUES = ("short_interest", "short_interest_settlement", "days_to_cover")


def interest_block(inputs: EveningInputs, cells: pl.DataFrame) -> pl.DataFrame:
    """Open short position of each cell.

    Parameters
    ----------
    inputs : EveningInputs
    cells : pl.DataFrame
        ``symbol``, ``session``, ``row`` and ``as_of``, ascending in ``as_of``.

    Returns
    -------
    pl.DataFrame
        One row a cell, in the order of `cells`: ``symbol``, ``session`` and the metrics of the
        block ``interest``, in shares and days. The change is against what FINRA published as the
        position of the settlement before, in the same row; null where it gave none or zero.
    """
    names = cells.select("symbol", "row").unique()
    settled, before = pl.col("settlement_date"), pl.col("previous_short_interest")
    position = pl.col("short_interest").cast(pl.Float64)
    events = (
        inputs.interest.join(names, on="symbol")
        .sort("known_at", "settlement_date", "version")
        # A restated older settlement is no news about the position of today.
        .filter(settled >= settled.cum_max().over("row"))
        .select(
            "row",
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
    found = cells.select("symbol", "session", "row", "as_of").join_asof(
        events,
        left_on="as_of",
        right_on="known_at",
        by="row",
        strategy="backward",
        check_sortedness=False,
    )
    gone = (pl.col("superseded_at") <= pl.col("as_of")).fill_null(value=False)
    age = (pl.col("session") - pl.col("short_interest_settlement")).dt.total_days()
    shown = ~gone & (age <= MAX_AGE_DAYS)
    return found.select(
        "symbol",
        "session",
        *(
            pl.when(shown).then(pl.col(name)).alias(name)
            for name in (*_VALUES, "short_interest_change_frac")
        ),
    )
