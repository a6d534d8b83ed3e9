"""What the gold of a trade date is made from, as text: when it changes the date is made again."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

import polars as pl

from tapemill.lake import Lake
from tapemill.levels.subject import Subject, settlements_of
from tapemill.refine.futures_sources import OrderSource, plan_trades

__all__ = ["Evidence", "past_prints"]

_ROLLS = "reference.futures_rolls"
_REACH = datetime.timedelta(days=70)
"""Days before a trade date whose rolls and settlements may enter its levels: more than its history
of trade dates spans."""


class Evidence:
    """Everything of the lake behind a subject that no build of a unit stands for.

    Parameters
    ----------
    lake : Lake
    sources : sequence of OrderSource
        From :func:`tapemill.refine.futures_sources.order_sources`.
    """

    def __init__(self, lake: Lake, sources: Sequence[OrderSource]) -> None:
        self._lake = lake
        self._sources = sources
        self._rolls = pl.DataFrame()
        if lake.tables.exists(_ROLLS):
            self._rolls = lake.tables.scan(_ROLLS).sort("root", "session").collect()
        self._settled: dict[str, pl.DataFrame] = {}

    def of(self, subject: Subject) -> tuple[str, ...]:
        """The subject itself, its trades, and the rolls and settlements before its date."""
        plan = plan_trades(self._sources, subject.symbol, subject.session)
        trades = [
            f"{part.source.raw_sha256} {part.start_ns} {part.end_ns} {part.scale}"
            for part in plan.segments
        ]
        before = pl.col("session").is_between(
            subject.session - _REACH, subject.session, closed="left"
        )
        found = [str(subject), *trades]
        if not self._rolls.is_empty():
            own = self._rolls.filter(before, pl.col("root") == subject.root)
            found += map(str, own.rows())
        if subject.symbol not in self._settled:
            self._settled[subject.symbol] = settlements_of(self._lake, subject.symbol)
        settled = self._settled[subject.symbol]
        if not settled.is_empty():
            found += map(str, settled.filter(before).rows())
        return tuple(found)


def past_prints(
    made: Sequence[Mapping[str, str]], session: datetime.date, dates: int
) -> list[tuple[str, str]]:
    """Prints of the last builds of each input before a trade date.

    Parameters
    ----------
    made : sequence of mapping
        For each input unit (ISO date) → print.
    session : date
    dates : int
        How many trade dates count, of each input.
    """
    return [
        (day, one[day])
        for one in made
        for day in [day for day in sorted(one) if day < session.isoformat()][-dates:]
    ]
