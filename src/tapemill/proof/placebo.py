"""Controls that run beside the real thing: the same names on other dates, other names on the same.

A signal that only picked a good season, or a kind of name that does well anyway, does no better
than these.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST_DRAWS", "Placebo", "placebo_dates", "placebo_tickers"]

LEAST_DRAWS = 19
"""Fewer cannot put anything beyond 1 in 20."""

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Placebo:
    """Mean returns of placebo studies, before costs.

    Attributes
    ----------
    draws : int
        Studies; 0 if none could be made.
    mean, low, high : float
        Their mean and the range of the middle 95 %.
    p_value : float
        Part of studies, the real one among them, as far from zero as the real one; NaN under
        :data:`LEAST_DRAWS`.
    """

    draws: int
    mean: float
    low: float
    high: float
    p_value: float


def placebo_dates(
    abnormal: Floats,
    row: Places,
    column: Places,
    side: Floats,
    real: float,
    horizon: int,
    draws: int,
    rng: np.random.Generator,
) -> Placebo:
    """Shift all events together by a number of sessions, around the end to the beginning.

    One shift for all keeps how events bunch in time. Shifts shorter than the horizon are left out:
    they would share sessions with the real one.

    Parameters
    ----------
    abnormal : ndarray
        float64, shape (symbols, entries).
    row, column, side : ndarray
        Of each event.
    real : float
        Mean return of the real events.
    horizon, draws : int
    rng : Generator
    """
    entries = abnormal.shape[1]
    shifts = np.arange(horizon, entries - horizon + 1)
    if len(shifts) == 0 or len(row) == 0:
        return _summary([], real)
    if len(shifts) > draws:
        shifts = np.sort(rng.choice(shifts, draws, replace=False))
    return _summary(
        [_mean(abnormal[row, (column + shift) % entries] * side) for shift in shifts], real
    )


def placebo_tickers(
    abnormal: Floats,
    pool: Flags | None,
    row: Places,
    column: Places,
    side: Floats,
    real: float,
    draws: int,
    rng: np.random.Generator,
) -> Placebo:
    """Give each event a random name that could have been bought at the same open.

    Parameters
    ----------
    abnormal : ndarray
        float64, shape (symbols, entries).
    pool : ndarray, optional
        bool, same shape: names to draw from; all with a return without it.
    row, column, side, real, draws, rng
        As in :func:`placebo_dates`.
    """
    usable = np.isfinite(abnormal)
    if pool is not None:
        usable &= pool
    count = usable.sum(axis=0)
    fits = count[column] > 0
    if not fits.any():
        return _summary([], real)
    # Names of an entry stand side by side, so that one uniform number picks one.
    entry, names = np.nonzero(usable.T)
    offset = np.concatenate([[0], np.cumsum(count)])
    values = abnormal[names, entry]
    column, side = column[fits], side[fits]
    means = []
    for _ in range(draws):
        pick = (rng.random(len(column)) * count[column]).astype(np.int64)
        means.append(_mean(values[offset[column] + pick] * side))
    return _summary(means, real)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _summary(means: list[float], real: float) -> Placebo:
    found = np.array([mean for mean in means if np.isfinite(mean)])
    nan = float("nan")
    if len(found) == 0:
        return Placebo(0, nan, nan, nan, nan)
    low, high = np.quantile(found, [0.025, 0.975])
    p_value = nan
    if len(found) >= LEAST_DRAWS and np.isfinite(real):
        p_value = (1.0 + float((np.abs(found) >= abs(real)).sum())) / (len(found) + 1.0)
    return Placebo(len(found), float(found.mean()), float(low), float(high), p_value)
