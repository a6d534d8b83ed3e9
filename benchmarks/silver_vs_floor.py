"""How far the silver build is from the bare work: read, sort, unique, write with Polars.

Ours: 886,036 bronze rows of the real cross-section in a lake → checked, versioned, placed in their
sessions, jump-marked, committed durably as silver. Floor: the same bronze files read, sorted by
symbol and time, made unique, written as Parquet (zstd 3) and fsynced, nothing else.

Run: python benchmarks/silver_vs_floor.py [rounds]
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from tapemill.clock.injected import SYSTEM_CLOCK
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.lake.control import ContentRecord
from tapemill.refine import build
from tapemill.settings import load_settings

DATASET = "bronze.imported_bars_1m"
ROWS = 886_036


def bronze() -> pl.DataFrame:
    """The cross-section as import lands it: mislabelled New York wall time turned into UTC."""
    default = Path(__file__).parents[1] / "../shared/data"
    data = Path(os.environ.get("TAPEMILL_TEST_DATA", default))
    bars = pl.read_parquet(data / "bars/us-1m-xsec-2026-01/bars.parquet")
    wall = pl.col("timestamp").dt.replace_time_zone(None)
    utc = wall.dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")
    received = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    rows = bars.select(
        "symbol",
        ts_event=utc.dt.epoch("us") * 1000,
        ts=utc,
        session=wall.dt.date(),
        month=wall.dt.strftime("%Y-%m"),
        open="open",
        high="high",
        low="low",
        close="close",
        asset_class=pl.lit("equity"),
        calendar=pl.lit("XNYS"),
        hours=pl.lit("regular"),
        source=pl.lit("import:bars"),
        raw_sha256=pl.lit("ab" * 32),
        ordinal=pl.int_range(pl.len()),
        ts_recv=pl.lit(received).cast(pl.Datetime("us", "UTC")),
        known_at=utc.dt.offset_by("16m"),
    )
    declared = contract(DATASET)
    assert rows.height == ROWS
    return declared.conform(rows)


def make_lake(folder: Path, rows: pl.DataFrame) -> Lake:
    lake = Lake.open(folder, create=True)
    lake.tables.append(DATASET, rows, writer="bench", sequence=1)
    counted = rows.group_by("session").len().sort("session")
    lake.control.contents.add(
        [ContentRecord(DATASET, counted["session"].to_list(), "ab" * 32, counted["len"].to_list())]
    )
    return lake


def floor(files: list[str], target: Path) -> float:
    started = time.perf_counter()
    rows = pl.read_parquet(files, hive_partitioning=False)
    rows = rows.sort("symbol", "ts_event").unique(
        ["symbol", "ts_event"], keep="last", maintain_order=True
    )
    rows.write_parquet(target, compression="zstd", compression_level=3)
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - started


def ours(lake: Lake) -> float:
    settings = load_settings(env={})
    started = time.perf_counter()
    report = build(lake, settings, SYSTEM_CLOCK, ["silver.equity_bars_1m"])
    elapsed = time.perf_counter() - started
    assert report.targets[-1].rows >= 880_000, report.summary()
    return elapsed


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows = bronze()
    floors, builds = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            lake = make_lake(Path(folder) / "lake", rows)
            files = lake.tables.uris(DATASET)
            floors.append(floor(files, Path(folder) / "floor.parquet"))
            builds.append(ours(lake))
    best_floor, best = min(floors), min(builds)
    print(
        "RESULT",
        json.dumps(
            {
                "name": "silver_vs_floor",
                "ours": round(best, 3),
                "peer": round(best_floor, 3),
                "ratio": round(best_floor / best, 3),
                "floor_ratio": round(best_floor / best, 3),
                "rows": rows.height,
                "rounds": rounds,
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        ),
    )


if __name__ == "__main__":
    main()
