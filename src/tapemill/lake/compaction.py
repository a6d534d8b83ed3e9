"""Few large files instead of many small ones, and nothing on disk that nobody can need."""

from __future__ import annotations

import dataclasses

import polars as pl

from tapemill.clock.injected import Clock
from tapemill.errors import ConflictError
from tapemill.lake.history import retired_ms
from tapemill.lake.table import Table

__all__ = ["Compaction", "compact_table"]

RETENTION_DAYS = 7.0
"""How long retired files stay, for running readers and for time travel."""
_LARGE_BYTES = 128 * 1024**2
_MERGE_ROWS = 16_777_216
_TRIES = 40
_DAY_NS = 86_400 * 10**9


@dataclasses.dataclass(frozen=True)
class Compaction:
    """What a compaction did to one table."""

    dataset: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    swept: int
    """Files removed from disk: retired before the retention window, or left by killed writers."""


def compact_table(table: Table, clock: Clock, *, retention_days: float) -> Compaction:
    """Merge small files per partition, checkpoint, shorten the log, sweep what is no longer needed.

    Rows, versions and writers' sequence numbers stay as they are. A partition that other writers
    keep changing is left for the next time.
    """
    before = table.files()
    for paths in _groups(table, before):
        _merge(table, paths)
    with table.lock:
        delta = table.require()
        table.checkpoint(delta)
        delta.cleanup_metadata()
        table.seals.tidy()
    swept = _sweep(table, clock, retention_days)
    after = table.files()
    return Compaction(
        table.dataset.name,
        before.height,
        after.height,
        int(before["size_bytes"].sum()),
        int(after["size_bytes"].sum()),
        swept,
    )


def _groups(table: Table, files: pl.DataFrame) -> list[list[str]]:
    """Sets of files to merge: small, of one partition, together of bounded size."""
    small = files.filter(pl.col("size_bytes") < _LARGE_BYTES)
    if small.height < 2:
        return []
    key = [f"partition.{table.dataset.partition}"] if table.dataset.partition else []
    total = pl.col("num_records").cum_sum()
    bucket = (total.over(key) if key else total) // _MERGE_ROWS
    grouped = (
        small.with_columns(bucket=bucket)
        .group_by([*key, "bucket"], maintain_order=True)
        .agg("path")
        .filter(pl.col("path").list.len() > 1)
    )
    merged: list[list[str]] = grouped["path"].to_list()
    return merged


def _merge(table: Table, paths: list[str]) -> None:
    token = f"compact|{'|'.join(paths)}"
    with table.lock:
        rows = table.scan(paths).collect()
        adds = table.write_files(rows, token, change=False)
        for _ in range(_TRIES):
            delta = table.require()
            files = table.files(fresh=False).filter(pl.col("path").is_in(paths))
            if files.height < len(paths):
                return  # another process replaced or merged one of them: nothing left to do
            try:
                table.commit(
                    delta,
                    [*adds, *table.removals(files, change=False)],
                    token=f"compact|{adds[0].path}",
                )
            except ConflictError:
                continue
            return


def _sweep(table: Table, clock: Clock, retention_days: float) -> int:
    """Delete data files that no version within the window names."""
    cutoff_ns = clock.now_ns() - round(retention_days * _DAY_NS)
    # List before reading the version: a file committed in between is live, or too young to go.
    listed = [entry for entry in table.place.list() if entry.path.endswith(".parquet")]
    with table.lock:
        delta = table.require()
        live = set(table.files(fresh=False)["path"])
        retired = retired_ms(table.place, delta.version())
    swept = table.place.sweep(cutoff_ns)
    for entry in listed:
        if entry.path.startswith("_") or entry.path in live:
            continue
        if max(entry.modified_ns, retired.get(entry.path, 0) * 1_000_000) < cutoff_ns:
            table.place.delete(entry.path)
            swept += 1
    return swept
