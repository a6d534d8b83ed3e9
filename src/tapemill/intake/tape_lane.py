"""A symbol's session of prints as a task of a lane: asked, summed, kept and landed as one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tapemill.clock import Clock, calendar
from tapemill.intake.attempt import Asked, Caller
from tapemill.intake.evidence import Receipt
from tapemill.intake.pages import UnitMemory
from tapemill.intake.run import StopOrder, Stopping, off_loop
from tapemill.intake.tape_day import DayReading, read_day
from tapemill.intake.tape_evidence import keep_day
from tapemill.intake.tape_streams import DayFailed, Judge
from tapemill.intake.tasks import Task
from tapemill.lake import Lake
from tapemill.settings import Settings
from tapemill.tape import Rules
from tapemill.vendors import Outcome, Request
from tapemill.vendors.massive import stream_of

__all__ = ["READING", "TapeTasks"]

READING = DayReading()
_FORBIDDEN = 403


class TapeTasks:
    """Carries out tasks of prints for a lane.

    Parameters
    ----------
    lake, settings, clock
        Where and when.
    caller : Caller
    stop : StopOrder
    units : UnitMemory
    note : callable
        Told of every answer.
    tell : callable
        Called after each page.
    """

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        caller: Caller,
        stop: StopOrder,
        units: UnitMemory,
        note: Callable[[Request, Asked], None],
        tell: Callable[[], None],
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._caller = caller
        self._stop = stop
        self._units = units
        self._note = note
        self._tell = tell
        self._rules = Rules()
        self._no_quotes: Asked | None = None

    async def read(self, task: Task, token: int) -> Receipt | None:
        """Read the task's day and keep its document.

        Returns
        -------
        Receipt or None
            To be landed; None if the same bytes have landed before.

        Raises
        ------
        DayFailed
            The day stays open; nothing of it is kept.
        Stopping
            The run was told to stop in the middle of the day: the next run begins it anew.
        ConflictError
            The claim was taken over by another process.
        """
        known = calendar("XNYS")
        request = task.first
        day = await read_day(
            request.symbol,
            known.session(task.sessions[0]),
            self._ask(task.key),
            self._units,
            self._clock,
            rules=self._rules,
            reading=READING,
        )
        return await off_loop(
            self._clock,
            keep_day,
            self._lake,
            self._settings,
            known,
            day,
            self._rules,
            task_key=task.key,
            token=token,
            repeat=not task.again,
        )

    def _ask(self, task_key: str) -> Callable[[Request, Judge], Awaitable[Asked]]:
        async def ask(request: Request, judge: Judge) -> Asked:
            if self._stop.given:
                raise Stopping
            wants_quotes = stream_of(request) == "quotes"
            if wants_quotes and self._no_quotes is not None:
                raise DayFailed(request, self._no_quotes)
            asked = await self._caller.ask(request, task_key, judge)
            self._note(request, asked)
            refused = asked.answer.outcome is Outcome.NOT_ENTITLED
            if wants_quotes and refused and asked.wire.status == _FORBIDDEN:
                self._no_quotes = asked
            self._tell()
            return asked

        return ask
