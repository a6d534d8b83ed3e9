"""A user's file of who belongs to an index, a sector or a theme, and since when."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import contract
from tapemill.errors import FileFormatError, did_you_mean
from tapemill.vendors.columnmap.reading import read_table
from tapemill.vendors.finra.fields import Shaped, Value, checked, day, number, with_fields

__all__ = ["read_memberships"]

_DATASET = "bronze.imported_memberships"
_REQUIRED = ("group", "kind", "symbol", "valid_from")
_COLUMNS = ("group", "kind", "symbol", "weight", "valid_from", "valid_to")
_ALSO = {"weight_frac": "weight"}


def read_memberships(content: bytes, *, name: str = "") -> Shaped:
    """Read a CSV with the columns group, kind, symbol, weight, valid_from and valid_to.

    Weights are fractions of the group: 0.065, never 6.5. A member stays one until a row of the same
    group, symbol and `valid_from` gives a `valid_to`; leaving a symbol out of a later file ends
    nothing.

    Raises
    ------
    FileFormatError
        No CSV, or a column is missing.
    """
    table = read_table(content.removeprefix(b"\xef\xbb\xbf"), name=name)
    renamed = {column: _spelled(column) for column in table.columns}
    if len(set(renamed.values())) != len(renamed):
        raise FileFormatError("a column occurs twice", where=name, next_step="keep one of them")
    fields = table.rename(renamed).with_row_index("ordinal").cast({"ordinal": pl.Int64()})
    for missing in (column for column in _REQUIRED if column not in fields.columns):
        raise FileFormatError(
            f"no column {missing}; it has {', '.join(table.columns)}",
            where=name,
            next_step=did_you_mean(missing, table.columns)
            or f"columns: {', '.join(_COLUMNS)}; weight and valid_to may be absent",
        )
    declared = contract(_DATASET)
    rows = with_fields(fields, _COLUMNS)
    values: list[Value] = [
        number("weight", "weight_frac"),
        day("valid_from", "valid_from", required=True),
        day("valid_to", "valid_to"),
    ]
    typed = rows.select(
        "ordinal",
        "group",
        "symbol",
        *(value for value, _ in values),
        kind=pl.col("kind").str.to_lowercase(),
        year=values[1][0].dt.year(),
        reasons=pl.concat_str(*(reason for _, reason in values), separator=";", ignore_nulls=True),
    )
    unused = [column for column in renamed.values() if column not in _COLUMNS]
    frame, rejected, notes = checked(declared, fields, typed, key=("group", "symbol", "valid_from"))
    ignored = (f"columns not read: {', '.join(unused)}",) if unused else ()
    return frame, rejected, (*ignored, *notes)


def _spelled(column: str) -> str:
    plain = column.strip().lower()
    return _ALSO.get(plain, plain)
