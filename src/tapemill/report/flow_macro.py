"""The market's off-exchange short share, breadth and dispersion under the index."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.clock import calendar
from tapemill.contracts.flow_metrics import MACRO_METRICS
from tapemill.errors import DateError, UnknownNameError, did_you_mean
from tapemill.lake.asof import as_of_moment
from tapemill.report.drawing import write_bytes
from tapemill.report.flow_cells import Cell, Heading, TableView, table_html
from tapemill.report.flow_facts import newest_evening, stamp
from tapemill.report.flow_page import PageSection, flow_page
from tapemill.report.flow_panels import Bars, FlowFigure, Panel, Region, Steps
from tapemill.report.flow_report import report_modules
from tapemill.report.flow_style import (
    ACCENT,
    BUY,
    DISCLAIMER,
    INK,
    MUTED,
    NEUTRAL,
    SELL,
    write_value,
)
from tapemill.report.flow_table import dictionary_html, metric_help
from tapemill.report.runs import Run, run_digest, write_run

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = ["MacroFacts", "MacroReport", "macro_figure", "read_macro", "write_macro_report"]

_MACRO, _BARS = "gold.flow_macro", "silver.equity_bars_1d"
_INDEXES = ("SPY", "SPX", "I:SPX")
_HIGH, _LOW = 0.8, 0.2
_PERCENTILE_DAYS = 252
Values = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class MacroFacts:
    """Rows of ``gold.flow_macro`` over consecutive sessions.

    Attributes
    ----------
    scope : str
    sessions : tuple of date
    as_of : datetime, optional
    rows : pl.DataFrame
        Of the scope, one an evening.
    scopes : pl.DataFrame
        All scopes on the last evening.
    index : pl.DataFrame
        ``symbol``, ``session``, ``close`` of the first index that has bars; empty without one.
    """

    scope: str
    sessions: tuple[date, ...]
    as_of: datetime | None
    rows: pl.DataFrame
    scopes: pl.DataFrame
    index: pl.DataFrame


@dataclasses.dataclass(frozen=True)
class MacroReport:
    """A macro page on disk and what it shows."""

    run: Run
    facts: MacroFacts


def read_macro(
    lake: Lake,
    *,
    end: date | None = None,
    days: int = 252,
    as_of: date | datetime | str | None = None,
    scope: str = "market",
) -> MacroFacts:
    """Read the market's rows as they were known.

    Raises
    ------
    LakeError
        ``gold.flow_macro`` is not built.
    UnknownNameError
        There is no such scope.
    DateError
        There is no evening in the range.
    """
    moment = None if as_of is None else as_of_moment(as_of)
    newest = newest_evening(lake, _MACRO, moment)
    last = min(end, newest) if end else newest
    exchange = calendar("XNYS")
    first = exchange.previous(last, days - 1) if days > 1 else last
    every = lake.scan(_MACRO, None, first, last, moment).collect().sort("session", "scope")
    if every.is_empty():
        raise DateError(
            f"no evening of {_MACRO} from {first} to {last}",
            where=f"the newest is {newest}",
            next_step=f"--end {newest}, or `tapemill build {_MACRO}`",
        )
    rows = every.filter(pl.col("scope") == scope)
    if rows.is_empty():
        known = every["scope"].unique().sort().to_list()
        raise UnknownNameError(
            f"{_MACRO} has no scope {scope!r}",
            next_step=did_you_mean(scope, known) or f"it has {', '.join(known[:20])}",
        )
    sessions = tuple(exchange.session_dates(rows["session"].to_list()[0], last))
    scopes = every.filter(pl.col("session") == every["session"].max())
    return MacroFacts(scope, sessions, moment, rows, scopes, _index(lake, sessions, moment))


def _index(lake: Lake, sessions: Sequence[date], moment: datetime | None) -> pl.DataFrame:
    if lake.tables.exists(_BARS):
        for symbol in _INDEXES:
            rows = lake.scan(
                _BARS,
                symbol,
                sessions[0],
                sessions[-1],
                moment,
                columns=["symbol", "session", "close"],
                strict_symbols=False,
            ).collect()
            if not rows.is_empty():
                return rows.sort("session")
    schema = {"symbol": pl.String(), "session": pl.Date(), "close": pl.Float64()}
    return pl.DataFrame(schema=schema)


def macro_figure(facts: MacroFacts) -> FlowFigure:
    """Index, share, breadth, dispersion and coverage under each other."""
    found = {row["session"]: row for row in facts.rows.iter_rows(named=True)}
    rows = [found.get(session, {}) for session in facts.sessions]
    percentile = _column(rows, "share_percentile")
    regions = tuple(_regions(percentile))
    last = next(row for row in reversed(rows) if row)
    panels = (
        _index_panel(facts, regions),
        _panel(facts, rows, "short_share", f"Short share, {last['weighting']}-weighted", regions),
        _breadth(facts, rows),
        _panel(facts, rows, "dispersion", "Dispersion of z (1.4826 · MAD)"),
        _percentiles(facts, rows),
        _coverage(facts, rows),
    )
    newest = facts.rows["known_at"].max()
    stamped = stamp(facts.as_of, newest if isinstance(newest, datetime) else None)
    days = last["percentile_days"] or 0
    foot = (
        f"Shaded: share in its highest (green) or lowest (orange) fifth of the prior evenings; "
        f"{days} of {_PERCENTILE_DAYS} evenings stand behind the last percentile."
    )
    return FlowFigure(
        f"Off-exchange flow: {facts.scope}",
        f"{facts.sessions[0]} to {facts.sessions[-1]}  ·  {stamped}",
        facts.sessions,
        panels,
        (DISCLAIMER, foot),
    )


def _column(rows: Sequence[dict[str, Any]], name: str) -> Values:
    return np.array([math.nan if r.get(name) is None else float(r[name]) for r in rows])


def _regions(percentile: Values) -> list[Region]:
    """Stretches of sessions in the highest or lowest fifth."""
    state = np.where(percentile >= _HIGH, 1, np.where(percentile <= _LOW, -1, 0))
    edges = [0, *(np.flatnonzero(np.diff(state)) + 1).tolist(), len(state)]
    return [
        Region(float(a), float(b - 1), BUY if state[a] > 0 else SELL)
        for a, b in itertools.pairwise(edges)
        if b > a and state[a]
    ]


def _index_panel(facts: MacroFacts, regions: tuple[Region, ...]) -> Panel:
    if facts.index.is_empty():
        said = "no daily bars of SPY or SPX are known: `tapemill fetch bars_1d --symbols SPY`"
        return Panel("Index", 56, regions, absent=said)
    name = facts.index["symbol"].to_list()[0]
    place = {session: at for at, session in enumerate(facts.sessions)}
    values = np.full(len(facts.sessions), np.nan)
    for session, close in facts.index.select("session", "close").iter_rows():
        values[place[session]] = close
    hover = tuple(
        f"{day:%a %Y-%m-%d}<br>{name} {value:,.2f}"
        for day, value in zip(facts.sessions, values.tolist(), strict=True)
    )
    return Panel(
        f"{name}, close as traded", 150, (*regions, Steps(values, INK, hover)), form="price"
    )


def _panel(
    facts: MacroFacts,
    rows: Sequence[dict[str, Any]],
    name: str,
    title: str,
    regions: tuple[Region, ...] = (),
) -> Panel:
    metric = next(one for one in MACRO_METRICS if one.name == name)
    values = _column(rows, name)
    hover = tuple(
        f"{day:%a %Y-%m-%d}<br>{metric.label} {write_value(value, metric.form)}"
        for day, value in zip(facts.sessions, values.tolist(), strict=True)
    )
    form = "frac" if metric.form == "frac" else "number"
    absent = "" if np.isfinite(values).any() else "not known on any evening of the range"
    return Panel(title, 120, (*regions, Steps(values, ACCENT, hover)), form=form, absent=absent)


def _breadth(facts: MacroFacts, rows: Sequence[dict[str, Any]]) -> Panel:
    values = _column(rows, "breadth")
    hover = tuple(
        f"{day:%a %Y-%m-%d}<br>breadth {100 * value:+.0f} points"
        for day, value in zip(facts.sessions, values.tolist(), strict=True)
    )
    colours = tuple(BUY if value > 0 else SELL for value in values.tolist())
    bars = Bars(values, colours, (0.9,) * len(rows), hover)
    return Panel(
        "Breadth: names with z > 1 less names with z < −1", 110, (bars,), form="frac",
        absent="" if np.isfinite(values).any() else "no name has a z in the range",
    )  # fmt: skip


def _percentiles(facts: MacroFacts, rows: Sequence[dict[str, Any]]) -> Panel:
    share, breadth = _column(rows, "share_percentile"), _column(rows, "breadth_percentile")
    spread = _column(rows, "dispersion_percentile")
    title = (
        "Percentile among the prior 252 evenings: share (blue), breadth (white), dispersion (grey)"
    )
    if not np.isfinite(np.concatenate([share, breadth, spread])).any():
        return Panel(title, 56, absent="too few evenings before these for a percentile")
    hover = tuple(
        f"{day:%a %Y-%m-%d}<br>share {write_value(a, 'frac')} · breadth {write_value(b, 'frac')} · "
        f"dispersion {write_value(c, 'frac')}"
        for day, a, b, c in zip(
            facts.sessions, share.tolist(), breadth.tolist(), spread.tolist(), strict=True
        )
    )
    lines = (
        Steps(spread, NEUTRAL, width=1.0),
        Steps(breadth, INK, width=1.0),
        Steps(share, ACCENT, hover),
    )
    return Panel(title, 110, lines, (0.0, 1.0), ((_LOW, ""), (0.5, ""), (_HIGH, "")), "frac")


def _coverage(facts: MacroFacts, rows: Sequence[dict[str, Any]]) -> Panel:
    names = _column(rows, "names")
    hover = tuple(
        f"{day:%a %Y-%m-%d}<br>{row['names']:,} eligible of {row['rows']:,} names in the file, "
        f"{write_value(row['priced_frac'], 'frac') or '0 %'} priced"
        if row
        else f"{day:%a %Y-%m-%d}<br>no file"
        for day, row in zip(facts.sessions, rows, strict=True)
    )
    bars = Bars(names, (MUTED,) * len(rows), (0.6,) * len(rows), hover)
    gaps = sum(not row for row in rows)
    young = sum(bool(row) and not row["names"] for row in rows)
    remark = f"{gaps} sessions without an evening" if gaps else "every session has an evening"
    if young:
        remark += f"; on {young} no name was eligible yet"
    return Panel("Coverage: eligible names", 70, (bars,), remark=remark)


def write_macro_report(
    lake: Lake,
    out: Path,
    *,
    end: date | None = None,
    days: int = 252,
    as_of: date | datetime | str | None = None,
    scope: str = "market",
) -> MacroReport:
    """Write the macro page: ``index.html``, ``macro.png``, ``macro.csv`` and ``macro.parquet``.

    Parameters
    ----------
    lake : Lake
        With ``gold.flow_macro`` built.
    out : Path
        The run lies in ``<out>/flow-macro/<session>-<hash>/``.
    end, days, as_of
        As :func:`tapemill.report.flow_report.write_flow_report`.
    scope : str
        ``"market"``, ``"sector:NAME"`` or ``"tier:T1"``.

    Raises
    ------
    LakeError, UnknownNameError, DateError
        As :func:`read_macro`.
    """
    facts = read_macro(lake, end=end, days=days, as_of=as_of, scope=scope)
    parameters = {
        "scope": scope,
        "sessions": f"{facts.sessions[0]} to {facts.sessions[-1]}",
        "as_of": facts.as_of or "",
    }
    frames = {"rows": facts.rows, "scopes": facts.scopes, "index": facts.index}
    modules = report_modules("flow_macro", "flow_table", "flow_facts")
    digest = run_digest(frames, parameters, modules)
    run = write_run(
        out, "flow-macro", facts.sessions[-1], digest, parameters, lambda at: _fill(at, facts)
    )
    return MacroReport(run, facts)


def _fill(folder: Path, facts: MacroFacts) -> None:
    figure = macro_figure(facts)
    figure.write_png(folder / "macro.png")
    rows = facts.rows.drop("year")
    rows.write_csv(folder / "macro.csv")
    rows.write_parquet(folder / "macro.parquet")
    sections = [
        PageSection(
            "figure", "Over time", f'<div class="card scroll">{figure.div("figure-macro")}</div>'
        ),
        PageSection("scopes", "All scopes", table_html(_scopes(facts.scopes))),
        PageSection("columns", "Columns", dictionary_html(MACRO_METRICS)),
    ]
    again = f" --as-of {facts.as_of.isoformat()}" if facts.as_of else ""
    page = flow_page(
        figure.title,
        figure.subtitle,
        sections,
        cautions=_cautions(facts),
        command=f"tapemill report flow --macro --scope {facts.scope} --end {facts.sessions[-1]}"
        f" --days {len(facts.sessions)}{again}",
    )
    write_bytes(folder / "index.html", page)


def _cautions(facts: MacroFacts) -> list[str]:
    last = facts.rows.row(-1, named=True)
    said = []
    days = last["percentile_days"] or 0
    if days < _PERCENTILE_DAYS:
        said.append(f"{days} of {_PERCENTILE_DAYS} evenings stand behind the last percentile")
    if last["weighting"] == "share":
        said.append("prices are missing: the share is weighted by shares, not dollars")
    return said


def _scopes(scopes: pl.DataFrame) -> TableView:
    headings = (
        Heading("Scope", "", "text"),
        *(
            Heading(
                metric.label,
                metric_help(metric),
                "text" if metric.form == "text" else "number",
                metric.block,
            )
            for metric in MACRO_METRICS
        ),
    )
    body = tuple(
        (
            Cell(row["scope"]),
            *(Cell(write_value(row[metric.name], metric.form)) for metric in MACRO_METRICS),
        )
        for row in scopes.iter_rows(named=True)
    )
    day = scopes["session"].to_list()[0]
    return TableView(f"Every scope on {day}", headings, body)
