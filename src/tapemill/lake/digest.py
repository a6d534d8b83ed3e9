"""The content of a table as one hash, independent of files, partitions' layout and row order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import polars as pl

from tapemill.contracts import Dataset

__all__ = ["content_digest"]


def content_digest(dataset: Dataset, parts: Iterable[pl.DataFrame]) -> str:
    """SHA-256 over rows in canonical order (order columns, then all others), column by column.

    Parameters
    ----------
    dataset : Dataset
    parts : iterable of pl.DataFrame
        One frame a partition value, in the order of the values; empty ones count for nothing.
    """
    digest = hashlib.sha256()
    rest = [name for name in dataset.schema.names() if name not in dataset.order]
    for part in parts:
        if part.is_empty():
            continue
        ordered = part.sort([*dataset.order, *rest], nulls_last=True)
        digest.update(str(ordered.height).encode())
        for name in dataset.schema.names():
            digest.update(name.encode())
            _feed(digest, ordered[name])
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, series: pl.Series) -> None:
    digest.update(series.is_null().to_numpy().tobytes())
    if isinstance(series.dtype, pl.Decimal) or series.dtype == pl.Boolean:
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        text = series.fill_null("")
        digest.update(text.str.len_bytes().to_numpy().tobytes())
        digest.update(str(text.str.join("").item()).encode())
        return
    # Adding zero makes -0.0 equal to 0.0, as equal values must hash alike.
    numbers = series.to_physical().fill_null(0) + 0
    digest.update(numbers.to_numpy().tobytes())
