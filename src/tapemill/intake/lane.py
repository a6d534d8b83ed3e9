"""One vendor's share of a fetch: its queue, its workers, its gate."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from tapemill.clock import Clock, calendar
from tapemill.contracts import Drift
from tapemill.errors import ConflictError, ContractError, RateLimitedError, VendorFaultError
from tapemill.intake.attempt import Asked, Caller
from tapemill.intake.coverage import is_listing
from tapemill.intake.evidence import Receipt, keep
from tapemill.intake.governor import Governor
from tapemill.intake.landing import Lander
from tapemill.intake.leases import Leases
from tapemill.intake.pages import PageChain, UnitMemory
from tapemill.intake.recovery import recover
from tapemill.intake.run import StopOrder, Stopping, off_loop
from tapemill.intake.tape_lane import TapeTasks
from tapemill.intake.tape_streams import DayFailed
from tapemill.intake.tasks import Task
from tapemill.intake.wire import Transport
from tapemill.lake import Lake
from tapemill.lake.control import CellRecord, CellState, TaskState
from tapemill.settings import Settings
from tapemill.vendors import Answer, Outcome, Request
from tapemill.vendors.massive import TICKS

__all__ = ["Lane"]

_POLL_SECONDS = 1.0
_PATIENT_POLLS = 30
_UNAUTHORISED = 401
_SAME_LISTING_NS = 3_600_000_000_000
_RECEIVED = ("stored", "landing")
_STATES = {
    Outcome.NOT_ENTITLED: CellState.NOT_ENTITLED,
    Outcome.RATE_LIMITED: CellState.RATE_LIMITED,
    Outcome.TRANSIENT: CellState.TRANSIENT,
    Outcome.BAD_ANSWER: CellState.BAD_ANSWER,
}


class Lane:
    """Workers of one vendor, working down a queue.

    Parameters
    ----------
    lake, settings, clock
        Where and when.
    governor : Governor
    transport : Transport
    lander : Lander
    leases : Leases
    stop : StopOrder
    tasks : list of Task
    note_end : callable
        Told how each task ended.
    tell : callable
        Called after each task and each page.

    Notes
    -----
    Every task ends once, as one of ``done``, ``failed`` (its cells carry the reason) or
    ``deferred`` (not asked: the run was stopped, or the lane halted).
    """

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        governor: Governor,
        transport: Transport,
        lander: Lander,
        leases: Leases,
        stop: StopOrder,
        tasks: list[Task],
        note_end: Callable[[Task, TaskState], None],
        tell: Callable[[], None],
    ) -> None:
        self.governor = governor
        self.caller = Caller(lake, settings, clock, governor, transport, stop.sleep)
        self.outcomes: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.halted = ""
        self.blocked: set[str] = set()
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._lander = lander
        self._leases = leases
        self._stop = stop
        self._tasks = tasks
        self._note_end = note_end
        self._tell = tell
        self._units = UnitMemory(lake, settings)
        self._tape = TapeTasks(
            lake, settings, clock, self.caller, stop, self._units, self._note_answer, tell
        )
        self._held: list[Task] = []
        self._failed: list[Task] = []
        self._waited: Counter[str] = Counter()

    @property
    def ended(self) -> int:
        """Tasks that have ended."""
        return self.ends.total()

    async def run(self) -> None:
        """Work until every task has ended."""
        await self._work_through(self._tasks)
        # A storm that has passed must not leave holes: one more round for what it hit.
        again, self._failed = self._failed, []
        await self._work_through(again)
        self._end_failed()
        while self._held:
            held, self._held = self._held, []
            try:
                await self._stop.sleep(_POLL_SECONDS)
            except Stopping:
                for task in held:
                    self._end(task, TaskState.DEFERRED)
                return
            await self._work_through(held)
            self._end_failed()

    async def _work_through(self, tasks: list[Task]) -> None:
        queue = deque(tasks)
        caps = self._settings.finra if self.governor.vendor == "finra" else self._settings.massive
        async with asyncio.TaskGroup() as group:
            for _ in range(min(caps.max_in_flight, len(queue))):
                group.create_task(self._worker(queue, group))

    async def _worker(self, queue: deque[Task], group: asyncio.TaskGroup) -> None:
        while queue:
            task = queue.popleft()
            if self._stop.given or self.halted:
                self._end(task, TaskState.DEFERRED)
                continue
            if self._lake.control.incidents.lane_blocked(task.first.dataset):
                self.blocked.add(task.first.dataset)
                self._end(task, TaskState.DEFERRED)
                continue
            landing: list[asyncio.Future[None]] = []
            await self._claimed(task, landing)
            if landing:
                # A micro-batch may take a second to fill: the next call need not wait for it.
                group.create_task(self._close(task, landing))
            else:
                self._leases.release(task.key)
            self._tell()

    async def _close(self, task: Task, landing: list[asyncio.Future[None]]) -> None:
        """Give a task back once its pages have landed."""
        await asyncio.wait(landing)
        self._leases.release(task.key)

    async def _claimed(self, task: Task, landing: list[asyncio.Future[None]]) -> None:
        token = self._leases.take(task.key)
        if token is None:
            self._held.append(task)
            return
        try:
            if await self._lands_elsewhere(task):
                self._held.append(task)
            elif self._still_open(task):
                follow = self._follow_day if task.first.dataset == TICKS else self._follow
                await follow(task, token, landing)
            else:
                self._end(task, TaskState.DONE)
        except Stopping:
            self._end(task, TaskState.DEFERRED)
        except RateLimitedError as error:
            self.halted = str(error)
            self._end(task, TaskState.DEFERRED)
        except VendorFaultError as error:
            self.halted = str(error)
            self._note_unasked(task, error.what)
            self._end(task, TaskState.DEFERRED)
        except ConflictError:
            # The claim was taken over while this process stood still; its new owner does the work.
            self._held.append(task)

    async def _lands_elsewhere(self, task: Task) -> bool:
        """Whether another process is landing what a killed holder of this task had received.

        What nobody lands yet is landed here: an answer that was kept is never asked for again.
        """
        if not self._leftovers(task):
            return False
        await off_loop(self._clock, recover, self._lake, self._settings, calendar("XNYS"))
        self._waited[task.key] += self._leftovers(task)
        return self._leftovers(task) and self._waited[task.key] <= _PATIENT_POLLS

    def _leftovers(self, task: Task) -> bool:
        control = self._lake.control
        return any(
            answer.stage in _RECEIVED and answer.owner != control.owner
            for answer in control.answers.of_task(task.key)
        )

    def _still_open(self, task: Task) -> bool:
        ledger = self._lake.control.ledger
        symbol = [task.first.symbol]
        return task.again or bool(ledger.pending(task.first.dataset, symbol, task.sessions).any())

    async def _follow(self, task: Task, token: int, landing: list[asyncio.Future[None]]) -> None:
        """Ask for a task's pages, one after the other, and hand them to the lander."""
        chain = PageChain(self._units)
        following: Request | None = self._first_page(task)
        while following is not None:
            request = following
            asked = await self.caller.ask(request, task.key, chain.judge)
            self._note_answer(request, asked)
            receipt = await self._keep(task, token, request, asked)
            if not asked.answer.outcome.completes:
                self._give_up(task, request, asked)
                return
            chain.accept(request, asked.answer)
            following = asked.answer.next
            del asked  # the body is kept: it need not stay in memory while the rows wait to land
            if receipt is not None:
                landing.append(await self._lander.put(receipt))
                del receipt
            if following is not None:
                self._tell()
        self._end(task, TaskState.DONE)

    async def _follow_day(
        self, task: Task, token: int, landing: list[asyncio.Future[None]]
    ) -> None:
        """Have a day of prints read; of a refusal the words are kept, of prints never."""
        try:
            receipt = await self._tape.read(task, token)
        except DayFailed as failed:
            if failed.asked.answer.outcome is Outcome.NOT_ENTITLED:
                await self._keep(task, token, failed.request, failed.asked)
            self._give_up(task, failed.request, failed.asked)
            return
        if receipt is not None:
            landing.append(await self._lander.put(receipt))
        self._end(task, TaskState.DONE)

    def _note_answer(self, request: Request, asked: Asked) -> None:
        self.outcomes[asked.answer.outcome.value] += 1
        self._note_drift(request, asked.answer)

    def _first_page(self, task: Task) -> Request:
        """The task's first page, or the page where an interrupted listing goes on."""
        if is_listing(task.first):
            point = self._lake.control.answers.resume_point(task.key)
            if point is not None and self._still_the_same(task):
                return Request.from_json(point[1])
        return task.first

    def _still_the_same(self, task: Task) -> bool:
        """Whether an interrupted listing can go on at its page.

        FINRA's pages are cut by row number: what was published meanwhile shifts every later page.
        """
        if task.first.base != "finra_api":
            return True
        last_ns = self._lake.control.answers.of_task(task.key)[-1].ts_recv_ns
        return self._clock.now_ns() - last_ns < _SAME_LISTING_NS

    async def _keep(self, task: Task, token: int, request: Request, asked: Asked) -> Receipt | None:
        if not asked.wire.body and not asked.answer.outcome.completes:
            return None
        if asked.answer.outcome.retries:
            return None
        try:
            return await off_loop(
                self._clock,
                keep,
                self._lake,
                self._settings,
                request,
                asked.answer,
                asked.wire,
                asked.received_ns,
                task_key=task.key,
                token=token,
                repeat=not task.again,
            )
        except ContractError as error:
            self._incident("contract_broken", request, str(error), blocks=True)
            raise

    def _give_up(self, task: Task, request: Request, asked: Asked) -> None:
        """Write the reason into the cells that stay open."""
        answer = asked.answer
        self._lake.control.ledger.record(
            request.dataset,
            request.symbol,
            task.sessions,
            _STATES[answer.outcome],
            reason=answer.reason,
        )
        if answer.outcome is Outcome.BAD_ANSWER:
            self._incident("bad_answer", request, answer.reason)
        if answer.outcome is Outcome.NOT_ENTITLED and asked.wire.status == _UNAUTHORISED:
            self.halted = (
                f"{request.vendor} does not accept the key: {answer.reason}; "
                f"check {'MASSIVE_API_KEY' if request.vendor == 'massive' else 'FINRA_CLIENT_ID'}"
            )
        if answer.outcome.retries:
            self._failed.append(task)
        else:
            self._end(task, TaskState.FAILED)

    def _note_unasked(self, task: Task, reason: str) -> None:
        """Give cells that have no reason yet the one for which they were not asked."""
        ledger, request = self._lake.control.ledger, task.first
        states = ledger.matrix(request.dataset, [request.symbol], task.sessions).states[0]
        silent = [
            day
            for day, state in zip(task.sessions, states, strict=True)
            if state == CellState.PENDING
        ]
        ledger.record_many(
            [CellRecord(request.dataset, request.symbol, silent, CellState.TRANSIENT, reason)]
        )

    def _note_drift(self, request: Request, answer: Answer) -> None:
        for change in answer.drift:
            self._drift_incident(request, change)

    def _drift_incident(self, request: Request, change: Drift) -> None:
        self._lake.control.incidents.open(
            f"drift_{change.kind}",
            request.dataset,
            change.field,
            change.detail,
            severity="error" if change.blocks else "warning",
            blocks_lane=change.blocks,
        )

    def _incident(self, kind: str, request: Request, detail: str, *, blocks: bool = False) -> None:
        span = f" {request.start}..{request.end}" if request.start else ""
        subject = f"{request.symbol}{span}"
        self._lake.control.incidents.open(
            kind, request.dataset, subject, detail, severity="error", blocks_lane=blocks
        )

    def _end_failed(self) -> None:
        failed, self._failed = self._failed, []
        for task in failed:
            self._end(task, TaskState.FAILED)

    def _end(self, task: Task, state: TaskState) -> None:
        self.ends[state.value] += 1
        self._note_end(task, state)
