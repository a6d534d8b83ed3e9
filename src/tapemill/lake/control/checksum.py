"""One checksum per row, so that a single flipped bit in the control state has a name."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Table

from tapemill.errors import CorruptError

__all__ = ["checked", "checked_all", "describe_row", "is_sound", "row_crc", "seal"]


@cache
def _sealed_columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name != "crc")


def _written(value: object) -> str:
    # The type is part of the text: a flip can turn an integer into text in SQLite's record header.
    if value is None:
        return "~"
    if isinstance(value, bytes):
        return "x" + value.hex()
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, str):
        return "s" + value
    return f"?{value!r}"


def row_crc(table: Table, values: Mapping[str, Any]) -> int:
    """CRC-32 over table name, column values and their types."""
    parts = [table.name, *(_written(values[name]) for name in _sealed_columns(table))]
    return zlib.crc32("\x1f".join(parts).encode("utf-8", "surrogateescape"))


def seal(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its checksum; every column of `table` must be present."""
    return {**values, "crc": row_crc(table, values)}


def is_sound(table: Table, values: Mapping[str, Any]) -> bool:
    """Whether the row still is what was sealed."""
    return bool(values["crc"] == row_crc(table, values))


def describe_row(table: Table, values: Mapping[str, Any]) -> str:
    """Name a row by its table and primary key, for messages."""
    key = "/".join(str(values[column.name]) for column in table.primary_key.columns)
    return f"{table.name} {key}"


def checked(table: Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """The row as a dict, once its checksum is verified.

    Raises
    ------
    CorruptError
        The stored row differs from what was written; the message names it.
    """
    values = {str(name): value for name, value in row.items()}
    if not is_sound(table, values):
        raise CorruptError(
            f"the control row {describe_row(table, values)} differs from its checksum",
            where=describe_row(table, values),
            next_step="run `tapemill verify`, then restore the control state from a backup",
        )
    return values


def checked_all(table: Table, rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    """Every row, verified; see :func:`checked`."""
    return [checked(table, row) for row in rows]
