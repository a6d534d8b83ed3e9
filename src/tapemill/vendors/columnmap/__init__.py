"""Anybody's bar files: CSV or Parquet read through a column map.

In: a file and a map that says which column is what, in which zone its stamps are, and whether they
mark the start or the end of a bar. Out: rows of `bronze.imported_bars_1m` or `_1d`.
"""

from __future__ import annotations

from tapemill.vendors.columnmap.mapping import (
    ColumnMap,
    column_map,
    load_options,
    parse_options,
)
from tapemill.vendors.columnmap.reading import BarFile, read_bar_file
from tapemill.vendors.columnmap.suggesting import suggest

__all__ = [
    "BarFile",
    "ColumnMap",
    "column_map",
    "load_options",
    "parse_options",
    "read_bar_file",
    "suggest",
]
