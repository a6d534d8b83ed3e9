"""A live date record by record: `LadderBook.apply` and `LiveDay.advance` for each one.

Forty levels of the user's stand around the price, and the clock of the feed is pressed so that ten
times as many records come a second as on a day of twenty million. Each record is timed by itself,
with what the minute's end asks for (levels anew) at the record that it comes with. The minutes of
the session stand for those of the one before, so that volatility is known from the start.
`p99_busy_us` is processor time: what other programs take from the machine is not in it.
"""

from __future__ import annotations

import dataclasses
import gc
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from made import INSTRUMENT, SESSION, TICK, inputs, peak_mb, result

from tapemill.book import LadderBook
from tapemill.book.records import MBP_10
from tapemill.clock import calendar
from tapemill.levels.arrivals import ArrivalMinutes
from tapemill.levels.day import LiveDay
from tapemill.levels.file_day import file_trades
from tapemill.levels.user_levels import read_user_levels
from tapemill.settings import default_settings
from tapemill.vendors.databento import DbnFile

LEVELS, STEP_TICKS = 40, 5
RECORDS_S = 10 * 20_000_000 / (23 * 3600)
MOST = 250_000


def first_records(path: Path) -> np.ndarray:
    """The first records of the session, as they were made."""
    records = np.empty(MOST, MBP_10)
    found = 0
    with DbnFile.open(path) as file:
        for chunk in file.chunks():
            part = chunk.records[: MOST - found]
            records[found : found + len(part)] = part
            found += len(part)
    return records[:found]


def press(records: np.ndarray) -> None:
    """Make them come at `RECORDS_S`, in place."""
    start = int(records["ts_recv"][0])
    slower = len(records) / RECORDS_S * 1e9 / (int(records["ts_recv"][-1]) - start)
    for name in ("ts_event", "ts_recv"):
        records[name] = start + ((records[name] - start) * slower).astype(np.int64)
    records.flags.writeable = False


def minutes_before(path: Path) -> pl.DataFrame:
    """The same session as if it had been the one before, so that volatility is known."""
    before = calendar("CMES").previous(SESSION)
    trades = file_trades(path, inputs())
    days = calendar("CMES").session(SESSION).open_ns - calendar("CMES").session(before).open_ns
    minutes = ArrivalMinutes(INSTRUMENT.symbol, before)
    minutes.advance(trades._replace(ts_gateway=trades.ts_gateway - days))
    minutes.finish()
    return minutes.frame()


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
    given = dataclasses.replace(given, history=minutes_before(path))
    press(records)
    book, live = LadderBook(INSTRUMENT.tick_nano), LiveDay(given, default_settings().levels)
    took, busy = np.empty(len(records), np.int64), np.empty(len(records), np.int64)
    gc.collect()
    gc.freeze()
    clock, own = time.perf_counter_ns, time.thread_time_ns
    for i in range(len(records)):
        working, begun = own(), clock()
        events, changes = book.apply(records[i : i + 1], ordinals[i : i + 1])
        live.advance(events, changes)
        took[i] = clock() - begun
        busy[i] = own() - working
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
        p99_busy_us=round(np.percentile(busy, 99) / 1e3, 1),
        p999_us=round(p999, 1),
        most_ms=round(took.max() / 1e6, 1),
        levels=active.height,
        records_s=round(len(records) / seconds),
        peak_mb=peak,
    )


if __name__ == "__main__":
    main()
