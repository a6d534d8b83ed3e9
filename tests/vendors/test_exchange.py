"""Requests are stable, secret-free values; outcomes decide completion and retry."""

from __future__ import annotations

import dataclasses
from datetime import date

import msgspec
import pytest

import tapemill.vendors as vendors
from tapemill.errors import DateError, UnknownNameError, UsageError
from tapemill.vendors import Outcome, Request, is_cursor_loop
from tapemill.vendors.finra import requests as finra
from tapemill.vendors.massive import requests as massive

START, END = date(2024, 1, 2), date(2024, 1, 31)
ALL = [
    massive.minute_bars("BRK.B", START, END),
    massive.daily_bars("SPY", START, END),
    massive.grouped_daily(START),
    massive.splits(START, END),
    massive.dividends(START, END, "AAPL"),
    massive.tickers(START, active=False),
    massive.market_status(),
    finra.short_volume_file(START, "FNSQ"),
    finra.reg_sho_daily(START, END, 5000, symbol="AAPL"),
]


def test_public_names_are_pinned() -> None:
    assert sorted(vendors.__all__) == [
        "Answer", "FILE_KINDS", "Outcome", "ParsedFile", "Request", "WireAnswer",
        "headers", "interpret", "is_cursor_loop", "read_file",
    ]  # fmt: skip


def test_only_data_and_a_confirmed_nothing_complete_a_cell() -> None:
    assert {o for o in Outcome if o.completes} == {Outcome.DATA, Outcome.CONFIRMED_EMPTY}
    assert {o for o in Outcome if o.retries} == {Outcome.RATE_LIMITED, Outcome.TRANSIENT}


@pytest.mark.parametrize("request_", ALL, ids=lambda r: r.dataset + r.path[-12:])
def test_a_request_survives_storage(request_: Request) -> None:
    promised = dataclasses.replace(request_, page=3, expect=(("record_total", "7"),))
    assert Request.from_json(promised.to_json()) == promised
    assert promised.key == request_.key
    assert promised.promised("record_total") == "7"
    assert promised.promised("other") is None


def test_every_question_has_its_own_key() -> None:
    assert len({request.key for request in ALL}) == len(ALL)
    assert massive.minute_bars("SPY", START, END).key != massive.minute_bars("spy", START, END).key


def test_bars_are_asked_unadjusted_and_at_the_largest_limit() -> None:
    for request in ALL[:2]:
        assert dict(request.params) == {"adjusted": "false", "sort": "asc", "limit": "50000"}
    assert dict(ALL[2].params)["adjusted"] == "false"
    assert ALL[0].path == "/v2/aggs/ticker/BRK.B/range/1/minute/2024-01-02/2024-01-31"


def test_the_query_api_body_has_documented_keys_alone() -> None:
    body = msgspec.json.decode(finra.reg_sho_daily(START, END, symbol="AAPL").body)
    assert set(body) == {"limit", "offset", "dateRangeFilters", "compareFilters"}
    assert body["limit"] == 5000
    assert body["dateRangeFilters"] == [
        {"fieldName": "tradeReportDate", "startDate": "2024-01-02", "endDate": "2024-01-31"}
    ]


def test_a_page_asked_before_is_a_cursor_loop() -> None:
    first, second = ALL[0], ALL[1]
    assert is_cursor_loop({first.key}, first)
    assert not is_cursor_loop({first.key}, second)
    assert not is_cursor_loop({first.key}, None)


def test_senseless_questions_are_refused() -> None:
    with pytest.raises(DateError, match="after its end"):
        massive.minute_bars("SPY", END, START)
    with pytest.raises(UsageError, match="not a ticker"):
        massive.daily_bars(" ", START, END)
    with pytest.raises(UnknownNameError, match="CNMX"):
        finra.short_volume_file(START, "CNMX")
    with pytest.raises(DateError, match="600000"):
        finra.reg_sho_daily(START, END, 600_000)
