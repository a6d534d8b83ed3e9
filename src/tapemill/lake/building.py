"""Data files that grow: many rows, in the memory of what is encoded."""

from __future__ import annotations

from typing import Any

import polars as pl

from tapemill.errors import ContractError
from tapemill.lake.growing import GrowingFile, all_whole
from tapemill.lake.parquet import (
    QUICK_LEVEL,
    ROW_GROUP_ROWS,
    DataFile,
    Statistics,
    statistics,
)
from tapemill.lake.partitions import parts
from tapemill.lake.table import Table

__all__ = ["FileBuilder"]


class FileBuilder:
    """One data file a partition, grown by frames that come in the dataset's order.

    Parameters
    ----------
    table : Table
        Of nothing but whole numbers, dates, times and a symbol.
    token : str
        What this write is, unlike any other of the table.

    Raises
    ------
    ContractError
        The table has columns of other types.
    """

    def __init__(self, table: Table, token: str) -> None:
        partition = table.dataset.partition
        schema = {name: t for name, t in table.dataset.schema.items() if name != partition}
        self._schema = pl.Schema(schema)
        if not all_whole(self._schema):
            raise ContractError(
                f"{table.dataset.name} has columns that are no whole numbers",
                next_step="write its rows with TableStore.append",
            )
        self._table = table
        self._token = token
        self._files: dict[str, tuple[GrowingFile, Statistics]] = {}

    def add(self, frame: pl.DataFrame) -> None:
        """Take further rows and encode them.

        Raises
        ------
        ContractError
            The frame does not keep the contract.
        """
        rows = self._table.conform(frame)
        partition = self._table.dataset.partition
        bare = rows.drop(partition) if partition else rows
        for part in parts(rows, partition):
            ours = part.of(bare)
            found = statistics(ours, self._table.sought)
            file, before = self._files.get(part.value, (None, None))
            if file is None or before is None:
                file = GrowingFile(self._schema, row_group_rows=ROW_GROUP_ROWS, level=QUICK_LEVEL)
            file.add(ours)
            self._files[part.value] = file, found if before is None else before.joined(found)

    def finish(self) -> list[Any]:
        """Write the files durably; the actions that would show them."""
        return [
            self._table.put_file(DataFile(file.finish(), found.text()), self._token, value)
            for value, (file, found) in self._files.items()
        ]
