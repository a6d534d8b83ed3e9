"""States of a barrier: what happens to the quantity that defends a level.

The first rule that holds names the state. With a, c, f the quantities added, canceled and filled
on the defending side in the window, R = a / (c + f) and net = a − c − f:

====  ==========  =================================================================
code  state       rule
====  ==========  =================================================================
1     VACUUM      R < vacuum_ratio, net < −F and c > f: pulled away, not traded away
2     WALL        R > wall_ratio and net > F
4     CONSUMED    net < −F and f ≥ c: traded away
3     ABSORPTION  net > 0: refilled faster than it goes
5     WEAK        depth < weak_contracts
3     ABSORPTION  |net| < F / 2 and a + c + f > F: contested, and it holds
6     NEUTRAL     otherwise
====  ==========  =================================================================

F is `flow_min_contracts`. Where nothing went R has no value and no rule with R holds, but something
that was added against nothing taken counts as a wall if it is more than F.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np
from numba import float64, vectorize

from tapemill.settings.declaration import LevelsSettings

__all__ = ["BarrierState", "barrier_state", "barrier_states"]

Array = Any

_elementwise: Any = vectorize


class BarrierState(enum.IntEnum):
    """What happens to the quantity that defends a level."""

    VACUUM = 1
    WALL = 2
    ABSORPTION = 3
    CONSUMED = 4
    WEAK = 5
    NEUTRAL = 6


@_elementwise([float64(*[float64] * 8)], cache=True)
def barrier_state(
    added: float,
    canceled: float,
    filled: float,
    depth: float,
    vacuum_ratio: float,
    wall_ratio: float,
    flow_min: float,
    weak: float,
) -> float:
    """Code of the state of a barrier; NaN where an input is NaN. Scalars or arrays.

    Parameters
    ----------
    added, canceled, filled : float64
        Quantities of the window, each ≥ 0 (contracts).
    depth : float64
        Resting now (contracts).
    vacuum_ratio, wall_ratio : float
        Replenishment below and above which the first two rules hold.
    flow_min : float
        Net change that counts (contracts).
    weak : float
        Depth under which a barrier is weak (contracts).
    """
    if math.isnan(added + canceled + filled + depth):
        return math.nan
    taken = canceled + filled
    net = added - taken
    state = 6.0
    if net < -flow_min and added < vacuum_ratio * taken and canceled > filled:
        state = 1.0
    elif net > flow_min and added > wall_ratio * taken:
        state = 2.0
    elif net < -flow_min and filled >= canceled:
        state = 4.0
    elif net > 0.0:
        state = 3.0
    elif depth < weak:
        state = 5.0
    elif abs(net) < 0.5 * flow_min and added + taken > flow_min:
        state = 3.0
    return state


def barrier_states(
    added: Array, canceled: Array, filled: Array, depth: Array, settings: LevelsSettings
) -> Array:
    """Codes of :class:`BarrierState` by the thresholds of the settings; NaN without evidence.

    Parameters
    ----------
    added, canceled, filled, depth : array of float64, shape (n,)
        See `barrier_state`.

    Returns
    -------
    array of float64, shape (n,)
    """
    return np.asarray(
        barrier_state(
            added,
            canceled,
            filled,
            depth,
            settings.vacuum_ratio,
            settings.wall_ratio,
            settings.flow_min_contracts,
            settings.weak_contracts,
        )
    )
