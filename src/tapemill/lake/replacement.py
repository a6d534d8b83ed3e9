"""An exchange of rows whose new rows do not fit into memory: written in batches, seen at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from tapemill.errors import ConflictError
from tapemill.lake.parquet import QUICK_LEVEL
from tapemill.lake.swap import Swap
from tapemill.lake.table import Table

__all__ = ["Replacement", "gave_up"]


class Replacement:
    """New rows in place of the doomed ones of a table, all in one commit.

    Until the commit nothing is visible; an exchange that is never committed leaves files that a
    compaction sweeps.

    Parameters
    ----------
    table : Table
    swap : Swap
        Which rows go.
    tries : int
        How often a commit that lost against another writer is decided anew.
    """

    def __init__(self, table: Table, swap: Swap, tries: int) -> None:
        self._table = table
        self._swap = swap
        self._tries = tries
        self._adds: list[Any] = []

    def add(self, frame: pl.DataFrame, *, token: str, presorted: bool = False) -> None:
        """Write new rows durably; they are not visible yet.

        Parameters
        ----------
        frame : pl.DataFrame
        token : str
            What this batch is, unlike any other of the table.
        presorted : bool
            The rows are in the dataset's order already.

        Raises
        ------
        ContractError
            The frame does not keep the contract.
        LakeError
            Disk full, read-only, unreachable.
        """
        rows = self._table.conform(frame)
        self._adds += self._table.write_files(rows, token, level=QUICK_LEVEL, presorted=presorted)

    def take(self, adds: Sequence[Any]) -> None:
        """Take new rows that :meth:`FileBuilder.finish` wrote."""
        self._adds += adds

    def commit(self, *, writer: str, sequence: int) -> int:
        """Make the new rows visible and the doomed ones not, exactly once; the table's version.

        Raises
        ------
        ConflictError
            Other writers were faster many times in a row.
        """
        table = self._table
        for _ in range(self._tries):
            with table.lock:
                delta = table.create()
                committed = delta.transaction_version(writer)
                if committed is not None and committed >= sequence:
                    return delta.version()
                token = f"replace|{writer}|{sequence}|{delta.version()}"
                gone = self._swap.actions(table, table.dataset.empty(), token)
                try:
                    return table.commit(
                        delta,
                        [*self._adds, *gone],
                        token=token,
                        transaction=(writer, sequence),
                        exclusive=True,
                    )
                except ConflictError:
                    continue
        raise gave_up(table, self._tries)


def gave_up(table: Table, tries: int) -> ConflictError:
    """Error of a write that lost against others too often."""
    return ConflictError(
        f"other writers changed {table.dataset.name} {tries} times while this write waited",
        where=table.place.uri,
        next_step="nothing was committed; run the command again when fewer writers are busy",
    )
