"""Files of short interest: FINRA's consolidated list as JSON or CSV, with its field names."""

from __future__ import annotations

import polars as pl

from tapemill.vendors.finra.field_tables import read_fields
from tapemill.vendors.finra.fields import Shaped
from tapemill.vendors.finra.interest import interest_rows
from tapemill.vendors.finra.query import SHORT_INTEREST

__all__ = ["read_interest"]

_REQUIRED = ("symbolCode", "settlementDate", "currentShortPositionQuantity")


def read_interest(content: bytes, *, name: str = "") -> Shaped:
    """Read a file of short interest.

    Parameters
    ----------
    content : bytes
        Any form that :func:`~tapemill.vendors.finra.field_tables.read_fields` takes.
    name : str
        File, for messages.

    Raises
    ------
    FileFormatError
        The file cannot be read, or lacks the symbol, the settlement date or the position.
    """
    table = read_fields(content, SHORT_INTEREST, required=_REQUIRED, name=name)
    frame, rejected, notes = interest_rows(table.fields)
    rejected = pl.concat([table.broken, rejected]).sort("ordinal")
    return frame, rejected, (*table.notes, *notes)
