"""Parquet files of whole numbers that grow by row groups: order data, a day at a time.

Receipt times, ordinals and sequences climb by small steps, which Polars' writer does not use: with
DELTA_BINARY_PACKED for 64-bit columns and dictionaries for the others (pyarrow) a million rows of
`silver.futures_events` take 10 MB instead of 19, and a third less processor time.
"""

from __future__ import annotations

import importlib.util
import io
from typing import Any

import polars as pl

from tapemill.errors import LakeError

__all__ = ["GrowingFile", "all_whole", "installed"]

_WIDE = (pl.Int64(), pl.Datetime("us", "UTC"))


def all_whole(schema: pl.Schema) -> bool:
    """Whether there is nothing but whole numbers, dates and times, and the symbol."""
    return all(
        dtype.is_signed_integer()
        or dtype in (pl.Date(), pl.Datetime("us", "UTC"))
        or (name == "symbol" and dtype == pl.String)
        for name, dtype in schema.items()
    )


def installed() -> bool:
    """Whether pyarrow is there (extra ``futures``)."""
    return importlib.util.find_spec("pyarrow") is not None


class GrowingFile:
    """One Parquet file in memory that takes rows as they come.

    Parameters
    ----------
    schema : pl.Schema
        See :func:`all_whole`.
    row_group_rows, level : int
        Most rows of a row group; level of zstd.

    Raises
    ------
    LakeError
        pyarrow is not installed.
    """

    def __init__(self, schema: pl.Schema, *, row_group_rows: int, level: int) -> None:
        if not installed():
            raise LakeError(
                "tables of order data are written with pyarrow, which is not installed",
                next_step='pip install "tapemill[futures]"',
            )
        import pyarrow.parquet as parquet

        self._schema = schema
        self._rows = row_group_rows
        self._buffer = io.BytesIO()
        wide = [name for name, dtype in schema.items() if dtype in _WIDE]
        self._writer: Any = parquet.ParquetWriter(
            self._buffer,
            pl.DataFrame(schema=schema).to_arrow().schema,
            compression="zstd",
            compression_level=level,
            use_dictionary=[name for name in schema if name not in wide],
            column_encoding=dict.fromkeys(wide, "DELTA_BINARY_PACKED"),
            write_statistics=True,
            store_schema=False,
        )

    def add(self, frame: pl.DataFrame) -> None:
        """Append rows of the declared schema; they are encoded at once."""
        rows = frame.select(self._schema.names()).to_arrow()
        self._writer.write_table(rows, row_group_size=self._rows)

    def finish(self) -> bytes:
        """The whole file; nothing can be added afterwards."""
        self._writer.close()
        return self._buffer.getvalue()
