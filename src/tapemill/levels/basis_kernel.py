"""Kernel of the basis: local-level Kalman filters side by side, one a signal-to-noise ratio."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["COUNT", "LEAST_SQUARE", "LOG_VARIANCE", "MEAN", "SQUARES", "VARIANCE", "advance"]

MEAN, VARIANCE, SQUARES, LOG_VARIANCE, COUNT = range(5)
"""Rows of the state, shape (5, ratios)."""
LEAST_SQUARE = 1e-24
"""Below it a sum of squared surprises is rounding: prices that never part leave no noise to scale
by."""


@njit(cache=True, nogil=True)
def advance(
    state: Any, minutes: Any, values: Any, ratios: Any, prior: Any, forget: float, last: float
) -> Any:
    """Take in observations; gives mean, variance and its growth a minute after each.

    Filter j assumes ``y = μ + v``, ``μ ← μ + w``, Var w = ratios[j] · r a minute, Var v = r; its
    state is in units of r. r is the mean of the squared surprises; the filters are weighted by
    their likelihood given it, of the observations that `forget` has not forgotten, and by their
    `prior` (logarithms).

    `last` is the minute of the observation before, NaN if none. Changes `state`.
    """
    count = len(ratios)
    mean = np.empty(len(values))
    variance = np.empty(len(values))
    growth = np.empty(len(values))
    score = np.empty(count)
    for i in range(len(values)):
        if np.isnan(last):
            state[MEAN, :] = values[i]
            state[VARIANCE, :] = 1.0
        else:
            passed = minutes[i] - last
            for j in range(count):
                before = state[VARIANCE, j] + ratios[j] * passed
                surprise = values[i] - state[MEAN, j]
                expected = before + 1.0
                state[MEAN, j] += before / expected * surprise
                state[VARIANCE, j] = before / expected
                state[SQUARES, j] = forget * state[SQUARES, j] + surprise * surprise / expected
                state[LOG_VARIANCE, j] = forget * state[LOG_VARIANCE, j] + np.log(expected)
                state[COUNT, j] = forget * state[COUNT, j] + 1.0
        last = minutes[i]
        best = -np.inf
        for j in range(count):
            squares = state[SQUARES, j] + LEAST_SQUARE
            score[j] = prior[j]
            score[j] -= 0.5 * (state[LOG_VARIANCE, j] + state[COUNT, j] * np.log(squares))
            best = max(best, score[j])
        total = 0.0
        centre = 0.0
        for j in range(count):
            score[j] = np.exp(score[j] - best)
            total += score[j]
            centre += score[j] * state[MEAN, j]
        centre /= total
        spread = 0.0
        drift = 0.0
        for j in range(count):
            # Mean square of a Student-t with as many degrees of freedom as surprises.
            noise = (state[SQUARES, j] + LEAST_SQUARE) / max(state[COUNT, j] - 2.0, 1.0)
            apart = state[MEAN, j] - centre
            spread += score[j] * (noise * state[VARIANCE, j] + apart * apart)
            drift += score[j] * noise * ratios[j]
        mean[i] = centre
        variance[i] = spread / total
        growth[i] = drift / total
    return mean, variance, growth, last
