"""A file in parts: kept by its content, cut into slices that land exactly once.

A part is stored like an answer, with all that is needed to read it again from the raw object, so a
killed import neither loses nor doubles a row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import date

import msgspec
import polars as pl

from tapemill.intake.coverage import Settled
from tapemill.intake.evidence import Receipt, dress, quarantine_rows
from tapemill.lake import Lake
from tapemill.lake.control import MARKET, CellState, StoredAnswer
from tapemill.settings import Settings
from tapemill.vendors import ParsedFile, read_file

__all__ = ["FILE_VENDOR", "FileReading", "parts", "read_back_part"]

FILE_VENDOR = "file"
_PART_ROWS = 1_000_000
_SOURCES = {
    "finra-short": "finra.file",
    "finra-otc": "finra.file",
    "finra-interest": "finra.file",
    "massive-minute": "massive.flatfile",
    "massive-daily": "massive.flatfile",
}
_CONSOLIDATED = "CNMS"
_PARTIAL = frozenset({"finra-otc", "finra-interest", "memberships"})
"""Kinds that do not say what share of the market they hold: `fetch` must still ask for it."""


class FileReading(msgspec.Struct, frozen=True):
    """How a raw object is read: kind of file, options, and its name, which may tell a facility."""

    kind: str
    options: dict[str, str]
    name: str
    part_rows: int = _PART_ROWS

    @property
    def source(self) -> str:
        """The lane, for the `source` column."""
        adjusted = ".adjusted" if self.options.get("adjusted") == "split" else ""
        return _SOURCES.get(self.kind, f"import:{self.name}{adjusted}")


def parts(
    lake: Lake,
    settings: Settings,
    reading: FileReading,
    parsed: ParsedFile,
    raw_sha256: str,
    received_ns: int,
    task_key: str,
) -> Iterator[Receipt]:
    """Store the parts of a file one by one; those that have landed before are left out."""
    control = lake.control
    for page, part in _sliced(reading, parsed):
        answer_id = control.answers.store(
            task_key,
            page,
            FILE_VENDOR,
            parsed.dataset,
            raw_sha256,
            received_ns,
            None,
            "data",
            start=parsed.start,
            end=parsed.end,
            request=msgspec.json.encode(reading).decode(),
        )
        stored = control.answers.get(answer_id)
        if stored.stage not in ("landing", "landed"):
            yield _receipt(settings, stored, reading, parsed, part)


def read_back_part(lake: Lake, settings: Settings, stored: StoredAnswer) -> Receipt:
    """Make a part again from the raw object.

    Raises
    ------
    CorruptError
        The raw object differs from its hash.
    """
    reading = msgspec.json.decode(stored.request or "", type=FileReading)
    content = lake.raw.get(stored.raw_sha256)
    parsed = read_file(reading.kind, content, reading.options, name=reading.name)
    _, part = next(itertools.islice(_sliced(reading, parsed), stored.page - 1, None))
    return _receipt(settings, stored, reading, parsed, part)


def _sliced(
    reading: FileReading, parsed: ParsedFile
) -> Iterator[tuple[int, tuple[pl.DataFrame, bool]]]:
    """Page number, rows, and whether it is the last part; an empty file has one empty part."""
    count = max(-(-parsed.frame.height // reading.part_rows), 1)
    for place in range(count):
        rows = parsed.frame.slice(place * reading.part_rows, reading.part_rows)
        yield place + 1, (rows, place + 1 == count)


def _receipt(
    settings: Settings,
    stored: StoredAnswer,
    reading: FileReading,
    parsed: ParsedFile,
    part: tuple[pl.DataFrame, bool],
) -> Receipt:
    rows, last = part
    raw, received_ns, source = stored.raw_sha256, stored.ts_recv_ns, reading.source
    delay = settings.massive.feed_delay_minutes if reading.kind.startswith("massive") else 0
    frame = dress(
        parsed.dataset,
        rows,
        source=source,
        raw_sha256=raw,
        received_ns=received_ns,
        delay_minutes=delay,
    )
    rejected = parsed.rejected if last else None
    return Receipt(
        stored.answer_id,
        stored.task_key,
        parsed.dataset,
        raw,
        received_ns,
        frame,
        quarantine_rows(parsed.dataset, source, rejected, raw, received_ns),
        cells=tuple(_cells(reading, parsed)) if last else (),
    )


def _cells(reading: FileReading, parsed: ParsedFile) -> list[Settled]:
    """Cells of the whole file, settled with its last part."""
    if parsed.frame.is_empty() or reading.kind in _PARTIAL:
        return []
    if reading.kind == "bars":
        return _cells_by_symbol(parsed.frame)
    if reading.kind == "finra-short":
        facilities: Mapping[str, int] = dict(parsed.frame.group_by("facility").len().iter_rows())
        # One facility's file says nothing about the market: `fetch` must still ask for it.
        if set(facilities) != {_CONSOLIDATED}:
            return []
    counted = parsed.frame.group_by("session").len().sort("session")
    sessions: list[date] = counted.get_column("session").to_list()
    rows = tuple(counted.get_column("len").to_list())
    return [Settled(MARKET, tuple(sessions), CellState.DATA, rows)]


def _cells_by_symbol(frame: pl.DataFrame) -> list[Settled]:
    counted = (
        frame.group_by("symbol", "session")
        .len()
        .sort("symbol", "session")
        .group_by("symbol", maintain_order=True)
        .agg("session", "len")
    )
    return [
        Settled(symbol, tuple(sessions), CellState.DATA, tuple(rows))
        for symbol, sessions, rows in counted.iter_rows()
    ]
