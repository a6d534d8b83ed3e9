"""Answers spoiled on purpose: what the ``wire`` and ``answer`` faults do to bytes and headers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from tapemill.world.sandbox.faults import Fault
from tapemill.world.sandbox.wire import Call, Reply, http_date, json_reply

__all__ = ["interrupted", "spoiled"]

_HTML = (
    b"<!DOCTYPE html><html><head><title>Maintenance</title></head>"
    b"<body><h1>We will be back soon</h1></body></html>"
)
_THROTTLED = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription "
    "to continue. https://massive.com/pricing"
)
_ABSURD_SECONDS = 864_000_000


def throttled(request_id: str, **headers: str) -> Reply:
    """The vendor's 429."""
    body = {"status": "ERROR", "request_id": request_id, "error": _THROTTLED}
    return json_reply(429, body, **headers)


def interrupted(fault: Fault, request_id: str, now_ns: int) -> Reply:
    """What happens instead of an answer."""
    if fault.kind == "storm_429":
        seconds = int(fault.number("seconds"))
        retry_after = {
            "int": str(seconds),
            "date": http_date(now_ns + seconds * 1_000_000_000),
            "absurd": str(_ABSURD_SECONDS),
        }.get(str(fault.option("retry_after")))
        reply = throttled(request_id)
        return reply if retry_after is None else reply.with_header("retry-after", retry_after)
    if fault.kind == "error_5xx":
        return Reply(int(fault.number("status")), _HTML, {"content-type": "text/html"})
    if fault.kind == "timeout":
        return Reply(200, wire="timeout", seconds=fault.number("seconds"))
    return Reply(0, wire="reset")


def spoiled(fault: Fault, call: Call, reply: Reply, now_ns: int) -> Reply:
    """The answer after a fault; an answer that the fault cannot concern stays as it is."""
    if fault.kind == "clock_skew":
        seconds = int(fault.number("seconds"))
        return reply.with_header("date", http_date(now_ns + seconds * 1_000_000_000))
    if reply.status != 200:
        return reply
    if fault.kind == "truncated_json":
        return replace(reply, body=reply.body[: int(len(reply.body) * fault.number("keep_frac"))])
    if fault.kind == "cut_transfer":
        kept = reply.body[: int(len(reply.body) * fault.number("keep_frac"))]
        return replace(reply, body=kept, wire="cut", declared=len(reply.body))
    if fault.kind == "html_body":
        return replace(reply, body=_HTML, headers={"content-type": "text/html"})
    if fault.kind == "ok_with_error_body":
        body = {"status": "ERROR", "request_id": "0" * 32, "error": "internal error, try again"}
        return json_reply(200, body)
    if fault.kind == "ok_with_throttle_message":
        return json_reply(200, {"Note": _THROTTLED})
    if fault.kind in _DRIFTS:
        return _drifted(fault, reply)
    return reply


# -- schema drift --------------------------------------------------------------------------------

Row = dict[str, Any]


def _new_column(row: Row, name: str, fault: Fault) -> None:
    row[str(fault.option("column"))] = "1"


def _missing_column(row: Row, name: str, fault: Fault) -> None:
    row.pop(name, None)


def _retyped(row: Row, name: str, fault: Fault) -> None:
    if name in row:
        row[name] = f"{row[name]} shares"


def _all_null(row: Row, name: str, fault: Fault) -> None:
    if name in row:
        row[name] = None


def _unit_change(row: Row, name: str, fault: Fault) -> None:
    """A number grows; text that is no number stays as it is."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        row[name] = float(row[name]) * fault.number("factor")


_DRIFTS: dict[str, Callable[[Row, str, Fault], None]] = {
    "schema_new_column": _new_column,
    "schema_missing_column": _missing_column,
    "schema_retyped": _retyped,
    "schema_all_null": _all_null,
    "schema_unit_change": _unit_change,
}
_USUAL_VICTIMS = ("v", "totalParQuantity", "cash_amount", "split_to", "primary_exchange")


def _drifted(fault: Fault, reply: Reply) -> Reply:
    """Change one field in every row, whether the answer is JSON or a delimited file."""
    if reply.headers.get("content-type") == "text/plain":
        return replace(reply, body=_drifted_text(fault, reply.body.decode()).encode())
    document = msgspec.json.decode(reply.body)
    rows = document if isinstance(document, list) else document.get("results", [])
    column = str(fault.option("column")) or _victim(rows)
    for row in rows:
        _DRIFTS[fault.kind](row, column, fault)
    return replace(reply, body=msgspec.json.encode(document))


def _victim(rows: list[Row]) -> str:
    return next((name for name in _USUAL_VICTIMS if rows and name in rows[0]), "")


def _drifted_text(fault: Fault, text: str) -> str:
    """The same for a pipe-delimited file; the trailer stays."""
    header, *lines = text.rstrip("\n").split("\n")
    names = header.split("|")
    column = str(fault.option("column")) or "TotalVolume"
    rows = [dict(zip(names, line.split("|"), strict=True)) for line in lines[:-1]]
    for row in rows:
        _DRIFTS[fault.kind](row, column, fault)
    shown = list(rows[0]) if rows else names
    body = ["|".join("" if row[name] is None else str(row[name]) for name in shown) for row in rows]
    return "\n".join(["|".join(shown), *body, lines[-1]]) + "\n"
