"""Which data files can hold the rows that are asked for, by their partition and statistics."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import polars as pl

from tapemill.contracts import Dataset

__all__ = ["day_column", "partition_value", "prune"]

_FEW = 64


def day_column(dataset: Dataset) -> str:
    """The date column by which rows of the dataset are asked for: session, else the event date."""
    return "session" if "session" in dataset.schema else dataset.event_column


def partition_value(dataset: Dataset, day: datetime.date) -> str | int | None:
    """The partition in which rows of `day` lie, or None if days do not decide it."""
    if dataset.partition == "month":
        return f"{day:%Y-%m}"
    return day.year if dataset.partition == "year" else None


def prune(
    dataset: Dataset,
    files: pl.DataFrame,
    *,
    symbols: Sequence[str] | None = None,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
) -> pl.DataFrame:
    """Rows of `files` that may hold a row of these symbols between `start` and `end` (inclusive).

    A file without the statistic in question is kept.
    """
    kept: list[pl.Expr] = []
    day = day_column(dataset)
    lowest, highest = f"min.{day}", f"max.{day}"
    partition = f"partition.{dataset.partition}"
    if start is not None:
        if highest in files.columns:
            kept.append((pl.col(highest) >= start).fill_null(value=True))
        value = partition_value(dataset, start)
        if value is not None and partition in files.columns:
            kept.append(pl.col(partition) >= value)
    if end is not None:
        if lowest in files.columns:
            kept.append((pl.col(lowest) <= end).fill_null(value=True))
        value = partition_value(dataset, end)
        if value is not None and partition in files.columns:
            kept.append(pl.col(partition) <= value)
    if symbols and "min.symbol" in files.columns:
        low, high = pl.col("min.symbol"), pl.col("max.symbol")
        if len(symbols) <= _FEW:
            within = pl.any_horizontal(pl.lit(symbol).is_between(low, high) for symbol in symbols)
        else:
            within = (high >= min(symbols)) & (low <= max(symbols))
        kept.append(within.fill_null(value=True))
    return files.filter(*kept) if kept else files
