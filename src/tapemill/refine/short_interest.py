"""Open short positions: one fact per symbol and settlement date, with its restatements."""

from __future__ import annotations

import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.refine.symbology import massive_symbol
from tapemill.refine.versions import resolve_versions

__all__ = ["short_interest"]

_FACT = ("symbol", "settlement_date")
_VALUES = (
    "short_interest",
    "previous_short_interest",
    "average_daily_volume",
    "days_to_cover",
)


def short_interest(bronze: pl.DataFrame) -> pl.DataFrame:
    """Refine short interest of whole settlement dates.

    Parameters
    ----------
    bronze : pl.DataFrame
        Rows of ``bronze.finra_short_interest``, complete for their settlement dates.

    Returns
    -------
    pl.DataFrame
        Rows of ``silver.short_interest``, symbols in the house's spelling. FINRA does not date its
        restatements: a second value counts from its arrival.
    """
    declared = contract("silver.short_interest")
    if bronze.is_empty():
        return declared.empty()
    rows = bronze.with_columns(
        symbol=massive_symbol(pl.col("symbol"), "any"),
        rule_known_at=known_at_expr("short_interest_publication"),
        # A row that FINRA marks as revised was not what it first published.
    ).with_columns(
        rule_known_at=pl.when(pl.col("revised").fill_null(value=False))
        .then(pl.max_horizontal("rule_known_at", "ts_recv"))
        .otherwise("rule_known_at")
    )
    versions = resolve_versions(rows, key=_FACT, group=_FACT, values=_VALUES)
    versions = versions.with_columns(year=pl.col("settlement_date").dt.year())
    return declared.conform(versions.select(declared.schema.names()).sort(*declared.order))
