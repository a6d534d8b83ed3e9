"""One question to Databento through its own client: gate, attempts, and a record of each call.

The client blocks, so it runs in a thread while leases are renewed. What deserves another attempt is
said by the classes of our errors: a transient one up to the configured number, an answer that
cannot be believed once more, all else never.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import tenacity

from tapemill.clock import Clock
from tapemill.errors import (
    BadAnswerError,
    NotEntitledError,
    RateLimitedError,
    TapemillError,
    Transient,
    UsageError,
    VendorError,
)
from tapemill.intake.breaker import BreakerPolicy
from tapemill.intake.budget import Budget, VendorFile
from tapemill.intake.fetching import shared_state_folder
from tapemill.intake.governor import Governor
from tapemill.intake.run import off_loop
from tapemill.lake import Lake
from tapemill.settings import Settings
from tapemill.vendors import Outcome
from tapemill.vendors.databento.client import Download

__all__ = ["VENDOR", "Asker", "Halted", "Question", "outcome_of"]

T = TypeVar("T")

VENDOR = "databento"
_BAD_ANSWER_ATTEMPTS = 2
_STATUS = re.compile(r"Databento [^:]*: (?:Request \S+: )?([1-5]\d\d) ")
_TOO_MANY = 429


class Question(NamedTuple):
    """What a call is recorded as: ledger dataset, path with parameters, symbol and days."""

    dataset: str
    path: str
    symbol: str = "*"
    start: dt.date | None = None
    end: dt.date | None = None
    method: str = "GET"
    task_key: str = ""


class Halted(Exception):  # noqa: N818 - not the vendor's answer but the gate's: no call was made
    """The gate lets nothing more through in this run."""

    def __init__(self, error: VendorError) -> None:
        super().__init__(error.what)
        self.error = error


def outcome_of(error: TapemillError) -> Outcome | None:
    """What an error of the client means for a cell; None for a request that cannot be meant."""
    if isinstance(error, NotEntitledError):
        return Outcome.NOT_ENTITLED
    if isinstance(error, RateLimitedError):
        return Outcome.RATE_LIMITED
    if isinstance(error, Transient):
        return Outcome.TRANSIENT
    return None if isinstance(error, UsageError) else Outcome.BAD_ANSWER


class Asker:
    """Asks, attempt by attempt, each charged and written down.

    Parameters
    ----------
    lake, settings, clock
        Where and when.
    sleep : callable
        Waits that end early when the run is told to stop.
    """

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._governor = _governor(lake, settings, clock, sleep)
        self._random = random.Random(f"{VENDOR}:{clock.now_ns()}")
        self.calls = 0
        self.bytes = 0
        self.outcomes: Counter[str] = Counter()

    def close(self) -> None:
        """Close what processes share."""
        self._governor.close()

    async def ask(
        self,
        question: Question,
        function: Callable[[], T],
        *,
        before: Callable[[], None] | None = None,
    ) -> T:
        """What `function` returns, after as many attempts as it deserves.

        Parameters
        ----------
        function : callable
            Makes one call through the vendor's client; runs in a thread.
        before : callable, optional
            Called before each attempt; what it raises ends the attempts.

        Raises
        ------
        TapemillError
            Of the last attempt, as the client's functions raise it.
        Halted
            The gate has had enough of this vendor, or of this run.
        Stopping
            The run was told to stop while it waited.
        """
        attempts = 0

        async def attempt() -> T:
            nonlocal attempts
            attempts += 1
            if before is not None:
                before()
            return await self._attempt(question, function, attempts)

        retrying = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._settings.retry.attempts),
            retry=_deserves_another,
            wait=self._wait,
            reraise=True,
        )
        return await retrying(attempt)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Exponential back-off under the cap, with jitter inside it."""
        retry = self._settings.retry
        longest = min(
            retry.first_wait_seconds * 2.0 ** (state.attempt_number - 1),
            retry.longest_wait_seconds,
        )
        return self._random.uniform(longest / 2, longest)

    async def _attempt(self, question: Question, function: Callable[[], T], number: int) -> T:
        try:
            grant = await self._governor.admit()
        except VendorError as refusal:
            raise Halted(refusal) from refusal
        sent_ns, started = self._clock.now_ns(), self._clock.monotonic()
        error: TapemillError | None = None
        size, failed = 0, True
        try:
            self.calls += 1
            found = await off_loop(self._clock, function)
            size = found.size if isinstance(found, Download) else 0
            failed = False
            return found
        except TapemillError as raised:
            error = raised
            failed = isinstance(raised, Transient | BadAnswerError)
            raise
        finally:
            retry_after = error.retry_after if isinstance(error, RateLimitedError) else None
            self._governor.arrived(grant)
            self._governor.settle(grant, failed=failed, retry_after=retry_after)
            outcome = Outcome.DATA if error is None else outcome_of(error)
            told = "refused" if outcome is None else outcome.value
            self.bytes += size
            self.outcomes[told] += 1
            self._lake.control.calls.record_attempt(
                VENDOR,
                question.dataset,
                question.path,
                status=_status(error),
                outcome=told,
                reason="" if error is None else error.what,
                at_ns=sent_ns,
                method=question.method,
                task_key=question.task_key,
                attempt=number,
                symbol=question.symbol,
                start=question.start,
                end=question.end,
                size_bytes=size,
                took_us=round((self._clock.monotonic() - started) * 1e6),
                retry_after=retry_after,
            )


def _deserves_another(state: tenacity.RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, BadAnswerError):
        return state.attempt_number < _BAD_ANSWER_ATTEMPTS
    return isinstance(error, Transient)


def _status(error: TapemillError | None) -> int:
    """The HTTP status, which the client tells in words alone; 0 where none came."""
    if error is None:
        return 200
    if isinstance(error, RateLimitedError):
        return _TOO_MANY
    found = _STATUS.match(error.what)
    return int(found[1]) if found else 0


def _governor(
    lake: Lake, settings: Settings, clock: Clock, sleep: Callable[[float], Awaitable[None]]
) -> Governor:
    caps, breaker = settings.databento, settings.breaker
    file = VendorFile(shared_state_folder(lake) / f"{VENDOR}.sqlite")
    policy = BreakerPolicy(
        window=breaker.window,
        error_fraction=breaker.error_fraction,
        consecutive=breaker.consecutive,
        first_probe_seconds=breaker.first_probe_seconds,
        longest_probe_seconds=breaker.longest_probe_seconds,
        forget_seconds=max(120.0, 4 * caps.timeout_seconds),
    )
    return Governor(
        VENDOR,
        file,
        Budget(file, per_minute=caps.calls_per_minute),
        policy,
        clock,
        give_up_after=settings.retry.attempts,
        sleep=sleep,
    )
