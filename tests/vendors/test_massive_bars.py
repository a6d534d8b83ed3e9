"""Aggregates: every trap of the vendor, from bytes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from tapemill.contracts import contract
from tapemill.vendors import Outcome, WireAnswer
from tapemill.vendors.massive import daily_bars, grouped_daily, minute_bars

START, END = date(2024, 1, 2), date(2024, 1, 3)
MINUTES = minute_bars("SPY", START, END)
PROVENANCE = {"source", "raw_sha256", "request_id", "ts_recv", "known_at"}


def bronze_columns(name):
    return {n: t for n, t in contract(name).schema.items() if n not in PROVENANCE}


def test_a_page_becomes_bronze_rows(ask, page, bar) -> None:
    rows = [bar(0), bar(1, v=9099.618093, dv="9099.618093"), bar(2, vw=..., n=..., otc=True)]
    answer = ask(MINUTES, page(rows))
    assert (answer.outcome, answer.source, answer.request_id) == ("data", "massive.rest", "abc")
    assert answer.frame.schema == bronze_columns(MINUTES.dataset)
    assert answer.rejected is None and answer.drift == [] and answer.next is None
    assert answer.frame["ts_event"].to_list() == [
        1704205800000000000, 1704205860000000000, 1704205920000000000
    ]  # fmt: skip
    assert answer.frame["ts"][0] == datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    assert answer.frame["session"].unique().to_list() == [START]
    assert answer.frame["month"].unique().to_list() == ["2024-01"]
    assert answer.frame["volume"].to_list() == [1000.0, 9099.618093, 1002.0]
    assert answer.frame["decimal_volume"].to_list() == [None, "9099.618093", None]
    assert answer.frame["vwap"].to_list() == [470.05, 470.05, None]
    assert answer.frame["trades"].to_list() == [12, 12, None]
    assert answer.frame["otc"].to_list() == [None, None, True]
    assert answer.frame["ordinal"].to_list() == [0, 1, 2]
    assert not answer.frame["adjusted"].any()


def test_an_evening_bar_belongs_to_its_new_york_date(ask, page, bar) -> None:
    # 19:59 New York of the 2nd is already the 3rd in UTC.
    answer = ask(minute_bars("SPY", START, START), page([bar(629)]))
    assert answer.frame["ts"][0] == datetime(2024, 1, 3, 0, 59, tzinfo=UTC)
    assert answer.frame["session"][0] == START


def test_delayed_is_data(ask, page, bar) -> None:
    assert ask(MINUTES, page([bar()], status="DELAYED")).outcome is Outcome.DATA


@pytest.mark.parametrize("rows", [None, []])
def test_results_count_zero_confirms_emptiness(ask, page, rows) -> None:
    answer = ask(MINUTES, page(rows))
    assert (answer.outcome, answer.frame) == (Outcome.CONFIRMED_EMPTY, None)


def test_missing_results_without_a_count_confirm_nothing(ask, page) -> None:
    answer = ask(MINUTES, page(None, resultsCount=..., queryCount=..., count=...))
    assert answer.outcome is Outcome.BAD_ANSWER
    assert "nobody confirms" in answer.reason


def test_an_empty_page_before_others_is_not_the_end(ask, page) -> None:
    url = "https://api.massive.com/v2/aggs/ticker/SPY/range/1/minute/1/2?cursor=x"
    answer = ask(MINUTES, page([], next_url=url))
    assert answer.outcome is Outcome.DATA and answer.next is not None


def test_adjusted_though_unadjusted_was_asked(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar()], adjusted=True))
    assert answer.outcome is Outcome.BAD_ANSWER and "split-adjusted" in answer.reason
    silent = ask(MINUTES, page([bar()], adjusted=...))
    assert silent.outcome is Outcome.BAD_ANSWER and "adjusted" in silent.reason


def test_completion_reported_with_records_missing(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar()], resultsCount=2))
    assert answer.outcome is Outcome.BAD_ANSWER
    assert "records missing: resultsCount 2, rows 1" in answer.reason


@pytest.mark.parametrize("minute", [-1440, 2880])
def test_an_ignored_window_names_what_came_instead(ask, page, bar, minute) -> None:
    answer = ask(MINUTES, page([bar(0), bar(minute)]))
    assert answer.outcome is Outcome.BAD_ANSWER
    assert "asked for 2024-01-02 to 2024-01-03" in answer.reason


def test_an_answer_for_another_ticker(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar()], ticker="SPYG"))
    assert answer.outcome is Outcome.BAD_ANSWER and "SPYG" in answer.reason


def test_disorder_is_noted_and_kept(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar(1), bar(0)]))
    assert answer.outcome is Outcome.DATA and answer.frame.height == 2
    assert "out of order" in answer.notes[0]


def test_exact_repeats_stay_and_contradictions_go(ask, page, bar) -> None:
    rows = [bar(0), bar(0), bar(1), bar(1, c=470.15), bar(2)]
    answer = ask(MINUTES, page(rows))
    assert answer.frame["ordinal"].to_list() == [0, 1, 4]
    assert answer.rejected["ordinal"].to_list() == [2, 3]
    assert answer.rejected["reasons"].unique().to_list() == ["conflicting_bar"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"o": None}, "null_open"),
        ({"o": ...}, "null_open"),
        ({"o": "470.0"}, "o_not_number"),
        ({"c": True}, "c_not_number"),
        ({"c": -1.0, "l": -1.0}, "price_not_positive"),
        ({"l": 480.0}, "low_above_body"),
        ({"h": 460.0}, "high_below_body"),
        ({"v": -5}, "volume_negative"),
        ({"t": 1704205860000.5}, "t_not_integer"),
        ({"t": 1704205860}, "t_not_milliseconds"),
        ({"t": 1704205860000000000}, "t_not_milliseconds"),
        ({"t": 10**30}, "t_not_integer"),
        ({"n": "12"}, "n_not_integer"),
        ({"otc": 1}, "otc_not_flag"),
        ({"dv": 12.5}, "dv_not_text"),
    ],
)
def test_a_broken_row_goes_and_the_page_stays(ask, page, bar, changes, reason) -> None:
    rows = [bar(0, otc=True, dv="1000"), bar(1, **changes), bar(2)]
    answer = ask(MINUTES, page(rows))
    assert answer.outcome is Outcome.DATA
    assert answer.frame["ordinal"].to_list() == [0, 2]
    assert answer.rejected["ordinal"].to_list() == [1]
    assert reason in answer.rejected["reasons"][0].split(";")
    assert json.loads(answer.rejected["row"][0])["h"] == changes.get("h", 470.2)


@pytest.mark.parametrize("absurd", ["1" + "0" * 400, "[" * 5_000 + "]" * 5_000])
def test_absurd_values_are_a_bad_answer_and_no_crash(ask, page, bar, absurd) -> None:
    body = page([bar(0)]).body.replace(b'"v": 1000', b'"v": ' + absurd.encode())
    assert absurd.encode() in body
    assert ask(MINUTES, WireAnswer(200, {}, body)).outcome is Outcome.BAD_ANSWER


def test_rows_that_are_no_objects_go_to_quarantine(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar(0), 7, None]))
    assert answer.frame.height == 1
    assert answer.rejected["reasons"].to_list() == ["row_not_an_object"] * 2


def test_a_page_of_broken_rows_alone_is_no_emptiness(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar(0, o=None)]))
    assert answer.outcome is Outcome.DATA
    assert answer.frame.height == 0 and answer.rejected.height == 1


@pytest.mark.parametrize(
    ("rename", "kind", "field", "blocks"),
    [
        ({"c": ..., "close": 470.1}, "missing", "c", True),
        ({"c": "470.1"}, "retyped", "c", True),
        ({"t": 1704205800}, "unit_change", "t", True),
        ({"zz": 1}, "new", "zz", False),
        ({"c": None}, "all_null", "c", False),
    ],
)
def test_schema_drift_is_named(ask, page, bar, rename, kind, field, blocks) -> None:
    answer = ask(MINUTES, page([bar(0, **rename), bar(0 if "t" in rename else 1, **rename)]))
    assert (kind, field) in [(d.kind, d.field) for d in answer.drift]
    assert (answer.outcome is Outcome.BAD_ANSWER) is blocks
    if blocks:
        assert field in answer.reason


def test_a_new_field_keeps_every_row(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar(0), bar(1, zz=[1])]))
    assert answer.frame.height == 2 and answer.rejected is None


def test_a_retyped_envelope_field_blocks(ask, page, bar) -> None:
    answer = ask(MINUTES, page([bar()], resultsCount="1"))
    assert answer.outcome is Outcome.BAD_ANSWER and "results_count" in answer.reason


def test_a_long_page_with_rare_fields_is_read_whole(ask, page, bar) -> None:
    # Longer than several slices; the rare field and a brace inside text come far down.
    rows = [bar(m, vw=... if m % 7 == 0 else 470.05) for m in range(2000)]
    rows[1900]["dv"] = '2900.5"},{"'
    answer = ask(minute_bars("SPY", START, date(2024, 1, 4)), page(rows))
    assert answer.outcome is Outcome.DATA and answer.rejected is None
    assert answer.frame["volume"].to_list() == [float(row["v"]) for row in rows]
    assert answer.frame["vwap"].to_list() == [row.get("vw") for row in rows]
    assert answer.frame["decimal_volume"][1900] == '2900.5"},{"'
    assert answer.frame["decimal_volume"].null_count() == 1999


def test_daily_bars_start_at_midnight_new_york(ask, page, bar) -> None:
    request = daily_bars("SPY", START, END)
    answer = ask(request, page([bar(t=1704171600000), bar(t=1704258000000)]))
    assert answer.frame["session"].to_list() == [START, END]
    assert answer.frame["ts_event"].to_list() == [1704171600000000000, 1704258000000000000]
    assert answer.frame["year"].to_list() == [2024, 2024]
    assert answer.frame.schema == bronze_columns(request.dataset)


def test_grouped_days_are_stamped_at_the_close_and_land_at_midnight(ask, page, bar) -> None:
    rows = [bar(t=1704229200000, T="SPY"), bar(t=1704229200000, T="BRK.A", v=12.5)]
    answer = ask(grouped_daily(START), page(rows, ticker=...))
    assert answer.outcome is Outcome.DATA
    assert answer.frame["symbol"].to_list() == ["SPY", "BRK.A"]
    assert answer.frame["session"].unique().to_list() == [START]
    assert answer.frame["ts_event"].unique().to_list() == [1704171600000000000]


def test_a_grouped_day_of_another_date_is_refused(ask, page, bar) -> None:
    answer = ask(grouped_daily(END), page([bar(t=1704229200000, T="SPY")], ticker=...))
    assert answer.outcome is Outcome.BAD_ANSWER and "2024-01-02" in answer.reason


def test_a_holiday_is_a_confirmed_nothing(ask, page) -> None:
    holiday = grouped_daily(date(2024, 1, 1))
    assert ask(holiday, page(None, ticker=...)).outcome is Outcome.CONFIRMED_EMPTY
    absent = page(None, ticker=..., resultsCount=..., count=...)
    assert ask(holiday, absent).outcome is Outcome.BAD_ANSWER


def test_a_grouped_day_that_repeats_a_symbol_with_other_numbers(ask, page, bar) -> None:
    rows = [
        bar(t=1704229200000, T="A"),
        bar(t=1704229200000, T="A", v=1),
        bar(t=1704229200000, T="B"),
    ]
    answer = ask(grouped_daily(START), page(rows, ticker=...))
    assert answer.frame["symbol"].to_list() == ["B"]
    assert answer.rejected["symbol"].to_list() == ["A", "A"]


def test_an_old_empty_window_carries_a_note(ask, page) -> None:
    answer = ask(minute_bars("SPY", date(2021, 1, 4), date(2021, 1, 8)), page(None))
    assert answer.outcome is Outcome.CONFIRMED_EMPTY
    assert "1148 days ago" in answer.notes[0]


def test_interpreting_twice_gives_the_same_frame(ask, page, bar) -> None:
    rows = [bar(m) for m in range(50)]
    first, second = ask(MINUTES, page(rows)), ask(MINUTES, page(rows))
    assert first.frame.equals(second.frame)


def test_the_frame_agrees_with_an_independent_reading(ask, page, bar) -> None:
    rows = [bar(m, o=470 + m / 64, h=600.0, l=400.0) for m in range(390)]
    answer = ask(MINUTES, page(rows))
    plain = pl.DataFrame(rows).select(open="o", ts_event=pl.col("t") * 1_000_000)
    assert answer.frame.select("open", "ts_event").equals(plain)


@pytest.mark.real
def test_the_vendors_own_examples(ask, real_data) -> None:
    mocks = real_data / "polygon" / "mocks" / "v2" / "aggs"
    body = (mocks / "ticker/AAPL/range/1/day/2005-04-01/2005-04-04.json").read_bytes()
    request = daily_bars("AAPL", date(2005, 4, 1), date(2005, 4, 4))
    refused = ask(request, body)
    assert refused.outcome is Outcome.BAD_ANSWER and "split-adjusted" in refused.reason
    answer = ask(request, body.replace(b'"adjusted": true', b'"adjusted": false'))
    assert answer.outcome is Outcome.DATA
    assert answer.frame["session"].to_list() == [date(2005, 4, 1), date(2005, 4, 4)]
    assert answer.frame["volume"].to_list() == [642646396.0, 578172308.0]

    example = real_data / "polygon/examples-rest/v2_aggs_grouped_locale_us_market_stocks_date.json"
    body = example.read_bytes().replace(b'"adjusted": true', b'"adjusted": false')
    grouped = ask(grouped_daily(date(2020, 10, 14)), body)
    assert grouped.frame["symbol"].to_list() == ["KIMpL", "TANH", "VSAT"]
    assert grouped.frame["volume"].to_list() == [4369.0, 25933.6, 312583.0]


def test_a_cut_content_length_is_transient(ask, page, bar) -> None:
    whole = page([bar()])
    cut = dataclasses.replace(whole, headers={"content-length": str(len(whole.body) + 9)})
    answer = ask(MINUTES, cut)
    assert answer.outcome is Outcome.TRANSIENT and "cut transfer" in answer.reason
    packed = {**cut.headers, "content-encoding": "gzip"}
    assert ask(MINUTES, WireAnswer(200, packed, whole.body)).outcome is Outcome.DATA
