"""Planted effects are there, as often as declared, and nowhere else."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tapemill.errors import DateError, UsageError
from tapemill.world.order_book import OrderBookSpec, OrderBookWorld, Plant, path_world

LEVELS = (19_184, 19_192, 19_208, 19_216)


def spec_of(kind, probability, **changes):
    plants = tuple(
        Plant(name=f"{kind}{offset}", kind=kind, level=19_200 + offset, probability=probability,
              **changes)
        for offset in (-90, -30, 30, 90)
    )  # fmt: skip
    return OrderBookSpec(trades=20_000, hours="regular", sigma_minute=5.0, plants=plants)


def first_passage(trades, row, ticks):
    """+1 the price went `ticks` beyond the level first, -1 back, 0 neither: by looking."""
    start = np.searchsorted(trades.ts_gateway, row["touch_gateway_ns"])
    gone = (trades.price[start:].astype(np.int64) - row["level_ticks"]) * row["direction"]
    beyond, back = (np.flatnonzero(mask) for mask in (gone >= ticks, gone <= -ticks))
    if not beyond.size and not back.size:
        return 0
    return 1 if not back.size or (beyond.size and beyond[0] < back[0]) else -1


def outcomes(kind, probability, seeds, ticks):
    found = []
    for seed in range(seeds):
        world = path_world(seed, spec_of(kind, probability))
        rows = world.truth.filter(pl.col("outcome").is_not_null()).to_dicts()
        found += [(row, first_passage(world.trades, row, ticks)) for row in rows]
    return found


@pytest.mark.parametrize(
    ("kind", "probability"), [("wall", 0.8), ("iceberg", 0.3), ("vacuum", 0.7)]
)
@pytest.mark.parametrize("ticks", [4, 24])
def test_first_passage_shows_the_planted_probability(kind, probability, ticks):
    found = outcomes(kind, probability, 60, ticks)
    assert len(found) > 150
    wanted = {"hold": -1, "break": 1}
    assert all(wanted[row["planted"]] == passed for row, passed in found)
    assert all(row["planted"] == row["outcome"] for row, _ in found)
    effect = "break" if kind == "vacuum" else "hold"
    hits = sum(row["planted"] == effect for row, _ in found)
    low, high = stats.binomtest(hits, len(found)).proportion_ci(0.999)
    assert low < probability < high


def test_without_effect_price_goes_on_as_a_fair_walk_does():
    found = outcomes("null", 0.9, 120, 12)
    assert all(row["planted"] is None for row, _ in found)
    decided = [passed for _, passed in found if passed]
    # A step of one tick: from the touch, one tick before the level, to 12 on either side.
    low, high = stats.binomtest(decided.count(1), len(decided)).proportion_ci(0.999)
    assert low < 11 / 24 + 0.02 and high > 11 / 24 - 0.02
    assert len(decided) > 300


def test_a_wall_that_holds_is_never_traded_through():
    for seed in range(10):
        world = path_world(seed, spec_of("wall", 1.0))
        for row in world.truth.filter(pl.col("ended_ns").is_not_null()).to_dicts():
            begin = np.searchsorted(world.trades.ts_gateway, row["touch_gateway_ns"])
            end = np.searchsorted(world.trades.ts_gateway, row["ended_ns"])
            gone = (world.trades.price[begin:end] - row["level_ticks"]) * row["direction"]
            assert gone.max() <= 0 and gone.min() >= -24


def test_pinned_price_stays_for_its_minutes():
    rows = []
    for seed in range(30):
        world = path_world(seed, spec_of("pinning", 0.6, minutes=5.0))
        for row in world.truth.filter(pl.col("outcome").is_not_null()).to_dicts():
            rows.append(row)
            begin = np.searchsorted(world.trades.ts_gateway, row["touch_gateway_ns"])
            end = np.searchsorted(world.trades.ts_gateway, row["ended_ns"])
            away = np.abs(world.trades.price[begin:end] - row["level_ticks"])
            if row["outcome"] == "pinned":
                assert away.max() <= 3
                assert 300e9 <= row["ended_ns"] - row["touch_ns"] < 420e9
    hits = sum(row["outcome"] == "pinned" for row in rows)
    low, high = stats.binomtest(hits, len(rows)).proportion_ci(0.999)
    assert low < 0.6 < high


def test_approaches_begin_at_the_touch_after_price_was_away():
    world = path_world(11, spec_of("wall", 0.5))
    trades = world.trades
    for row in world.truth.to_dicts():
        k = int(np.searchsorted(trades.ts_gateway, row["touch_gateway_ns"]))
        while abs(trades.price[k] - row["level_ticks"]) > 1:
            k += 1  # another trade of the same nanosecond
        assert trades.price[k] - row["level_ticks"] == -row["direction"]
        before = (trades.price[:k] - row["level_ticks"]) * row["direction"]
        away = np.flatnonzero(before <= -24)
        assert away.size and (before[away[-1] :] < -1).all()


def median_size(ladders):
    """Contracts that rest at the levels, over the mbp-10 records that show one."""
    prices = np.array(LEVELS) * 250_000_000
    found = [
        ladders[f"{side}_sz_{place:02}"][np.isin(ladders[f"{side}_px_{place:02}"], prices)]
        for place in range(10)
        for side in ("bid", "ask")
    ]
    return np.median(np.concatenate(found))


def book_of(kind, **changes):
    plants = tuple(
        Plant(name=f"{level}", kind=kind, level=level, probability=1.0, travel_ticks=6, **changes)
        for level in LEVELS
    )
    spec = OrderBookSpec(
        trades=3_000, hours="regular", flat=True, sigma_minute=1.5, auction=False, plants=plants
    )
    return OrderBookWorld(2, spec)


def test_walls_vacuums_and_icebergs_show_in_the_book():
    wall = median_size(book_of("wall", size=300).records("mbp-10"))
    thin = median_size(book_of("vacuum").records("mbp-10"))
    usual = median_size(book_of("null").records("mbp-10"))
    assert wall > 200 > 5 * usual and thin < usual / 3
    orders = book_of("iceberg", size=7).records("mbo")
    adds = orders[(orders["action"] == b"A") & (orders["flags"] != 40)]
    ids, counts = np.unique(adds["order_id"], return_counts=True)
    iceberg = np.isin(adds["order_id"], ids[counts > 1])
    assert iceberg.sum() > 5
    assert np.isin(adds["price"][iceberg], np.array(LEVELS) * 250_000_000).all()
    assert (adds["size"][iceberg] == 7).all()


def test_what_cannot_be_meant_is_refused():
    two = (Plant(name="a", kind="wall", level=19_210), Plant(name="b", kind="wall", level=19_220))
    for plants in (
        two,
        (Plant(name="c", kind="wall", level=19_210, guard_ticks=2),),
        (Plant(name="d", kind="wal", level=19_210),),
        (Plant(name="e", kind="wall", level=19_210, probability=1.2),),
        (Plant(name="f", kind="wall", level=99_000),),
    ):
        with pytest.raises(UsageError, match=plants[0].name):
            path_world(1, OrderBookSpec(plants=plants))
    with pytest.raises(UsageError, match="cannot move price"):
        path_world(1, OrderBookSpec(trades=2_000, sigma_minute=5.0))
    import datetime

    with pytest.raises(DateError):
        path_world(1, OrderBookSpec(trade_dates=(datetime.date(2023, 12, 25),)))
