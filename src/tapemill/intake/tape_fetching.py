"""The tape at the best rung that the vendor's plan affords: prints, else minutes, else days.

A refusal of prints is asked for once and written into every cell it concerns: the next run goes
straight to the minutes. A failure is no refusal: it stays open and is asked again.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from tapemill.clock import Clock
from tapemill.errors import UnknownNameError, did_you_mean
from tapemill.intake.fetching import fetch
from tapemill.intake.plan import FetchPlan, plan_fetch
from tapemill.intake.run import FetchReport, Listener
from tapemill.intake.wire import Transport
from tapemill.lake import Lake
from tapemill.lake.control import COMPLETE, CellRecord, CellState
from tapemill.settings import Settings

__all__ = ["RUNGS", "TapeMode", "TapePlan", "TapeReport", "fetch_tape", "plan_tape", "tape_modes"]

TapeMode = Literal["auto", "tick", "minute", "daily"]

RUNGS = {
    "tick": "bronze.massive_tape_5m",
    "minute": "bronze.massive_bars_1m",
    "daily": "bronze.massive_bars_1d",
}
"""Rung → dataset whose cells it fills, the best first."""

_CarryOut = Callable[[str, Sequence[FetchPlan]], Awaitable[FetchReport]]
_CLOSED = (CellState.NOT_ENTITLED, CellState.OUT_OF_WINDOW)


@dataclasses.dataclass(frozen=True)
class TapePlan:
    """What a fetch of the tape would cost.

    Parameters
    ----------
    mode : str
        As asked for.
    rungs : dict of str to FetchPlan
        In the order tried. After the first, a plan says what that rung costs if the vendor refuses
        all of the one before; only what is refused is asked for.
    """

    mode: TapeMode
    rungs: dict[str, FetchPlan]

    def summary(self) -> dict[str, Any]:
        """The plan in plain values."""
        return {
            "mode": self.mode,
            "rungs": {name: plan.summary() for name, plan in self.rungs.items()},
        }


@dataclasses.dataclass
class TapeReport:
    """What came of a fetch of the tape.

    Attributes
    ----------
    mode : str
        As asked for.
    reports : dict of str to list of FetchReport
        By rung.
    used : pl.DataFrame
        What :func:`tape_modes` says afterwards.
    """

    mode: TapeMode
    reports: dict[str, list[FetchReport]]
    used: pl.DataFrame

    @property
    def remaining(self) -> int:
        """Symbol-days that no rung has."""
        return int((self.used["mode"] == "none").sum())

    @property
    def interrupted(self) -> bool:
        """Whether the run was told to stop."""
        return any(one.interrupted for one in self._all())

    @property
    def stopped(self) -> list[str]:
        """Why lanes halted."""
        return list(dict.fromkeys(reason for one in self._all() for reason in one.stopped))

    def summary(self) -> dict[str, Any]:
        """The report in plain values; ``used`` counts symbol-days by rung."""
        reports = self._all()
        outcomes: Counter[str] = sum((one.outcomes for one in reports), Counter())
        counts = Counter(self.used["mode"].to_list())
        return {
            "mode": self.mode,
            "used": {name: counts.get(name, 0) for name in (*RUNGS, "none")},
            "calls": sum(one.calls for one in reports),
            "outcomes": dict(sorted(outcomes.items())),
            "rows": sum(one.rows for one in reports),
            "quarantined": sum(one.quarantined for one in reports),
            "bytes": sum(one.bytes for one in reports),
            "incidents": sum(one.incidents for one in reports),
            "interrupted": self.interrupted,
            "stopped": self.stopped,
            "remaining": self.remaining,
            "spans": spans_of(self.used),
        }

    def _all(self) -> list[FetchReport]:
        return list(itertools.chain.from_iterable(self.reports.values()))


def plan_tape(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    symbols: Sequence[str],
    start: date | None = None,
    end: date | None = None,
    *,
    mode: str = "auto",
    again: bool = False,
) -> TapePlan:
    """Plan a fetch of the tape; nothing is called and nothing is written.

    Parameters
    ----------
    symbols : sequence of str
        Tickers, case kept.
    start, end : date, optional
        Sessions, inclusive; the newest available one by default.
    mode : str
        ``tick``, ``minute``, ``daily``, or ``auto``: the first of them that the plan affords, for
        each symbol and session.
    again : bool
        Ask for complete and refused cells too.

    Raises
    ------
    UnknownNameError
        There is no such mode.
    UsageError, DateError
        As for :func:`plan_fetch`.
    """
    chosen = _mode(mode)
    rungs = tuple(RUNGS) if chosen == "auto" else (chosen,)
    return TapePlan(
        chosen,
        {
            rung: plan_fetch(lake, settings, clock, RUNGS[rung], symbols, start, end, again=again)
            for rung in rungs
        },
    )


async def fetch_tape(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    plan: TapePlan,
    *,
    again: bool = False,
    progress: Listener | None = None,
    transport: Transport | None = None,
) -> TapeReport:
    """Carry out a plan of the tape, rung after rung.

    Parameters
    ----------
    plan : TapePlan
    again : bool
        As when planning.
    progress : callable, optional
        Told after each call.
    transport : Transport, optional
        The wire; real HTTP by default.

    Raises
    ------
    ConfigError
        The vendor's key is not set.
    LakeError
        The lake cannot be written.
    """
    first = next(iter(plan.rungs.values()))
    symbols, sessions = first.symbols, [*first.closed, *first.sessions]
    reports: dict[str, list[FetchReport]] = {}

    async def carry_out(rung: str, plans: Sequence[FetchPlan]) -> FetchReport:
        report = await fetch(lake, settings, clock, plans, progress=progress, transport=transport)
        reports.setdefault(rung, []).append(report)
        return report

    for rung, planned in plan.rungs.items():
        if rung == "tick":
            await _ticks(lake, planned, carry_out)
        elif plan.mode != "auto":
            await carry_out(rung, [planned])
        elif plans := _for_the_refused(lake, settings, clock, plan, rung, again=again):
            await carry_out(rung, plans)
        if any(one.interrupted or one.stopped for one in reports.get(rung, ())):
            break
    return TapeReport(plan.mode, reports, tape_modes(lake, symbols, sessions, mode=plan.mode))


def tape_modes(
    lake: Lake, symbols: Sequence[str], sessions: Sequence[date], *, mode: TapeMode = "auto"
) -> pl.DataFrame:
    """Which rung the lake has, for each symbol and session.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``session`` (Date), ``mode`` (``tick``, ``minute``, ``daily`` or ``none``; with
        `mode` other than auto only that rung counts), ``state`` (String, of the first rung's cell),
        ``refused`` (Boolean: the vendor's plan has no prints of it).
    """
    rungs = list(RUNGS) if mode == "auto" else [mode]
    shape = (len(symbols), len(sessions))
    used = np.full(shape, "none", dtype="U6")
    first = np.zeros(shape, np.uint8)
    for rung in reversed(rungs) if sessions else ():
        states = lake.control.ledger.matrix(RUNGS[rung], symbols, sessions).states
        used[np.isin(states, list(COMPLETE))] = rung
        first = np.asarray(states)
    names = {int(state): state.name.lower() for state in CellState}
    return pl.DataFrame(
        {
            "symbol": np.repeat(list(symbols), len(sessions)).tolist(),
            "session": [*sessions] * len(symbols),
            "mode": used.ravel().tolist(),
            "state": [names[int(state)] for state in first.ravel()],
            "refused": np.isin(first, list(_CLOSED)).ravel().tolist(),
        },
        schema={
            "symbol": pl.String,
            "session": pl.Date,
            "mode": pl.String,
            "state": pl.String,
            "refused": pl.Boolean,
        },
    )


def spans_of(used: pl.DataFrame) -> list[dict[str, Any]]:
    """Runs of sessions of a symbol that have the same rung, in order: for people and JSON."""
    if used.is_empty():
        return []
    ordered = used.sort("symbol", "session")
    changed = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(name).shift(1)) for name in ("symbol", "mode", "state")
    )
    runs = ordered.with_columns(run=changed.cum_sum()).group_by("run", maintain_order=True)
    spans = runs.agg(
        pl.col("symbol", "mode", "state").first(),
        start=pl.col("session").first().cast(pl.String),
        end=pl.col("session").last().cast(pl.String),
        sessions=pl.len(),
    )
    return spans.drop("run").to_dicts()


def _mode(mode: str) -> TapeMode:
    for known in get_args(TapeMode):
        if mode == known:
            found: TapeMode = known
            return found
    raise UnknownNameError(
        f"the tape has no mode {mode!r}",
        next_step=did_you_mean(mode, get_args(TapeMode))
        or f"modes: {', '.join(get_args(TapeMode))}",
    )


async def _ticks(lake: Lake, plan: FetchPlan, carry_out: _CarryOut) -> None:
    """Ask for the newest symbol-day first: one refusal speaks for all that are older."""
    if not plan.tasks:
        await carry_out("tick", [plan])
        return
    newest = max(plan.tasks, key=lambda task: task.sessions[-1])
    symbol, day = newest.first.symbol, newest.sessions[-1]
    probe = dataclasses.replace(
        plan, tasks=(newest,), symbols=(symbol,), sessions=(day,), complete=0, pending=1, closed=()
    )
    report = await carry_out("tick", [probe])
    cell = lake.control.ledger.cell(RUNGS["tick"], symbol, day)
    if report.interrupted or report.stopped:
        return
    rest = [task for task in plan.tasks if task is not newest]
    if cell.state is CellState.NOT_ENTITLED:
        reason = f"not asked, as the plan refused {symbol} {day}: {cell.reason}"
        lake.control.ledger.record_many(
            [
                CellRecord(
                    RUNGS["tick"],
                    task.first.symbol,
                    task.sessions,
                    CellState.NOT_ENTITLED,
                    reason,
                )
                for task in rest
                if not _complete(lake, task.first.symbol, task.sessions)
            ]
        )
    elif rest:
        await carry_out(
            "tick",
            [dataclasses.replace(plan, tasks=tuple(rest), pending=max(plan.pending - 1, 0))],
        )


def _complete(lake: Lake, symbol: str, sessions: Sequence[date]) -> bool:
    """Whether prints of these are in the lake: a refusal today does not undo them."""
    return not lake.control.ledger.pending(RUNGS["tick"], [symbol], sessions).any()


def _for_the_refused(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    plan: TapePlan,
    rung: str,
    *,
    again: bool,
) -> list[FetchPlan]:
    """Plans of a lower rung for what the rungs above it were refused."""
    planned = plan.rungs[rung]
    sessions = planned.sessions
    if not sessions:
        return []
    symbols = next(iter(plan.rungs.values())).symbols
    refused = np.ones((len(symbols), len(sessions)), np.bool_)
    for above in itertools.takewhile(lambda name: name != rung, RUNGS):
        states = lake.control.ledger.matrix(RUNGS[above], symbols, sessions).states
        refused &= np.isin(states, list(_CLOSED))
    alike: dict[tuple[date, date], list[str]] = {}
    for symbol, row in zip(symbols, refused, strict=True):
        places = np.flatnonzero(row)
        if places.size:
            span = sessions[int(places[0])], sessions[int(places[-1])]
            alike.setdefault(span, []).append(symbol)
    return [
        plan_fetch(lake, settings, clock, RUNGS[rung], names, start, end, again=again)
        for (start, end), names in alike.items()
    ]
