"""What an answer of Massive means.

HTTP 200 proves nothing here: the body may be an error, a throttle notice, a page of another ticker,
or fewer rows than it claims. `resultsCount` 0 beside an OK status, and that alone, confirms that
there are no bars.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime

import msgspec

from tapemill.errors import BadAnswerError
from tapemill.vendors.exchange import Answer, Outcome, Request, WireAnswer
from tapemill.vendors.massive.bars import Lane, read_bars
from tapemill.vendors.massive.drift import Envelope, envelope_drift
from tapemill.vendors.massive.listings import LISTINGS, read_listing
from tapemill.vendors.massive.paging import following
from tapemill.vendors.massive.requests import tickers
from tapemill.vendors.massive.ticks import TICKS, read_ticks
from tapemill.vendors.refusals import (
    classify_text,
    excerpt,
    failure,
    judge_status,
    unreadable_json,
)

__all__ = ["SOURCE", "interpret_massive"]

SOURCE = "massive.rest"
_FINE = frozenset({"OK", "DELAYED", "SUCCESS"})
_OLD_DAYS = 365
_DECODER = msgspec.json.Decoder(Envelope)


def interpret_massive(
    request: Request, answer: WireAnswer, *, now_ns: int, base_url: str = ""
) -> Answer:
    """Judge one answer. Never raises on what a vendor may send.

    Parameters
    ----------
    request : Request
    answer : WireAnswer
    now_ns : int
        Nanoseconds UTC, for `Retry-After` dates.
    base_url : str
        Configured address; its host may appear in `next_url` beside the vendor's own.
    """
    failed = judge_status(answer, source=SOURCE, now_ns=now_ns)
    if failed is not None:
        return failed
    if answer.status == 204:
        reason = "HTTP 204: the vendor documents no answer without a body, so nothing is confirmed"
        return failure(Outcome.BAD_ANSWER, reason, source=SOURCE, answer=answer, now_ns=now_ns)
    try:
        envelope = _envelope(request, answer.body)
        refused = _refusal(envelope, answer, now_ns)
        if refused is not None:
            return refused
        lane = _reader(request)(request, envelope)
        return _accepted(request, envelope, lane, now_ns=now_ns, base_url=base_url)
    except msgspec.DecodeError as error:
        return unreadable_json(error, answer, source=SOURCE, now_ns=now_ns)
    except UnicodeDecodeError as error:
        reason = f"the body is not UTF-8: {error.reason} at byte {error.start}"
        return failure(Outcome.BAD_ANSWER, reason, source=SOURCE, answer=answer, now_ns=now_ns)
    except (OverflowError, RecursionError) as error:
        reason = f"a number or a nesting beyond any use: {error}"
        return failure(Outcome.BAD_ANSWER, reason, source=SOURCE, answer=answer, now_ns=now_ns)
    except BadAnswerError as error:
        return failure(Outcome.BAD_ANSWER, error.what, source=SOURCE, answer=answer, now_ns=now_ns)


def _reader(request: Request) -> Callable[[Request, Envelope], Lane]:
    if request.dataset in LISTINGS:
        return read_listing
    return read_ticks if request.dataset == TICKS else read_bars


def _envelope(request: Request, body: bytes) -> Envelope:
    if request.dataset == "bronze.massive_market_status" and body.lstrip()[:1] == b"[":
        return Envelope(results=msgspec.Raw(body), status="OK")
    return _DECODER.decode(body)  # an empty body is refused here, like any other non-JSON


def _refusal(envelope: Envelope, answer: WireAnswer, now_ns: int) -> Answer | None:
    said = envelope.text
    status = envelope.status if isinstance(envelope.status, str) else ""
    if answer.status == 404:
        # Gateways and wrong addresses say "not found" too: only the vendor's own status confirms.
        known = status.upper() == "NOT_FOUND"
        outcome = Outcome.CONFIRMED_EMPTY if known else Outcome.BAD_ANSWER
        reason = f"HTTP 404 {status}: {said or excerpt(answer.body)}"
    elif envelope.error or (status and status.upper() not in _FINE):
        outcome = classify_text(f"{status.replace('_', ' ')} {said}")
        reason = f"HTTP {answer.status} carries status {status or 'none'}: {said}"
    elif said and bytes(envelope.results) in (b"", b"null", b"[]") and envelope.claimed is None:
        outcome = classify_text(said)
        reason = f"HTTP {answer.status} carries a message instead of data: {said}"
    else:
        return None
    refused = failure(outcome, reason, source=SOURCE, answer=answer, now_ns=now_ns)
    return dataclasses.replace(refused, request_id=_request_id(envelope) or refused.request_id)


def _request_id(envelope: Envelope) -> str | None:
    return envelope.request_id if isinstance(envelope.request_id, str) else None


def _accepted(
    request: Request, envelope: Envelope, lane: Lane, *, now_ns: int, base_url: str
) -> Answer:
    drift = [*envelope_drift(envelope), *lane.drift]
    rejected = lane.rejected if lane.rejected.height else None
    answer = Answer(
        Outcome.DATA,
        "",
        SOURCE,
        frame=lane.frame,
        rejected=rejected,
        request_id=_request_id(envelope),
        drift=drift,
        notes=lane.notes,
    )
    if any(change.blocks for change in drift):
        changes = "; ".join(f"{d.kind} {d.field}: {d.detail}" for d in drift if d.blocks)
        return dataclasses.replace(
            answer, outcome=Outcome.BAD_ANSWER, reason=f"the vendor's shape changed: {changes}"
        )
    still = tuple(promise for promise in request.expect if promise[0] == "then")
    if envelope.next_url:
        expect = (*lane.expect, *still)
        page = following(request, envelope.next_url, base_url=base_url, expect=expect)
        return dataclasses.replace(answer, next=page)
    if still and request.start is not None:
        page = dataclasses.replace(tickers(request.start, active=False), page=request.page + 1)
        return dataclasses.replace(answer, next=page)
    if lane.frame.height or rejected is not None:
        return answer
    return _empty(request, envelope, answer, now_ns)


def _empty(request: Request, envelope: Envelope, answer: Answer, now_ns: int) -> Answer:
    listed = request.dataset in (TICKS, *LISTINGS) and bytes(envelope.results).strip() == b"[]"
    if not listed and envelope.claimed != 0:
        reason = "no rows and no resultsCount 0: an absence nobody confirms"
        return dataclasses.replace(answer, outcome=Outcome.BAD_ANSWER, reason=reason, frame=None)
    return dataclasses.replace(
        answer,
        outcome=Outcome.CONFIRMED_EMPTY,
        reason="the vendor confirms zero rows",
        frame=None,
        notes=(*answer.notes, *_old_window(request.end, now_ns)),
    )


def _old_window(end: date | None, now_ns: int) -> tuple[str, ...]:
    if end is None:
        return ()
    age = (datetime.fromtimestamp(now_ns / 1e9, UTC).date() - end).days
    if age <= _OLD_DAYS:
        return ()
    return (f"the empty window ended {age} days ago: the plan's history may not reach so far",)
