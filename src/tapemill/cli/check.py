"""`tapemill check`: what is there, what is missing, what cannot be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tapemill.cli.options import (
    Config,
    End,
    Json,
    LakePath,
    Start,
    Symbols,
    open_workplace,
    parse_range,
    parse_symbols,
)
from tapemill.cli.output import count, print_json, print_line, print_table
from tapemill.errors import CheckFailedError

HELP = """Judge coverage and quality per symbol and session; exit 1 on red.

\b
Examples:
  tapemill check
  tapemill check --symbols SPY,QQQ --start 2026-01-02 --figure coverage

Counts expected and present minutes, the longest missing run with open and close, halts, off-grid
rows, duplicates, missing sessions, vendor incidents and known defect patterns; of order data its
gaps, clocks and books; of levels every row, and every label made again from trades. --figure
writes NAME.html and NAME.png: symbols by sessions, coloured by state.
"""

LEVEL_TABLES = ("gold.levels", "gold.episodes", "gold.episode_features", "gold.episode_outcomes")
COLOURS = {"error": "red", "warning": "yellow", "info": "dim"}


def run(
    dataset: Annotated[
        str | None, typer.Argument(help="What to judge; everything without one.")
    ] = None,
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Write NAME.html and NAME.png.", metavar="NAME")
    ] = None,
    rows: Annotated[int, typer.Option(help="Findings to print.")] = 40,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Judge what has been built."""
    from tapemill.refine import check

    first, last = parse_range(start, end)
    place = open_workplace(config, lake)
    report = check(
        place.lake,
        place.settings,
        place.clock,
        symbols=parse_symbols(symbols) or None,
        start=first,
        end=last,
        dataset=dataset,
    )
    if dataset is None or dataset in LEVEL_TABLES:
        from tapemill.levels.checks import check_levels

        report = report.with_findings(
            check_levels(
                place.lake,
                place.settings,
                parse_symbols(symbols) or None,
                first,
                last,
                LEVEL_TABLES if dataset is None else (dataset,),
            )
        )
    facts = report.summary()
    if figure is not None:
        facts["figures"] = [str(path) for path in draw(report.cells, figure)]
    if as_json:
        print_json(facts)
    else:
        show(facts, rows)
    if report.red:
        raise CheckFailedError(
            f"{report.red:,} cells or findings are red",
            where=place.settings.lake.location,
            next_step="`tapemill why DATASET SYMBOL SESSION` tells the history of one cell",
        )


def draw(cells: Any, name: Path) -> list[Path]:
    """Write the coverage calendar as a page and as a picture."""
    from tapemill.report import coverage_figure

    page, picture = name.with_suffix(".html"), name.with_suffix(".png")
    page.parent.mkdir(parents=True, exist_ok=True)
    figure = coverage_figure(cells, title="Coverage", subtitle="regular minutes per session")
    figure.write_html(page)
    figure.write_png(picture)
    return [page, picture]


def show(facts: dict[str, Any], limit: int = 40) -> None:
    """Print the verdict of a check."""
    lines = facts["datasets"]
    columns = [
        "dataset",
        "symbols",
        "sessions",
        "cells",
        "green",
        "amber",
        "red",
        "halt",
        "missing",
    ]
    table = [[line[name] for name in columns] for line in lines]
    print_table(
        "Coverage", columns, [[_cell(value) for value in row] for row in table], right=columns[1:]
    )
    findings = facts["findings"]
    if findings:
        shown = findings[:limit]
        print_table(
            f"Findings ({len(findings):,})",
            ["severity", "kind", "dataset", "subject", "detail"],
            [[f["severity"], f["kind"], f["dataset"], f["subject"], f["detail"]] for f in shown],
            styles={i: COLOURS.get(f["severity"], "") for i, f in enumerate(shown)},
        )
        if len(findings) > limit:
            print_line(f"… and {len(findings) - limit:,} more (--rows, --json)")
    print_line(
        f"quarantined rows {count(facts['quarantined'])} · open incidents "
        f"{count(facts['incidents'])} · red {count(facts['red'])}",
        "red" if facts["red"] else "green",
    )
    for path in facts.get("figures", []):
        print_line(f"figure: {path}")


def _cell(value: object) -> str:
    return count(value) if isinstance(value, int) else str(value)
