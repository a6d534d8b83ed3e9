"""A table as it is looked at: cells with their words, colours and small lines, for both renderers.

Blocks of columns carry a heading of their own; each heading says on hover what the column is. The
page is HTML; the picture is drawn by Matplotlib, so that no browser is needed.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

from tapemill.report.drawing import DPI, write_bytes
from tapemill.report.flow_style import CARD, INK, LINE, MUTED, PAPER, plain
from tapemill.report.sparkline import sparkline

__all__ = ["Cell", "Heading", "TableView", "table_html", "table_png"]

_ROW, _CHARACTER, _PADDING, _MARGIN = 20.0, 6.9, 15.0, 20.0
_SPARK_WIDTH = 112.0
_SHARPNESS = 1.5


@dataclasses.dataclass(frozen=True)
class Cell:
    """One value as it is shown; `spark` draws a line instead of `text`."""

    text: str
    colour: str = ""
    title: str = ""
    spark: tuple[float | None, ...] = ()


@dataclasses.dataclass(frozen=True)
class Heading:
    """One column: what it is called, what it means, and how its cells stand.

    `kind` is "number", "text", "prose" (folded on the page, left out of the picture) or "spark".
    """

    label: str
    help: str = ""
    kind: str = "number"
    block: str = ""


@dataclasses.dataclass(frozen=True)
class TableView:
    """A table ready to be drawn.

    Parameters
    ----------
    title, note : str
    headings : tuple of Heading
    rows : tuple of tuple of Cell
    summary : tuple of Cell, optional
        Bold, above the rows.
    empty : str
        Said where there is no row.
    """

    title: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    summary: tuple[Cell, ...] = ()
    empty: str = "0 rows"

    def blocks(self) -> list[tuple[str, int]]:
        """Block names with the columns they span, in order."""
        spans: list[tuple[str, int]] = []
        for heading in self.headings:
            if spans and spans[-1][0] == heading.block:
                spans[-1] = (heading.block, spans[-1][1] + 1)
            else:
                spans.append((heading.block, 1))
        return spans

    def opens_block(self) -> list[bool]:
        """Whether a column is the first of its block."""
        names = [heading.block for heading in self.headings]
        return [bool(at) and name != names[at - 1] for at, name in enumerate(names)]


def table_html(table: TableView) -> str:
    """The table as an HTML fragment."""
    opens = table.opens_block()
    blocks = "".join(
        f'<th colspan="{span}"{_class("first" if at else "")}>{plain(name)}</th>'
        for at, (name, span) in enumerate(table.blocks())
    )
    head = "".join(
        f"<th{_class(*_classes(heading, first))}"
        + (f' title="{plain(heading.help)}"' if heading.help else "")
        + f">{plain(heading.label)}</th>"
        for heading, first in zip(table.headings, opens, strict=True)
    )
    has_blocks = any(heading.block for heading in table.headings)
    top = f'<tr class="blocks">{blocks}</tr>' if has_blocks else ""
    body = "".join(_row(table, row, opens) for row in table.rows)
    if table.summary:
        body = _row(table, table.summary, opens, "summary") + body
    note = f'<p class="note">{plain(table.note)}</p>' if table.note else ""
    # An empty table is an answer of its own and must not look like one that was forgotten.
    empty = "" if table.rows else f'<p class="note">{plain(table.empty)}</p>'
    return (
        f'<div class="card"><h3>{plain(table.title)}</h3>{note}<div class="scroll"><table>'
        f"<thead>{top}<tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{empty}</div>\n"
    )


def _row(table: TableView, row: Sequence[Cell], opens: Sequence[bool], kind: str = "") -> str:
    cells = []
    for cell, heading, first in zip(row, table.headings, opens, strict=True):
        style = f' style="color:{cell.colour}"' if cell.colour else ""
        title = f' title="{plain(cell.title)}"' if cell.title else ""
        inner = sparkline(cell.spark) if cell.spark else plain(cell.text)
        cells.append(f"<td{_class(*_classes(heading, first))}{style}{title}>{inner}</td>")
    return f"<tr{_class(kind)}>{''.join(cells)}</tr>"


def _classes(heading: Heading, first: bool) -> tuple[str, ...]:
    return ("" if heading.kind == "number" else heading.kind, "first" if first else "")


def _class(*names: str) -> str:
    said = " ".join(name for name in names if name)
    return f' class="{said}"' if said else ""


def table_png(tables: Sequence[TableView], path: Path, *, footer: Sequence[str] = ()) -> Path:
    """Draw tables under each other into one picture; columns of prose stay on the page.

    Raises
    ------
    FaultError
        The file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    widths = [_widths(table) for table in tables]
    width = max([sum(row) for row in widths] + [6.2 * max(map(len, footer), default=0)])
    width += 2 * _MARGIN
    height = _MARGIN + sum(_height(table) for table in tables) + 17 * len(footer) + _MARGIN
    with style.context("default", after_reset=True):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.set_axis_off()
        top = _MARGIN
        for table, across in zip(tables, widths, strict=True):
            _Picture(axes, table, across, top).draw()
            top += _height(table)
        for line in footer:
            axes.text(_MARGIN, top, line, size=7.6, color=MUTED, va="top", parse_math=False)
            top += 17
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI * _SHARPNESS, metadata={"Software": None})
    return write_bytes(path, buffer.getvalue())


def _shown(table: TableView) -> list[int]:
    return [at for at, heading in enumerate(table.headings) if heading.kind != "prose"]


def _widths(table: TableView) -> list[float]:
    """Pixels of each shown column."""
    rows = [*table.rows, table.summary] if table.summary else list(table.rows)
    widths = []
    for at in _shown(table):
        if table.headings[at].kind == "spark":
            widths.append(_SPARK_WIDTH + _PADDING)
            continue
        longest = max([len(row[at].text) for row in rows] + [len(table.headings[at].label)])
        widths.append(longest * _CHARACTER + _PADDING)
    return widths


def _height(table: TableView) -> float:
    lines = len(table.rows) + bool(table.summary) + (not table.rows)
    return 26 + (17 if table.note else 0) + 2 * _ROW + lines * _ROW + 24


class _Picture:
    """Draws one table into axes that count pixels from the top left."""

    def __init__(self, axes: object, table: TableView, widths: list[float], top: float) -> None:
        from matplotlib.axes import Axes

        assert isinstance(axes, Axes)
        self.axes = axes
        self.table = table
        self.widths = widths
        self.columns = _shown(table)
        self.top = top

    def draw(self) -> None:
        table, top = self.table, self.top
        self._text(_MARGIN, top + 10, table.title, INK, size=9.6, bold=True)
        top += 26
        if table.note:
            self._text(_MARGIN, top + 5, table.note, MUTED, size=7.6)
            top += 17
        self._blocks(top)
        top += _ROW
        right = _MARGIN
        for at, width in zip(self.columns, self.widths, strict=True):
            heading = table.headings[at]
            self._aligned(heading, right, width, top, heading.label, MUTED, bold=True)
            right += width
        top += _ROW
        if table.summary:
            self._fill(top, "#1D2530")
            self._line(table.summary, top, bold=True)
            top += _ROW
        for number, row in enumerate(table.rows):
            if number % 2:
                self._fill(top, CARD)
            self._line(row, top)
            top += _ROW
        if not table.rows:
            self._text(_MARGIN, top + _ROW / 2, table.empty, MUTED)

    def _blocks(self, top: float) -> None:
        left, drawn = _MARGIN, 0.0
        names = [self.table.headings[at].block for at in self.columns]
        for place, width in enumerate(self.widths):
            opens = place == 0 or names[place] != names[place - 1]
            if opens:
                drawn = left
                if names[place]:
                    self._text(drawn + 6, top + _ROW / 2, names[place].upper(), INK, size=7.2)
            left += width
            last = place + 1 == len(names) or names[place + 1] != names[place]
            if last and names[place]:
                self.axes.hlines(top + _ROW - 1, drawn + 5, left - 4, colors=LINE, linewidth=1.4)

    def _line(self, row: Sequence[Cell], top: float, *, bold: bool = False) -> None:
        left = _MARGIN
        for at, width in zip(self.columns, self.widths, strict=True):
            cell, heading = row[at], self.table.headings[at]
            if cell.spark:
                self._spark(cell.spark, left + 6, top)
            elif cell.text:
                self._aligned(heading, left, width, top, cell.text, cell.colour or INK, bold=bold)
            left += width

    def _aligned(
        self,
        heading: Heading,
        left: float,
        width: float,
        top: float,
        text: str,
        colour: str,
        *,
        bold: bool = False,
    ) -> None:
        to_left = heading.kind in ("text", "spark")
        at = left + 6 if to_left else left + width - 6
        self._text(
            at, top + _ROW / 2, text, colour, bold=bold, align="left" if to_left else "right"
        )

    def _text(
        self,
        at: float,
        top: float,
        text: str,
        colour: str,
        *,
        size: float = 8.0,
        bold: bool = False,
        align: str = "left",
    ) -> None:
        self.axes.text(
            at, top, text, size=size, color=colour, ha=align, va="center_baseline",
            weight="bold" if bold else "normal", parse_math=False,
        )  # fmt: skip

    def _fill(self, top: float, colour: str) -> None:
        right = _MARGIN + sum(self.widths)
        self.axes.fill_between([_MARGIN, right], top, top + _ROW, color=colour, linewidth=0)

    def _spark(self, values: Sequence[float | None], left: float, top: float) -> None:
        from tapemill.report.sparkline import spark_points

        for run in spark_points(values, _SPARK_WIDTH - 8, _ROW - 7):
            self.axes.plot(
                [left + x for x, _ in run],
                [top + 3.5 + y for _, y in run],
                color=MUTED,
                linewidth=0.9,
            )
        last = spark_points(values, _SPARK_WIDTH - 8, _ROW - 7)
        if last:
            x, y = last[-1][-1]
            self.axes.plot([left + x], [top + 3.5 + y], "o", color=INK, markersize=2.4)
