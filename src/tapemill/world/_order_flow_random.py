"""Random numbers inside the order-flow kernels: one 64-bit state, the same bits everywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

__all__ = ["exponential", "order_size", "trade_size", "uniform"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 2.0**-53


@njit(cache=True, nogil=True, inline="always")
def uniform(random: Any) -> Any:
    """Return the next number in [0, 1) of `random`, uint64 of length 1 (SplitMix64)."""
    random[0] += _STEP
    z = random[0]
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    z = z ^ (z >> _S31)
    return np.float64(z >> _S11) * _UNIT


@njit(cache=True, nogil=True)
def exponential(random: Any, mean: Any) -> Any:
    """Return an exponentially distributed number."""
    return -math.log(1.0 - uniform(random)) * mean


@njit(cache=True, nogil=True)
def order_size(random: Any, largest: Any) -> Any:
    """Contracts of a resting order: half are of one, a few large (p90 about 7, p99 about 35)."""
    u = uniform(random)
    if u < 0.52:
        return 1
    size = 1 + np.int64(exponential(random, 4.0 if u < 0.95 else 18.0))
    return min(size, largest)


@njit(cache=True, nogil=True)
def trade_size(random: Any, largest: Any) -> Any:
    """Contracts of an aggressive order: mostly one, a few large (p90 about 4, p99 about 25)."""
    u = uniform(random)
    if u < 0.68:
        return 1
    size = 1 + np.int64(exponential(random, 2.0 if u < 0.97 else 18.0))
    return min(size, largest)
