from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levels.minutes_made import walk_inputs
from tapemill.errors import ContractError
from tapemill.levels.inputs import sigma_at
from tapemill.levels.moving import Steps
from tapemill.levels.registry import build_levels
from tapemill.levels.zones import merge_distance, standing_rows, zone_rows
from tapemill.settings.declaration import LevelsSettings

DEFAULTS = LevelsSettings()
HOLD = 1.5
CLOSE = 1_000


def _reference(steps: Steps, merge, numbers) -> dict[int, dict[int, int]]:
    """Zone of each standing level after each moment, by plain dictionaries."""
    price: dict[int, float] = {}
    zone: dict[int, int] = {}
    after: dict[int, dict[int, int]] = {}
    for moment in sorted(set(steps.at_ns.tolist())):
        at = np.flatnonzero(steps.at_ns == moment)
        for index in at:
            level = int(steps.level[index])
            if math.isnan(steps.ticks[index]):
                price.pop(level, None)
                zone.pop(level, None)
            else:
                price[level] = float(steps.ticks[index])
        ordered = sorted(price, key=lambda level: (price[level], numbers[level]))
        groups: list[list[int]] = []
        for level in ordered:
            near = False
            if groups:
                last = groups[-1][-1]
                gap = price[level] - price[last]
                together = zone.get(last, -1) == zone.get(level, -2)
                near = gap <= merge[at[0]] or (together and gap <= HOLD * merge[at[0]])
            groups[-1].append(level) if near else groups.append([level])
        zone = {level: min(int(numbers[m]) for m in group) for group in groups for level in group}
        after[moment] = dict(zone)
    return after


@st.composite
def _walks(draw):
    count = draw(st.integers(1, 7))
    moments = draw(st.lists(st.integers(0, 40), min_size=1, max_size=12, unique=True).map(sorted))
    cells = st.one_of(st.integers(0, 24).map(lambda half: half / 2), st.just(math.nan))
    level, at, ticks = [], [], []
    standing: set[int] = set()
    for moment in moments:
        for who in draw(st.sets(st.integers(0, count - 1), min_size=1)):
            value = draw(cells)
            if math.isnan(value) and who not in standing:
                continue
            standing.discard(who) if math.isnan(value) else standing.add(who)
            level.append(who)
            at.append(moment)
            ticks.append(value)
    order = np.lexsort((level, at))
    steps = Steps(
        np.array(level, np.int64)[order],
        np.array(at, np.int64)[order],
        np.array(ticks, float)[order],
        np.zeros(len(at)),
    )
    widths = {moment: draw(st.sampled_from([0.0, 1.0, 2.0, 3.0])) for moment in moments}
    merge = np.array([widths[moment] for moment in steps.at_ns.tolist()], float)
    numbers = np.array(draw(st.permutations(range(1, count + 1))), np.int64)
    return steps, merge, numbers


@pytest.mark.property
@settings(max_examples=100)
@given(_walks())
def test_zones_are_those_of_a_plain_reference(walk):
    steps, merge, numbers = walk
    rows = standing_rows(steps, merge, numbers, CLOSE)
    assert (rows.begin_ns < rows.end_ns).all()
    for moment, wanted in _reference(steps, merge, numbers).items():
        stands = (rows.begin_ns <= moment) & (moment < rows.end_ns)
        found = dict(zip(rows.level[stands].tolist(), rows.zone[stands].tolist(), strict=True))
        assert found == wanted


def test_levels_of_a_zone_part_later_than_they_met():
    ticks = np.array([10.0, 13.0, 12.0, 12.9, 13.1])
    steps = Steps(
        np.array([0, 1, 1, 1, 1], np.int64), np.array([0, 0, 1, 2, 3], np.int64), ticks, np.zeros(5)
    )
    rows = standing_rows(steps, np.full(5, 2.0), np.array([1, 2], np.int64), CLOSE)
    assert rows.zone[rows.level == 1].tolist() == [2, 1, 1, 2]


def _members(levels: pl.DataFrame, moment: int) -> pl.DataFrame:
    return levels.filter((pl.col("valid_from_ns") <= moment) & (moment < pl.col("valid_to_ns")))


def _edges_at(rows, moment: int) -> dict[int, tuple[float, float]]:
    edges: dict[int, tuple[float, float]] = {}
    for at, zone, low, high in zip(*(column.tolist() for column in rows), strict=True):
        if at <= moment:
            edges[zone] = (low, high)
    return {zone: edge for zone, edge in edges.items() if not math.isnan(edge[0])}


@pytest.mark.parametrize("seed", [1, 6])
def test_edges_span_the_members_and_placebos_are_as_wide_as_what_they_match(seed):
    inputs = walk_inputs(seed)
    levels = build_levels(inputs, DEFAULTS)
    rows = zone_rows(levels)
    moments = np.random.default_rng(seed).integers(
        inputs.globex_open_ns, inputs.globex_close_ns, 25
    )
    for moment in [inputs.globex_open_ns, *moments.tolist()]:
        stands = _members(levels, moment)
        real = stands.filter(pl.col("family") == "real")
        wanted = {
            zone: (low, high)
            for zone, low, high in real.group_by("zone")
            .agg(
                pl.col("price_ticks").min().alias("low"), pl.col("price_ticks").max().alias("high")
            )
            .iter_rows()
        }
        home = {
            level: (price, zone)
            for level, price, zone in real.select("level_id", "price_ticks", "zone").iter_rows()
        }
        for row in stands.filter(pl.col("family") != "real").to_dicts():
            price, zone = home[row["placebo_of"]]
            low, high = (edge + row["price_ticks"] - price for edge in wanted[zone])
            assert row["zone"] not in wanted or wanted[row["zone"]] == (low, high)
            wanted[row["zone"]] = (low, high)
        found = _edges_at(rows, moment)
        assert found.keys() == wanted.keys()
        for zone, edges in wanted.items():
            assert found[zone] == pytest.approx(edges, abs=1e-9)
    assert not _edges_at(rows, inputs.globex_close_ns)


def test_rows_are_sorted_and_say_something_new():
    rows = zone_rows(build_levels(walk_inputs(1), DEFAULTS))
    order = np.lexsort((rows.zone, rows.at_ns))
    assert (order == np.arange(len(order))).all()
    table = pl.DataFrame(rows._asdict()).sort("zone", "at_ns")
    assert table.select("zone", "at_ns").is_duplicated().sum() == 0
    table = table.with_columns(pl.col("low", "high").fill_nan(-1.0))
    again = table.filter(
        (pl.col("zone") == pl.col("zone").shift(1))
        & (pl.col("low") == pl.col("low").shift(1))
        & (pl.col("high") == pl.col("high").shift(1))
    )
    assert again.is_empty()


def test_real_and_placebo_never_share_a_zone_and_stacked_levels_do():
    levels = build_levels(walk_inputs(1), DEFAULTS)
    real = levels.filter(pl.col("family") == "real")
    placebo = levels.filter(pl.col("family") != "real")
    assert not set(real["zone"]) & set(placebo["zone"])
    assert placebo.group_by("zone").agg(pl.col("level_id").n_unique())["level_id"].max() == 1
    moment = walk_inputs(1).globex_close_ns - 1
    crowd = _members(real, moment).group_by("zone").len()
    assert crowd["len"].max() > 1


def test_a_level_with_an_error_makes_its_zone_as_wide():
    levels = build_levels(walk_inputs(1, sessions=0), DEFAULTS).with_columns(
        error_ticks=pl.lit(2.5)
    )
    rows = zone_rows(levels)
    width = (rows.high - rows.low)[~np.isnan(rows.low)]
    assert width.min() == 5.0


def test_placebos_without_their_levels_are_refused():
    levels = build_levels(walk_inputs(1, sessions=0), DEFAULTS)
    with pytest.raises(ContractError, match="PLACEBO"):
        zone_rows(levels.filter(pl.col("family") != "real"))


def test_the_merging_distance_has_a_floor_and_knows_no_later_volatility():
    volatility = walk_inputs(1).volatility
    first = int(volatility.at_ns[0])
    sigma = sigma_at(volatility, np.array([first - 1, first, first + 1], np.int64))
    assert np.isnan(sigma[0]) and sigma[1] == sigma[2] == volatility.sigma[0]
    assert np.isnan(sigma_at(None, np.array([1], np.int64))).all()
    assert merge_distance(np.array([np.nan, 4.0, 40.0]), DEFAULTS).tolist() == [2.0, 2.0, 10.0]
