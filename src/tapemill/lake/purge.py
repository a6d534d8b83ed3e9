"""Retention by event date: what would go, what goes, and what is kept because nothing else has it.

Bronze rows may go while the raw object they were read from is still there, and a raw object may go
while its rows are in bronze; the last of the two goes only by force. Silver and reference are built
from bronze and may go.
"""

from __future__ import annotations

import dataclasses
import datetime

import polars as pl

from tapemill.contracts import DATASETS, Dataset
from tapemill.lake.pruning import day_column
from tapemill.lake.raw import RawStore
from tapemill.lake.tables import TableStore

__all__ = ["PurgeLine", "PurgeReport", "purge_raw", "purge_table"]


@dataclasses.dataclass(frozen=True)
class PurgeLine:
    """What leaves one dataset (or the raw objects): rows, whole files and their bytes."""

    dataset: str
    rows: int
    files: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class PurgeReport:
    """A purge, planned or done.

    Parameters
    ----------
    dry_run : bool
    lines : tuple of PurgeLine
    refused : tuple of str
        What was old enough but stays, and why.
    """

    dry_run: bool
    lines: tuple[PurgeLine, ...]
    refused: tuple[str, ...]


def purge_table(
    tables: TableStore,
    raw: RawStore,
    dataset: Dataset,
    before: datetime.date,
    *,
    dry_run: bool,
    force: bool,
) -> PurgeReport:
    """Drop the rows of a table whose event date lies before `before`."""
    old = pl.col(day_column(dataset)) < before
    last = before - datetime.timedelta(days=1)
    refused: list[str] = []
    if dataset.layer == "bronze" and not force:
        rows = tables.scan(dataset.name, end=last).filter(old)
        origins = rows.group_by("raw_sha256").agg(rows=pl.len()).collect()
        lonely = [sha for sha in origins["raw_sha256"].sort() if not raw.exists(sha)]
        if lonely:
            old &= ~pl.col("raw_sha256").is_in(lonely)
            kept = origins.filter(pl.col("raw_sha256").is_in(lonely))["rows"].sum()
            refused.append(
                f"{dataset.name}: {kept:,} rows stay, for the raw objects they were read from are "
                "gone and nothing else holds them (--force drops them)"
            )
    count = int(tables.scan(dataset.name, end=last).filter(old).select(pl.len()).collect().item())
    files = tables.files(dataset.name)
    gone = files.clear()
    if count and not dry_run:
        tables.drop(dataset.name, old, before=before, writer="purge")
        live = tables.files(dataset.name)
        gone = files.join(live.select("path"), on="path", how="anti")
        place = tables.table(dataset.name).place
        for path in gone["path"]:
            place.delete(path)
    elif count and f"max.{day_column(dataset)}" in files.columns:
        gone = files.filter(pl.col(f"max.{day_column(dataset)}") < before)
    line = PurgeLine(dataset.name, count, gone.height, int(gone["size_bytes"].sum()))
    return PurgeReport(dry_run, (line,), tuple(refused))


def purge_raw(
    tables: TableStore,
    raw: RawStore,
    before: datetime.date,
    *,
    dry_run: bool,
    force: bool,
) -> PurgeReport:
    """Drop raw objects all of whose rows lie before `before`.

    An object's age is that of its youngest row in bronze or quarantine; one without rows (a
    confirmed-empty answer) has no age and stays as evidence.
    """
    youngest = _ages(tables)
    old = youngest.filter(pl.col("youngest") < before)
    refused: list[str] = []
    if not force:
        lonely = old.filter(pl.col("quarantined") > 0)
        if lonely.height:
            refused.append(
                f"{lonely.height:,} raw objects stay, for some of their rows are in quarantine and "
                "not in bronze (--force drops them)"
            )
        old = old.filter(pl.col("quarantined") == 0)
    names = set(old["raw_sha256"])
    undated = 0
    files = size = 0
    dated = set(youngest["raw_sha256"])
    for reference in raw:
        if reference.sha256 in names:
            files += 1
            size += reference.stored_size
            if not dry_run:
                raw.delete(reference.sha256)
        elif reference.sha256 not in dated:
            undated += 1
    if undated:
        refused.append(f"{undated:,} raw objects stay, for no row tells their date")
    rows = int(old["rows"].sum())
    return PurgeReport(dry_run, (PurgeLine("raw", rows, files, size),), tuple(refused))


def _ages(tables: TableStore) -> pl.DataFrame:
    """Per raw object: its youngest event date, its rows and how many of them are quarantined."""
    parts = []
    for dataset in DATASETS.values():
        if "raw_sha256" not in dataset.schema or dataset.layer not in ("bronze", "ops"):
            continue
        parts.append(
            tables.scan(dataset.name)
            .group_by("raw_sha256")
            .agg(
                youngest=pl.col(day_column(dataset)).cast(pl.Date).max(),
                rows=pl.len(),
                quarantined=pl.lit(dataset.layer == "ops").cast(pl.Int64) * pl.len(),
            )
            .collect()
        )
    return (
        pl.concat(parts)
        .group_by("raw_sha256")
        .agg(pl.col("youngest").max(), pl.col("rows", "quarantined").sum())
        .sort("raw_sha256")
    )
