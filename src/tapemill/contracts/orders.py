"""Order data of futures: what a Databento file holds, as tables.

The file itself is the raw object, kept byte for byte; there is no bronze copy of its records. Rows
name it by `raw_key`, and `bronze.databento_files` has one row a file. A record is told from its
equal-looking neighbour by (raw object, ordinal) and by nothing else.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts.columns import MONTH, PROVENANCE, SYMBOL, UTC_US
from tapemill.contracts.dataset import Column, Dataset, RowCheck

__all__ = ["BRONZE_ORDERS", "SILVER_ORDERS"]

_KEY = Column(
    "raw_key", pl.Int64(), "First 63 bits of the raw object's SHA-256, see bronze.databento_files"
)
_ORDINAL = Column("ordinal", pl.Int64(), "Position of the record in the file, from 0")
_KNOWN = Column("known_at", UTC_US, "When the vendor's gateway had it (ts_gateway), rounded up")
_GATEWAY = Column(
    "ts_gateway",
    pl.Int64(),
    "When the vendor's gateway at the venue had it",
    "ns UTC",
    sources={"databento": "ts_recv"},
)
_EVENT = Column("ts_event", pl.Int64(), "When the venue's matching engine did it", "ns UTC")
_ID = Column("instrument_id", pl.Int64(), "The venue's numeric id, reused over the years")
_DATE = Column("session", pl.Date(), "Trade date: 18:00 of the evening before to 17:00", "date ET")
_LEVELS = Column(
    "book_levels", pl.Int16(), "Depth of the feed: 0 = every order (mbo), else levels a side"
)
_TICKS = "ticks"


def _code(name: str, description: str) -> Column:
    return Column(name, pl.Int8(), f"{description}; ASCII code, `chr({name})` in SQL")


_ACTION = _code("action", "A add, C cancel, M modify, T trade, F fill, R clear, N none")
_SIDE = _code("side", "A ask, B bid, N none; on T the aggressor's, else the resting side")
_PRICE = Column("price_ticks", pl.Int32(), "Price; null where the feed gives none", _TICKS, True)
_SIZE = Column("size", pl.Int32(), "Quantity of the order or trade", "contracts")


def _record(name: str, description: str, columns: tuple[Column, ...]) -> Dataset:
    return Dataset(
        name,
        description,
        (SYMBOL, _ID, _DATE, MONTH, _EVENT, _GATEWAY, _KNOWN, _KEY, _ORDINAL, *columns),
        key=("raw_key", "ordinal"),
        order=("raw_key", "ordinal"),
        partition="month",
        event_column="ts_event",
        known_at="venue_receipt",
    )


SILVER_ORDERS = (
    _record(
        "silver.futures_events",
        "Every record of an order feed (mbo, mbp-10, mbp-1), in the order of the file.",
        (
            _ACTION,
            _SIDE,
            _PRICE,
            _SIZE,
            Column(
                "depth",
                pl.Int16(),
                "Level of the book that changed, 0 best; null for mbo",
                nullable=True,
            ),
            Column("order_id", pl.Int64(), "The venue's order id; null but for mbo", nullable=True),
            Column("flags", pl.Int16(), "128 last of event, 32 snapshot, 8 bad receipt, 2 vendor"),
            Column("channel_id", pl.Int16(), "Channel; null but for mbo", nullable=True),
            Column("ts_in_delta", pl.Int32(), "ts_gateway minus sending time at the venue", "ns"),
            Column("sequence", pl.Int64(), "Message sequence of the venue"),
            _LEVELS,
        ),
    ),
    Dataset(
        "silver.futures_depth",
        "What each record did to the book: one row a price level changed, with its cause. Applied"
        " in order they give the book exactly (of a ten-level feed: its ten levels a side).",
        (
            SYMBOL,
            _ID,
            _DATE,
            MONTH,
            _EVENT,
            _KNOWN,
            _KEY,
            _ORDINAL,
            Column("change", pl.Int16(), "Number of the change within its record, from 0"),
            _code("side", "A ask, B bid"),
            Column("price_ticks", pl.Int32(), "Price of the level", _TICKS),
            Column("size", pl.Int32(), "Resting there afterwards; 0 = level gone", "contracts"),
            Column("orders", pl.Int32(), "Orders resting there afterwards", "count"),
            Column(
                "cause",
                pl.Int8(),
                "1 add, 2 cancel, 3 fill, 4 came into view, 5 left it, 6 snapshot or clear",
            ),
            Column(
                "quantity", pl.Int32(), "Signed change by that cause; 0 for 4 and 5", "contracts"
            ),
            _LEVELS,
        ),
        key=("raw_key", "ordinal", "change"),
        order=("raw_key", "ordinal", "change"),
        partition="month",
        event_column="ts_event",
        known_at="venue_receipt",
    ),
    _record(
        "silver.futures_trades",
        "Trades of the trades and tbbo feeds; trades of order feeds are in silver.futures_events.",
        (
            _SIDE,
            _PRICE,
            _SIZE,
            Column("flags", pl.Int16(), "128 last of event, 32 snapshot, 8 bad receipt, 2 vendor"),
            Column("ts_in_delta", pl.Int32(), "ts_gateway minus sending time at the venue", "ns"),
            Column("sequence", pl.Int64(), "Message sequence of the venue"),
            *(
                Column(f"{side}_{what}", pl.Int32(), f"{text} before the trade (tbbo)", unit, True)
                for side, best in (("bid", "Best bid"), ("ask", "Best ask"))
                for what, text, unit in (
                    ("ticks", best, _TICKS),
                    ("size", f"Size at the {best.lower()}", "contracts"),
                    ("orders", f"Orders at the {best.lower()}", "count"),
                )
            ),
        ),
    ),
    Dataset(
        "silver.futures_minutes",
        "Minutes of a contract, made of the trades of its order data.",
        (
            SYMBOL,
            _DATE,
            MONTH,
            Column("ts_event", pl.Int64(), "Start of the minute", "ns UTC"),
            Column("open_ticks", pl.Int32(), "First trade", _TICKS),
            Column("high_ticks", pl.Int32(), "Highest trade", _TICKS),
            Column("low_ticks", pl.Int32(), "Lowest trade", _TICKS),
            Column("close_ticks", pl.Int32(), "Last trade", _TICKS),
            Column("volume", pl.Int64(), "Traded", "contracts"),
            Column("buy_volume", pl.Int64(), "Of it by buying aggressors", "contracts"),
            Column("sell_volume", pl.Int64(), "Of it by selling aggressors", "contracts"),
            Column("trades", pl.Int64(), "Trade records", "count"),
            Column("price_volume", pl.Int64(), "Σ price · size", "ticks · contracts"),
            Column("regular", pl.Boolean(), "Whether it lies in US regular hours"),
            Column("tick_size", pl.Float64(), "Price of one tick", "points"),
            _KNOWN,
        ),
        key=("symbol", "ts_event"),
        order=("symbol", "ts_event"),
        partition="month",
        event_column="ts_event",
        known_at="bar_end",
        row_checks=(
            RowCheck("low_above_high", pl.col("low_ticks") <= pl.col("high_ticks"), "low ≤ high"),
            RowCheck("volume_negative", pl.col("volume") >= 0, "volume is not negative"),
        ),
    ),
    Dataset(
        "silver.futures_profile",
        "Volume traded at each price of a contract by half hour, for volume profiles.",
        (
            SYMBOL,
            _DATE,
            MONTH,
            Column("ts_event", pl.Int64(), "Start of the half hour", "ns UTC"),
            Column("price_ticks", pl.Int32(), "Price", _TICKS),
            Column("volume", pl.Int64(), "Traded there", "contracts"),
            Column("buy_volume", pl.Int64(), "Of it by buying aggressors", "contracts"),
            Column("sell_volume", pl.Int64(), "Of it by selling aggressors", "contracts"),
            _KNOWN,
        ),
        key=("symbol", "ts_event", "price_ticks"),
        order=("symbol", "ts_event", "price_ticks"),
        partition="month",
        event_column="ts_event",
        known_at="half_hour_end",
    ),
)


def _feed(name: str, description: str, columns: tuple[Column, ...]) -> Dataset:
    return Dataset(
        name,
        description,
        (
            SYMBOL,
            _ID,
            Column("dataset", pl.String(), "Databento dataset, e.g. GLBX.MDP3"),
            Column("ts_event", pl.Int64(), "When the venue said it", "ns UTC", nullable=True),
            _GATEWAY,
            *columns,
            *PROVENANCE,
        ),
        key=("raw_sha256", "ordinal"),
        order=("symbol", "ts_gateway", "ordinal"),
        partition="",
        event_column="ts_gateway",
        known_at="venue_receipt",
    )


def _text(name: str, description: str) -> Column:
    return Column(name, pl.String(), description, nullable=True)


def _real(name: str, description: str, unit: str = "points") -> Column:
    return Column(name, pl.Float64(), description, unit, nullable=True)


def _whole(name: str, description: str, unit: str = "") -> Column:
    return Column(name, pl.Int64(), description, unit, nullable=True)


BRONZE_ORDERS = (
    Dataset(
        "bronze.databento_files",
        "One row a DBN file that was imported: what it is, how far it could be read.",
        (
            Column("raw_key", pl.Int64(), "First 63 bits of the SHA-256, as signed Int64"),
            Column("name", pl.String(), "Name of the file when it was first imported"),
            Column("dataset", pl.String(), "Databento dataset, e.g. GLBX.MDP3; empty if unknown"),
            Column("schema", pl.String(), "mbo, mbp-10, trades, definition …; mixed for live"),
            Column("dbn_version", pl.Int16(), "Version of the encoding, 1 to 3"),
            _whole("start_ns", "Start of the request", "ns UTC"),
            _whole("end_ns", "End of the request", "ns UTC"),
            Column("records", pl.Int64(), "Records read", "count"),
            Column("size_bytes", pl.Int64(), "Size of the file", "bytes"),
            _whole("first_gateway_ns", "Earliest receipt", "ns UTC"),
            _whole("last_gateway_ns", "Latest receipt", "ns UTC"),
            Column("symbols", pl.String(), "Symbols of the records, sorted, joined by comma"),
            Column("mappings", pl.String(), "instrument id ↔ symbol by date, as JSON"),
            Column("ticks", pl.String(), "JSON: symbol → [tick in 1e-9, where that comes from]"),
            Column("fault", pl.String(), "Why reading stopped early; empty if it did not"),
            *PROVENANCE,
        ),
        key=("raw_sha256",),
        order=("raw_sha256",),
        partition="",
        event_column="ts_recv",
        known_at="received",
    ),
    _feed(
        "bronze.databento_definitions",
        "Instrument definitions as the venue sent them.",
        (
            _text("raw_symbol", "Symbol of the venue"),
            _text("asset", "Product, e.g. ES"),
            _text("instrument_class", "F future, S spread, C call, P put, K stock …"),
            _text("security_type", "FUT, OOF, MLEG …"),
            _text("security_update_action", "A added, M modified, D deleted"),
            _text("exchange", "MIC of the venue"),
            _text("currency", "Currency of the price"),
            _text("unit_of_measure", "What one contract is of"),
            _text("underlying", "Underlying symbol"),
            _whole("tick_nano", "Least price step; null where undefined", "1e-9 points"),
            _real("tick_size", "Least price step"),
            _real(
                "tick_value",
                "Value of one step in the venue's scale of display (min_price_increment_amount):"
                " over display_factor it is money",
                "currency · factor",
            ),
            _real("display_factor", "Price shown over the price that the venue sends", "factor"),
            _real(
                "contract_multiplier",
                "Quantity of the unit of measure (unit_of_measure_qty); of index points: currency"
                " a point",
                "units",
            ),
            _real("strike_price", "Strike of an option"),
            _real("high_limit", "Upper price limit"),
            _real("low_limit", "Lower price limit"),
            _whole("expiration_ns", "Last trading moment", "ns UTC"),
            _whole("activation_ns", "First trading moment", "ns UTC"),
            _whole("maturity_year", "Year of maturity"),
            _whole("maturity_month", "Month of maturity"),
            _whole("leg_count", "Legs of a spread"),
        ),
    ),
    _feed(
        "bronze.databento_statistics",
        "Settlements, open interest, opening prices, session extremes: what the venue published.",
        (
            Column("stat_type", pl.Int16(), "1 opening, 3 settlement, 4 low, 5 high, 9 OI …"),
            _whole("ts_ref", "What moment or date it is about", "ns UTC"),
            _real("price", "Value, where it is a price"),
            _whole("quantity", "Value, where it is a count", "contracts"),
            _whole("sequence", "Message sequence of the venue"),
            Column("update_action", pl.Int16(), "1 added, 2 deleted"),
            Column("stat_flags", pl.Int16(), "Bit mask of the venue"),
        ),
    ),
    _feed(
        "bronze.databento_status",
        "Trading states of an instrument.",
        (
            Column("action", pl.Int16(), "Vendor's code: 7 trading, 8 halt, 10 close …"),
            Column("reason", pl.Int16(), "Vendor's code of the reason"),
            Column("trading_event", pl.Int16(), "Vendor's code of a further event"),
            _text("is_trading", "Y, N or ~"),
            _text("is_quoting", "Y, N or ~"),
            _text("is_short_sell_restricted", "Y, N or ~"),
        ),
    ),
    _feed(
        "bronze.databento_bars",
        "Bars of the ohlcv feeds.",
        (
            Column("seconds", pl.Int32(), "Length of the bar", "s"),
            _real("open", "First trade"),
            _real("high", "Highest trade"),
            _real("low", "Lowest trade"),
            _real("close", "Last trade"),
            _whole("volume", "Traded", "contracts"),
        ),
    ),
)
