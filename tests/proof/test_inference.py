"""Intervals of overlapping returns cover as often as they say; corrections equal published ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tapemill.proof.inference import (
    BANDWIDTH,
    benjamini_hochberg,
    dated_mean,
    fixed_b_critical,
    holm,
)


def overlapping(seed: int, horizon: int, sessions: int = 250, names: int = 40):
    """Daily steps of signed events of a persistent score that knows nothing of the returns."""
    rng = np.random.default_rng([seed, horizon])
    moves = rng.normal(0, 0.02, (names, sessions + horizon))
    moves += np.repeat(rng.normal(0, 0.01, (8, sessions + horizon)), names // 8, axis=0)
    shocks = rng.normal(0, 1, (names, sessions))
    shocks += np.repeat(rng.normal(0, 1, (8, sessions)), names // 8, axis=0)
    score = np.zeros_like(shocks)
    for t in range(1, sessions):
        score[:, t] = 0.9 * score[:, t - 1] + shocks[:, t]
    row, column = np.nonzero(np.abs(score) > 1.2 * score.std())
    side = np.sign(score[row, column])
    steps = np.stack([moves[row, column + k] for k in range(horizon)], axis=1)
    return side[:, None] * steps, column.astype(np.int64)


@pytest.mark.parametrize("horizon", [1, 5, 10, 20])
def test_intervals_cover_under_an_overlapping_null(horizon):
    """The promise: the 95 % interval holds the truth in at least 93 % of 200 seeds."""
    held = sum(
        estimate.low <= 0.0 <= estimate.high
        for estimate in (dated_mean(*overlapping(seed, horizon)) for seed in range(200))
    )
    assert held >= 186


def test_counting_events_as_if_they_were_alone_would_not_cover():
    """The correction is needed: the textbook interval holds the truth far too rarely."""
    held = 0
    for seed in range(60):
        steps, _ = overlapping(seed, 20)
        values = steps.sum(axis=1)
        held += abs(values.mean()) <= 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    assert held < 45


def test_one_event_a_day_without_overlap_is_the_textbook_mean():
    values = np.random.default_rng(2).normal(0.001, 0.02, (400, 1))
    days = np.arange(400, dtype=np.int64)
    found = dated_mean(values, days)
    sums = values[:, 0] - values.mean()
    longrun = sums @ sums
    for lag in range(1, BANDWIDTH):
        longrun += 2 * (1 - lag / BANDWIDTH) * (sums[lag:] @ sums[:-lag])
    assert found.mean == pytest.approx(values.mean(), abs=1e-15)
    assert found.error == pytest.approx(math.sqrt(longrun * 400 / 399) / 400, rel=1e-12)
    critical = fixed_b_critical(BANDWIDTH / 400)
    assert found.high - found.mean == pytest.approx(critical * found.error, rel=1e-4)
    p = 2 * stats.t.sf(abs(found.mean / found.error), found.dof)
    assert found.p_value == pytest.approx(p, rel=1e-8)


def test_the_same_day_many_times_is_one_day():
    rng = np.random.default_rng(3)
    once = rng.normal(0, 0.02, (100, 1))
    days = np.arange(100, dtype=np.int64)
    many = dated_mean(np.repeat(once, 50, axis=0), np.repeat(days, 50))
    assert many.error == pytest.approx(dated_mean(once, days).error, rel=1e-12)
    assert many.events == 5000 and many.dates == 100


def test_critical_values_of_kiefer_and_vogelsang():
    assert fixed_b_critical(0.0) == 1.96
    assert fixed_b_critical(1.0) == pytest.approx(4.813, abs=1e-3)


def test_too_little_has_no_interval():
    nothing = dated_mean(np.zeros((0, 5)), np.zeros(0, dtype=np.int64))
    assert nothing.events == 0 and math.isnan(nothing.mean)
    alone = dated_mean(np.array([[0.01]]), np.array([7]))
    assert alone.mean == 0.01 and math.isnan(alone.low)
    bunch = dated_mean(np.full((30, 1), 0.01), np.full(30, 7))
    assert math.isnan(bunch.p_value)


def test_holm_and_benjamini_hochberg_equal_plain_definitions():
    p = [0.01, 0.04, math.nan, 0.03, 0.005]
    assert holm(p)[:2] == pytest.approx([0.03, 0.06])
    assert holm(p)[3:] == pytest.approx([0.06, 0.02])
    q = benjamini_hochberg(p)
    expected = stats.false_discovery_control([0.01, 0.04, 0.03, 0.005])
    assert [q[0], q[1], q[3], q[4]] == pytest.approx(list(expected))
    assert math.isnan(holm(p)[2]) and math.isnan(q[2])
