"""Splits, dividends, tickers and holidays."""

from __future__ import annotations

import json
from datetime import date

import pytest

from tapemill.contracts import contract
from tapemill.vendors import Outcome
from tapemill.vendors.massive import dividends, market_status, splits, tickers

SPLITS = splits(date(2020, 1, 1), date(2024, 12, 31))
DIVIDENDS = dividends(date(2020, 1, 1), date(2024, 12, 31), "SPY")


def listing(*rows, **envelope) -> bytes:
    return json.dumps({"status": "OK", "request_id": "q", "results": rows, **envelope}).encode()


def split(**changes):
    row = {"ticker": "AAPL", "execution_date": "2020-08-31", "split_from": 1, "split_to": 4}
    return row | changes


def dividend(**changes):
    row = {
        "ticker": "SPY", "ex_dividend_date": "2024-03-15", "cash_amount": 1.594937,
        "declaration_date": "2024-01-02", "record_date": "2024-03-18", "pay_date": "2024-04-30",
        "frequency": 4, "dividend_type": "CD", "currency": "USD", "id": "E1",
    }  # fmt: skip
    return {name: value for name, value in (row | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("old", "new"), [(1, 4), (10, 1), (1000, 997.5), (1, 1.05), (8, 1), (0.5, 1)]
)
def test_the_direction_of_a_split_is_kept_in_two_columns(ask, old, new) -> None:
    answer = ask(SPLITS, listing(split(split_from=old, split_to=new)))
    row = answer.frame.row(0, named=True)
    assert (row["split_from"], row["split_to"]) == (float(old), float(new))
    assert (row["symbol"], row["ex_date"], row["year"]) == ("AAPL", date(2020, 8, 31), 2020)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split_from": 0}, "split_from_not_positive"),
        ({"split_to": -1}, "split_to_not_positive"),
        ({"split_to": None}, "null_split_to"),
        ({"split_from": "10"}, "split_from_not_number"),
        ({"execution_date": "31/08/2020"}, "execution_date_not_a_date"),
        ({"execution_date": "2020-02-30"}, "execution_date_not_a_date"),
        ({"execution_date": None}, "null_ex_date"),
        ({"execution_date": ""}, "null_ex_date"),
        ({"ticker": None}, "null_symbol"),
    ],
)
def test_a_senseless_split_goes_to_quarantine(ask, changes, reason) -> None:
    answer = ask(SPLITS, listing(split(), split(**changes)))
    assert answer.outcome is Outcome.DATA and answer.frame.height == 1
    assert reason in answer.rejected["reasons"][0]
    assert json.loads(answer.rejected["row"][0]).keys() >= {"ticker", "split_to"}


@pytest.mark.parametrize("missing", ["None", "none", "", None, ..., "0000-00-00"])
def test_a_dividend_without_optional_dates_is_kept(ask, missing) -> None:
    changes = dict.fromkeys(("declaration_date", "record_date", "pay_date"), missing)
    answer = ask(DIVIDENDS, listing(dividend(**changes)))
    row = answer.frame.row(0, named=True)
    assert row["cash_amount"] == 1.594937 and row["ex_date"] == date(2024, 3, 15)
    assert row["declaration_date"] is row["record_date"] is row["pay_date"] is None


def test_a_garbled_dividend_date_is_set_aside(ask) -> None:
    answer = ask(DIVIDENDS, listing(dividend(), dividend(pay_date="April")))
    assert answer.frame.height == 1
    assert answer.rejected["reasons"].to_list() == ["pay_date_not_a_date"]
    assert answer.rejected["symbol"].to_list() == ["SPY"]


def test_an_empty_list_with_an_ok_status_is_confirmed(ask) -> None:
    assert ask(SPLITS, listing()).outcome is Outcome.CONFIRMED_EMPTY
    assert ask(SPLITS, b'{"status":"OK","count":0}').outcome is Outcome.CONFIRMED_EMPTY
    assert ask(SPLITS, b'{"status":"OK"}').outcome is Outcome.BAD_ANSWER


def test_a_count_that_contradicts_the_rows(ask) -> None:
    answer = ask(SPLITS, listing(split(), count=2))
    assert answer.outcome is Outcome.BAD_ANSWER and "records missing" in answer.reason


def test_a_filter_that_was_ignored_is_named(ask) -> None:
    answer = ask(DIVIDENDS, listing(dividend(ticker="QQQ")))
    assert answer.outcome is Outcome.BAD_ANSWER and "QQQ" in answer.reason
    answer = ask(SPLITS, listing(split(execution_date="2005-02-28")))
    assert answer.outcome is Outcome.BAD_ANSWER and "window ignored" in answer.reason


def test_tickers_carry_the_date_asked_for(ask) -> None:
    row = {
        "ticker": "A",
        "name": "Agilent",
        "active": True,
        "cik": "0001090872",
        "list_date": "1999-11-18",
    }
    answer = ask(tickers(date(2024, 3, 1)), listing(row, {"ticker": "brk.b"}))
    assert answer.frame["symbol"].to_list() == ["A", "brk.b"]
    assert answer.frame["session"].to_list() == [date(2024, 3, 1)] * 2
    assert answer.frame["list_date"].to_list() == [date(1999, 11, 18), None]
    assert answer.frame["cik"][0] == "0001090872"
    assert set(answer.frame.columns) < set(contract("bronze.massive_tickers").schema)


@pytest.mark.real
def test_the_vendors_own_listings(ask, real_data) -> None:
    mocks = real_data / "polygon" / "mocks"
    wide = (date(1990, 1, 1), date(2026, 12, 31))
    answer = ask(splits(*wide), (mocks / "v3/reference/splits.json").read_bytes())
    assert answer.outcome is Outcome.DATA and answer.rejected is None
    google = answer.frame.filter(symbol="GOOG").row(0, named=True)
    assert (google["split_from"], google["split_to"]) == (1.0, 20.0)
    answer = ask(dividends(*wide), (mocks / "v3/reference/dividends.json").read_bytes())
    assert answer.outcome is Outcome.DATA and answer.rejected is None
    first = ask(tickers(date(2022, 4, 27)), (mocks / "v3/reference/tickers.json").read_bytes())
    assert first.outcome is Outcome.DATA and first.next.page == 2
    status = ask(market_status(), (mocks / "v1/marketstatus/upcoming.json").read_bytes())
    assert status.outcome is Outcome.DATA
    assert set(status.frame["status"]) == {"closed", "early-close"}
    example = real_data / "polygon/examples-rest/v1_marketstatus_upcoming.json"
    early = ask(market_status(), example.read_bytes()).frame.filter(status="early-close")
    assert early["session"].unique().to_list() == [date(2020, 11, 27)]
    assert early["close"].unique().to_list() == ["2020-11-27T18:00:00.000Z"]


def test_the_delisted_follow_the_listed_across_pages(ask) -> None:
    day = date(2024, 3, 1)
    url = "https://api.massive.com/v3/reference/tickers?cursor=YWN0aXZl"
    first = ask(tickers(day), listing({"ticker": "AAA"}, next_url=url))
    assert dict(first.next.params) == {"cursor": "YWN0aXZl"}
    last = ask(first.next, listing({"ticker": "BBB"}))
    assert dict(last.next.params)["active"] == "false"
    assert last.next.page == 3
    dead = ask(last.next, listing({"ticker": "OLD", "active": False}))
    assert dead.outcome is Outcome.DATA
    assert dead.next is None
