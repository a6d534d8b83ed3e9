"""Ops: what the house knows of its own work and keeps as tables."""

from __future__ import annotations

import polars as pl

from tapemill.contracts.columns import UTC_US
from tapemill.contracts.dataset import Column, Dataset

__all__ = ["OPS"]

OPS = (
    Dataset(
        "ops.quarantine",
        "Rows that broke a contract, with the reason and the row itself. Nothing is lost.",
        (
            Column("dataset", pl.String(), "The contract that was broken"),
            Column("symbol", pl.String(), "Symbol, where the row has one", nullable=True),
            Column("session", pl.Date(), "Session, where it is known", "date ET", nullable=True),
            Column("reasons", pl.String(), "Names of the broken checks, joined by ;"),
            Column("row", pl.String(), "The row as JSON"),
            Column("raw_sha256", pl.String(), "Raw object it was read from"),
            Column("ordinal", pl.Int64(), "Position in that object"),
            Column("source", pl.String(), "Lane that delivered it"),
            Column("ts_recv", UTC_US, "When it was received", "us UTC"),
        ),
        key=("dataset", "raw_sha256", "ordinal"),
        order=("dataset", "symbol", "ordinal"),
        partition="dataset",
        event_column="session",
        known_at="received",
    ),
    Dataset(
        "ops.signal_versions",
        "Inference versions of composite signals: which code and which parameters.",
        (
            Column("inference_version", pl.String(), "Digest of both, 12 hex digits"),
            Column("signal", pl.String(), "Dataset that the version writes"),
            Column("code_digest", pl.String(), "SHA-256 of the code as a program"),
            Column("parameters", pl.String(), "JSON, keys sorted"),
            Column("registration", pl.Int64(), "1 for the first registration, 2 for the next …"),
            Column("registered_at", UTC_US, "When it was taken up", "us UTC"),
        ),
        key=("registration",),
        order=("registration",),
        partition="",
        event_column="registered_at",
        known_at="received",
    ),
)
