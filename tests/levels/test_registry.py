from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levels.minutes_made import SESSION, TICK, Sigma, flat_minutes, walk_inputs
from tapemill.contracts.levels import LEVEL_DATASETS
from tapemill.errors import ContractError
from tapemill.levels.inputs import MINUTE_NS, LevelInputs
from tapemill.levels.kinds import LevelKind, LevelPath, standing
from tapemill.levels.registry import (
    KIND_WEIGHTS,
    LEVEL_KINDS,
    build_levels,
    level_kinds_markdown,
)
from tapemill.levels.zones import zone_rows
from tapemill.settings.declaration import LevelsSettings

DEFAULTS = LevelsSettings()


def _known(levels: pl.DataFrame, moment_ns: int) -> pl.DataFrame:
    """Rows that had begun by `moment_ns`; the end only where it had come by then."""
    end = pl.col("valid_to_ns")
    return levels.filter(pl.col("valid_from_ns") <= moment_ns).with_columns(
        valid_to_ns=pl.when(end <= moment_ns).then(end)
    )


def _walked(seed: int, sessions: int, lag_ns: int) -> LevelInputs:
    return dataclasses.replace(walk_inputs(seed, sessions=sessions), finish_lag_ns=lag_ns)


@pytest.mark.property
@settings(max_examples=40)
@given(
    st.integers(0, 4),
    st.sampled_from([0, 1, 7]),
    st.sampled_from([0, 250_000_000]),
    st.floats(0, 1),
)
def test_levels_known_at_a_moment_do_not_depend_on_what_comes_after(seed, sessions, lag, part):
    inputs = _walked(seed, sessions, lag)
    whole = build_levels(inputs, DEFAULTS)
    moment = inputs.globex_open_ns + int(part * (inputs.globex_close_ns - inputs.globex_open_ns))
    cut = build_levels(inputs.known_by(moment), DEFAULTS)
    assert _known(cut, moment).equals(_known(whole, moment))
    assert cut["valid_from_ns"].max() is None or cut["valid_from_ns"].max() <= moment


@pytest.mark.property
def test_levels_do_not_see_scrambled_minutes_to_come():
    inputs = walk_inputs(5)
    rng = np.random.default_rng(0)
    for minute in (1, 400, 931, 990, 1100):
        moment = inputs.globex_open_ns + minute * MINUTE_NS + 17
        later = (pl.col("ts_event") + MINUTE_NS) > moment
        values = ["high_ticks", "low_ticks", "close_ticks", "volume", "price_volume"]
        future = inputs.minutes.filter(later)
        order = rng.permutation(len(future))
        scrambled = future.with_columns(future[name].gather(order) for name in values)
        sigma = inputs.volatility
        changed = Sigma(sigma.at_ns, np.where(sigma.at_ns > moment, 99.0, sigma.sigma))
        other = dataclasses.replace(
            inputs,
            minutes=pl.concat([inputs.minutes.filter(~later), scrambled]),
            volatility=changed,
        )
        first = _known(build_levels(inputs, DEFAULTS), moment)
        assert first.equals(_known(build_levels(other, DEFAULTS), moment))


def test_rows_keep_the_contract_and_follow_each_other():
    levels = build_levels(walk_inputs(1), DEFAULTS)
    contract = next(dataset for dataset in LEVEL_DATASETS if dataset.name == "gold.levels")
    assert levels.schema == pl.Schema({c.name: c.dtype for c in contract.columns})
    assert levels.select(contract.key).is_duplicated().sum() == 0
    nulls = {c.name for c in contract.columns if c.nullable}
    assert all(levels[name].null_count() == 0 for name in levels.columns if name not in nulls)
    assert levels.filter(pl.col("valid_from_ns") >= pl.col("valid_to_ns")).is_empty()
    following = levels.with_columns(
        begin=pl.col("valid_from_ns").shift(-1).over("level_id", order_by="valid_from_ns")
    )
    assert following.filter(pl.col("begin") < pl.col("valid_to_ns")).is_empty()
    assert levels["price_ticks"].is_finite().all()
    assert (levels["price"] == levels["price_ticks"] * TICK).all()
    assert (levels["valid_from_ns"] % MINUTE_NS == 0).all()


def test_every_kind_that_the_walk_can_have_is_there():
    levels = build_levels(walk_inputs(1), DEFAULTS)
    absent = set(KIND_WEIGHTS) - set(levels["kind"])
    assert absent <= {"NAKED_POC", "PROJECTED_USER"}  # there are no minutes of the walk's NQ
    assert levels.filter(pl.col("level_id").str.contains("other")).is_empty()


def test_a_new_kind_is_one_declaration_and_one_entry():
    def build(inputs, _settings):
        yield standing("CALL_WALL", inputs.globex_open_ns, 19_100.0, "open interest")

    wall = LevelKind("CALL_WALL", "option", "Strike", "argmax gamma", "at the open", 1.0, build)
    levels = build_levels(walk_inputs(1), DEFAULTS, (*LEVEL_KINDS, wall))
    rows = levels.filter(pl.col("kind") == "CALL_WALL")
    assert set(rows["family"]) == {"real", "placebo_random", "placebo_shifted"}
    assert rows.filter(pl.col("family") == "real")["price_ticks"].unique().to_list() == [19_100.0]
    gone = zone_rows(levels.filter(pl.col("valid_from_ns") > 0))
    assert np.isnan(gone.low[gone.at_ns == walk_inputs(1).globex_close_ns]).all()


def test_a_moving_level_steps_only_when_it_moved_half_a_tick():
    levels = build_levels(walk_inputs(1), DEFAULTS).filter(pl.col("level_id") == "GLOBEX_VWAP")
    moved = levels.filter(pl.col("price_ticks") != pl.col("price_ticks").shift(1))
    assert moved["price_ticks"].diff().abs().min() >= 0.5
    assert 20 < len(moved) < 1000
    assert (levels["valid_from_ns"][1:] == levels["valid_to_ns"][:-1]).all()
    assert ((levels["valid_from_ns"] % MINUTE_NS) == 0).all()


def test_a_day_without_anything_has_no_levels():
    inputs = LevelInputs.for_session(
        "ESH4", "ES", SESSION, TICK, flat_minutes(0, np.empty(0, np.int64))
    )
    levels = build_levels(inputs, DEFAULTS)
    assert levels.is_empty() and "zone" in levels.columns
    assert len(zone_rows(levels).at_ns) == 0


def test_two_levels_of_one_id_are_refused():
    def build(inputs, _settings):
        for ticks in (1.0, 2.0):
            yield standing("TWICE", inputs.globex_open_ns, ticks, "")

    twice = LevelKind("TWICE", "user", "", "", "", 0.0, build)
    with pytest.raises(ContractError, match="TWICE"):
        build_levels(walk_inputs(1, sessions=0), DEFAULTS, (twice,))


def test_a_path_that_goes_back_in_time_is_refused():
    def build(inputs, _settings):
        at = np.array([inputs.globex_open_ns + 5, inputs.globex_open_ns], np.int64)
        yield LevelPath("BACK", at, np.array([1.0, 2.0]), "")

    back = LevelKind("BACK", "user", "", "", "", 0.0, build)
    with pytest.raises(ContractError, match="BACK"):
        build_levels(walk_inputs(1, sessions=0), DEFAULTS, (back,))


@pytest.mark.parametrize("change", ["reverse", "repeat", "lack"])
def test_minutes_that_cannot_be_read_are_refused(change):
    inputs = walk_inputs(1, sessions=0)
    minutes = {
        "reverse": inputs.minutes.reverse(),
        "repeat": pl.concat([inputs.minutes[:1], inputs.minutes]),
        "lack": inputs.minutes.drop("volume"),
    }[change]
    with pytest.raises(ContractError):
        build_levels(dataclasses.replace(inputs, minutes=minutes), DEFAULTS)


def test_the_document_names_every_kind():
    text = level_kinds_markdown()
    assert all(f"| {kind.name} |" in text for kind in LEVEL_KINDS)
    assert len({kind.name for kind in LEVEL_KINDS}) == len(LEVEL_KINDS)
    assert all(0 <= kind.weight <= 1 and kind.formula and kind.known for kind in LEVEL_KINDS)
    assert all(
        line.count("|") - line.count("\\|") == 6 for line in text.splitlines() if "|" in line
    )


def test_weights_of_the_golden_confluence_case():
    """A11 of the knowledge page: weights of the kinds it names."""
    score = KIND_WEIGHTS["VWAP"] * (1 - 0.05 / 0.2)
    score += KIND_WEIGHTS["PREMARKET_HIGH"] * (1 - 0.15 / 0.2)
    assert score == pytest.approx(0.775)
    assert KIND_WEIGHTS["ROUND"] == 0.0
