"""A user's file of who belongs to an index, a sector or a theme, and since when."""

from __future__ import annotations

import re

import polars as pl

from tapemill.contracts import contract
from tapemill.errors import FileFormatError, did_you_mean
from tapemill.vendors.columnmap.reading import read_table
from tapemill.vendors.finra.fields import Shaped, Value, checked, day, number, with_fields

__all__ = ["read_memberships"]

_DATASET = "bronze.imported_memberships"
_REQUIRED = ("group", "kind", "symbol", "valid_from")
_COLUMNS = ("group", "kind", "symbol", "weight", "valid_from", "valid_to")
_REPEATED = re.compile(r"_duplicated_\d+$")
"""What the CSV reader adds to the name of a column that it has met before."""
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
    told = [column for column in renamed.values() if column in _COLUMNS]
    if len(set(told)) != len(told):
        raise FileFormatError("a column occurs twice", where=name, next_step="keep one of them")
    for missing in (column for column in _REQUIRED if column not in told):
        raise FileFormatError(
            f"no column {missing}; it has {', '.join(table.columns)}",
            where=name,
            next_step=did_you_mean(missing, table.columns)
            or f"columns: {', '.join(_COLUMNS)}; weight and valid_to may be absent",
        )
    # Chosen before it is numbered: a file may have a column of that name.
    kept = [pl.col(column).alias(said) for column, said in renamed.items() if said in _COLUMNS]
    fields = _as_text(table.select(kept), told, name)
    fields = fields.with_row_index("ordinal").cast({"ordinal": pl.Int64()})
    declared = contract(_DATASET)
    rows = with_fields(fields, _COLUMNS)
    values: list[Value] = [
        number("weight", "weight_frac"),
        day("valid_from", "valid_from", required=True),
        day("valid_to", "valid_to", open_end=True),
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
    empty = () if fields.height else ("it has a header and no rows",)
    return frame, rejected, (*ignored, *empty, *notes)


def _as_text(table: pl.DataFrame, columns: list[str], name: str) -> pl.DataFrame:
    """The columns as text; Parquet may hold anything in them."""
    for column in columns:
        dtype = table.schema[column]
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            raise FileFormatError(
                f"the column {column} holds {dtype}, not text, numbers or dates",
                where=name,
                next_step="write it as text",
            )
    return table.select(pl.col(column).cast(pl.String) for column in columns)


def _spelled(column: str) -> str:
    plain = _REPEATED.sub("", column.strip().lower())
    return _ALSO.get(plain, plain)
