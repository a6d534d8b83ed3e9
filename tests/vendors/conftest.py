"""Answers of the vendors, made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tapemill.vendors import Answer, Request, WireAnswer, interpret

START, END = date(2024, 1, 2), date(2024, 1, 3)
OPEN_MS = 1704205800000  # 2024-01-02 09:30 New York
NOW_NS = int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.fixture
def bar() -> Callable[..., dict[str, Any]]:
    """One sound minute bar; `minute` counts from 2024-01-02 09:30 New York."""

    def make(minute: int = 0, **changes: Any) -> dict[str, Any]:
        row = {
            "v": 1000 + minute,
            "vw": 470.05,
            "o": 470.0,
            "c": 470.1,
            "h": 470.2,
            "l": 469.9,
            "t": OPEN_MS + 60_000 * minute,
            "n": 12,
        }
        row |= changes
        return {name: value for name, value in row.items() if value is not ...}

    return make


@pytest.fixture
def page() -> Callable[..., WireAnswer]:
    """An aggregates page around rows; envelope fields given as `...` are left out."""

    def make(rows: list[Any] | None, *, status_code: int = 200, **changes: Any) -> WireAnswer:
        count = len(rows or [])
        envelope: dict[str, Any] = {
            "ticker": "SPY",
            "queryCount": count,
            "resultsCount": count,
            "adjusted": False,
            "results": ... if rows is None else rows,
            "status": "OK",
            "request_id": "abc",
            "count": count,
        }
        envelope |= changes
        body = {name: value for name, value in envelope.items() if value is not ...}
        return WireAnswer(status_code, {}, json.dumps(body).encode())

    return make


@pytest.fixture
def ask() -> Callable[..., Answer]:
    """Interpret a wire answer, or a body with HTTP 200, as of 2024-03-01 noon UTC."""

    def judge(
        request: Request, answer: WireAnswer | bytes, *, now_ns: int = NOW_NS, base_url: str = ""
    ) -> Answer:
        wire = answer if isinstance(answer, WireAnswer) else WireAnswer(200, {}, answer)
        return interpret(request, wire, now_ns=now_ns, base_url=base_url)

    return judge
