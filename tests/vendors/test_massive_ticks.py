"""Trades and quotes of Massive: documented answers, broken rows, changed shapes, wrong pages."""

from __future__ import annotations

import json
from datetime import date

import pytest

from tapemill.errors import DateError, UsageError
from tapemill.vendors import Outcome, WireAnswer, interpret
from tapemill.vendors.massive import TICK_LIMIT, quotes, stream_of, trades
from tapemill.vendors.massive.ticks import QUOTE, TRADE

DAY = date(2018, 2, 2)
START, END = 1_517_562_000_000_000_000, 1_517_619_600_000_000_000


def trade(place, **more):
    return {
        "conditions": [12, 37],
        "exchange": 11,
        "id": str(place),
        "participant_timestamp": START + place * 1_000,
        "price": 171.55,
        "sequence_number": 1_000 + place,
        "sip_timestamp": START + place * 1_000 + 100,
        "size": 100,
        "tape": 3,
        **more,
    }


def answer(rows, *, request=None, status=200, **more):
    body = {"results": rows, "status": "OK", "request_id": "a" * 32, **more}
    wire = WireAnswer(status, {}, json.dumps(body).encode())
    return interpret(request or trades("AAPL", DAY, START, END), wire, now_ns=END)


def test_a_question_asks_the_largest_ascending_page():
    request = quotes("BRK.B", DAY, START, END)
    assert request.path == "/v3/quotes/BRK.B"
    assert dict(request.params) == {
        "timestamp.gte": str(START),
        "timestamp.lt": str(END),
        "sort": "timestamp",
        "order": "asc",
        "limit": str(TICK_LIMIT),
    }
    assert (stream_of(request), stream_of(trades("A", DAY, START, END))) == ("quotes", "trades")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("", DAY, START, END), UsageError),
        (("BRK B", DAY, START, END), UsageError),
        (("A", DAY, END, START), DateError),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments, error):
    with pytest.raises(error):
        trades(*arguments)


@pytest.mark.real
@pytest.mark.parametrize(("ask", "name"), [(trades, "trades"), (quotes, "quotes")])
def test_the_documented_examples_are_read_without_drift(real_data, ask, name):
    body = (real_data / f"polygon/examples-rest/v3_{name}_stockTicker.json").read_bytes()
    found = interpret(ask("AAPL", DAY, START, END), WireAnswer(200, {}, body), now_ns=END)
    assert (found.outcome, found.drift, found.notes) == (Outcome.DATA, [], ())
    assert found.frame["sequence_number"].to_list() == (
        [1063, 1064] if name == "trades" else [2060, 2061]
    )
    assert found.frame["conditions"].to_list() == [[12, 41]] * 2 if name == "trades" else [[1]] * 2
    assert found.next is not None
    assert (found.next.page, found.next.path) == (2, f"/v3/{name}/AAPL")


@pytest.mark.real
@pytest.mark.parametrize(("fields", "name"), [(TRADE, "trades"), (QUOTE, "quotes")])
def test_every_documented_field_is_declared_and_no_other(real_data, fields, name):
    spec = json.loads((real_data / "polygon/openapi/massive-rest-2025-10.json").read_bytes())
    get = spec["paths"][f"/v3/{name}/{{stockTicker}}"]["get"]
    schema = get["responses"]["200"]["content"]["application/json"]["schema"]
    row = schema["properties"]["results"]["items"]
    assert {field.name for field in fields} == set(row["properties"])
    assert {field.name for field in fields if not field.optional} <= set(row["required"])


def test_ticks_come_by_time_and_sequence_whatever_their_order():
    rows = [trade(2), trade(1), trade(1, sequence_number=5, id="x"), trade(0)]
    found = answer(rows)
    assert found.frame["sequence_number"].to_list() == [1000, 5, 1001, 1002]
    assert found.notes


def test_an_empty_list_confirms_and_its_absence_does_not():
    assert answer([]).outcome is Outcome.CONFIRMED_EMPTY
    wire = WireAnswer(200, {}, b'{"status":"OK","request_id":"x"}')
    silent = interpret(trades("AAPL", DAY, START, END), wire, now_ns=END)
    assert silent.outcome is Outcome.BAD_ANSWER


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": 0}, "price_not_positive"),
        ({"price": -2.5}, "price_not_positive"),
        ({"price": "x"}, "price_not_number"),
        ({"size": -1}, "size_negative"),
        ({"conditions": ["12"]}, "conditions_not_list"),
        ({"conditions": 12}, "conditions_not_list"),
        ({"sip_timestamp": 1_517_562_000_016}, "sip_timestamp_not_ns"),
        ({"exchange": None}, "exchange_missing"),
    ],
)
def test_a_broken_print_is_set_aside_and_the_others_stay(change, reason):
    found = answer([trade(0), trade(1, **change), trade(2)])
    assert found.outcome is Outcome.DATA
    assert found.frame["sequence_number"].to_list() == [1000, 1002]
    assert found.rejected.select("ordinal", "symbol", "session", "reasons").rows() == [
        (1, "AAPL", DAY, reason)
    ]


def test_a_side_that_nobody_quotes_is_sound_and_one_below_zero_is_not():
    quote = {"participant_timestamp": START, "sequence_number": 1, "sip_timestamp": START}
    rows = [quote, {**quote, "bid_price": 5.0}, {**quote, "ask_price": -1.0}]
    found = answer(rows, request=quotes("AAPL", DAY, START, END))
    assert found.frame["bid_price"].to_list() == [None, 5.0]
    assert found.rejected["reasons"].to_list() == ["ask_price_negative"]


def test_milliseconds_stop_the_lane():
    found = answer([trade(place, sip_timestamp=1_517_562_000_016 + place) for place in range(3)])
    assert found.outcome is Outcome.BAD_ANSWER
    assert {(drift.kind, drift.field) for drift in found.drift} == {
        ("unit_change", "sip_timestamp")
    }


def test_a_new_field_is_noticed_and_a_missing_one_stops_the_lane():
    new = answer([trade(0, flavour="plain")])
    assert new.outcome is Outcome.DATA
    assert [drift.kind for drift in new.drift] == ["new"]
    missing = trade(0)
    del missing["price"]
    assert answer([missing]).outcome is Outcome.BAD_ANSWER


def test_ticks_outside_the_stretch_are_not_believed():
    found = answer([trade(0, sip_timestamp=END)])
    assert found.outcome is Outcome.BAD_ANSWER
    assert "window ignored" in found.reason


def test_a_page_that_goes_back_in_time_is_not_believed():
    first = answer([trade(0), trade(5)], next_url="https://api.massive.com/v3/trades/AAPL?cursor=c")
    assert answer([trade(5, id="z"), trade(6)], request=first.next).outcome is Outcome.DATA
    back = answer([trade(4), trade(6)], request=first.next)
    assert back.outcome is Outcome.BAD_ANSWER
    assert "goes back" in back.reason


@pytest.mark.parametrize("path", ["/v3/quotes/AAPL", "/v3/trades/MSFT", "/v3/trades"])
def test_the_next_page_may_not_lead_elsewhere(path):
    found = answer([trade(0)], next_url=f"https://api.massive.com{path}?cursor=c")
    assert found.outcome is Outcome.BAD_ANSWER


def test_a_plan_without_ticks_is_told_apart():
    body = {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}
    wire = WireAnswer(403, {}, json.dumps(body).encode())
    found = interpret(trades("AAPL", DAY, START, END), wire, now_ns=END)
    assert found.outcome is Outcome.NOT_ENTITLED
