"""Silver: one truth per key, every version kept with the moment it could be known."""

from __future__ import annotations

import dataclasses
import enum

import polars as pl

from tapemill.contracts.columns import (
    BAR_CHECKS,
    BAR_TIME,
    MONTH,
    QUANTITY,
    SESSION,
    SYMBOL,
    TAPE_SUMS,
    VERSIONS,
    YEAR,
    ohlc,
)
from tapemill.contracts.dataset import Column, Dataset, RowCheck

__all__ = ["SILVER", "Quality"]


class Quality(enum.IntFlag):
    """Bits of the `quality` column."""

    PROVISIONAL = 1
    """Received on the session's own day: late prints may still restate it."""
    REPAIRED = 2
    """Restated at least once: this is version 2 or later."""
    JUMP = 4
    """One-minute return beyond the jump threshold, or a lone spike of high or low."""
    CONFLICT = 8
    """Another source of the same bar disagrees."""
    SYNTHETIC = 16
    """Made by the synthetic world, not by a market."""
    NO_VOLUME = 32
    """The source gives no volume."""
    ADJUSTED = 64
    """The source adjusted its prices for splits already: `adjust=` leaves the row as it is."""


_BAR = (
    Column("volume", pl.Float64(), "Volume; fractional shares occur", "shares", True),
    Column("vwap", pl.Float64(), "Volume-weighted price, where given", "as prices", True),
    Column("trades", pl.Int64(), "Trades, where given", "count", True),
    Column("quality", pl.Int32(), "Bit mask, see Quality"),
)
_MINUTE = (
    Column("minute_of_session", pl.Int16(), "0 = first regular minute; negative before", "minutes"),
    Column("segment", pl.String(), "pre, rth or post"),
)


def _minute_bars(name: str, description: str, unit: str) -> Dataset:
    return Dataset(
        name,
        description,
        (SYMBOL, *BAR_TIME, MONTH, *_MINUTE, *ohlc(unit), *_BAR, *VERSIONS),
        key=("symbol", "ts_event"),
        order=("symbol", "ts_event", "version"),
        partition="month",
        event_column="ts_event",
        known_at="bar_end",
        row_checks=BAR_CHECKS,
        versioned=True,
    )


SILVER = (
    _minute_bars(
        "silver.equity_bars_1m",
        "One-minute bars of stocks and ETFs, unadjusted, one row per symbol, minute and version.",
        "USD/share",
    ),
    _minute_bars(
        "silver.futures_bars_1m",
        "One-minute bars of futures by Globex trade date.",
        "points",
    ),
    Dataset(
        "silver.equity_bars_1d",
        "Daily bars of stocks and ETFs, unadjusted, one row per symbol, session and version.",
        (SYMBOL, *BAR_TIME, YEAR, *ohlc(), *_BAR, *VERSIONS),
        key=("symbol", "session"),
        order=("symbol", "session", "version"),
        partition="year",
        event_column="session",
        known_at="daily_bar",
        row_checks=BAR_CHECKS,
        versioned=True,
    ),
    Dataset(
        "silver.short_volume",
        "Daily short sale volume per symbol and facility, exact decimals, every version.",
        (
            SYMBOL,
            SESSION,
            Column("facility", pl.String(), "CNMS (consolidated) or a single facility"),
            Column("short_volume", QUANTITY, "Sold short, exempt included", "shares"),
            Column("short_exempt_volume", QUANTITY, "Exempt part", "shares", nullable=True),
            Column("total_volume", QUANTITY, "Reported to the facility", "shares"),
            Column("market", pl.String(), "Facility codes in alphabetical order, comma list"),
            Column(
                "reconciled",
                pl.Boolean(),
                "FNSQ+FNYX+FNQC equals CNMS; null where a side is missing",
                nullable=True,
            ),
            YEAR,
            *VERSIONS,
        ),
        key=("symbol", "session", "facility"),
        order=("session", "symbol", "facility", "version"),
        partition="year",
        event_column="session",
        known_at="finra_evening",
        row_checks=(RowCheck("total_negative", pl.col("total_volume") >= 0, "total ≥ 0"),),
        versioned=True,
    ),
    Dataset(
        "silver.coverage",
        "What is there and what is missing, per dataset, symbol and session.",
        (
            Column("dataset", pl.String(), "The bars judged"),
            SYMBOL,
            SESSION,
            Column("expected", pl.Int32(), "Regular minutes of the session", "minutes"),
            Column("present", pl.Int32(), "Distinct regular minutes with a bar", "minutes"),
            Column("missing", pl.Int32(), "expected - present - halted", "minutes"),
            Column("halted", pl.Int32(), "Missing minutes inside a known halt", "minutes"),
            Column("longest_missing_run", pl.Int32(), "Open and close included", "minutes"),
            Column("missing_at_open", pl.Int32(), "Run missing at the open", "minutes"),
            Column("missing_at_close", pl.Int32(), "Run missing at the close", "minutes"),
            Column("extended", pl.Int32(), "Bars before the open or after the close", "bars"),
            Column("off_grid", pl.Int32(), "Rows not on an exact minute", "rows"),
            Column("outside", pl.Int32(), "Rows outside 04:00-20:00 or the trade date", "rows"),
            Column("duplicates", pl.Int32(), "Rows repeating a bar of the same answer set", "rows"),
            Column("zero_volume", pl.Int32(), "Bars with volume 0", "bars"),
            Column("jumps", pl.Int32(), "Bars flagged as jump or spike", "bars"),
            Column("quarantined", pl.Int32(), "Rows in quarantine", "rows"),
            Column("trades_median", pl.Float64(), "Median trades a minute", "count", True),
            Column("tier", pl.Int8(), "Liquidity tier 1 to 3, 0 unknown"),
            Column("state", pl.String(), "green, amber, red, halt, empty or missing"),
            Column("reasons", pl.String(), "Reason codes joined by ;"),
            YEAR,
        ),
        key=("dataset", "symbol", "session"),
        order=("dataset", "symbol", "session"),
        partition="year",
        event_column="session",
        known_at="daily_bar",
    ),
    Dataset(
        "silver.otc_weekly",
        "Off-exchange volume per symbol and week, ATS and non-ATS apart, every version.",
        (
            SYMBOL,
            Column("week_start", pl.Date(), "Monday of the week", "date ET"),
            Column("venue_class", pl.String(), "ats or non_ats"),
            Column("issue_name", pl.String(), "Name of the issue", nullable=True),
            Column("tier", pl.String(), "T1, T2 or OTC"),
            Column("week_inferred", pl.Boolean(), "The file names no week: told by the delay"),
            Column("shares", QUANTITY, "Shares traded in the week", "shares"),
            Column("trades", pl.Int64(), "Trades in the week", "count", nullable=True),
            Column("notional", pl.Float64(), "Dollars traded", "USD", nullable=True),
            Column("firms", pl.Int32(), "Firms or venues in firm rows; 0 = none known", "count"),
            Column(
                "venue_concentration",
                pl.Float64(),
                "Herfindahl index of the firms' shares",
                "fraction",
                nullable=True,
            ),
            Column("from_firm_rows", pl.Boolean(), "Shares are the sum of firm rows"),
            Column("initial_published_date", pl.Date(), "First published", "date ET", True),
            Column("last_update_date", pl.Date(), "Published or restated", "date ET"),
            YEAR,
            *VERSIONS,
        ),
        key=("symbol", "week_start", "venue_class"),
        order=("week_start", "symbol", "venue_class", "version"),
        partition="year",
        event_column="week_start",
        known_at="otc_publication",
        row_checks=(RowCheck("shares_negative", pl.col("shares") >= 0, "shares ≥ 0"),),
        versioned=True,
    ),
    Dataset(
        "silver.short_interest",
        "Open short positions per symbol and settlement date, every version.",
        (
            SYMBOL,
            Column("settlement_date", pl.Date(), "Positions settled by", "date ET"),
            Column("short_interest", QUANTITY, "Open short position", "shares"),
            Column("previous_short_interest", QUANTITY, "At the settlement before", "shares", True),
            Column("average_daily_volume", QUANTITY, "As FINRA gives it", "shares", True),
            Column("days_to_cover", pl.Float64(), "As FINRA gives it", "days", nullable=True),
            YEAR,
            *VERSIONS,
        ),
        key=("symbol", "settlement_date"),
        order=("settlement_date", "symbol", "version"),
        partition="year",
        event_column="settlement_date",
        known_at="short_interest_publication",
        row_checks=(RowCheck("negative", pl.col("short_interest") >= 0, "short interest ≥ 0"),),
        versioned=True,
    ),
    Dataset(
        "silver.tape_5m",
        "Direction of the tape in five minutes; every version. Mode tick: from every print of all"
        " hours, where the plan has prints. Mode minute: from the minute bars of regular hours by"
        " bulk-volume classification, judged by the five sessions before; columns of exchanges,"
        " facilities and single prints are null. A session may have both.",
        (
            SYMBOL,
            *BAR_TIME,
            MONTH,
            Column("mode", pl.String(), "tick or minute"),
            *(dataclasses.replace(column, nullable=True) for column in TAPE_SUMS),
            Column("buy_volume", pl.Float64(), "All venues, inferred buys", "shares"),
            Column("sell_volume", pl.Float64(), "All venues, inferred sells", "shares"),
            Column("unclassified_volume", pl.Float64(), "All venues, side unknown", "shares"),
            Column("bulk_volume", pl.Float64(), "Of the classified: by bulk volume", "shares"),
            *VERSIONS,
        ),
        key=("symbol", "ts_event", "mode"),
        order=("symbol", "ts_event", "mode", "version"),
        partition="month",
        event_column="ts_event",
        known_at="five_minute_end",
        versioned=True,
    ),
)
