"""DBN bytes made here, and real ones without their compression."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import numpy as np
import zstandard

from tapemill.book.records import MBO


def decoded(path: Path) -> bytes:
    """Bytes of a file without its compression, by one call of the zstd library."""
    data = path.read_bytes()
    if data[:4] != b"\x28\xb5\x2f\xfd":
        return data
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return reader.read()


def packed(data: bytes, *, frame: int = 0, checksum: bool = True) -> bytes:
    """One zstd frame, or several of `frame` bytes each."""
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=checksum)
    size = frame or max(len(data), 1)
    target = io.BytesIO()
    for at in range(0, max(len(data), 1), size):
        target.write(compressor.compress(data[at : at + size]))
    return target.getvalue()


def packed_in_blocks(data: bytes, block: int) -> list[bytes]:
    """One frame of many small blocks, as a writer leaves it that flushes often; one part each."""
    engine = zstandard.ZstdCompressor(level=1, write_checksum=True).compressobj()
    parts = []
    for at in range(0, len(data), block):
        part = engine.compress(data[at : at + block])
        parts.append(part + engine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    return [*parts, engine.flush()]


def head(schema: str | None = "mbo", **changes: Any) -> bytes:
    """Metadata of DBN 3; without `schema`, of a live session."""
    options: dict[str, Any] = {
        "dataset": "GLBX.MDP3",
        "start": 1_704_153_600_000_000_000,
        "end": 1_704_412_800_000_000_000,
        "stype_in": dbn.SType("raw_symbol"),
        "stype_out": dbn.SType("instrument_id"),
        "schema": schema and dbn.Schema(schema),
        "symbols": ["AAA", "BBB"],
        "version": 3,
    }
    return bytes(dbn.Metadata(**{**options, **changes}))


def mapping(key: str, *intervals: tuple[dt.date, dt.date, str]) -> SimpleNamespace:
    """One entry of a symbol table: half-open ranges of dates."""
    ranges = [
        SimpleNamespace(start_date=start, end_date=end, symbol=symbol)
        for start, end, symbol in intervals
    ]
    return SimpleNamespace(raw_symbol=key, intervals=ranges)


def mbo_records(count: int, seed: int = 0) -> np.ndarray:
    """Honest headers before a payload of noise."""
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, count * MBO.itemsize, dtype=np.uint8).view(MBO)
    records["length"], records["rtype"] = MBO.itemsize // 4, 0xA0
    return records


def with_ts_out(records: np.ndarray, sent_ns: int = 1_704_200_000_000_000_000) -> bytes:
    """The same records, each followed by the time at which it was sent."""
    rows = records.copy()
    rows["length"] += 2
    body = rows.view(np.uint8).reshape(len(rows), -1)
    sent = np.full((len(rows), 1), sent_ns, dtype="<u8").view(np.uint8)
    return np.hstack([body, sent]).tobytes()
