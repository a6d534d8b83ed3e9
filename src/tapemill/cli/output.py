"""How verbs speak: Rich tables for people, one JSON document for machines."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["count", "print_json", "print_line", "print_table", "size"]


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_json(document: Any) -> None:
    """Write one JSON document to standard output."""
    json.dump(document, sys.stdout, default=_plain, ensure_ascii=False)
    sys.stdout.write("\n")


def print_line(text: str = "", style: str = "") -> None:
    """Write one line, styled on a terminal."""
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(text, style=style or None, markup=False)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    styles: dict[int, str] | None = None,
) -> None:
    """Draw a table; `right` names the columns to align right, `styles` colours rows by index."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for index, row in enumerate(rows):
        cells = [Text("" if value is None else str(value)) for value in row]
        table.add_row(*cells, style=(styles or {}).get(index))
    Console(highlight=False).print(table)


def count(value: int | float) -> str:
    """A number with thousands separators."""
    return f"{value:,.0f}"


def size(number_of_bytes: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number_of_bytes) < 1000:
            return (
                f"{number_of_bytes:.0f} {unit}" if unit == "B" else f"{number_of_bytes:.1f} {unit}"
            )
        number_of_bytes /= 1000
    return f"{number_of_bytes:.1f} TB"
