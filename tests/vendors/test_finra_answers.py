"""FINRA's CDN, Query API and OAuth."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tapemill.clock import eastern_ns
from tapemill.errors import BadAnswerError, NotEntitledError, VendorFaultError
from tapemill.secrets import Secret
from tapemill.vendors import Outcome, WireAnswer
from tapemill.vendors.finra import (
    parse_token,
    reg_sho_daily,
    short_volume_file,
    token_headers,
    token_params,
)

DAY = date(2024, 1, 2)
FILE = short_volume_file(DAY)
HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"


def text(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, str(len(rows)), ""]).encode()


def test_a_file_becomes_rows(ask) -> None:
    answer = ask(FILE, text("20240102|A|1|0|2|Q"))
    assert (answer.outcome, answer.source) == (Outcome.DATA, "finra.cdn")
    assert answer.frame["total_volume"].to_list() == [Decimal(2)]
    assert FILE.path == "/equity/regsho/daily/CNMSshvol20240102.txt"


@pytest.mark.parametrize("status", [403, 404, 200])
def test_an_absent_file_means_what_the_clock_says(ask, status) -> None:
    wire = WireAnswer(status, {}, DENIED)
    early = ask(FILE, wire, now_ns=eastern_ns(DAY, 19, 59))
    assert early.outcome is Outcome.TRANSIENT and "not yet published" in early.reason
    assert ask(FILE, wire, now_ns=eastern_ns(DAY, 20)).outcome is Outcome.CONFIRMED_EMPTY


def test_a_holiday_has_no_file_at_any_hour(ask) -> None:
    for day in (date(2024, 1, 1), date(2024, 1, 6), date(2024, 1, 15)):
        wire = WireAnswer(403, {}, DENIED)
        answer = ask(short_volume_file(day), wire, now_ns=eastern_ns(day, 10))
        assert answer.outcome is Outcome.CONFIRMED_EMPTY and "no session" in answer.reason


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (403, b"<html>Request blocked</html>", "not-entitled"),
        (200, b"<html>Maintenance</html>", "bad-answer"),
        (200, b"<html>Too many requests</html>", "rate-limited"),
        (200, b"", "bad-answer"),
        (204, b"", "bad-answer"),
        (429, b"", "rate-limited"),
        (503, b"", "transient"),
        (200, b'{"error":"x"}', "bad-answer"),
    ],
)
def test_other_answers_of_the_cdn(ask, status, body, outcome) -> None:
    assert ask(FILE, WireAnswer(status, {}, body)).outcome == outcome


def test_rows_of_another_day_are_refused(ask) -> None:
    answer = ask(FILE, text("20240103|A|1|0|2|Q"))
    assert answer.outcome is Outcome.BAD_ANSWER and "2024-01-03" in answer.reason


def test_a_cut_file_is_refused(ask) -> None:
    answer = ask(FILE, text("20240102|A|1|0|2|Q")[:-3])
    assert answer.outcome is Outcome.BAD_ANSWER and "truncated" in answer.reason


def test_zero_rows_are_normal_for_the_adf_alone(ask) -> None:
    assert ask(short_volume_file(DAY, "FNRA"), text()).outcome is Outcome.CONFIRMED_EMPTY
    assert ask(FILE, text()).outcome is Outcome.BAD_ANSWER


# --- Query API --------------------------------------------------------------------------------

QUERY = reg_sho_daily(DAY, DAY)


def row(symbol: str = "A", market: str = "Q", **changes):
    fields = {
        "tradeReportDate": "2024-01-02",
        "securitiesInformationProcessorSymbolIdentifier": symbol,
        "shortParQuantity": 100,
        "shortExemptParQuantity": 0,
        "totalParQuantity": 250,
        "marketCode": market,
        "reportingFacilityCode": "NQTRF",
    }
    return fields | changes


def rows(*content, total: object = None) -> WireAnswer:
    headers = {"record-total": str(len(content) if total is None else total)}
    return WireAnswer(200, headers, json.dumps(content).encode())


def test_a_query_page_becomes_rows_per_facility(ask) -> None:
    answer = ask(QUERY, rows(row(market="Q"), row(market="N"), row(market="B"), row(market="D")))
    assert (answer.outcome, answer.source) == (Outcome.DATA, "finra.api")
    assert answer.frame["facility"].to_list() == ["FNSQ", "FNYX", "FNQC", "FNRA"]
    assert answer.next is None and answer.drift == []


def test_query_numbers_are_exact(ask) -> None:
    body = json.dumps([row()]).replace("250", "12789812345678.825635").encode()
    answer = ask(QUERY, WireAnswer(200, {"record-total": "1"}, body))
    assert answer.frame["total_volume"][0] == Decimal("12789812345678.825635")
    quoted = ask(QUERY, rows(row(totalParQuantity="250.000001")))
    assert quoted.frame["total_volume"][0] == Decimal("250.000001")
    with_new_field = ask(QUERY, rows(row(totalParQuantity="250.000001", extra="x")))
    assert with_new_field.frame["total_volume"][0] == Decimal("250.000001")


def test_pages_follow_record_total(ask) -> None:
    first = ask(QUERY, rows(row("A"), row("B"), total=3))
    assert first.outcome is Outcome.DATA
    assert json.loads(first.next.body)["offset"] == 2 and first.next.page == 2
    last = ask(first.next, rows(row("C"), total=3))
    assert last.outcome is Outcome.DATA and last.next is None


@pytest.mark.parametrize("total", ["", "many", "-1", 4, 1])
def test_a_changed_or_missing_total_is_refused(ask, total) -> None:
    second = ask(QUERY, rows(row("A"), total=3)).next
    assert ask(second, rows(row("B"), total=total)).outcome is Outcome.BAD_ANSWER


def test_an_empty_page_though_more_was_promised(ask) -> None:
    second = ask(QUERY, rows(row("A"), total=3)).next
    for wire in (WireAnswer(204, {}, b""), WireAnswer(200, {"record-total": "3"}, b"[]")):
        answer = ask(second, wire)
        assert answer.outcome is Outcome.BAD_ANSWER and "promised" in answer.reason


@pytest.mark.parametrize("wire", [WireAnswer(204, {}, b""), WireAnswer(200, {}, b"[]")])
def test_204_means_no_rows_once_the_day_is_final(ask, wire) -> None:
    assert ask(QUERY, wire, now_ns=eastern_ns(DAY, 20)).outcome is Outcome.CONFIRMED_EMPTY
    assert ask(QUERY, wire, now_ns=eastern_ns(DAY, 17)).outcome is Outcome.TRANSIENT
    # The Saturday that once made somebody declare the API dead.
    saturday = reg_sho_daily(date(2025, 12, 20), date(2025, 12, 20))
    noon = int(datetime(2025, 12, 20, 17, tzinfo=UTC).timestamp()) * 10**9
    assert ask(saturday, wire, now_ns=noon).outcome is Outcome.CONFIRMED_EMPTY


def test_no_rows_beside_a_total_confirm_nothing(ask) -> None:
    query = reg_sho_daily(DAY, DAY)
    assert ask(query, WireAnswer(200, {"record-total": "3"}, b"[]")).outcome is Outcome.BAD_ANSWER
    empty = ask(query, WireAnswer(200, {"record-total": "0"}, b"[]"))
    assert empty.outcome is Outcome.CONFIRMED_EMPTY


@pytest.mark.parametrize(
    "body", [b"null", b" null\n", b"", b"0", b'""', b"[" * 5_000 + b"]" * 5_000]
)
def test_a_body_that_is_no_list_confirms_nothing(ask, body) -> None:
    answer = ask(reg_sho_daily(DAY, DAY), WireAnswer(200, {"record-total": "0"}, body))
    assert answer.outcome is Outcome.BAD_ANSWER


def test_ignored_filters_are_named(ask) -> None:
    answer = ask(QUERY, rows(row(tradeReportDate="2023-12-29")))
    assert answer.outcome is Outcome.BAD_ANSWER and "filter ignored" in answer.reason
    one = reg_sho_daily(DAY, DAY, symbol="AAPL")
    assert ask(one, rows(row("A"))).outcome is Outcome.BAD_ANSWER


def test_broken_query_rows_go_to_quarantine(ask) -> None:
    answer = ask(QUERY, rows(row("A"), row("B", market="Z"), row("C", shortParQuantity="many")))
    assert answer.frame["symbol"].to_list() == ["A"]
    reasons = dict(zip(answer.rejected["ordinal"], answer.rejected["reasons"], strict=True))
    assert reasons == {1: "null_facility", 2: "shortParQuantity_not_decimal"}


def test_an_error_object_is_no_rows(ask) -> None:
    body = b'{"statusCode":"429","statusDescription":"Rate limit exceeded"}'
    assert ask(QUERY, WireAnswer(200, {}, body)).outcome is Outcome.RATE_LIMITED
    body = b'{"statusDescription":"Invalid field"}'
    assert ask(QUERY, WireAnswer(200, {}, body)).outcome is Outcome.BAD_ANSWER
    assert ask(QUERY, WireAnswer(401, {}, b"")).outcome is Outcome.NOT_ENTITLED
    assert ask(QUERY, WireAnswer(404, {}, b"")).outcome is Outcome.BAD_ANSWER
    assert ask(QUERY, WireAnswer(200, {"record-total": "1"}, b"")).outcome is Outcome.BAD_ANSWER


def test_a_missing_field_blocks_the_lane(ask) -> None:
    bare = row()
    del bare["totalParQuantity"]
    answer = ask(QUERY, rows(bare))
    assert answer.outcome is Outcome.BAD_ANSWER and "totalParQuantity" in answer.reason


# --- OAuth ------------------------------------------------------------------------------------


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    wire = WireAnswer(200, {}, b'{"access_token":"CANARY-TOKEN","expires_in":"1800"}')
    token = parse_token(wire, now_ns=10**18)
    assert token.secret.reveal() == "CANARY-TOKEN"
    assert "CANARY" not in repr(token)
    assert token.is_fresh(10**18 + 1739 * 10**9)
    assert not token.is_fresh(10**18 + 1740 * 10**9)
    odd = parse_token(WireAnswer(200, {}, b'{"access_token":"CANARY-TOKEN"}'), now_ns=0)
    assert odd.renew_ns == 1740 * 10**9


def test_credentials_travel_in_the_header_alone() -> None:
    made = token_headers(Secret("client-id", "finra.client_id"), Secret("pass-word", "finra.x"))
    assert made["authorization"] == "Basic Y2xpZW50LWlkOnBhc3Mtd29yZA=="
    assert token_params() == (("grant_type", "client_credentials"),)


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (WireAnswer(400, {}, b'{"error":"invalid_client"}'), NotEntitledError),
        (WireAnswer(401, {}, b""), NotEntitledError),
        (WireAnswer(0, {}, b"", "time-out"), VendorFaultError),
        (WireAnswer(503, {}, b""), VendorFaultError),
        (WireAnswer(429, {}, b""), VendorFaultError),
        (WireAnswer(200, {}, b"<html>"), BadAnswerError),
        (WireAnswer(200, {}, b'{"token":"CANARY-TOKEN"}'), BadAnswerError),
        (WireAnswer(200, {}, b"[]"), BadAnswerError),
    ],
)
def test_a_refused_token_says_why_without_the_body(wire, error) -> None:
    with pytest.raises(error) as caught:
        parse_token(wire, now_ns=0)
    assert "CANARY" not in str(caught.value)
