"""The report: one self-contained page in which every number says where it comes from."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl

from tapemill.errors import UnknownNameError, UsageError, did_you_mean
from tapemill.report._style import SCRIPT, STYLE
from tapemill.report.drawing import Drawing, plotly_script, write_bytes
from tapemill.report.palette import STATE_CODE

__all__ = ["SECTIONS", "Fact", "ReportFigure", "ReportTable", "write_report"]

SECTIONS = {
    "fetched": ("What was fetched", "Calls on the wire, how each was answered, rows received."),
    "built": ("What was built", "Tables with the hash of their content: same in, same hash."),
    "coverage": ("Coverage", "What is there and what is missing, per symbol and session."),
    "findings": ("Findings and incidents", "What cannot be believed, and what was opened for it."),
    "quarantine": ("Quarantine", "Rows that broke a contract. They are kept, not used."),
    "prices": ("Bars", "What the trusted tables hold, as a chart."),
    "truth": ("Known truth", "What the pipeline concluded beside what the market was made of."),
}
"""Section key → title and introduction, in page order."""

Value = str | int | float | bool | date | None

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LEVELS = ("error", "warning", "info")


@dataclasses.dataclass(frozen=True)
class Fact:
    """One number with its origin.

    Parameters
    ----------
    section : str
        A key of `SECTIONS`.
    label : str
    value : str, int, float, bool, date or None
    source : str
        Dataset or record it was read from, for example ``silver.coverage``.
    command : str
        What to type to see it again, for example ``tapemill check``.
    """

    section: str
    label: str
    value: Value
    source: str
    command: str


@dataclasses.dataclass(frozen=True)
class ReportTable:
    """Rows of numbers with one origin.

    Parameters
    ----------
    section, title : str
    frame : pl.DataFrame
        What is shown, all of it; column names become the header.
    source, command : str
        As in :class:`Fact`.
    note : str
    """

    section: str
    title: str
    frame: pl.DataFrame
    source: str
    command: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class ReportFigure:
    """A drawing with its origin.

    Parameters
    ----------
    section : str
    drawing : Drawing
        Coverage calendar, candles …
    source, command : str
        As in :class:`Fact`.
    note : str
    """

    section: str
    drawing: Drawing
    source: str
    command: str
    note: str = ""


def write_report(
    path_dir: str | Path,
    *,
    title: str,
    synthetic: bool,
    facts: Sequence[Fact],
    tables: Sequence[ReportTable] = (),
    figures: Sequence[ReportFigure] = (),
    subtitle: str = "",
) -> Path:
    """Write ``index.html`` into `path_dir`, self-contained and readable without a network.

    Parameters
    ----------
    path_dir : path
        Made if absent.
    title, subtitle : str
    synthetic : bool
        Whether any number stems from a made-up market: the page then says so on every screen.
    facts, tables, figures : sequences
        Shown in the order of `SECTIONS`, then in the order given.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    UnknownNameError
        An item names a section that does not exist.
    UsageError
        An item does not say where it comes from.
    FaultError
        The page cannot be written.
    """
    items: list[Fact | ReportTable | ReportFigure] = [*facts, *tables, *figures]
    for item in items:
        _check_origin(item)
    used = [key for key in SECTIONS if any(item.section == key for item in items)]
    numbered = list(enumerate(figures, start=1))
    parts = [
        _section(
            key,
            [fact for fact in facts if fact.section == key],
            [table for table in tables if table.section == key],
            [pair for pair in numbered if pair[1].section == key],
        )
        for key in used
    ]
    navigation = "".join(f'<a href="#{key}">{_text(SECTIONS[key][0])}</a>' for key in used)
    banner = (
        '<div class="banner" role="note">SYNTHETIC DATA '
        "<span>— a made-up market with known truth. No number here is a real price.</span></div>"
        if synthetic
        else ""
    )
    lead = f'<p class="lead">{_text(subtitle)}</p>' if subtitle else ""
    script = f"{plotly_script()}<script>{SCRIPT}</script>" if figures else ""
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}{" (synthetic data)" if synthetic else ""}</title>
<style>{STYLE}</style>
{script}
</head>
<body>
{banner}
<header><h1>{_text(title)}</h1>{lead}<nav>{navigation}</nav></header>
<main>
{"".join(parts)}
</main>
<footer>Written by Tapemill. Each number names its source and the command that shows it again.
{"All data on this page is synthetic." if synthetic else ""}</footer>
</body>
</html>
"""
    return write_bytes(Path(path_dir) / "index.html", page.encode())


def _check_origin(item: Fact | ReportTable | ReportFigure) -> None:
    if item.section not in SECTIONS:
        raise UnknownNameError(
            f"the report has no section {item.section!r}",
            next_step=did_you_mean(item.section, SECTIONS) or f"sections: {', '.join(SECTIONS)}",
        )
    if not (item.source and item.command):
        name = item.drawing.title if isinstance(item, ReportFigure) else _name(item)
        raise UsageError(
            f"{name!r} does not say where it comes from",
            next_step="give source= (a dataset or record) and command= (what shows it again)",
        )


def _name(item: Fact | ReportTable) -> str:
    return item.label if isinstance(item, Fact) else item.title


def _section(
    key: str,
    facts: Sequence[Fact],
    tables: Sequence[ReportTable],
    figures: Sequence[tuple[int, ReportFigure]],
) -> str:
    title, introduction = SECTIONS[key]
    cards = "".join(_fact(fact) for fact in facts)
    return (
        f'<section id="{key}"><h2>{_text(title)}</h2><p class="note">{_text(introduction)}</p>'
        + (f'<dl class="facts">{cards}</dl>' if cards else "")
        + "".join(_figure(number, figure) for number, figure in figures)
        + "".join(_table(table) for table in tables)
        + "</section>\n"
    )


def _fact(fact: Fact) -> str:
    return (
        f'<div class="card"><dt>{_text(fact.label)}</dt><dd><div class="value">'
        f"{_cell(fact.value)}</div>{_origin(fact)}</dd></div>"
    )


def _table(table: ReportTable) -> str:
    frame = table.frame
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    head = "".join(
        f"<th{_align(number)}>{_text(name)}</th>"
        for name, number in zip(frame.columns, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_align(number)}>{_cell(value)}</td>"
            for value, number in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in frame.iter_rows()
    )
    # An empty table is an answer of its own and must not look like a table that was forgotten.
    rows = '<p class="note">0 rows.</p>' if frame.is_empty() else ""
    note = f'<p class="note">{_text(table.note)}</p>' if table.note else ""
    return (
        f'<div class="card table"><h3>{_text(table.title)}</h3>{note}<div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{rows}"
        f"{_origin(table)}</div>"
    )


def _figure(number: int, figure: ReportFigure) -> str:
    note = f'<p class="note">{_text(figure.note)}</p>' if figure.note else ""
    return (
        f'<div class="card figure"><div class="scroll">'
        f"{figure.drawing.div(f'figure-{number}')}</div>{note}{_origin(figure)}</div>"
    )


def _origin(item: Fact | ReportTable | ReportFigure) -> str:
    return f'<p class="origin">{_text(item.source)} · <code>{_text(item.command)}</code></p>'


def _align(number: bool) -> str:
    return ' class="number"' if number else ""


def _cell(value: object) -> str:
    """One value as HTML: thousands separated, dots for states, hashes in fixed pitch."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, datetime):
        return _text(value.isoformat(sep=" "))
    text = str(value)
    if _SHA256.fullmatch(text):
        return f"<code>{text}</code>"
    if text in STATE_CODE or text in _LEVELS:
        return f'<span class="dot dot-{text}"></span>{text}'
    return _text(text)


def _text(value: str) -> str:
    return html.escape(value)
