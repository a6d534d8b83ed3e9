"""Stretches of a file as they come out of the readers, before they become rows."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tapemill.book import Changes, Events
from tapemill.book.records import UNDEFINED

__all__ = [
    "STRETCHES_A_BATCH",
    "STRETCH_RECORDS",
    "EventPiece",
    "Source",
    "Stretch",
    "TradePiece",
    "rejected_rows",
    "trade_piece",
]

STRETCH_RECORDS = 65_536
"""Records of a file that are read together, counted from its start."""
STRETCHES_A_BATCH = 8
"""Stretches that land together, in one commit a table."""

NO_TICKS = int(np.iinfo(np.int32).min)


class Source(NamedTuple):
    """What a stretch of records is of; `levels` is 0 for every order."""

    symbol: str
    instrument_id: int
    levels: int


class EventPiece(NamedTuple):
    """Consecutive records of one instrument of an order feed, and what they did to its book."""

    source: Source
    events: Events
    changes: Changes


class TradePiece(NamedTuple):
    """Consecutive trades of one instrument: column name → array, all of one length."""

    source: Source
    columns: dict[str, Any]


@dataclasses.dataclass
class Stretch:
    """What came of STRETCH_RECORDS consecutive records of a file (fewer at its end).

    Parameters
    ----------
    number : int
        From 1.
    records : int
        Seen so far, of any kind.
    events, trades : list
        Pieces in the order in which they were read.
    feeds : dict
        Dataset → frames without provenance.
    rejected : list of (dataset, frame)
        Rows that are not landed: ``ordinal, symbol, session, reasons, row``.
    """

    number: int
    records: int = 0
    events: list[EventPiece] = dataclasses.field(default_factory=list)
    trades: list[TradePiece] = dataclasses.field(default_factory=list)
    feeds: dict[str, list[pl.DataFrame]] = dataclasses.field(default_factory=dict)
    rejected: list[tuple[str, pl.DataFrame]] = dataclasses.field(default_factory=list)


def trade_piece(source: Source, records: Any, ordinals: Any, tick_nano: int) -> TradePiece:
    """Columns of trades whose prices are whole numbers of ticks."""
    columns = {
        "ts_event": np.ascontiguousarray(records["ts_event"]),
        "ts_gateway": np.ascontiguousarray(records["ts_recv"]),
        "ordinal": ordinals,
        "side": records["side"].astype(np.int8),
        "price_ticks": _ticks(records["price"], tick_nano),
        "size": records["size"].astype(np.int32),
        "flags": records["flags"].astype(np.int16),
        "ts_in_delta": np.ascontiguousarray(records["ts_in_delta"]),
        "sequence": records["sequence"].astype(np.int64),
    }
    if "levels" in (records.dtype.names or ()):
        best = records["levels"][:, 0]
        for side in ("bid", "ask"):
            columns[f"{side}_ticks"] = _ticks(best[f"{side}_px"], tick_nano)
            columns[f"{side}_size"] = best[f"{side}_sz"].astype(np.int32)
            columns[f"{side}_orders"] = best[f"{side}_ct"].astype(np.int32)
    return TradePiece(source, columns)


def _ticks(prices: Any, tick_nano: int) -> Any:
    return np.where(prices == UNDEFINED, NO_TICKS, prices // tick_nano).astype(np.int32)


def rejected_rows(records: Any, ordinals: Any, symbol: str, reason: str) -> pl.DataFrame:
    """Records that are not landed, whole, with the reason why."""
    return pl.DataFrame(
        {
            "ordinal": ordinals,
            "symbol": [symbol] * len(records),
            "reasons": [reason] * len(records),
            "row": [_as_json(record) for record in records],
        },
        schema={
            "ordinal": pl.Int64,
            "symbol": pl.String,
            "reasons": pl.String,
            "row": pl.String,
        },
    )


def _as_json(record: Any) -> str:
    row: dict[str, Any] = {}
    for name in record.dtype.names:
        if name == "levels":
            row[name] = [
                dict(zip(level.dtype.names, level.item(), strict=True)) for level in record[name]
            ]
        elif name in ("action", "side"):
            row[name] = chr(record[name])
        else:
            row[name] = record[name].item()
    return json.dumps(row, separators=(",", ":"))
