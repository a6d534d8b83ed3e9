"""Through a real lake: no evening knows what came after it, however the lake was filled."""

from __future__ import annotations

import datetime as dt
import importlib
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


def test_small_batches_make_the_same(whole, facts, tmp_path, monkeypatch) -> None:
    """A year of a whole market is made in parts that fit into memory."""
    module = importlib.import_module("tapemill.refine.build")
    monkeypatch.setattr(module, "_EVENING_ROWS", 30 * 23)
    lake = open_lake(tmp_path / "lake", facts)
    parts: list[str] = []
    make_gold(lake, progress=lambda done, total, target: parts.append(target))
    for name in TABLES:
        assert parts.count(name) >= (4 if name != "gold.flow_macro" else 2), name
        assert not differences(gold_of(lake, name), gold_of(whole, name)), name
    lake.close()


def test_a_file_of_a_date_without_session_stops_no_evening(tmp_path) -> None:
    facts = {"silver.short_volume": MARKETS["gone"]["silver.short_volume"].head(40)}
    saturday = pl.lit(dt.date(2023, 11, 4))
    odd = facts["silver.short_volume"].head(1).with_columns(session=saturday)
    lake = open_lake(tmp_path / "lake", {"silver.short_volume": pl.concat([*facts.values(), odd])})
    made = {one.target: one.built for one in make_gold(lake).targets}
    assert made["gold.flow_scan"] == facts["silver.short_volume"]["session"].n_unique()
    lake.close()
