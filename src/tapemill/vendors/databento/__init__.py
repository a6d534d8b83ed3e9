"""Databento: DBN files as arrays and rows, and the vendor's own client for fetching them.

In: a DBN file of any version and schema, or a request. Out: chunks of records as NumPy arrays (the
layouts of `tapemill.book.records`), frames in the columns of ``bronze.databento_*``, or the file.
"""

from __future__ import annotations

from tapemill.vendors.databento.metadata import DbnMetadata
from tapemill.vendors.databento.reader import DbnFault, DbnFile, RecordChunk
from tapemill.vendors.databento.rows import (
    parse_bars,
    parse_definitions,
    parse_statistics,
    parse_status,
)
from tapemill.vendors.databento.symbols import Mapping, SymbolTable

__all__ = [
    "DbnFault",
    "DbnFile",
    "DbnMetadata",
    "Mapping",
    "RecordChunk",
    "SymbolTable",
    "parse_bars",
    "parse_definitions",
    "parse_statistics",
    "parse_status",
]
