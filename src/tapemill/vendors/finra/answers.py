"""What an answer of FINRA means: CDN files and Query API pages.

The CDN answers 403 (its store's AccessDenied) or 404 for a file that is not there. Only the clock
can tell a file that never comes from one that is not out yet: files appear by 18:00 New York, so
before 20:00 of a session an absence proves nothing. Nothing for a week or a settlement date that
is not due yet is no answer either.
"""

from __future__ import annotations

import dataclasses
import re
from datetime import date

import msgspec

from tapemill.clock import calendar, eastern_ns
from tapemill.clock.reporting import interest_published_ns, settlement_dates, week_published_ns
from tapemill.errors import BadAnswerError, FileFormatError
from tapemill.vendors.exchange import Answer, Outcome, Request, WireAnswer
from tapemill.vendors.finra.files import facility_of_name, read_short_volume, sessions_outside
from tapemill.vendors.finra.query import read_page
from tapemill.vendors.finra.requests import INTEREST, WEEKLY
from tapemill.vendors.refusals import (
    body_kind,
    classify_text,
    excerpt,
    failure,
    judge_status,
    unreadable_json,
)

__all__ = ["API_SOURCE", "CDN_SOURCE", "interpret_finra"]

CDN_SOURCE = "finra.cdn"
API_SOURCE = "finra.api"
_FINAL_HOUR = 20
_NOT_THERE = re.compile(rb"AccessDenied|NoSuchKey|Access Denied|Not Found", re.IGNORECASE)
_NEVER_EMPTY = frozenset({"CNMS"})


def interpret_finra(request: Request, answer: WireAnswer, *, now_ns: int) -> Answer:
    """Judge one answer of the CDN or of the Query API. Never raises on what a vendor may send.

    Parameters
    ----------
    request : Request
    answer : WireAnswer
    now_ns : int
        Nanoseconds UTC: decides whether a missing file may still come.
    """
    if request.base == "finra_cdn":
        return _cdn(request, answer, now_ns)
    return _api(request, answer, now_ns)


def _cdn(request: Request, answer: WireAnswer, now_ns: int) -> Answer:
    kind = body_kind(answer.body)
    missing = answer.status in (403, 404) and (
        kind == "empty" or _NOT_THERE.search(answer.body) is not None or answer.status == 404
    )
    if missing or (answer.status == 200 and kind == "xml" and _NOT_THERE.search(answer.body)):
        return _absent(request, answer, now_ns)
    failed = judge_status(answer, source=CDN_SOURCE, now_ns=now_ns)
    if failed is not None:
        return failed
    if answer.status == 204 or kind in ("html", "json"):
        reason = f"HTTP {answer.status}, not a file: {excerpt(answer.body)}"
        throttled = kind != "empty" and classify_text(reason) is Outcome.RATE_LIMITED
        outcome = Outcome.RATE_LIMITED if throttled else Outcome.BAD_ANSWER
        return failure(outcome, reason, source=CDN_SOURCE, answer=answer, now_ns=now_ns)
    try:
        return _file(request, answer)
    except (FileFormatError, BadAnswerError) as error:
        return failure(
            Outcome.BAD_ANSWER, error.what, source=CDN_SOURCE, answer=answer, now_ns=now_ns
        )


def _absent(request: Request, answer: WireAnswer, now_ns: int) -> Answer:
    day = request.start
    said = f"HTTP {answer.status}: no file"
    if day is None:
        return failure(Outcome.BAD_ANSWER, said, source=CDN_SOURCE, answer=answer, now_ns=now_ns)
    if not _is_session(day):
        return _confirmed(f"{said}, and {day} is no session", answer, now_ns)
    if now_ns >= eastern_ns(day, _FINAL_HOUR):
        return _confirmed(f"{said} by 20:00 New York of {day}", answer, now_ns)
    reason = f"{said}: {day} is not yet published (due 18:00, final 20:00 New York)"
    return failure(Outcome.TRANSIENT, reason, source=CDN_SOURCE, answer=answer, now_ns=now_ns)


def _confirmed(reason: str, answer: WireAnswer, now_ns: int) -> Answer:
    return failure(Outcome.CONFIRMED_EMPTY, reason, source=CDN_SOURCE, answer=answer, now_ns=now_ns)


def _is_session(day: date) -> bool:
    exchange = calendar("XNYS")
    first, last = exchange.coverage
    return exchange.is_session(day) if first <= day <= last else day.weekday() < 5


def _file(request: Request, answer: WireAnswer) -> Answer:
    facility = facility_of_name(request.path.rsplit("/", 1)[-1])
    file = read_short_volume(answer.body, name=request.path, facility=facility)
    if request.start is not None and request.end is not None:
        strays = sessions_outside(file.frame, request.start, request.end)
        if strays:
            raise BadAnswerError(f"asked for {request.start}, the rows are of {strays[0]}")
    rejected = file.rejected if file.rejected.height else None
    if file.frame.is_empty() and rejected is None:
        if facility in _NEVER_EMPTY:
            raise BadAnswerError(f"a {facility} file of zero rows")
        return Answer(
            Outcome.CONFIRMED_EMPTY, f"the {facility} file declares zero rows", CDN_SOURCE
        )
    return Answer(
        Outcome.DATA, "", CDN_SOURCE, frame=file.frame, rejected=rejected, notes=file.notes
    )


def _api(request: Request, answer: WireAnswer, now_ns: int) -> Answer:
    failed = judge_status(answer, source=API_SOURCE, now_ns=now_ns)
    if failed is not None:
        return failed
    if answer.status == 204 or _said_nothing(request, answer):
        return _nothing(request, answer, now_ns)
    if answer.status == 404:
        reason = f"HTTP 404: {excerpt(answer.body)}"
        return failure(Outcome.BAD_ANSWER, reason, source=API_SOURCE, answer=answer, now_ns=now_ns)
    try:
        if answer.body.strip() in (b"", b"null"):
            raise msgspec.DecodeError("the body is empty")
        if answer.body.lstrip()[:1] == b"{":
            said = excerpt(msgspec.json.encode(msgspec.json.decode(answer.body)), 300)
            reason = f"HTTP {answer.status} carries an object instead of rows: {said}"
            outcome = classify_text(said)
            return failure(outcome, reason, source=API_SOURCE, answer=answer, now_ns=now_ns)
        page = read_page(request, answer)
    except msgspec.DecodeError as error:
        return unreadable_json(error, answer, source=API_SOURCE, now_ns=now_ns)
    except UnicodeDecodeError as error:
        reason = f"the body is not UTF-8: {error.reason} at byte {error.start}"
        return failure(Outcome.BAD_ANSWER, reason, source=API_SOURCE, answer=answer, now_ns=now_ns)
    except RecursionError as error:
        reason = f"a nesting beyond any use: {error}"
        return failure(Outcome.BAD_ANSWER, reason, source=API_SOURCE, answer=answer, now_ns=now_ns)
    except BadAnswerError as error:
        return failure(
            Outcome.BAD_ANSWER, error.what, source=API_SOURCE, answer=answer, now_ns=now_ns
        )
    if page.count == 0:
        return _nothing(request, answer, now_ns)
    good = Answer(
        Outcome.DATA,
        "",
        API_SOURCE,
        frame=page.frame,
        rejected=page.rejected if page.rejected.height else None,
        next=page.following,
        request_id=answer.headers.get("finra-api-request-id"),
        drift=page.drift,
        notes=page.notes,
    )
    if any(change.blocks for change in page.drift):
        changes = "; ".join(f"{d.kind} {d.field}: {d.detail}" for d in page.drift if d.blocks)
        reason = f"the vendor's shape changed: {changes}"
        return dataclasses.replace(good, outcome=Outcome.BAD_ANSWER, reason=reason, next=None)
    return good


def _said_nothing(request: Request, answer: WireAnswer) -> bool:
    """An empty 200 beside a total of zero, as `weeklySummary` sends it at times."""
    total = answer.headers.get("record-total")
    return request.dataset in (WEEKLY, INTEREST) and not answer.body.strip() and total == "0"


def _nothing(request: Request, answer: WireAnswer, now_ns: int) -> Answer:
    promised = request.promised("record_total") or answer.headers.get("record-total", "0")
    if promised != "0":
        reason = f"no rows on page {request.page}, though {promised} rows were promised"
        return failure(Outcome.BAD_ANSWER, reason, source=API_SOURCE, answer=answer, now_ns=now_ns)
    if early := _too_early(request, now_ns):
        reason = f"no rows, and {early}"
        return failure(Outcome.TRANSIENT, reason, source=API_SOURCE, answer=answer, now_ns=now_ns)
    reason = f"HTTP {answer.status}: no rows for {request.start} to {request.end}"
    return failure(Outcome.CONFIRMED_EMPTY, reason, source=API_SOURCE, answer=answer, now_ns=now_ns)


def _too_early(request: Request, now_ns: int) -> str:
    """Why an absence proves nothing yet; empty where it does."""
    start, end = request.start, request.end
    if start is None or end is None:
        return ""
    if request.dataset == WEEKLY:
        if now_ns < week_published_ns(start, first_tier=True):
            return f"the week of {start} is not yet published (due three weeks after its Monday)"
        return ""
    if request.dataset == INTEREST:
        exchange = calendar("XNYS")
        settled = settlement_dates(exchange, start, end)
        if settled and now_ns < interest_published_ns(exchange, settled[0]):
            return f"positions of {settled[0]} are not yet published (due seven sessions later)"
        return ""
    if _is_session(end) and now_ns < eastern_ns(end, _FINAL_HOUR):
        return f"{end} is not yet published (due 18:00, final 20:00 New York)"
    return ""
