"""`tapemill report`: figures, tables and pages in run folders that are never overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapemill.cli import report_levels
from tapemill.cli.options import (
    Config,
    End,
    Json,
    LakePath,
    Symbols,
    open_workplace,
    parse_date,
    parse_symbols,
)
from tapemill.cli.output import print_json, print_line, print_table
from tapemill.errors import UsageError

if TYPE_CHECKING:
    import datetime as dt

    from tapemill.cli.options import Workplace
    from tapemill.report.runs import Run

FLOW_HELP = """Draw off-exchange flow: some symbols, the scan of an evening, or the whole market.

\b
Examples:
  tapemill report flow GME AMC --end 2021-01-15 --days 60
  tapemill report flow --symbols @watchlist.txt --days 250 --out reports
  tapemill report flow --scan --end 2021-01-15
  tapemill report flow --macro --days 252 --as-of 2021-02-01

Reads the gold tables of flow (`tapemill build gold.flow_daily gold.composite_signal`). Each run is
a folder named by its last session and the hash of what it shows: HTML that needs no network, PNG,
CSV and Parquet. The same content is the same folder; nothing is overwritten, and `latest` points at
the last run. --as-of shows what was known at a moment. FINRA publishes no direction of trades:
buying and selling are inferences.
"""

app = typer.Typer(
    help="Draw figures, tables and pages.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def _report() -> None:
    pass


@app.command("flow", help=FLOW_HELP)
def flow(
    tickers: Annotated[
        list[str] | None, typer.Argument(help="Symbols to draw.", metavar="[SYMBOL]...")
    ] = None,
    symbols: Symbols = None,
    scan: Annotated[bool, typer.Option("--scan", help="The scan of one evening.")] = False,
    macro: Annotated[bool, typer.Option("--macro", help="The whole market over time.")] = False,
    scope: Annotated[
        str, typer.Option(help="With --macro: market, sector:NAME or tier:T1.")
    ] = "market",
    end: End = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Sessions shown.  [default: 60; with --macro 252]")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="With --scan: names a list.")] = 50,
    each: Annotated[
        bool | None,
        typer.Option("--each/--no-each", help="A figure for each symbol.  [default: up to 8]"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the reports.")] = Path("reports"),
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="What was known at this moment or by this date's end."),
    ] = None,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Write a report of off-exchange flow."""
    named = parse_symbols(symbols, tickers)
    if scan + macro + bool(named) != 1:
        raise UsageError(
            "say what to draw: symbols, --scan or --macro, one of them",
            where="tapemill report flow",
            next_step="for example `tapemill report flow GME AMC`",
        )
    last = parse_date(end, "--end") if end else None
    place = open_workplace(config, lake)
    if scan:
        facts = _scan(place, out, last, as_of, top)
    elif macro:
        facts = _macro(place, out, last, as_of, days or 252, scope)
    else:
        facts = _symbols(place, out, named, last, as_of, days or 60, each)
    if as_json:
        print_json(facts)
    else:
        _show(facts)


app.command("levels", help=report_levels.HELP)(report_levels.run)


def _symbols(
    place: Workplace,
    out: Path,
    symbols: list[str],
    last: dt.date | None,
    as_of: str | None,
    days: int,
    each: bool | None,
) -> dict[str, Any]:
    import polars as pl

    from tapemill.report.flow_report import write_flow_report

    made = write_flow_report(place.lake, symbols, out, end=last, days=days, as_of=as_of, each=each)
    names = ["symbol", "session", "short_share", "short_baseline_share", "short_z", "volume_z"]
    names += ["composite_score", "confidence", "final_label", "pressure_label"]
    newest = made.facts.daily.sort("session").group_by("symbol").last().select(names)
    order = pl.DataFrame({"symbol": symbols})
    rows = order.join(newest, on="symbol", how="left", maintain_order="left").to_dicts()
    return _facts(
        made.run,
        {
            "sessions": [made.facts.sessions[0], made.facts.sessions[-1]],
            "as_of": made.facts.as_of,
            "notes": list(made.facts.notes),
            "rows": rows,
        },
    )


def _scan(
    place: Workplace, out: Path, last: dt.date | None, as_of: str | None, top: int
) -> dict[str, Any]:
    from tapemill.report.flow_scan import write_scan_report

    made = write_scan_report(place.lake, place.settings, out, session=last, as_of=as_of, top=top)
    first = ("symbol", "short_share", "baseline_share", "z")
    columns = {
        name: (*first, "volume_z", "volume_q_value", "explanation")
        if name == "volume"
        else (*first, "q_value", "volume_z", "explanation")
        for name in made.lists
    }
    lists = {
        name: [{column: row[column] for column in columns[name]} for row in rows]
        for name, rows in made.lists.items()
    }
    return _facts(
        made.run,
        {
            "sessions": [made.view.session, made.view.session],
            "as_of": made.view.as_of,
            "notes": list(made.view.warnings),
            "lists": lists,
        },
    )


def _macro(
    place: Workplace, out: Path, last: dt.date | None, as_of: str | None, days: int, scope: str
) -> dict[str, Any]:
    from tapemill.report.flow_macro import write_macro_report

    made = write_macro_report(place.lake, out, end=last, days=days, as_of=as_of, scope=scope)
    names = ["session", "scope", "names", "short_share", "breadth", "dispersion"]
    names += ["share_percentile", "percentile_days"]
    return _facts(
        made.run,
        {
            "sessions": [made.facts.sessions[0], made.facts.sessions[-1]],
            "as_of": made.facts.as_of,
            "notes": [],
            "rows": made.facts.rows.tail(5).select(names).to_dicts(),
        },
    )


def _facts(run: Run, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "folder": str(run.folder),
        "reused": run.reused,
        "files": [str(path) for path in run.files],
        **more,
    }


def _show(facts: dict[str, Any]) -> None:
    from tapemill.report.flow_style import write_value

    for name, rows in facts.get("lists", {"newest evening": facts.get("rows", [])}).items():
        shown = rows[:10] if "lists" in facts else rows
        columns = list(shown[0]) if shown else []
        forms = {name: _form(name) for name in columns}
        table = [[write_value(row[one], forms[one]) for one in columns] for row in shown]
        right = [one for one in columns if forms[one] != "text"]
        headings = ["detail" if one == "explanation" else one for one in columns]
        print_table(name.capitalize(), headings, table, right=right)
    for note in facts["notes"]:
        print_line(f"careful: {note}", "yellow")
    print_line("FINRA publishes no direction of trades: buying and selling are inferred.", "dim")
    said = "the same run was there already" if facts["reused"] else "written"
    print_line(f"{facts['folder']} ({said})")
    for path in facts["files"]:
        if path.endswith((".html", "merged.png", "lists.png", "macro.png")):
            print_line(f"  {path}")


def _form(column: str) -> Any:
    """How a column of the printed table is written."""
    forms = {"volume_z": "z", "z": "z", "short_z": "z", "composite_score": "z", "names": "count"}
    forms |= {
        "dispersion": "ratio",
        "q_value": "ratio",
        "volume_q_value": "ratio",
        "percentile_days": "count",
    }
    texts = ("symbol", "session", "scope", "final_label", "pressure_label", "explanation")
    return "text" if column in texts else forms.get(column, "frac")
