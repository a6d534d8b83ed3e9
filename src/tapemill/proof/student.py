"""Student's t distribution for any positive degrees of freedom, without a statistics library.

The regularised incomplete beta function by Lentz's continued fraction (Press et al., Numerical
Recipes, section 6.4); quantiles by bisection.
"""

from __future__ import annotations

import math

__all__ = ["t_quantile", "t_two_sided"]

_TINY = 1e-300
_CLOSE = 1e-15
_MOST_STEPS = 500


def t_two_sided(t: float, dof: float) -> float:
    """Probability that ``|T| >= |t|`` for T with `dof` degrees of freedom (not only whole ones)."""
    if math.isnan(t) or dof <= 0:
        return math.nan
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(dof / 2.0, 0.5, dof / (dof + t * t))


def t_quantile(tail: float, dof: float) -> float:
    """The t with ``P(|T| >= t) = tail``, 0 < tail < 1."""
    low, high = 0.0, 1.0
    while t_two_sided(high, dof) > tail:
        low, high = high, 2.0 * high
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if t_two_sided(middle, dof) > tail:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b)."""
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    front = math.exp(log_front)
    # The fraction converges fast on the side of the mean.
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1.0 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _MOST_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + term / c
            c = c if abs(c) > _TINY else _TINY
            value *= d * c
        if abs(d * c - 1.0) < _CLOSE:
            break
    return value
