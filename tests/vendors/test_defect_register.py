"""Defects of earlier systems, one named test each (ssot: section 2.4 and W list; options: 22)."""

from __future__ import annotations

import json
from datetime import date

import pytest

from tapemill.errors import ConfigError
from tapemill.secrets import Secret
from tapemill.settings import load_settings
from tapemill.vendors import Outcome, WireAnswer, headers
from tapemill.vendors.finra import reg_sho_daily, short_volume_file
from tapemill.vendors.massive import dividends, minute_bars, splits, tickers

DAY = date(2024, 1, 2)
MINUTES = minute_bars("SPY", DAY, DAY)


def test_w3_minute_bars_keep_their_time_of_day(ask, page, bar) -> None:
    frame = ask(MINUTES, page([bar(0), bar(1), bar(2)])).frame
    assert frame["ts_event"].n_unique() == 3


def test_w4_adjusted_bars_never_mix_with_raw_ones(ask, page, bar) -> None:
    assert dict(MINUTES.params)["adjusted"] == "false"
    assert ask(MINUTES, page([bar()], adjusted=True)).frame is None


def test_w12_a_throttle_inside_http_200_is_not_the_absence_of_splits(ask) -> None:
    body = b'{"Note":"Our standard API call frequency is 5 calls per minute and 500 per day."}'
    answer = ask(splits(DAY, DAY), body)
    assert answer.outcome is Outcome.RATE_LIMITED


def test_ssot_24_the_default_limit_does_not_cut_minutes() -> None:
    assert dict(MINUTES.params)["limit"] == "50000"


def test_ssot_24_next_url_is_never_passed_as_a_cursor(ask) -> None:
    url = "https://api.massive.com/v3/reference/tickers?cursor=YWN0aXZl"
    body = json.dumps({"status": "OK", "results": [{"ticker": "A"}], "next_url": url}).encode()
    following = ask(tickers(DAY), body).next
    assert following.params == (("cursor", "YWN0aXZl"),)
    assert following.path == "/v3/reference/tickers"


def test_ssot_24_a_reverse_split_keeps_its_direction(ask) -> None:
    row = {"ticker": "X", "execution_date": "2024-01-02", "split_from": 10, "split_to": 1}
    frame = ask(splits(DAY, DAY), json.dumps({"status": "OK", "results": [row]}).encode()).frame
    assert frame["split_to"][0] / frame["split_from"][0] == 0.1
    fraction = {**row, "split_from": 0.5, "split_to": 1}
    frame = ask(
        splits(DAY, DAY), json.dumps({"status": "OK", "results": [fraction]}).encode()
    ).frame
    assert frame["split_to"][0] / frame["split_from"][0] == 2.0


def test_ssot_24_the_text_none_as_a_dividend_date_does_not_crash(ask) -> None:
    row = {"ticker": "X", "ex_dividend_date": "2024-01-02", "cash_amount": 1, "pay_date": "None"}
    body = json.dumps({"status": "OK", "results": [row]}).encode()
    assert ask(dividends(DAY, DAY), body).frame["pay_date"].to_list() == [None]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 0])
def test_options_22_1_a_failure_is_never_an_empty_day(ask, status) -> None:
    for request in (MINUTES, reg_sho_daily(DAY, DAY)):
        assert not ask(
            request, WireAnswer(status, {}, b"", "" if status else "reset")
        ).outcome.completes


def test_options_22_1_a_holiday_an_outage_and_a_throttle_are_three_answers(ask, page) -> None:
    outcomes = {
        ask(MINUTES, page(None)).outcome,
        ask(MINUTES, WireAnswer(503, {}, b"")).outcome,
        ask(MINUTES, WireAnswer(429, {}, b"")).outcome,
    }
    assert len(outcomes) == 3


def test_options_22_11_unknown_is_null_and_never_zero(ask, page, bar) -> None:
    frame = ask(MINUTES, page([bar(0, vw=..., n=...)])).frame
    assert frame["vwap"].to_list() == [None] and frame["trades"].to_list() == [None]


def test_field_map_24_a_fraction_is_not_turned_into_zero(ask) -> None:
    body = (
        b"Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market\n"
        b"20240102|A|0.5|0|1.25|Q\n1\n"
    )
    frame = ask(short_volume_file(DAY), body).frame
    assert [str(value) for value in frame.row(0)[2:5]] == ["0.500000", "0.000000", "1.250000"]


def test_field_map_24_a_volume_that_is_no_integer_survives(ask, page, bar) -> None:
    assert ask(MINUTES, page([bar(v=9099.618093)])).frame["volume"].to_list() == [9099.618093]


# --- credentials ------------------------------------------------------------------------------


def test_the_key_travels_in_a_header_and_nowhere_else() -> None:
    settings = load_settings(env={"MASSIVE_API_KEY": "CANARY-KEY-1234"})
    sent = headers(MINUTES, settings)
    assert sent["authorization"] == "Bearer CANARY-KEY-1234"
    assert b"CANARY" not in MINUTES.to_json()
    assert "authorization" not in headers(short_volume_file(DAY), settings)
    query = reg_sho_daily(DAY, DAY)
    assert "authorization" not in headers(query, settings)
    token = Secret("CANARY-TOKEN-1", "finra.access_token")
    assert headers(query, settings, token)["authorization"] == "Bearer CANARY-TOKEN-1"


def test_without_a_key_the_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="key of Massive") as caught:
        headers(MINUTES, load_settings(env={}))
    assert "MASSIVE_API_KEY" in caught.value.next_step
