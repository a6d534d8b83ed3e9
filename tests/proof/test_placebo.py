"""Placebos against plain loops, and their shares of rank."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tapemill.proof.placebo import LEAST_DRAWS, placebo_dates, placebo_tickers

RNG = np.random.default_rng(5)
ABNORMAL = RNG.normal(0, 0.02, (12, 60))
ABNORMAL[3, 20:] = np.nan
ROW = np.array([0, 3, 5, 7])
COLUMN = np.array([4, 10, 10, 55])
SIDE = np.array([1.0, -1.0, 1.0, 1.0])


def test_every_shift_moves_all_events_together_and_none_is_shorter_than_the_horizon():
    found = placebo_dates(ABNORMAL, ROW, COLUMN, SIDE, 0.01, 10, 200, np.random.default_rng(1))
    means = []
    for shift in range(10, 51):
        values = [
            s * ABNORMAL[i, (t + shift) % 60] for i, t, s in zip(ROW, COLUMN, SIDE, strict=True)
        ]
        means.append(np.mean([v for v in values if not math.isnan(v)]))
    assert found.draws == 41
    assert found.mean == pytest.approx(np.mean(means), abs=1e-15)
    assert [found.low, found.high] == pytest.approx(list(np.quantile(means, [0.025, 0.975])))
    beyond = sum(abs(mean) >= 0.01 for mean in means)
    assert found.p_value == pytest.approx((1 + beyond) / 42)


def test_names_are_drawn_from_those_that_could_be_bought_at_the_same_open():
    pool = np.zeros(ABNORMAL.shape, dtype=bool)
    pool[[1, 2, 3], 10] = True
    pool[9, 55] = True
    marked = np.where(pool, ABNORMAL, 99.0)
    drawn = placebo_tickers(
        marked, pool, ROW, COLUMN, np.ones(4), 0.0, 300, np.random.default_rng(1)
    )
    # The event of column 4 has nobody to draw from; all others draw from the pool alone.
    expected = (2 * marked[[1, 2, 3], 10].mean() + marked[9, 55]) / 3
    assert drawn.mean == pytest.approx(expected, abs=2e-3)
    assert drawn.high < 1.0


def test_too_few_draws_have_no_rank():
    short = ABNORMAL[:, : 2 * 10 + LEAST_DRAWS - 2]
    kept = short.shape[1] > COLUMN
    found = placebo_dates(
        short, ROW[kept], COLUMN[kept], SIDE[kept], 0.01, 10, 200, np.random.default_rng(1)
    )
    assert found.draws == LEAST_DRAWS - 1 and math.isnan(found.p_value)
    nothing = placebo_dates(
        ABNORMAL[:, :15], ROW[:1], COLUMN[:1], SIDE[:1], 0.01, 10, 200, np.random.default_rng(1)
    )
    assert nothing.draws == 0 and math.isnan(nothing.mean)


def test_the_same_seed_draws_the_same():
    first, again = (
        placebo_tickers(ABNORMAL, None, ROW, COLUMN, SIDE, 0.01, 50, np.random.default_rng(9))
        for _ in range(2)
    )
    assert first == again
