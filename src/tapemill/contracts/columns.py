"""Columns that several datasets share, declared once."""

from __future__ import annotations

import polars as pl

from tapemill.contracts.dataset import Column, RowCheck

__all__ = [
    "BAR_CHECKS",
    "BAR_TIME",
    "MONTH",
    "PROVENANCE",
    "QUANTITY",
    "SYMBOL",
    "UTC_US",
    "VERSIONS",
    "YEAR",
    "ohlc",
]

UTC_US = pl.Datetime("us", "UTC")
QUANTITY = pl.Decimal(20, 6)
"""Exact share quantities: FINRA reports six decimals since February 2026."""

SYMBOL = Column("symbol", pl.String(), "Ticker as the vendor writes it; case matters")
SESSION = Column("session", pl.Date(), "Exchange session (New York date)", "date ET")
MONTH = Column("month", pl.String(), "Partition: month of the session, YYYY-MM")
YEAR = Column("year", pl.Int32(), "Partition: year of the session")

BAR_TIME = (
    Column("ts_event", pl.Int64(), "Start of the bar", "ns UTC", sources={"massive": "t"}),
    Column("ts", UTC_US, "Start of the bar, for people and file pruning", "us UTC"),
    SESSION,
)

PROVENANCE = (
    Column("source", pl.String(), "Which lane delivered the row, e.g. massive.rest"),
    Column("raw_sha256", pl.String(), "Content hash of the raw object the row was read from"),
    Column("ordinal", pl.Int64(), "Position of the row in that object, from 0"),
    Column("request_id", pl.String(), "The vendor's id of the answer", nullable=True),
    Column("ts_recv", UTC_US, "When we received the answer or imported the file", "us UTC"),
    Column("known_at", UTC_US, "When the fact could first be acted on", "us UTC"),
)

VERSIONS = (
    Column("source", pl.String(), "Lane that delivered this version"),
    Column("raw_sha256", pl.String(), "Raw object behind this version"),
    Column("ordinal", pl.Int64(), "Position in that object"),
    Column("version", pl.Int16(), "1 for the first value published, 2 for its first restatement …"),
    Column("known_at", UTC_US, "When this version could first be acted on", "us UTC"),
    Column(
        "superseded_at", UTC_US, "When a newer version took over; null = current", "us UTC", True
    ),
)


def ohlc(unit: str = "USD/share") -> tuple[Column, ...]:
    """Open, high, low and close, unadjusted."""
    return tuple(
        Column(name, pl.Float64(), f"{name.capitalize()}, unadjusted", unit, sources={"massive": f})
        for name, f in (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c"))
    )


BAR_CHECKS = (
    RowCheck(
        "price_not_positive",
        pl.min_horizontal("open", "high", "low", "close") > 0,
        "every price is above zero",
    ),
    RowCheck(
        "price_not_finite",
        pl.all_horizontal(pl.col("open", "high", "low", "close").is_finite()),
        "every price is a finite number",
    ),
    RowCheck("low_above_body", pl.col("low") <= pl.min_horizontal("open", "close"), "low ≤ body"),
    RowCheck(
        "high_below_body", pl.col("high") >= pl.max_horizontal("open", "close"), "high ≥ body"
    ),
    RowCheck(
        "volume_negative",
        (pl.col("volume") >= 0).fill_null(value=True),
        "volume, where given, is not negative",
    ),
    RowCheck(
        "volume_not_finite",
        pl.col("volume").is_finite().fill_null(value=True),
        "volume, where given, is a finite number",
    ),
    RowCheck(
        "vwap_not_finite",
        pl.col("vwap").is_finite().fill_null(value=True),
        "vwap, where given, is a finite number",
    ),
    RowCheck(
        "trades_negative",
        (pl.col("trades") >= 0).fill_null(value=True),
        "trades, where given, are not negative",
    ),
)
