"""How far an evening's short share and volume are from what the symbol itself usually shows.

The share is measured by a smoothed logit, which treats a move from 90 to 95 % as it treats one
from 10 to 5 %, and keeps names whose other side is nearly empty from exploding. Share and volume
are kept apart: the z-score of short volume alone is mostly a z-score of turnover. No move of the
market is removed here; the scan does that.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numba import njit

from tapemill.flow.panel import Matrix, Panel
from tapemill.flow.robust import (
    CONSISTENCY,
    BoolMatrix,
    IntMatrix,
    in_blocks,
    mad_factor,
    prior_median,
    prior_median_mad,
)
from tapemill.settings.declaration import FlowSettings

__all__ = [
    "FLOOR_QUANTILE",
    "KAPPA_FRAC",
    "KAPPA_SHARES",
    "MEDIAN_MIN_DAYS",
    "Surprise",
    "median_volume",
    "share_surprise",
    "volume_surprise",
]

KAPPA_FRAC = 0.005
"""κ as a part of the usual off-exchange volume."""
KAPPA_SHARES = 100.0
"""κ is at least a round lot."""
MEDIAN_MIN_DAYS = 5
"""Known days without which there is no usual volume, hence no κ and no logit."""
FLOOR_QUANTILE = 0.10
"""No scale is under this quantile of the evening's scales: a calm past is partly luck."""


@dataclasses.dataclass(frozen=True)
class Surprise:
    """A quantity against the symbol's own past; shape (symbols, sessions) throughout.

    Attributes
    ----------
    y : ndarray
        float64, log odds of the short share or logarithm of volume; NaN = no fact.
    baseline : ndarray
        Median of y over the baseline sessions before; NaN while there are too few.
    scale : ndarray
        Standard deviation to be expected of `deviation`, robustly; NaN where `baseline` is.
    deviation : ndarray
        y − baseline.
    z : ndarray
        deviation / scale.
    days : ndarray
        int32, known sessions behind the baseline.
    """

    y: Matrix
    baseline: Matrix
    scale: Matrix
    deviation: Matrix
    z: Matrix
    days: IntMatrix


def median_volume(panel: Panel, flow: FlowSettings) -> Matrix:
    """Median off-exchange volume of the sessions before, splits removed.

    Parameters
    ----------
    panel : Panel
    flow : FlowSettings
        ``median_sessions`` is the window.

    Returns
    -------
    ndarray
        float64 shares, shape (symbols, sessions), in the shares of each session; NaN under
        `MEDIAN_MIN_DAYS` known days. A day without volume counts as unknown.
    """
    traded = np.where(panel.total_volume > 0, panel.total_volume, np.nan)
    return prior_median(
        traded, flow.median_sessions, MEDIAN_MIN_DAYS, factor=_factor_of(panel.share_factor)
    )


def share_surprise(
    panel: Panel,
    flow: FlowSettings,
    members: BoolMatrix | None = None,
    *,
    usual: Matrix | None = None,
) -> Surprise:
    """Surprise of the short share, y = ln((B + κ) / (S + κ)) with S = max(D − B, 0).

    κ is 0.5 % of the usual volume of the day's own past, at least 100 shares.

    Parameters
    ----------
    panel : Panel
    flow : FlowSettings
    members : ndarray of bool, optional
        Cells whose scales make the evening's floor; all cells that have one by default.
    usual : ndarray, optional
        :func:`median_volume` of the same panel, where it is at hand.

    Returns
    -------
    Surprise
    """
    usual = median_volume(panel, flow) if usual is None else usual
    y = np.empty_like(panel.total_volume)

    def work(start: int, stop: int) -> None:
        _logit(panel.short_volume, panel.total_volume, usual, start, stop, y)

    in_blocks(len(y), work)
    return _surprise(y, prior_median_mad(y, *_window(flow)), members)


def volume_surprise(
    panel: Panel, flow: FlowSettings, members: BoolMatrix | None = None
) -> Surprise:
    """Surprise of the logarithm of off-exchange volume, splits removed.

    Parameters
    ----------
    panel : Panel
    flow : FlowSettings
    members : ndarray of bool, optional
        As in :func:`share_surprise`.

    Returns
    -------
    Surprise
        `y` is the logarithm of the day's own shares; `baseline` is in the same shares.
    """
    y = np.full_like(panel.total_volume, np.nan)
    np.log(panel.total_volume, out=y, where=panel.total_volume > 0)
    factor = _factor_of(panel.share_factor)
    shift = None
    if factor is not None:
        shift = np.zeros_like(factor)
        np.log(factor, out=shift, where=(factor > 0) & (factor != 1))
    return _surprise(y, prior_median_mad(y, *_window(flow), shift=shift), members)


def _window(flow: FlowSettings) -> tuple[int, int]:
    return flow.baseline_sessions, flow.baseline_min_days


def _factor_of(share_factor: Matrix) -> Matrix | None:
    """The factors, or None where nothing was split."""
    return share_factor if bool((share_factor != 1).any()) else None


def _surprise(
    y: Matrix, past: tuple[Matrix, Matrix, IntMatrix], members: BoolMatrix | None
) -> Surprise:
    """Put scale, floor and z together.

    The scale is the MAD made consistent and unbiased for its sample size, not under the evening's
    floor, times √(1 + π / 2n): the variance of y less a median of n values is σ²(1 + π / 2n)
    for normal y (asymptotic variance of the median), so a young baseline says less.
    """
    baseline, mad, days = past
    most = int(days.max(initial=0))
    sizes = np.arange(most + 1, dtype=np.int32)
    unbiased = CONSISTENCY * mad_factor(sizes)
    unsure = np.sqrt(1 + np.pi / (2 * np.maximum(sizes, 1)))
    everyone = np.ones((0, 0), dtype=np.bool_) if members is None else members
    floor = np.empty(y.shape[1])
    scale, deviation, z = np.empty_like(y), np.empty_like(y), np.empty_like(y)

    def find_floor(start: int, stop: int) -> None:
        _floors(mad, days, unbiased, everyone, FLOOR_QUANTILE, start, stop, floor)

    def finish(start: int, stop: int) -> None:
        _scores(y, baseline, mad, days, unbiased, unsure, floor, start, stop, scale, deviation, z)

    in_blocks(y.shape[1], find_floor, block=32)
    in_blocks(y.shape[0], finish)
    return Surprise(y, baseline, scale, deviation, z, days)


@njit(cache=True, nogil=True)
def _logit(short, total, usual, start, stop, y):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for row in range(start, stop):
        for t in range(y.shape[1]):
            b, d, median = short[row, t], total[row, t], usual[row, t]
            if d > 0 and b >= 0 and median > 0:
                kappa = max(KAPPA_FRAC * median, KAPPA_SHARES)
                y[row, t] = np.log((b + kappa) / (max(d - b, 0.0) + kappa))
            else:
                y[row, t] = np.nan


@njit(cache=True, nogil=True)
def _floors(mad, days, unbiased, members, quantile, start, stop, floor):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Quantile of the positive scales of each session, interpolated linearly; 0 without any."""
    rows = mad.shape[0]
    width = stop - start
    found = np.empty((width, rows))
    size = np.zeros(width, dtype=np.int64)
    for row in range(rows):
        for k in range(width):
            value = mad[row, start + k]
            if value > 0 and (members.size == 0 or members[row, start + k]):
                found[k, size[k]] = value * unbiased[days[row, start + k]]
                size[k] += 1
    for k in range(width):
        if size[k] == 0:
            floor[start + k] = 0.0
            continue
        place = quantile * (size[k] - 1)
        low = int(place)
        high = min(low + 1, size[k] - 1)
        parted = np.partition(found[k, : size[k]], high)
        below = parted[: high + 1].copy()
        below.sort()
        floor[start + k] = below[low] + (place - low) * (below[high] - below[low])


@njit(cache=True, nogil=True)
def _scores(y, baseline, mad, days, unbiased, unsure, floor, start, stop, scale, deviation, z):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for row in range(start, stop):
        for t in range(y.shape[1]):
            n = days[row, t]
            width = np.nan
            if mad[row, t] == mad[row, t]:
                width = max(mad[row, t] * unbiased[n], floor[t]) * unsure[n]
            if width <= 0:
                width = np.nan
            scale[row, t] = width
            deviation[row, t] = y[row, t] - baseline[row, t]
            z[row, t] = deviation[row, t] / width
