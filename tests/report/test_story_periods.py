"""The story of a week and of a settlement date, found by its days, with firms and versions."""

from __future__ import annotations

from datetime import date

import pytest

from intake.bench import Bench
from intake.test_periods import go
from tapemill.refine.build import build
from tapemill.report.story import tell_story
from tapemill.world import Market

WEEK, SETTLED = date(2026, 1, 19), date(2026, 1, 15)
TARGETS = ["silver.otc_weekly", "silver.short_interest"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    market = Market(7, symbols=8, start=date(2025, 11, 3), end=date(2026, 3, 27))
    place = Bench(tmp_path_factory.mktemp("story"), market)
    go(place, date(2026, 3, 2))
    for dataset in ("otc_weekly", "otc_firms"):
        place.run(dataset, None, WEEK, WEEK)
    place.run("short_interest", None, SETTLED, SETTLED)
    build(place.lake, place.settings, place.clock, TARGETS)
    yield place.lake
    place.lake.control.close()


def kinds(story):
    return {event.kind for event in story.events}


@pytest.mark.parametrize("dataset", ["otc_weekly", "otc_firms", "silver.otc_weekly"])
@pytest.mark.parametrize("day", [WEEK, date(2026, 1, 22)])
def test_a_week_is_told_by_any_of_its_days(lake, dataset, day):
    story = tell_story(lake, dataset, "KO", day)
    assert story.session == WEEK
    assert {"call", "answer", "build", "version"} <= kinds(story)
    assert "finra_otc_weekly: data" in story.verdict
    assert "finra_otc_weekly of firms: data" in story.verdict
    assert sum(event.kind == "answer" for event in story.events) == 2
    assert any("silver.otc_weekly: 2 rows of version 1" in event.detail for event in story.events)


def test_a_settlement_date_is_told(lake):
    story = tell_story(lake, "short_interest", "KO", SETTLED)
    assert {"call", "answer", "build", "version"} <= kinds(story)
    nothing = tell_story(lake, "short_interest", "KO", date(2025, 12, 18))
    assert "is no settlement date" in nothing.verdict


def test_a_holiday_monday_is_no_reason_for_a_missing_week(lake):
    story = tell_story(lake, "otc_weekly", "KO", date(2023, 1, 16))
    assert story.verdict.endswith("the week from Monday 2023-01-16; `tapemill fetch` can")


def test_gold_of_a_monday_tells_no_week_that_was_not_out(lake):
    story = tell_story(lake, "gold.flow_daily", "KO", WEEK)
    assert not any("silver.otc_weekly" in e.detail for e in story.events if e.kind == "version")
