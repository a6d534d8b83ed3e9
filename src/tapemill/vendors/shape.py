"""Last steps that every parser shares: partition column, contract, column order."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import Dataset

__all__ = ["PROVENANCE_LATER", "breaks_contract", "in_column_order", "partitioned"]

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
