"""The interest block of gold.flow_daily: the newest settlement that an evening knows."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from flow.evening_market import Market, interest_row, sessions_to
from tapemill.flow.daily import daily_rows
from tapemill.flow.evening import evening_of
from tapemill.settings.declaration import FlowSettings

LAST = date(2025, 10, 31)
DAYS = sessions_to(LAST, 100)
SEPTEMBER, OCTOBER = date(2025, 9, 30), date(2025, 10, 15)


def rows(market: Market, *evenings: date) -> pl.DataFrame:
    made = daily_rows(market.inputs(list(evenings)), FlowSettings())
    return made.filter(pl.col("symbol") == "AAA")


@pytest.fixture
def market() -> Market:
    return Market.random(("AAA", "BBB"), DAYS)


def test_a_settlement_shows_from_its_publication_on(market) -> None:
    market.interest = [
        interest_row("AAA", SEPTEMBER, 1e6, previous_short_interest="800000", days_to_cover=2.5),
        interest_row("AAA", OCTOBER, 1.5e6, previous_short_interest="1000000"),
    ]
    found = rows(market, *(day for day in DAYS if day >= SEPTEMBER))
    # Nine business days after 30 September and 15 October.
    known = [(date(2025, 10, 13), SEPTEMBER, 1e6, 0.25), (date(2025, 10, 28), OCTOBER, 1.5e6, 0.5)]
    for session, settled, position, change in found.select(
        "session", "short_interest_settlement", "short_interest", "short_interest_change_frac"
    ).iter_rows():
        seen = [fact for fact in known if fact[0] <= session]
        assert (settled, position) == (seen[-1][1:3] if seen else (None, None)), session
        assert change == (pytest.approx(seen[-1][3]) if seen else None)
    assert found["days_to_cover"].drop_nulls().unique().to_list() == [2.5]


def test_a_restatement_is_seen_from_its_own_arrival_on(market) -> None:
    moment = evening_of(date(2025, 10, 30))
    market.interest = [
        interest_row("AAA", OCTOBER, 1e6) | {"superseded_at": moment},
        interest_row("AAA", OCTOBER, 2e6) | {"known_at": moment, "version": 2},
        interest_row("AAA", SEPTEMBER, 5e6) | {"known_at": evening_of(LAST), "version": 2},
    ]
    found = rows(market, *DAYS[-3:])
    assert found["short_interest"].to_list() == [1e6, 2e6, 2e6]
    assert set(found["short_interest_settlement"]) == {OCTOBER}


def test_a_withdrawn_settlement_is_unknown_again(market) -> None:
    market.interest = [
        interest_row("AAA", OCTOBER, 1e6, superseded_at=evening_of(date(2025, 10, 30)))
    ]
    assert rows(market, *DAYS[-3:])["short_interest"].to_list() == [1e6, None, None]


def test_an_old_settlement_is_not_todays(market) -> None:
    market.interest = [interest_row("AAA", date(2025, 8, 29), 1e6)]
    found = rows(market, date(2025, 10, 30), LAST)
    assert found["short_interest"].to_list() == [1e6, None]
    assert found["short_interest_settlement"].to_list() == [date(2025, 8, 29), None]


@pytest.mark.parametrize("previous", [None, "0"])
def test_no_change_without_a_position_before(market, previous) -> None:
    market.interest = [interest_row("AAA", OCTOBER, 1e6, previous_short_interest=previous)]
    found = rows(market, LAST)
    assert found["short_interest"].item() == 1e6
    assert found["short_interest_change_frac"].item() is None


def test_a_name_without_settlements_keeps_its_row(market) -> None:
    market.interest = [interest_row("BBB", OCTOBER, 1e6)]
    found = rows(market, LAST)
    assert found.height == 1
    assert found["short_interest"].item() is None
