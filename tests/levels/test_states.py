"""States of a barrier: golden values, every state reachable, thresholds from the settings."""

from __future__ import annotations

import numpy as np
import pytest

from tapemill.levels.states import BarrierState, barrier_state, barrier_states
from tapemill.settings.declaration import LevelsSettings

KEYS = LevelsSettings()
LIMITS = (KEYS.vacuum_ratio, KEYS.wall_ratio, KEYS.flow_min_contracts, KEYS.weak_contracts)

# added, canceled, filled, depth → state; the first three are the golden cases A8, A9 and A10.
CASES = [
    ((30, 200, 20, 900), BarrierState.VACUUM),
    ((400, 50, 100, 900), BarrierState.WALL),
    ((100, 60, 180, 900), BarrierState.CONSUMED),
    # Little came back, but trades took it: that is no withdrawal.
    ((30, 20, 200, 900), BarrierState.CONSUMED),
    ((0, 0, 101, 900), BarrierState.CONSUMED),
    # Pulled, though not as fast as a vacuum.
    ((100, 200, 40, 900), BarrierState.NEUTRAL),
    ((90, 20, 30, 900), BarrierState.ABSORPTION),
    # More than the wall's ratio, but too little to count.
    ((60, 5, 5, 900), BarrierState.ABSORPTION),
    # Much is added against much that goes: no wall.
    ((450, 200, 140, 900), BarrierState.ABSORPTION),
    ((101, 0, 0, 900), BarrierState.WALL),
    ((100, 0, 0, 900), BarrierState.ABSORPTION),
    ((0, 0, 0, 49), BarrierState.WEAK),
    ((0, 0, 0, 50), BarrierState.NEUTRAL),
    # Contested: much goes, nearly as much comes, and it holds; unless it is weak.
    ((60, 40, 40, 900), BarrierState.ABSORPTION),
    ((60, 40, 40, 20), BarrierState.WEAK),
    ((40, 30, 20, 900), BarrierState.NEUTRAL),
    ((10, 60, 0, 900), BarrierState.NEUTRAL),
]


@pytest.mark.parametrize(("flows", "state"), CASES)
def test_the_first_rule_that_holds_names_the_state(
    flows: tuple[float, ...], state: BarrierState
) -> None:
    assert barrier_state(*map(float, flows), *LIMITS) == state


def test_arrays_are_judged_like_their_elements() -> None:
    flows = np.array([case for case, _ in CASES], np.float64).T
    assert barrier_states(*flows, KEYS).tolist() == [state for _, state in CASES]


def test_every_state_is_reached() -> None:
    assert {state for _, state in CASES} == set(BarrierState)


@pytest.mark.parametrize("missing", range(4))
def test_without_evidence_there_is_no_state(missing: int) -> None:
    flows = [100.0, 60.0, 180.0, 900.0]
    flows[missing] = np.nan
    assert np.isnan(barrier_state(*flows, *LIMITS))


@pytest.mark.parametrize(
    ("change", "flows", "state"),
    [
        ({"vacuum_ratio": 0.1}, (30, 200, 20, 900), BarrierState.NEUTRAL),
        ({"wall_ratio": 3.0}, (400, 50, 100, 900), BarrierState.ABSORPTION),
        ({"flow_min_contracts": 140.0}, (100, 60, 180, 900), BarrierState.NEUTRAL),
        ({"weak_contracts": 0.0}, (0, 0, 0, 10), BarrierState.NEUTRAL),
    ],
)
def test_thresholds_come_from_the_settings(
    change: dict[str, float], flows: tuple[float, ...], state: BarrierState
) -> None:
    keys = LevelsSettings(**change)
    arrays = [np.array([float(flow)]) for flow in flows]
    assert barrier_states(*arrays, keys)[0] == state
    assert barrier_states(*arrays, KEYS)[0] != state
