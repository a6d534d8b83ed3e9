"""Real minus placebo: right on average, honest about what depends on what, silent on too little."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tapemill.errors import UsageError
from tapemill.proof import EFFECT_SCHEMA, judge_effects, placebo_effects
from tapemill.proof.placebo_effect import LEAST_ROWS, LEAST_UNITS
from tapemill.proof.shrinkage import shrink

KINDS = ("A", "B", "C")


def frame(rng, units=20, effect=0.0, shock=0.9, real=8, placebo=20, kinds=KINDS) -> pl.DataFrame:
    """Units of very different size, each with a rate of its own that real and placebo share."""
    rate = 1.0 / (1.0 + np.exp(-shock * rng.normal(size=units)))
    busy = rng.gamma(4.0, 0.25, units)
    names = [(kind, family) for kind in kinds for family in ("real", "placebo_random")]
    columns: dict[str, list] = {"unit": [], "kind": [], "family": [], "value": []}
    for kind, family in names:
        mean, more = (real, effect) if family == "real" else (placebo, 0.0)
        count = rng.poisson(mean * busy)
        unit = np.repeat(np.arange(units), count)
        chance = np.clip(rate[unit] + more, 0.0, 1.0)
        columns["unit"].append([f"{n:03d}" for n in unit.tolist()])
        columns["kind"].append(np.full(unit.size, kind))
        columns["family"].append(np.full(unit.size, family))
        columns["value"].append((rng.random(unit.size) < chance).astype(float))
    return pl.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()})


def covered(effects: pl.DataFrame, truth: float = 0.0) -> list[bool]:
    return ((effects["low"] <= truth) & (truth <= effects["high"])).to_list()


@pytest.mark.parametrize("effect", [0.0, 0.15])
def test_the_interval_holds_the_truth_in_95_of_100_and_is_no_wider_than_needed(effect) -> None:
    rng = np.random.default_rng(5)
    rates = 1.0 / (1.0 + np.exp(-0.9 * np.random.default_rng(4).normal(size=200_000)))
    truth = float(np.mean(np.clip(rates + effect, 0.0, 1.0) - rates))
    hits, widths, found = [], [], []
    for _ in range(150):
        effects = placebo_effects(frame(rng, effect=effect))
        hits += covered(effects, truth)
        widths += (effects["high"] - effects["low"]).to_list()
        found += effects["difference"].to_list()
    assert 0.93 <= np.mean(hits) <= 0.98
    assert np.mean(found) == pytest.approx(truth, abs=0.01)
    assert 0.95 < np.mean(widths) / (2 * 1.96 * np.std(found)) < 1.3


def test_rows_said_twenty_times_make_no_interval_narrower() -> None:
    rows = frame(np.random.default_rng(6))
    once, often = placebo_effects(rows), placebo_effects(pl.concat([rows] * 20))
    for name in ("difference", "low", "high", "real_frac", "q_value", "effective_units"):
        assert often[name].to_list() == pytest.approx(once[name].to_list(), rel=1e-9)
    assert often["n_real"].to_list() == [20 * n for n in once["n_real"]]
    # Counted as independent rows they would: what the reader is kept from.
    free = pl.concat([rows] * 20).with_columns(unit=pl.int_range(pl.len()).cast(pl.String))
    narrow = placebo_effects(free)
    assert ((narrow["high"] - narrow["low"]) < 0.5 * (once["high"] - once["low"])).all()


def test_units_of_one_row_give_what_the_books_give() -> None:
    """Independent rows: Welch's t interval, but for the degrees of freedom."""
    rng = np.random.default_rng(7)
    real, placebo = rng.normal(1.0, 2.0, 300), rng.normal(0.4, 1.0, 300)
    rows = pl.DataFrame(
        {
            "unit": [f"{n}" for n in range(600)],
            "kind": ["A"] * 600,
            "family": ["real"] * 300 + ["placebo_shifted"] * 300,
            "value": np.concatenate([real, placebo]),
        }
    )
    (row,) = placebo_effects(rows).to_dicts()
    welch = stats.ttest_ind(real, placebo, equal_var=False).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(real.mean() - placebo.mean(), rel=1e-12)
    assert (row["low"], row["high"]) == pytest.approx((welch.low, welch.high), rel=0.01)
    mean = stats.ttest_1samp(real, 0.0).confidence_interval(0.95)
    assert (row["real_low"], row["real_high"]) == pytest.approx((mean.low, mean.high), rel=0.01)
    p_value = stats.ttest_ind(real, placebo, equal_var=False).pvalue
    assert row["p_value"] == pytest.approx(p_value, rel=0.15)


def test_the_order_of_rows_changes_nothing() -> None:
    rows = frame(np.random.default_rng(8))
    assert placebo_effects(rows).equals(
        placebo_effects(rows.sample(fraction=1.0, shuffle=True, seed=1))
    )


def test_what_is_unknown_is_left_out_and_counted() -> None:
    rows = frame(np.random.default_rng(9))
    gone = rows.with_row_index().with_columns(value=pl.when(pl.col("index") % 5 > 0).then("value"))
    effects = placebo_effects(gone)
    kept = placebo_effects(gone.filter(pl.col("value").is_not_null()))
    assert effects.drop("left_out").equals(kept.drop("left_out"))
    assert effects["left_out"].sum() == gone["value"].null_count()


def test_only_what_shares_a_stratum_is_compared() -> None:
    """Real mostly mornings, placebo mostly afternoons, and mornings go up for both."""
    covers, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng([16, seed])
        parts = []
        for stratum, rate, real, placebo in (("10:00", 0.7, 9, 6), ("15:00", 0.4, 3, 18)):
            part = frame(rng, real=real, placebo=placebo, shock=0.0, kinds=("A",))
            value = (rng.random(part.height) < rate).astype(float)
            parts.append(part.with_columns(stratum=pl.lit(stratum), value=pl.Series(value)))
        rows = pl.concat(parts)
        effects = placebo_effects(rows)
        covers += covered(effects)
        plain += covered(placebo_effects(rows.drop("stratum")))
    assert np.mean(covers) > 0.9 and np.mean(plain) < 0.3
    # By hand: Mantel and Haenszel's weights.
    sums = rows.group_by("stratum", "family").agg(pl.len(), pl.col("value").mean())
    cell = {(s, f): (n, mean) for s, f, n, mean in sums.iter_rows()}
    top = bottom = 0.0
    for stratum in ("10:00", "15:00"):
        (n, r), (m, p) = (cell[stratum, name] for name in ("real", "placebo_random"))
        top, bottom = top + n * m / (n + m) * (r - p), bottom + n * m / (n + m)
    (row,) = effects.to_dicts()
    assert row["difference"] == pytest.approx(top / bottom, rel=1e-12)
    assert row["real_frac"] - row["placebo_frac"] == pytest.approx(row["difference"], rel=1e-9)
    # What has nothing beside it is counted and changes nothing.
    lonely = rows.filter(pl.col("family") == "real").with_columns(stratum=pl.lit("20:00"))
    (more,) = placebo_effects(pl.concat([rows, lonely])).to_dicts()
    assert more.pop("unmatched") == lonely.height
    for name in ("n_real", "units", "difference", "low", "high", "real_low", "p_value"):
        assert more[name] == pytest.approx(row[name], rel=1e-9)


def test_too_little_is_called_so_and_has_no_number() -> None:
    rng = np.random.default_rng(10)
    few_units = frame(rng, units=LEAST_UNITS - 1, kinds=("units",))
    few_rows = frame(rng, units=30, real=0.3, kinds=("rows",))
    one_day = pl.concat(
        [
            frame(rng, units=1, real=500, placebo=900, kinds=("uneven",)),
            frame(rng, units=30, real=1, kinds=("uneven",)).with_columns(
                unit=pl.lit("x") + pl.col("unit")
            ),
        ]
    )
    unmatched = frame(rng, placebo=0, kinds=("alone",))
    fine = frame(rng, kinds=("fine",))
    effects = placebo_effects(pl.concat([few_units, few_rows, one_day, unmatched, fine]))
    notes = dict(effects.select("kind", "note").iter_rows())
    assert notes["fine"] == ""
    for kind in ("units", "rows", "uneven", "alone"):
        assert notes[kind].startswith("insufficient: ")
    assert str(LEAST_ROWS) in notes["rows"] and "0 placebo" in notes["alone"]
    silent = effects.filter(pl.col("note") != "")
    numbers = silent.drop("kind", "note", "n_real", "n_placebo", "left_out", "unmatched", "units")
    assert all(column.null_count() == 4 for column in numbers)
    assert judge_effects(silent).outcome == "insufficient"
    # Nor is a number ever without its interval.
    for name in ("difference", "shrunk"):
        low, high = ("low", "high") if name == "difference" else ("shrunk_low", "shrunk_high")
        assert effects[name].is_null().to_list() == effects[low].is_null().to_list()
        assert effects[name].is_null().to_list() == effects[high].is_null().to_list()


def test_what_never_failed_is_not_certain() -> None:
    rng = np.random.default_rng(11)
    rows = frame(rng, kinds=("A",)).with_columns(
        value=pl.when(pl.col("family") == "real").then(1.0).otherwise("value")
    )
    (row,) = placebo_effects(rows).to_dicts()
    assert row["real_frac"] == row["real_high"] == 1.0 and 0.7 < row["real_low"] < 0.95
    same = placebo_effects(rows.with_columns(value=pl.lit(1.0))).to_dicts()[0]
    assert same["difference"] == 0.0 and same["low"] < -0.05 and same["high"] > 0.05
    number = placebo_effects(rows.with_columns(value=pl.lit(2.5))).to_dicts()[0]
    assert number["note"].startswith("insufficient") and number["difference"] is None


def test_many_kinds_of_nothing_show_nothing_and_one_of_something_is_found() -> None:
    kinds = tuple(f"K{n:02d}" for n in range(12))
    wrong = 0
    for seed in range(30):
        rng = np.random.default_rng([12, seed])
        wrong += judge_effects(placebo_effects(frame(rng, kinds=kinds))).outcome == "shown"
    assert wrong <= 4  # of 30 worlds; a kind by itself would be called in 13 of them
    rng = np.random.default_rng(13)
    rows = pl.concat([frame(rng, kinds=kinds), frame(rng, effect=0.3, kinds=("WALL",))])
    verdict = judge_effects(placebo_effects(rows))
    assert verdict.outcome == "shown" and verdict.kinds[0] == "WALL"
    assert verdict.words.startswith("shown: 1 of 13 kinds")


def test_rare_kinds_are_drawn_to_the_others_and_sure_ones_stay() -> None:
    value, error = [0.30, 0.02, 0.00, -0.01, 0.25], [0.15, 0.01, 0.01, 0.01, 0.02]
    drawn = shrink(value, error)
    assert 0.1 < drawn[0].value < 0.2 and drawn[0].high - drawn[0].low < 2 * 1.96 * 0.15
    assert drawn[4].value == pytest.approx(0.25, abs=0.02)
    alike = shrink([0.01, -0.02, 0.03, 0.0], [0.05] * 4)
    assert [one.value for one in alike] == pytest.approx([0.005] * 4)
    assert alike[0].high - alike[0].low == pytest.approx(2 * 1.96 * 0.025, rel=1e-3)
    assert math.isnan(shrink([0.1, 0.2], [0.1, 0.1])[0].value)
    # Paule and Mandel: at the spread found the values scatter as they should.
    rng = np.random.default_rng(14)
    spread, errors = 0.1, rng.uniform(0.02, 0.2, 3_000)
    truth = rng.normal(0.0, spread, 3_000)
    seen = truth + rng.normal(0.0, errors)
    back = shrink(seen.tolist(), errors.tolist())
    assert np.mean([(one.low <= t <= one.high) for one, t in zip(back, truth, strict=True)]) > 0.94
    better = np.mean([(one.value - t) ** 2 for one, t in zip(back, truth, strict=True)])
    assert better < 0.5 * np.mean((seen - truth) ** 2)


def test_nothing_given_is_nothing_said_and_nonsense_is_refused() -> None:
    rows = frame(np.random.default_rng(15))
    empty = placebo_effects(rows.clear())
    assert empty.is_empty() and empty.schema == EFFECT_SCHEMA
    assert judge_effects(empty).outcome == "insufficient"
    with pytest.raises(UsageError, match="lack unit"):
        placebo_effects(rows.drop("unit"))
    with pytest.raises(UsageError, match="not finite"):
        placebo_effects(rows.with_columns(value=pl.lit(math.inf)))
