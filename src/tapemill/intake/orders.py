"""Import of order data: each DBN file once, in one pass, into the silver order tables.

The file is hashed while its first stretch is decoded, stored while the following ones are, and
decoded in a thread of its own: reading, books, rows and disk overlap. Everything is counted in
records of the file, so that a killed import comes to the same batches again and goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import polars as pl

from tapemill.clock import Clock, calendar
from tapemill.errors import ContractError, FileFormatError
from tapemill.intake.order_files import (
    FILES,
    OrderFile,
    OrderImportReport,
    file_row,
    in_order_of_need,
    recorded_ticks,
)
from tapemill.intake.order_landing import OrderLander, Origin
from tapemill.intake.order_pieces import Stretch
from tapemill.intake.order_reading import OrderReading
from tapemill.intake.order_ticks import TickTable, known_definitions
from tapemill.intake.recovery import recover
from tapemill.lake import Lake
from tapemill.lake.raw import FileStamp, hash_file, require_unchanged
from tapemill.settings import Settings
from tapemill.vendors.databento import DbnFile

__all__ = ["import_orders"]

KIND = "dbn"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CONTRADICTED = "tick_contradicted"
_EVENTS = "silver.futures_events"

Progress = Callable[[int, int, str], None]


class _Job(NamedTuple):
    lake: Lake
    clock: Clock
    table: TickTable
    again: bool
    path: Path
    stamp: FileStamp


def import_orders(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    paths: Sequence[Path],
    *,
    schema: str | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> OrderImportReport:
    """Import DBN files.

    Parameters
    ----------
    paths : sequence of Path
        Files; definitions among them are read first.
    schema : str, optional
        What the records of fragments without metadata are.
    again : bool
        Land files anew that are known already.
    progress : callable, optional
        Told (bytes done, bytes of the file, name) as it goes.

    Returns
    -------
    OrderImportReport
        A file that cannot be read, or not to its end, says so there; the others are imported.

    Raises
    ------
    UsageError
        No such schema, or the reader of DBN files is not installed.
    LakeError
        The lake cannot be written, or a file changed while it was read.
    """
    recover(lake, settings, calendar("XNYS"))
    report = OrderImportReport()
    table = TickTable(known_definitions(lake))
    for path, error in in_order_of_need(paths, schema):
        if error is not None:
            if not isinstance(error, FileFormatError):
                raise error
            report.files.append(OrderFile(path.name, failure=str(error)))
            continue
        entry = OrderFile(path.name)
        report.files.append(entry)
        job = _Job(lake, clock, table, again, path, FileStamp.of(path))
        try:
            _import_one(job, schema, entry, progress)
        except (FileFormatError, ContractError) as failure:
            entry.state, entry.failure = "failed", str(failure)
        if "bronze.databento_definitions" in entry.rows:
            entry.notes += _contradictions(lake, table)
    return report


def _import_one(job: _Job, schema: str | None, entry: OrderFile, progress: Progress | None) -> None:
    days = calendar("CMES")
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(ThreadPoolExecutor(1, "orders-keep"))
        file, done = _opened(stack, job.path, schema)
        hashing = keeper.submit(hash_file, job.path)
        reading = OrderReading(file, job.table, days)
        plan = _tick_plan(file, job.table)
        stretches = reading.stretches(_meter(job, done, progress))
        stack.enter_context(contextlib.closing(stretches))
        first = next(stretches, None)
        entry.sha256, entry.schema = hashing.result(), file.metadata.schema
        options = entry.schema if file.metadata.version == 0 else ""
        seen = job.lake.control.imports.seen(entry.sha256, KIND, options) is not None
        before = _row_of(job.lake, entry.sha256)
        stale = seen and _is_stale(before, job.table)
        if seen and not stale and not job.again:
            _tell_known(entry, before)
            return
        stored = keeper.submit(
            job.lake.raw.put_file, job.path, sha256=entry.sha256, stamp=job.stamp
        )
        origin = Origin(entry.sha256, job.clock.now_ns())
        turn = str(origin.received_ns) if seen and job.again else ""
        writer = f"orders:{entry.sha256}:{plan}{options and ':' + options}{turn and ':' + turn}"
        with OrderLander(job.lake, origin, writer, stored) as lander:
            for stretch in _with_first(first, stretches):
                entry.quarantined += sum(rows.height for _, rows in stretch.rejected)
                require_unchanged(job.path, job.stamp)
                lander.put(stretch)
            lander.finish()
        entry.state = "read again" if seen else "read"
        entry.rows = lander.rows
        _tell(entry, file, reading)
        row = file_row(job.path.name, job.stamp.size, file.metadata, reading, entry.fault, origin)
        _record(job, entry, row, before, writer, options)


def _with_first(first: Stretch | None, rest: Iterator[Stretch]) -> Iterator[Stretch]:
    return itertools.chain([] if first is None else [first], rest)


def _opened(
    stack: contextlib.ExitStack, path: Path, schema: str | None
) -> tuple[DbnFile, Callable[[int], int]]:
    """A file, and what tells how many of its bytes are done from the bytes of records read."""
    raw = stack.enter_context(path.open("rb"))
    packed = raw.read(4) == _ZSTD_MAGIC
    if not packed:
        return stack.enter_context(DbnFile.open(path, schema=schema)), lambda read: read
    raw.seek(0)
    file = stack.enter_context(DbnFile.open(raw, schema=schema, name=path.name))
    return file, lambda _: os.lseek(raw.fileno(), 0, os.SEEK_CUR)


def _meter(
    job: _Job, done: Callable[[int], int], progress: Progress | None
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    told = progress
    read = 0

    def count(size: int) -> None:
        nonlocal read
        read += size
        told(min(done(read), job.stamp.size), job.stamp.size, job.path.name)

    return count


def _tick_plan(file: DbnFile, table: TickTable) -> str:
    """What definitions say of the symbols of a file, as part of what an import of it is."""
    symbols = sorted({mapping.symbol for mapping in file.metadata.mappings})
    known = {symbol: tick for symbol in symbols if (tick := table.of(symbol)) is not None}
    steps = {symbol: tick.nano for symbol, tick in known.items()}
    return hashlib.sha256(json.dumps(steps).encode()).hexdigest()[:16]


def _row_of(lake: Lake, sha256: str) -> pl.DataFrame:
    rows = lake.tables.scan(FILES).filter(pl.col("raw_sha256") == sha256)
    return rows.sort("ts_recv").tail(1).collect()


def _is_stale(row: pl.DataFrame, table: TickTable) -> bool:
    """Whether definitions contradict a step that a file's rows are counted in."""
    ticks = recorded_ticks(row)
    return any(
        tick.inferred and known is not None and known.nano != tick.nano
        for symbol, tick in ticks.items()
        for known in [table.of(symbol)]
    )


def _contradictions(lake: Lake, table: TickTable) -> list[str]:
    """Open an incident for every file whose steps the definitions contradict; what to do."""
    notes = []
    files = lake.tables.scan(FILES).select("name", "raw_sha256", "ticks", "symbols").collect()
    for row in files.iter_slices(1):
        if not _is_stale(row, table):
            continue
        name, sha256 = row["name"][0], row["raw_sha256"][0]
        wrong = [
            f"{symbol} {tick.nano / 1e9:g} instead of {known.nano / 1e9:g}"
            for symbol, tick in recorded_ticks(row).items()
            if tick.inferred and (known := table.of(symbol)) is not None and known.nano != tick.nano
        ]
        note = f"{name} was imported with other ticks ({', '.join(wrong)}): import it again"
        lake.control.incidents.open(_CONTRADICTED, _EVENTS, sha256, note)
        notes.append(note)
    return notes


def _tell_known(entry: OrderFile, row: pl.DataFrame) -> None:
    entry.state = "known"
    entry.ticks = recorded_ticks(row)
    if row.height:
        found = row.row(0, named=True)
        entry.symbols = [symbol for symbol in found["symbols"].split(",") if symbol]
        entry.first_ns, entry.last_ns = found["first_gateway_ns"], found["last_gateway_ns"]
        entry.fault, entry.records = found["fault"], found["records"]
        if found["name"] != entry.name:
            entry.notes.append(f"the same bytes were imported as {found['name']}")


def _tell(entry: OrderFile, file: DbnFile, reading: OrderReading) -> None:
    entry.records = reading.records
    entry.symbols = sorted(reading.symbols)
    entry.first_ns, entry.last_ns = reading.first_ns, reading.last_ns
    entry.ticks = dict(sorted(reading.ticks.items()))
    entry.fault = "" if file.fault is None else str(file.fault)
    entry.notes += [
        f"{count:,} records of {kind}: kept, not refined"
        for kind, count in sorted(reading.unused.items())
    ]
    entry.notes += [
        f"{symbol}: no definition, its tick {tick.nano / 1e9:g} is inferred ({tick.evidence})"
        for symbol, tick in entry.ticks.items()
        if tick.evidence.startswith("prices")
    ]


def _record(
    job: _Job, entry: OrderFile, row: pl.DataFrame, before: pl.DataFrame, writer: str, options: str
) -> None:
    """Write down that the file is imported: last of all, for this is what `known` means."""
    tables = job.lake.tables
    if tables.committed(FILES, writer) is None and before.height:
        tables.replace(
            FILES, row, predicate=f"raw_sha256 = '{entry.sha256}'", writer=writer, sequence=1
        )
    else:
        tables.append(FILES, row, writer=writer, sequence=1)
    job.lake.control.imports.record(
        entry.sha256,
        KIND,
        entry.name,
        sum(entry.rows.values()),
        entry.quarantined,
        options_hash=options,
        dataset=_EVENTS if _EVENTS in entry.rows else next(iter(entry.rows), ""),
    )
    for incident in job.lake.control.incidents.open_incidents(_EVENTS):
        if incident.kind == _CONTRADICTED and incident.subject == entry.sha256:
            job.lake.control.incidents.resolve(incident.incident_id, "imported again")
