"""One symbol-day out of 500 symbols x 250 sessions of minute bars: warm median read time.

The peer is the best that plain files do: Parquet of the same rows in the same order with the same
tuning, one file a month, read by Polars with the file of the month already named.
"""

from __future__ import annotations

import datetime
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from tapemill import Lake
from tapemill.clock import calendar
from tapemill.contracts import contract

DATASET = "silver.equity_bars_1m"
SYMBOLS = int(os.environ.get("TAPEMILL_BENCH_SYMBOLS", "500"))
SESSIONS = int(os.environ.get("TAPEMILL_BENCH_SESSIONS", "250"))
READS = 60
MINUTES = 390
LIMIT_SECONDS = 0.030


def month_of_bars(sessions: list[datetime.date], opens_ns: list[int], seed: int) -> pl.DataFrame:
    """Every minute of every symbol in the given sessions."""
    rng = np.random.default_rng(seed)
    rows = SYMBOLS * len(sessions) * MINUTES
    close = np.round(100 + np.cumsum(rng.normal(0, 0.02, rows)), 2)
    starts = np.repeat(np.array(opens_ns, dtype=np.int64), MINUTES)
    minute = np.tile(np.arange(MINUTES, dtype=np.int16), len(sessions))
    frame = pl.DataFrame(
        {
            "symbol": np.repeat([f"S{i:04d}" for i in range(SYMBOLS)], len(sessions) * MINUTES),
            "ts_event": np.tile(starts + minute.astype(np.int64) * 60_000_000_000, SYMBOLS),
            "session": np.tile(np.repeat(np.array(sessions, "datetime64[D]"), MINUTES), SYMBOLS),
            "minute_of_session": np.tile(minute, SYMBOLS),
            "open": close,
            "high": close + 0.05,
            "low": close - 0.05,
            "close": close,
            "volume": rng.integers(1, 10_000, rows).astype(float),
            "vwap": np.round(close + 0.01, 4),
            "trades": rng.integers(1, 500, rows),
            "ordinal": np.tile(np.arange(len(sessions) * MINUTES), SYMBOLS),
        }
    ).with_columns(
        ts=pl.from_epoch(pl.col("ts_event") // 1000, time_unit="us").dt.replace_time_zone("UTC"),
        month=pl.col("session").dt.strftime("%Y-%m"),
        segment=pl.lit("rth"),
        quality=pl.lit(0, dtype=pl.Int32),
        source=pl.lit("massive.rest"),
        raw_sha256=pl.lit(f"{seed:064x}"),
        version=pl.lit(1, dtype=pl.Int16),
        superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
    )
    return contract(DATASET).conform(frame.with_columns(known_at=pl.col("ts")))


def fill(lake: Lake, plain: Path) -> list[datetime.date]:
    """Write the same months into the lake and as plain files; the sessions written."""
    opened = calendar("XNYS").sessions(datetime.date(2024, 1, 2), datetime.date(2025, 12, 31))
    opened = opened[:SESSIONS]
    months: dict[str, list[int]] = {}
    for index, session in enumerate(opened):
        months.setdefault(f"{session.session:%Y-%m}", []).append(index)
    for seed, (month, indices) in enumerate(months.items()):
        days = [opened[index].session for index in indices]
        frame = month_of_bars(days, [opened[index].open_ns for index in indices], seed)
        lake.tables.replace(DATASET, frame, sessions=days)
        frame.drop("month").write_parquet(
            plain / f"{month}.parquet", compression_level=3, row_group_size=131_072
        )
    return [session.session for session in opened]


def main() -> None:
    """Fill, read the same random symbol-days both ways, print the result."""
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(Path(folder, "lake"), create=True)
        plain = Path(folder, "plain")
        plain.mkdir()
        days = fill(lake, plain)
        asked = [
            (f"S{rng.integers(SYMBOLS):04d}", days[int(rng.integers(len(days)))])
            for _ in range(READS)
        ]
        mine, theirs = [], []
        for symbol, day in asked * 2:  # the first round warms the page cache
            started = time.perf_counter()
            ours = lake.scan(DATASET, symbols=[symbol], start=day, end=day).collect()
            mine.append(time.perf_counter() - started)
            started = time.perf_counter()
            peer = (
                pl.scan_parquet(plain / f"{day:%Y-%m}.parquet")
                .filter(pl.col("symbol") == symbol, pl.col("session") == day)
                .collect()
            )
            theirs.append(time.perf_counter() - started)
            assert ours.height == peer.height == MINUTES
            assert ours["ts_event"].equals(peer["ts_event"])
        rows = lake.tables.rows(DATASET)
    ours_s, peer_s = statistics.median(mine[READS:]), statistics.median(theirs[READS:])
    print(
        f"{rows:,} rows; ours {ours_s * 1e3:.1f} ms, plain Parquet {peer_s * 1e3:.1f} ms, "
        f"limit {LIMIT_SECONDS * 1e3:.0f} ms"
    )
    result = {
        "name": "symbol_day_read",
        "ours": round(ours_s, 5),
        "peer": round(peer_s, 5),
        "ratio": round(peer_s / ours_s, 3),
        "floor_ratio": round(LIMIT_SECONDS / ours_s, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print("RESULT", json.dumps(result))
    sys.exit(0 if result["ratio"] >= 0.5 and ours_s <= LIMIT_SECONDS else 1)


if __name__ == "__main__":
    main()
