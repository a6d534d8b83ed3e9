"""Judging a page by the pages before it: repeats, cursor loops, changes of unit.

One answer alone cannot show these. A page served twice, a cursor that leads back, and prices that
are suddenly in cents all look sound by themselves.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import polars as pl

from tapemill.contracts import Drift, unit_changes
from tapemill.lake import Lake
from tapemill.settings import Settings
from tapemill.vendors import Answer, Outcome, Request, is_cursor_loop

__all__ = ["PageChain", "UnitMemory"]

_REMEMBERED_DAYS = timedelta(days=30)
_SMALLEST_SAMPLE = 20


class PageChain:
    """The pages of one task so far.

    Parameters
    ----------
    units : UnitMemory
    """

    def __init__(self, units: UnitMemory) -> None:
        self._units = units
        self._asked: set[str] = set()
        self._prints: dict[int, int] = {}
        self._newest: tuple[pl.DataFrame, int] | None = None

    def judge(self, request: Request, answer: Answer) -> Answer:
        """The answer, or a bad answer in its place when it does not follow from those before."""
        if answer.outcome is not Outcome.DATA:
            return answer
        if is_cursor_loop({*self._asked, request.key}, answer.next):
            return _bad(answer, f"cursor loop: page {request.page} leads back to an earlier page")
        earlier = None if answer.frame is None else self._prints.get(self._print(answer.frame))
        if earlier is not None and answer.frame is not None and answer.frame.height:
            return _bad(answer, f"page {request.page} repeats page {earlier} row by row")
        if drift := self._units.changes(request, answer):
            words = "; ".join(f"{change.field}: {change.detail}" for change in drift)
            bad = _bad(answer, f"the unit changed: {words}")
            return dataclasses.replace(bad, drift=[*answer.drift, *drift])
        return answer

    def accept(self, request: Request, answer: Answer) -> None:
        """Remember a page that was believed."""
        self._asked.add(request.key)
        if answer.frame is not None:
            self._prints[self._print(answer.frame)] = request.page
            self._units.learn(request, answer.frame)
            self._newest = None

    def _print(self, frame: pl.DataFrame) -> int:
        """The fingerprint, taken once for judging and remembering."""
        if self._newest is None or self._newest[0] is not frame:
            self._newest = frame, _fingerprint(frame)
        return self._newest[1]


class UnitMemory:
    """Medians of what each symbol sent before, from this run or from the lake.

    Parameters
    ----------
    lake : Lake
    settings : Settings
    """

    _FIELDS: dict[str, tuple[str, ...]] = {  # noqa: RUF012 - constant
        "bronze.massive_bars_1m": ("close",),
        "bronze.massive_bars_1d": ("close",),
        "bronze.finra_short_volume": ("total_volume",),
    }

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self._lake = lake
        self._ratio = settings.checks.unit_change_ratio
        self._medians: dict[tuple[str, str], dict[str, float]] = {}

    def changes(self, request: Request, answer: Answer) -> list[Drift]:
        """Fields of the answer whose unit seems to have changed."""
        frame = answer.frame
        if request.dataset not in self._FIELDS or frame is None or frame.height < _SMALLEST_SAMPLE:
            return []
        return unit_changes(self._before(request), frame, self._ratio)

    def learn(self, request: Request, frame: pl.DataFrame) -> None:
        """Remember the medians of an answer that was believed."""
        fields = self._FIELDS.get(request.dataset, ())
        if fields and frame.height >= _SMALLEST_SAMPLE:
            self._medians[request.dataset, request.symbol] = _medians(frame.lazy(), fields)

    def _before(self, request: Request) -> dict[str, float]:
        known = self._medians.get((request.dataset, request.symbol))
        if known is None:
            known = self._from_lake(request)
            self._medians[request.dataset, request.symbol] = known
        return known

    def _from_lake(self, request: Request) -> dict[str, float]:
        if request.start is None or not self._lake.tables.exists(request.dataset):
            return {}
        rows = self._lake.tables.scan(request.dataset).filter(
            pl.col("session").is_between(request.start - _REMEMBERED_DAYS, request.start)
        )
        if request.symbol != "*":
            rows = rows.filter(pl.col("symbol") == request.symbol)
        return _medians(rows, self._FIELDS[request.dataset])


def _medians(rows: pl.LazyFrame, fields: tuple[str, ...]) -> dict[str, float]:
    found = rows.select(pl.col(fields).cast(pl.Float64).median()).collect().row(0, named=True)
    return {name: value for name, value in found.items() if value is not None}


def _fingerprint(frame: pl.DataFrame) -> int:
    """A hash of the rows without their place on the page."""
    hashes = frame.drop("ordinal", strict=False).hash_rows(seed=0)
    return hash((frame.height, hashes.sum(), hashes.head(1).sum()))


def _bad(answer: Answer, reason: str) -> Answer:
    return dataclasses.replace(
        answer, outcome=Outcome.BAD_ANSWER, reason=reason, frame=None, rejected=None, next=None
    )
