"""The gate in front of one vendor: every attempt passes it, whatever process makes it.

It joins the shared budget, the shared breaker and the vendor's own "come back later". All three
live in one small file beside the lake, so that several processes act as one caller.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from tapemill.clock import Clock
from tapemill.errors import RateLimitedError, VendorFaultError
from tapemill.intake.breaker import BreakerPolicy, BreakerState
from tapemill.intake.budget import Budget, VendorFile
from tapemill.logs import get_logger
from tapemill.settings import Settings

__all__ = ["Governor", "Grant", "open_governor"]

_JITTER_SECONDS = 0.15
_LONG_PAUSE_SECONDS = 10.0
"""Shorter waits are everyday life on a plan of few calls and are not told."""
_LOG = get_logger(__name__)
_SERIAL = itertools.count()


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """Leave to make one call.

    Parameters
    ----------
    name : str
        Unique among all processes.
    granted : float
        Monotonic seconds.
    probe : bool
        Whether this call is to find out if the vendor answers again.
    """

    name: str
    granted: float
    probe: bool


class Governor:
    """Budget, breaker and pause of one vendor.

    Parameters
    ----------
    vendor : str
    file : VendorFile
    budget : Budget
    policy : BreakerPolicy
    clock : Clock
    calls_per_run : int
        Calls that this governor may grant in its life; 0 for no limit.
    give_up_after : int
        Failed probes, since this governor was made, after which it lets nothing more through.
    sleep : callable, optional
        How to wait; a run passes one that ends early when the run is told to stop.
    """

    def __init__(
        self,
        vendor: str,
        file: VendorFile,
        budget: Budget,
        policy: BreakerPolicy,
        clock: Clock,
        *,
        calls_per_run: int = 0,
        give_up_after: int = 6,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self.vendor = vendor
        self._calls_per_run = calls_per_run
        self._give_up_after = give_up_after
        self._file = file
        self._budget = budget
        self._policy = policy
        self._clock = clock
        self._sleep = sleep or clock.sleep
        self._owner = f"{os.getpid()}-{next(_SERIAL)}-{clock.now_ns():x}"
        self._calls = 0
        self._random = random.Random(self._owner)
        with self._file.lock.acquire(poll_interval=0.002):
            connection = self._file.connection
            connection.execute(
                "CREATE TABLE IF NOT EXISTS breaker (id INTEGER PRIMARY KEY, state BLOB)"
            ).close()
            connection.commit()
            self._probes_before = self._load().failed_probes

    def quota_left(self) -> int | None:
        """Calls left of the day, or None if they are not capped."""
        return self._budget.left(self._clock.now_ns())

    async def admit(self) -> Grant:
        """Wait until a call may be made, and charge it.

        Returns
        -------
        Grant
            To be passed to :meth:`arrived` and, always, to :meth:`settle`.

        Raises
        ------
        RateLimitedError
            The run has used up the calls it was given.
        VendorFaultError
            The vendor has not recovered for many probes.
        """
        while True:
            if 0 < self._calls_per_run <= self._calls:
                raise RateLimitedError(
                    f"the {self._calls_per_run} calls of this run are used up",
                    where=f"{self.vendor}.calls_per_session",
                    next_step="run the same command again; it resumes",
                )
            grant, wait = self.try_admit()
            if grant is not None:
                return grant
            await self._sleep(wait + self._random.uniform(0.0, min(_JITTER_SECONDS, wait)))

    def try_admit(self) -> tuple[Grant | None, float]:
        """Charge a call if one may be made now; else tell how long to wait."""
        with self._file.lock.acquire(poll_interval=0.002):
            now = self._clock.monotonic()
            state = self._load()
            self._probes_before = min(self._probes_before, state.failed_probes)
            if state.failed_probes - self._probes_before >= self._give_up_after:
                raise VendorFaultError(
                    f"{self.vendor} has not recovered for {self._give_up_after} probes",
                    where=f"calls to {self.vendor}",
                    next_step="run the same command again later; nothing is lost",
                )
            wait = state.wait(now, self._policy)
            if wait > 0:
                return None, wait
            name = f"{self._owner}-{self._calls + 1}"
            wait = self._budget.take(name, now, self._clock.now_ns())
            if wait > 0:
                return None, wait
            self._calls += 1
            probe = state.enter(name, now)
            self._save(state)
            return Grant(name, now, probe), 0.0

    def arrived(self, grant: Grant) -> None:
        """The vendor's answer has begun, or can no longer begin."""
        self._budget.arrived(grant.name, grant.granted, self._clock.monotonic())

    def settle(self, grant: Grant, *, failed: bool, retry_after: float | None = None) -> None:
        """Tell how the call ended.

        Parameters
        ----------
        grant : Grant
        failed : bool
            Whether it counts as an error of the vendor.
        retry_after : float, optional
            Seconds the vendor asked everybody to wait.
        """
        with self._file.lock.acquire(poll_interval=0.002):
            state, now = self._load(), self._clock.monotonic()
            before = state.wait(now, self._policy)
            state.settle(
                grant.name,
                now,
                self._policy,
                failed=failed,
                retry_after=max(retry_after or 0.0, 0.0),
            )
            self._save(state)
            pause = state.wait(now, self._policy)
        if before < _LONG_PAUSE_SECONDS <= pause:
            _LOG.warning(
                "vendor paused; the run waits and goes on by itself",
                vendor=self.vendor,
                seconds=round(pause),
                failed_probes=state.failed_probes,
            )

    def close(self) -> None:
        """Close the shared file."""
        self._file.close()

    def _load(self) -> BreakerState:
        row = self._file.connection.execute("SELECT state FROM breaker WHERE id = 1").fetchone()
        return msgspec.json.decode(row[0], type=BreakerState) if row else BreakerState()

    def _save(self, state: BreakerState) -> None:
        self._file.connection.execute(
            "INSERT OR REPLACE INTO breaker (id, state) VALUES (1, ?)",
            (msgspec.json.encode(state),),
        ).close()
        self._file.connection.commit()


def open_governor(
    vendor: str,
    settings: Settings,
    clock: Clock,
    folder: Path,
    *,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> Governor:
    """The gate of `vendor`, with the caps of `settings` and its state in `folder`."""
    caps = settings.finra if vendor == "finra" else settings.massive
    file = VendorFile(folder / f"{vendor}.sqlite")
    budget = Budget(
        file,
        per_minute=caps.calls_per_minute,
        per_day=caps.calls_per_day,
        margin_seconds=caps.rate_margin_seconds,
    )
    breaker = settings.breaker
    policy = BreakerPolicy(
        window=breaker.window,
        error_fraction=breaker.error_fraction,
        consecutive=breaker.consecutive,
        first_probe_seconds=breaker.first_probe_seconds,
        longest_probe_seconds=breaker.longest_probe_seconds,
        forget_seconds=max(120.0, 4 * caps.timeout_seconds),
    )
    return Governor(
        vendor,
        file,
        budget,
        policy,
        clock,
        calls_per_run=caps.calls_per_session,
        give_up_after=settings.retry.attempts,
        sleep=sleep,
    )
