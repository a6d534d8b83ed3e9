"""Order data in a lake as an import would leave it, made by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from tapemill.clock import calendar, eastern_ns
from tapemill.contracts import contract
from tapemill.lake import Lake

SECOND = 10**9
MINUTE = 60 * SECOND
QUARTER = 250_000_000
IMPORTED = datetime(2026, 1, 5, tzinfo=UTC)


def key_of(name: str) -> tuple[str, int]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return digest, int(digest[:16], 16) >> 1


def at(day: date, hour: int, minute: int = 0, second: float = 0.0) -> int:
    return eastern_ns(day, hour, minute) + round(second * SECOND)


def trades(
    symbol: str,
    moments: Sequence[int],
    prices: Sequence[int | None],
    sizes: Sequence[int] | int = 1,
    sides: str = "B",
) -> pl.DataFrame:
    """Rows of trades at given moments; a millisecond to the gateway."""
    count = len(moments)
    codes = [ord(sides[i % len(sides)]) for i in range(count)]
    return pl.DataFrame(
        {
            "symbol": [symbol] * count,
            "ts_event": pl.Series(moments, dtype=pl.Int64),
            "price_ticks": pl.Series(prices, dtype=pl.Int32),
            "size": pl.Series(np.broadcast_to(sizes, count).tolist(), dtype=pl.Int32),
            "side": pl.Series(codes, dtype=pl.Int8),
        }
    ).with_columns(ts_gateway=pl.col("ts_event") + 1_000_000)


def records(frame: pl.DataFrame, **more: object) -> pl.DataFrame:
    """Fill in what a record has besides symbol, ts_event, price_ticks, size and side."""
    defaults: dict[str, object] = {
        "ts_gateway": pl.col("ts_event") + 1_000_000,
        "instrument_id": 17,
        "action": ord("T"),
        "flags": 128,
        "ts_in_delta": 20_000,
        "sequence": pl.int_range(1, pl.len() + 1),
        "ordinal": pl.int_range(pl.len()),
        "depth": None,
        "order_id": None,
        "channel_id": None,
    }
    absent = {
        name: value for name, value in {**defaults, **more}.items() if name not in frame.columns
    }
    return frame.with_columns(
        **{name: v if isinstance(v, pl.Expr) else pl.lit(v) for name, v in absent.items()}
    )


def _placed(rows: pl.DataFrame, raw_key: int) -> pl.DataFrame:
    session = calendar("CMES").trade_dates(rows["ts_event"])
    return rows.with_columns(
        session=session,
        month=session.dt.strftime("%Y-%m"),
        known_at=(-(-rows["ts_gateway"] // 1000)).cast(pl.Datetime("us", "UTC")),
        raw_key=pl.lit(raw_key),
    )


def land(
    lake: Lake,
    name: str,
    rows: pl.DataFrame,
    *,
    schema: str = "trades",
    depth: pl.DataFrame | None = None,
    ticks: Mapping[str, tuple[int, str]] | None = None,
    fault: str = "",
    batch: int = 1_000_000,
    received: datetime = IMPORTED,
) -> None:
    """Land one file: `rows` of `records` shape; `depth` with ordinal, change, side, price …"""
    sha, raw_key = key_of(name)
    levels = {"mbo": 0, "mbp-10": 10, "mbp-1": 1}.get(schema)
    target = "silver.futures_trades" if levels is None else "silver.futures_events"
    placed = _placed(records(rows), raw_key).with_columns(book_levels=pl.lit(levels, pl.Int16))
    names = contract(target).schema.names()
    for number, start in enumerate(range(0, placed.height, batch)):
        part = placed[start : start + batch]
        frame = part.select(name for name in names if name in part.columns)
        lake.tables.append(target, frame, writer=f"orders:{sha}", sequence=number + 1)
        if depth is not None:
            own = depth.join(
                part.select(
                    "symbol",
                    "ordinal",
                    "ts_event",
                    "session",
                    "month",
                    "known_at",
                    "raw_key",
                    "book_levels",
                    "instrument_id",
                ),
                on="ordinal",
            )
            lake.tables.append(
                "silver.futures_depth",
                own.select(contract("silver.futures_depth").schema.names()),
                writer=f"depth:{sha}",
                sequence=number + 1,
            )
    symbols = sorted(placed["symbol"].unique())
    known = dict.fromkeys(symbols, (QUARTER, "definition: its own")) | dict(ticks or {})
    row = {
        "raw_key": raw_key,
        "name": name,
        "dataset": "GLBX.MDP3",
        "schema": schema,
        "dbn_version": 3,
        "start_ns": None,
        "end_ns": None,
        "records": placed.height,
        "size_bytes": 100,
        "first_gateway_ns": placed["ts_gateway"].min(),
        "last_gateway_ns": placed["ts_gateway"].max(),
        "symbols": ",".join(symbols),
        "mappings": "{}",
        "ticks": json.dumps({symbol: list(known[symbol]) for symbol in symbols}),
        "fault": fault,
        "source": "databento.file",
        "raw_sha256": sha,
        "ordinal": 0,
        "request_id": None,
        "ts_recv": received,
        "known_at": received,
    }
    declared = contract("bronze.databento_files")
    lake.tables.append(
        "bronze.databento_files",
        pl.DataFrame([row], schema=declared.schema),
        writer=f"files:{sha}",
        sequence=1,
    )


def definition(symbol: str, at_ns: int, raw: str = "definitions", **terms: object) -> pl.DataFrame:
    """One row of ``bronze.databento_definitions``, an ES outright unless `terms` say otherwise."""
    row: dict[str, object] = {
        "symbol": symbol,
        "instrument_id": 17,
        "dataset": "GLBX.MDP3",
        "ts_event": at_ns,
        "ts_gateway": at_ns,
        "raw_symbol": symbol,
        "asset": "ES",
        "instrument_class": "F",
        "exchange": "XCME",
        "currency": "USD",
        "tick_nano": QUARTER,
        "tick_size": 0.25,
        "tick_value": 0.125,
        "contract_multiplier": 50.0,
        "unit_of_measure": "IPNT",
        "source": "databento.file",
        "raw_sha256": key_of(raw)[0],
        "ordinal": 0,
        "ts_recv": IMPORTED,
        "known_at": datetime.fromtimestamp(at_ns / 1e9, tz=UTC),
        **terms,
    }
    declared = contract("bronze.databento_definitions")
    return pl.DataFrame([row], schema_overrides=declared.schema).pipe(declared.conform)
