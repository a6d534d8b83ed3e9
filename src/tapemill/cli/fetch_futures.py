"""`tapemill fetch futures`: order data of Databento, priced before it is bought."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapemill.cli.output import count, print_json, print_line, print_table, print_warning, size
from tapemill.errors import DateError, UsageError, VendorError, VendorFaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapemill.cli.options import Workplace
    from tapemill.intake.futures_fetch_plan import FuturesPlan
    from tapemill.intake.futures_fetch_report import FuturesReport

__all__ = [
    "FUTURES",
    "Schemas",
    "SymbolType",
    "Vendor",
    "VendorDataset",
    "fetch_futures_command",
]

Vendor = Annotated[
    str | None, typer.Option("--vendor", help="Of futures: databento.", metavar="VENDOR")
]
Schemas = Annotated[
    list[str] | None, typer.Option("--schema", help="Of futures; repeat.", metavar="SCHEMA")
]
VendorDataset = Annotated[
    str | None, typer.Option("--dataset", help="Of futures.  [default: GLBX.MDP3]", metavar="NAME")
]
SymbolType = Annotated[
    str | None,
    typer.Option(
        "--stype",
        help="What symbols of futures are: raw_symbol, or parent (ES.FUT).",
        metavar="KIND",
    ),
]

FUTURES = "futures"
_VENDORS = ("databento",)
_SHOWN = 40


def fetch_futures_command(
    place: Workplace,
    symbols: Sequence[str],
    start: dt.date | None,
    end: dt.date | None,
    *,
    vendor: str | None,
    schemas: Sequence[str],
    dataset: str | None,
    stype: str | None,
    again: bool,
    plan_only: bool,
    as_json: bool,
) -> None:
    """Plan, price, download and import.

    Raises
    ------
    UsageError
        The request cannot be meant, or costs more than it may.
    DateError
        None of the range is over yet, or the vendor has none of it.
    VendorError
        Some requests are still open.
    KeyboardInterrupt
        The run was told to stop.
    """
    from tapemill.intake.futures_fetch_plan import GLOBEX, plan_futures

    if vendor not in (None, *_VENDORS):
        raise UsageError(
            f"futures cannot be fetched from {vendor!r}",
            where="--vendor",
            next_step=f"leave --vendor out, or write {_VENDORS[0]}",
        )
    plan = plan_futures(
        place.lake,
        place.clock,
        symbols,
        schemas,
        start,
        end,
        dataset=dataset or GLOBEX,
        stype_in=stype or "raw_symbol",
        again=again,
    )
    if plan.not_yet and not plan.complete and not plan.pending:
        raise DateError(
            "nothing of this range is over yet",
            where=f"futures, {plan.sessions[0]} to {plan.sessions[-1]}",
            next_step="ask for earlier trade dates, or come back once they are over",
        )
    if plan_only or not as_json:
        _show_plan(plan, as_json=as_json)
    if plan_only:
        return
    report = _run(place, plan, quiet=as_json)
    if as_json:
        print_json(report.summary())
    else:
        _show(report)
    _judge(plan, report)


def _run(place: Workplace, plan: FuturesPlan, *, quiet: bool) -> FuturesReport:
    from tapemill.intake.futures_fetch import fetch_futures

    if quiet or not plan.pending:
        return asyncio.run(fetch_futures(place.lake, place.settings, place.clock, plan))
    from tapemill.cli.progress import FetchProgress

    with FetchProgress(FUTURES) as bar:
        return asyncio.run(
            fetch_futures(place.lake, place.settings, place.clock, plan, progress=bar.update)
        )


def _judge(plan: FuturesPlan, report: FuturesReport) -> None:
    """Raise what the exit code has to say."""
    if report.interrupted:
        raise KeyboardInterrupt
    where = f"{plan.dataset} of databento"
    if report.remaining:
        if report.halted is not None:
            kind = type(report.halted) if isinstance(report.halted, VendorError) else VendorError
            raise kind(
                f"{report.remaining:,} requests are still open ({report.halted.what})",
                where=where,
                next_step=report.halted.next_step or "repeat the same command: it resumes",
            )
        if report.refused and not report.failed:
            raise UsageError(
                f"Databento refuses {len(report.refused):,} requests, first {report.refused[0]}",
                where=where,
                next_step="correct symbol, schema, dataset or range; what was good is here",
            )
        said = [*report.failed, *report.refused, "another process is at it"]
        raise VendorFaultError(
            f"{report.remaining:,} requests are still open, first {said[0]}",
            where=where,
            next_step="repeat the same command: it resumes; `tapemill status` shows what is open",
        )
    if not report.completed and not plan.complete and plan.pending:
        raise DateError(
            "Databento has nothing of this range"
            + (" yet" if report.not_yet else ", which lies before its history"),
            where=f"{where}, {plan.sessions[0]} to {plan.sessions[-1]}",
            next_step="ask for other trade dates; the vendor's catalogue tells what it has",
        )
    if report.out_of_window:
        print_warning(f"{report.out_of_window:,} requests lie before the vendor's history")
    if report.not_yet:
        print_warning(
            f"{report.not_yet:,} requests are not over yet, or the vendor does not have them yet; "
            "the same command later asks for them (definitions and orders go by UTC day)"
        )


def _show_plan(plan: FuturesPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(plan.summary())
        return
    facts = plan.summary()
    rows = [
        (one["schema"], one["symbol"], one["day"], one["start"], one["end"])
        for one in facts["requests"][:_SHOWN]
    ]
    columns = ["schema", "symbol", "day", "from (UTC)", "to (UTC)"]
    print_table(f"Requests to Databento, {plan.dataset}", columns, rows)
    if len(facts["requests"]) > _SHOWN:
        print_line(f"… and {len(facts['requests']) - _SHOWN:,} more; --plan --json lists all")
    print_line(
        f"{count(facts['complete'])} complete, {count(facts['pending'])} to ask for, "
        f"{count(facts['not_yet'])} not over yet. What is asked for costs money: the vendor is "
        "asked for the price first, and databento.max_cost_usd is the most that is spent."
    )


def _show(report: FuturesReport) -> None:
    facts: dict[str, Any] = report.summary()
    outcomes = ", ".join(f"{name} {number}" for name, number in facts["outcomes"].items()) or "none"
    rows = [
        ("price, as the vendor said", f"${facts['cost_usd']:,.2f}"),
        ("asked for, broken transfers included", f"${facts['paid_usd']:,.2f}"),
        ("calls on the wire", count(facts["calls"])),
        ("answers", outcomes),
        ("files bought / left by an earlier run", f"{facts['files']:,} / {facts['reused']:,}"),
        ("bytes received", size(facts["bytes"])),
        ("records", count(facts["records"])),
        ("records in quarantine", count(facts["quarantined"])),
        ("rows landed", count(sum(facts["rows"].values()))),
        ("requests completed / open", f"{facts['completed']:,} / {facts['remaining']:,}"),
    ]
    print_table("Fetched", ["what", "value"], rows, right=["value"])
    for note in dict.fromkeys(report.notes):
        print_line(note)
