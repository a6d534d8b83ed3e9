"""Peers, p and q against scipy and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tapemill.flow.significance import empirical_p, q_values, without_peers

NONE = np.int16(-1)


def scene(seed: int, evenings: int = 75, names: int = 40) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    z = np.round(draw.standard_t(4, (evenings, names)), 1)  # ties
    z[draw.random(z.shape) < 0.1] = np.nan
    return z, draw.random(z.shape) < 0.7


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("first", [0, 30, 64])
def test_p_counts_the_evenings_before(upper: bool, first: int) -> None:
    z, eligible = scene(1)
    eligible[10] = False
    p, pooled = empirical_p(z, eligible, first, upper=upper)
    measure = z if upper else np.abs(z)
    for t, i in np.ndindex(z.shape):
        if t < first or not eligible[t, i] or np.isnan(z[t, i]):
            assert np.isnan(p[t, i])
            continue
        before = range(max(t - 60, 0), t)
        pool = np.concatenate(
            [measure[s][eligible[s] & ~np.isnan(z[s])] for s in before] or [np.empty(0)]
        )
        filled = sum((eligible[s] & ~np.isnan(z[s])).any() for s in before)
        assert pooled[t] == (filled >= 5)
        if pooled[t]:
            assert p[t, i] == (1 + (pool >= measure[t, i]).sum()) / (1 + len(pool))
        else:
            own = z[t][eligible[t] & ~np.isnan(z[t])]
            spread = max(1.4826 * stats.median_abs_deviation(own), 1.0)
            value = (z[t, i] - np.median(own)) / spread
            wanted = stats.norm.sf(value) if upper else 2 * stats.norm.sf(abs(value))
            assert p[t, i] == pytest.approx(wanted, rel=1e-12)


def test_q_equals_scipy() -> None:
    draw = np.random.default_rng(2)
    p = draw.random((9, 200)) ** 3
    p[draw.random(p.shape) < 0.2] = np.nan
    p[3] = np.nan
    p[4, :50] = 0.01
    q = q_values(p)
    for one, found in zip(p, q, strict=True):
        known = ~np.isnan(one)
        assert np.isnan(found[~known]).all()
        if known.any():
            wanted = stats.false_discovery_control(one[known])
            assert found[known] == pytest.approx(wanted, rel=1e-12)


def test_the_common_move_is_the_median_of_the_eligible_and_then_of_the_sector() -> None:
    draw = np.random.default_rng(3)
    deviation = draw.standard_t(3, (12, 60))
    deviation[draw.random(deviation.shape) < 0.1] = np.nan
    scale = draw.uniform(0.5, 2, deviation.shape)
    eligible = draw.random(deviation.shape) < 0.6
    sector = draw.integers(-1, 4, 60).astype(np.int16)[None, :].repeat(12, axis=0)
    sector[:, :3] = 4  # too small
    eligible[7] = False
    z, shift = without_peers(deviation, scale, eligible, sector)
    for t in range(12):
        counted = eligible[t] & ~np.isnan(deviation[t])
        if not counted.any():
            assert np.isnan(z[t]).all()
            continue
        market = np.median(deviation[t][counted])
        for i in range(60):
            fellows = counted & (sector[t] == sector[t, i])
            own = 0.0
            if sector[t, i] >= 0 and fellows.sum() >= 5:
                own = np.median(deviation[t][fellows] - market)
            assert shift[t, i] == market + own
            wanted = (deviation[t, i] - (market + own)) / scale[t, i]
            assert z[t, i] == pytest.approx(wanted, nan_ok=True, rel=1e-14)
