"""The OTC block of gold.flow_daily: which week an evening knows, how old it is, what it amounts to.

Weeks: T1 is published on the Monday 21 days after the week's Monday, other tiers after 35 days.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from flow.evening_market import Market, sessions_to, week_row
from tapemill.clock import calendar
from tapemill.flow.daily import daily_rows
from tapemill.flow.evening import evening_of
from tapemill.settings.declaration import FlowSettings

FLOW = FlowSettings()
LAST = date(2025, 10, 31)
DAYS = sessions_to(LAST, 330)
WEEK = date(2025, 10, 6)
PUBLISHED = date(2025, 10, 27)
VALUES = (
    *("otc_volume", "otc_ats_volume", "otc_non_ats_volume", "otc_ats_frac"),
    *("otc_venue_concentration", "otc_average_trade_size"),
    *("otc_participation_frac", "otc_participation_percentile"),
)


def rows(market: Market, *evenings: date) -> pl.DataFrame:
    return daily_rows(market.inputs(list(evenings)), FLOW)


def row(market: Market, symbol: str = "AAA", session: date = LAST) -> dict:
    return rows(market, session).row(by_predicate=pl.col("symbol") == symbol, named=True)


def both(symbol: str, monday: date, ats: float, other: float, **facts) -> list[dict]:
    return [
        week_row(symbol, monday, "ats", ats, **facts),
        week_row(symbol, monday, "non_ats", other, **facts),
    ]


def mondays(count: int, newest: date = WEEK) -> list[date]:
    return [newest - timedelta(weeks=k) for k in reversed(range(count))]


def traded(market: Market, place: int, monday: date) -> float:
    """Consolidated volume of the week's sessions, in plain Python."""
    days = [day for day in DAYS if monday <= day <= monday + timedelta(days=4)]
    return sum(float(market.volume[place, DAYS.index(day)]) for day in days)


@pytest.fixture
def market() -> Market:
    return Market.random(("AAA", "BBB", "CCC"), DAYS)


def test_defect_5_a_week_shows_exactly_from_the_evening_of_its_publication(market) -> None:
    """Published 17 days after the week's Friday: nothing before, the value from then on."""
    assert date(2025, 10, 10) + timedelta(days=17) == PUBLISHED
    market.weeks = both("AAA", WEEK, 3e6, 5e6)
    evenings = [day for day in DAYS if day >= WEEK]
    found = rows(market, *evenings).filter(pl.col("symbol") == "AAA")
    known = found["session"] >= PUBLISHED
    assert (found["otc_status"] == "latest_known").to_list() == known.to_list()
    assert found.filter(~known)["otc_week"].null_count() == (~known).sum() == 15
    assert set(found.filter(~known)["otc_status"]) == {"none"}
    assert set(found.filter(known)["otc_volume"]) == {8e6}
    assert set(found.filter(known)["otc_published"]) == {PUBLISHED}
    assert found.filter(known)["otc_age_sessions"].to_list() == [11, 12, 13, 14, 15]


def test_a_revised_week_changes_only_the_evenings_after_its_revision(market) -> None:
    revised = date(2025, 10, 30)
    old = both("AAA", WEEK, 3e6, 5e6, superseded=None)
    old[0]["superseded_at"] = evening_of(revised)
    new = week_row("AAA", WEEK, "ats", 4e6, published=revised, version=2)
    market.weeks = [*old, new]
    found = rows(market, *DAYS[-5:]).filter(pl.col("symbol") == "AAA")
    assert found["otc_volume"].to_list() == [8e6, 8e6, 8e6, 9e6, 9e6]
    assert found["otc_published"].to_list() == [PUBLISHED] * 3 + [revised] * 2
    assert set(found["otc_week"]) == {WEEK}


def test_a_restated_older_week_does_not_replace_the_newest(market) -> None:
    older = WEEK - timedelta(weeks=1)
    market.weeks = both("AAA", WEEK, 3e6, 5e6) + both("AAA", older, 1e6, 1e6)
    market.weeks.append(week_row("AAA", older, "ats", 2e6, published=date(2025, 10, 29), version=2))
    assert row(market)["otc_week"] == WEEK
    assert row(market)["otc_volume"] == 8e6


def test_a_withdrawn_week_falls_back_to_the_week_before(market) -> None:
    older = WEEK - timedelta(weeks=1)
    gone = evening_of(date(2025, 10, 29))
    market.weeks = both("AAA", WEEK, 3e6, 5e6, superseded=gone) + both("AAA", older, 1e6, 1e6)
    found = rows(market, *DAYS[-5:]).filter(pl.col("symbol") == "AAA")
    assert found["otc_week"].to_list() == [WEEK, WEEK, older, older, older]


def test_defect_8_a_newer_week_of_another_tier_blanks_nothing(market) -> None:
    """T1's week of 6 October is out; T2's newest is two weeks older and stays."""
    second = WEEK - timedelta(weeks=2)
    market.weeks = both("AAA", WEEK, 3e6, 5e6) + both("BBB", second, 1e6, 2e6, tier="T2")
    first, other = row(market, "AAA"), row(market, "BBB")
    assert first["otc_week"] == WEEK and other["otc_week"] == second
    assert other["otc_status"] == "latest_known"
    assert other["otc_volume"] == 3e6
    assert other["otc_tier"] == "T2" and other["otc_age_sessions"] == 25


def test_a_name_without_weeks_keeps_its_row(market) -> None:
    market.weeks = both("AAA", WEEK, 3e6, 5e6)
    found = row(market, "CCC")
    assert found["otc_status"] == "none" and found["has_otc"] is False
    assert found["otc_week"] is None and found["otc_age_sessions"] is None
    assert found["status"] == "ready" and found["short_share"] is not None
    assert all(found[name] is None for name in VALUES)


@pytest.mark.parametrize(("tier", "limit"), [("T1", 20), ("T2", 30), ("OTC", 30)])
def test_values_expire_by_tier_and_the_week_stays_visible(market, tier, limit) -> None:
    monday = date(2025, 9, 8)
    exchange = calendar("XNYS")
    market.weeks = both("AAA", monday, 3e6, 5e6, tier=tier, published=date(2025, 9, 15))
    last_good = exchange.next(date(2025, 9, 12), limit)
    found = row(market, session=last_good)
    assert (found["otc_age_sessions"], found["otc_status"]) == (limit, "latest_known")
    assert found["otc_volume"] == 8e6 and found["has_otc"] is True
    found = row(market, session=exchange.next(last_good))
    assert (found["otc_age_sessions"], found["otc_status"]) == (limit + 1, "expired")
    assert found["has_otc"] is False
    assert (found["otc_week"], found["otc_tier"]) == (monday, tier)
    assert found["otc_published"] == date(2025, 9, 15)
    assert all(found[name] is None for name in VALUES)


def test_one_class_alone_is_no_total(market) -> None:
    market.weeks = [week_row("AAA", WEEK, "ats", 3e6, venue_concentration=0.25, firms=9)]
    market.weeks += both("BBB", WEEK, 1e6, 1e6)
    found = row(market)
    assert found["otc_status"] == "latest_known" and found["has_otc"] is True
    assert found["otc_ats_volume"] == 3e6 and found["otc_non_ats_volume"] is None
    assert found["otc_venue_concentration"] == 0.25
    for name in ("otc_volume", "otc_ats_frac", "otc_average_trade_size", "otc_participation_frac"):
        assert found[name] is None, name


def test_both_classes_together(market) -> None:
    market.weeks = both("AAA", WEEK, 3e6, 5e6)
    market.weeks[0] |= {"trades": 20_000, "venue_concentration": 0.2}
    market.weeks[1] |= {"trades": 60_000, "venue_concentration": 0.9}
    found = row(market)
    assert found["otc_ats_frac"] == pytest.approx(3 / 8)
    assert found["otc_average_trade_size"] == pytest.approx(100)
    assert found["otc_venue_concentration"] == 0.2


def test_defects_6_and_7_participation_divides_by_the_same_calendar_week(market) -> None:
    """Not by days that a week was shown on, and not by a sum that holds the week already."""
    market.weeks = both("AAA", WEEK, 3e6, 5e6)
    found = rows(market, *DAYS[-5:]).filter(pl.col("symbol") == "AAA")
    wanted = 8e6 / traded(market, 0, WEEK)
    assert found["otc_participation_frac"].to_list() == pytest.approx([wanted] * 5, rel=1e-12)


def test_defect_7_a_week_that_was_half_off_exchange_says_one_half(market) -> None:
    half = traded(market, 0, WEEK) / 2
    market.weeks = both("AAA", WEEK, half / 4, half * 3 / 4)
    assert row(market)["otc_participation_frac"] == pytest.approx(0.5)


def test_a_week_with_a_holiday_has_four_sessions(market) -> None:
    monday = date(2025, 9, 1)
    assert monday not in DAYS
    market.weeks = both("AAA", monday, 3e6, 5e6)
    found = row(market, session=date(2025, 9, 24))
    assert found["otc_participation_frac"] == pytest.approx(8e6 / traded(market, 0, monday))
    assert found["otc_age_sessions"] == 13


def test_a_missing_bar_leaves_participation_unknown(market) -> None:
    market.weeks = both("AAA", WEEK, 3e6, 5e6) + both("BBB", WEEK, 3e6, 5e6)
    market.volume[market.at("AAA", date(2025, 10, 8))] = np.nan
    found = row(market)
    assert found["otc_participation_frac"] is None and found["otc_volume"] == 8e6
    assert row(market, "BBB")["otc_participation_frac"] is not None


def test_rank_is_the_mid_rank_of_the_weeks_before(market) -> None:
    rng = np.random.default_rng(6)
    weeks = mondays(40)
    market.weeks = []
    for monday in weeks:
        market.weeks += both("AAA", monday, *rng.uniform(1e6, 9e6, 2))
    market.volume[market.at("AAA", weeks[21])] = np.nan
    parts = {}
    for k, monday in enumerate(weeks):
        shares = sum(float(market.weeks[2 * k + side]["shares"]) for side in (0, 1))
        parts[monday] = shares / traded(market, 0, monday)
    own = parts.pop(weeks[-1])
    del parts[weeks[21]]
    below = sum(value < own for value in parts.values())
    assert len(parts) == 38
    assert row(market)["otc_participation_percentile"] == pytest.approx(below / 38)


def test_equal_weeks_rank_in_the_middle(market) -> None:
    weeks = mondays(12)
    market.weeks = []
    market.volume[0] = 1e6
    for monday in weeks:
        # Powers of two: the quotients are equal to the last bit.
        market.weeks += both("AAA", monday, *[traded(market, 0, monday) / 8] * 2)
    found = row(market)
    assert found["otc_participation_frac"] == 0.25
    assert found["otc_participation_percentile"] == 0.5


@pytest.mark.parametrize(("count", "ranked"), [(8, False), (9, True)])
def test_a_rank_needs_eight_weeks_before(market, count, ranked) -> None:
    market.weeks = [w for monday in mondays(count) for w in both("AAA", monday, 2e6, 3e6)]
    found = row(market)
    assert found["otc_participation_frac"] is not None
    assert (found["otc_participation_percentile"] is not None) is ranked


def test_weeks_before_the_last_300_sessions_do_not_count(market) -> None:
    """Whatever was read for other evenings: one evening's rank is its own."""
    old = calendar("XNYS").previous(LAST, 301)
    monday = old - timedelta(days=old.weekday())
    market.weeks = both("AAA", monday, 3e6, 5e6)
    assert row(market)["otc_status"] == "none"
    together = rows(market, *DAYS[-30:]).filter(pl.col("symbol") == "AAA")
    assert together["otc_status"][-1] == "none"
    assert together["otc_status"][0] == "expired"


@pytest.mark.parametrize(
    ("tier", "due"),
    [("T1", date(2025, 11, 17)), ("T2", date(2025, 12, 1)), (None, date(2025, 12, 1))],
)
def test_the_sessions_own_week_is_due_by_tier(market, tier, due) -> None:
    if tier:
        market.weeks = both("AAA", WEEK - timedelta(weeks=2), 3e6, 5e6, tier=tier)
    assert row(market)["otc_next_publication"] == due


def test_a_week_that_is_not_over_is_never_shown(market) -> None:
    """A file with a wrong week cannot bring the volume of days that the evening does not know."""
    current = date(2025, 10, 27)
    market.weeks = both("AAA", current, 3e6, 5e6, published=date(2025, 10, 28))
    assert row(market)["otc_status"] == "none"
