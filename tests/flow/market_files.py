"""FINRA files of a made market, as FINRA writes them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from tapemill.clock import calendar

HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"


def sessions(first: date, count: int) -> list[date]:
    exchange = calendar("XNYS")
    return [first, *(exchange.next(first, n) for n in range(1, count))]


def cnms(day: date, rows: list[tuple[str, int, int]]) -> bytes:
    """A consolidated file of (symbol, short, total)."""
    lines = [f"{day:%Y%m%d}|{symbol}|{short}|0|{total}|B,Q,N" for symbol, short, total in rows]
    return ("\n".join([HEADER, *lines, str(len(lines))]) + "\n").encode()


def market(days: list[date], names: int = 40, seed: int = 1) -> dict[date, list]:
    """Rows per day of `names` liquid symbols whose short share wanders about its own mean."""
    rng = np.random.default_rng(seed)
    symbols = [f"{chr(65 + n // 26)}{chr(65 + n % 26)}X" for n in range(names)]
    mean = rng.normal(0.0, 0.3, names)
    size = rng.uniform(13.5, 15.5, names)
    made = {}
    for day in days:
        share = 1 / (1 + np.exp(-(mean + rng.normal(0, 0.2, names))))
        total = np.exp(size + rng.normal(0, 0.25, names)).astype(int)
        short = (share * total).astype(int)
        made[day] = [
            (symbol, int(b), int(d)) for symbol, b, d in zip(symbols, short, total, strict=True)
        ]
    return made


def write(folder: Path, made: dict[date, list]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for day, rows in made.items():
        path = folder / f"CNMSshvol{day:%Y%m%d}.txt"
        path.write_bytes(cnms(day, rows))
        paths.append(path)
    return paths
