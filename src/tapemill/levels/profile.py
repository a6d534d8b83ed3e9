"""Volume profile: point of control and value area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tapemill.errors import UsageError
from tapemill.levels.kinds import FloatArray

__all__ = ["VALUE_AREA_FRACTION", "ValueArea", "value_area"]

VALUE_AREA_FRACTION = 0.7
"""Share of the volume that the value area holds, by the convention of the market profile."""


class ValueArea(NamedTuple):
    """Value area and point of control, in the unit of the prices given."""

    low: float
    point_of_control: float
    high: float


def value_area(
    prices: FloatArray, volumes: FloatArray, fraction: float = VALUE_AREA_FRACTION
) -> ValueArea:
    """Price of most volume and the area about it that holds `fraction` of all volume.

    One-row rule: beginning at the point of control, the area grows by one traded price at a time,
    to the side with more volume (upwards when both have the same), until it holds more than
    `fraction`. Prices without trades are no rows. Of several prices with the most volume the one
    nearest to the middle row counts, then the lower one.

    Parameters
    ----------
    prices : ndarray
        float64, shape (n,), ascending, without repeats.
    volumes : ndarray
        float64, shape (n,), above zero.
    fraction : float
        Share of the volume, below 1.

    Returns
    -------
    ValueArea

    Raises
    ------
    UsageError
        No rows.
    """
    if not len(prices):
        raise UsageError(
            "a volume profile without rows has no value area",
            next_step="leave the session out",
        )
    most = np.flatnonzero(volumes == volumes.max())
    control = int(most[np.argmin(np.abs(most - len(volumes) / 2))])
    low = high = control
    held, wanted = float(volumes[control]), float(volumes.sum()) * fraction
    while held <= wanted and (low > 0 or high < len(volumes) - 1):
        below = float(volumes[low - 1]) if low > 0 else -1.0
        above = float(volumes[high + 1]) if high < len(volumes) - 1 else -1.0
        if above >= below:
            high += 1
            held += above
        else:
            low -= 1
            held += below
    return ValueArea(float(prices[low]), float(prices[control]), float(prices[high]))
