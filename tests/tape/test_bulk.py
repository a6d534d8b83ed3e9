from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tapemill.errors import ConfigError, ContractError
from tapemill.tape import BulkRules, BulkState, bulk_buy_share
from tapemill.tape import _bulk as kernel


def bars(seed: int, n: int = 400) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.001, n)))
    opens = close * np.exp(rng.normal(0, 0.0005, n))
    volume = rng.integers(0, 5, n) * 100.0
    first = np.zeros(n, bool)
    first[[0, n // 2]] = True
    return opens, close, volume, first


def slow(
    opens: np.ndarray, close: np.ndarray, volume: np.ndarray, first: np.ndarray, rules: BulkRules
) -> list[float]:
    """Each bar from all earlier ones, weights from scratch, SciPy's distributions."""
    decay = 0.5 ** (1 / rules.half_life_bars)
    cdf = scipy.stats.t(rules.degrees).cdf if rules.degrees else scipy.stats.norm.cdf
    changes: list[float] = []
    volumes: list[float] = []
    shares: list[float] = []
    last = 0.0
    for k in range(close.size):
        if not volume[k]:
            shares.append(math.nan)
            continue
        change = close[k] / (opens[k] if first[k] or not last else last) - 1
        share = math.nan
        if len(changes) >= rules.minimum_bars:
            weights = np.array(volumes) * decay ** np.arange(len(volumes))[::-1]
            mean = np.average(changes, weights=weights)
            sigma = math.sqrt(np.average((np.array(changes) - mean) ** 2, weights=weights))
            share = float(cdf(change / sigma))
        shares.append(share)
        changes.append(change)
        volumes.append(volume[k])
        last = close[k]
    return shares


@pytest.mark.parametrize("degrees", [0.0, 0.25, 4.0])
def test_equals_weights_made_from_scratch(degrees: float) -> None:
    opens, close, volume, first = bars(1)
    rules = BulkRules(degrees=degrees, half_life_bars=60, minimum_bars=20)
    share, state = bulk_buy_share(opens, close, volume, new_session=first, rules=rules)
    expected = slow(opens, close, volume, first, rules)
    np.testing.assert_allclose(share, expected, rtol=0, atol=1e-9)
    assert state.bars == (volume > 0).sum()
    assert np.isfinite(share).sum() > 250


@pytest.mark.parametrize("degrees", [0.25, 1.0, 2.5, 30.0])
def test_student_distribution_equals_scipy(degrees: float, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.r_[np.linspace(-9, 9, 61), 1e-3, 1e4, -1e4]
    ours = [kernel.student_cdf(float(x), degrees) for x in points]
    for name in ("_beta_fraction", "_incomplete_beta"):
        monkeypatch.setattr(kernel, name, getattr(kernel, name).py_func)
    python = [kernel.student_cdf.py_func(float(x), degrees) for x in points]
    np.testing.assert_allclose(ours, scipy.stats.t.cdf(points, degrees), rtol=0, atol=1e-13)
    np.testing.assert_allclose(python, ours, rtol=0, atol=1e-14)
    assert kernel.normal_cdf.py_func(0.0) == 0.5
    assert kernel.normal_cdf(1.6448536269514722) == pytest.approx(0.95, abs=1e-15)


def test_student_distribution_of_one_degree_is_cauchy() -> None:
    for x in (-1e4, -2.0, -1e-8, 0.0, 1e-8, 1e-3, 5.0):
        expected = 0.5 + math.atan(x) / math.pi
        assert kernel.student_cdf(x, 1.0) == pytest.approx(expected, abs=1e-15)


@pytest.mark.property
@given(st.integers(0, 500), st.lists(st.integers(0, 400), max_size=5))
def test_any_chunking_gives_the_same_bits(seed: int, cuts: list[int]) -> None:
    opens, close, volume, first = bars(seed)
    whole, end = bulk_buy_share(opens, close, volume, new_session=first)
    state: BulkState | None = None
    parts = []
    edges = [0, *sorted(cuts), 400]
    for low, high in itertools.pairwise(edges):
        rows = slice(low, high)
        part, state = bulk_buy_share(
            opens[rows], close[rows], volume[rows], new_session=first[rows], state=state
        )
        parts.append(part)
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert state == end


def test_later_bars_change_nothing_earlier() -> None:
    opens, close, volume, first = bars(3)
    whole, _ = bulk_buy_share(opens, close, volume, new_session=first)
    close[250:] *= 1.7
    volume[250:] *= 9
    changed, _ = bulk_buy_share(opens, close, volume, new_session=first)
    assert changed[:250].tobytes() == whole[:250].tobytes()
    assert changed[250:].tobytes() != whole[250:].tobytes()


def test_interpreted_equals_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    opens, close, volume, first = bars(5, 120)
    compiled, _ = bulk_buy_share(opens, close, volume, new_session=first)
    monkeypatch.setattr(kernel, "split_bars", kernel.split_bars.py_func)
    interpreted, _ = bulk_buy_share(opens, close, volume, new_session=first)
    np.testing.assert_allclose(interpreted, compiled, rtol=0, atol=1e-12)


def test_a_bar_of_one_price_is_split_once() -> None:
    """Bought and sold volume add to the bar's volume; an unmoved price is half and half."""
    share, _ = bulk_buy_share([10, 10, 10], [10, 10, 10.1], [5, 5, 5], sigma=0.01)
    assert share[:2].tolist() == [0.5, 0.5]
    assert share[2] == pytest.approx(scipy.stats.norm.cdf(1.0))
    assert (share * 5 + (1 - share) * 5).tolist() == [5, 5, 5]


def test_unknown_or_zero_sigma_is_unclassified_not_half() -> None:
    share, state = bulk_buy_share([10] * 40, [10] * 40, [1] * 40)
    assert np.isnan(share).all()
    assert state.sigma == 0.0
    assert BulkState.fresh().sigma == 0.0


def test_the_gap_of_the_night_is_not_traded() -> None:
    first = np.array([True, False, True, False])
    share, _ = bulk_buy_share(
        [10, 10, 20, 20], [10, 10, 20, 20], [1] * 4, new_session=first, sigma=0.01
    )
    assert share.tolist() == [0.5] * 4


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ConfigError, match="sigma"):
        bulk_buy_share([1], [1], [1], sigma=0.0)
    with pytest.raises(ConfigError, match="bulk rules"):
        BulkRules(minimum_bars=1)
    with pytest.raises(ContractError, match="lengths"):
        bulk_buy_share([1], [1, 2], [1])
    with pytest.raises(ContractError, match="above zero"):
        bulk_buy_share([1], [0], [1])
