"""From a JSON array of objects to typed columns, strictly, without losing the rows that break.

Rows of plain numbers alone are read as lines of numbers (``plain_rows``). The next way decodes
straight into typed structs and holds for every page that keeps its documented shape. A page that
does not is decoded generically, its changes of shape are named as :class:`Drift`, and rows with a
value of the wrong type are set aside with the reason while the others are kept.
"""

from __future__ import annotations

import dataclasses
import decimal
import re
from typing import Any

import msgspec
import polars as pl

from tapemill.contracts import Drift, compare_fields
from tapemill.vendors.plain_rows import plain_columns
from tapemill.vendors.struct_columns import POLARS_TYPES, Family, struct_columns

__all__ = [
    "REJECTED",
    "Field",
    "TypedRows",
    "exact_decimal",
    "read_rows",
    "rejected_rows",
]

REJECTED = pl.Schema(
    {
        "ordinal": pl.Int64(),
        "symbol": pl.String(),
        "session": pl.Date(),
        "reasons": pl.String(),
        "row": pl.String(),
    }
)
"""Shape of the rows that go to quarantine."""

_JSON_FAMILY: dict[Family, str] = {"decimal": "number", "date": "text"}
_DECIMAL = re.compile(r"^-?\d+(\.\d+)?$")
_INT64 = range(-(2**63), 2**63)


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One documented field of a vendor's row.

    `family` ``decimal`` is a number kept exactly, as text; ``date`` is text that names a date;
    ``list`` is a list of whole numbers. `optional` fields may be absent or null in any row.
    """

    name: str
    family: Family
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class TypedRows:
    """Rows as columns named like the vendor's fields, plus `ordinal` (Int64, from 0).

    `frame` has the rows whose values have the documented types (nulls included); `broken` has the
    others in the :data:`REJECTED` shape; `count` is how many the array held.
    """

    frame: pl.DataFrame
    broken: pl.DataFrame
    drift: list[Drift]
    count: int


def read_rows(array: bytes | msgspec.Raw, fields: tuple[Field, ...]) -> TypedRows:
    """Read a JSON array of objects.

    Parameters
    ----------
    array : bytes or msgspec.Raw
        The array's text; empty or ``null`` counts as no rows.
    fields : tuple of Field

    Raises
    ------
    msgspec.DecodeError
        `array` is not JSON, or not an array.
    """
    text = bytes(array)
    if len(text) < 16 and text.strip() in (b"", b"null"):
        return TypedRows(_nothing(fields), pl.DataFrame(schema=REJECTED), [], 0)
    shape = tuple((field.name, field.family, field.optional) for field in fields)
    plain = plain_columns(array, shape) if isinstance(array, msgspec.Raw) else None
    if plain is not None:
        return TypedRows(
            plain.with_row_index("ordinal").cast({"ordinal": pl.Int64()}),
            pl.DataFrame(schema=REJECTED),
            [],
            plain.height,
        )
    try:
        columns = struct_columns(text, shape)
    except (msgspec.ValidationError, OverflowError):
        return _read_generic(text, fields)
    count = len(columns[fields[0].name])
    ordinal = pl.int_range(count, eager=True).alias("ordinal")
    frame = pl.DataFrame([ordinal, *(columns[field.name] for field in fields)])
    return TypedRows(frame, pl.DataFrame(schema=REJECTED), [], count)


def _nothing(fields: tuple[Field, ...]) -> pl.DataFrame:
    columns = {field.name: POLARS_TYPES[field.family] for field in fields}
    return pl.DataFrame(schema={"ordinal": pl.Int64(), **columns})


def _read_generic(array: bytes, fields: tuple[Field, ...]) -> TypedRows:
    exact = any(field.family == "decimal" for field in fields)
    hook = decimal.Decimal if exact else None
    rows: list[Any] = msgspec.json.Decoder(list[Any], float_hook=hook).decode(array)
    reasons: list[list[str]] = [[] if isinstance(r, dict) else ["row_not_an_object"] for r in rows]
    objects = [row if isinstance(row, dict) else {} for row in rows]
    for field in fields:
        if field.family == "decimal":
            _unquote(objects, field.name)
    columns = {}
    for field in fields:
        fitted, misfits = _fit([row.get(field.name) for row in objects], field)
        columns[field.name] = pl.Series(field.name, fitted, dtype=POLARS_TYPES[field.family])
        for position in misfits:
            reasons[position].append(f"{field.name}_not_{field.family}")
    ordinal = pl.int_range(len(rows), eager=True).alias("ordinal")
    sound = pl.Series([not reason for reason in reasons], dtype=pl.Boolean)
    broken = pl.DataFrame(
        [
            (position, None, None, ";".join(reason), _text(rows[position]))
            for position, reason in enumerate(reasons)
            if reason
        ],
        schema=REJECTED,
        orient="row",
    )
    frame = pl.DataFrame([ordinal, *columns.values()]).filter(sound)
    return TypedRows(frame, broken, _drift(objects, fields), len(rows))


def _unquote(rows: list[dict[str, Any]], name: str) -> None:
    """Quoted exact numbers are as good as bare ones, here as in the fast way."""
    for row in rows:
        value = row.get(name)
        if isinstance(value, str) and _DECIMAL.match(value):
            row[name] = decimal.Decimal(value)


def _text(row: object) -> str:
    return msgspec.json.Encoder(decimal_format="number").encode(row).decode()


def _family(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float | decimal.Decimal):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def _fit(values: list[Any], field: Field) -> tuple[list[Any], list[int]]:
    fitted: list[Any] = []
    misfits: list[int] = []
    for position, value in enumerate(values):
        kept = _fitted(value, field.family)
        fitted.append(kept)
        if kept is None and value is not None:
            misfits.append(position)
    return fitted, misfits


def _fitted(value: Any, family: Family) -> Any:
    seen = _family(value)
    if family == "decimal":
        return format(value, "f") if seen in ("number", "integer") else None
    if family == "number":
        return float(value) if seen in ("number", "integer") else None
    if family == "integer":
        whole = seen == "integer" or (seen == "number" and value == int(value))
        return int(value) if whole and int(value) in _INT64 else None
    if family == "list" and seen == "list":
        return value if all(_family(code) == "integer" for code in value) else None
    return value if seen == _JSON_FAMILY.get(family, family) else None


def _drift(rows: list[dict[str, Any]], fields: tuple[Field, ...]) -> list[Drift]:
    expected = {field.name: _JSON_FAMILY.get(field.family, field.family) for field in fields}
    families: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            families.setdefault(name, set()).add(_family(value))
    seen: dict[str, str] = {}
    for name, found in families.items():
        wanted = expected.get(name, "")
        fitting = {wanted, "integer"} if wanted == "number" else {wanted}
        values = sorted(found - {"null"})
        # One sound value shows that the field has kept its type: the others are broken rows.
        seen[name] = wanted if found & fitting else (values[0] if values else "null")
    optional = frozenset(field.name for field in fields if field.optional)
    return compare_fields(expected, seen, optional)


def exact_decimal(name: str, dtype: pl.Decimal) -> tuple[pl.Expr, pl.Expr]:
    """Text column `name` as an exact decimal, and the reason where that is impossible.

    Returns
    -------
    value : pl.Expr
        `dtype`, null where the text is no plain decimal number or has too many decimals.
    reason : pl.Expr
        String: ``<name>_not_a_number``, ``<name>_over_6_decimals`` or null.
    """
    text = pl.col(name).str.strip_chars()
    scale = dtype.scale
    plain = text.str.contains(r"^-?\d{1,14}(\.\d*)?$")
    short = text.str.contains(rf"^-?\d+(\.\d{{0,{scale}}}0*)?$")
    value = pl.when(plain & short).then(text.str.strip_chars_end(".")).cast(dtype, strict=False)
    reason = (
        pl.when(text.is_null())
        .then(None)
        .when(~plain)
        .then(pl.lit(f"{name}_not_a_number"))
        .when(~short)
        .then(pl.lit(f"{name}_over_{scale}_decimals"))
    )
    return value.alias(name), reason


def rejected_rows(
    bad: pl.DataFrame, source_rows: pl.DataFrame, *, symbol: str | None = "symbol"
) -> pl.DataFrame:
    """Bring rows that broke a contract into the :data:`REJECTED` shape.

    Parameters
    ----------
    bad : pl.DataFrame
        Rows with `ordinal` and `reasons`, and `symbol` and `session` where they are known.
    source_rows : pl.DataFrame
        Rows as the source named them, with `ordinal`; they become the JSON text.
    symbol : str, optional
        Name of the column of `bad` that holds the symbol.
    """
    if bad.is_empty():
        return pl.DataFrame(schema=REJECTED)
    named = [name for name in source_rows.columns if name != "ordinal"]
    text = source_rows.join(bad.select("ordinal"), on="ordinal", how="semi").select(
        "ordinal", row=pl.struct(named).struct.json_encode()
    )
    known = {
        "symbol": symbol if symbol in bad.columns else None,
        "session": "session" if "session" in bad.columns else None,
    }
    columns = [
        (pl.col(column) if column else pl.lit(None)).cast(REJECTED[name]).alias(name)
        for name, column in known.items()
    ]
    return (
        bad.select("ordinal", *columns, "reasons")
        .join(text, on="ordinal", how="left")
        .select(REJECTED.names())
        .cast(REJECTED)
    )
