"""Planted effects are found, with the probability they were planted with; none are not found."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from levels.known_worlds import described_days, outcomes_of, trade_dates
from tapemill.levels.effects import ANY_KIND, effect_rows
from tapemill.proof import judge_effects, placebo_effects
from tapemill.settings import LevelsSettings
from tapemill.world.order_book import OrderBookSpec, Plant, path_world

PRICES = range(18_800, 19_601, 32)
HOUR = LevelsSettings(horizons_seconds=(240, 900, 3_600))
SESSIONS = 12


def planted(kind: str, probability: float) -> OrderBookSpec:
    """Effects that reach as far as the leave band: each approach is one of the world's."""
    plants = tuple(
        Plant(name=str(price), kind=kind, level=price, probability=probability, travel_ticks=5)
        for price in PRICES
    )
    return OrderBookSpec(
        trades=2_400, hours="regular", flat=True, sigma_minute=2.0, auction=False,
        trade_dates=trade_dates(SESSIONS), plants=plants,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "asked", "opposite"), [("wall", "bounce", "break"), ("vacuum", "break", "bounce")]
)
def test_planted_probabilities_are_recovered(kind: str, asked: str, opposite: str) -> None:
    """Sample: 12 sessions, some 140 approaches; 16 worlds."""
    probability, worlds = 0.75, 16
    spec, holds = planted(kind, probability), ("hold" if kind == "wall" else "break")
    inside, different, found, agreed, approaches = 0, 0, [], 0, 0
    for seed in range(worlds):
        outcomes = outcomes_of(seed, spec, PRICES, HOUR, horizon=3_600, barrier="t4")
        (row,) = placebo_effects(effect_rows(outcomes, asked).together).to_dicts()
        assert row["n_real"] > 80
        inside += row["real_low"] <= probability <= row["real_high"]
        different += row["low"] > 0.0
        found.append(row["real_frac"])
        assert (
            row["placebo_low"] < 0.5 < row["placebo_high"] or abs(row["placebo_frac"] - 0.5) < 0.1
        )
        # One by one: what the world drew at that very trade is what the pipeline says.
        truth = path_world(seed, spec).truth.select("touch_gateway_ns", "planted")
        real = outcomes.filter(pl.col("family") == "real", pl.col("outcome") != "censored")
        both = real.join(truth, left_on="decision_ns", right_on="touch_gateway_ns")
        approaches += real.height
        agreed += both.filter(
            pl.col("outcome") == pl.when(pl.col("planted") == holds).then(pl.lit(asked)).otherwise(
                pl.lit(opposite)
            )
        ).height  # fmt: skip
    assert inside >= 14 and different >= 14  # of 16
    error = math.sqrt(probability * (1.0 - probability) / approaches)
    assert abs(np.mean(found) - probability) < 3.0 * error
    assert agreed >= 0.995 * approaches


FEATURES = {
    "wall ratio": (0, pl.col("barrier_wall_ratio")),
    "refilled": (0, pl.col("refilled")),
    "filled": (240, pl.col("barrier_filled_touch")),
    "stays": (0, (pl.col("outcome") == "neither").cast(pl.Float64)),
    "bounces": (0, (pl.col("outcome") == "bounce").cast(pl.Float64)),
}
EXPECTED = {
    "null": {},
    "wall": {"wall ratio": 1, "refilled": 1, "filled": 1, "stays": -1, "bounces": 1},
    "vacuum": {"wall ratio": -1, "stays": -1},
    "iceberg": {"refilled": 1, "filled": 1, "stays": -1, "bounces": 1},
    "pinning": {"stays": 1, "bounces": -1},
}
"""Sign of real minus placebo; an iceberg shows no more than others do, but is not used up."""


@pytest.mark.parametrize("kind", EXPECTED)
def test_what_is_planted_in_the_book_shows_in_its_features(kind: str) -> None:
    prices = range(19_104, 19_297, 32)
    size, minutes = {"wall": 400, "iceberg": 7}.get(kind, 400), 20.0
    plants = tuple(
        Plant(
            name=str(price), kind=kind, level=price, probability=0.8, travel_ticks=8, size=size,
            minutes=minutes,
        )
        for price in prices
    )  # fmt: skip
    spec = OrderBookSpec(
        trades=4_000, hours="regular", flat=True, sigma_minute=2.0, auction=False, plants=plants
    )
    days = described_days(spec, prices, LevelsSettings(), 14)
    rows = pl.concat(
        [
            days.filter(pl.col("delay_seconds") == delay).select(
                "unit", "family", kind=pl.lit(name), value=value
            )
            for name, (delay, value) in FEATURES.items()
        ]
    )
    effects = pl.concat([placebo_effects(rows.filter(pl.col("kind") == name)) for name in FEATURES])
    signs = {
        row["kind"]: 1 if row["low"] > 0 else -1
        for row in effects.iter_rows(named=True)
        if row["p_value"] < 0.02
    }
    told = effects.select("kind", "n_real", "real_frac", "placebo_frac", "low", "high", "p_value")
    assert signs == EXPECTED[kind], told
    assert days.filter(pl.col("family") == "real").height > 250


def test_a_few_null_worlds_show_nothing_even_by_stretches_of_few_days() -> None:
    spec = OrderBookSpec(
        trades=2_400, hours="regular", flat=True, sigma_minute=2.0, auction=False,
        trade_dates=trade_dates(4),
    )  # fmt: skip
    inside = 0
    for seed in range(20):
        rows = effect_rows(outcomes_of(seed, spec, PRICES, LevelsSettings()), "bounce")
        assert rows.in_stretches and set(rows.together["kind"]) == {ANY_KIND}
        (row,) = placebo_effects(rows.together).to_dicts()
        inside += row["low"] <= 0.0 <= row["high"]
        assert judge_effects(placebo_effects(rows.by_kind)).outcome != "insufficient"
    assert inside >= 17
