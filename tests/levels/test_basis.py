from __future__ import annotations

import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.errors import ContractError, UnknownNameError
from tapemill.levels.basis import BasisModel, half_width, paired_closes, projected_path
from tapemill.levels.basis_kernel import (
    COUNT,
    LOG_VARIANCE,
    MEAN,
    SQUARES,
    VARIANCE,
    advance,
)
from tapemill.levels.inputs import MINUTE_NS

Z = 1.959963984540054


def _planted(seed: int, n: int, step: float, noise: float, drift: float = 0.0):
    """Pairs whose log ratio wanders by `step` a minute, and the truth."""
    rng = np.random.default_rng(seed)
    truth = math.log(10.05) + np.cumsum(rng.normal(0, step, n) + drift)
    fund = 470 * np.exp(np.cumsum(rng.normal(0, 2e-4, n)))
    future = fund * np.exp(truth + rng.normal(0, noise, n))
    start = MINUTE_NS * np.arange(n)
    return pl.DataFrame({"ts_event": start, "from_price": fund, "to_price": future}), truth


def _coverage(step: float, noise: float, drift: float) -> float:
    inside = total = 0
    for seed in range(120):
        pairs, truth = _planted(seed, 1600, step, noise, drift)
        model = BasisModel("SPY", "ESH4").fit(pairs)
        error = np.abs(model.log_ratio_ - truth)[200::100] / model.standard_error_[200::100]
        inside += int((error <= Z).sum())
        total += len(error)
    return inside / total


@pytest.mark.property
@pytest.mark.parametrize(
    ("step", "noise", "drift"),
    [
        (2e-6, 5e-5, 0.0),  # carry of a month, closes some seconds apart
        (2e-6, 5e-5, 1e-7),  # and a trend in it
        (5e-6, 2e-5, 0.0),
        (1e-5, 1e-5, 0.0),
    ],
)
def test_the_band_covers_a_drifting_basis(step, noise, drift):
    assert 0.93 <= _coverage(step, noise, drift) <= 0.97


@pytest.mark.parametrize(("step", "noise"), [(2e-7, 3e-5), (5e-5, 5e-6)])
def test_where_noise_and_drift_cannot_be_told_apart_the_band_is_wide(step, noise):
    assert _coverage(step, noise, 0.0) > 0.95


def test_one_filter_is_the_best_linear_estimate():
    """Against dense algebra: mean, variance and likelihood of the differences of all values."""
    rng = np.random.default_rng(3)
    minutes = np.array([0.0, 1, 2, 5, 6, 20, 21])
    values = rng.normal(0, 1, len(minutes))
    ratio = 0.3
    state = np.zeros((5, 1))
    advance(state, minutes, values, np.array([ratio]), np.zeros(1), 1.0, math.nan)
    n = len(values)
    walk = ratio * np.minimum.outer(minutes, minutes)
    total = walk + np.eye(n)
    inverse = np.linalg.inv(total)
    ones = np.ones(n)
    scale = ones @ inverse @ ones
    origin = ones @ inverse @ values / scale
    gain = walk[-1] @ inverse
    wanted = origin + gain @ (values - origin)
    slack = 1.0 - gain @ ones
    spread = walk[-1, -1] - gain @ walk[-1] + slack * slack / scale
    assert state[MEAN, 0] == pytest.approx(wanted, abs=1e-12)
    assert state[VARIANCE, 0] == pytest.approx(spread, abs=1e-12)
    difference = np.diff(np.eye(n), axis=0)
    covariance = difference @ total @ difference.T
    changes = difference @ values
    assert state[SQUARES, 0] == pytest.approx(changes @ np.linalg.inv(covariance) @ changes)
    assert state[LOG_VARIANCE, 0] == pytest.approx(np.linalg.slogdet(covariance)[1])
    assert state[COUNT, 0] == n - 1


def test_golden_error_of_the_ratio():
    """A22: an error of 0.1 % in the ratio is 0.687 at 687, 2.75 bands of 0.25."""
    assert half_width(687.0, 0.001) == pytest.approx(0.687)
    assert half_width(687.0, 0.001) / 0.25 == pytest.approx(2.75, abs=0.01)


@pytest.mark.property
@settings(max_examples=20)
@given(st.lists(st.integers(0, 200), max_size=6))
def test_any_chunks_give_the_same_bits(cuts):
    pairs, _ = _planted(1, 200, 1e-5, 1e-5)
    whole = BasisModel("SPY", "ESH4").fit(pairs)
    edges = [0, *sorted(cuts), len(pairs)]
    parts = [pairs[a:b] for a, b in itertools.pairwise(edges)]
    chunked = BasisModel("SPY", "ESH4").fit(parts[0])
    for part in parts[1:]:
        chunked.extend(part)
    for name in ("at_ns_", "log_ratio_", "standard_error_", "growth_"):
        assert getattr(chunked, name).tobytes() == getattr(whole, name).tobytes()


def test_nothing_later_is_seen():
    pairs, _ = _planted(2, 400, 1e-5, 1e-5)
    moment = 250 * MINUTE_NS
    scrambled = pl.concat([pairs[:250], pairs[250:].with_columns(to_price=pl.lit(1.0))])
    first, second, cut = (
        BasisModel("SPY", "ESH4").fit(each) for each in (pairs, scrambled, pairs[:250])
    )
    answers = {model.project(475.0, "SPY", "ESH4", moment) for model in (first, second, cut)}
    assert len(answers) == 1
    assert first.project(475.0, "SPY", "ESH4", moment + MINUTE_NS) not in answers


def test_projection_goes_both_ways_and_grows_uncertain():
    pairs, truth = _planted(4, 600, 1e-5, 1e-5)
    model = BasisModel("SPY", "ESH4").fit(pairs)
    end = int(model.at_ns_[-1])
    price, width = model.project(475.0, "SPY", "ESH4", end)
    assert abs(price - 475.0 * math.exp(truth[-1])) < 2 * width
    back, back_width = model.project(price, "ESH4", "SPY", end)
    assert back == pytest.approx(475.0)
    assert back_width / back == pytest.approx(width / price)
    widths = [model.project(475.0, "SPY", "ESH4", end + k * MINUTE_NS)[1] for k in (0, 10, 1000)]
    assert widths == sorted(widths) and widths[2] > 5 * widths[0]
    # A random walk of 1e-5 a minute: after 1000 minutes about 1e-5 · √1000.
    assert widths[2] == pytest.approx(price * Z * 1e-5 * 1000**0.5, rel=0.4)


def test_before_enough_pairs_nothing_is_known():
    pairs, _ = _planted(5, 40, 1e-5, 1e-5)
    model = BasisModel("SPY", "ESH4").fit(pairs)
    known = model.project(1.0, "SPY", "ESH4", 30 * MINUTE_NS)
    assert all(map(math.isfinite, known))
    for moment in (-1, 0, 30 * MINUTE_NS - 1):
        assert all(map(math.isnan, model.project(1.0, "SPY", "ESH4", moment)))
    empty = BasisModel("SPY", "ESH4").fit(pairs[:0])
    assert all(map(math.isnan, empty.project(1.0, "SPY", "ESH4", 0)))


def test_a_constant_ratio_has_a_band_of_next_to_nothing():
    start = MINUTE_NS * np.arange(100)
    pairs = pl.DataFrame(
        {"ts_event": start, "from_price": [470.0] * 100, "to_price": [4700.0] * 100}
    )
    price, width = BasisModel("SPY", "ESH4").fit(pairs).project(1.0, "SPY", "ESH4", 10**18)
    assert price == pytest.approx(10.0) and 0 <= width < 1e-3


def test_a_projected_level_carries_its_error():
    pairs, truth = _planted(6, 300, 2e-5, 2e-5)
    model = BasisModel("SPY", "ESH4").fit(pairs)
    end = 299 * MINUTE_NS
    path = projected_path(model, "CALL_WALL", 475.0, "SPY", "ESH4", 0.25, 0, end, "open interest")
    assert path.native_symbol == "SPY"
    assert path.at_ns[0] == 30 * MINUTE_NS and path.at_ns[-1] == end
    assert np.isnan(path.ticks[-1]) and np.isfinite(path.ticks[:-1]).all()
    assert path.error_ticks is not None and (path.error_ticks[:-1] > 0).all()
    wanted = 475.0 * np.exp(truth[29:298]) / 0.25
    inside = np.abs(path.ticks[:-1] - wanted) <= path.error_ticks[:-1]
    assert inside.mean() > 0.8


def test_pairs_are_minutes_in_which_both_traded():
    first = pl.DataFrame({"ts_event": [0, 1, 2], "price": [1.0, 2.0, None]})
    second = pl.DataFrame({"ts_event": [2, 1, 3], "price": [20.0, 10.0, 30.0]})
    assert paired_closes(first, second).rows() == [(1, 2.0, 10.0)]


def test_what_cannot_be_paired_is_refused():
    pairs, _ = _planted(1, 40, 1e-5, 1e-5)
    model = BasisModel("SPY", "ESH4").fit(pairs)
    with pytest.raises(ContractError, match="order"):
        model.extend(pairs)
    with pytest.raises(ContractError, match="above zero"):
        BasisModel("A", "B").fit(pairs.with_columns(to_price=pl.lit(0.0)))
    with pytest.raises(UnknownNameError, match="QQQ"):
        model.project(1.0, "QQQ", "ESH4", 0)
    with pytest.raises(UnknownNameError):
        model.project(1.0, "SPY", "SPY", 0)
