from __future__ import annotations

import csv
import dataclasses
import json
import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levels.minutes_made import SESSION, TICK, flat_minutes, profile_of, walk_inputs
from tapemill.clock.sessions import calendar
from tapemill.errors import UsageError
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.kinds_profile import PROFILE_KINDS
from tapemill.levels.profile import value_area
from tapemill.settings.declaration import LevelsSettings

DEFAULTS = LevelsSettings()


def _paths(inputs: LevelInputs) -> dict[str, float]:
    return {
        path.level_id: float(path.ticks[0])
        for kind in PROFILE_KINDS
        for path in kind.build(inputs, DEFAULTS)
    }


@pytest.mark.real
def test_published_profile_is_met(real_data):
    """Expected values of the test suite of the MarketProfile package."""
    folder = real_data / "vectors" / "market-profile"
    expected = json.loads((folder / "expected.json").read_text())
    row = expected["params"]["row_size"]
    volumes: dict[float, float] = {}
    with (folder / "google.csv").open() as file:
        for bar in csv.DictReader(file):
            price = round(math.ceil(round(float(bar["Close"]) / row, 6)) * row, 2)
            volumes[price] = volumes.get(price, 0.0) + float(bar["Volume"])
    prices = np.array(sorted(volumes))
    area = value_area(prices, np.array([volumes[price] for price in prices.tolist()]))
    wanted = expected["expected"]
    assert area.point_of_control == wanted["poc"]
    assert (area.low, area.high) == (wanted["val"], wanted["vah"])


def test_the_value_area_grows_by_one_row_to_the_heavier_side():
    prices = np.array([10.0, 11, 12, 13, 14, 15])
    volumes = np.array([5.0, 30, 40, 10, 10, 5])
    assert value_area(prices, volumes) == (11, 12, 13)
    assert value_area(prices, volumes, 0.6) == (11, 12, 12)
    # Upwards where both sides have the same; more than the fraction must be held.
    assert value_area(np.array([1.0, 2, 3]), np.array([2.0, 6, 2]), 0.6) == (2, 2, 3)
    # Of equal maxima the one nearest the middle row.
    assert value_area(prices, np.array([9.0, 1, 1, 9, 1, 1])).point_of_control == 13
    assert value_area(prices[:1], volumes[:1]) == (10, 10, 10)
    with pytest.raises(UsageError):
        value_area(np.empty(0), np.empty(0))


@pytest.mark.property
@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_a_value_area_holds_its_share_and_no_row_too_many(volumes, fraction):
    prices = np.arange(float(len(volumes)))
    sizes = np.array(volumes, float)
    area = value_area(prices, sizes, fraction)
    inside = sizes[int(area.low) : int(area.high) + 1]
    assert area.low <= area.point_of_control <= area.high
    assert sizes[int(area.point_of_control)] == sizes.max()
    assert inside.sum() > fraction * sizes.sum() or len(inside) == len(sizes)
    if len(inside) > 1:
        edges = [
            end
            for end, at in ((inside[0], area.low), (inside[-1], area.high))
            if at != area.point_of_control
        ]
        assert inside.sum() - max(edges) <= fraction * sizes.sum()


def test_profiles_are_of_whole_prior_regular_sessions():
    inputs = walk_inputs(4)
    days = calendar("XNYS").sessions(date(2023, 12, 7), date(2023, 12, 13))
    volumes = [_volumes(inputs.history, day) for day in days]
    found = _paths(inputs)
    assert volumes[-1][found["PRIOR_POC"]] == max(volumes[-1].values())
    together: dict[float, float] = {}
    for each in volumes:
        for price, volume in each.items():
            together[price] = together.get(price, 0) + volume
    assert together[found["COMPOSITE_POC"]] == max(together.values())
    held = sum(
        v for p, v in together.items() if found["COMPOSITE_VAL"] <= p <= found["COMPOSITE_VAH"]
    )
    assert held > 0.7 * sum(together.values())
    # Without one half hour at an edge of the prior session there is neither of them.
    cut = inputs.profile.filter(pl.col("ts_event") != days[-1].close_ns - 1800 * 10**9)
    assert not {"PRIOR_POC", "COMPOSITE_POC"} & set(
        _paths(dataclasses.replace(inputs, profile=cut))
    )


def _volumes(minutes: pl.DataFrame, day) -> dict[float, float]:
    rows = minutes.filter((pl.col("ts_event") >= day.open_ns) & (pl.col("ts_event") < day.close_ns))
    total = rows.group_by("close_ticks").agg(pl.col("volume").sum())
    return {float(p): float(v) for p, v in total.iter_rows()}


@pytest.mark.parametrize(
    ("later", "naked"), [(1100, True), (900, True), (1000, False), (None, False)]
)
def test_a_point_of_control_is_naked_until_price_comes_back(later, naked):
    """`later` None: price was below and then above, so it went through without a minute at it."""
    days = [date(2023, 12, 11), date(2023, 12, 12), date(2023, 12, 13)]
    parts = []
    for number, day in enumerate(days):
        bounds = calendar("CMES").session(day)
        closes = np.full(1380, 1000 if number == 0 else later or (900 if number == 1 else 1100))
        regular_end = (calendar("XNYS").session(day).close_ns - bounds.open_ns) // (60 * 10**9)
        if number == 0:
            closes[regular_end:] = later or 900
        parts.append(flat_minutes(bounds.open_ns, closes))
    history = pl.concat(parts)
    inputs = LevelInputs.for_session(
        "ESH4", "ES", SESSION, TICK, history[:0], history, profile_of(history)
    )
    assert ("NAKED_POC_2023-12-11" in _paths(inputs)) is naked
    assert "NAKED_POC_2023-12-13" not in _paths(inputs)
