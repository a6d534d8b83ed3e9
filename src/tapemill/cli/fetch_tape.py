"""`tapemill fetch tape`: prints where the plan has them, else minutes, else days."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

from tapemill.cli.output import count, print_json, print_line, print_table, size
from tapemill.errors import NotEntitledError, UsageError, VendorError, VendorFaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapemill.cli.options import Workplace
    from tapemill.intake import TapePlan, TapeReport

__all__ = ["TAPE_NAMES", "carry_out_tape", "plan_of_tape", "show_tape_plan"]

TAPE_NAMES = ("tape", "bronze.massive_tape_5m")
_SHOWN_SPANS = 60


def plan_of_tape(
    place: Workplace,
    symbols: Sequence[str],
    start: dt.date | None,
    end: dt.date | None,
    *,
    mode: str | None,
    via: str | None,
    again: bool,
) -> TapePlan:
    """Plan the tape.

    Raises
    ------
    UsageError
        No symbol is given, or a route, of which the tape has none.
    """
    from tapemill.intake import plan_tape

    if via is not None:
        raise UsageError(
            f"the tape has no route {via!r}", where="--via", next_step="say --mode instead"
        )
    if not symbols:
        raise UsageError(
            "the tape is fetched symbol by symbol, and no symbol is given",
            where="tape",
            next_step="name them, for example: tapemill fetch tape SPY AAPL",
        )
    return plan_tape(
        place.lake,
        place.settings,
        place.clock,
        symbols,
        start,
        end,
        mode=mode or "auto",
        again=again,
    )


def show_tape_plan(plan: TapePlan, *, as_json: bool = False) -> None:
    """Print what a fetch of the tape would cost, rung by rung."""
    if as_json:
        print_json(plan.summary())
        return
    rows = []
    for place, (name, fetch_plan) in enumerate(plan.rungs.items()):
        facts = fetch_plan.summary()
        rows.append(
            (
                name if not place else f"else {name}",
                count(facts["pending"]),
                count(facts["refused"]),
                count(facts["out_of_window"] + facts["not_yet"]),
                f"{'from ' if name == 'tick' else ''}{count(facts['calls'])}",
                size(facts["bytes"]),
            )
        )
    columns = ["rung", "pending", "refused", "outside the window", "calls", "bytes (estimate)"]
    print_table("Plan", columns, rows, right=columns[1:])
    if "tick" in plan.rungs:
        print_line(
            "A symbol's session of prints takes two calls and one more for every full page of "
            "50,000 prints or quotes."
        )


def carry_out_tape(place: Workplace, plan: TapePlan, *, again: bool, as_json: bool) -> None:
    """Fetch the tape and print what was used for which sessions.

    Raises
    ------
    VendorError
        Some sessions have no rung at all.
    KeyboardInterrupt
        The run was told to stop.
    """
    report = _run(place, plan, again=again, quiet=as_json)
    facts = report.summary()
    if as_json:
        print_json(facts)
    else:
        _show(facts)
    if report.interrupted:
        raise KeyboardInterrupt
    if report.remaining or report.stopped:
        raise _unfinished(report, facts)


def _run(place: Workplace, plan: TapePlan, *, again: bool, quiet: bool) -> TapeReport:
    from tapemill.intake import fetch_tape

    if quiet:
        work = fetch_tape(place.lake, place.settings, place.clock, plan, again=again)
        return asyncio.run(work)
    from tapemill.cli.progress import FetchProgress

    with FetchProgress("tape") as bar:
        return asyncio.run(
            fetch_tape(
                place.lake, place.settings, place.clock, plan, again=again, progress=bar.update
            )
        )


def _show(facts: dict[str, Any]) -> None:
    used = ", ".join(f"{name} {number:,}" for name, number in facts["used"].items() if number)
    outcomes = ", ".join(f"{name} {number:,}" for name, number in facts["outcomes"].items())
    rows = [
        ("symbol-days by what was used", used or "none"),
        ("calls on the wire", count(facts["calls"])),
        ("answers", outcomes or "none"),
        ("rows landed", count(facts["rows"])),
        ("rows in quarantine", count(facts["quarantined"])),
        ("incidents opened", count(facts["incidents"])),
    ]
    print_table("Fetched", ["what", "value"], rows, right=["value"])
    spans = facts["spans"]
    shown = [
        (one["symbol"], one["mode"], one["start"], one["end"], count(one["sessions"]))
        for one in spans[:_SHOWN_SPANS]
    ]
    columns = ["symbol", "used", "first session", "last session", "sessions"]
    print_table("What was used", columns, shown, right=["sessions"])
    if len(spans) > _SHOWN_SPANS:
        print_line(f"… and {len(spans) - _SHOWN_SPANS:,} more; --json lists all")


def _unfinished(report: TapeReport, facts: dict[str, Any]) -> VendorError:
    open_cells = report.used.filter(report.used["mode"] == "none")
    words = "; ".join(facts["stopped"])
    if open_cells.is_empty():
        what = words or "the run was stopped by the vendor"
        return VendorFaultError(what, where="tape", next_step="repeat the same command: it resumes")
    symbol, session, _, state, refused = open_cells.row(0)
    what = f"{open_cells.height:,} symbol-days have no tape ({words or state.replace('_', '-')})"
    where = f"tape of massive, first {symbol} {session}"
    if refused and not words:
        return NotEntitledError(
            what,
            where=where,
            next_step="use --mode auto or --mode minute; once the plan has changed, repeat with "
            "--again: what was refused is not asked for by itself",
        )
    return VendorFaultError(
        what,
        where=where,
        next_step="repeat the same command: it resumes; `tapemill status` shows what is open",
    )
