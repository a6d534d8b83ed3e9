"""`tapemill fetch`: from a calendar, a universe and a plan to completed cells."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapemill.cli.fetch_futures import (
    FUTURES,
    Schemas,
    SymbolType,
    Vendor,
    VendorDataset,
    fetch_futures_command,
)
from tapemill.cli.fetch_tape import (
    TAPE_NAMES,
    carry_out_tape,
    plan_of_tape,
    show_tape_plan,
)
from tapemill.cli.options import (
    Config,
    End,
    Json,
    LakePath,
    Start,
    Symbols,
    Workplace,
    load,
    open_workplace,
    parse_range,
    parse_symbols,
)
from tapemill.cli.output import count, print_json, print_line, print_table, print_warning, size
from tapemill.errors import (
    DateError,
    NotEntitledError,
    UsageError,
    VendorError,
    VendorFaultError,
)

if TYPE_CHECKING:
    from tapemill.intake import FetchPlan, FetchReport

HELP = """Fetch what the ledger still misses, at the vendor's pace.

\b
Examples:
  tapemill fetch short_volume --start 2026-01-02 --plan
  tapemill fetch otc_weekly KO 'BRK B' --start 2025-01-02 --end 2026-01-30
  tapemill fetch bars_1m SPY QQQ --start 2026-01-02 --end 2026-02-06
  tapemill fetch tape SPY AAPL --start 2026-01-02 --mode auto
  tapemill fetch futures ESH4 --schema definition --schema mbp-10 --start 2023-12-26 --plan

DATASET is bars_1m, bars_1d, tape, splits, dividends, tickers, market_status (Massive),
short_volume, otc_weekly, otc_firms, short_interest (FINRA, no key needed) or futures (Databento:
definition, statistics and mbp-10 unless --schema says otherwise; its price is asked for first, and
above databento.max_cost_usd nothing is bought). Of the tape only
five-minute sums are kept: made of prints where the plan has them, else of minute bars, else there
are days alone (--mode auto). Weeks are those with a day in the range; one whose Tier 2 is not out
yet is asked again once it is due. --plan prints calls, bytes and hours before a single call is
made. The same command again resumes exactly: completed cells cost nothing.
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
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="Of the tape: auto, tick, minute or daily.  [default: auto]"),
    ] = None,
    vendor: Vendor = None,
    schemas: Schemas = None,
    vendor_dataset: VendorDataset = None,
    stype: SymbolType = None,
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
    with _place(config, lake, plan_only=plan_only) as place:
        if dataset == FUTURES:
            _refuse({"--via": via, "--mode": mode}, dataset)
            fetch_futures_command(
                place,
                wanted,
                first,
                last,
                vendor=vendor,
                schemas=schemas or (),
                dataset=vendor_dataset,
                stype=stype,
                again=again,
                plan_only=plan_only,
                as_json=as_json,
            )
            return
        _refuse({"--vendor": vendor, "--schema": schemas, "--stype": stype}, dataset)
        _refuse({"--dataset": vendor_dataset}, dataset)
        if dataset in TAPE_NAMES:
            tape = plan_of_tape(place, wanted, first, last, mode=mode, via=via, again=again)
            _require_something([*tape.rungs.values()][-1], first, last)
            if plan_only or not as_json:
                show_tape_plan(tape, as_json=as_json)
            if not plan_only:
                carry_out_tape(place, tape, again=again, as_json=as_json)
            return
        if mode is not None:
            raise UsageError(
                f"{dataset} has no modes", where="--mode", next_step="leave --mode out"
            )
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
    if report.interrupted:
        raise KeyboardInterrupt
    if report.remaining:
        raise _unfinished(place, plan, report)
    failed = report.tasks.get("failed", 0)
    if report.stopped or failed:
        raise VendorFaultError(
            "; ".join(report.stopped) or f"{failed:,} answers could not be believed",
            where=f"{plan.dataset} of {plan.vendor}: complete cells keep what they had",
            next_step="`tapemill status` shows the incidents; repeat with --again afterwards",
        )
    _warn_of_empty(place, plan)


def _refuse(given: Mapping[str, object], dataset: str) -> None:
    """Refuse options that a dataset does not have."""
    for option, value in given.items():
        if value:
            raise UsageError(
                f"{dataset} has no {option}", where=option, next_step=f"leave {option} out"
            )


@contextlib.contextmanager
def _place(config: Path | None, lake: str | None, *, plan_only: bool) -> Iterator[Workplace]:
    """The lake to fetch into; a mere plan for a lake not yet made is one for an empty lake."""
    location = load(config, lake).lake.location
    if plan_only and "://" not in location and not Path(location).exists():
        with tempfile.TemporaryDirectory() as empty:
            place = open_workplace(config, f"{empty}/lake", create=True)
            try:
                yield place
            finally:
                place.lake.close()
        return
    yield open_workplace(config, lake, create=not plan_only)


def _unfinished(place: Workplace, plan: FetchPlan, report: FetchReport) -> VendorError:
    """What kept cells open, in the words of the first of them."""
    import numpy as np

    from tapemill.lake.control import COMPLETE, CellState

    ledger = place.lake.control.ledger
    states = ledger.matrix(plan.dataset, plan.symbols, plan.sessions).states
    cell, reason = "", "; ".join(report.stopped)
    kind = CellState.PENDING
    for row, column in zip(*(~np.isin(states, list(COMPLETE))).nonzero(), strict=True):
        symbol, session = plan.symbols[row], plan.sessions[column]
        found = ledger.cell(plan.dataset, symbol, session)
        cell, kind = f", first {symbol} {session}", found.state
        reason = reason or f"{kind.name.lower().replace('_', '-')}: {found.reason}"
        break
    what = f"{report.remaining:,} cells are still open{f' ({reason})' if reason else ''}"
    where = f"{plan.dataset} of {plan.vendor}{cell}"
    if kind is CellState.NOT_ENTITLED:
        return NotEntitledError(
            what,
            where=where,
            next_step=f"check the key and {plan.vendor}.plan (`tapemill config show`), then repeat "
            "with --again: what was refused is not asked for by itself",
        )
    return VendorFaultError(
        what,
        where=where,
        next_step="repeat the same command: it resumes; `tapemill status` shows what is open",
    )


def _warn_of_empty(place: Workplace, plan: FetchPlan) -> None:
    """Name symbols for which the vendor has nothing at all: most often a mistyped ticker."""
    from tapemill.lake.control import CellState

    if not plan.sessions or plan.symbols == ("*",):
        return
    states = place.lake.control.ledger.matrix(plan.dataset, plan.symbols, plan.sessions).states
    empty = [plan.symbols[row] for row in (states == CellState.EMPTY).all(axis=1).nonzero()[0]]
    if empty:
        shown = ", ".join(empty[:10]) + (" …" if len(empty) > 10 else "")
        print_warning(
            f"{plan.vendor} has nothing for {shown} in {plan.dataset}, {plan.sessions[0]} to "
            f"{plan.sessions[-1]}\n  next:  check the ticker and its case (`tapemill fetch "
            "tickers` keeps the vendor's list); if it is right, there was no trade"
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
    if plan.complete or plan.pending or plan.waiting:
        return
    where = f"{plan.dataset}, {start or 'newest session'} to {end or 'newest session'}"
    if plan.refused:
        raise NotEntitledError(
            f"{plan.vendor} refused all {plan.refused:,} cells before, and nothing else is wanted",
            where=where,
            next_step="once the key or the plan has changed, repeat with --again; `tapemill why "
            "DATASET SYMBOL SESSION` tells the vendor's reason",
        )
    if plan.out_of_window:
        raise NotEntitledError(
            f"all {plan.out_of_window:,} cells lie outside the {plan.vendor} plan",
            where=where,
            next_step=f"ask for later sessions, or set {plan.vendor}.plan and "
            f"{plan.vendor}.history_days to what you pay for (`tapemill config show`)",
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
        ("partly here, rest not due", count(facts["waiting"])),
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
