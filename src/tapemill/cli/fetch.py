"""`tapemill fetch`: from a calendar, a universe and a plan to completed cells."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapemill.cli.options import (
    Config,
    End,
    Json,
    LakePath,
    Start,
    Symbols,
    Workplace,
    open_workplace,
    parse_range,
    parse_symbols,
)
from tapemill.cli.output import count, print_json, print_line, print_table, size
from tapemill.errors import CheckFailedError, DateError, NotEntitledError

if TYPE_CHECKING:
    from tapemill.intake import FetchPlan, FetchReport

HELP = """Fetch what the ledger still misses, at the vendor's pace.

\b
Examples:
  tapemill fetch short_volume --start 2026-01-02 --plan
  tapemill fetch bars_1m SPY QQQ --start 2026-01-02 --end 2026-02-06

DATASET is bars_1m, bars_1d, splits, dividends, tickers, market_status (Massive) or short_volume
(FINRA, no key needed). --plan prints calls, bytes and hours before a single call is made. The same
command again resumes exactly: completed cells cost nothing.
"""


def run(
    dataset: Annotated[str, typer.Argument(help="What to fetch.", metavar="DATASET")],
    tickers: Annotated[list[str] | None, typer.Argument(help="Tickers.", metavar="TICKER")] = None,
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    via: Annotated[
        str | None, typer.Option("--via", help="Route, where there are several: file or api.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask for complete cells too; revisions are kept.")
    ] = False,
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Print the plan, call nothing.")
    ] = False,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Plan, then fetch."""
    from tapemill.intake import plan_fetch

    first, last = parse_range(start, end)
    wanted = parse_symbols(symbols, tickers)
    place = open_workplace(config, lake, create=not plan_only)
    plan = plan_fetch(
        place.lake,
        place.settings,
        place.clock,
        dataset,
        wanted or None,
        first,
        last,
        via=via,
        again=again,
    )
    _require_something(plan, first, last)
    if plan_only:
        show_plan(plan, as_json=as_json)
        return
    if not as_json:
        show_plan(plan)
    report = run_fetch(place, plan, quiet=as_json)
    show_report(report, as_json=as_json)
    if report.remaining:
        raise CheckFailedError(
            f"{report.remaining:,} cells are still open",
            where=place.settings.lake.location,
            next_step="repeat the same command: it resumes; `tapemill status` shows the reasons",
        )


def _require_something(plan: FetchPlan, start: dt.date | None, end: dt.date | None) -> None:
    """Refuse what cannot lead to a single call, for a reason that the asker can change.

    Raises
    ------
    DateError
        The range holds no session, or none whose data is published yet.
    NotEntitledError
        All of it lies outside the vendor's plan.
    """
    from tapemill.clock import calendar

    if start and end and not calendar("XNYS").session_dates(start, end):
        calendar("XNYS").session(start)  # raises, with the reason and the nearest sessions
    if plan.complete or plan.pending:
        return
    where = f"{plan.dataset}, {start or 'newest session'} to {end or 'newest session'}"
    if plan.out_of_window or plan.refused:
        raise NotEntitledError(
            f"all {plan.out_of_window + plan.refused:,} cells lie outside the {plan.vendor} plan",
            where=where,
            next_step=f"ask for later sessions, or set {plan.vendor}.plan and "
            f"{plan.vendor}.history_days to what you pay for (`tapemill config show`); refused "
            "cells are asked for again with --again",
        )
    if plan.not_yet:
        raise DateError(
            f"{plan.vendor} has not published any of these sessions yet",
            where=where,
            next_step="ask for earlier sessions, or come back after their evening",
        )


def show_plan(plan: FetchPlan, *, as_json: bool = False) -> None:
    """Print what a fetch would cost."""
    if as_json:
        print_json(plan.summary())
        return
    facts = plan.summary()
    rows = [
        ("dataset", facts["dataset"]),
        ("route", facts["route"]),
        ("cells complete / pending", f"{count(facts['complete'])} / {count(facts['pending'])}"),
        ("outside the plan's window", count(facts["out_of_window"])),
        ("not published yet / refused", f"{count(facts['not_yet'])} / {count(facts['refused'])}"),
        ("calls", count(facts["calls"])),
        ("answer bytes (estimate)", size(facts["bytes"])),
        ("time at the vendor's quota", _duration(facts["hours"])),
    ]
    print_table("Plan", ["what", "value"], rows, right=["value"])


def run_fetch(place: Workplace, plan: FetchPlan, *, quiet: bool = False) -> FetchReport:
    """Carry a plan out with a progress bar on a terminal."""
    from tapemill.intake import fetch

    if quiet or not plan.tasks:
        return asyncio.run(fetch(place.lake, place.settings, place.clock, plan))
    from tapemill.cli.progress import FetchProgress

    with FetchProgress(plan.dataset) as bar:
        return asyncio.run(
            fetch(place.lake, place.settings, place.clock, plan, progress=bar.update)
        )


def show_report(report: FetchReport, *, as_json: bool = False) -> None:
    """Print what came of a fetch."""
    facts: dict[str, Any] = report.summary()
    if as_json:
        print_json(facts)
        return
    outcomes = ", ".join(f"{name} {number}" for name, number in facts["outcomes"].items()) or "none"
    rows = [
        ("calls on the wire", count(facts["calls"])),
        ("answers", outcomes),
        ("rows landed", count(facts["rows"])),
        ("rows in quarantine", count(facts["quarantined"])),
        (
            "cells completed / remaining",
            f"{count(facts['completed'])} / {count(facts['remaining'])}",
        ),
        ("incidents opened", count(facts["incidents"])),
    ]
    print_table("Fetched", ["what", "value"], rows, right=["value"])
    if facts["remaining"]:
        print_line("Not everything could be fetched; the open cells keep their reason.", "yellow")


def _duration(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h"
