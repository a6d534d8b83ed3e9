"""Medians and median absolute deviations of the sessions before each session, in one pass.

A window counts sessions, not rows: missing days stay missing and never stretch it. The session
itself is never part of its own window. Each row keeps its window sorted: a step forward costs one
search and a short move instead of a new sort.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from numba import njit

from tapemill.flow.panel import Matrix

__all__ = [
    "CONSISTENCY",
    "BoolMatrix",
    "IntMatrix",
    "ascending",
    "in_blocks",
    "mad_factor",
    "prior_median",
    "prior_median_mad",
]

IntMatrix = npt.NDArray[np.int32]
BoolMatrix = npt.NDArray[np.bool_]

CONSISTENCY = 1.4826
"""1 / Φ⁻¹(3/4): makes the MAD of normal data estimate the standard deviation."""

_SMALL_SAMPLE = (1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)
"""Factors for n = 2 … 9."""
_NONE, _MULTIPLY, _ADD = 0, 1, 2


def prior_median(
    values: Matrix, window: int, minimum: int, *, factor: Matrix | None = None
) -> Matrix:
    """Median of the known values of the `window` sessions before each session.

    Parameters
    ----------
    values : ndarray
        float64, shape (symbols, sessions); NaN = not known.
    window : int
        Sessions, the current one excluded.
    minimum : int
        Fewer known values than this give NaN.
    factor : ndarray, optional
        Same shape. On entering session t everything earlier is multiplied by ``factor[:, t]``
        (a split: new shares for an old one), so that a window is in the shares of its own t.
        The order of these products depends on the window alone, not on where `values` begins.

    Returns
    -------
    ndarray
        float64, shape of `values`.
    """
    median, _, _ = _prior(values, window, minimum, factor, _MULTIPLY, with_mad=False)
    return median


def prior_median_mad(
    values: Matrix, window: int, minimum: int, *, shift: Matrix | None = None
) -> tuple[Matrix, Matrix, IntMatrix]:
    """Median, unscaled MAD and count of the `window` sessions before each session.

    Parameters
    ----------
    values : ndarray
        float64, shape (symbols, sessions); NaN = not known.
    window, minimum : int
        As in :func:`prior_median`.
    shift : ndarray, optional
        Same shape. On entering session t ``shift[:, t]`` is added to everything earlier: the
        logarithm of a split's factor, for values that are logarithms of shares.

    Returns
    -------
    median, mad : ndarray
        float64; the MAD is about the same window's own median. NaN under `minimum` values.
    count : ndarray
        int32, known values in the window.
    """
    return _prior(values, window, minimum, shift, _ADD, with_mad=True)


def mad_factor(days: IntMatrix) -> Matrix:
    """What the MAD of n normal values is multiplied by to be unbiased, beside 1.4826.

    Source: Croux and Rousseeuw (1992), "Time-efficient algorithms for two highly robust
    estimators of scale": a table for n ≤ 9, n / (n − 0.8) beyond. NaN under two values.
    """
    known = days.astype(np.float64)
    factor = np.full(days.shape, np.nan)
    np.divide(known, known - 0.8, out=factor, where=days > 9)
    for size, value in enumerate(_SMALL_SAMPLE, start=2):
        factor[days == size] = value
    return factor


def in_blocks(size: int, work: Callable[[int, int], None], *, block: int = 512) -> None:
    """Run ``work(start, stop)`` over blocks of ``range(size)`` on every core.

    `work` must release the interpreter lock (a compiled kernel) and write only what belongs to its
    block; the result then cannot depend on the number of threads.
    """
    threads = min(os.cpu_count() or 1, 16)
    bounds = [(start, min(start + block, size)) for start in range(0, size, block)]
    if threads == 1 or len(bounds) < 2:
        for start, stop in bounds:
            work(start, stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, start, stop) for start, stop in bounds]:
            done.result()


def _prior(
    values: Matrix, window: int, minimum: int, move: Matrix | None, kind: int, *, with_mad: bool
) -> tuple[Matrix, Matrix, IntMatrix]:
    values = np.ascontiguousarray(values, dtype=np.float64)
    median = np.empty_like(values)
    mad = np.empty_like(values) if with_mad else np.empty((0, 0))
    count = np.empty(values.shape, dtype=np.int32) if with_mad else np.empty((0, 0), np.int32)
    if move is None:
        move, kind = values, _NONE
    moves = np.ascontiguousarray(move, dtype=np.float64)

    def work(start: int, stop: int) -> None:
        _roll(values, moves, kind, window, max(minimum, 1), start, stop, median, mad, count)

    in_blocks(len(values), work)
    return median, mad, count


@njit(cache=True, nogil=True)
def _roll(values, move, kind, window, minimum, start, stop, median, mad, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Rows start … stop: statistics of the sorted window, then one step forward."""
    with_mad = mad.size > 0
    ordered = np.empty(window + 1)
    ring = np.empty(window)
    for row in range(start, stop):
        size = 0
        ring[:] = np.nan
        for t in range(values.shape[1]):
            if kind != 0:
                by = move[row, t]
                if kind == 1 and by != 1.0 and by > 0.0 and by < np.inf:
                    ring *= by
                    ordered[:size] *= by
                elif kind == 2 and by != 0.0 and np.isfinite(by):
                    ring += by
                    ordered[:size] += by
            if size >= minimum:
                middle = _middle(ordered, size)
                median[row, t] = middle
                if with_mad:
                    mad[row, t] = _deviation(ordered, size, middle)
            else:
                median[row, t] = np.nan
                if with_mad:
                    mad[row, t] = np.nan
            if with_mad:
                count[row, t] = size
            slot = t % window
            size = _replace(ordered, size, ring[slot], values[row, t])
            ring[slot] = values[row, t]


@njit(cache=True, nogil=True)
def _middle(ordered, size):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    half = size // 2
    if size % 2:
        return ordered[half]
    return 0.5 * (ordered[half - 1] + ordered[half])


@njit(cache=True, nogil=True)
def _deviation(ordered, size, middle):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Median of the distances from `middle`."""
    half = size // 2
    upper = _nearest(ordered, size, middle, half)
    if size % 2:
        return upper
    return 0.5 * (_nearest(ordered, size, middle, half - 1) + upper)


@njit(cache=True, nogil=True)
def _nearest(ordered, size, middle, k):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The k-th smallest distance (from 0): the k + 1 nearest values stand side by side."""
    low, high = 0, size - 1 - k
    while low < high:
        a = (low + high) // 2
        if ordered[a + k] - middle >= middle - ordered[a]:
            high = a
        else:
            low = a + 1
    best = max(middle - ordered[low], ordered[low + k] - middle)
    if low > 0:
        best = min(best, max(middle - ordered[low - 1], ordered[low - 1 + k] - middle))
    return best


@njit(cache=True, nogil=True)
def _replace(ordered, size, old, new):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Take `old` out of the first `size` sorted values and put `new` in; NaN is nothing."""
    place = size
    if old == old:
        place = 0
        for k in range(size):  # counting needs no branch: 60 comparisons in a few instructions
            place += ordered[k] < old
    if new != new:
        for k in range(place, size - 1):
            ordered[k] = ordered[k + 1]
        return size - (old == old)
    target = 0
    for k in range(size):
        target += ordered[k] < new
    if target > place:
        target -= 1
        for k in range(place, target):
            ordered[k] = ordered[k + 1]
    else:
        for k in range(place, target, -1):
            ordered[k] = ordered[k - 1]
    ordered[target] = new
    return size + (old != old)


@njit(cache=True, nogil=True)
def ascending(values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Places of the values in ascending order; equal values stay in their order.

    A radix sort of the numbers' bits, 11 at a time: four times as fast as comparing thousands of
    them. float64 without NaN; −0 equals 0.
    """
    size = values.size
    keys, other = np.empty(size, np.uint64), np.empty(size, np.uint64)
    places, moved = np.empty(size, np.int64), np.empty(size, np.int64)
    bits = (values + 0.0).view(np.uint64)
    top = np.uint64(1) << np.uint64(63)
    counts = np.zeros((6, 2048), np.int64)
    for k in range(size):
        key = ~bits[k] if bits[k] & top else bits[k] | top
        keys[k], places[k] = key, k
        for digit in range(6):
            counts[digit, (key >> np.uint64(11 * digit)) & np.uint64(2047)] += 1
    for digit in range(6):
        start = 0
        by = np.uint64(11 * digit)
        for k in range(2048):
            amount = counts[digit, k]
            counts[digit, k] = start
            start += amount
        for k in range(size):
            value = (keys[k] >> by) & np.uint64(2047)
            at = counts[digit, value]
            counts[digit, value] += 1
            other[at], moved[at] = keys[k], places[k]
        keys, other = other, keys
        places, moved = moved, places
    return places
