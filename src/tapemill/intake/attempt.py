"""One logical request: attempts through the governor until an outcome stands.

Which outcomes are worth another attempt is decided here and nowhere else: a throttle and a
transient failure up to the configured number, an answer that cannot be believed once, everything
else never.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable

import tenacity

from tapemill.clock import Clock
from tapemill.errors import Transient, VendorError
from tapemill.intake.governor import Governor, Grant
from tapemill.intake.run import off_loop
from tapemill.intake.tokens import TokenKeeper
from tapemill.intake.wire import Transport, WireCall
from tapemill.lake import Lake
from tapemill.settings import Settings
from tapemill.vendors import Answer, Outcome, Request, WireAnswer, headers, interpret

__all__ = ["Asked", "Caller"]

_VENDOR_FAILED = frozenset({Outcome.RATE_LIMITED, Outcome.TRANSIENT, Outcome.BAD_ANSWER})
_BAD_ANSWER_ATTEMPTS = 2
_LONG_BODY = 64 * 1024
_READERS = 2
_UNAUTHORISED = 401


@dataclasses.dataclass(frozen=True)
class Asked:
    """What came of a request: the judgement, the bytes, and when they came (ns UTC)."""

    answer: Answer
    wire: WireAnswer
    received_ns: int


Judge = Callable[[Request, Answer], Answer]


class Caller:
    """Asks one vendor, attempt by attempt, each charged and written down.

    Parameters
    ----------
    lake : Lake
    settings : Settings
    clock : Clock
    governor : Governor
    transport : Transport
    sleep : callable
        Waits that end early when the run is told to stop.
    """

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        governor: Governor,
        transport: Transport,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._governor = governor
        self._transport = transport
        self._sleep = sleep
        self._random = random.Random(f"{governor.vendor}:{clock.now_ns()}")
        self._tokens = TokenKeeper(settings, clock, governor, transport)
        self._reading = asyncio.Semaphore(_READERS)
        self._calls = 0
        self.received_bytes = 0

    @property
    def calls(self) -> int:
        """Calls put on the wire, retries and token requests included."""
        return self._calls + self._tokens.calls

    async def ask(self, request: Request, task_key: str, judge: Judge) -> Asked:
        """The outcome of `request` after as many attempts as it deserves.

        Parameters
        ----------
        request : Request
        task_key : str
        judge : callable
            Has the last word on an answer: it knows the pages before this one.
        """
        attempts, renewed = 0, False

        async def attempt() -> Asked:
            nonlocal attempts, renewed
            attempts += 1
            asked = await self._attempt(request, task_key, attempts, judge)
            if asked.wire.status == _UNAUTHORISED and not renewed and self._tokens.serves(request):
                # A token can be withdrawn before its time: once, and only once, with a new one.
                renewed = True
                attempts += 1
                asked = await self._attempt(request, task_key, attempts, judge)
            return asked

        retrying = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._settings.retry.attempts),
            retry=_deserves_another,
            wait=self._wait,
            retry_error_callback=_last_result,
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

    async def _attempt(self, request: Request, task_key: str, number: int, judge: Judge) -> Asked:
        try:
            token = await self._tokens.token(request)
        except VendorError as error:
            return Asked(_no_token(error), WireAnswer(0, {}, b""), self._clock.now_ns())
        # Before a call is charged: without a key there is nothing to charge for.
        call = WireCall(
            request.vendor,
            request.base,
            request.method,
            request.path,
            request.params,
            request.body,
            headers(request, self._settings, token),
        )
        grant = await self._governor.admit()
        # A call that is on the wire is finished and kept, even when the run is told to stop.
        sending = asyncio.ensure_future(self._send(request, call, task_key, number, grant, judge))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await sending
            raise

    async def _send(
        self,
        request: Request,
        call: WireCall,
        task_key: str,
        number: int,
        grant: Grant,
        judge: Judge,
    ) -> Asked:
        sent_ns, started = self._clock.now_ns(), self._clock.monotonic()
        begun = False

        def arrived() -> None:
            nonlocal begun
            begun = True
            self._governor.arrived(grant)

        failed, retry_after = True, None
        try:
            self._calls += 1
            wire = await self._transport.send(call, arrived)
            received_ns = self._clock.now_ns()
            answer = await self._believed(request, wire, received_ns, judge)
            failed, retry_after = answer.outcome in _VENDOR_FAILED, answer.retry_after
        finally:
            if not begun:
                self._governor.arrived(grant)
            self._governor.settle(grant, failed=failed, retry_after=retry_after)
        self.received_bytes += len(wire.body)
        if wire.status == _UNAUTHORISED:
            self._tokens.forget()
        self._lake.control.calls.record_attempt(
            request.vendor,
            request.dataset,
            request.path,
            status=wire.status,
            outcome=answer.outcome.value,
            reason=answer.reason,
            at_ns=sent_ns,
            method=request.method,
            task_key=task_key,
            page=request.page,
            attempt=number,
            symbol=request.symbol,
            start=request.start,
            end=request.end,
            size_bytes=len(wire.body),
            took_us=round((self._clock.monotonic() - started) * 1e6),
            retry_after=retry_after,
        )
        return Asked(answer, wire, received_ns)

    async def _believed(
        self, request: Request, wire: WireAnswer, now_ns: int, judge: Judge
    ) -> Answer:
        """What the answer says, with the last word on it."""

        def read() -> Answer:
            base_url = self._settings.massive.base_url
            return judge(request, interpret(request, wire, now_ns=now_ns, base_url=base_url))

        if len(wire.body) < _LONG_BODY:
            return read()
        # More readers than cores gain nothing and hold several times a page's size each.
        async with self._reading:
            return await off_loop(self._clock, read)


def _deserves_another(state: tenacity.RetryCallState) -> bool:
    if state.outcome is None or state.outcome.failed:
        return False
    outcome: Outcome = state.outcome.result().answer.outcome
    if outcome is Outcome.BAD_ANSWER:
        return state.attempt_number < _BAD_ANSWER_ATTEMPTS
    return outcome.retries


def _last_result(state: tenacity.RetryCallState) -> Asked:
    if state.outcome is None:
        raise AssertionError("tenacity stopped before the first attempt")
    result: Asked = state.outcome.result()
    return result


def _no_token(error: VendorError) -> Answer:
    outcome = Outcome.TRANSIENT if isinstance(error, Transient) else Outcome.NOT_ENTITLED
    return Answer(outcome, str(error.what), "finra.api")
