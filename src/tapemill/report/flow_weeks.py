"""The panel of OTC weeks: facts of a week, told weeks later, never of a day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.report.flow_facts import FlowFacts
from tapemill.report.flow_panels import Block, Blocks, Panel, Points, Steps
from tapemill.report.flow_style import ACCENT, AMBER, write_value

__all__ = ["any_known", "row_values", "week_panel"]

Values = npt.NDArray[np.float64]
Row = dict[str, Any]


def week_panel(facts: FlowFacts, symbol: str, rows: Sequence[Row]) -> Panel:
    """Weeks at the sessions they describe, and what each evening knew of them."""
    weeks = facts.weeks.filter(pl.col("symbol") == symbol)
    due = next((row["otc_next_publication"] for row in reversed(rows) if row), None)
    waits = f"next week due {due}" if due else ""
    title = "OTC participation: blocks at the week described; amber: what each evening knew of"
    if weeks.is_empty():
        known: list[date] = [row["otc_week"] for row in rows if row.get("otc_week")]
        said = (
            f"newest week known {max(known)}, before this range" if known else "no OTC week known"
        )
        return Panel(title, 66, absent=f"{said}; {waits}" if waits else said)
    priced = weeks["participation"].is_not_null().any()
    blocks, flags = [], []
    for week in weeks.iter_rows(named=True):
        span = _week_span(facts.sessions, week["week"])
        value = week["participation"] if priced else week["volume"]
        if span is None:
            continue
        blocks.append(_block(facts, week, span, value, priced=priced, count=len(weeks)))
        if week["published"]:
            flags.append((week, value))
    if not priced:
        title = "OTC volume by week, shares (no prices: participation unknown)"
    then = row_values(rows, "otc_participation_frac" if priced else "otc_volume")
    marks: list[Any] = [Blocks(tuple(blocks)), *_flags(facts.sessions, flags)]
    if any_known(then):
        marks.insert(1, Steps(then, AMBER, width=1.1, dash=True))
    tallest = max([block.value for block in blocks] + [float(np.nanmax(then, initial=0.0))])
    return Panel(
        title,
        116,
        tuple(marks),
        (0.0, 1.3 * tallest or 1.0),
        form="frac" if priced else "volume",
        remark=waits,
    )


def _block(
    facts: FlowFacts,
    week: Row,
    span: tuple[int, int],
    value: float | None,
    *,
    priced: bool,
    count: int,
) -> Block:
    age = _age(facts.sessions, span[1])
    known = value is not None
    lines = [
        f"week of {week['week']} · {week['tier'] or 'tier unknown'}",
        f"{write_value(week['volume'], 'volume')} shares off-exchange"
        + (f" · {write_value(value, 'frac')} of all volume" if priced and known else ""),
        f"published {week['published'] or 'unknown'} · {age} sessions old at the end",
    ]
    wide = span[1] - span[0] >= 2
    text = (week["tier"] or "") if count <= 30 and wide else ""
    if count <= 16 and wide:
        text = f"{text} {age}d".strip()
    # A fact fades with its age at the end of the range, as it does for whoever acts then.
    opacity = max(0.3, 0.95 - 0.02 * age)
    return Block(
        span[0], span[1], value if value is not None else 0.0, ACCENT, opacity,
        "<br>".join(lines), text, outlined=not known,
    )  # fmt: skip


def _flags(sessions: Sequence[date], flags: Sequence[tuple[Row, float | None]]) -> list[Points]:
    """Publication marks, at the evening from which a week counts."""
    shown = [
        (float(_place(sessions, week["published"])), value, week)
        for week, value in flags
        if sessions[0] <= week["published"] <= sessions[-1] and value is not None
    ]
    if not shown:
        return []
    return [
        Points(
            np.array([at for at, _, _ in shown]),
            np.array([value for _, value, _ in shown]),
            (AMBER,) * len(shown),
            ("flag",) * len(shown),
            tuple(f"week of {w['week']} published {w['published']}" for _, _, w in shown),
            9.0,
        )
    ]


def row_values(rows: Sequence[Row], name: str) -> Values:
    """A column of rows as float64 of shape (sessions,); NaN where it is not known."""
    got = (row.get(name) for row in rows)
    return np.array([math.nan if one is None else float(one) for one in got], dtype=np.float64)


def any_known(values: Values) -> bool:
    """Whether any value is a number."""
    return bool(np.isfinite(values).any())


def _week_span(sessions: Sequence[date], monday: date) -> tuple[int, int] | None:
    places = [at for at, day in enumerate(sessions) if monday <= day < monday + timedelta(days=7)]
    return (places[0], places[-1]) if places else None


def _age(sessions: Sequence[date], last: int) -> int:
    """Sessions from a week's last one to the end of the range."""
    return len(sessions) - 1 - last


def _place(sessions: Sequence[date], day: date) -> int:
    """Position of a day, or of the first session after it."""
    return next(at for at, session in enumerate(sessions) if session >= day)
