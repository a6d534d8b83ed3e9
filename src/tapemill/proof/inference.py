"""How sure a mean of overlapping, dated returns is; and many tests at once.

Returns over twenty sessions that begin a day apart share nineteen of them, and names move together
on a day. Both are handled by counting in calendar days: each event's return is the sum of its daily
steps, the steps of all events on a day are added up, and without a drift these daily sums do not
depend on each other however much the events overlap (the calendar-time portfolio of Jaffe 1974 and
Mandelker 1974). What little dependence between days is left enters with falling weights over
`BANDWIDTH` days (Newey and West 1987). Such variances are too small in short samples: the critical
value grows with bandwidth / sample as Kiefer and Vogelsang (2005, table 1, Bartlett kernel) give
it, and never falls below Student's for the effective number of days.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tapemill.proof.student import t_quantile, t_two_sided

__all__ = [
    "BANDWIDTH",
    "LEVEL",
    "Estimate",
    "benjamini_hochberg",
    "dated_mean",
    "fixed_b_critical",
    "holm",
]

LEVEL = 0.95
"""Of every interval."""
BANDWIDTH = 5
"""Days over which daily sums may depend on each other."""

Steps = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean with its uncertainty, in the unit of the values.

    Attributes
    ----------
    mean, low, high : float
        Mean over events and its 95 % interval; NaN where there are under two days.
    p_value : float
        Two-sided, against a mean of zero.
    error : float
        Standard error.
    dof : float
        Degrees of freedom of the Student distribution used.
    events, dates : int
        Events, and distinct entry dates.
    """

    mean: float
    low: float
    high: float
    p_value: float
    error: float
    dof: float
    events: int
    dates: int


def fixed_b_critical(share: float) -> float:
    """Two-sided 5 % critical value of a Bartlett t statistic with bandwidth = share · sample.

    Kiefer and Vogelsang (2005), "A new asymptotic theory for heteroskedasticity-autocorrelation
    robust tests", table 1: 1.9600 + 2.9694 b + 0.4160 b² − 0.5324 b³, 0 ≤ b ≤ 1.
    """
    b = min(max(share, 0.0), 1.0)
    return 1.9600 + 2.9694 * b + 0.4160 * b**2 - 0.5324 * b**3


def dated_mean(steps: Steps, dates: Places) -> Estimate:
    """Mean return of dated events with an interval that knows of dates and overlap.

    Parameters
    ----------
    steps : ndarray
        float64, shape (events, horizon), finite: the part of each event's return that fell on
        each session from its entry on. A row adds up to the event's return.
    dates : ndarray
        int64, shape (events,): ordinal of the entry session on an axis of consecutive sessions.

    Returns
    -------
    Estimate
    """
    events, horizon = steps.shape
    nan = math.nan
    if events == 0:
        return Estimate(nan, nan, nan, nan, nan, nan, 0, 0)
    mean = float(np.sum(steps) / events)
    places = dates - dates.min()
    distinct = len(np.unique(places))
    span = int(places.max()) + horizon
    if span < 2:
        return Estimate(mean, nan, nan, nan, nan, nan, events, distinct)
    days = (places[:, None] + np.arange(horizon)).ravel()
    sums = np.bincount(days, weights=steps.ravel(), minlength=span)
    active = np.bincount(days, minlength=span).astype(np.float64)
    sums -= active * (mean / horizon)
    effective = float(active.sum() ** 2 / (active @ active))
    bandwidth = min(BANDWIDTH, span)
    total = float(sums @ sums)
    for lag in range(1, bandwidth):
        total += 2.0 * (1.0 - lag / bandwidth) * float(sums[lag:] @ sums[:-lag])
    # One mean was taken out of as many days as really count.
    spread = effective / max(effective - 1.0, 0.5)
    error = math.sqrt(max(total, 0.0) * spread) / events
    dof = min(_matched_dof(round(fixed_b_critical(bandwidth / span), 6)), effective - 1.0)
    if dof <= 0.0:
        return Estimate(mean, nan, nan, nan, error, dof, events, distinct)
    reach = t_quantile(1.0 - LEVEL, dof) * error
    if error > 0.0:
        p_value = t_two_sided(mean / error, dof)
    else:
        p_value = 1.0 if mean == 0.0 else 0.0
    return Estimate(mean, mean - reach, mean + reach, p_value, error, dof, events, distinct)


@functools.lru_cache(maxsize=4096)
def _matched_dof(critical: float) -> float:
    """Degrees of freedom whose 5 % critical value is this one.

    The fixed-b law has heavier tails than the normal one; the Student law through the same 5 %
    point follows its 1 % point within 2 % for bandwidths up to half the sample.
    """
    low, high = 1.0, 1e6
    if critical <= t_quantile(1.0 - LEVEL, high):
        return high
    for _ in range(100):
        middle = math.sqrt(low * high)
        if t_quantile(1.0 - LEVEL, middle) > critical:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for the number of tests (Holm 1979); NaN stays and does not count."""
    order = sorted((p, k) for k, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    most = 0.0
    for rank, (p, k) in enumerate(order):
        most = max(most, min(1.0, p * (len(order) - rank)))
        adjusted[k] = most
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """q-values (Benjamini and Hochberg 1995); NaN stays and does not count."""
    order = sorted(((p, k) for k, p in enumerate(p_values) if not math.isnan(p)), reverse=True)
    adjusted = [math.nan] * len(p_values)
    least = 1.0
    for place, (p, k) in enumerate(order):
        least = min(least, p * len(order) / (len(order) - place))
        adjusted[k] = least
    return adjusted
