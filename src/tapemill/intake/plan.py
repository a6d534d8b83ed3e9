"""Planning: what is missing, what may be asked, and what that costs, before a single call.

Calendar × universe × entitlement gives the cells; the ledger takes away those that are complete;
`routes` finds the calls. The plan is a pure function of these: the same state gives the same tasks
in the same order, so an interrupted run resumes exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from tapemill.clock import Calendar, Clock, calendar
from tapemill.errors import DateError, UsageError
from tapemill.intake.catalogue import Offer, offer
from tapemill.intake.coverage import SNAPSHOTS, snapshot_session
from tapemill.intake.entitlement import Entitled, clamp, window
from tapemill.intake.periods import PERIODS, resting, wanted_periods
from tapemill.intake.tasks import BUILDERS, BoolMatrix, Task
from tapemill.lake import Lake
from tapemill.lake.control import MARKET, CellState
from tapemill.settings import Settings

__all__ = ["FetchPlan", "Task", "plan_fetch"]


@dataclasses.dataclass(frozen=True)
class FetchPlan:
    """What a fetch would do.

    Parameters
    ----------
    dataset : str
        Bronze dataset.
    vendor : str
    route : str
        In words.
    tasks : tuple of Task
    symbols : tuple of str
        ``("*",)`` where cells are of the whole market.
    sessions : tuple of date
        Sessions wanted and available.
    complete, pending, out_of_window, not_yet, refused : int
        Cells: filled; to be filled by `tasks`; older than the plan of the vendor; not published
        yet; refused before by the vendor as outside the plan, and not asked again.
    waiting : int
        Cells whose first part is here, and whose rest is not due yet.
    closed : tuple of date
        The sessions behind `out_of_window`.
    hours : float
        At the vendor's quota.
    """

    dataset: str
    vendor: str
    route: str
    tasks: tuple[Task, ...]
    symbols: tuple[str, ...]
    sessions: tuple[date, ...]
    complete: int
    pending: int
    out_of_window: int
    not_yet: int
    refused: int
    closed: tuple[date, ...]
    hours: float
    waiting: int = 0

    @property
    def calls(self) -> int:
        """Calls expected, without retries."""
        return sum(task.calls for task in self.tasks)

    @property
    def bytes(self) -> int:
        """Answer bytes expected, after decompression."""
        return sum(task.bytes for task in self.tasks)

    def summary(self) -> dict[str, Any]:
        """The plan in numbers, for people and ``--json``."""
        return {
            "dataset": self.dataset,
            "vendor": self.vendor,
            "route": self.route,
            "tasks": len(self.tasks),
            "calls": self.calls,
            "bytes": self.bytes,
            "hours": round(self.hours, 4),
            "complete": self.complete,
            "pending": self.pending,
            "out_of_window": self.out_of_window,
            "not_yet": self.not_yet,
            "refused": self.refused,
            "waiting": self.waiting,
        }


def plan_fetch(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    dataset: str,
    symbols: Sequence[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    *,
    via: str | None = None,
    again: bool = False,
) -> FetchPlan:
    """Plan a fetch; nothing is called and nothing is written.

    Parameters
    ----------
    dataset : str
        ``bars_1m``, ``bars_1d``, ``splits``, ``dividends``, ``tickers``, ``market_status``,
        ``short_volume``, ``otc_weekly``, ``otc_firms``, ``short_interest``, or the bronze name.
    symbols : sequence of str, optional
        Tickers, case kept. Needed for minute bars; elsewhere the whole market is the default.
    start, end : date, optional
        Sessions, inclusive; the newest available one by default. Weeks are those with a day in the
        range, settlement dates those inside it; the newest few by default.
    via : str, optional
        ``"file"`` (default) or ``"api"`` for short volume.
    again : bool
        Ask for complete and refused cells too: revisions become new versions.

    Raises
    ------
    UnknownNameError
        No such dataset.
    UsageError
        Symbols are missing, or the route does not exist.
    DateError
        The range lies beyond the calendar.
    """
    wanted = offer(dataset, via)
    sessions = calendar("XNYS")
    names = _names(wanted, symbols)
    entitled = _entitled(wanted, settings, sessions, clock.now_ns(), start, end)
    pending = _pending(lake, wanted, names, entitled, again=again)
    available = entitled.available
    refused, waiting = np.zeros_like(pending), np.zeros_like(pending)
    if available and not again:
        states = lake.control.ledger.matrix(wanted.dataset, names, available).states
        refused = states == CellState.NOT_ENTITLED
        waiting = resting(wanted.dataset, sessions, states, available, clock.now_ns())
    pending &= ~refused & ~waiting
    route, tasks = BUILDERS[wanted.route](names, available, pending, sessions)
    tasks = [dataclasses.replace(task, again=again) for task in tasks]
    calls = sum(task.calls for task in tasks)
    return FetchPlan(
        dataset=wanted.dataset,
        vendor=wanted.vendor,
        route=route,
        tasks=tuple(tasks),
        symbols=tuple(names),
        sessions=tuple(available),
        complete=int((~pending & ~refused & ~waiting).sum()),
        pending=int(pending.sum()),
        out_of_window=len(names) * len(entitled.out_of_window),
        not_yet=len(names) * len(entitled.not_yet),
        refused=int(refused.sum()),
        closed=tuple(entitled.out_of_window),
        hours=_hours(settings, wanted.vendor, calls),
        waiting=int(waiting.sum()),
    )


def _names(wanted: Offer, symbols: Sequence[str] | None) -> list[str]:
    """Symbols whose cells are planned; the market where the vendor answers for all at once."""
    if wanted.route in ("minutes", "ticks") and not symbols:
        what = "minute bars are" if wanted.route == "minutes" else "the tape is"
        raise UsageError(
            f"{what} fetched symbol by symbol, and no symbol is given",
            where=wanted.name,
            next_step=f"name them, for example: tapemill fetch {wanted.name} SPY QQQ",
        )
    if wanted.dataset in PERIODS:
        return _finra_names(wanted, symbols)
    by_symbol = wanted.route in ("minutes", "ticks", "days", "splits", "dividends")
    if not symbols or not by_symbol:
        return [MARKET]
    return sorted(set(symbols))


def _finra_names(wanted: Offer, symbols: Sequence[str] | None) -> list[str]:
    """Symbols as FINRA writes them; firm rows have cells of their own beside the totals'."""
    for symbol in symbols or ():
        if "." in symbol or "/" in symbol or symbol.startswith(MARKET):
            raise UsageError(
                f"the Query API knows no symbol {symbol!r}",
                where=wanted.name,
                next_step="write share classes with a blank: 'BRK B'",
            )
    if wanted.route == "firms":
        return [f"{MARKET}firms{symbol}" for symbol in sorted(set(symbols or ("",)))]
    return sorted(set(symbols or (MARKET,)))


def _entitled(
    wanted: Offer,
    settings: Settings,
    sessions: Calendar,
    now_ns: int,
    start: date | None,
    end: date | None,
) -> Entitled:
    if wanted.dataset in SNAPSHOTS:
        return Entitled([snapshot_session(sessions, now_ns)], [], [])
    if wanted.dataset in PERIODS:
        return wanted_periods(wanted.dataset, sessions, now_ns, start, end)
    last = window(settings, sessions, wanted.vendor, now_ns)[1]
    end = end or max(last, start or last)
    start = start or end
    if start > end:
        raise DateError(
            f"the range starts on {start}, after its end {end}",
            next_step="swap --start and --end",
        )
    return clamp(settings, sessions, wanted.vendor, sessions.session_dates(start, end), now_ns)


def _pending(
    lake: Lake, wanted: Offer, names: Sequence[str], entitled: Entitled, *, again: bool
) -> BoolMatrix:
    if again or not entitled.available:
        return np.full((len(names), len(entitled.available)), again, dtype=np.bool_)
    return lake.control.ledger.pending(wanted.dataset, names, entitled.available)


def _hours(settings: Settings, vendor: str, calls: int) -> float:
    """Time that `calls` take at the quota, the first minute's calls being free to go at once."""
    caps = settings.finra if vendor == "finra" else settings.massive
    minutes = max(calls - 1, 0) // caps.calls_per_minute
    hours = minutes * (60.0 + caps.rate_margin_seconds) / 3600.0
    days = max(calls - 1, 0) // caps.calls_per_day if caps.calls_per_day else 0
    return max(hours, 24.0 * days)
