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
    "TAPE_SUMS",
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


def _volume(name: str, description: str) -> Column:
    return Column(name, pl.Float64(), description, "shares")


TAPE_SUMS = (
    _volume("lit_buy_volume", "Exchange prints, inferred buys"),
    _volume("lit_sell_volume", "Exchange prints, inferred sells"),
    _volume("lit_unclassified_volume", "Exchange prints, side unknown"),
    _volume("trf_buy_volume", "TRF prints, inferred buys"),
    _volume("trf_sell_volume", "TRF prints, inferred sells"),
    _volume("trf_unclassified_volume", "TRF prints, side unknown"),
    _volume("quote_rule_volume", "Of the classified: by the prevailing quote (at or through it)"),
    _volume("midpoint_volume", "Of the classified: by side of the midpoint"),
    _volume("tick_rule_volume", "Of the classified: by the tick rule"),
    _volume("retail_buy_volume", "TRF prints with a sub-penny fraction that marks a retail buy"),
    _volume("retail_sell_volume", "TRF prints with a sub-penny fraction of a retail sale"),
    _volume("odd_lot_volume", "Prints under a round lot"),
    _volume("block_volume", "Prints of 10,000 shares or 200,000 dollars and more"),
    _volume("auction_volume", "Opening and closing auctions; in no other sum"),
    _volume("ineligible_volume", "Prints whose conditions say nothing of now; in no other sum"),
    Column("prints", pl.Int64(), "Prints summed, auctions and ineligible ones included", "count"),
    Column("dollar_volume", pl.Float64(), "Σ price · size of the eligible prints", "USD"),
)
"""Five minutes of a symbol's prints, each print's side inferred and then forgotten."""

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
