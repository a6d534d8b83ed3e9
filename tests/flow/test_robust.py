"""Rolling medians against numpy on every window, and the scale against a known σ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tapemill.flow.robust import ascending, mad_factor, prior_median, prior_median_mad


def holed(seed: int, shape: tuple[int, int], ties: bool = False) -> np.ndarray:
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 6, shape).astype(float) if ties else draw.standard_t(3, shape)
    values[draw.random(shape) < 0.2] = np.nan
    values[0] = np.nan
    return values


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("window", "minimum"), [(1, 1), (2, 2), (7, 3), (20, 5), (60, 15)])
def test_medians_equal_numpy_on_every_window(window: int, minimum: int, ties: bool) -> None:
    values = holed(window, (13, 150), ties)
    median, mad, count = prior_median_mad(values, window, minimum)
    for row, t in np.ndindex(values.shape):
        past = values[row, max(t - window, 0) : t]
        past = past[~np.isnan(past)]
        assert count[row, t] == len(past)
        if len(past) < minimum:
            assert np.isnan(median[row, t])
            assert np.isnan(mad[row, t])
        else:
            assert median[row, t] == np.median(past)
            assert mad[row, t] == stats.median_abs_deviation(past)
    assert np.array_equal(prior_median(values, window, minimum), median, equal_nan=True)


def test_a_split_rescales_only_what_came_before() -> None:
    values = holed(3, (5, 80)) ** 2
    factor = np.ones_like(values)
    factor[1, 30], factor[2, 40], factor[2, 47] = 3.0, 0.1, 7.0
    made = prior_median(values, 20, 5, factor=factor)
    logs = prior_median_mad(np.log(values), 20, 5, shift=np.log(factor))
    for row, t in np.ndindex(values.shape):
        since = [np.prod(factor[row, s + 1 : t + 1]) for s in range(max(t - 20, 0), t)]
        past = values[row, max(t - 20, 0) : t] * since
        past = past[~np.isnan(past)]
        if len(past) >= 5:
            assert made[row, t] == pytest.approx(np.median(past), rel=1e-13)
            assert logs[0][row, t] == pytest.approx(np.median(np.log(past)), abs=1e-12)
            mad = stats.median_abs_deviation(np.log(past))
            assert logs[1][row, t] == pytest.approx(mad, abs=1e-12)


def test_a_window_does_not_depend_on_where_the_history_begins() -> None:
    values = np.exp(holed(4, (6, 200)))
    factor = np.where(np.random.default_rng(1).random(values.shape) < 0.05, 3.0, 1.0)
    whole = prior_median(values, 20, 5, factor=factor)
    late = prior_median(values[:, 37:], 20, 5, factor=factor[:, 37:])
    assert np.array_equal(whole[:, 57:], late[:, 20:], equal_nan=True)
    shift = np.log(factor)
    whole_mad = prior_median_mad(np.log(values), 60, 15, shift=shift)
    late_mad = prior_median_mad(np.log(values)[:, 37:], 60, 15, shift=shift[:, 37:])
    for one, other in zip(whole_mad, late_mad, strict=True):
        assert np.array_equal(one[:, 97:], other[:, 60:], equal_nan=True)


@pytest.mark.parametrize("size", [5, 6, 9, 10, 15, 16, 31, 60])
def test_the_scale_of_normal_samples_is_unbiased(size: int) -> None:
    sample = np.random.default_rng(size).normal(0, 2.5, (40_000, size))
    factor = mad_factor(np.array([size], dtype=np.int32))[0]
    mean = (1.4826 * factor * stats.median_abs_deviation(sample, axis=1)).mean()
    assert mean == pytest.approx(2.5, rel=0.012)


def test_no_factor_without_two_values() -> None:
    assert np.isnan(mad_factor(np.array([0, 1], dtype=np.int32))).all()


@pytest.mark.parametrize("size", [0, 1, 2, 63, 5000])
def test_ascending_is_a_stable_sort(size: int) -> None:
    draw = np.random.default_rng(size)
    values = draw.standard_t(2, size) * 10.0 ** draw.integers(-300, 300, size)
    values[draw.random(size) < 0.3] = np.round(draw.standard_normal(), 1)
    values[draw.random(size) < 0.1] = 0.0
    values[draw.random(size) < 0.1] = -0.0
    values[draw.random(size) < 0.02] = -np.inf
    values[draw.random(size) < 0.02] = np.inf
    assert ascending(values).tolist() == np.argsort(values, kind="stable").tolist()
