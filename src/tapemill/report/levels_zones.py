"""Zones over time as stretches with edges, for bands on a chart."""

from __future__ import annotations

import numpy as np
import polars as pl

__all__ = ["ZONE_SCHEMA", "zone_stretches", "zones_of"]

ZONE_SCHEMA = {
    "zone": pl.Int32(),
    "family": pl.String(),
    "from_ns": pl.Int64(),
    "to_ns": pl.Int64(),
    "low_ticks": pl.Float64(),
    "high_ticks": pl.Float64(),
}


def zone_stretches(levels: pl.DataFrame, until_ns: int) -> pl.DataFrame:
    """Stretches over which each zone had the same edges.

    Parameters
    ----------
    levels : pl.DataFrame
        All rows of ``gold.levels`` of one symbol and session.
    until_ns : int
        End of stretches that are still open.

    Returns
    -------
    pl.DataFrame
        `ZONE_SCHEMA`, sorted by zone and time.
    """
    from tapemill.levels.zones import zone_rows

    if levels.is_empty():
        return pl.DataFrame(schema=ZONE_SCHEMA)
    rows = zone_rows(levels)
    order = np.lexsort((rows.at_ns, rows.zone))
    at, zone = rows.at_ns[order], rows.zone[order]
    low, high = rows.low[order], rows.high[order]
    end = np.full(len(at), until_ns, np.int64)
    follows = zone[1:] == zone[:-1]
    end[:-1][follows] = at[1:][follows]
    family = levels.select("zone", "family").unique().sort("zone", "family")
    frame = pl.DataFrame(
        {"zone": zone, "from_ns": at, "to_ns": end, "low_ticks": low, "high_ticks": high}
    ).filter(pl.col("low_ticks").is_not_nan(), pl.col("from_ns") < pl.col("to_ns"))
    joined = frame.join(family.unique("zone", keep="first"), on="zone", how="inner")
    return joined.select(ZONE_SCHEMA.keys()).cast(ZONE_SCHEMA).sort("zone", "from_ns")  # type: ignore[arg-type]


def zones_of(stretches: pl.DataFrame, levels: pl.DataFrame) -> pl.DataFrame:
    """The parts of stretches during which one of some levels stood in the zone.

    Parameters
    ----------
    stretches : pl.DataFrame
        `ZONE_SCHEMA`.
    levels : pl.DataFrame
        Rows of ``gold.levels``, of one symbol and session as `stretches`.
    """
    stood = levels.select("zone", "valid_from_ns", "valid_to_ns").sort("zone", "valid_from_ns")
    # Rows that touch or overlap within a zone become one.
    before = pl.col("valid_to_ns").cum_max().shift(1).over("zone")
    apart = (pl.col("valid_from_ns") > before).fill_null(value=True)
    spans = (
        stood.with_columns(span=apart.cast(pl.Int64).cum_sum().over("zone"))
        .group_by("zone", "span")
        .agg(begin=pl.col("valid_from_ns").min(), end=pl.col("valid_to_ns").max())
    )
    return (
        stretches.join(spans, on="zone", how="inner")
        .with_columns(
            from_ns=pl.max_horizontal("from_ns", "begin"), to_ns=pl.min_horizontal("to_ns", "end")
        )
        .filter(pl.col("from_ns") < pl.col("to_ns"))
        .select(stretches.columns)
        .sort("zone", "from_ns")
    )
