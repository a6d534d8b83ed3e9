"""The page of one evening's scan: three lists, each name with its past, and the whole universe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tapemill.clock import calendar
from tapemill.contracts.flow_metrics import MACRO_METRICS, SCAN_METRICS
from tapemill.contracts.metrics import Metric
from tapemill.lake.asof import as_of_moment
from tapemill.report.drawing import write_bytes
from tapemill.report.flow_cells import Cell, Heading, TableView, table_html, table_png
from tapemill.report.flow_facts import newest_evening
from tapemill.report.flow_page import Fact, PageSection, facts_html, flow_page
from tapemill.report.flow_report import report_modules
from tapemill.report.flow_style import (
    ACCENT,
    AMBER,
    DISCLAIMER,
    MUTED,
    blend,
    plain,
    write_value,
    z_colour,
)
from tapemill.report.flow_table import dictionary_html, metric_help
from tapemill.report.runs import Run, run_digest, write_run
from tapemill.report.sparkline import sparkline

if TYPE_CHECKING:
    from tapemill.flow.view import ScanView
    from tapemill.lake import Lake
    from tapemill.settings import Settings

__all__ = ["ScanReport", "scan_table", "write_scan_report"]

_SCAN, _MACRO, _SIGNAL = "gold.flow_scan", "gold.flow_macro", "gold.composite_signal"
_PAST, _PICTURE_ROWS = 60, 25
_NO_PRICES = "no prices"
_METRICS = {metric.name: metric for metric in SCAN_METRICS}
_TITLES = {
    "buying": ("Buying pressure", "Short share above its own past, the market's move removed."),
    "selling": ("Selling pressure", "Short share below its own past, the market's move removed."),
    "volume": ("Unusual volume", "Off-exchange volume above its own past; no direction."),
}
_COLUMNS = (
    "z", "q_value", "score", "short_share", "baseline_share", "volume_ratio", "volume_z",
    "volume_q_value", "novelty", "run_length", "dollar_volume_median", "otc_tier",
    "otc_next_publication",
)  # fmt: skip
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ScanReport:
    """A scan page on disk, and what it was made from."""

    run: Run
    view: ScanView
    lists: Mapping[str, list[Row]]


@dataclasses.dataclass(frozen=True)
class _Context:
    """What stands beside the rows of the scan."""

    names: Mapping[str, str]
    scores: Mapping[str, float]
    past: Mapping[str, tuple[float | None, ...]]
    macro: pl.DataFrame


def write_scan_report(
    lake: Lake,
    settings: Settings,
    out: Path,
    *,
    session: date | None = None,
    as_of: date | datetime | str | None = None,
    top: int = 50,
) -> ScanReport:
    """Write the scan page of one evening.

    The folder holds ``index.html``, ``lists.png``, and every name of FINRA's file as
    ``universe.csv`` and ``universe.parquet``.

    Parameters
    ----------
    lake : Lake
        With ``gold.flow_scan`` built.
    settings : Settings
    out : Path
        The run lies in ``<out>/flow-scan/<session>-<hash>/``.
    session : date, optional
        The newest evening by default.
    as_of : date, datetime or str, optional
        A later moment than the evening: restated files that had arrived by then count.
    top : int
        Names a list.

    Raises
    ------
    LakeError, DateError, FaultError
        As :func:`tapemill.flow.view.scan_evening`.
    """
    from tapemill.flow.view import LISTS, scan_evening

    moment = None if as_of is None else as_of_moment(as_of)
    day = session or newest_evening(lake, _SCAN, moment)
    view = scan_evening(lake, settings, day, as_of=moment)
    lists = {name: view.listed(name, top) for name in LISTS}
    listed = sorted({row["symbol"] for rows in lists.values() for row in rows})
    context = _Context(
        _names(lake, listed, view.as_of),
        _scores(lake, listed, day, view.as_of),
        _past(lake, listed, day, view.as_of),
        _macro_past(lake, day, view.as_of, view.market["names"]),
    )
    inputs = {"universe": view.rows, "macro": context.macro, "beside": _beside(context, listed)}
    parameters = {
        "session": day,
        "as_of": view.as_of,
        "top": top,
        "market": sorted((key, str(value)) for key, value in view.market.items()),
        "warnings": "; ".join(view.warnings),
    }
    modules = report_modules("flow_scan", "flow_table", "flow_facts")
    digest = run_digest(
        inputs, parameters, (*modules, "tapemill.flow.explain", "tapemill.flow.view")
    )
    run = write_run(
        out,
        "flow-scan",
        day,
        digest,
        {name: parameters[name] for name in ("session", "as_of", "top", "warnings")},
        lambda folder: _fill(folder, view, lists, context),
    )
    return ScanReport(run, view, lists)


def scan_table(
    name: str, rows: Sequence[Row], context: _Context, limit: int | None = None
) -> TableView:
    """One list as a table; headings from the registry."""
    title, note = _TITLES[name]
    volume = name == "volume"
    columns = [*_COLUMNS]
    if volume:
        columns[columns.index("novelty")] = "volume_novelty"
    headings = (
        Heading("#", "Place in the list"),
        Heading("Symbol", "", "text"),
        Heading("Name", "As FINRA's weekly files name the issue", "text"),
        Heading("Sector", metric_help(_METRICS["sector"]), "text"),
        *(_heading(_METRICS[column]) for column in columns),
        Heading("Last score", "Composite score of the evening, −1 to 1", block="signal"),
        Heading(f"Share, {_PAST} evenings", "Short share, oldest left", "spark"),
        Heading("Why", "In words", "prose"),
    )
    body = tuple(
        (
            Cell(str(row["volume_rank"] if volume else row["rank"])),
            Cell(row["symbol"]),
            Cell(_shortened(context.names.get(row["symbol"], ""))),
            Cell(row["sector"] or ""),
            *(_cell(_METRICS[column], row) for column in columns),
            _score_cell(context.scores.get(row["symbol"])),
            Cell("", spark=context.past.get(row["symbol"], ())),
            Cell(_why(row)),
        )
        for row in rows[:limit]
    )
    headings, body = _without_blanks(headings, body)
    return TableView(
        f"{title}: top {len(body)}",
        headings,
        body,
        note=f"{note} q is the part of false alarms to expect among the names up to this one.",
        empty="no name: the evening shows nothing on this side, or no name is eligible",
    )


def _without_blanks(
    headings: tuple[Heading, ...], body: tuple[tuple[Cell, ...], ...]
) -> tuple[tuple[Heading, ...], tuple[tuple[Cell, ...], ...]]:
    """Leave out columns in which no row has anything: the words need the room."""
    blank = ("", _NO_PRICES)
    kept = [
        at
        for at in range(len(headings))
        if not body or any(row[at].spark or row[at].text not in blank for row in body)
    ]
    return (
        tuple(headings[at] for at in kept),
        tuple(tuple(row[at] for at in kept) for row in body),
    )


# -- cells ---------------------------------------------------------------------------------------


def _heading(metric: Metric) -> Heading:
    kind = "text" if metric.form in ("text", "date") else "number"
    return Heading(metric.label, metric_help(metric), kind, metric.block)


def _cell(metric: Metric, row: Row) -> Cell:
    value = row.get(metric.name)
    if metric.name == "dollar_volume_median" and value is None:
        return Cell(_NO_PRICES, MUTED, "no daily bars are known for this name")
    if metric.name in ("q_value", "volume_q_value"):
        said = "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
        return Cell(said, ACCENT if value is not None and value <= 0.1 else MUTED)
    text = write_value(value, metric.form)
    if metric.name in ("z", "score", "short_share"):
        return Cell(text, z_colour(row["z"], quiet="#C9D1DB"))
    if metric.name in ("volume_z", "volume_ratio"):
        return Cell(text, blend("#C9D1DB", ACCENT, abs(row["volume_z"] or 0.0) / 3))
    if text == "sudden":
        return Cell(text, AMBER)
    return Cell(text)


def _score_cell(score: float | None) -> Cell:
    if score is None:
        return Cell("")
    return Cell(write_value(score, "z"), z_colour(3 * score, quiet="#C9D1DB", full=1.5))


def _why(row: Row) -> str:
    """The explanation; the day of the next OTC week has a column of its own on this page."""
    due = row.get("otc_next_publication")
    said: str = row["explanation"]
    return said if due is None else said.replace(f"; OTC unknown until {due}", "")


def _shortened(name: str) -> str:
    return name if len(name) <= 26 else name[:25].rstrip() + "…"


# -- reading -------------------------------------------------------------------------------------


def _past(
    lake: Lake, symbols: Sequence[str], day: date, moment: datetime
) -> dict[str, tuple[float | None, ...]]:
    """Short shares of the evenings before and of this one, a value a session, oldest first."""
    first = calendar("XNYS").previous(day, _PAST - 1)
    sessions = calendar("XNYS").session_dates(first, day)
    rows = (
        lake.tables.scan(_SCAN, start=first, end=day)
        .filter(
            pl.col("session").is_between(first, day),
            pl.col("symbol").is_in(list(symbols)),
            pl.col("known_at") <= moment,
        )
        .select("symbol", "session", "short_share")
        .collect()
    )
    found = {(symbol, session): share for symbol, session, share in rows.iter_rows()}
    return {s: tuple(found.get((s, session)) for session in sessions) for s in symbols}


def _names(lake: Lake, symbols: Sequence[str], moment: datetime) -> dict[str, str]:
    if not lake.tables.exists("silver.otc_weekly") or not symbols:
        return {}
    rows = lake.scan("silver.otc_weekly", list(symbols), as_of=moment, strict_symbols=False)
    named = (
        rows.filter(pl.col("issue_name").is_not_null())
        .sort("week_start")
        .group_by("symbol")
        .agg(pl.col("issue_name").last())
        .collect()
    )
    return dict(named.iter_rows())


def _scores(lake: Lake, symbols: Sequence[str], day: date, moment: datetime) -> dict[str, float]:
    if not lake.tables.exists(_SIGNAL):
        return {}
    from tapemill.flow.signals import current_signals

    rows = current_signals(lake).filter(
        pl.col("session") == day,
        pl.col("symbol").is_in(list(symbols)),
        pl.col("composite_score").is_not_null(),
        pl.col("known_at") <= moment,
    )
    return dict(rows.select("symbol", "composite_score").collect().iter_rows())


def _macro_past(lake: Lake, day: date, moment: datetime, names: int) -> pl.DataFrame:
    """Evenings of about as many names as tonight's: a line through two markets says nothing."""
    from tapemill.flow.macro import LIKE_NAMES

    columns = ["session", "short_share", "breadth", "dispersion", "names"]
    if not lake.tables.exists(_MACRO):
        return pl.DataFrame(schema={name: pl.Float64() for name in columns})
    first = calendar("XNYS").previous(day, _PAST - 1)
    rows = lake.tables.scan(_MACRO, start=first, end=day).filter(
        pl.col("session").is_between(first, day),
        pl.col("scope") == "market",
        pl.col("known_at") <= moment,
        pl.col("names").cast(pl.Float64) * LIKE_NAMES >= names,
        pl.col("names").cast(pl.Float64) <= names * LIKE_NAMES,
    )
    return rows.select(columns).collect().sort("session")


def _beside(context: _Context, symbols: Sequence[str]) -> pl.DataFrame:
    """What stands beside the rows, as a frame to be hashed."""
    return pl.DataFrame(
        {
            "symbol": list(symbols),
            "name": [context.names.get(one) for one in symbols],
            "score": [context.scores.get(one) for one in symbols],
            "past": [str(context.past.get(one)) for one in symbols],
        },
        schema={"symbol": pl.String, "name": pl.String, "score": pl.Float64, "past": pl.String},
    )


# -- page ----------------------------------------------------------------------------------------


def _fill(folder: Path, view: ScanView, lists: Mapping[str, list[Row]], context: _Context) -> None:
    market = _market_facts(view)
    sections = [PageSection("market", "Market", facts_html(market) + _strip(context.macro))]
    for name, rows in lists.items():
        body = table_html(scan_table(name, rows, context))
        sections.append(PageSection(name, _TITLES[name][0], body))
    sections.append(PageSection("columns", "Columns", dictionary_html(SCAN_METRICS)))
    pictures = [scan_table(name, rows, context, _PICTURE_ROWS) for name, rows in lists.items()]
    footer = [f"Careful: {warning}." for warning in view.warnings]
    stamped = f"Evening of {view.session}, as known at {view.as_of:%Y-%m-%d %H:%M} UTC"
    table_png(pictures, folder / "lists.png", footer=(stamped, *footer, DISCLAIMER))
    universe = view.rows.drop("year").sort("symbol")
    universe.write_csv(folder / "universe.csv")
    universe.write_parquet(folder / "universe.parquet")
    page = flow_page(
        f"Off-exchange scan of {view.session}",
        stamped,
        sections,
        cautions=view.warnings,
        command=_command(view),
        figures=False,
    )
    write_bytes(folder / "index.html", page)


def _command(view: ScanView) -> str:
    from tapemill.flow.evening import evening_of

    later = view.as_of != evening_of(view.session)
    as_of = f" --as-of {view.as_of.isoformat()}" if later else ""
    return f"tapemill report flow --scan --end {view.session}{as_of}"


def _market_facts(view: ScanView) -> list[Fact]:
    market = view.market
    days = market["percentile_days"]
    typical = view.typical_days()

    def rank(name: str) -> str:
        value = market[name]
        if value is not None:
            return f"higher than {100 * value:.0f} % of {days} evenings"
        return f"{days} like evenings before: too few to compare with"

    priced = market["priced_frac"]
    return [
        Fact("Eligible names", f"{market['names']:,}", f"of {market['rows']:,} in FINRA's file"),
        Fact(
            "Short share",
            write_value(market["short_share"], "frac"),
            f"{market['weighting'] or 'not'}-weighted; {rank('share_percentile')}".rstrip("; "),
        ),
        Fact("Breadth", write_value(market["breadth"], "frac"), rank("breadth_percentile")),
        Fact(
            "Dispersion of z",
            write_value(market["dispersion"], "ratio"),
            rank("dispersion_percentile"),
        ),
        Fact(
            "Baseline",
            "none" if typical is None else f"{typical} sessions",
            "median history of the eligible names, at most 60",
        ),
        Fact(
            "Priced",
            write_value(priced, "frac") if priced else "no prices",
            "eligible names with a close known",
        ),
    ]


def _strip(macro: pl.DataFrame) -> str:
    """Share, breadth and dispersion of the last evenings as small lines."""
    if macro.height < 2:
        return ""
    labels = {metric.name: metric for metric in MACRO_METRICS}
    cells = "".join(
        f'<div class="card" title="{plain(metric_help(labels[name]))}"><dt>'
        f"{plain(labels[name].label)}, {macro.height} evenings</dt>"
        f"<dd>{sparkline(tuple(macro[name].to_list()), ACCENT)}</dd></div>"
        for name in ("short_share", "breadth", "dispersion")
    )
    return f'<dl class="facts">{cells}</dl>'
