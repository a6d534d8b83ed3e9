"""The daily truth of one company: drawn whole and vectorised, before any minute exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tapemill.clock.sessions import Session
from tapemill.world.corporate_actions import Plan
from tapemill.world.seeds import stream
from tapemill.world.specs import SymbolSpec

__all__ = ["FRACTIONAL_FROM", "MICRO", "DailyPath", "draw_daily", "to_cents"]

FRACTIONAL_FROM = date(2026, 2, 23)
"""First session whose volumes carry fractions of a share."""

MICRO = 1_000_000
"""Volumes are kept in millionths of a share, so that sums are exact."""

_TRADING_DAYS = 252
_GAP_SHARE = 0.3  # of the daily variance falls overnight
_TRADE_SIZE = {"mega": 120.0, "mid": 100.0, "illiquid": 80.0}
_FEWEST_TRADES = {"mega": 5_000, "mid": 3_000, "illiquid": 300}
_FEWEST_SHARES = {"mega": 100_000, "mid": 20_000, "illiquid": 5_000}

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DailyPath:
    """Arrays over the market's sessions; prices in unadjusted dollars of that session.

    Attributes
    ----------
    open, high, low, close : ndarray of float64, shape (sessions,)
        Regular hours, whole cents.
    volume_micro : ndarray of int64, shape (sessions,)
        All hours, millionths of a share.
    trades : ndarray of int64, shape (sessions,)
        All hours.
    sigma : ndarray of float64, shape (sessions,)
        Standard deviation of the log return of regular hours.
    evening, morning : ndarray of float64, shape (sessions,)
        Latent price half-way through the night after and before the session, in that session's
        shares: where the post-market path leads to and the pre-market path comes from.
    dividends : dict
        Cash dollars a share by index of the ex session.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume_micro: Ints
    trades: Ints
    sigma: Floats
    evening: Floats
    morning: Floats
    dividends: dict[int, float]


def draw_daily(
    seed: int, spec: SymbolSpec, plan: Plan, sessions: Sequence[Session], *, null: bool
) -> DailyPath:
    """Draw the whole daily history of a company.

    The latent value is a geometric random walk with an overnight and a regular-hours step. In
    null mode both steps have expectation one, so ``E[(close' * split + dividend) / close] = 1``.
    High and low are the extremes of a Brownian bridge from open to close.
    """
    count = len(sessions)
    draw = stream(seed, "daily", spec.symbol)
    market = stream(seed, "market").standard_normal(count + 1)
    sigma_day, sigma, sigma_gap = _volatility(draw, spec, count)
    beta = spec.beta
    shock = beta * market + np.sqrt(1 - beta**2) * draw.standard_normal(count + 1)
    drift = 0.0 if null else spec.annual_drift / _TRADING_DAYS
    gap = sigma_gap * draw.standard_normal(count + 1) - sigma_gap**2 / 2
    regular = drift + sigma * shock[:count] - sigma**2 / 2
    gap[0] = 0.0
    log_open = np.log(spec.price) + np.cumsum(gap) + np.concatenate([[0.0], np.cumsum(regular)])
    log_close = log_open[:count] + regular
    night = (log_close + log_open[1:]) / 2 + sigma_gap[1:] / 2 * draw.standard_normal(count)
    before = np.concatenate([[log_open[0]], night[:-1]])
    high, low = _extremes(draw, log_open[:count], log_close, sigma)

    basis, dividends, shares = _corporate_basis(plan, np.exp(log_close))
    open_, close = to_cents(np.exp(log_open[:count]) * basis), to_cents(np.exp(log_close) * basis)
    volume, trades = _activity(draw, spec, sessions, np.abs(regular) / sigma_day[:count], shares)
    return DailyPath(
        open=open_,
        high=np.maximum(np.maximum(open_, close), to_cents(np.exp(high) * basis)),
        low=np.minimum(np.minimum(open_, close), to_cents(np.exp(low) * basis)),
        close=close,
        volume_micro=volume,
        trades=trades,
        sigma=sigma,
        evening=np.exp(night) * basis,
        morning=np.exp(before) * basis,
        dividends=dividends,
    )


def to_cents(prices: Floats) -> Floats:
    """Round to whole cents, never below five."""
    return np.maximum(np.round(prices, 2), 0.05)


def _volatility(
    draw: np.random.Generator, spec: SymbolSpec, count: int
) -> tuple[Floats, Floats, Floats]:
    """Slowly wandering daily volatility, split into regular hours and the night."""
    noise = draw.standard_normal(count + 1) * 0.08
    wander = np.zeros(count + 1)
    for index in range(1, count + 1):
        wander[index] = 0.97 * wander[index - 1] + noise[index]
    sigma_day = spec.annual_vol / np.sqrt(_TRADING_DAYS) * np.exp(wander)
    return sigma_day, sigma_day[:count] * np.sqrt(1 - _GAP_SHARE), sigma_day * np.sqrt(_GAP_SHARE)


def _extremes(
    draw: np.random.Generator, start: Floats, end: Floats, sigma: Floats
) -> tuple[Floats, Floats]:
    """Maximum and minimum of a Brownian bridge, by inverting its distribution."""
    up, down = -np.log(draw.uniform(1e-9, 1.0, (2, start.size)))
    high = (start + end + np.sqrt((end - start) ** 2 + 2 * sigma**2 * up)) / 2
    low = (start + end - np.sqrt((end - start) ** 2 + 2 * sigma**2 * down)) / 2
    return high, low


def _corporate_basis(plan: Plan, value: Floats) -> tuple[Floats, dict[int, float], Floats]:
    """Factor from latent value to dollars a share, the dividends paid, and the share count."""
    basis, shares = np.ones(value.size), np.ones(value.size)
    dividends: dict[int, float] = {}
    splits = {split.index: split for split in plan.splits}
    payouts = {dividend.index: dividend for dividend in plan.dividends}
    for index in sorted(splits.keys() | payouts.keys()):
        if index in splits:
            ratio = splits[index].split_to / splits[index].split_from
            basis[index:] /= ratio
            shares[index:] *= ratio
        else:
            before = float(to_cents(value[index - 1] * basis[index - 1]))
            cash = max(0.01, round(before * payouts[index].yield_frac, 2))
            dividends[index] = cash
            basis[index:] *= 1 - cash / before
    return basis, dividends, shares


def _activity(
    draw: np.random.Generator,
    spec: SymbolSpec,
    sessions: Sequence[Session],
    surprise: Floats,
    shares: Floats,
) -> tuple[Ints, Ints]:
    """Shares (millionths) and trades: more on wild days, fewer on half days."""
    count = len(sessions)
    size = spec.daily_volume * np.exp(0.25 * draw.standard_normal(count) + 0.2 * surprise) * shares
    size *= np.array([0.55 if session.early_close else 1.0 for session in sessions])
    volume = np.maximum(np.round(size), _FEWEST_SHARES[spec.tier]).astype(np.int64) * MICRO
    fraction = draw.integers(0, MICRO, count)
    fractional = np.array([session.session >= FRACTIONAL_FROM for session in sessions])
    volume += np.where(fractional, fraction, 0)
    trades = size / _TRADE_SIZE[spec.tier] / shares**0.5
    return volume, np.maximum(np.round(trades), _FEWEST_TRADES[spec.tier]).astype(np.int64)
