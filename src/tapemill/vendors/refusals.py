"""Answers without rows: which failure each of them is.

One table for both vendors. A throttle or an error inside HTTP 200 is found by its words, a cut
transfer is told apart from a malformed one, and nothing here ever becomes "no data".
"""

from __future__ import annotations

import email.utils
import math
import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from tapemill.vendors.exchange import Answer, Outcome, WireAnswer

__all__ = [
    "LONGEST_WAIT_SECONDS",
    "body_kind",
    "classify_text",
    "excerpt",
    "failure",
    "judge_status",
    "retry_after",
    "unreadable_json",
]

LONGEST_WAIT_SECONDS = 3600.0
"""A longer `Retry-After` is capped: the breaker probes again anyway."""

_TRANSIENT = frozenset({408, 413, 421, 425, 499})
_THROTTLE = re.compile(
    r"exceeded|rate.?limit|too many (requests|calls)|maximum (number of )?(requests|calls)"
    r"|call frequency|(requests|calls) per (second|minute|day)|throttl|slow down|quota",
    re.IGNORECASE,
)
_ENTITLEMENT = re.compile(
    r"not[ _]?(entitled|authori[sz]ed)|unauthori[sz]ed|api.?key|upgrade (your|to)|your plan"
    r"|subscription|forbidden|permission|access denied|invalid.?(client|token)|credentials",
    re.IGNORECASE,
)

BodyKind = Literal["empty", "html", "xml", "json", "text"]


def body_kind(body: bytes) -> BodyKind:
    """What a body looks like from its first bytes, whatever its content type claims."""
    head = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        return "empty"
    lowered = head.lower()
    if lowered.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "html"
    if head.startswith(b"<"):
        return "xml"
    return "json" if head[:1] in b"{[" else "text"


def excerpt(body: bytes, length: int = 160) -> str:
    """The start of a body as one printable line."""
    text = body[: 4 * length].decode("utf-8", errors="replace")
    return " ".join(text.split())[:length]


def classify_text(text: str) -> Outcome:
    """Outcome of an error message: throttle, missing entitlement, or an answer we cannot use."""
    if _THROTTLE.search(text):
        return Outcome.RATE_LIMITED
    if _ENTITLEMENT.search(text):
        return Outcome.NOT_ENTITLED
    return Outcome.BAD_ANSWER


def retry_after(answer: WireAnswer, now_ns: int) -> float | None:
    """Seconds to wait by the `Retry-After` header: seconds or an HTTP date, capped to an hour.

    Returns None when the header is absent or cannot be meant (negative, not a number).
    """
    raw = answer.headers.get("retry-after", "").strip()
    if not raw:
        return None
    try:
        seconds = float(raw)
    except ValueError:
        seconds = _seconds_until(raw, now_ns)
    if not math.isfinite(seconds) or seconds < 0:
        return LONGEST_WAIT_SECONDS if seconds == math.inf else None
    return min(seconds, LONGEST_WAIT_SECONDS)


def _seconds_until(http_date: str, now_ns: int) -> float:
    try:
        moment = email.utils.parsedate_to_datetime(http_date)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds())


def failure(
    outcome: Outcome, reason: str, *, source: str, answer: WireAnswer, now_ns: int
) -> Answer:
    """An :class:`Answer` without rows, with the wait that the vendor asked for."""
    return Answer(
        outcome,
        reason,
        source,
        request_id=answer.headers.get("x-request-id"),
        retry_after=retry_after(answer, now_ns),
        retry_after_raw=answer.headers.get("retry-after", ""),
    )


def judge_status(answer: WireAnswer, *, source: str, now_ns: int) -> Answer | None:
    """The failure that the transport or the HTTP status alone decides; None if the body must.

    200 is left to the caller, and so are 204 and 404, whose meaning differs between vendors.
    """

    def fail(outcome: Outcome, reason: str) -> Answer:
        return failure(outcome, reason, source=source, answer=answer, now_ns=now_ns)

    status, said = answer.status, excerpt(answer.body)
    if answer.fault or status == 0:
        return fail(Outcome.TRANSIENT, answer.fault or "no answer arrived")
    if status in (200, 204, 404):
        return _judge_length(answer, fail_source=source, now_ns=now_ns) if status == 200 else None
    if status == 429:
        return fail(Outcome.RATE_LIMITED, f"HTTP 429: {said}")
    if status in _TRANSIENT or status >= 500:
        return fail(Outcome.TRANSIENT, f"HTTP {status}: {said}")
    if status in (401, 402, 403):
        throttled = classify_text(said) is Outcome.RATE_LIMITED
        outcome = Outcome.RATE_LIMITED if throttled else Outcome.NOT_ENTITLED
        return fail(outcome, f"HTTP {status}: {said}")
    if 300 <= status < 400:
        target = answer.headers.get("location", "nowhere")
        return fail(Outcome.BAD_ANSWER, f"HTTP {status}: redirected to {target}, not followed")
    return fail(Outcome.BAD_ANSWER, f"HTTP {status}: {said}")


def _judge_length(answer: WireAnswer, *, fail_source: str, now_ns: int) -> Answer | None:
    declared = answer.headers.get("content-length", "")
    encoded = answer.headers.get("content-encoding", "identity") != "identity"
    if encoded or not declared.isdigit() or len(answer.body) >= int(declared):
        return None
    return failure(
        Outcome.TRANSIENT,
        f"cut transfer: {len(answer.body)} of {declared} bytes arrived",
        source=fail_source,
        answer=answer,
        now_ns=now_ns,
    )


def unreadable_json(
    error: msgspec.DecodeError, answer: WireAnswer, *, source: str, now_ns: int
) -> Answer:
    """A body that is no JSON: a cut transfer may be asked again, anything else may not."""
    kind = body_kind(answer.body)
    # A number cut in its middle is reported as a wrong number: the missing bracket tells.
    closed = answer.body.rstrip().endswith((b"}", b"]")) or "trailing" in str(error)
    if kind == "json" and ("truncated" in str(error) or not closed):
        reason = f"cut transfer: the JSON stops after {len(answer.body)} bytes"
        return failure(Outcome.TRANSIENT, reason, source=source, answer=answer, now_ns=now_ns)
    outcome = classify_text(excerpt(answer.body)) if kind == "text" else Outcome.BAD_ANSWER
    named = {"empty": "an empty body", "html": "an HTML page", "xml": "XML"}.get(
        kind, f"no valid JSON ({error})"
    )
    reason = f"HTTP {answer.status} carries {named}: {excerpt(answer.body)}"
    return failure(outcome, reason, source=source, answer=answer, now_ns=now_ns)
