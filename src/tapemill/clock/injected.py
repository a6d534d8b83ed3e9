"""The seam through which time enters: the only module that may read the machine's clock."""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "FixedClock", "SystemClock", "VirtualClock"]


class Clock(Protocol):
    """What the pipeline may know of time."""

    def now_ns(self) -> int:
        """Wall time, nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` of this clock pass."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        """Wall time in nanoseconds UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds of the machine's monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        await asyncio.sleep(max(0.0, seconds))


class FixedClock:
    """Wall time stands still at one moment; waiting is real.

    A replay or the demo runs "at" a market moment: dates, plans and receipt stamps come out the
    same on every run, while time-outs and back-off still work.
    """

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """The fixed moment, nanoseconds UTC."""
        return self._now_ns

    def monotonic(self) -> float:
        """Seconds of the machine's monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        await asyncio.sleep(max(0.0, seconds))


class VirtualClock:
    """Time that passes only when every task waits: thirty minutes of storm in a second.

    Tasks that call :meth:`sleep` queue by wake-up time. Once no task has run for a few turns of
    the event loop, the clock jumps to the earliest wake-up. Use it in one event loop, with
    in-process counterparts only: a real socket's delay is invisible to it.
    """

    IDLE_TURNS = 20

    def __init__(self, now_ns: int = 0) -> None:
        self._start_ns = now_ns
        self._elapsed = 0.0
        self._order = 0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._driver: asyncio.Task[None] | None = None

    def now_ns(self) -> int:
        """Virtual wall time, nanoseconds UTC."""
        return self._start_ns + round(self._elapsed * 1e9)

    def monotonic(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move time forward by hand (for synchronous tests)."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until virtual time has moved on by `seconds`."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._waiting, (self._elapsed + max(0.0, seconds), self._order, woken))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        await woken

    async def _drive(self) -> None:
        while self._waiting:
            for _ in range(self.IDLE_TURNS):
                await asyncio.sleep(0)
            wake_at, _, woken = heapq.heappop(self._waiting)
            self._elapsed = max(self._elapsed, wake_at)
            if not woken.done():
                woken.set_result(None)


SYSTEM_CLOCK = SystemClock()
