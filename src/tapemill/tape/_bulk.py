"""The compiled split of bars, and the two distribution functions it needs."""

from __future__ import annotations

import math
from typing import Any

from numba import njit, types

__all__ = ["normal_cdf", "split_bars", "student_cdf"]

_T: Any = types
_F = _T.Array(types.float64, 1, "C", readonly=True)
_D, _L = types.float64, types.int64
_SIGNATURE = _T.Tuple((_D, _L, _D, _D, _D))(
    _F, _F, _F, _T.Array(types.boolean, 1, "C", readonly=True),
    _D, _D, _D, _L, _D, _L, _D, _D, _D, _T.Array(types.float64, 1, "C"),
)  # fmt: skip

_TINY = 1e-300
_PRECISION = 1e-15
_STEPS = 400


@njit(cache=True)
def normal_cdf(x: float) -> float:
    """Normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@njit(cache=True)
def _beta_fraction(a: float, b: float, x: float) -> float:
    """Continued fraction of the incomplete beta function (DLMF 8.17.22, modified Lentz)."""
    c = 1.0
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        factor = 1.0
        for numerator in (even, odd):
            d = 1.0 + numerator * d
            c = 1.0 + numerator / c
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = c if abs(c) > _TINY else _TINY
            factor = d * c
            value *= factor
        if abs(factor - 1.0) < _PRECISION:
            break
    return value


@njit(cache=True)
def _incomplete_beta(a: float, b: float, x: float, complement: float) -> float:
    """Regularised incomplete beta function I_x(a, b); `complement` is 1 - x without cancelling."""
    if x <= 0.0:
        return 0.0
    if complement <= 0.0:
        return 1.0
    front = math.exp(
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(x)
        + b * math.log(complement)
    )
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, complement) / b


@njit(cache=True)
def student_cdf(x: float, degrees: float) -> float:
    """Student's t distribution function (DLMF 8.17: half the regularised incomplete beta)."""
    total = degrees + x * x
    tail = 0.5 * _incomplete_beta(0.5 * degrees, 0.5, degrees / total, x * x / total)
    return 1.0 - tail if x > 0.0 else tail


@njit(_SIGNATURE, cache=True, nogil=True)
def split_bars(
    opens: Any,
    closes: Any,
    volumes: Any,
    new_session: Any,
    given_sigma: float,
    degrees: float,
    decay: float,
    minimum_bars: int,
    last_close: float,
    bars: int,
    weight: float,
    mean: float,
    spread: float,
    share: Any,
) -> tuple[float, int, float, float, float]:
    """Fill the shares; return last close, bars counted and the running moments."""
    for i in range(closes.size):
        if volumes[i] == 0.0:
            share[i] = math.nan
            continue
        base = opens[i] if new_session[i] or last_close == 0.0 else last_close
        change = closes[i] / base - 1.0
        last_close = closes[i]
        sigma = given_sigma
        if sigma == 0.0 and bars >= minimum_bars and spread > 0.0:
            sigma = math.sqrt(spread / weight)
        if sigma == 0.0:
            share[i] = math.nan
        elif degrees > 0.0:
            share[i] = student_cdf(change / sigma, degrees)
        else:
            share[i] = normal_cdf(change / sigma)
        # Weighted moments with decay (West 1979): this bar counts from the next one on.
        weight = decay * weight + volumes[i]
        step = change - mean
        mean += step * volumes[i] / weight
        spread = decay * spread + volumes[i] * step * (change - mean)
        bars += 1
    return last_close, bars, weight, mean, spread
