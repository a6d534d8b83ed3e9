"""Estimates of many things of a sort, each drawn towards all (empirical Bayes)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["NORMAL_REACH", "Shrunk", "shrink"]

NORMAL_REACH = 1.959963984540054
"""97.5 % point of the normal law."""
_LEAST = 3
_ROUNDS = 200


class Shrunk(NamedTuple):
    """An estimate drawn towards the others, with its 95 % interval."""

    value: float
    low: float
    high: float


def shrink(values: Sequence[float], errors: Sequence[float]) -> list[Shrunk]:
    """Draw each value towards the mean of all as far as its own error is large.

    True values are taken as normal around a common mean with spread τ; τ is where the values
    scatter as much as they should (Paule and Mandel 1982), and 0 if they scatter less than their
    errors alone would. The interval knows that the mean is estimated too, not that τ is,
    nor that the values may share what moved them: it is for looking beside the raw value.

    Parameters
    ----------
    values, errors : sequence of float
        Finite; standard errors above 0.

    Returns
    -------
    list of Shrunk
        In their order; NaN with under three values, for two say nothing of a spread.
    """
    if len(values) < _LEAST:
        return [Shrunk(math.nan, math.nan, math.nan)] * len(values)
    value, variance = np.array(values), np.array(errors) ** 2

    def excess(spread: float) -> float:
        weight = 1.0 / (variance + spread)
        mean = float(weight @ value / weight.sum())
        return float(weight @ (value - mean) ** 2) - (len(value) - 1)

    low, high = 0.0, float(np.var(value) * len(value) + variance.max())
    if excess(0.0) <= 0.0:
        high = 0.0
    for _ in range(_ROUNDS if high else 0):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    weight = 1.0 / (variance + high)
    mean = float(weight @ value / weight.sum())
    own = high / (high + variance)
    drawn = mean + own * (value - mean)
    error = np.sqrt(own * variance + (1.0 - own) ** 2 / weight.sum())
    reach = NORMAL_REACH * error
    return [
        Shrunk(float(one), float(one - far), float(one + far))
        for one, far in zip(drawn, reach, strict=True)
    ]
