"""How verbs speak: Rich tables for people, one JSON document for machines."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import sys
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = [
    "Spoken",
    "count",
    "print_json",
    "print_line",
    "print_table",
    "print_warning",
    "size",
    "spoken",
]

# Width where no terminal says one: a pipe or a file.
PAGE_WIDTH = 160
# Columns of free text: they may run over several lines, names and numbers may not.
PROSE = frozenset({"detail", "meaning", "value", "what it does", "event", "outcomes"})


class Spoken:
    """Whether this command has already written its JSON document."""

    def __init__(self) -> None:
        self.document = False


spoken = Spoken()


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | Path | dt.timedelta | uuid.UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _finite(value: Any) -> Any:
    """The same document with null for numbers that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def print_json(document: Any) -> None:
    """Write the one JSON document of a command to standard output."""
    text = json.dumps(_finite(document), default=_plain, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")
    spoken.document = True


def print_line(text: str = "", style: str = "") -> None:
    """Write one line, styled on a terminal."""
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(text, style=style or None, markup=False)


def print_warning(text: str) -> None:
    """Write what a person should know to standard error, beside whatever standard output holds."""
    from tapemill.secrets import redact

    sys.stderr.write(f"{redact(text)}\n")


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    styles: dict[int, str] | None = None,
) -> None:
    """Draw a table; where a terminal is too narrow for it, one record below the other.

    Parameters
    ----------
    title : str
    columns : sequence of str
        Columns named in `PROSE` are folded, all others stay on one line.
    rows : iterable
    right : sequence of str, optional
        Columns to align right.
    styles : dict, optional
        Style of rows by index.
    """
    from rich.console import Console
    from rich.text import Text

    cells = [[Text("" if value is None else str(value)) for value in row] for row in rows]
    table = _table(title, columns, right)
    for index, row in enumerate(cells):
        table.add_row(*row, style=(styles or {}).get(index))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PAGE_WIDTH
    needed = _width(columns, cells)
    if needed > console.width and console.is_terminal and len(columns) > 2:
        _print_records(console, title, columns, cells)
        return
    console.width = max(console.width, needed)
    console.print(table)


def _table(title: str, columns: Sequence[str], right: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            no_wrap=name not in PROSE,
        )
    return table


def _width(columns: Sequence[str], cells: Sequence[Sequence[Text]]) -> int:
    """Characters that a table needs without cutting a name or a number."""
    widths = [len(name) for name in columns]
    for row in cells:
        for place, cell in enumerate(row):
            longest = 40 if columns[place] in PROSE else cell.cell_len
            widths[place] = max(widths[place], min(cell.cell_len, longest))
    return sum(widths) + 3 * len(widths) + 2


def _print_records(
    console: Console, title: str, columns: Sequence[str], cells: Iterable[Sequence[Any]]
) -> None:
    from rich.text import Text

    margin = max(map(len, columns), default=0)
    console.print(Text(title, style="bold"))
    for number, row in enumerate(cells, start=1):
        console.print(Text(f"── {number} ", style="dim"))
        for name, cell in zip(columns, row, strict=True):
            line = Text.assemble((f"  {name:<{margin}}  ", "dim"), cell)
            console.print(line, soft_wrap=True)


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
