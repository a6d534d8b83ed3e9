"""The report of some symbols: figures, tables, a merged view and files, in one run folder."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tapemill.errors import UsageError
from tapemill.report.drawing import write_bytes
from tapemill.report.flow_cells import table_html, table_png
from tapemill.report.flow_facts import FlowFacts, read_flow, stamp
from tapemill.report.flow_merged import merged_figure
from tapemill.report.flow_page import PageSection, flow_page
from tapemill.report.flow_style import DISCLAIMER
from tapemill.report.flow_symbol import symbol_figure
from tapemill.report.flow_table import TABLE_METRICS, dictionary_html, export_frame, flow_table
from tapemill.report.runs import Run, run_digest, write_run

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = ["EACH_UP_TO", "MOST_SYMBOLS", "FlowReport", "report_modules", "write_flow_report"]

MOST_SYMBOLS, MOST_SESSIONS = 60, 504
EACH_UP_TO = 8
"""More symbols than this get the merged view and the table, and a figure each only if asked."""
_PICTURE_ROWS, _PAGE_ROWS = 45, 2400
"""Rows of one picture, and of all tables of a page together; the files hold every row."""

_MODULES = ("drawing", "layout", "palette", "sparkline")


@dataclasses.dataclass(frozen=True)
class FlowReport:
    """A report on disk and what it shows."""

    run: Run
    facts: FlowFacts


def report_modules(*names: str) -> tuple[str, ...]:
    """Full names of the modules whose code makes a flow page, beside those named."""
    shared = (*_MODULES, "flow_cells", "flow_page", "flow_panels", "flow_style")
    drawn = ("_flow_plotly", "_flow_matplotlib")
    return tuple(f"tapemill.report.{name}" for name in (*shared, *drawn, *names))


def write_flow_report(
    lake: Lake,
    symbols: Sequence[str],
    out: Path,
    *,
    end: date | None = None,
    days: int = 60,
    as_of: date | datetime | str | None = None,
    each: bool | None = None,
) -> FlowReport:
    """Write the report of some symbols.

    The folder holds ``index.html``, ``table.csv`` and ``table.parquet`` (every column of the gold
    tables), ``SYMBOL.png`` and ``SYMBOL-table.png`` per symbol, and ``merged.png`` for several.

    Parameters
    ----------
    lake : Lake
    symbols : sequence of str
        At most 60.
    out : Path
        The run lies in ``<out>/flow/<last session>-<hash>/``.
    end : date, optional
        Last session; the newest evening by default.
    days : int
        Sessions shown, at most 504.
    as_of : date, datetime or str, optional
        Nothing known later is read.
    each : bool, optional
        Whether each symbol gets its own figures; by default up to 8 symbols do.

    Raises
    ------
    UsageError
        No symbol, or more symbols or sessions than a page can hold.
    LakeError, UnknownNameError, DateError
        As :func:`tapemill.report.flow_facts.read_flow`.
    CorruptError, FaultError
        As :func:`tapemill.report.runs.write_run`.
    """
    if not 1 <= len(symbols) <= MOST_SYMBOLS or days > MOST_SESSIONS:
        raise UsageError(
            f"{len(symbols)} symbols over {days} sessions cannot be shown on one page",
            next_step=f"name 1 to {MOST_SYMBOLS} symbols and up to {MOST_SESSIONS} sessions; "
            "`tapemill report flow --scan` shows the whole market",
        )
    facts = read_flow(lake, symbols, end=end, days=days, as_of=as_of)
    single = len(symbols) <= EACH_UP_TO if each is None else each
    modules = report_modules(
        "flow_facts", "flow_merged", "flow_report", "flow_symbol", "flow_table", "flow_weeks"
    )
    parameters = {
        "symbols": " ".join(facts.symbols),
        "sessions": f"{facts.sessions[0]} to {facts.sessions[-1]}",
        "as_of": facts.as_of or "",
        "each": single,
        "notes": "; ".join(facts.notes),
    }
    digest = run_digest(facts.frames(), parameters, modules)
    run = write_run(
        out,
        "flow",
        facts.sessions[-1],
        digest,
        parameters,
        lambda folder: _fill(folder, facts, each=single),
    )
    return FlowReport(run, facts)


def _fill(folder: Path, facts: FlowFacts, *, each: bool) -> None:
    several = len(facts.symbols) > 1
    sections = []
    if several:
        merged = merged_figure(facts)
        merged.write_png(folder / "merged.png")
        sections.append(PageSection("merged", "All names", _card(merged.div("figure-merged"))))
    for symbol in facts.symbols:
        table = flow_table(facts.daily, symbol, _PAGE_ROWS // len(facts.symbols))
        body = table_html(table)
        if each:
            name = file_name(symbol)
            figure = symbol_figure(facts, symbol)
            figure.write_png(folder / f"{name}.png")
            short = flow_table(facts.daily, symbol, _PICTURE_ROWS)
            table_png([short], folder / f"{name}-table.png", footer=(DISCLAIMER,))
            body = _card(figure.div(f"figure-{name}")) + body
        sections.append(PageSection(f"symbol-{symbol}", symbol, body))
    sections.append(PageSection("columns", "Columns", dictionary_html(TABLE_METRICS)))
    rows = export_frame(facts.daily)
    rows.write_csv(folder / "table.csv")
    rows.write_parquet(folder / "table.parquet")
    names = " ".join(facts.symbols)
    page = flow_page(
        f"Off-exchange flow: {names}"
        if not several
        else f"Off-exchange flow: {len(facts.symbols)} names",
        f"{facts.sessions[0]} to {facts.sessions[-1]} · {stamp(facts.as_of, facts.newest)}",
        sections,
        cautions=facts.notes,
        command=_command(facts),
    )
    write_bytes(folder / "index.html", page)


def file_name(symbol: str) -> str:
    """A symbol as the name of a file."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", symbol)


def _card(body: str) -> str:
    return f'<div class="card scroll">{body}</div>'


def _command(facts: FlowFacts) -> str:
    as_of = f" --as-of {facts.as_of.isoformat()}" if facts.as_of else ""
    return (
        f"tapemill report flow {' '.join(facts.symbols)} --end {facts.sessions[-1]} "
        f"--days {len(facts.sessions)}{as_of}"
    )
