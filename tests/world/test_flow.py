"""The made market of short volume: exact plants, holes, classes, null mode."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tapemill.errors import UsageError
from tapemill.world.flow import flow_market

FIRST = date(2020, 1, 2)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def test_a_seed_gives_one_market() -> None:
    one, other = (flow_market(80, FIRST, 60, seed=4) for _ in range(2))
    assert one.symbols == other.symbols
    assert same(one.short_volume, other.short_volume)
    assert not same(one.short_volume, flow_market(80, FIRST, 60, seed=5).short_volume)


def test_volumes_are_possible() -> None:
    market = flow_market(300, FIRST, 60, seed=1)
    there = np.isfinite(market.total_volume)
    assert 0.9 < there.mean() < 1
    assert (market.total_volume[there] > 0).all()
    assert (market.short_volume[there] >= 0).all()
    assert (market.short_volume[there] <= market.total_volume[there]).all()
    assert {"common", "warrant", "test", "preferred", "unit"} <= set(market.security_class)
    assert (market.share_factor != 1).any()
    assert market.rows().height == there.sum()
    assert list(market.symbols) == sorted(set(market.symbols))


@pytest.mark.parametrize("sigma", [-4.0, 0.5, 4.0])
def test_a_plant_shifts_one_logit_by_exactly_so_much(sigma: float) -> None:
    market = flow_market(60, FIRST, 50, seed=2, mode="null")
    day, symbol = market.sessions[40], market.symbols[17]
    planted = market.plant(symbol, day, sigma)
    moved = planted.logits(day) - market.logits(day)
    assert moved[17] == pytest.approx(sigma * market.sigma[17], abs=1e-12)
    assert np.abs(np.delete(moved, 17)).max() == 0
    assert same(planted.total_volume, market.total_volume)
    changed = planted.short_volume != market.short_volume
    assert changed.sum() == 1


def test_a_market_shift_moves_every_logit() -> None:
    market = flow_market(60, FIRST, 50, seed=3, mode="null")
    day = market.sessions[40]
    moved = market.market_shift(day, 0.4).logits(day) - market.logits(day)
    assert moved == pytest.approx(np.full(60, 0.4), abs=1e-12)


def test_an_impossible_plant_is_refused() -> None:
    market = flow_market(60, FIRST, 50, seed=3, mode="null")
    with pytest.raises(UsageError, match="log odds"):
        market.plant(market.symbols[0], market.sessions[40], 400.0)
    with pytest.raises(UsageError, match="log odds"):
        market.plant(market.symbols[0], market.sessions[2], 1.0)
    with pytest.raises(UsageError, match="a market needs"):
        flow_market(0, FIRST, 50, seed=3)


def test_in_a_null_market_nothing_is_remembered_or_shared() -> None:
    market = flow_market(400, FIRST, 120, seed=6, mode="null")
    logit = np.log(market.short_volume / (market.total_volume - market.short_volume))
    noise = (logit - logit.mean(axis=1, keepdims=True)) / market.sigma[:, None]
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.02
    assert noise.mean(axis=0).std() < 2 / np.sqrt(400)
    assert set(market.security_class) == {"common"}
    assert (market.share_factor == 1).all()
