"""Reference: instruments and what companies do to their shares."""

from __future__ import annotations

import polars as pl

from tapemill.contracts.columns import SYMBOL, UTC_US, VERSIONS
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
    Dataset(
        "reference.futures_contracts",
        "Futures and spreads: tick, multiplier, expiry, by the definitions of the venue.",
        (
            SYMBOL,
            Column("root", pl.String(), "Product, e.g. ES"),
            Column("kind", pl.String(), "outright, spread or option"),
            Column("exchange", pl.String(), "MIC of the venue", nullable=True),
            Column("currency", pl.String(), "Currency of the price", nullable=True),
            Column("tick_nano", pl.Int64(), "Least price step", "1e-9 points"),
            Column("tick_size", pl.Float64(), "Least price step", "points"),
            Column("tick_value", pl.Float64(), "Value of one step", "currency", True),
            Column("multiplier", pl.Float64(), "Value of one point", "currency", True),
            Column("expiration_ns", pl.Int64(), "Last trading moment", "ns UTC", True),
            Column("activation_ns", pl.Int64(), "First trading moment", "ns UTC", True),
            Column(
                "evidence",
                pl.String(),
                "definition: its own; product: of another contract of its root; prices: greatest"
                " step that divides every price seen",
            ),
            Column("known_at", UTC_US, "When the evidence was known", "us UTC"),
        ),
        key=("symbol",),
        order=("symbol",),
        partition="",
        event_column="activation_ns",
        known_at="venue_receipt",
    ),
    Dataset(
        "reference.futures_rolls",
        "The dominant outright of each product and trade date, with the volumes that decided it.",
        (
            Column("root", pl.String(), "Product, e.g. ES"),
            Column("session", pl.Date(), "Trade date", "date ET"),
            Column("symbol", pl.String(), "Outright with the greatest traded volume"),
            Column("volume", pl.Int64(), "Its volume in the hours counted", "contracts"),
            Column("share_frac", pl.Float64(), "Of the volume of all outrights", "fraction"),
            Column("runner_up", pl.String(), "The second", nullable=True),
            Column("runner_up_volume", pl.Int64(), "Its volume", "contracts", True),
            Column("hours", pl.String(), "regular, or all where regular hours have no trades"),
            Column(
                "rolled_from",
                pl.String(),
                "The dominant contract before; null if the same",
                nullable=True,
            ),
            Column("gap_ticks", pl.Float64(), "New minus old price at the roll", "ticks", True),
            Column("price_ratio", pl.Float64(), "New over old price at the roll", "ratio", True),
            Column(
                "gap_evidence",
                pl.String(),
                "Minutes in which both traded, or why there are none",
                nullable=True,
            ),
            Column("known_at", UTC_US, "End of the trade date: it decides the next one", "us UTC"),
        ),
        key=("root", "session"),
        order=("root", "session"),
        partition="",
        event_column="session",
        known_at="trade_date_end",
    ),
)
