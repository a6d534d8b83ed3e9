"""Checks of gold: sound rows pass, and each pattern, planted in one place, is found by its name."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import polars as pl
import pytest

from acceptance.shell import Shell
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.levels import checks_between, checks_labels, checks_rows
from tapemill.levels.checks import GOLD, check_levels
from tapemill.levels.checks_between import check_between
from tapemill.levels.checks_columns import Sample
from tapemill.levels.checks_rows import EPISODES, FEATURES, LEVELS, OUTCOME_ROWS, check_rows
from tapemill.settings import default_settings
from tapemill.world.order_book import OrderBookSpec, OrderBookWorld

SETTINGS = default_settings()
TICK = 0.25
BREAK = pl.col("outcome") == "break"
TOUCHED = pl.col("touch_ns").is_not_null()
PLACEBO = pl.col("family") != "real"
AT_TOUCH = pl.col("delay_seconds") == 0
SECOND = 10**9


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A lake with the levels of one made-up trade date."""
    folder = tmp_path_factory.mktemp("checks")
    made = OrderBookWorld(11, OrderBookSpec(trades=4_000, sigma_minute=1.2, records_per_trade=6.0))
    made.write(folder / "day.mbo.dbn.zst", "mbo")
    made.write_definitions(folder / "day.definition.dbn")
    opened = Shell(folder / "lake")
    opened.ok("import", "dbn", *sorted(folder.glob("*.dbn*")))
    opened.ok("build", EPISODES)
    return opened


@pytest.fixture(scope="module")
def gold(shell):
    return {name: shell.scan(name) for name in GOLD}


def changed(frame, which, **values):
    """The frame with the values of its first row of a kind set."""
    at = pl.int_range(pl.len()) == frame.with_row_index("at").filter(which)["at"][0]
    return frame.with_columns(
        pl.when(at)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value))
        .otherwise(name)
        .cast(frame.schema[name])
        .alias(name)
        for name, value in values.items()
    )


def judged(gold, dataset, frame):
    rows = {**gold, dataset: frame}
    found = check_rows(dataset, frame, SETTINGS.levels)
    if not any(one.kind == "columns_differ" for one in found):
        found += check_between(*(rows[name] for name in GOLD), SETTINGS.levels, tick_size=TICK)
    return found


EVERY = pl.lit(value=True)
TWICE = pl.col("zone").is_duplicated() & TOUCHED
PLANTED = [
    ("columns_differ", LEVELS, lambda f: f.drop("zone")),
    ("value_missing", LEVELS, lambda f: changed(f, EVERY, price=None)),
    ("not_a_number", LEVELS, lambda f: changed(f, EVERY, price_ticks=float("inf"))),
    ("not_a_number", FEATURES, lambda f: changed(f, EVERY, queue_pressure=float("nan"))),
    ("row_twice", EPISODES, lambda f: pl.concat([f, f.head(1)])),
    ("out_of_order", OUTCOME_ROWS, lambda f: f.reverse()),
    (
        "known_at_wrong",
        FEATURES,
        lambda f: changed(f, EVERY, known_at=pl.col("known_at") - pl.duration(microseconds=1)),
    ),
    (
        "known_at_wrong",
        EPISODES,
        lambda f: changed(f, EVERY, known_at=dt.datetime(2023, 1, 1, tzinfo=dt.UTC)),
    ),
    ("category_unknown", LEVELS, lambda f: changed(f, EVERY, kind="PIVOT")),
    ("category_unknown", EPISODES, lambda f: changed(f, EVERY, end_reason="tired")),
    ("category_unknown", FEATURES, lambda f: changed(f, EVERY, delay_seconds=31)),
    ("category_unknown", OUTCOME_ROWS, lambda f: changed(f, EVERY, barrier="k3")),
    ("valid_backwards", LEVELS, lambda f: changed(f, EVERY, valid_to_ns=pl.col("valid_from_ns"))),
    ("error_negative", LEVELS, lambda f: changed(f, EVERY, error_ticks=-0.5)),
    ("placebo_unmatched", LEVELS, lambda f: changed(f, PLACEBO, placebo_of=None)),
    ("placebo_unmatched", LEVELS, lambda f: changed(f, PLACEBO, placebo_of="NOBODY")),
    ("families_share_a_zone", LEVELS, lambda f: changed(f, PLACEBO, family="real")),
    (
        "level_twice",
        LEVELS,
        lambda f: changed(
            f,
            pl.col("level_id").is_duplicated(),
            valid_to_ns=pl.col("valid_to_ns").max().over("level_id"),
        ),
    ),
    ("price_off_its_ticks", LEVELS, lambda f: changed(f, EVERY, price=pl.col("price") + 0.25)),
    ("times_backwards", EPISODES, lambda f: changed(f, TOUCHED, touch_ns=pl.col("enter_ns") - 1)),
    ("edges_crossed", EPISODES, lambda f: changed(f, EVERY, low_ticks=pl.col("high_ticks") + 1)),
    ("sigma_not_positive", EPISODES, lambda f: changed(f, EVERY, sigma_ticks=0.0)),
    ("attempts_wrong", EPISODES, lambda f: changed(f, TOUCHED, attempt=0)),
    ("chain_wrong", EPISODES, lambda f: changed(f, pl.col("attempt") == 2, attempt=3)),
    (
        "episodes_overlap",
        EPISODES,
        lambda f: changed(f, TWICE, end_ns=pl.col("end_ns").max().over("zone")),
    ),
    ("range_left", FEATURES, lambda f: changed(f, EVERY, barrier_cancel_share_60s=1.01)),
    ("range_left", FEATURES, lambda f: changed(f, EVERY, queue_pressure=-1.5)),
    ("range_left", FEATURES, lambda f: changed(f, EVERY, barrier_depth=-1.0)),
    ("range_left", FEATURES, lambda f: changed(f, EVERY, barrier_state_15s=7)),
    ("range_left", FEATURES, lambda f: changed(f, EVERY, is_regular=0.5)),
    ("range_left", FEATURES, lambda f: changed(f, EVERY, zone_levels=1.5)),
    (
        "feature_contradicts",
        FEATURES,
        lambda f: changed(f, EVERY, barrier_net_60s=pl.col("barrier_net_60s") + 1),
    ),
    (
        "feature_contradicts",
        FEATURES,
        lambda f: changed(
            f,
            pl.col("tape_pressure_60s") != 0,
            tape_pressure_60s=-pl.col("tape_pressure_60s"),
        ),
    ),
    ("windows_not_nested", FEATURES, lambda f: changed(f, EVERY, barrier_added_5s=1e6)),
    (
        "decision_off_schedule",
        FEATURES,
        lambda f: changed(f, EVERY, decision_ns=pl.col("decision_ns") + SECOND),
    ),
    ("decision_after_end", EPISODES, lambda f: changed(f, TOUCHED, end_ns=pl.col("touch_ns") - 1)),
    (
        "episode_contradicts",
        FEATURES,
        lambda f: changed(f, EVERY, direction=-pl.col("direction")),
    ),
    ("touch_far_away", FEATURES, lambda f: changed(f, AT_TOUCH, distance_ticks=-40.0)),
    (
        "distance_contradicts",
        FEATURES,
        lambda f: changed(f, EVERY, distance_sigma=pl.col("distance_sigma") + 0.1),
    ),
    ("distance_contradicts", FEATURES, lambda f: changed(f, EVERY, penetration_ticks=-90.0)),
    ("distance_contradicts", FEATURES, lambda f: changed(f, AT_TOUCH, zone_width_ticks=99.0)),
    ("partner_missing", FEATURES, lambda f: f.filter(f["episode_id"] != f["episode_id"][0])),
    ("partner_missing", OUTCOME_ROWS, lambda f: f[1:]),
    ("partner_missing", OUTCOME_ROWS, lambda f: changed(f, EVERY, episode_id="0" * 16)),
    ("partner_missing", EPISODES, lambda f: changed(f, TOUCHED, touch_ns=None)),
    ("decision_contradicts", OUTCOME_ROWS, lambda f: changed(f, EVERY, spread_ticks=9.0)),
    (
        "label_before_decision",
        OUTCOME_ROWS,
        lambda f: changed(f, EVERY, resolved_ns=pl.col("decision_ns") - 1),
    ),
    ("outcome_contradicts", OUTCOME_ROWS, lambda f: changed(f, BREAK, seconds=None)),
    ("outcome_contradicts", OUTCOME_ROWS, lambda f: changed(f, BREAK, censored_by="gap")),
    (
        "passage_outside_horizon",
        OUTCOME_ROWS,
        lambda f: changed(f, BREAK, seconds=pl.col("horizon_seconds") + 1.0),
    ),
    ("excursion_contradicts", OUTCOME_ROWS, lambda f: changed(f, BREAK, favourable_ticks=0.0)),
    ("net_contradicts", OUTCOME_ROWS, lambda f: changed(f, BREAK, tradeable=~pl.col("tradeable"))),
]


def test_sound_gold_has_no_contradiction(shell, gold):
    assert {name: bool(rows.height) for name, rows in gold.items()} == dict.fromkeys(GOLD, True)
    for name in GOLD:
        assert judged(gold, name, gold[name]) == []
    facts = shell.ok("check")
    assert facts["red"] == 0
    assert "gold_stale" not in {one["kind"] for one in facts["findings"]}


@pytest.mark.parametrize(("kind", "dataset", "plant"), PLANTED)
def test_a_planted_pattern_is_found_by_its_name(gold, kind, dataset, plant):
    found = {one.kind: one for one in judged(gold, dataset, plant(gold[dataset]))}
    assert kind in found
    assert found[kind].severity == ("warning" if kind == "out_of_order" else "error")
    assert found[kind].evidence.height


def test_a_level_known_after_its_touch_is_found(gold):
    """The check that the earlier systems lacked."""
    episode = gold[EPISODES].filter(TOUCHED).row(0, named=True)
    own = (pl.col("zone") == episode["zone"]) & pl.col("valid_from_ns").le(episode["enter_ns"])
    later = gold[LEVELS].with_columns(
        valid_from_ns=pl.when(own).then(episode["touch_ns"] + 1).otherwise("valid_from_ns")
    )
    (found,) = (one for one in judged(gold, LEVELS, later) if one.kind == "level_known_late")
    assert episode["episode_id"] in found.evidence["episode_id"]


def test_every_pattern_is_planted():
    modules = (checks_rows, checks_between)
    source = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in modules)
    names = set(re.findall(r'(?:Rule|Finding)\(\s*"(\w+)"', source))
    assert names == {kind for kind, _, _ in PLANTED} | {"level_known_late"}


class TestLabels:
    """Row by row all is well; only the trades know better."""

    @pytest.fixture
    def planted(self, shell, gold):
        """Put rows in the lake in the place of those that were built, and back again."""
        lake = Lake.open(shell.lake)
        touched: list[str] = []

        def put(name, frame):
            touched.append(name)
            lake.tables.replace(name, contract(name).conform(frame))

        def found():
            return {one.kind: one for one in check_levels(lake, SETTINGS)}

        yield put, found
        for name in touched:
            lake.tables.replace(name, gold[name])
        lake.close()

    def test_a_label_the_other_way_round_turns_the_check_red(self, shell, gold, planted):
        put, found = planted
        put(
            OUTCOME_ROWS,
            changed(
                gold[OUTCOME_ROWS],
                BREAK,
                outcome="bounce",
                favourable_ticks=pl.col("adverse_ticks"),
                adverse_ticks=pl.col("favourable_ticks"),
            ),
        )
        wrong = found()["label_disagrees"]
        assert wrong.severity == "error"
        assert set(wrong.evidence["column"]) == {"outcome", "favourable_ticks", "adverse_ticks"}
        code, facts, complaint = shell.run("check")
        assert code == 1
        assert facts["red"] == 1
        assert "red" in complaint
        assert shell.run("check", "gold.levels")[0] == 0

    def test_a_touch_at_which_nothing_traded(self, gold, planted):
        put, found = planted
        which = TOUCHED & (pl.col("end_ns") > pl.col("touch_ns") + 1)
        put(EPISODES, changed(gold[EPISODES], which, touch_ns=pl.col("touch_ns") + 1))
        assert found()["touch_without_trade"].evidence.height == 1

    def test_an_approach_from_where_price_was_not(self, gold, planted):
        put, found = planted
        put(EPISODES, gold[EPISODES].with_columns(direction=-pl.col("direction")))
        wrong = found()["approach_from_other_side"]
        assert wrong.evidence.height > 0.9 * gold[EPISODES].height

    def test_labels_made_with_other_settings_are_not_judged_but_told(self, shell, gold):
        lake = Lake.open(shell.lake)
        levels = SETTINGS.levels.__class__(fee_per_side=0.5)
        other = type(SETTINGS)(levels=levels)
        kinds = {one.kind: one.severity for one in check_levels(lake, other)}
        lake.close()
        assert kinds["gold_stale"] == "warning"
        assert "label_disagrees" not in kinds

    def test_the_names_of_these_patterns_are_tried_here(self):
        source = Path(str(checks_labels.__file__)).read_text(encoding="utf-8")
        names = set(re.findall(r'(?:Rule|by_session)\(\s*"(\w+)"', source))
        assert names == {"label_disagrees", "touch_without_trade", "approach_from_other_side"}


class TestSample:
    """What shows over many rows; the graver, the more rows there are."""

    def judged(self, gold, dates=1, rows=None, **columns):
        sample = Sample()
        features = gold[FEATURES][:rows].with_columns(**columns)
        for day in range(dates):
            session = dt.date(2024, 1, 2 + day)
            sample.take(session, gold[EPISODES], features, gold[OUTCOME_ROWS])
        return {one.kind: one for one in sample.findings()}

    @pytest.mark.parametrize(
        ("dates", "rows", "severity"), [(1, 50, "info"), (1, 400, "warning"), (5, 400, "error")]
    )
    def test_a_constant_and_a_doubled_feature(self, gold, dates, rows, severity):
        found = self.judged(
            gold,
            dates,
            rows,
            barrier_replenishment_60s=pl.lit(0.0),
            tape_velocity_15s=pl.col("tape_velocity_60s"),
        )
        constant, doubled = found["feature_constant"], found["feature_duplicated"]
        assert {constant.severity, doubled.severity} == {severity}
        assert "barrier_replenishment_60s" in constant.evidence["feature"]
        pairs = doubled.evidence["feature"].to_list()
        assert any({"tape_velocity_15s", "tape_velocity_60s"} <= set(p.split(" = ")) for p in pairs)

    def test_one_other_value_on_another_date_is_enough(self, gold):
        sample = Sample()
        for value in (1.0, 2.0):
            features = gold[FEATURES].with_columns(attempt=pl.lit(value))
            sample.take(value, gold[EPISODES], features, gold[OUTCOME_ROWS])
        (constant,) = (one for one in sample.findings() if one.kind == "feature_constant")
        assert "attempt" not in constant.evidence["feature"]

    def test_slots_for_fuel_are_no_finding_and_other_nulls_are(self, gold):
        names = self.judged(gold)["feature_unknown"].evidence["feature"].to_list()
        assert "relative_volume" in names
        assert not {"dealer_gamma", "dealer_gamma_flow", "gamma_flip_distance_sigma"} & set(names)

    def test_next_to_always_zero_is_told(self, gold):
        rare = pl.when(pl.int_range(pl.len()) < 5).then(1.0).otherwise(0.0)
        found = self.judged(gold, tape_velocity_60s=rare)
        assert "tape_velocity_60s" in found["feature_mostly_zero"].evidence["feature"]

    def test_kinds_are_counted_real_and_placebo(self, gold):
        rows = self.judged(gold)["kind_counts"].evidence
        touched = gold[EPISODES].filter(TOUCHED)
        for kind, real, placebo in rows.iter_rows():
            own = touched.filter(pl.col("kinds").str.split("+").list.contains(kind))
            assert (own["family"] == "real").sum() == real
            assert own.height - real == placebo

    def test_barriers_passed_on_one_side_only(self, gold):
        sample = Sample()
        one = gold[OUTCOME_ROWS].with_columns(
            outcome=pl.when(pl.col("barrier") == "k1")
            .then(pl.lit("break"))
            .otherwise(pl.col("outcome"))
        )
        sample.take(1, gold[EPISODES], gold[FEATURES], one)
        found = [one.subject for one in sample.findings() if one.kind == "outcomes_one_sided"]
        assert found == ["k1"]

    def test_dates_of_very_different_size(self, gold):
        sample = Sample()
        for day in range(6):
            rows = gold[FEATURES][: 10 if day % 2 else None]
            sample.take(day, gold[EPISODES], rows, gold[OUTCOME_ROWS])
        assert "dates_uneven" in {one.kind for one in sample.findings()}
        assert "dates_uneven" not in self.judged(gold, dates=6)

    def test_nothing_says_nothing(self):
        assert Sample().findings() == []
