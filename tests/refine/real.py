"""The real bar files as bronze frames, read without the importer under test elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from refine.bronze import sha

RECEIVED = datetime(2026, 2, 1, tzinfo=UTC)
ES = "bars/es/lumibot-es-like-1m-rth-2020-01-02_2020-04-22.csv"


def _bars(rows: pl.DataFrame, wall: pl.Expr, volume: pl.Expr, symbol: pl.Expr) -> pl.DataFrame:
    """`wall` is naive New York time of the bar's start."""
    utc = wall.dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")
    return rows.select(
        symbol=symbol,
        ts_event=utc.dt.epoch("us") * 1000,
        session=wall.dt.date(),
        open=pl.col("open").cast(pl.Float64),
        high=pl.col("high").cast(pl.Float64),
        low=pl.col("low").cast(pl.Float64),
        close=pl.col("close").cast(pl.Float64),
        volume=volume.cast(pl.Float64),
        vwap=pl.lit(None, dtype=pl.Float64),
        trades=pl.lit(None, dtype=pl.Int64),
        source=pl.lit("import:bars"),
        raw_sha256=pl.lit(sha("file")),
        ordinal=pl.int_range(pl.len()),
        ts_recv=pl.lit(RECEIVED).cast(pl.Datetime("us", "UTC")),
    )


def spy_year(data: Path) -> pl.DataFrame:
    rows = pl.read_parquet(data / "bars/spy-1m-2024-2025/SPY_1m.parquet")
    wall = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    return _bars(rows, wall, pl.col("volume"), pl.lit("SPY"))


def cross_section(data: Path, *, mislabelled: bool = False) -> pl.DataFrame:
    """530 symbols; `mislabelled` believes the file's UTC label."""
    rows = pl.read_parquet(data / "bars/us-1m-xsec-2026-01/bars.parquet")
    stamp = pl.col("timestamp")
    if mislabelled:
        stamp = stamp.dt.convert_time_zone("America/New_York")
    wall = stamp.dt.replace_time_zone(None)
    return _bars(rows, wall, pl.lit(None), pl.col("symbol"))


def es_2020(data: Path) -> pl.DataFrame:
    """Bars of the file are stamped at their end."""
    rows = pl.read_csv(data / ES, try_parse_dates=True)
    wall = pl.col("time").cast(pl.Datetime("us")).dt.offset_by("-1m")
    return _bars(rows, wall, pl.col("volume"), pl.lit("ES"))
