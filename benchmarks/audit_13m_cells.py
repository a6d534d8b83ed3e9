"""Plan and audit of 13 million ledger cells, beside one SQL row per cell.

Ours: for three datasets over 991 symbols (6,478 + 3,963 + 2,705 sessions, 13.03 million cells),
`Ledger.pending` (the plan's input) and `Ledger.audit`, read and checksummed from SQLite on disk.
Peer: the same cells, one indexed SQLite row each, read into Polars and judged the same way;
measured on one tenth of the symbols and scaled by ten.

Run: python benchmarks/audit_13m_cells.py
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from tapemill.clock.injected import FixedClock
from tapemill.lake.control import CellRecord, CellState, open_control

SYMBOLS = [f"S{number:04d}" for number in range(991)]
SESSIONS = {"bronze.eod": 6_478, "bronze.minutes": 3_963, "bronze.chains": 2_705}
PEER_SHARE = 10
LAST = date(2026, 6, 30)


def sessions_of(count: int) -> list[date]:
    """The newest `count` weekdays, oldest first."""
    days, day = [], LAST
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day -= timedelta(days=1)
    return days[::-1]


def states_of(symbols: int, sessions: int, seed: int) -> np.ndarray:
    """Mostly complete, with gaps, emptiness and failures: what a real ledger looks like."""
    states = np.random.default_rng(seed).choice(
        [CellState.DATA, CellState.EMPTY, CellState.PENDING, CellState.TRANSIENT],
        p=[0.95, 0.02, 0.02, 0.01],
        size=(symbols, sessions),
    )
    return states.astype(np.uint8)


def fill(location: str) -> None:
    """Write every cell through the public interface."""
    with open_control(location, FixedClock(1)) as control:
        for seed, (dataset, count) in enumerate(SESSIONS.items()):
            days = np.array(sessions_of(count))
            states = states_of(len(SYMBOLS), count, seed)
            for symbol, row in zip(SYMBOLS, states, strict=True):
                control.ledger.record_many(
                    [
                        CellRecord(dataset, symbol, days[row == state].tolist(), state, rows=390)
                        for state in (CellState.DATA, CellState.EMPTY, CellState.TRANSIENT)
                    ]
                )


def ours(location: str) -> dict[str, float]:
    """Plan and audit in a process of their own, so that peak memory is theirs."""
    days = {dataset: sessions_of(count) for dataset, count in SESSIONS.items()}
    with open_control(location, FixedClock(1), create=False) as control:
        seconds = []
        for _ in range(3):
            begun = time.perf_counter()
            cells = pending = 0
            for dataset, sessions in days.items():
                pending += int(control.ledger.pending(dataset, SYMBOLS, sessions).sum())
                counts = control.ledger.audit(dataset, SYMBOLS, sessions)
                cells += sum(counts.values())
            seconds.append(time.perf_counter() - begun)
    return {"seconds": min(seconds), "peak_mb": peak_mb(), "cells": cells, "pending": pending}


def peak_mb() -> float:
    """Peak resident memory of this process.

    Not `ru_maxrss`: that one carries over the peak of the parent that forked us.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peer(folder: Path) -> dict[str, float]:
    """One row per cell in SQLite, read and judged by Polars, on a tenth of the symbols."""
    import polars as pl

    names = SYMBOLS[: len(SYMBOLS) // PEER_SHARE]
    connection = sqlite3.connect(folder / "peer.sqlite")
    connection.execute(
        "CREATE TABLE cells (dataset TEXT, symbol TEXT, session TEXT, state INTEGER,"
        " PRIMARY KEY (dataset, symbol, session)) WITHOUT ROWID"
    )
    for seed, (dataset, count) in enumerate(SESSIONS.items()):
        days = [day.isoformat() for day in sessions_of(count)]
        states = states_of(len(SYMBOLS), count, seed)
        for symbol, row in zip(names, states, strict=False):
            connection.executemany(
                "INSERT INTO cells VALUES (?, ?, ?, ?)",
                [(dataset, symbol, day, int(s)) for day, s in zip(days, row, strict=True)],
            )
    connection.commit()
    begun = time.perf_counter()
    cells = pending = 0
    for dataset in SESSIONS:
        rows = connection.execute(
            "SELECT symbol, session, state FROM cells WHERE dataset = ?", (dataset,)
        ).fetchall()
        frame = pl.DataFrame(rows, schema=["symbol", "session", "state"], orient="row")
        pending += frame.filter(~pl.col("state").is_in([1, 2])).height
        cells += int(frame.group_by("state").len()["len"].sum())
    seconds = (time.perf_counter() - begun) * len(SYMBOLS) / len(names)
    connection.close()
    return {"seconds": seconds, "cells": cells, "pending": pending}


def main() -> None:
    if sys.argv[1:2] == ["--ours"]:
        print(json.dumps(ours(sys.argv[2])))
        return
    with tempfile.TemporaryDirectory() as folder:
        location = str(Path(folder) / "control.sqlite")
        begun = time.perf_counter()
        fill(location)
        print(f"filled in {time.perf_counter() - begun:.1f} s")
        command = [sys.executable, __file__, "--ours", location]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(f"ours: {found}; control file {Path(location).stat().st_size / 1e6:.0f} MB")
        other = peer(Path(folder))
        print(f"peer (one tenth of the symbols, scaled by {PEER_SHARE}): {other}")
    result = {
        "name": "audit_13m_cells",
        "ours": round(found["seconds"], 4),
        "peer": round(other["seconds"], 4),
        "ratio": round(other["seconds"] / found["seconds"], 2),
        "peak_mb": round(found["peak_mb"], 1),
        "cells": found["cells"],
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
