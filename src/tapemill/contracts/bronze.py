"""Bronze: the vendor's rows, typed and untouched, with their provenance. Append-only."""

from __future__ import annotations

import polars as pl

from tapemill.contracts.columns import (
    BAR_CHECKS,
    BAR_TIME,
    MONTH,
    PROVENANCE,
    QUANTITY,
    SESSION,
    SYMBOL,
    YEAR,
    ohlc,
)
from tapemill.contracts.dataset import Column, Dataset, RowCheck

__all__ = ["BRONZE"]

_ROW = ("raw_sha256", "ordinal")

_MASSIVE_BAR = (
    Column(
        "volume",
        pl.Float64(),
        "Volume; fractional shares occur",
        "shares",
        sources={"massive": "v"},
    ),
    Column(
        "decimal_volume", pl.String(), "Exact volume as text", "shares", True, {"massive": "dv"}
    ),
    Column("vwap", pl.Float64(), "Volume-weighted price", "USD/share", True, {"massive": "vw"}),
    Column("trades", pl.Int64(), "Trades in the bar", "count", True, {"massive": "n"}),
    Column("otc", pl.Boolean(), "Over-the-counter ticker; given only when true", "", True),
    Column("adjusted", pl.Boolean(), "Whether the vendor adjusted for splits (we ask for false)"),
)

_IMPORTED_BAR = (
    Column("volume", pl.Float64(), "Volume, where the file has it", "shares or contracts", True),
    Column("vwap", pl.Float64(), "Volume-weighted price, where given", "as prices", True),
    Column("trades", pl.Int64(), "Trades, where given", "count", True),
    Column("asset_class", pl.String(), "equity, future or index"),
    Column("calendar", pl.String(), "Session calendar the file follows: XNYS or CMES"),
    Column("hours", pl.String(), "Hours the file claims to cover: regular or extended"),
)

_SHORT_CHECKS = (
    RowCheck("volume_negative", pl.col("short_volume") >= 0, "short volume is not negative"),
    RowCheck(
        "short_exceeds_total",
        pl.col("short_volume") <= pl.col("total_volume"),
        "short volume ≤ total volume",
    ),
    RowCheck(
        "exempt_exceeds_short",
        (pl.col("short_exempt_volume") <= pl.col("short_volume")).fill_null(value=True),
        "short volume contains the exempt part",
    ),
    RowCheck("symbol_empty", pl.col("symbol").str.len_chars() > 0, "a symbol is given"),
)

BRONZE = (
    Dataset(
        "bronze.massive_bars_1m",
        "One-minute aggregates of Massive (Polygon), REST or flat file, unadjusted.",
        (SYMBOL, *BAR_TIME, MONTH, *ohlc(), *_MASSIVE_BAR, *PROVENANCE),
        key=_ROW,
        order=("symbol", "ts_event"),
        partition="month",
        event_column="ts_event",
        known_at="bar_end",
        row_checks=BAR_CHECKS,
    ),
    Dataset(
        "bronze.massive_bars_1d",
        "Daily aggregates of Massive, per symbol, grouped or flat file, unadjusted.",
        (SYMBOL, *BAR_TIME, YEAR, *ohlc(), *_MASSIVE_BAR, *PROVENANCE),
        key=_ROW,
        order=("symbol", "ts_event"),
        partition="year",
        event_column="ts_event",
        known_at="daily_bar",
        row_checks=BAR_CHECKS,
    ),
    Dataset(
        "bronze.imported_bars_1m",
        "One-minute bars from a user's CSV or Parquet file, read through a column map.",
        (SYMBOL, *BAR_TIME, MONTH, *ohlc("as the file"), *_IMPORTED_BAR, *PROVENANCE),
        key=_ROW,
        order=("symbol", "ts_event"),
        partition="month",
        event_column="ts_event",
        known_at="bar_end",
        row_checks=BAR_CHECKS,
    ),
    Dataset(
        "bronze.imported_bars_1d",
        "Daily bars from a user's CSV or Parquet file, read through a column map.",
        (SYMBOL, *BAR_TIME, YEAR, *ohlc("as the file"), *_IMPORTED_BAR, *PROVENANCE),
        key=_ROW,
        order=("symbol", "ts_event"),
        partition="year",
        event_column="ts_event",
        known_at="daily_bar",
        row_checks=BAR_CHECKS,
    ),
    Dataset(
        "bronze.massive_splits",
        "Splits as Massive lists them. `split_to` new shares for `split_from` old ones.",
        (
            Column("id", pl.String(), "Vendor's event id", nullable=True),
            SYMBOL,
            Column("ex_date", pl.Date(), "First session at the new price", "date ET"),
            Column("split_from", pl.Float64(), "Old shares", "shares"),
            Column("split_to", pl.Float64(), "New shares for them", "shares"),
            YEAR,
            *PROVENANCE,
        ),
        key=_ROW,
        order=("symbol", "ex_date"),
        partition="year",
        event_column="ex_date",
        known_at="ex_date_open",
        row_checks=(
            RowCheck("split_from_not_positive", pl.col("split_from") > 0, "split_from > 0"),
            RowCheck("split_to_not_positive", pl.col("split_to") > 0, "split_to > 0"),
        ),
    ),
    Dataset(
        "bronze.massive_dividends",
        "Cash dividends as Massive lists them, per share at the time, unadjusted.",
        (
            Column("id", pl.String(), "Vendor's event id", nullable=True),
            SYMBOL,
            Column("ex_date", pl.Date(), "First session without the dividend", "date ET"),
            Column("cash_amount", pl.Float64(), "Cash per share", "currency/share"),
            Column("currency", pl.String(), "ISO currency", nullable=True),
            Column("declaration_date", pl.Date(), "Announced on", "date ET", nullable=True),
            Column("record_date", pl.Date(), "Holder of record on", "date ET", nullable=True),
            Column("pay_date", pl.Date(), "Paid on", "date ET", nullable=True),
            Column("frequency", pl.Int64(), "Payments a year; 0 = one-off", "count", True),
            Column("dividend_type", pl.String(), "CD, SC, LT, ST", nullable=True),
            YEAR,
            *PROVENANCE,
        ),
        key=_ROW,
        order=("symbol", "ex_date"),
        partition="year",
        event_column="ex_date",
        known_at="declared_next_morning",
        row_checks=(RowCheck("cash_negative", pl.col("cash_amount") >= 0, "cash_amount ≥ 0"),),
    ),
    Dataset(
        "bronze.massive_tickers",
        "Reference tickers, one row a listing and download.",
        (
            SYMBOL,
            Column("name", pl.String(), "Company or fund", nullable=True),
            Column("market", pl.String(), "stocks, otc, indices …", nullable=True),
            Column("locale", pl.String(), "us or global", nullable=True),
            Column("primary_exchange", pl.String(), "MIC of the listing", nullable=True),
            Column("type", pl.String(), "CS, ETF, ADRC …", nullable=True),
            Column("active", pl.Boolean(), "Listed at the time of the answer", nullable=True),
            Column("currency_name", pl.String(), "Trading currency", nullable=True),
            Column("cik", pl.String(), "SEC registrant number", nullable=True),
            Column("composite_figi", pl.String(), "OpenFIGI composite id", nullable=True),
            Column("share_class_figi", pl.String(), "OpenFIGI share-class id", nullable=True),
            Column("list_date", pl.Date(), "First listed", "date ET", nullable=True),
            Column("delisted_utc", pl.String(), "Delisting moment as sent", nullable=True),
            Column("last_updated_utc", pl.String(), "Vendor's update stamp", nullable=True),
            Column("session", pl.Date(), "Date asked for", "date ET"),
            YEAR,
            *PROVENANCE,
        ),
        key=_ROW,
        order=("symbol", "session"),
        partition="year",
        event_column="session",
        known_at="received",
        row_checks=(RowCheck("symbol_empty", pl.col("symbol").str.len_chars() > 0, "a symbol"),),
    ),
    Dataset(
        "bronze.massive_market_status",
        "Upcoming holidays and early closes as Massive announces them.",
        (
            SESSION,
            Column("exchange", pl.String(), "NYSE, NASDAQ …"),
            Column("name", pl.String(), "Holiday", nullable=True),
            Column("status", pl.String(), "closed or early-close"),
            Column("open", pl.String(), "Opening moment as sent", nullable=True),
            Column("close", pl.String(), "Closing moment as sent", nullable=True),
            YEAR,
            *PROVENANCE,
        ),
        key=_ROW,
        order=("session", "exchange"),
        partition="year",
        event_column="session",
        known_at="received",
    ),
    Dataset(
        "bronze.finra_short_volume",
        "Daily short sale volume: consolidated, per facility, exchange files and Query API.",
        (
            SYMBOL,
            SESSION,
            Column("short_volume", QUANTITY, "Sold short, exempt included", "shares"),
            Column("short_exempt_volume", QUANTITY, "Exempt part", "shares", nullable=True),
            Column("total_volume", QUANTITY, "Reported to the facility", "shares"),
            Column("market", pl.String(), "Facility codes, comma list, order as sent"),
            Column("facility", pl.String(), "CNMS, FNSQ, FNYX, FNQC, FNRA, FORF, NQBX, NPSX"),
            YEAR,
            *PROVENANCE,
        ),
        key=_ROW,
        order=("session", "symbol"),
        partition="year",
        event_column="session",
        known_at="finra_evening",
        row_checks=_SHORT_CHECKS,
    ),
)
