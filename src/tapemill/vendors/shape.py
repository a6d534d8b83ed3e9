"""Last steps that parsers share: contradictions, partition column, contract, column order."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import Dataset

__all__ = [
    "PROVENANCE_LATER",
    "breaks_contract",
    "in_column_order",
    "partitioned",
    "without_conflicts",
]

PROVENANCE_LATER = frozenset({"source", "raw_sha256", "request_id", "ts_recv", "known_at"})
"""Columns that whoever records the answer adds; `ordinal` is ours."""


def partitioned(frame: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Add the partition column (`month` or `year`) from `session` or the dataset's event date."""
    day = dataset.event_column if dataset.event_column in frame.columns else "session"
    if frame.schema[day] != pl.Date():
        day = "session"
    if dataset.partition == "year":
        return frame.with_columns(year=pl.col(day).dt.year())
    # Text for each of a few sessions, not for each of 50,000 bars.
    months = frame.select(day).unique().with_columns(month=pl.col(day).dt.to_string("%Y-%m"))
    return frame.join(months, on=day, how="left", nulls_equal=True, maintain_order="left")


def without_conflicts(bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Set aside bars of one answer or file that contradict each other.

    Which of them is right cannot be told, and neither restates the other. Exact repeats stay and
    are counted later.

    Returns
    -------
    good, bad : pl.DataFrame
        `bad` carries `reasons`.
    """
    nothing = bars.clear().with_columns(reasons=pl.lit("", dtype=pl.String))
    steps = bars.get_column("ts_event").diff().drop_nulls()
    if bars.height < 2 or (bars.get_column("symbol").n_unique() == 1 and (steps > 0).all()):
        return bars, nothing
    repeated = bars.select(pl.struct("symbol", "ts_event").is_duplicated()).to_series()
    if not repeated.any():
        return bars, nothing
    values = ["open", "high", "low", "close", "volume", "vwap", "trades"]
    variants = pl.struct(values).n_unique().over("symbol", "ts_event")
    bad = bars.filter(repeated).filter(variants > 1).with_columns(reasons=pl.lit("conflicting_bar"))
    return bars.join(bad, on="ordinal", how="anti", maintain_order="left"), bad


def breaks_contract(dataset: Dataset, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`Dataset.split`, at the price of one reduction when every row is sound.

    Returns
    -------
    good, bad : pl.DataFrame
        `bad` carries `reasons`.
    """
    required = [c.name for c in dataset.columns if not c.nullable and c.name in frame.columns]
    checks = [check.passes.fill_null(value=False).all() for check in dataset.row_checks]
    holes = [pl.col(name).null_count() == 0 for name in required]
    if frame.select(pl.all_horizontal(*checks, *holes)).item():
        return frame, frame.clear().with_columns(reasons=pl.lit("", dtype=pl.String))
    return dataset.split(frame)


def in_column_order(dataset: Dataset, frame: pl.DataFrame) -> pl.DataFrame:
    """Declared columns in declared order and type, without the provenance that comes later."""
    schema = {n: t for n, t in dataset.schema.items() if n not in PROVENANCE_LATER}
    absent = [pl.lit(None, dtype=t).alias(n) for n, t in schema.items() if n not in frame.columns]
    return frame.with_columns(absent).select(schema.keys()).cast(schema)  # type: ignore[arg-type]
