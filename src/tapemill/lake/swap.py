"""The exchange of rows inside a table: which files it touches and what takes their place."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import polars as pl

from tapemill.contracts import Dataset
from tapemill.errors import ContractError
from tapemill.lake.pruning import day_column, partition_value, prune
from tapemill.lake.table import Table

__all__ = ["Swap", "doomed_rows"]


def doomed_rows(
    dataset: Dataset, sessions: Sequence[datetime.date] | None, predicate: str | None
) -> pl.Expr:
    """The rows that a replacement takes out: those of the sessions, the predicate, or all.

    Raises
    ------
    ContractError
        The predicate is not SQL.
    """
    if predicate is not None:
        try:
            return pl.sql_expr(predicate)
        except pl.exceptions.PolarsError as error:
            raise ContractError(
                f"{predicate!r} is not a condition",
                where=str(error).splitlines()[0],
                next_step="write it as SQL on the dataset's columns, e.g. \"symbol = 'SPY'\"",
            ) from error
    if sessions is None:
        return pl.lit(value=True)
    return pl.col(day_column(dataset)).is_in(list(sessions))


@dataclasses.dataclass(frozen=True)
class Swap:
    """One exchange, to be worked out against the files of a version.

    Parameters
    ----------
    doomed : pl.Expr
        Rows to take out.
    days : frozenset of date, optional
        The replaced sessions, where they alone decide; spares reading other files.
    predicate : str, optional
        The SQL behind `doomed`, if there is one.
    before : date, optional
        Doomed rows lie before it.
    """

    doomed: pl.Expr
    days: frozenset[datetime.date] | None = None
    predicate: str | None = None
    before: datetime.date | None = None

    @property
    def everything(self) -> bool:
        """Whether the whole table goes."""
        return self.days is None and self.predicate is None and self.before is None

    def touched(self, table: Table) -> pl.DataFrame:
        """Live files of the handle's version that may hold doomed rows."""
        files = table.files(fresh=False)
        if self.before is not None:
            return prune(table.dataset, files, end=self.before - datetime.timedelta(days=1))
        if self.days is None:
            return files
        if not self.days:
            return files.clear()
        files = prune(table.dataset, files, start=min(self.days), end=max(self.days))
        values = {partition_value(table.dataset, day) for day in self.days}
        if None not in values and files.height:
            files = files.filter(pl.col(f"partition.{table.dataset.partition}").is_in(list(values)))
        return files

    def actions(self, table: Table, frame: pl.DataFrame, token: str) -> list[Any]:
        """Write `frame` and the rows that stay; the actions that make the exchange visible."""
        partition = table.dataset.partition
        touched = self.touched(table)
        if self.everything:
            return [*table.write_files(frame, token), *table.removals(touched)]
        key = f"partition.{partition}"
        groups = touched.partition_by(key) if partition and touched.height else [touched]
        removed: list[str] = []
        actions: list[Any] = []
        rest = frame
        # One partition at a time bounds the memory to the rows of one.
        for files in groups:
            retired, kept = self._divide(table, files)
            removed += retired
            if partition and files.height:
                mine = pl.col(partition) == files[key][0]
                kept.append(rest.filter(mine))
                rest = rest.filter(~mine)
            if kept:
                actions += table.write_files(pl.concat(kept), f"{token}|{len(actions)}")
        actions += table.write_files(rest, f"{token}|rest")
        retired_files = touched.filter(pl.col("path").is_in(removed)) if removed else touched[:0]
        return actions + table.removals(retired_files)

    def _divide(self, table: Table, files: pl.DataFrame) -> tuple[list[str], list[pl.DataFrame]]:
        """Files that lose rows, and the rows of those files that stay."""
        retired: list[str] = []
        kept: list[pl.DataFrame] = []
        stays = (~self.doomed).fill_null(value=True)
        for file in files.iter_rows(named=True):
            rows = table.scan([file["path"]])
            whole = self._covers(table.dataset, file)
            staying = 0 if whole else rows.select(stays.sum()).collect().item()
            if staying < file["num_records"]:
                retired.append(file["path"])
                if staying:
                    kept.append(rows.filter(stays).collect())
        return retired, kept

    def _covers(self, dataset: Dataset, file: dict[str, Any]) -> bool:
        """Whether the file's statistics prove that all of its rows are replaced sessions."""
        day = day_column(dataset)
        first, last = file.get(f"min.{day}"), file.get(f"max.{day}")
        holed = file.get(f"null_count.{day}", 1)
        return self.days is not None and first in self.days and first == last and holed == 0
