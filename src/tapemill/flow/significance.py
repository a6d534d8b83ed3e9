"""How unusual a surprise is among the evening's names and against the evenings before.

Three steps: what all names did together is taken away (and what a sector did beyond that); the rest
is compared with the same statistic of the eligible names on the evenings before, which needs no
belief about the shape of its tails; and the p-values of an evening are corrected for having asked
thousands of names at once. All matrices are (evenings, symbols), consecutive sessions down.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from tapemill.flow.panel import Matrix
from tapemill.flow.robust import CONSISTENCY, BoolMatrix, ascending, in_blocks

__all__ = [
    "POOL_EVENINGS",
    "POOL_LEAST",
    "SECTOR_LEAST",
    "empirical_p",
    "q_values",
    "without_peers",
]

POOL_EVENINGS = 60
"""Evenings before, whose z-scores an evening is compared with."""
POOL_LEAST = 5
"""Under so many evenings with any z, the evening's own cross-section is asked instead."""
SECTOR_LEAST = 5
"""A sector's median needs so many eligible names."""


def without_peers(
    deviation: Matrix, scale: Matrix, eligible: BoolMatrix, sector: npt.NDArray[np.int16]
) -> tuple[Matrix, Matrix]:
    """Take the common move of an evening out of every name's deviation.

    Parameters
    ----------
    deviation, scale : ndarray
        float64, y − baseline and its scale; NaN = none.
    eligible : ndarray of bool
        Whose median is the market's.
    sector : ndarray
        int16 code of the name's sector that evening; negative = none.

    Returns
    -------
    z : ndarray
        (deviation − shift) / scale.
    shift : ndarray
        Median deviation of the eligible, plus the median of what is then left in the name's sector
        where that has `SECTOR_LEAST` eligible names; NaN on evenings without an eligible name.
    """
    z, shift = np.empty_like(deviation), np.empty_like(deviation)

    def work(start: int, stop: int) -> None:
        _without_peers(deviation, scale, eligible, sector, SECTOR_LEAST, start, stop, z, shift)

    in_blocks(len(z), work, block=8)
    return z, shift


def empirical_p(
    z: Matrix, eligible: BoolMatrix, first: int, *, upper: bool = False
) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """p-value of each eligible name against the eligible names of the evenings before.

    p = (1 + #{pool ≥ |z|}) / (1 + N), the pool being the |z| of the `POOL_EVENINGS` evenings before
    (Davison and Hinkley 1997, §4.2: the one added keeps p from being 0, and valid). With fewer
    than `POOL_LEAST` such evenings p is normal with centre and spread of the evening's own eligible
    names, median and MAD, the spread at least 1 (Efron 2004, empirical null): less sure.

    Parameters
    ----------
    z : ndarray
        float64.
    eligible : ndarray of bool
    first : int
        Evenings before this one only serve as pool.
    upper : bool
        Only high z count: z itself instead of |z|.

    Returns
    -------
    p : ndarray
        float64, shape of `z`; NaN before `first`, where not eligible and where there is no z.
    pooled : ndarray of bool
        Per evening, whether p is against the evenings before.
    """
    ordered = np.empty_like(z)
    size = np.zeros(len(z), dtype=np.int64)
    p = np.full_like(z, np.nan)
    pooled = np.zeros(len(z), dtype=np.bool_)

    def sort(start: int, stop: int) -> None:
        _order(z, eligible, upper, start, stop, ordered, size)

    def ask(start: int, stop: int) -> None:
        bounds = max(start, first), stop, POOL_EVENINGS, POOL_LEAST
        _against(z, eligible, upper, ordered, size, *bounds, p, pooled)

    in_blocks(len(z), sort, block=8)
    in_blocks(len(z), ask, block=64)
    return p, pooled


def q_values(p: Matrix) -> Matrix:
    """Benjamini-Hochberg q of each evening: the least false-discovery rate at which p is listed.

    q of the k-th smallest of m p-values is the least of p(j) · m / j over j ≥ k, at most 1
    (Benjamini and Hochberg 1995).

    Parameters
    ----------
    p : ndarray
        float64, shape (evenings, symbols); NaN takes no part.
    """
    q = np.full_like(p, np.nan)

    def work(start: int, stop: int) -> None:
        _step_up(p, start, stop, q)

    in_blocks(len(p), work, block=8)
    return q


@njit(cache=True, nogil=True)
def _without_peers(deviation, scale, eligible, sector, least, start, stop, z, shift):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    names = deviation.shape[1]
    found = np.empty(names)
    for t in range(start, stop):
        size, sectors = 0, 0
        for i in range(names):
            sectors = max(sectors, sector[t, i] + 1)
            if eligible[t, i] and deviation[t, i] == deviation[t, i]:
                found[size] = deviation[t, i]
                size += 1
        market = np.median(found[:size]) if size else np.nan
        begin = np.zeros(sectors + 1, dtype=np.int64)
        for i in range(names):
            if sector[t, i] >= 0 and eligible[t, i] and deviation[t, i] == deviation[t, i]:
                begin[sector[t, i] + 1] += 1
        for s in range(sectors):
            begin[s + 1] += begin[s]
        place = begin[:-1].copy()
        for i in range(names):
            s = sector[t, i]
            if s >= 0 and eligible[t, i] and deviation[t, i] == deviation[t, i]:
                found[place[s]] = deviation[t, i] - market
                place[s] += 1
        own = np.zeros(sectors)
        for s in range(sectors):
            if begin[s + 1] - begin[s] >= least:
                own[s] = np.median(found[begin[s] : begin[s + 1]])
        for i in range(names):
            common = market
            if sector[t, i] >= 0:
                common = market + own[sector[t, i]]
            shift[t, i] = common
            z[t, i] = (deviation[t, i] - common) / scale[t, i]


@njit(cache=True, nogil=True)
def _order(z, eligible, upper, start, stop, ordered, size):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for t in range(start, stop):
        count = 0
        for i in range(z.shape[1]):
            if eligible[t, i] and z[t, i] == z[t, i]:
                ordered[t, count] = z[t, i] if upper else abs(z[t, i])
                count += 1
        found = ordered[t, :count].copy()
        ordered[t, :count] = found[ascending(found)]
        size[t] = count


@njit(cache=True, nogil=True)
def _against(z, eligible, upper, ordered, size, start, stop, evenings, least, p, pooled):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The pool stays sorted from evening to evening: one leaves, one joins, in one pass."""
    if start >= stop:
        return
    begun = _all_of(ordered, size, max(start - evenings, 0), start)
    most = begun.size + np.sum(size[start:stop])
    pool, spare = np.empty(most), np.empty(most)
    count = begun.size
    pool[:count] = begun[ascending(begun)]
    for t in range(start, stop):
        if t > start:
            gone = max(t - 1 - evenings, 0)
            leaving = ordered[gone, : size[gone] if t - 1 >= evenings else 0]
            count = _moved_on(pool, count, leaving, ordered[t - 1, : size[t - 1]], spare)
            pool, spare = spare, pool
        filled = np.sum(size[max(t - evenings, 0) : t] > 0)
        pooled[t] = filled >= least
        centre, spread = 0.0, 1.0
        if not pooled[t]:
            centre, spread = _own_null(z[t], eligible[t])
        for i in range(z.shape[1]):
            if not (eligible[t, i] and z[t, i] == z[t, i]):
                continue
            if pooled[t]:
                value = z[t, i] if upper else abs(z[t, i])
                reached = count - _first_from(pool, 0, count, value)
                p[t, i] = (1 + reached) / (1 + count)
            else:
                value = (z[t, i] - centre) / (spread * math.sqrt(2.0))
                p[t, i] = 0.5 * math.erfc(value) if upper else math.erfc(abs(value))


@njit(cache=True, nogil=True)
def _all_of(ordered, size, start, stop):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    found = np.empty(np.sum(size[start:stop]))
    place = 0
    for s in range(start, stop):
        found[place : place + size[s]] = ordered[s, : size[s]]
        place += size[s]
    return found


@njit(cache=True, nogil=True)
def _first_from(ordered, low, high, value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """First place of low … high whose value is not under `value`; `high` if there is none."""
    while low < high:
        middle = (low + high) >> 1
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _next_from(ordered, low, size, value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The same, for a place probably not far beyond `low`."""
    step = 32
    while low + step < size and ordered[low + step] < value:
        low += step
        step *= 2
    return _first_from(ordered, low, min(low + step, size), value)


@njit(cache=True, nogil=True)
def _moved_on(pool, count, leaving, joining, made):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The sorted pool without the sorted `leaving` (all in it) and with the sorted `joining`.

    What lies between two changes is copied as a whole. Returns the new size; `made` holds it.
    """
    place, taken, left, joined = 0, 0, 0, 0
    while left < leaving.size or joined < joining.size:
        leaves = joined >= joining.size or (
            left < leaving.size and leaving[left] <= joining[joined]
        )
        value = leaving[left] if leaves else joining[joined]
        until = _next_from(pool, taken, count, value)
        for k in range(until - taken):
            made[place + k] = pool[taken + k]
        place += until - taken
        taken = until
        if leaves:
            taken += 1
            left += 1
        else:
            made[place] = value
            place += 1
            joined += 1
    for k in range(count - taken):
        made[place + k] = pool[taken + k]
    return place + count - taken


@njit(cache=True, nogil=True)
def _own_null(z, eligible):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Median and robust spread of the eligible, the spread at least that of the theory."""
    found = z[eligible & (z == z)]
    if found.size == 0:
        return 0.0, 1.0
    centre = np.median(found)
    return centre, max(CONSISTENCY * np.median(np.abs(found - centre)), 1.0)


@njit(cache=True, nogil=True)
def _step_up(p, start, stop, q):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for t in range(start, stop):
        where = np.flatnonzero(p[t] == p[t])
        order = where[ascending(p[t][where])]
        least = 1.0
        for k in range(order.size - 1, -1, -1):
            least = min(least, p[t, order[k]] * order.size / (k + 1))
            q[t, order[k]] = least
