"""Surprise of share and volume against plain Python, and against data of known σ."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest
from scipy import stats

from tapemill.flow.panel import Panel
from tapemill.flow.surprise import median_volume, share_surprise, volume_surprise
from tapemill.settings.declaration import FlowSettings

FLOW = FlowSettings()


def made(short: np.ndarray, total: np.ndarray, factor: np.ndarray | None = None) -> Panel:
    names, count = total.shape
    days = tuple(datetime.date(2020, 1, 1) + datetime.timedelta(n) for n in range(count))
    none = np.full(total.shape, np.nan)
    ones = np.ones(total.shape) if factor is None else factor
    symbols = tuple(f"S{n:03d}" for n in range(names))
    return Panel(symbols, days, short, total, ones, none, none, none, none)


def random_panel(seed: int, names: int = 25, count: int = 150) -> Panel:
    draw = np.random.default_rng(seed)
    total = np.round(np.exp(draw.normal(11, 1.5, (names, 1)) + draw.normal(0, 0.4, (names, count))))
    short = np.round(total * draw.beta(4, 5, total.shape))
    missing = draw.random(total.shape) < 0.1
    total[missing] = short[missing] = np.nan
    total[2, ::9] = short[2, ::9] = 0.0
    factor = np.ones_like(total)
    factor[1, 90], factor[3, 100] = 4.0, 0.1
    return made(short, total, factor)


def reference(panel: Panel, row: int, t: int, members: np.ndarray) -> dict[str, float]:
    """Share z of one cell, written out; the floor comes from every row of the same session."""

    def usual(i: int, day: int) -> float:
        past = []
        for s in range(max(day - 20, 0), day):
            d = panel.total_volume[i, s] * np.prod(panel.share_factor[i, s + 1 : day + 1])
            if d > 0:
                past.append(d)
        return float(np.median(past)) if len(past) >= 5 else math.nan

    def logit(i: int, day: int) -> float:
        b, d, u = panel.short_volume[i, day], panel.total_volume[i, day], usual(i, day)
        if not d > 0 or math.isnan(u):
            return math.nan
        kappa = max(0.005 * u, 100.0)
        return math.log((b + kappa) / (max(d - b, 0.0) + kappa))

    scales = {}
    for i in range(len(panel.symbols)):
        y = np.array([logit(i, s) for s in range(max(t - 60, 0), t)])
        y = y[~np.isnan(y)]
        if len(y) >= 15:
            n = len(y)
            scales[i] = np.median(y), 1.4826 * stats.median_abs_deviation(y) * n / (n - 0.8), n
    floor = np.quantile([s for i, (_, s, _) in scales.items() if members[i] and s > 0], 0.1)
    if row not in scales:
        return {"z": math.nan, "baseline": math.nan}
    baseline, scale, n = scales[row]
    scale = max(scale, floor) * math.sqrt(1 + math.pi / (2 * n))
    y = logit(row, t)
    return {"y": y, "baseline": baseline, "scale": scale, "z": (y - baseline) / scale}


@pytest.mark.parametrize("t", [40, 95, 101, 149])
def test_share_surprise_equals_plain_python(t: int) -> None:
    panel = random_panel(7)
    member = np.arange(25) % 3 != 0
    members = np.repeat(member[:, None], 150, axis=1)
    found = share_surprise(panel, FLOW, members)
    for row in range(25):
        for name, value in reference(panel, row, t, member).items():
            assert getattr(found, name)[row, t] == pytest.approx(value, abs=1e-11, nan_ok=True)


def test_a_split_leaves_no_trace_in_the_volume_surprise() -> None:
    panel = random_panel(8)
    total = np.where(panel.total_volume > 0, panel.total_volume, np.nan)
    after = total.copy()
    after[5, 80:] *= 20.0
    factor = panel.share_factor.copy()
    plain = volume_surprise(made(panel.short_volume, total, factor.copy()), FLOW)
    factor[5, 80] = 20.0
    split = volume_surprise(made(panel.short_volume, after, factor), FLOW)
    assert split.z == pytest.approx(plain.z, abs=1e-9, nan_ok=True)
    ratio = after[5] / median_volume(made(panel.short_volume, after, factor), FLOW)[5]
    was = total[5] / median_volume(made(panel.short_volume, total), FLOW)[5]
    assert ratio == pytest.approx(was, rel=1e-12, nan_ok=True)


def test_kappa_is_at_least_a_round_lot() -> None:
    total = np.full((1, 10), 1000.0)
    found = share_surprise(made(np.full((1, 10), 250.0), total), FLOW)
    assert np.isnan(found.y[0, :5]).all()
    assert found.y[0, 9] == pytest.approx(math.log(350 / 850))


def test_more_short_than_total_leaves_an_empty_other_side() -> None:
    short, total = np.full((1, 10), 3e6), np.full((1, 10), 2e6)
    found = share_surprise(made(short, total), FLOW)
    assert found.y[0, 9] == pytest.approx(math.log((3e6 + 1e4) / 1e4))


def test_published_rows_of_meta() -> None:
    """Knowledge file, section 19: B and D of five days; κ is 0.5 % of their median."""
    short = np.array([[2941858, 1541826, 2238335, 4670385, 4619987, 4619987.0]])
    total = np.array([[5828965, 5898491, 5907124, 9296298, 9136179, 9136179.0]])
    found = share_surprise(made(short, total), FLOW)
    kappa = 0.005 * 5907124
    assert found.y[0, 5] == pytest.approx(math.log((4619987 + kappa) / (4516192 + kappa)))
    assert math.exp(math.log(4619987 / 4516192)) == pytest.approx(1.022983, abs=5e-7)


@pytest.mark.parametrize("days", [15, 30, 60])
def test_z_of_normal_noise_has_unit_spread_at_every_age(days: int) -> None:
    """Robust spread of z over many names whose logits are normal: near 1 for young and old."""
    draw = np.random.default_rng(days)
    count = 5 + days + 1
    y = draw.normal(0, 0.3, (30_000, count))
    total = np.full(y.shape, 2e6)
    kappa = 0.005 * 2e6
    short = (total + 2 * kappa) / (1 + np.exp(-y)) - kappa
    z = share_surprise(made(short, total), FLOW, np.zeros(y.shape, bool)).z[:, -1]
    rough = 1.4826 * stats.median_abs_deviation(z)
    assert np.sqrt(1 + np.pi / 2 / days) > 1.01
    assert rough == pytest.approx(1.0, abs=0.06)
    assert abs(np.median(z)) < 0.03


def test_the_same_deviation_says_less_after_fifteen_days_than_after_sixty() -> None:
    y = np.tile(np.array([-0.1, 0.0, 0.1, 0.2, -0.2]), 14)[None, :].repeat(2, axis=0)
    y[:, -1] = 0.5
    total = np.full(y.shape, 2e6)
    short = (total + 2e4) / (1 + np.exp(-y)) - 1e4
    total[1, :-16] = np.nan
    total[1, -21:-16] = 2e6
    short[1, -21:-16] = np.nan
    found = share_surprise(made(short, total), FLOW)
    assert found.days[:, -1].tolist() == [60, 15]
    assert found.deviation[0, -1] == pytest.approx(found.deviation[1, -1])
    assert found.z[1, -1] < 0.97 * found.z[0, -1]


def test_a_constant_past_has_no_z_without_a_floor() -> None:
    total = np.full((1, 80), 2e6)
    short = total * 0.5
    short[0, -1] = 1.9e6
    found = share_surprise(made(short, total), FLOW)
    assert np.isnan(found.z).all()
