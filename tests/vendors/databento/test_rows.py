"""Definitions, statistics, states and bars as rows, against the vendor's decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import polars as pl
import pytest

from tapemill.contracts.orders import BRONZE_ORDERS
from tapemill.vendors.databento import (
    DbnFile,
    RecordChunk,
    parse_bars,
    parse_definitions,
    parse_statistics,
    parse_status,
)
from tapemill.vendors.shape import PROVENANCE_LATER
from vendors.databento.made import decoded

CONTRACTS = {dataset.name: dataset for dataset in BRONZE_ORDERS}
UNDEFINED, NO_TIME = 2**63 - 1, 2**64 - 1


def rows_of(path: Path, schema: str | None = None) -> tuple[str, pl.DataFrame]:
    parsers: dict[str, Any] = {
        "definition": lambda chunk, file: parse_definitions(chunk, file.metadata.dataset),
        "statistics": lambda c, f: parse_statistics(c, f.metadata.dataset, f.symbol_of),
        "status": lambda c, f: parse_status(c, f.metadata.dataset, f.symbol_of),
        "ohlcv": lambda c, f: parse_bars(c, f.metadata.dataset, f.symbol_of),
    }
    with DbnFile.open(path, schema=schema) as file:
        chunks = [chunk for chunk in file.chunks() if chunk.kind in parsers]
        frames = [parsers[chunk.kind](chunk, file) for chunk in chunks]
    return (chunks[0].kind if chunks else ""), pl.concat(frames) if frames else pl.DataFrame()


def their_records(path: Path) -> list[Any]:
    decoder = dbn.DBNDecoder()
    decoder.write(decoded(path))
    return [record for record in decoder.decode() if not isinstance(record, dbn.Metadata)]


def price(value: int) -> float | None:
    return None if value == UNDEFINED else value / 1e9


def moment(value: int) -> int | None:
    return None if value == NO_TIME else value


def definition(record: Any) -> dict[str, Any]:
    tick = None if record.min_price_increment in (UNDEFINED, 0) else record.min_price_increment
    texts = ("asset", "security_type", "exchange", "currency", "unit_of_measure", "underlying")
    return {
        "symbol": record.raw_symbol,
        "instrument_id": record.instrument_id,
        "ts_event": moment(record.ts_event),
        "ts_gateway": record.ts_recv,
        **{name: getattr(record, name) or None for name in texts},
        "instrument_class": str(record.instrument_class),
        "security_update_action": str(record.security_update_action),
        "tick_nano": tick,
        "tick_size": tick and tick / 1e9,
        "tick_value": price(record.min_price_increment_amount),
        "display_factor": price(record.display_factor),
        "contract_multiplier": price(record.unit_of_measure_qty),
        "strike_price": price(record.strike_price),
        "high_limit": price(record.high_limit_price),
        "low_limit": price(record.low_limit_price),
        "expiration_ns": moment(record.expiration),
        "activation_ns": moment(record.activation),
        "maturity_year": None if record.maturity_year == 65535 else record.maturity_year,
        "maturity_month": None if record.maturity_month == 255 else record.maturity_month,
    }


def statistic(record: Any) -> dict[str, Any]:
    return {
        "instrument_id": record.instrument_id,
        "ts_event": moment(record.ts_event),
        "ts_gateway": record.ts_recv,
        "stat_type": int(record.stat_type),
        "ts_ref": moment(record.ts_ref),
        "price": price(record.price),
        "quantity": None if record.quantity == UNDEFINED else record.quantity,
        "sequence": record.sequence,
        "update_action": int(record.update_action),
        "stat_flags": record.stat_flags,
    }


def state(record: Any) -> dict[str, Any]:
    said = {True: "Y", False: "N", None: "~"}
    return {
        "ts_event": moment(record.ts_event),
        "ts_gateway": record.ts_recv,
        **{name: int(getattr(record, name)) for name in ("action", "reason", "trading_event")},
        **{
            name: said[getattr(record, name)]
            for name in ("is_trading", "is_quoting", "is_short_sell_restricted")
        },
    }


def candle(record: Any) -> dict[str, Any]:
    seconds = {32: 1, 33: 60, 34: 3600, 35: 86_400}[int(record.rtype)]
    return {
        "ts_event": record.ts_event,
        "ts_gateway": record.ts_event + seconds * 10**9,
        "seconds": seconds,
        **{name: price(getattr(record, name)) for name in ("open", "high", "low", "close")},
        "volume": record.volume,
    }


@pytest.mark.real
def test_rows_hold_what_the_vendors_decoder_reads(real_data: Path) -> None:
    kinds: dict[str, tuple[str, Any]] = {
        "definition": ("bronze.databento_definitions", definition),
        "statistics": ("bronze.databento_statistics", statistic),
        "status": ("bronze.databento_status", state),
        "ohlcv": ("bronze.databento_bars", candle),
    }
    seen = dict.fromkeys(kinds, 0)
    for path in sorted((real_data / "databento").rglob("*.dbn*")):
        if ".frag" in path.name or not any(kind in path.name for kind in kinds):
            continue
        kind, frame = rows_of(path)
        if not kind:
            continue
        name, expected = kinds[kind]
        contract = {n: t for n, t in CONTRACTS[name].schema.items() if n not in PROVENANCE_LATER}
        assert dict(frame.schema) == contract, path.name
        wanted = [expected(record) for record in their_records(path)]
        assert frame.select(wanted[0].keys()).to_dicts() == wanted, path.name
        assert frame["ordinal"].to_list() == list(range(len(wanted)))
        seen[kind] += len(wanted)
    assert all(seen.values())


@pytest.mark.real
def test_definitions_of_old_fragments_are_those_of_the_new(real_data: Path) -> None:
    folder = real_data / "databento" / "official-dbn"
    frames = [
        rows_of(folder / f"test_data.definition.v{number}.dbn.frag", "definition")[1]
        for number in (1, 2, 3)
    ]
    assert frames[0].drop("leg_count").equals(frames[2].drop("leg_count"))
    assert frames[1].drop("leg_count").equals(frames[2].drop("leg_count"))
    assert frames[0]["symbol"][0] == "GEM3 P9812"


@pytest.mark.real
def test_the_contract_of_the_real_hour_is_defined(real_data: Path) -> None:
    path = real_data / "databento" / "es-real" / "futures_definition.dbn.zst"
    row = rows_of(path)[1].row(0, named=True)
    assert row["symbol"] == "ESU4"
    assert (row["tick_nano"], row["contract_multiplier"]) == (250_000_000, 50.0)
    assert (row["tick_value"], row["display_factor"]) == (0.125, 0.01)
    assert (row["asset"], row["instrument_class"], row["maturity_month"]) == ("ES", "F", 9)


def chunk_of(record: Any, kind: str, **fields: Any) -> RecordChunk:
    rows = np.zeros(1, dtype=np.dtype(record._dtypes))
    for name, value in fields.items():
        rows[name] = value
    return RecordChunk(kind, 3, rows, np.array([5]))


def test_what_is_undefined_is_null() -> None:
    chunk = chunk_of(
        dbn.StatMsg,
        "statistics",
        ts_event=NO_TIME,
        ts_recv=NO_TIME,
        ts_ref=NO_TIME,
        price=UNDEFINED,
        quantity=UNDEFINED,
    )
    row = parse_statistics(chunk, "GLBX.MDP3", lambda number, at: "ESH4").row(0, named=True)
    for name in ("symbol", "ts_event", "ts_gateway", "ts_ref", "price", "quantity"):
        assert row[name] is None
    old = chunk_of(dbn.StatMsgV1, "statistics", quantity=2**31 - 1)
    assert parse_statistics(old, "", lambda number, at: "ESH4")["quantity"].to_list() == [None]
    bar = chunk_of(dbn.OHLCVMsg, "ohlcv", rtype=0x11, open=UNDEFINED, volume=NO_TIME)
    row = parse_bars(bar, "", lambda number, at: "ESH4").row(0, named=True)
    for name in ("seconds", "ts_gateway", "open", "volume"):
        assert row[name] is None
    none = parse_definitions(chunk_of(dbn.InstrumentDefMsg, "definition"), "").row(0, named=True)
    for name in ("tick_nano", "tick_size", "display_factor", "symbol"):
        assert none[name] is None
    unsaid = chunk_of(dbn.InstrumentDefMsg, "definition", display_factor=UNDEFINED)
    assert parse_definitions(unsaid, "")["display_factor"].to_list() == [None]


def test_text_that_is_no_text_does_not_stop_the_reading() -> None:
    chunk = chunk_of(dbn.InstrumentDefMsg, "definition", raw_symbol=b"ES\xff4\0rest", asset=b"ES ")
    frame = parse_definitions(chunk, "GLBX.MDP3")
    assert frame["symbol"].to_list() == ["ES\N{REPLACEMENT CHARACTER}4"]
    assert frame["asset"].to_list() == ["ES"]
    assert frame["ordinal"].to_list() == [5]
