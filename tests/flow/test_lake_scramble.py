"""Through a real lake: no evening knows what came after it, however the lake was filled."""

from __future__ import annotations

import datetime as dt
import itertools

import polars as pl
import pytest

from flow.late_lake import DAYS, facts_of, gold_of, known_by, make_gold, open_lake
from flow.late_lake import fill as refill
from tapemill.flow.evening import evening_of

TABLES = (
    "gold.flow_scan",
    "gold.flow_macro",
    "gold.flow_daily",
    "gold.flow_groups",
    "gold.composite_signal",
)
MARKETS = {
    "everything": facts_of(7, unrest=0.03),
    # So few that most evenings lie together in one read.
    "seldom": facts_of(8, unrest=0.002),
    "gone": facts_of(9, unrest=0.02, kinds=("gone",)),
}


def differences(left: pl.DataFrame, right: pl.DataFrame) -> list[str]:
    """Columns that are not the same to the last bit, with the first place that differs."""
    if left.shape != right.shape:
        return [f"{left.shape} against {right.shape}"]
    found = []
    for name in left.columns:
        same = left[name].eq_missing(right[name])
        if not same.all():
            place = same.arg_min()
            found.append(f"{name}: {left[name][place]} against {right[name][place]}")
    return found


pytestmark = pytest.mark.property


@pytest.fixture(scope="module", params=MARKETS)
def facts(request):
    return MARKETS[request.param]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, facts):
    """Everything is in the lake before anything is built."""
    lake = open_lake(tmp_path_factory.mktemp("whole") / "lake", facts)
    make_gold(lake)
    yield lake
    lake.close()


@pytest.mark.parametrize("day", [DAYS[40], DAYS[77], DAYS[96]], ids=str)
def test_what_comes_later_changes_no_evening(whole, facts, tmp_path, day) -> None:
    then = open_lake(tmp_path / "lake", known_by(facts, evening_of(day)))
    make_gold(then)
    for name in TABLES:
        seen = gold_of(then, name, day)
        assert seen.height > 0, name
        assert not differences(gold_of(whole, name, day), seen), name
    then.close()


def test_evening_by_evening_is_all_at_once(whole, facts, tmp_path) -> None:
    """Late facts arrive between the builds: what they touch is rebuilt, and nothing else is."""
    steps = [*DAYS[60:100:5], DAYS[-1] + dt.timedelta(days=40)]
    grown = open_lake(tmp_path / "lake", known_by(facts, evening_of(steps[0])))
    make_gold(grown)
    for before, now in itertools.pairwise(steps):
        refill(grown, known_by(facts, evening_of(now)))
        report = {one.target: one.built for one in make_gold(grown).targets}
        new = sum(before < day <= now for day in DAYS)
        assert report["gold.flow_scan"] == report["gold.flow_daily"] == new, (before, now)
        assert report["gold.flow_groups"] == new
    for name in TABLES:
        assert not differences(gold_of(grown, name), gold_of(whole, name)), name
    assert all(one.built == 0 for one in make_gold(grown).targets)
    grown.close()


def test_the_lake_is_full_enough_to_show_something(whole) -> None:
    daily = gold_of(whole, "gold.flow_daily", DAYS[-1])
    for flag in ("has_short", "has_tape", "has_otc", "has_price"):
        assert daily[flag].sum() > 3, flag
    assert daily["short_interest"].count() > 3
    scan = gold_of(whole, "gold.flow_scan", DAYS[-1])
    assert scan["eligible"].sum() > 10
    assert scan["otc_tier"].count() > 10
    assert scan["sector"].count() > 10
