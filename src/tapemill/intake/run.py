"""What the parts of one fetch share: the order to stop, the account of what happened."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import functools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from tapemill.clock import Clock, VirtualClock

__all__ = ["FetchReport", "Listener", "Progress", "StopOrder", "Stopping", "off_loop"]

P = ParamSpec("P")
T = TypeVar("T")
_WORKERS = 3


async def off_loop(clock: Clock, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work in a thread, so that calls of other lanes go on meanwhile.

    A virtual clock sees nothing but its event loop and would let hours pass while a thread works:
    there the work is done on the spot.
    """
    if isinstance(clock, VirtualClock):
        return function(*args, **kwargs)
    work = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_workers(), work)


@functools.cache
def _workers() -> ThreadPoolExecutor:
    """Threads of all fetches of this process: one lands while others read and keep pages.

    More gain nothing, and every thread's allocator holds on to the size of a few pages.
    """
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="tapemill-intake")


# A forked child has none of its parent's threads.
os.register_at_fork(after_in_child=_workers.cache_clear)


class Stopping(Exception):  # noqa: N818 - not an error: the order to stop, on its way up
    """The run was told to stop while it waited."""


class StopOrder:
    """Whether the run was told to stop, and waits that end when it is.

    Parameters
    ----------
    clock : Clock
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    @property
    def given(self) -> bool:
        """Whether the order was given."""
        return self._event.is_set()

    def give(self) -> None:
        """Tell the run to stop: calls under way are finished and landed, nothing new is begun."""
        self._event.set()

    async def sleep(self, seconds: float) -> None:
        """Wait on the injected clock.

        Raises
        ------
        Stopping
            The order came before the time was over.
        """
        if self.given:
            raise Stopping
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        order = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({timer, order}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            order.cancel()
        if self.given:
            raise Stopping

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the order, where this thread and system can."""
        loop = asyncio.get_running_loop()
        caught: list[signal.Signals] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            # Outside the main thread, and on Windows, the default behaviour stays.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.give)
                caught.append(number)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """Where a fetch stands.

    Parameters
    ----------
    done, total : int
        Tasks.
    calls : int
        On the wire so far.
    rate : float
        Calls a second since the start.
    quota_left : int or None
        Calls left of the vendor's day, where it is capped.
    eta_seconds : float or None
        Time to the end at this rate.
    rows : int
        Landed so far.
    """

    done: int
    total: int
    calls: int
    rate: float
    quota_left: int | None
    eta_seconds: float | None
    rows: int


@dataclasses.dataclass
class FetchReport:
    """What came of a fetch; cells are (dataset, symbol, session)."""

    calls: int = 0
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    rows: int = 0
    quarantined: int = 0
    bytes: int = 0
    completed: int = 0
    remaining: int = 0
    incidents: int = 0
    recovered_rows: int = 0
    interrupted: bool = False
    stopped: list[str] = dataclasses.field(default_factory=list)
    states: Counter[str] = dataclasses.field(default_factory=Counter)
    tasks: dict[str, int] = dataclasses.field(default_factory=dict)
    next_step: str = ""

    def summary(self) -> dict[str, Any]:
        """The report in plain values, for people and ``--json``."""
        values = dataclasses.asdict(self)
        return {**values, "outcomes": dict(self.outcomes), "states": dict(self.states)}


Listener = Callable[[Progress], None]
