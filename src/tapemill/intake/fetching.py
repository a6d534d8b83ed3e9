"""Fetching: a plan carried out by per-vendor lanes, several processes at once if need be.

Each vendor has its own workers, gate and pause, so a storm at one never slows another. Tasks are
claimed under a lease with a fencing token: processes share a plan without doing work twice, and
what a dead one held is taken over.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tapemill.clock import Calendar, Clock, calendar
from tapemill.errors import ConfigError, TapemillError
from tapemill.intake.governor import open_governor
from tapemill.intake.landing import Landed, Lander
from tapemill.intake.lane import Lane
from tapemill.intake.leases import Leases
from tapemill.intake.periods import provisional
from tapemill.intake.plan import FetchPlan
from tapemill.intake.recovery import at_work, recover
from tapemill.intake.run import FetchReport, Listener, Progress, StopOrder, off_loop
from tapemill.intake.window_evidence import question_empty_past
from tapemill.intake.wire import AiohttpTransport, Transport
from tapemill.lake import Lake
from tapemill.lake.control import CellRecord, CellState
from tapemill.settings import Settings

__all__ = ["fetch", "shared_state_folder"]

# Under a clock that stands still, runs of one process differ by nothing else.
_RUNS = itertools.count()


async def fetch(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    plan: FetchPlan | Sequence[FetchPlan],
    *,
    progress: Listener | None = None,
    transport: Transport | None = None,
) -> FetchReport:
    """Carry out one plan, or several side by side.

    Parameters
    ----------
    lake : Lake
    settings : Settings
    clock : Clock
    plan : FetchPlan or sequence of FetchPlan
    progress : callable, optional
        Told after each call.
    transport : Transport, optional
        The wire; real HTTP by default.

    Returns
    -------
    FetchReport

    Raises
    ------
    ConfigError
        The key of a vendor that would be called is not set.
    LakeError
        The lake cannot be written: disk full, read-only.
    """
    plans = [plan] if isinstance(plan, FetchPlan) else list(plan)
    _require_keys(plans, settings)
    run = _Run(lake, settings, clock, plans, progress, transport)
    try:
        return await run.carry_out()
    except BaseExceptionGroup as group:
        raise _first_error(group) from group


def _require_keys(plans: Sequence[FetchPlan], settings: Settings) -> None:
    called = {plan.vendor for plan in plans if plan.tasks}
    if "massive" in called and settings.massive.api_key is None:
        raise ConfigError(
            "there is no key for Massive",
            where="massive.api_key",
            next_step="export MASSIVE_API_KEY=… (or POLYGON_API_KEY); short_volume needs no key",
        )


def shared_state_folder(lake: Lake) -> Path:
    """Where processes share budgets: inside the lake, or for a bucket in the home folder."""
    if "://" not in lake.location:
        return Path(lake.location) / "budget"
    name = "".join(letter if letter.isalnum() else "-" for letter in lake.location)
    return Path.home() / ".local" / "state" / "tapemill" / name / "budget"


class _Run:
    """One call of :func:`fetch`."""

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        plans: Sequence[FetchPlan],
        progress: Listener | None,
        transport: Transport | None,
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._plans = plans
        self._progress = progress
        self._transport = transport or AiohttpTransport(settings)
        self._calendar: Calendar = calendar("XNYS")
        self._stop = StopOrder(clock)
        self._report = FetchReport()
        self._lanes: list[Lane] = []
        self._started = clock.monotonic()
        self._lander = Lander(lake, settings, clock, self._calendar, self._landed)

    async def carry_out(self) -> FetchReport:
        incidents = len(self._lake.control.incidents.history())
        recovered = await off_loop(self._clock, recover, self._lake, self._settings, self._calendar)
        self._report.recovered_rows = recovered.rows
        self._record_out_of_window()
        leases = Leases(self._lake, self._settings, self._clock)
        try:
            with at_work(self._lake), self._stop.on_signals():
                async with asyncio.TaskGroup() as group:
                    landing = group.create_task(self._lander.run())
                    keeping = group.create_task(leases.keep())
                    await self._run_lanes(leases)
                    await self._lander.close()
                    await landing
                    keeping.cancel()
        finally:
            leases.release_all()
            for lane in self._lanes:
                lane.governor.close()
            await self._transport.close()
        for plan in self._plans:
            question_empty_past(self._lake, plan)
        self._count(incidents)
        return self._report

    async def _run_lanes(self, leases: Leases) -> None:
        by_vendor: dict[str, list[FetchPlan]] = {}
        for plan in self._plans:
            if plan.tasks:
                by_vendor.setdefault(plan.vendor, []).append(plan)
        folder = shared_state_folder(self._lake)
        control = self._lake.control
        run = f"{control.owner}:{self._clock.now_ns()}:{next(_RUNS)}"
        control.tasks.generate(run, [task.key for plan in self._plans for task in plan.tasks])
        for vendor, plans in by_vendor.items():
            governor = open_governor(
                vendor, self._settings, self._clock, folder, sleep=self._stop.sleep
            )
            self._lanes.append(
                Lane(
                    self._lake,
                    self._settings,
                    self._clock,
                    governor,
                    self._transport,
                    self._lander,
                    leases,
                    self._stop,
                    [task for plan in plans for task in plan.tasks],
                    lambda task, end: control.tasks.end(run, task.key, end),
                    self._tell,
                )
            )
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(lane.run())

    def _record_out_of_window(self) -> None:
        """Cells older than the vendor's plan end here, without a call."""
        ledger = self._lake.control.ledger
        for plan in self._plans:
            if not plan.closed:
                continue
            states = ledger.matrix(plan.dataset, plan.symbols, plan.closed).states
            reason = "older than the vendor's plan reaches; not asked"
            ledger.record_many(
                [
                    CellRecord(
                        plan.dataset,
                        symbol,
                        [day for day, new in zip(plan.closed, row, strict=True) if new],
                        CellState.OUT_OF_WINDOW,
                        reason,
                    )
                    for symbol, row in zip(plan.symbols, states == CellState.PENDING, strict=True)
                ]
            )

    def _provisional(self, plan: FetchPlan) -> npt.NDArray[np.bool_]:
        """Open cells with all that the vendor has published so far: nothing is left to do."""
        states = self._lake.control.ledger.matrix(plan.dataset, plan.symbols, plan.sessions).states
        now_ns = self._clock.now_ns()
        return provisional(plan.dataset, self._calendar, states, plan.sessions, now_ns)

    def _landed(self, landed: Landed) -> None:
        self._report.rows += landed.rows
        self._report.quarantined += landed.quarantined

    def _tell(self) -> None:
        if self._progress is None:
            return
        done = sum(lane.ended for lane in self._lanes)
        total = sum(len(plan.tasks) for plan in self._plans)
        calls = sum(lane.caller.calls for lane in self._lanes)
        elapsed = max(self._clock.monotonic() - self._started, 1e-9)
        quotas = [left for lane in self._lanes if (left := lane.governor.quota_left()) is not None]
        self._progress(
            Progress(
                done=done,
                total=total,
                calls=calls,
                rate=calls / elapsed,
                quota_left=min(quotas) if quotas else None,
                eta_seconds=elapsed / done * (total - done) if done else None,
                rows=self._report.rows,
            )
        )

    def _count(self, incidents_before: int) -> None:
        report, control = self._report, self._lake.control
        for lane in self._lanes:
            report.calls += lane.caller.calls
            report.bytes += lane.caller.received_bytes
            report.outcomes += lane.outcomes
            report.stopped += [lane.halted] if lane.halted else []
            report.stopped += [
                f"{dataset} is blocked by an open incident; see `tapemill status`"
                for dataset in sorted(lane.blocked)
            ]
            for end, count in lane.ends.items():
                report.tasks[end] = report.tasks.get(end, 0) + count
        for plan in self._plans:
            if plan.sessions:
                counts = control.ledger.audit(plan.dataset, plan.symbols, plan.sessions)
                for cell_state, cells in counts.items():
                    report.states[cell_state.name.lower()] += cells
                open_cells = control.ledger.pending(plan.dataset, plan.symbols, plan.sessions)
                open_cells &= ~self._provisional(plan)
                left = max(int(open_cells.sum()) - plan.refused, 0)
                report.remaining += left
                report.completed += max(plan.pending - left, 0)
        report.incidents = len(control.incidents.history()) - incidents_before
        report.interrupted = self._stop.given
        if report.remaining:
            report.next_step = "run the same command again: it resumes with the open cells"


def _first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The deliberate error inside nested groups, or else whatever was first."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        else:
            leaves.append(error)
    deliberate = [error for error in leaves if isinstance(error, TapemillError)]
    return (deliberate or leaves)[0]
