"""Instrument definitions, statistics, trading states and bars as rows of bronze.

Every frame has the columns of its contract but those of provenance that belong to the import, in
the order of the records. What the venue left undefined is null, never a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl

from tapemill.book.records import UNDEFINED
from tapemill.contracts.orders import BRONZE_ORDERS
from tapemill.vendors.databento.reader import RecordChunk
from tapemill.vendors.shape import PROVENANCE_LATER

__all__ = ["parse_bars", "parse_definitions", "parse_statistics", "parse_status"]

SymbolOf = Callable[[int, int], str | None]

_SCALE = 1e9
_SECOND = 10**9
_BAR_SECONDS = {0x20: 1, 0x21: 60, 0x22: 3600, 0x23: 86_400, 0x24: 86_400}
_SCHEMAS = {
    dataset.name: {n: t for n, t in dataset.schema.items() if n not in PROVENANCE_LATER}
    for dataset in BRONZE_ORDERS
}


def _null_where(values: Any, missing: Any) -> pl.Series:
    return pl.Series(values).set(pl.Series(missing), None)


def _time(records: Any, name: str) -> pl.Series:
    """Nanoseconds UTC; 2^64 - 1, and all that a signed number cannot hold, is null."""
    values = records[name].astype(np.int64)
    return _null_where(values, values < 0)


def _nano(records: Any, name: str) -> pl.Series:
    values = records[name].astype(np.int64)
    return _null_where(values, values == UNDEFINED)


def _price(records: Any, name: str) -> pl.Series:
    values = records[name].astype(np.int64)
    # Divided by NumPy: Polars multiplies by 1e-9, and 3850 becomes 3850.0000000000005.
    return _null_where(values / _SCALE, values == UNDEFINED)


def _whole(records: Any, name: str) -> pl.Series:
    """A whole number; the greatest of its type means that it is undefined."""
    values = records[name]
    return _null_where(values.astype(np.int64), values == np.iinfo(values.dtype).max)


def _words(records: Any, name: str) -> list[str]:
    return [
        value.split(b"\0", 1)[0].decode("utf-8", "replace").rstrip(" ")
        for value in records[name].tolist()
    ]


def _text(records: Any, name: str) -> pl.Series:
    return pl.Series([word or None for word in _words(records, name)], dtype=pl.String)


def _symbols(ids: Any, times: Iterable[int | None], symbol_of: SymbolOf) -> pl.Series:
    found = [
        None if at is None else symbol_of(number, at)
        for number, at in zip(ids.tolist(), times, strict=True)
    ]
    return pl.Series(found, dtype=pl.String)


def _frame(name: str, chunk: RecordChunk, dataset: str, columns: dict[str, Any]) -> pl.DataFrame:
    columns |= {
        "instrument_id": chunk.records["instrument_id"].astype(np.int64),
        "dataset": pl.Series([dataset] * len(chunk.records), dtype=pl.String),
        "ordinal": chunk.ordinals,
    }
    schema = _SCHEMAS[name]
    return pl.DataFrame({column: columns[column] for column in schema}, strict=False).cast(schema)  # type: ignore[arg-type]


def parse_definitions(chunk: RecordChunk, dataset: str) -> pl.DataFrame:
    """Rows of ``bronze.databento_definitions``; the symbol is the record's own.

    Parameters
    ----------
    chunk : RecordChunk
        Of kind ``definition``, of any DBN version.
    dataset : str
        The vendor's name of the dataset.

    Returns
    -------
    pl.DataFrame
        One row a record. A tick of zero is no tick and a factor of zero no factor: null.
        `tick_value` is the field as the vendor gives it, in the venue's scale of display; over
        `display_factor` it is money (ES: 0.125 over 0.01 is 12.50 dollars).
    """
    records: Any = chunk.records
    tick = _nano(records, "min_price_increment")
    tick = tick.set(tick <= 0, None)
    factor = _price(records, "display_factor")
    legs = "leg_count" in (records.dtype.names or ())
    return _frame(
        "bronze.databento_definitions",
        chunk,
        dataset,
        {
            "symbol": _text(records, "raw_symbol"),
            "ts_event": _time(records, "ts_event"),
            "ts_gateway": _time(records, "ts_recv"),
            **{
                name: _text(records, name)
                for name in (
                    "raw_symbol",
                    "asset",
                    "instrument_class",
                    "security_type",
                    "security_update_action",
                    "exchange",
                    "currency",
                    "unit_of_measure",
                    "underlying",
                )
            },
            "tick_nano": tick,
            "tick_size": _price(records, "min_price_increment").set(tick.is_null(), None),
            "tick_value": _price(records, "min_price_increment_amount"),
            "display_factor": factor.set(factor <= 0, None),
            "contract_multiplier": _price(records, "unit_of_measure_qty"),
            "strike_price": _price(records, "strike_price"),
            "high_limit": _price(records, "high_limit_price"),
            "low_limit": _price(records, "low_limit_price"),
            "expiration_ns": _time(records, "expiration"),
            "activation_ns": _time(records, "activation"),
            "maturity_year": _whole(records, "maturity_year"),
            "maturity_month": _whole(records, "maturity_month"),
            "leg_count": _whole(records, "leg_count")
            if legs
            else pl.Series([None] * len(records), dtype=pl.Int64),
        },
    )


def parse_statistics(chunk: RecordChunk, dataset: str, symbol_of: SymbolOf) -> pl.DataFrame:
    """Rows of ``bronze.databento_statistics``.

    Parameters
    ----------
    chunk : RecordChunk
        Of kind ``statistics``, of any DBN version.
    dataset : str
    symbol_of : callable
        :meth:`DbnFile.symbol_of`, or another that names an id at a moment. Where it does not know,
        `symbol` is null.
    """
    records: Any = chunk.records
    received = _time(records, "ts_recv")
    return _frame(
        "bronze.databento_statistics",
        chunk,
        dataset,
        {
            "symbol": _symbols(records["instrument_id"], received, symbol_of),
            "ts_event": _time(records, "ts_event"),
            "ts_gateway": received,
            "stat_type": records["stat_type"].astype(np.int64),
            "ts_ref": _time(records, "ts_ref"),
            "price": _price(records, "price"),
            "quantity": _whole(records, "quantity"),
            "sequence": records["sequence"].astype(np.int64),
            "update_action": records["update_action"].astype(np.int64),
            "stat_flags": records["stat_flags"].astype(np.int64),
        },
    )


def parse_status(chunk: RecordChunk, dataset: str, symbol_of: SymbolOf) -> pl.DataFrame:
    """Rows of ``bronze.databento_status``; parameters as of :func:`parse_statistics`."""
    records: Any = chunk.records
    received = _time(records, "ts_recv")
    return _frame(
        "bronze.databento_status",
        chunk,
        dataset,
        {
            "symbol": _symbols(records["instrument_id"], received, symbol_of),
            "ts_event": _time(records, "ts_event"),
            "ts_gateway": received,
            **{
                name: records[name].astype(np.int64)
                for name in ("action", "reason", "trading_event")
            },
            **{
                name: _text(records, name)
                for name in ("is_trading", "is_quoting", "is_short_sell_restricted")
            },
        },
    )


def parse_bars(chunk: RecordChunk, dataset: str, symbol_of: SymbolOf) -> pl.DataFrame:
    """Rows of ``bronze.databento_bars``; parameters as of :func:`parse_statistics`.

    Bars have no receipt: `ts_gateway` is the end of the bar. Records of the old type without a
    length (before 2023) have null for both, and the importer sets them aside.
    """
    records: Any = chunk.records
    started = _time(records, "ts_event")
    seconds = pl.Series(records["rtype"].astype(np.int64)).replace_strict(
        _BAR_SECONDS, default=None, return_dtype=pl.Int64
    )
    return _frame(
        "bronze.databento_bars",
        chunk,
        dataset,
        {
            "symbol": _symbols(records["instrument_id"], started, symbol_of),
            "ts_event": started,
            "ts_gateway": started + seconds * _SECOND,
            "seconds": seconds,
            **{name: _price(records, name) for name in ("open", "high", "low", "close")},
            "volume": _time(records, "volume"),
        },
    )
