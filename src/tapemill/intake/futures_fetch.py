"""Fetching order data from Databento: priced, downloaded, imported, settled, one file at a time.

The vendor charges for what it sends. So the price of all that is pending is asked for first, which
is free, and a fetch above ``databento.max_cost_usd`` is refused before a byte is bought. A download
gets its name once it is whole and keeps it until the ledger has its cell: what a killed run left is
imported by the next one and not bought again. A cell is closed by nothing but a whole file, with
records or without.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tapemill.clock import Clock
from tapemill.errors import BadAnswerError, ConfigError, LakeError, TapemillError, UsageError
from tapemill.intake.fetching import shared_state_folder
from tapemill.intake.futures_fetch_asking import Asker, Halted, outcome_of
from tapemill.intake.futures_fetch_plan import FuturesCell, FuturesPlan, is_complete
from tapemill.intake.futures_fetch_pricing import Purse, history_of, price, question_of
from tapemill.intake.futures_fetch_report import FuturesReport
from tapemill.intake.leases import Leases
from tapemill.intake.order_files import OrderFile
from tapemill.intake.orders import import_orders
from tapemill.intake.run import Listener, Progress, StopOrder, Stopping, off_loop
from tapemill.lake import Lake
from tapemill.lake.control import CellState
from tapemill.settings import Settings
from tapemill.vendors import Outcome
from tapemill.vendors.databento.client import download

__all__ = ["fetch_futures", "incoming_folder"]

_STATES = {
    Outcome.NOT_ENTITLED: CellState.NOT_ENTITLED,
    Outcome.RATE_LIMITED: CellState.RATE_LIMITED,
    Outcome.TRANSIENT: CellState.TRANSIENT,
    Outcome.BAD_ANSWER: CellState.BAD_ANSWER,
    None: CellState.PENDING,
}


def incoming_folder(lake: Lake) -> Path:
    """Where downloads wait for their import: inside the lake, or for a bucket at home."""
    return shared_state_folder(lake).parent / "incoming" / "databento"


async def fetch_futures(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    plan: FuturesPlan,
    *,
    progress: Listener | None = None,
) -> FuturesReport:
    """Carry a plan out.

    Parameters
    ----------
    progress : callable, optional
        Told after each cell.

    Returns
    -------
    FuturesReport
        What kept cells open is said there and in the ledger.

    Raises
    ------
    ConfigError
        The key is not set.
    UsageError
        The cost is above ``databento.max_cost_usd``, or the vendor refuses the request as such;
        nothing was bought.
    VendorError
        The vendor could not even be asked what it has and what it costs.
    LakeError
        The lake cannot be written.
    """
    return await _Run(lake, settings, clock, plan, progress).carry_out()


class _Run:
    """One call of :func:`fetch_futures`."""

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        plan: FuturesPlan,
        progress: Listener | None,
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._plan = plan
        self._progress = progress
        self._stop = StopOrder(clock)
        self._asker = Asker(lake, settings, clock, self._stop.sleep)
        self._leases = Leases(lake, settings, clock)
        self._incoming = incoming_folder(lake)
        self._report = FuturesReport()
        self._purse = Purse(settings.databento.max_cost_usd)
        self._started = clock.monotonic()

    async def carry_out(self) -> FuturesReport:
        keeping = asyncio.ensure_future(self._leases.keep())
        try:
            with self._stop.on_signals():
                await self._work()
        except Stopping:
            self._report.interrupted = True
        except Halted as halted:
            self._report.halted = halted.error
        finally:
            keeping.cancel()
            self._leases.release_all()
            self._asker.close()
        return self._counted()

    async def _work(self) -> None:
        cells = self._plan.pending
        if not cells:
            return
        await off_loop(self._clock, self._prepare_folder, cells)
        # What a run before this one bought is neither asked for nor priced again.
        bought = {cell for cell in cells if (self._incoming / cell.file_name).exists()}
        if len(bought) < len(cells):
            outside = await self._outside_of_history([c for c in cells if c not in bought])
            databento = self._settings.databento
            await price(
                self._asker,
                databento,
                self._plan.runs,
                bought | outside,
                self._purse,
                self._keep_reason,
            )
            self._purse.require_enough()
            cells = [cell for cell in cells if cell not in outside]
        for number, cell in enumerate(cells, 1):
            if self._stop.given or self._report.halted is not None:
                return
            await self._settle(cell)
            self._tell(number, len(cells))

    def _prepare_folder(self, cells: Sequence[FuturesCell]) -> None:
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            for cell in cells if self._plan.again else ():
                (self._incoming / cell.file_name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(error, self._incoming) from error

    async def _outside_of_history(self, cells: Sequence[FuturesCell]) -> set[FuturesCell]:
        """Cells that the vendor has not, by what it says of its dataset."""
        databento = self._settings.databento
        if databento.api_key is None:
            raise ConfigError(
                "the key of Databento is not set",
                where="databento.api_key",
                next_step="export DATABENTO_API_KEY=…, or rehearse with `tapemill sandbox`",
            )
        history = await history_of(
            self._asker, databento, self._plan.dataset, cells, self._keep_reason
        )
        early = [cell for cell in cells if history.before(cell)]
        late = [cell for cell in cells if history.after(cell)]
        for cell in early:
            first = datetime.fromtimestamp(history.spans[cell.schema][0] // 10**9, UTC).date()
            reason = f"before the vendor's history, which begins {first}"
            self._record(cell, CellState.OUT_OF_WINDOW, reason)
        self._report.out_of_window += len(early)
        self._report.not_yet += len(late)
        return {*early, *late}

    # -- one cell ----------------------------------------------------------------------------

    async def _settle(self, cell: FuturesCell) -> None:
        task_key = f"futures:{cell.file_name}"
        if self._leases.take(task_key) is None:
            self._report.notes.append(f"{cell.file_name}: another process is at it")
            return
        try:
            if not self._plan.again and is_complete(self._lake, cell):
                self._report.completed += 1  # by another process, since the plan was made
                return
            path = self._incoming / cell.file_name
            warned: tuple[str, ...] = ()
            if path.exists():
                self._report.reused += 1
            else:
                warned = await self._download(cell, path, task_key)
            await self._import(cell, path, warned)
        except Halted as halted:
            self._keep_reason([cell], halted.error)
            raise
        except LakeError:
            raise
        except TapemillError as error:
            self._keep_reason([cell], error)
            if outcome_of(error) is Outcome.NOT_ENTITLED:
                self._report.halted = error  # it holds for the account, not for the day
        finally:
            self._leases.release(task_key)

    async def _download(self, cell: FuturesCell, path: Path, task_key: str) -> tuple[str, ...]:
        fetch = functools.partial(download, self._settings.databento, cell.request, path)
        question = question_of(cell, "timeseries.get_range", task_key=task_key)
        try:
            done = await self._asker.ask(question, fetch, before=lambda: self._purse.pay(cell))
        except OSError as error:
            raise _unwritable(error, path) from error
        self._report.files += 1
        return done.warnings

    async def _import(self, cell: FuturesCell, path: Path, warned: tuple[str, ...]) -> None:
        done = await off_loop(
            self._clock, import_orders, self._lake, self._settings, self._clock, [path]
        )
        file, report = done.files[0], self._report
        report.rows.update(file.rows)
        report.quarantined += file.quarantined
        report.notes += [f"{cell.file_name}: {note}" for note in (*warned, *file.notes)]
        if file.failure or file.fault:
            what = (file.failure or file.fault).splitlines()[0]
            raise BadAnswerError(
                f"the file of Databento does not import: {what}; it stays in {path.parent.name}",
                where=str(path),
                next_step="once it is removed, the same command asks for it anew",
            )
        report.records += file.records
        self._close(cell, file, warned)
        path.unlink(missing_ok=True)

    def _close(self, cell: FuturesCell, file: OrderFile, warned: tuple[str, ...]) -> None:
        state = CellState.DATA if file.records else CellState.EMPTY
        self._lake.control.ledger.record(
            cell.ledger_name,
            cell.symbol,
            [cell.day],
            state,
            reason=_one_line("; ".join(warned)),
            rows=file.records,
            raw_sha256=file.sha256 or None,
        )
        self._report.completed += 1
        self._report.states[state.name.lower()] += 1

    # -- the account -------------------------------------------------------------------------

    def _keep_reason(self, cells: Sequence[FuturesCell], error: TapemillError) -> None:
        """Write down why cells stay open."""
        refused = isinstance(error, UsageError)
        for cell in cells:
            self._record(cell, _STATES[outcome_of(error)], error.what)
            told = self._report.refused if refused else self._report.failed
            told.append(f"{cell.file_name}: {_one_line(error.what)}")

    def _record(self, cell: FuturesCell, state: CellState, reason: str) -> None:
        self._lake.control.ledger.record(
            cell.ledger_name, cell.symbol, [cell.day], state, reason=_one_line(reason)
        )
        self._report.states[state.name.lower()] += 1

    def _counted(self) -> FuturesReport:
        report = self._report
        report.interrupted |= self._stop.given
        report.calls, report.bytes = self._asker.calls, self._asker.bytes
        report.outcomes = self._asker.outcomes
        report.cost_usd, report.paid_usd = self._purse.cost_usd, self._purse.paid_usd
        ended = report.completed + report.out_of_window + report.not_yet
        report.remaining = len(self._plan.pending) - ended
        report.not_yet += len(self._plan.not_yet)
        return report

    def _tell(self, done: int, total: int) -> None:
        if self._progress is None:
            return
        elapsed = max(self._clock.monotonic() - self._started, 1e-9)
        self._progress(
            Progress(
                done=done,
                total=total,
                calls=self._asker.calls,
                rate=self._asker.calls / elapsed,
                quota_left=None,
                eta_seconds=elapsed / done * (total - done),
                rows=sum(self._report.rows.values()),
            )
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _unwritable(error: OSError, path: Path) -> LakeError:
    return LakeError(
        f"a download cannot be kept: {error.strerror or error}",
        where=str(path),
        next_step="make room, or make the folder writable; then run the same command again",
    )
