"""What makes a page of levels less sure, in sentences."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from tapemill.clock.eastern import EASTERN

if TYPE_CHECKING:
    from tapemill.report.levels_facts import LevelsFacts

__all__ = ["careful_notes", "clock_text", "missing_kinds"]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_HOUR = 3_600_000_000_000


def clock_text(ns: int | None, *, seconds: bool = False, day: bool = False) -> str:
    """A moment as New York wall time; empty for None."""
    if ns is None:
        return ""
    moment = (_EPOCH + datetime.timedelta(microseconds=ns // 1000)).astimezone(EASTERN)
    form = "%H:%M:%S" if seconds else "%H:%M"
    return moment.strftime(f"%a %Y-%m-%d {form}" if day else form)


def careful_notes(
    facts: LevelsFacts, every: pl.DataFrame, contract: Mapping[str, Any], has_history: bool
) -> tuple[str, ...]:
    """Everything a reader must know before believing the page.

    Parameters
    ----------
    facts : LevelsFacts
    every : pl.DataFrame
        All levels of the date, those not asked for too.
    contract : mapping
        Row of ``reference.futures_contracts``; empty if there is none.
    has_history : bool
        Whether the lake holds minutes of this contract before the date.
    """
    notes = [*_coverage(facts)]
    notes += [
        f"{one.name} could not be read to its end: {one.fault}"
        for one in facts.sources
        if one.fault
    ]
    evidence = str(contract.get("evidence") or "")
    if evidence and not evidence.startswith("definition: its own"):
        notes.append(
            f"no definition of {facts.symbol} itself is in the lake: its tick of "
            f"{facts.tick_size:g} points is inferred ({evidence})"
        )
    if facts.book is None:
        notes.append("no order feed covers the date: trades alone, without a book")
    if facts.as_of is not None:
        notes.append(
            "an episode is known when it ends: those still open at that moment are not shown"
        )
    return (*notes, *missing_kinds(facts, every, has_history))


def _coverage(facts: LevelsFacts) -> list[str]:
    first = min(one.start_ns for one in facts.sources)
    last = max(one.end_ns for one in facts.sources)
    notes = []
    late, early = first - facts.open_ns, facts.close_ns - last
    if late > _HOUR // 60 or early > _HOUR // 60:
        hours = (min(last, facts.close_ns) - max(first, facts.open_ns)) / _HOUR
        notes.append(
            f"data from {clock_text(max(first, facts.open_ns))} to {clock_text(last)} New York "
            f"only: {hours:.1f} of {(facts.close_ns - facts.open_ns) / _HOUR:.0f} hours"
        )
    gaps = facts.book.gaps if facts.book is not None else ()
    inside = [
        (a, b) for a, b in gaps if b > max(facts.start_ns, facts.open_ns) and a < facts.end_ns
    ]
    if inside:
        said = ", ".join(f"{clock_text(a)} to {clock_text(b)}" for a, b in inside[:6])
        more = f" and {len(inside) - 6} more" if len(inside) > 6 else ""
        notes.append(
            f"the feed was silent for more than {facts.gap_seconds} s: {said}{more}; what happened "
            "then is not drawn"
        )
    return notes


def missing_kinds(facts: LevelsFacts, every: pl.DataFrame, has_history: bool) -> list[str]:
    """Kinds without a level on this date, with the reason, one sentence a reason."""
    from tapemill.levels.registry import LEVEL_KINDS

    there = set(every.filter(pl.col("family") == "real")["kind"])
    reasons: dict[str, list[str]] = {}
    last = max(one.end_ns for one in facts.sources)
    for kind in LEVEL_KINDS:
        if kind.name not in there:
            reason = _reason(kind.group, kind.name, facts, last, has_history)
            reasons.setdefault(reason, []).append(kind.name)
    return [f"{reason}: no {', '.join(names)}" for reason, names in reasons.items()]


def _reason(group: str, name: str, facts: LevelsFacts, last: int, has_history: bool) -> str:
    if group == "user":
        return "none in your own file of levels (levels.user_file) that stood on this date"
    if group in ("prior", "profile"):
        if not has_history:
            return f"the lake holds no earlier trade date of {facts.symbol}"
        if "WEEK" in name or "COMPOSITE" in name:
            return "the lake holds too few whole earlier trade dates"
        if "SETTLEMENT" in name:
            return "no settlement of the day before was imported"
        return "the trade date before is not whole in the lake, or gives none"
    opened = facts.regular[0] if facts.regular else None
    if name.startswith(("SMA", "EMA")):
        return "fewer finished bars than the average needs, earlier trade dates included"
    if opened is None:
        return "no regular hours on this date"
    four = opened - 5 * _HOUR - _HOUR // 2
    needs = four if name.startswith("PREMARKET") else opened
    if last <= needs and not name.startswith(("OVERNIGHT", "GLOBEX", "ANCHORED")):
        return f"the data end before {clock_text(needs)} New York"
    return "the data do not cover the hours it is made of"
