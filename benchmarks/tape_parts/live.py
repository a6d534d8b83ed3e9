"""A live date record by record: `LadderBook.apply` and `LiveDay.advance` for each one.

Forty levels of the user's stand around the price, and the clock of the feed is pressed so that ten
times as many records come a second as on a day of twenty million. Each record is timed by itself,
with what the minute's end asks for (levels anew) at the record that it comes with.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from made import INSTRUMENT, TICK, inputs, peak_mb, result

from tapemill.book import LadderBook
from tapemill.levels.day import LiveDay
from tapemill.levels.user_levels import read_user_levels
from tapemill.settings import default_settings
from tapemill.vendors.databento import DbnFile

LEVELS, STEP_TICKS = 40, 5
RECORDS_S = 10 * 20_000_000 / (23 * 3600)
MOST = 400_000


def first_records(path: Path) -> np.ndarray:
    parts, found = [], 0
    with DbnFile.open(path) as file:
        for chunk in file.chunks():
            parts.append(chunk.records.copy())
            found += len(chunk.ordinals)
            if found >= MOST:
                break
    records = np.concatenate(parts)[:MOST]
    start = int(records["ts_recv"][0])
    slower = len(records) / RECORDS_S * 1e9 / (int(records["ts_recv"][-1]) - start)
    for name in ("ts_event", "ts_recv"):
        records[name] = start + ((records[name] - start) * slower).astype(np.int64)
    records.flags.writeable = False
    return records


def levels_around(ticks: int) -> pl.DataFrame:
    lines = ["symbol,price,name,valid_from,valid_to"]
    for k in range(LEVELS):
        price = (ticks + (k - LEVELS // 2) * STEP_TICKS) * TICK
        lines.append(f"{INSTRUMENT.symbol},{price},level {k},2023-12-25T17:00,")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "levels.csv"
        path.write_text("\n".join(lines))
        return read_user_levels(path)


def main() -> None:
    claim, path = sys.argv[1], Path(sys.argv[2])
    records = first_records(path)
    ordinals = np.arange(len(records))
    prices = records["price"][records["action"] == ord("T")]
    given = inputs(levels_around(int(np.median(prices)) // INSTRUMENT.tick_nano))
    book, live = LadderBook(INSTRUMENT.tick_nano), LiveDay(given, default_settings().levels)
    took = np.empty(len(records), np.int64)
    gc.collect()
    gc.freeze()
    clock = time.perf_counter_ns
    for i in range(len(records)):
        begun = clock()
        events, changes = book.apply(records[i : i + 1], ordinals[i : i + 1])
        live.advance(events, changes)
        took[i] = clock() - begun
    day = live.finish()
    peak = peak_mb()
    last = int(records["ts_recv"][-1])
    active = day.levels.filter(
        (pl.col("valid_from_ns") <= last) & (pl.col("valid_to_ns").fill_null(last + 1) > last)
    )
    seconds = (last - int(records["ts_recv"][0])) / 1e9
    assert len(records) < MOST or active.height >= LEVELS
    print(f"{len(records):,} records of {seconds:.0f} s, {day.features.height} decisions")
    p50, p99, p999 = np.percentile(took, [50, 99, 99.9]) / 1e3
    result(
        claim,
        records=len(records),
        ours=round(took.sum() / 1e9, 2),
        p50_us=round(p50, 1),
        p99_us=round(p99, 1),
        p999_us=round(p999, 1),
        most_ms=round(took.max() / 1e6, 1),
        levels=active.height,
        records_s=round(len(records) / seconds),
        peak_mb=peak,
    )


if __name__ == "__main__":
    main()
