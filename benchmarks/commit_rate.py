"""Durable 20k-row commits a second: `TableStore.append` against plain delta-rs appends with fsync.

Both leave data file, log entry and their folders fsynced before the next commit. The peer is the
plain call, `write_deltalake(path, frame, mode="append")`; a second figure keeps the table's handle
between calls. Neither has the exactly-once marker, the hash in the name or the seal of the log that
ours pays for.
"""

from __future__ import annotations

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
from deltalake import DeltaTable, write_deltalake

from tapemill.clock.injected import SYSTEM_CLOCK
from tapemill.contracts import contract
from tapemill.lake.places import open_place
from tapemill.lake.tables import TableStore

DATASET = "bronze.massive_bars_1m"
ROWS = 20_000
COMMITS = int(os.environ.get("TAPEMILL_BENCH_COMMITS", "60"))


def batch(seed: int) -> pl.DataFrame:
    """Twenty thousand minute bars of fifty names, as an intake batch holds them."""
    rng = np.random.default_rng(seed)
    minutes = ROWS // 50
    close = np.round(100 + np.cumsum(rng.normal(0, 0.02, ROWS)), 2)
    first = 1_767_969_000_000_000_000  # 2026-01-09 09:30 in New York
    frame = pl.DataFrame(
        {
            "symbol": np.repeat([f"S{i:04d}" for i in range(50)], minutes),
            "ts_event": first + np.tile(np.arange(minutes), 50) * 60_000_000_000,
            "open": close,
            "high": close + 0.05,
            "low": close - 0.05,
            "close": close,
            "volume": rng.integers(1, 10_000, ROWS).astype(float),
            "vwap": np.round(close + rng.normal(0, 0.01, ROWS), 4),
            "trades": rng.integers(1, 500, ROWS),
            "adjusted": np.zeros(ROWS, bool),
            "raw_sha256": np.repeat([f"{seed * 50 + i:064x}" for i in range(50)], minutes),
            "ordinal": np.tile(np.arange(minutes), 50),
            "request_id": np.repeat([f"{seed * 50 + i:016x}" for i in range(50)], minutes),
        }
    ).with_columns(
        ts=pl.from_epoch(pl.col("ts_event") // 1000, time_unit="us").dt.replace_time_zone("UTC"),
        session=pl.date(2026, 1, 9),
        month=pl.lit("2026-01"),
        source=pl.lit("massive.rest"),
    )
    frame = frame.with_columns(ts_recv=pl.col("ts"), known_at=pl.col("ts"))
    return contract(DATASET).conform(frame)


class Ours:
    """Appends through the lake."""

    def __init__(self, folder: Path) -> None:
        self.store = TableStore(open_place(str(folder)), SYSTEM_CLOCK)
        self.sequence = 0

    def append(self, frame: pl.DataFrame) -> float:
        """Seconds of one append."""
        started = time.perf_counter()
        self.store.append(DATASET, frame, writer="bench", sequence=self.sequence)
        self.sequence += 1
        return time.perf_counter() - started


class Peer:
    """Plain `write_deltalake` appends; what they wrote is fsynced afterwards.

    With `keep`, the table handle is kept between commits, which spares delta-rs the log.
    """

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self.folder = folder
        self.keep = keep
        self.handle: DeltaTable | None = None
        self.files: set[Path] = set()

    def append(self, frame: pl.DataFrame) -> float:
        """Seconds of one append."""
        started = time.perf_counter()
        write_deltalake(
            self.handle or str(self.folder), frame, mode="append", partition_by=["month"]
        )
        written = set(self.folder.rglob("*.parquet")) | set(self.folder.rglob("*.json"))
        new, self.files = written - self.files, written
        for target in (*new, *{file.parent for file in new}):
            descriptor = os.open(target, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        seconds = time.perf_counter() - started
        if self.keep and self.handle is None:
            self.handle = DeltaTable(str(self.folder))
        return seconds


def main() -> None:
    """Run both and print the result."""
    batches = [batch(seed) for seed in range(COMMITS)]
    with tempfile.TemporaryDirectory() as folder:
        lake = Ours(Path(folder, "ours"))
        plain = Peer(Path(folder, "plain"), keep=False)
        kept = Peer(Path(folder, "kept"), keep=True)
        # Turn by turn, so that whatever else the machine does hits both alike.
        turns = [(lake.append(frame), plain.append(frame), kept.append(frame)) for frame in batches]
        assert lake.store.rows(DATASET) == ROWS * len(batches)
    mine = statistics.median(turn[0] for turn in turns[5:])
    theirs = statistics.median(turn[1] for turn in turns[5:])
    handle = statistics.median(turn[2] for turn in turns[5:])
    print(
        f"ours {1 / mine:.1f} commits/s ({mine * 1e3:.1f} ms), "
        f"plain delta-rs {1 / theirs:.1f} ({theirs * 1e3:.1f} ms), with a kept table handle "
        f"{1 / handle:.1f} ({handle * 1e3:.1f} ms); {COMMITS} commits of {ROWS} rows"
    )
    result = {
        "name": "commit_rate",
        "ours": round(mine, 5),
        "peer": round(theirs, 5),
        "ratio": round(theirs / mine, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print("RESULT", json.dumps(result))
    sys.exit(0 if result["ratio"] >= 1 else 1)


if __name__ == "__main__":
    main()
