"""Rows for the tests of the lake, made from nothing but their arguments."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from tapemill.contracts import contract

MINUTE = "silver.equity_bars_1m"
DAILY = "silver.equity_bars_1d"
BRONZE = "bronze.massive_bars_1m"
FACTORS = "reference.adjustments"


def bars(symbols, sessions, *, minutes=30, seed=0, dataset=MINUTE):
    """Minute bars of every symbol and session, conforming to the dataset."""
    rng = np.random.default_rng(seed)
    grid = (
        pl.DataFrame({"symbol": list(symbols)})
        .join(pl.DataFrame({"session": list(sessions)}), how="cross")
        .join(pl.DataFrame({"minute": range(minutes)}), how="cross")
    )
    close = np.round(100 + rng.normal(0, 1, grid.height).cumsum() * 0.1, 2)
    rows = grid.with_columns(
        ts_event=pl.col("session").cast(pl.Datetime("ns")).cast(pl.Int64)
        + (14 * 60 + 30 + pl.col("minute")) * 60_000_000_000,
        open=pl.Series(close),
        high=pl.Series(close + 0.05),
        low=pl.Series(close - 0.05),
        close=pl.Series(close),
        volume=pl.Series(rng.integers(1, 9_999, grid.height).astype(float)),
        vwap=pl.Series(close),
        trades=pl.Series(rng.integers(1, 99, grid.height)),
        ordinal=pl.int_range(pl.len()),
        raw_sha256=pl.lit(f"{seed:064x}"),
        source=pl.lit("massive.rest"),
        month=pl.col("session").dt.strftime("%Y-%m"),
        year=pl.col("session").dt.year(),
        minute_of_session=pl.col("minute").cast(pl.Int16),
        segment=pl.lit("rth"),
        quality=pl.lit(0, dtype=pl.Int32),
        version=pl.lit(1, dtype=pl.Int16),
        adjusted=pl.lit(value=False),
    ).with_columns(
        ts=pl.from_epoch(pl.col("ts_event") // 1000, time_unit="us").dt.replace_time_zone("UTC")
    )
    rows = rows.with_columns(known_at=pl.col("ts") + pl.duration(minutes=16), ts_recv=pl.col("ts"))
    declared = contract(dataset)
    present = [name for name in declared.schema.names() if name in rows.columns]
    return declared.conform(rows.select(present))


def factors(events):
    """Rows of reference.adjustments from (symbol, ex_date, kind, price factor, volume factor)."""
    rows = pl.DataFrame(
        events,
        schema={
            "symbol": pl.String,
            "ex_date": pl.Date,
            "kind": pl.String,
            "price_factor_frac": pl.Float64,
            "volume_factor_frac": pl.Float64,
        },
        orient="row",
    ).with_columns(
        source=pl.lit("test"),
        raw_sha256=pl.lit("0" * 64),
        ordinal=pl.int_range(pl.len()),
        version=pl.lit(1, dtype=pl.Int16),
        known_at=pl.col("ex_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        + pl.duration(hours=9),
    )
    return contract(FACTORS).conform(rows)


def weekdays(first, count):
    """`count` weekdays from `first`."""
    days = (first + dt.timedelta(days=i) for i in range(count * 2 + 2))
    return [day for day in days if day.weekday() < 5][:count]
