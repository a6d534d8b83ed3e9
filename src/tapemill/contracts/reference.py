"""Reference: instruments and what companies do to their shares."""

from __future__ import annotations

import polars as pl

from tapemill.contracts.columns import SYMBOL, VERSIONS
from tapemill.contracts.dataset import Column, Dataset, RowCheck

__all__ = ["REFERENCE"]

REFERENCE = (
    Dataset(
        "reference.adjustments",
        "Corporate actions as factors, applied at read time. One row per symbol, ex-date and kind.",
        (
            SYMBOL,
            Column("ex_date", pl.Date(), "First session at the new price", "date ET"),
            Column("kind", pl.String(), "split or dividend"),
            Column("split_from", pl.Float64(), "Old shares; null for dividends", "shares", True),
            Column("split_to", pl.Float64(), "New shares; null for dividends", "shares", True),
            Column("cash_amount", pl.Float64(), "Cash a share; null for splits", "USD/share", True),
            Column(
                "previous_close", pl.Float64(), "Unadjusted close before ex_date", "USD/share", True
            ),
            Column(
                "price_factor_frac",
                pl.Float64(),
                "Earlier prices are multiplied by it: split_from/split_to, or 1 - cash/previous",
                nullable=True,
            ),
            Column("volume_factor_frac", pl.Float64(), "Earlier volumes are multiplied by it"),
            *VERSIONS,
        ),
        key=("symbol", "ex_date", "kind"),
        order=("symbol", "ex_date", "kind", "version"),
        partition="",
        event_column="ex_date",
        known_at="ex_date_open",
        row_checks=(
            RowCheck(
                "factor_not_positive",
                (pl.col("price_factor_frac") > 0).fill_null(value=True),
                "a factor is above zero",
            ),
        ),
        versioned=True,
    ),
    Dataset(
        "reference.instruments",
        "Tickers with their names, listing venue and identifiers, versioned.",
        (
            SYMBOL,
            Column("name", pl.String(), "Company or fund", nullable=True),
            Column("type", pl.String(), "CS, ETF, ADRC …", nullable=True),
            Column("primary_exchange", pl.String(), "MIC of the listing", nullable=True),
            Column("active", pl.Boolean(), "Listed", nullable=True),
            Column("cik", pl.String(), "SEC registrant number", nullable=True),
            Column("composite_figi", pl.String(), "OpenFIGI composite id", nullable=True),
            Column("share_class_figi", pl.String(), "OpenFIGI share-class id", nullable=True),
            Column("list_date", pl.Date(), "First listed", "date ET", nullable=True),
            Column("delisted_date", pl.Date(), "Delisted", "date ET", nullable=True),
            *VERSIONS,
        ),
        key=("symbol",),
        order=("symbol", "version"),
        partition="",
        event_column="list_date",
        known_at="received",
        versioned=True,
    ),
    Dataset(
        "reference.symbol_changes",
        "One instrument under two tickers: same FIGI, the old one delisted as the new one lists.",
        (
            Column("old_symbol", pl.String(), "Ticker until the change"),
            Column("new_symbol", pl.String(), "Ticker from the change on"),
            Column("change_date", pl.Date(), "First session under the new ticker", "date ET"),
            Column("evidence", pl.String(), "The shared identifier"),
            *VERSIONS,
        ),
        key=("old_symbol", "new_symbol", "change_date"),
        order=("old_symbol", "change_date"),
        partition="",
        event_column="change_date",
        known_at="received",
        versioned=True,
    ),
    Dataset(
        "reference.memberships",
        "Members of indices, sectors and themes with effective dates, versioned.",
        (
            Column("group", pl.String(), "Name of the group"),
            Column("kind", pl.String(), "index, sector or theme"),
            SYMBOL,
            Column("weight_frac", pl.Float64(), "Weight in the group", "fraction", nullable=True),
            Column("valid_from", pl.Date(), "First session as a member", "date ET"),
            Column(
                "valid_to", pl.Date(), "Last session as a member; null = still", "date ET", True
            ),
            *VERSIONS,
        ),
        key=("group", "symbol", "valid_from"),
        order=("group", "symbol", "valid_from", "version"),
        partition="",
        event_column="valid_from",
        known_at="effective_date",
        versioned=True,
    ),
    Dataset(
        "reference.symbols",
        "One instrument's symbol in each house's style: FINRA, Massive, exchange tape.",
        (
            SYMBOL,
            Column("finra_symbol", pl.String(), "As in FINRA's daily files, e.g. BRK/B, AAICpC"),
            Column("security_class", pl.String(), "common, class_share, preferred, warrant, …"),
            Column("root", pl.String(), "Symbol of the company's common stock"),
            Column("is_test", pl.Boolean(), "A test symbol of an exchange"),
            Column("first_session", pl.Date(), "First seen in FINRA's files", "date ET"),
            Column("last_session", pl.Date(), "Last seen in FINRA's files", "date ET"),
        ),
        key=("finra_symbol",),
        order=("finra_symbol",),
        partition="",
        event_column="first_session",
        known_at="finra_evening",
    ),
)
