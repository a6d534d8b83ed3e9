"""From the Query API's text fields to typed columns, with a reason where that is impossible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tapemill.contracts import Dataset
from tapemill.vendors.rows import exact_decimal, rejected_rows
from tapemill.vendors.shape import breaks_contract, in_column_order

__all__ = ["Shaped", "Value", "checked", "day", "number", "quantity", "whole", "with_fields"]

Shaped = tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]
"""Rows in bronze columns without provenance, rows set aside with their reasons, and notes."""

Value = tuple[pl.Expr, pl.Expr]
"""A typed column, and the reason (String, null where sound) for which a row has no value in it."""

_WHOLE = r"^-?\d{1,18}(\.0*)?$"
_DAY = r"^(19|20|21)\d\d-\d\d?-\d\d?$"
_OPEN_END = "9999-12-31"
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"


def with_fields(fields: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """`ordinal` and the named fields as stripped text; null where absent or blank."""
    absent = [
        pl.lit(None, dtype=pl.String).alias(name) for name in names if name not in fields.columns
    ]
    return fields.with_columns(absent).select(
        "ordinal", *(_text(name).alias(name) for name in names)
    )


def _text(field: str) -> pl.Expr:
    """A field as text without spaces around it; blank is null."""
    stripped = pl.col(field).cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def day(field: str, name: str, *, required: bool = False, open_end: bool = False) -> Value:
    """An ISO date of the years 1900 to 2199; with `open_end` also 9999-12-31."""
    plain = pl.col(field).str.contains(_DAY)
    if open_end:
        plain = plain | (pl.col(field) == _OPEN_END)
    value = pl.when(plain).then(pl.col(field)).str.to_date("%Y-%m-%d", strict=False)
    return _told(field, name, value, "not_a_date", required=required)


def quantity(field: str, name: str, dtype: pl.DataType, *, required: bool = False) -> Value:
    """An exact decimal; floats never occur."""
    assert isinstance(dtype, pl.Decimal)  # declared so; narrows the type
    value, reason = exact_decimal(field, dtype)
    named: pl.Expr = reason.str.replace(field, name, literal=True)
    if required:
        named = pl.when(pl.col(field).is_null()).then(pl.lit(f"{name}_missing")).otherwise(named)
    return value.alias(name), named


def whole(field: str, name: str) -> Value:
    """A count; `171` and `171.0` are whole, `171.5` is not."""
    plain = pl.when(pl.col(field).str.contains(_WHOLE)).then(pl.col(field))
    value = plain.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
    return _told(field, name, value, "not_a_whole_number")


def number(field: str, name: str) -> Value:
    """A finite number."""
    plain = pl.when(pl.col(field).str.contains(_NUMBER)).then(pl.col(field))
    value = plain.cast(pl.Float64, strict=False)
    # 1e400 is written as a number and is none.
    value = pl.when(value.is_finite()).then(value)
    return _told(field, name, value, "not_a_number")


def _told(field: str, name: str, value: pl.Expr, fault: str, *, required: bool = False) -> Value:
    reason: pl.Expr = pl.when(pl.col(field).is_not_null() & value.is_null()).then(
        pl.lit(f"{name}_{fault}")
    )
    if required:
        missing = pl.lit(f"{name}_missing")
        reason = pl.when(pl.col(field).is_null()).then(missing).otherwise(reason)
    return value.alias(name), reason


def checked(
    dataset: Dataset,
    fields: pl.DataFrame,
    typed: pl.DataFrame,
    *,
    key: Sequence[str],
    notes: Mapping[str, int] | None = None,
) -> Shaped:
    """Set aside misread rows, contradictions and breaches of the contract; drop exact repeats.

    Parameters
    ----------
    dataset : Dataset
    fields : pl.DataFrame
        Rows as the source named them, with `ordinal`: they become quarantine's text.
    typed : pl.DataFrame
        Bronze columns, `ordinal`, and `reasons` ("" = sound).
    key : sequence of str
        Two different rows of one key contradict each other, and both are set aside.
    notes : mapping of str to int, optional
        Text with ``{}`` for the count → count; zero counts are left out.
    """
    misread = typed.filter(pl.col("reasons") != "")
    sound = typed.filter(pl.col("reasons") == "").drop("reasons")
    facts = [name for name in sound.columns if name != "ordinal"]
    kept = sound.unique(subset=facts, keep="first", maintain_order=True)
    repeated = sound.height - kept.height
    contradicts = pl.struct(*key).is_duplicated()
    conflicting = kept.filter(contradicts).with_columns(reasons=pl.lit("conflicting_duplicate"))
    good, breaches = breaks_contract(dataset, kept.filter(~contradicts))
    bad = pl.concat([misread, conflicting, breaches], how="diagonal").with_columns(
        session=pl.col(dataset.event_column)
    )
    counts = {"{} exact repeats of a row dropped": repeated, **(notes or {})}
    told = tuple(line.format(f"{count:,}") for line, count in counts.items() if count)
    rejected = rejected_rows(bad, fields).sort("ordinal")
    return in_column_order(dataset, good), rejected, told
