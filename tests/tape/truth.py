"""Real tapes whose aggressor is known, and two whose is not, read without any code under test.

Where the source gives the order of events, times carry that order in their last nanoseconds, so
that "before" means before.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tapemill.tape import Quotes, Trades

Array = Any


@dataclasses.dataclass(frozen=True)
class Tape:
    """Prints, quotes, the true side (+1 the buyer was the aggressor, 0 not known) and a label."""

    name: str
    trades: Trades
    quotes: Quotes
    truth: Array
    label: Array


def _in_order(ts: Array) -> Array:
    """Add the rank within each run of equal times, in nanoseconds."""
    rows = np.arange(ts.size)
    first = np.maximum.accumulate(np.where(np.r_[True, ts[1:] != ts[:-1]], rows, 0))
    return ts + rows - first


def lobster(data: Path) -> Tape:
    """AMZN 2012-06-21 on Nasdaq: book after each event; direction is the resting order's."""
    folder = data / "ticks/lobster-amzn-2012"
    message = pl.read_csv(next(folder.glob("*message_1.csv")))
    book = pl.read_csv(next(folder.glob("*orderbook_1.csv")))
    ts = _in_order((message["Time"].to_numpy() * 1e5).round().astype(np.int64) * 10_000)
    kind = message["Type"].to_numpy()
    traded = (kind == 4) | (kind == 5)
    rows = np.flatnonzero(traded)
    trades = Trades.of(
        ts[rows],
        message["Price"].to_numpy()[rows] / 10_000,
        message["Size"].to_numpy()[rows],
    )
    bid, ask = book["BestBid"].to_numpy() / 10_000, book["BestAsk"].to_numpy() / 10_000
    truth = -message["Direction"].to_numpy()[rows].astype(np.int8)
    return Tape("AMZN", trades, Quotes.of(ts, bid, ask), truth, np.where(kind[rows] == 4, 0, 1))


def binance(data: Path) -> Tape:
    """BTCUSDT spot as received on one machine: trades and best bid/ask are separate streams."""
    trades, quotes = [], []
    with gzip.open(data / "ticks/crypto/btcusdt_spot_20240808.gz", "rt") as lines:
        for line in lines:
            received, _, message = line.partition(" ")
            event = json.loads(message)
            body = event.get("data", {})
            if event.get("stream", "").endswith("@trade"):
                trades.append(
                    (int(received), float(body["p"]), float(body["q"]), -1 if body["m"] else 1)
                )
            elif event.get("stream", "").endswith("@bookTicker"):
                quotes.append((int(received), float(body["b"]), float(body["a"])))
    ts, price, size, truth = (np.array(column) for column in zip(*trades, strict=True))
    made, bid, ask = (np.array(column) for column in zip(*quotes, strict=True))
    tape = Trades.of(ts, price, size)
    return Tape(
        "BTCUSDT", tape, Quotes.of(made, bid, ask), truth.astype(np.int8), np.zeros(ts.size)
    )


def kraken(data: Path) -> Tape:
    """XBTUSDT on Kraken: no quotes."""
    answer = json.loads((data / "ticks/crypto/kraken_http_trades.json").read_text())
    rows = next(v for k, v in answer["result"].items() if k != "last")
    rows.sort(key=lambda row: (row[2], row[6]))
    ts = _in_order(np.array([int(row[2] * 1e6) * 1000 for row in rows], np.int64))
    trades = Trades.of(ts, [float(r[0]) for r in rows], [float(r[1]) for r in rows])
    truth = np.array([1 if row[3] == "b" else -1 for row in rows], np.int8)
    return Tape("XBTUSDT", trades, Quotes.none(), truth, np.zeros(len(rows)))


def es_future(data: Path) -> Tape:
    """ESH4 after the Christmas close: each trade stands in the stream of book changes."""
    import databento_dbn as dbn
    import zstandard

    path = data / "databento/es-derived/esh4-20231225-a.mbp-10.dbn.zst"
    decoder = dbn.DBNDecoder()
    decoder.write(zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read())
    records = [r for r in decoder.decode() if isinstance(r, dbn.MBP10Msg)]
    ts = _in_order(np.array([r.ts_event for r in records], np.int64))
    traded = np.array([str(r.action) == "T" or r.action == dbn.Action.TRADE for r in records])
    none = dbn.UNDEF_PRICE
    bid, ask = (
        np.array([0 if (p := getattr(r.levels[0], side)) == none else p for r in records]) / 1e9
        for side in ("bid_px", "ask_px")
    )
    sides = {"B": 1, "A": -1}
    truth = np.array([sides.get(str(r.side), 0) for r in records], np.int8)
    rows, books = np.flatnonzero(traded), np.flatnonzero(~traded)
    trades = Trades.of(
        ts[rows],
        np.array([records[i].price for i in rows]) / 1e9,
        [records[i].size for i in rows],
        auction=truth[rows] == 0,
    )
    quotes = Quotes.of(ts[books], bid[books], ask[books])
    return Tape("ESH4", trades, quotes, truth[rows], np.zeros(rows.size))


def _taq_ns(column: pl.Series) -> pl.Series:
    clock = column.str.split(":")
    whole = clock.list.get(2).str.split(".")
    seconds = (
        clock.list.get(0).cast(pl.Int64) * 3600
        + clock.list.get(1).cast(pl.Int64) * 60
        + whole.list.get(0).cast(pl.Int64)
    )
    return seconds * 10**9 + whole.list.get(1).cast(pl.Int64)


def taq(data: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """ETR 2019-05-08: trades and quotes of every exchange, ``ns`` since midnight New York."""
    folder = data / "ticks/taq-etr-2019"
    text = {"TIME_M": pl.String, "TR_SCOND": pl.String, "TR_CORR": pl.String}
    trades = pl.read_csv(folder / "TAQtrades.csv.gz", schema_overrides=text)
    quotes = pl.read_csv(
        folder / "TAQquotes.csv.gz", schema_overrides=text, infer_schema_length=None
    )
    return tuple(f.with_columns(ns=_taq_ns(f["TIME_M"])) for f in (trades, quotes))  # type: ignore


def lean_rows(data: Path, name: str) -> Iterator[list[str]]:
    """Rows of one zipped CSV of AIG's ticks."""
    with zipfile.ZipFile(data / "lean/equity/usa/tick/aig" / name) as box:
        for member in box.namelist():
            yield from (line.split(",") for line in io.TextIOWrapper(box.open(member)))
