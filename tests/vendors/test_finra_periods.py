"""Questions for weekly volumes and short interest, and what their answers mean."""

from __future__ import annotations

import json
from datetime import date

import msgspec
import pytest

from tapemill.clock import eastern_ns
from tapemill.errors import DateError, UsageError
from tapemill.vendors import Outcome, Request, WireAnswer
from tapemill.vendors.finra import FIRM_TYPES, short_interest, weekly_summary
from tapemill.vendors.finra.requests import query_body

WEEK = date(2023, 11, 6)
QUERY = weekly_summary(WEEK, WEEK)
LATE = eastern_ns(date(2024, 3, 1), 12)


def week_row(symbol="AAPL", kind="ATS_W_SMBL", **changes):
    fields = {
        "issueSymbolIdentifier": symbol,
        "issueName": "Apple Inc. Common Stock",
        "firmCRDNumber": None,
        "MPID": None,
        "marketParticipantName": None,
        "tierIdentifier": "T1",
        "tierDescription": "NMS Tier 1",
        "summaryStartDate": "2023-11-06",
        "weekStartDate": "2023-11-06",
        "totalWeeklyShareQuantity": 17869268,
        "totalWeeklyTradeCount": 156475,
        "totalNotionalSum": 2045218749.5,
        "lastReportedDate": "2023-11-10",
        "initialPublishedDate": "2023-11-27",
        "lastUpdateDate": "2023-11-27",
        "productTypeCode": "UTP",
        "summaryTypeCode": kind,
    }
    return fields | changes


def rows(*content, total=None, **headers):
    known = {"record-total": str(len(content) if total is None else total), **headers}
    return WireAnswer(200, known, json.dumps(content).encode())


# --- questions --------------------------------------------------------------------------------


def test_a_weekly_question_names_its_level_and_its_weeks() -> None:
    request = weekly_summary(WEEK, date(2023, 11, 13), offset=5000, symbol="BRK B")
    assert msgspec.json.decode(request.body) == {
        "limit": 5000,
        "offset": 5000,
        "dateRangeFilters": [
            {"fieldName": "weekStartDate", "startDate": "2023-11-06", "endDate": "2023-11-13"}
        ],
        "domainFilters": [{"fieldName": "summaryTypeCode", "values": ["ATS_W_SMBL", "OTC_W_SMBL"]}],
        "compareFilters": [
            {
                "fieldName": "issueSymbolIdentifier",
                "compareType": "EQUAL",
                "fieldValue": "BRK B",
            }
        ],
    }
    assert (request.method, request.page, request.symbol) == ("POST", 2, "BRK B")
    assert request.path == "/data/group/otcMarket/name/weeklySummary"
    assert Request.from_json(request.to_json()) == request


def test_firm_rows_are_another_listing() -> None:
    assert weekly_summary(WEEK, WEEK, FIRM_TYPES).symbol == "*firms"
    assert weekly_summary(WEEK, WEEK, FIRM_TYPES, symbol="KO").symbol == "*firmsKO"
    assert weekly_summary(WEEK, WEEK, FIRM_TYPES).key != QUERY.key


@pytest.mark.parametrize(
    "types", [(), ("ATS_W_SMBL", "ATS_W_SMBL_FIRM"), ("ATS_W_VOL_STATS",), ("ats_w_smbl",)]
)
def test_levels_are_never_mixed(types) -> None:
    with pytest.raises(UsageError, match="summary types"):
        weekly_summary(WEEK, WEEK, types)


def test_weeks_are_named_by_mondays() -> None:
    with pytest.raises(DateError, match="Mondays"):
        weekly_summary(WEEK, date(2023, 11, 14))
    with pytest.raises(DateError):
        weekly_summary(WEEK, date(2023, 10, 30))
    with pytest.raises(DateError):
        weekly_summary(WEEK, WEEK, offset=500_001)


def test_a_question_for_short_interest() -> None:
    body = msgspec.json.decode(short_interest(date(2024, 1, 1), date(2024, 1, 12)).body)
    assert body == {
        "limit": 5000,
        "offset": 0,
        "dateRangeFilters": [
            {"fieldName": "settlementDate", "startDate": "2024-01-01", "endDate": "2024-01-12"}
        ],
    }


@pytest.mark.parametrize(
    "change",
    [
        {"orFilters": []},
        {"limit": 10_000},
        {"limit": 0},
        {"domainFilters": [{"fieldName": "summaryTypeCode", "fieldValues": ["ATS_W_SMBL"]}]},
        {"domainFilters": [{"fieldName": "summaryTypeCode", "values": []}]},
        {"compareFilters": [{"fieldName": "a", "compareType": "EQUALS", "fieldValue": "b"}]},
        {"dateRangeFilters": [{"fieldName": "weekStartDate", "start": "2023-11-06"}]},
    ],
)
def test_keys_that_the_vendor_would_ignore_are_never_sent(change) -> None:
    """The vendor answers 200 with the first 5,000 rows of everything."""
    with pytest.raises(UsageError, match="ignore or cut"):
        query_body({"limit": 5000, "offset": 0} | change)


# --- answers ----------------------------------------------------------------------------------


def test_a_week_becomes_rows(ask) -> None:
    answer = ask(QUERY, rows(week_row(), week_row(kind="OTC_W_SMBL")), now_ns=LATE)
    assert (answer.outcome, answer.source, answer.drift) == (Outcome.DATA, "finra.api", [])
    assert answer.frame["shares"].to_list() == [17869268, 17869268]
    assert answer.frame["summary_type"].to_list() == ["ATS_W_SMBL", "OTC_W_SMBL"]
    assert answer.frame["week_start"].to_list() == [WEEK, WEEK]
    assert answer.frame["last_update_date"].to_list() == [date(2023, 11, 27)] * 2
    assert answer.rejected is None and answer.next is None


@pytest.mark.parametrize("number", [104143, "104143"])
def test_a_firms_number_is_a_name_bare_or_quoted(ask, number) -> None:
    query = weekly_summary(WEEK, WEEK, FIRM_TYPES)
    firm = week_row(kind="ATS_W_SMBL_FIRM", MPID="UBSA", firmCRDNumber=number)
    answer = ask(query, rows(firm), now_ns=LATE)
    assert (answer.outcome, answer.drift) == (Outcome.DATA, [])
    assert answer.frame["firm_crd"].to_list() == ["104143"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (week_row(kind="ATS_W_SMBL_FIRM", MPID="UBSA"), "ATS_W_SMBL_FIRM"),
        (week_row(weekStartDate="2023-10-30"), "2023-10-30"),
    ],
)
def test_rows_that_were_not_asked_for_are_refused(ask, row, words) -> None:
    answer = ask(QUERY, rows(row), now_ns=LATE)
    assert answer.outcome is Outcome.BAD_ANSWER
    assert "filter ignored" in answer.reason and words in answer.reason


def test_another_symbol_than_the_one_asked_for_is_refused(ask) -> None:
    query = weekly_summary(WEEK, WEEK, symbol="KO")
    answer = ask(query, rows(week_row()), now_ns=LATE)
    assert answer.outcome is Outcome.BAD_ANSWER and "KO alone" in answer.reason


def many(count):
    return [week_row(symbol=f"S{number:04d}") for number in range(count)]


def test_5001_rows_are_two_pages(ask) -> None:
    listing = many(5001)
    first = ask(QUERY, rows(*listing[:5000], total=5001), now_ns=LATE)
    assert first.frame.height == 5000
    assert msgspec.json.decode(first.next.body)["offset"] == 5000
    assert first.next.page == 2 and first.next.promised("record_total") == "5001"
    second = ask(first.next, rows(listing[5000], total=5001), now_ns=LATE)
    assert second.next is None and second.frame.height == 1
    for wrong in (5000, 5002):
        changed = ask(first.next, rows(listing[5000], total=wrong), now_ns=LATE)
        assert changed.outcome is Outcome.BAD_ANSWER and "changed" in changed.reason
    missing = ask(first.next, WireAnswer(204, {"record-total": "5001"}, b""), now_ns=LATE)
    assert missing.outcome is Outcome.BAD_ANSWER and "promised" in missing.reason


def test_a_page_that_is_neither_full_nor_the_last_is_refused(ask) -> None:
    short = ask(QUERY, rows(*many(3), total=5001), now_ns=LATE)
    assert short.outcome is Outcome.BAD_ANSWER and "5000 were due" in short.reason
    # The server may cut earlier and say so; or at 3 MB.
    told = ask(QUERY, rows(*many(3), total=5001, **{"record-limit": "3"}), now_ns=LATE)
    assert told.outcome is Outcome.DATA and told.next is not None
    heavy = [week_row(symbol=f"S{n}", issueName="N" * 1000) for n in range(2000)]
    large = ask(QUERY, rows(*heavy, total=5001), now_ns=LATE)
    assert large.outcome is Outcome.DATA
    assert msgspec.json.decode(large.next.body)["offset"] == 2000


@pytest.mark.parametrize(
    "wire", [WireAnswer(204, {}, b""), WireAnswer(200, {"record-total": "0"}, b"")]
)
def test_nothing_before_publication_is_no_answer(ask, wire) -> None:
    early = ask(QUERY, wire, now_ns=eastern_ns(date(2023, 11, 27), 17))
    assert early.outcome is Outcome.TRANSIENT and "not yet published" in early.reason
    assert ask(QUERY, wire, now_ns=LATE).outcome is Outcome.CONFIRMED_EMPTY
    interest = short_interest(date(2024, 1, 1), date(2024, 1, 12))
    soon = ask(interest, wire, now_ns=eastern_ns(date(2024, 1, 23), 18))
    assert soon.outcome is Outcome.TRANSIENT and "2024-01-12" in soon.reason
    assert ask(interest, wire, now_ns=LATE).outcome is Outcome.CONFIRMED_EMPTY


def test_a_cut_body_confirms_nothing(ask) -> None:
    assert ask(QUERY, WireAnswer(200, {}, b""), now_ns=LATE).outcome is Outcome.BAD_ANSWER


def test_positions_become_rows(ask) -> None:
    query = short_interest(date(2026, 9, 1), date(2026, 9, 15))
    sample = {
        "symbolCode": "AAPL",
        "daysToCoverQuantity": 2.85,
        "previousShortPositionQuantity": 139749097,
        "averageDailyVolumeQuantity": 45135477,
        "changePercent": -7.87,
        "currentShortPositionQuantity": 128753092,
        "settlementDate": "2026-09-15",
    }
    answer = ask(query, rows(sample), now_ns=eastern_ns(date(2026, 10, 1), 12))
    assert (answer.outcome, answer.drift) == (Outcome.DATA, [])
    (row,) = answer.frame.select(
        "symbol", "settlement_date", "short_interest", "average_daily_volume", "days_to_cover"
    ).rows()
    assert row == ("AAPL", date(2026, 9, 15), 128753092, 45135477, 2.85)
