"""Answers without rows: status codes, texts inside HTTP 200, cut and foreign bodies."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.vendors import Outcome, WireAnswer, interpret
from tapemill.vendors.finra import reg_sho_daily, short_volume_file
from tapemill.vendors.massive import grouped_daily, market_status, minute_bars, splits
from tapemill.vendors.refusals import retry_after

MINUTES = minute_bars("SPY", date(2024, 1, 2), date(2024, 1, 3))
SPLITS = splits(date(2024, 1, 2), date(2024, 1, 31))
NOW_NS = int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (204, b"", "bad-answer"),
        (301, b"", "bad-answer"),
        (400, b'{"status":"ERROR","error":"bad ticker"}', "bad-answer"),
        (401, b'{"status":"ERROR","error":"Unknown API Key"}', "not-entitled"),
        (402, b"", "not-entitled"),
        (
            403,
            b'{"status":"NOT_AUTHORIZED","message":"Your plan doesn\'t include"}',
            "not-entitled",
        ),
        (403, b'{"error":"You\'ve exceeded the maximum requests per minute"}', "rate-limited"),
        (404, b'{"status":"NOT_FOUND","message":"Ticker not found."}', "confirmed-empty"),
        (404, b"<html>nginx</html>", "bad-answer"),
        (404, b"{}", "bad-answer"),
        (404, b'{"status":404,"error":"Not Found","path":"/v2/aggs"}', "bad-answer"),
        (404, b'{"message":"Route not found"}', "bad-answer"),
        (408, b"", "transient"),
        (429, b'{"status":"ERROR"}', "rate-limited"),
        (499, b"", "transient"),
        (500, b"<html>oops</html>", "transient"),
        (502, b"", "transient"),
        (503, b"", "transient"),
        (504, b"", "transient"),
    ],
)
def test_status_codes_of_massive(ask, status, body, outcome) -> None:
    answer = ask(MINUTES, WireAnswer(status, {}, body))
    assert answer.outcome == outcome
    assert answer.frame is None and answer.reason


@pytest.mark.parametrize("fault", ["time-out after 30 s", "connection reset by peer"])
def test_transport_failures_are_transient(ask, fault) -> None:
    for request in (
        MINUTES,
        short_volume_file(date(2024, 1, 2)),
        reg_sho_daily(*[date(2024, 1, 2)] * 2),
    ):
        answer = ask(request, WireAnswer(0, {}, b"", fault))
        assert (answer.outcome, answer.reason) == (Outcome.TRANSIENT, fault)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (
            {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"},
            "rate-limited",
        ),
        ({"status": "ERROR", "error": "Unknown API Key"}, "not-entitled"),
        (
            {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."},
            "not-entitled",
        ),
        ({"status": "ERROR", "error": "internal"}, "bad-answer"),
        (
            {"Note": "Thank you for using our API. Our call frequency is 5 calls per minute"},
            "rate-limited",
        ),
        ({"Information": "our standard API rate limit is 25 requests per day"}, "rate-limited"),
        ({"Error Message": "the parameter apikey is invalid"}, "not-entitled"),
        ({"status": "OK", "message": "too many requests"}, "rate-limited"),
        ({}, "bad-answer"),
        ({"status": "OK"}, "bad-answer"),
        ({"status": "OK", "results": {"a": 1}}, "bad-answer"),
        ({"status": "OK", "results": "none"}, "bad-answer"),
    ],
)
@pytest.mark.parametrize("request_", [MINUTES, SPLITS, grouped_daily(date(2024, 1, 2))])
def test_http_200_that_carries_an_error_is_never_emptiness(ask, request_, body, outcome) -> None:
    assert ask(request_, json.dumps(body).encode()).outcome == outcome


def test_a_message_beside_data_does_not_hide_the_data(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar()], message="delayed by 15 minutes, rate limits apply"))
    assert answer.outcome is Outcome.DATA


@pytest.mark.parametrize(
    ("body", "outcome", "words"),
    [
        (b"", "bad-answer", "an empty body"),
        (b"  \n", "bad-answer", "an empty body"),
        (b"<!DOCTYPE html><html><body>Attention</body></html>", "bad-answer", "an HTML page"),
        (b"<?xml version='1.0'?><Error/>", "bad-answer", "XML"),
        (b'{"status":"OK","results":[{"t":170', "transient", "cut transfer"),
        (b'{"status":"OK","results":[{"t":1}', "transient", "cut transfer"),
        (b'{"status":"OK","results":[}', "bad-answer", "no valid JSON"),
        (b'{"status":"OK","results":[{"t":1,}]}', "bad-answer", "no valid JSON"),
        (b'{"status":"OK"} trailing', "bad-answer", "no valid JSON"),
        (b'{"status":"\xff\xfe"}', "bad-answer", ""),
        (b"[1,2,3]", "bad-answer", ""),
        (b"too many requests", "rate-limited", "no valid JSON"),
    ],
)
def test_foreign_and_cut_bodies(ask, body, outcome, words) -> None:
    answer = ask(MINUTES, body)
    assert answer.outcome == outcome
    assert words in answer.reason


def test_every_cut_of_a_page_is_transient(ask, page, bar) -> None:
    body = page([bar(0), bar(1)]).body
    for length in range(1, len(body)):
        assert ask(MINUTES, body[:length]).outcome is Outcome.TRANSIENT, length


@given(st.binary(max_size=300))
def test_no_body_makes_it_raise_or_claim_emptiness(body: bytes) -> None:
    requests = [MINUTES, SPLITS, market_status(), reg_sho_daily(*[date(2024, 1, 2)] * 2),
                short_volume_file(date(2024, 1, 2))]  # fmt: skip
    for request in requests:
        answer = interpret(request, WireAnswer(200, {}, body), now_ns=NOW_NS)
        confirmed = answer.outcome is Outcome.CONFIRMED_EMPTY
        assert not confirmed or body.strip() == b"[]"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["t", "o", "h", "l", "c", "v", "n", "T", "zz"]), inner),
        max_leaves=12,
    )
)  # fmt: skip
def test_no_rows_make_it_raise(rows: object) -> None:
    body = {"status": "OK", "adjusted": False, "results": rows, "ticker": "SPY"}
    answer = interpret(MINUTES, WireAnswer(200, {}, json.dumps(body).encode()), now_ns=NOW_NS)
    assert answer.outcome in (Outcome.BAD_ANSWER, Outcome.DATA)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("12", 12.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("Fri, 01 Mar 2024 12:00:30 GMT", 30.0),
        ("Fri, 01 Mar 2024 11:00:00 GMT", 0.0),
        ("999999999", 3600.0),
        ("1e400", 3600.0),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after(raw: str, seconds: float | None) -> None:
    wire = WireAnswer(429, {"retry-after": raw}, b"")
    assert retry_after(wire, NOW_NS) == seconds
    answer = interpret(MINUTES, wire, now_ns=NOW_NS)
    assert (answer.retry_after, answer.retry_after_raw) == (seconds, raw)
