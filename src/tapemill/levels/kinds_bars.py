"""Moving averages of two-minute closes, warmed up on the sessions before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tapemill.levels.inputs import MINUTE_NS, LevelInputs
from tapemill.levels.kinds import FloatArray, IntArray, LevelKind, LevelPath
from tapemill.settings.declaration import LevelsSettings

__all__ = ["BAR_KINDS", "exponential_means", "simple_means", "two_minute_closes"]

_BAR_NS = 2 * MINUTE_NS


def two_minute_closes(inputs: LevelInputs) -> tuple[IntArray, FloatArray]:
    """End and close of the two-minute bars of the trade dates before and of today so far.

    A bar is stamped by its end, when it is first known. A bar without trades does not exist: it is
    not filled forward. Warm-up reaches back to the first trade date without data; there is none
    when the data of today begin late.

    Returns
    -------
    tuple of ndarray
        Ends, ns UTC, and closes, ticks.
    """
    minutes = inputs.today
    if inputs.has_from(inputs.globex_open_ns):
        minutes = inputs.earlier.joined(minutes)
    bucket = minutes.start // _BAR_NS
    last = np.flatnonzero(np.diff(bucket, append=-1))
    return (bucket[last] + 1) * _BAR_NS + inputs.finish_lag_ns, minutes.close[last]


def simple_means(closes: FloatArray, bars: int) -> FloatArray:
    """Mean of the last `bars` closes; NaN before there are as many."""
    out = np.full(len(closes), np.nan)
    if len(closes) >= bars:
        # Sums of whole ticks are exact below 2^53, so the difference of sums is too.
        sums = np.concatenate(([0.0], np.cumsum(closes)))
        out[bars - 1 :] = (sums[bars:] - sums[:-bars]) / bars
    return out


def exponential_means(closes: FloatArray, bars: int) -> FloatArray:
    """Exponential mean, weight 2/(`bars` + 1) for the newest, begun at the first simple mean."""
    out = np.full(len(closes), np.nan)
    if len(closes) < bars:
        return out
    weight = 2.0 / (bars + 1)
    value = float(closes[:bars].mean())
    out[bars - 1] = value
    for index in range(bars, len(closes)):
        value += weight * (float(closes[index]) - value)
        out[index] = value
    return out


def _average(
    name: str, bars: int, means: Callable[[FloatArray, int], FloatArray], weight: float
) -> LevelKind:
    simple = means is simple_means
    label = f"{name}_{bars}"

    def build(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
        ends, closes = two_minute_closes(inputs)
        values = means(closes, bars)
        # Until a bar of today it is not known that the data of today begin on time.
        known = np.isfinite(values) & (ends > inputs.globex_open_ns)
        if known.any():
            yield LevelPath(
                label,
                ends[known],
                values[known],
                f"{'simple' if simple else 'exponential'} mean of {bars} two-minute closes",
            )

    return LevelKind(
        name=label,
        group="average",
        description=f"{'Simple' if simple else 'Exponential'} moving average of {bars} two-minute"
        " bars, warmed up on the sessions before.",
        formula="Σ close / n over the last n bars that exist"
        if simple
        else "m ← m + 2/(n + 1) · (close − m), begun at the mean of the first n bars",
        known="At the end of each two-minute bar; the bar in progress is not used",
        weight=weight,
        build=build,
    )


BAR_KINDS = (
    _average("SMA", 20, simple_means, 0.4),
    _average("SMA", 90, simple_means, 0.6),
    _average("SMA", 200, simple_means, 0.8),
    _average("SMA", 400, simple_means, 0.8),
    _average("EMA", 20, exponential_means, 0.5),
)
