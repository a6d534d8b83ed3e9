"""Small bronze frames with provenance, and the way into a lake that intake would take."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.lake.control import ContentRecord

RECEIVED = datetime(2026, 7, 1, tzinfo=UTC)
MINUTE_NS = 60_000_000_000


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def minutes(
    symbol: str,
    session: date,
    *,
    keep: Sequence[int] | None = None,
    price: float = 100.0,
    volume: float = 5_000.0,
    trades: int | None = 200,
    raw: str = "page",
    received: datetime = RECEIVED,
    source: str = "massive.rest",
    name: str = "XNYS",
    **more: object,
) -> pl.DataFrame:
    """Quiet regular-hours bars of one symbol and session; `keep` chooses minutes from the open."""
    found = calendar(name).session(session)
    chosen = np.arange(found.minutes) if keep is None else np.asarray(keep)
    rng = np.random.default_rng([session.toordinal(), *symbol.encode()])
    steps = np.cumsum(rng.normal(0, 2e-4, 2_000))[np.clip(chosen, 0, None)]
    close = np.round(price * np.exp(steps), 2)
    opened = np.round(close * (1 + rng.normal(0, 1e-4, 2_000)[np.clip(chosen, 0, None)]), 2)
    wide = np.round(close * 2e-4, 2) + 0.01
    return pl.DataFrame(
        {
            "symbol": symbol,
            "ts_event": found.open_ns + chosen.astype(np.int64) * MINUTE_NS,
            "session": session,
            "open": opened,
            "high": np.maximum(opened, close) + wide,
            "low": np.minimum(opened, close) - wide,
            "close": close,
            "volume": volume,
            "trades": trades,
        },
        schema_overrides={"trades": pl.Int64, "session": pl.Date},
    ).with_columns(
        ts=(pl.col("ts_event") // 1000).cast(pl.Datetime("us", "UTC")),
        vwap=pl.lit(None, dtype=pl.Float64),
        month=pl.col("session").dt.strftime("%Y-%m"),
        source=pl.lit(source),
        raw_sha256=pl.lit(sha(raw)),
        ordinal=pl.int_range(pl.len()),
        ts_recv=pl.lit(received).cast(pl.Datetime("us", "UTC")),
        known_at=pl.lit(received).cast(pl.Datetime("us", "UTC")),
        adjusted=pl.lit(value=False),
        **{key: pl.lit(value) for key, value in more.items()},
    )


def days(
    symbol: str,
    rows: Sequence[tuple[date, float]],
    *,
    volume: float = 1.95e6,
    raw: str = "days",
    **more: object,
) -> pl.DataFrame:
    """Daily bars from (session, close)."""
    table = pl.DataFrame(rows, schema={"session": pl.Date, "close": pl.Float64}, orient="row")
    return table.with_columns(
        symbol=pl.lit(symbol),
        ts_event=pl.col("session").cast(pl.Datetime("ns")).cast(pl.Int64),
        open=pl.col("close"),
        high=pl.col("close"),
        low=pl.col("close"),
        volume=pl.lit(volume),
        trades=pl.lit(None, dtype=pl.Int64),
        vwap=pl.lit(None, dtype=pl.Float64),
        year=pl.col("session").dt.year(),
        source=pl.lit("massive.rest"),
        raw_sha256=pl.lit(sha(raw)),
        ordinal=pl.int_range(pl.len()),
        ts_recv=pl.lit(RECEIVED).cast(pl.Datetime("us", "UTC")),
        known_at=pl.lit(RECEIVED).cast(pl.Datetime("us", "UTC")),
        adjusted=pl.lit(value=False),
        **{key: pl.lit(value) for key, value in more.items()},
    ).with_columns(ts=(pl.col("ts_event") // 1000).cast(pl.Datetime("us", "UTC")))


def sessions(first: date, last: date, name: str = "XNYS") -> pl.DataFrame:
    return calendar(name).frame(first, last)


def land(lake: Lake, dataset: str, frame: pl.DataFrame, *, writer: str = "test") -> None:
    """Append rows and record what each session is made of, as intake does."""
    declared = contract(dataset)
    known = [name for name in frame.columns if name in declared.schema]
    committed = lake.tables.committed(dataset, writer)
    sequence = 1 if committed is None else committed + 1
    lake.tables.append(
        dataset, declared.conform(frame.select(known)), writer=writer, sequence=sequence
    )
    day = "session" if "session" in frame.columns else declared.event_column
    counted = frame.group_by("raw_sha256", day).len().sort("raw_sha256", day)
    lake.control.contents.add(
        [
            ContentRecord(dataset, rows[day].to_list(), str(raw), rows["len"].to_list())
            for (raw,), rows in counted.group_by("raw_sha256", maintain_order=True)
        ]
    )
