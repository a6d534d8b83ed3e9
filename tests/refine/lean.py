"""Readers of the LEAN sample files: daily bars as traded and the factor files beside them."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

RECEIVED = datetime(2021, 6, 1, tzinfo=UTC)


def daily(data: Path, ticker: str) -> pl.DataFrame:
    with zipfile.ZipFile(data / f"lean/equity/usa/daily/{ticker}.zip") as archive:
        content = archive.read(f"{ticker}.csv")
    table = pl.read_csv(
        io.BytesIO(content),
        has_header=False,
        new_columns=["time", "open", "high", "low", "close", "volume"],
    )
    return table.select(
        pl.col("time").str.slice(0, 8).str.to_date("%Y%m%d").alias("session"),
        pl.col("open", "high", "low", "close") / 10_000,
        pl.col("volume").cast(pl.Float64),
    ).with_columns(symbol=pl.lit(ticker.upper()))


def closes(data: Path, ticker: str) -> pl.DataFrame:
    return daily(data, ticker).select(
        "symbol",
        "session",
        "close",
        known_at=pl.col("session")
        .cast(pl.Datetime("us"))
        .dt.offset_by("1d")
        .dt.replace_time_zone("UTC"),
        superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
    )


def factors(data: Path, ticker: str) -> pl.DataFrame:
    """session (last one to which the row applies), dividends, splits."""
    return (
        pl.read_csv(
            data / f"lean/equity/usa/factor_files/{ticker}.csv",
            has_header=False,
            new_columns=["session", "dividends", "splits", "reference"],
            schema_overrides={"session": pl.String, "dividends": pl.Float64, "splits": pl.Float64},
        )
        .with_columns(pl.col("session").str.to_date("%Y%m%d"))
        .sort("session")
    )
