"""DBN files of order data made from nothing but their arguments, and what they must become."""

from __future__ import annotations

import datetime as dt

import numpy as np
import zstandard

from tapemill.book.records import MBO, TRADE
from tapemill.world.dbn_writer import encode_definitions, encode_metadata
from tapemill.world.order_book_spec import FuturesInstrument

EVENING = int(dt.datetime(2024, 1, 3, 23, 30, tzinfo=dt.UTC).timestamp()) * 10**9
DAY = 86_400 * 10**9
ESH4 = FuturesInstrument()
ESM4 = FuturesInstrument(symbol="ESM4", instrument_id=5602, expiration=dt.date(2024, 6, 21))
SPREAD = FuturesInstrument(
    symbol="ESH4-ESM4", instrument_id=991, tick_nano=50_000_000, legs=("ESH4", "ESM4")
)
ADD, CANCEL, TRADED = (ord(letter) for letter in "ACT")
BUY, SELL = ord("B"), ord("A")


def orders(count, instruments=(ESH4,), seed=0, start_ns=EVENING, step_ns=40_000_000):
    """Records of every order: each is added and, three records later, cancelled or not."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, MBO)
    rows["length"], rows["rtype"], rows["publisher_id"] = MBO.itemsize // 4, 0xA0, 1
    rows["ts_event"] = start_ns + np.arange(count) * step_ns + rng.integers(0, 9_999, count)
    rows["ts_recv"] = rows["ts_event"] + rng.integers(90_000, 99_000, count)
    rows["ts_in_delta"] = rng.integers(9_000, 20_000, count)
    rows["sequence"] = np.arange(count) * 3
    rows["flags"] = 130
    which = rng.integers(0, len(instruments), count)
    live = [[] for _ in instruments]
    for k in range(count):
        instrument, resting = instruments[which[k]], live[which[k]]
        row = rows[k]
        row["instrument_id"] = instrument.instrument_id
        if len(resting) > 3 and rng.random() < 0.5:
            order = resting.pop(rng.integers(len(resting)))
            for name in ("order_id", "price", "size", "side"):
                row[name] = order[name]
            row["action"] = CANCEL
            continue
        bid = rng.random() < 0.5
        row["action"], row["side"] = ADD, BUY if bid else SELL
        away = int(rng.integers(1, 40))
        row["price"] = (19_200 - away if bid else 19_200 + away) * instrument.tick_nano
        row["order_id"], row["size"] = 10_000 + k, rng.integers(1, 50)
        resting.append(row.copy())
    return rows


def trades(count, instruments=(ESH4,), seed=0, start_ns=EVENING):
    """Trades a second apart."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, TRADE)
    rows["length"], rows["publisher_id"] = TRADE.itemsize // 4, 1
    which = rng.integers(0, len(instruments), count)
    rows["instrument_id"] = np.array([one.instrument_id for one in instruments])[which]
    ticks = np.array([one.tick_nano for one in instruments])[which]
    rows["price"] = rng.integers(19_100, 19_300, count) * ticks
    rows["ts_event"] = start_ns + np.arange(count) * 10**9
    rows["ts_recv"] = rows["ts_event"] + 95_001
    rows["size"] = rng.integers(1, 99, count)
    rows["action"], rows["flags"] = TRADED, 130
    rows["side"] = np.where(rng.random(count) < 0.5, BUY, SELL)
    return rows


def dbn(schema, records, instruments=(ESH4,)):
    """A whole file, plain."""
    first, last = int(records["ts_recv"].min()), int(records["ts_recv"].max())
    head = encode_metadata(schema, instruments, first - first % DAY, last - last % DAY + DAY)
    return head + records.tobytes()


def definitions(instruments, at_ns=EVENING - DAY):
    """A file of definitions."""
    head = encode_metadata("definition", instruments, at_ns, at_ns + DAY)
    return head + encode_definitions(instruments, at_ns)


def write(folder, name, content):
    """Keep a file, packed if its name says so; its path."""
    path = folder / name
    packed = zstandard.ZstdCompressor(level=3).compress(content)
    path.write_bytes(packed if name.endswith(".zst") else content)
    return path
