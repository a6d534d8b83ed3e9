"""Rows that broke a contract, in the one shape in which they are kept."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import Dataset, contract

__all__ = ["quarantine_rows"]

_OWN = ("raw_sha256", "ordinal", "source", "ts_recv")


def quarantine_rows(dataset: Dataset, bad: pl.DataFrame) -> pl.DataFrame:
    """Shape rejected rows as ``ops.quarantine``.

    Parameters
    ----------
    dataset : Dataset
        The contract that was broken.
    bad : pl.DataFrame
        ``reasons`` (String, or a list of them), provenance, and either ``row`` (JSON) or the row's
        own columns.

    Raises
    ------
    ContractError
        Provenance is missing.
    """
    if bad.schema.get("reasons") == pl.List(pl.String):
        bad = bad.with_columns(pl.col("reasons").list.join(";"))
    if "row" not in bad.columns:
        fields = [name for name in bad.columns if name != "reasons"]
        text = bad.select(
            pl.col(name).cast(pl.String) if dtype.is_decimal() else pl.col(name)
            for name, dtype in bad.select(fields).schema.items()
        )
        rows = text.select(row=pl.struct(pl.all()).struct.json_encode())
        bad = bad.with_columns(rows["row"])
    kept = [name for name in (*_OWN, "reasons", "row", "symbol", "session") if name in bad.columns]
    return contract("ops.quarantine").conform(
        bad.select(kept).with_columns(dataset=pl.lit(dataset.name))
    )
