"""Cells that are no sessions: trading weeks, by their Mondays, and settlement dates.

A week is published in two steps, Tier 1 first and all else two weeks later. Asked in between, its
cell stays open (PARTIAL) with what has come, rests until the second step is due, and closes once
that is surely out. An absence counts only when every step is out, and for the whole market never.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.clock import Calendar
from tapemill.clock.reporting import (
    interest_final_ns,
    interest_published_ns,
    monday_of,
    mondays,
    settlement_before,
    settlement_dates,
    week_final_ns,
    week_published_ns,
)
from tapemill.errors import DateError
from tapemill.intake.coverage import Settled
from tapemill.intake.dates import exchange_today
from tapemill.intake.entitlement import Entitled
from tapemill.lake.control import CellState
from tapemill.vendors import Request
from tapemill.vendors.finra import INTEREST, WEEKLY
from tapemill.vendors.finra.requests import summary_types_of, ticker_of

__all__ = ["PERIODS", "provisional", "resting", "settle_periods", "wanted_periods"]

BoolMatrix = npt.NDArray[np.bool_]

_HISTORY_YEARS = 5
_LATE_TIER_DAYS = 14
_DAY_NS = 86_400_000_000_000
_PROVENANCE = ("ordinal", "source", "raw_sha256", "request_id", "ts_recv", "known_at")


@dataclasses.dataclass(frozen=True, slots=True)
class Period:
    """How a dataset's cells lie in time.

    Parameters
    ----------
    column : str
        Date column of the rows.
    noun : str
    newest : int
        Cells that a fetch without a range looks at.
    cells : callable
        (calendar, start, end) → the cells' dates.
    begin : callable
        (calendar, cell) → first date of the facts that the cell stands for; the cell's is the last.
    published_ns, rest_ns, final_ns : callable
        (calendar, cell) → when the first part is due, when the rest is, when all is surely out.
    """

    column: str
    noun: str
    newest: int
    cells: Callable[[Calendar, date, date], list[date]]
    begin: Callable[[Calendar, date], date]
    published_ns: Callable[[Calendar, date], int]
    rest_ns: Callable[[Calendar, date], int]
    final_ns: Callable[[Calendar, date], int]


PERIODS: dict[str, Period] = {
    WEEKLY: Period(
        column="week_start",
        noun="week",
        newest=8,
        cells=lambda _, start, end: mondays(start, end),
        begin=lambda _, monday: monday,
        published_ns=lambda _, monday: week_published_ns(monday, first_tier=True),
        rest_ns=lambda _, monday: week_published_ns(monday, first_tier=False),
        final_ns=lambda _, monday: week_final_ns(monday),
    ),
    INTEREST: Period(
        column="settlement_date",
        noun="settlement date",
        newest=2,
        cells=settlement_dates,
        begin=lambda calendar, settled: settlement_before(calendar, settled) + timedelta(days=1),
        published_ns=interest_published_ns,
        rest_ns=interest_final_ns,
        final_ns=interest_final_ns,
    ),
}
"""Dataset → its periods; every other dataset has one cell a session."""


def wanted_periods(
    dataset: str, calendar: Calendar, now_ns: int, start: date | None, end: date | None
) -> Entitled:
    """Cells from `start` to `end` (the newest published ones by default), by what may be asked.

    Raises
    ------
    DateError
        `start` is after `end`, or no cell lies between them.
    """
    period, today = PERIODS[dataset], exchange_today(now_ns)
    if start is not None and end is not None and start > end:
        raise DateError(
            f"the range starts on {start}, after its end {end}",
            next_step="swap --start and --end",
        )
    first = start or (end or today) - timedelta(days=40 * period.newest)
    cells = period.cells(calendar, first, end or max(today, first))
    if start is None and end is None:
        out = [cell for cell in cells if period.published_ns(calendar, cell) <= now_ns]
        cells = out[-period.newest :]
    elif start is None:
        cells = cells[-1:]
    elif end is None:
        cells = [cell for cell in cells if period.published_ns(calendar, cell) <= now_ns] or cells
    if not cells:
        raise DateError(
            f"there is no {period.noun} from {start} to {end}",
            where=dataset,
            next_step="widen the range: --start and --end are dates of the trading itself, not of "
            "its publication",
        )
    oldest = _years_before(today)
    return Entitled(
        available=[
            cell
            for cell in cells
            if cell >= oldest and period.published_ns(calendar, cell) <= now_ns
        ],
        out_of_window=[cell for cell in cells if cell < oldest],
        not_yet=[
            cell
            for cell in cells
            if cell >= oldest and period.published_ns(calendar, cell) > now_ns
        ],
    )


def resting(
    dataset: str,
    calendar: Calendar,
    states: npt.NDArray[np.uint8],
    cells: Sequence[date],
    now_ns: int,
) -> BoolMatrix:
    """Cells whose first part is here and whose rest is not due: asking again would bring nothing.

    Parameters
    ----------
    states : ndarray of uint8, shape (symbols, cells)
    """
    return _partial_before(dataset, calendar, states, cells, now_ns, final=False)


def provisional(
    dataset: str,
    calendar: Calendar,
    states: npt.NDArray[np.uint8],
    cells: Sequence[date],
    now_ns: int,
) -> BoolMatrix:
    """Cells that hold all that could be had so far and close later by themselves."""
    return _partial_before(dataset, calendar, states, cells, now_ns, final=True)


def _partial_before(
    dataset: str,
    calendar: Calendar,
    states: npt.NDArray[np.uint8],
    cells: Sequence[date],
    now_ns: int,
    *,
    final: bool,
) -> BoolMatrix:
    period = PERIODS.get(dataset)
    if period is None:
        return np.zeros(states.shape, dtype=np.bool_)
    moment = period.final_ns if final else period.rest_ns
    early = np.array([now_ns < moment(calendar, cell) for cell in cells], dtype=np.bool_)
    found: BoolMatrix = (states == CellState.PARTIAL) & early[np.newaxis, :]
    return found


def settle_periods(
    request: Request,
    frames: Sequence[pl.DataFrame],
    rejected: int,
    calendar: Calendar,
    received_ns: int,
) -> list[Settled]:
    """Cells that a listing settles once its last page is here.

    Parameters
    ----------
    request : Request
    frames : sequence of pl.DataFrame
        Bronze rows of all its pages.
    rejected : int
        Rows of these pages that went to quarantine.
    calendar : Calendar
    received_ns : int
        Nanoseconds UTC of the last page.
    """
    if request.start is None or request.end is None:
        return []
    rows = pl.concat(frames) if frames else None
    return [
        _settle_one(request, cell, rows, rejected, calendar, received_ns)
        for cell in PERIODS[request.dataset].cells(calendar, request.start, request.end)
    ]


def _settle_one(
    request: Request,
    cell: date,
    rows: pl.DataFrame | None,
    rejected: int,
    calendar: Calendar,
    received_ns: int,
) -> Settled:
    period = PERIODS[request.dataset]
    inside = pl.col(period.column).is_between(period.begin(calendar, cell), cell)
    own = None if rows is None else rows.filter(inside)
    final = received_ns >= period.final_ns(calendar, cell)
    if own is None or own.is_empty():
        state, reason = _without_rows(request, period.noun, rejected, final=final)
    elif twice := own.height - own.unique(set(own.columns) - set(_PROVENANCE)).height:
        # Pages are cut by offset: a row that comes twice has pushed another one out.
        state, reason = CellState.BAD_ANSWER, f"the pages overlap: {twice} rows came twice"
    elif request.dataset == WEEKLY:
        state, reason = _week(request, cell, own, received_ns, final=final)
    else:
        state, reason = CellState.DATA, ""
    return Settled(request.symbol, (cell,), state, (0 if own is None else own.height,), reason)


def _without_rows(
    request: Request, noun: str, rejected: int, *, final: bool
) -> tuple[CellState, str]:
    if rejected:
        return CellState.BAD_ANSWER, "every row of it broke the contract; see ops.quarantine"
    if ticker_of(request) is None:
        if final:
            reason = f"no row of any symbol for a whole {noun}: an absence that cannot be believed"
            return CellState.BAD_ANSWER, reason
        return CellState.TRANSIENT, "nothing yet for the whole market: not published"
    if final:
        return CellState.EMPTY, f"the {noun} is out and has no row of it"
    return CellState.PARTIAL, f"no row yet; not every part of the {noun} is out"


def _week(
    request: Request, cell: date, rows: pl.DataFrame, received_ns: int, *, final: bool
) -> tuple[CellState, str]:
    if ticker_of(request) is not None:
        # One symbol is of one tier: once both kinds of its rows are out, nothing more comes.
        kinds = set(rows.get_column("summary_type").to_list())
        if final or kinds >= set(summary_types_of(request)):
            return CellState.DATA, ""
        return CellState.PARTIAL, f"{', '.join(sorted(kinds))} alone so far"
    others = rows.filter(pl.col("tier") != "T1").height
    if not final:
        said = f"{others:,} rows beside Tier 1" if others else "Tier 1 alone"
        due = cell + timedelta(days=35)
        return CellState.PARTIAL, f"{said} so far; the other tiers are due on {due}"
    if not others and received_ns < week_final_ns(cell) + _LATE_TIER_DAYS * _DAY_NS:
        return CellState.PARTIAL, "Tier 1 alone, although the other tiers were due"
    return CellState.DATA, ""


def _years_before(today: date) -> date:
    """The Monday of the week five years ago."""
    return monday_of(today - timedelta(days=365 * _HISTORY_YEARS + 1))
