"""Every feature of a decision at a level, declared once: schema, docs and checks come from here.

A feature is computed from what was known at its decision and from nothing later. Distances are in
ticks or in units of the one-minute volatility; signs say which side they favour.
"""

from __future__ import annotations

from tapemill.contracts.level_context import (
    APPROACH_FEATURES,
    CONFLUENCE_FEATURES,
    CONTEXT_FEATURES,
    RUNWAY_FEATURES,
)
from tapemill.contracts.level_feature import LevelFeature
from tapemill.contracts.level_physics import (
    BARRIER_FEATURES,
    FUEL_FEATURES,
    IMBALANCE_FEATURES,
    TAPE_FEATURES,
)

__all__ = ["LEVEL_FEATURES", "LevelFeature"]

LEVEL_FEATURES: tuple[LevelFeature, ...] = (
    *BARRIER_FEATURES,
    *TAPE_FEATURES,
    *IMBALANCE_FEATURES,
    *APPROACH_FEATURES,
    *CONTEXT_FEATURES,
    *CONFLUENCE_FEATURES,
    *RUNWAY_FEATURES,
    *FUEL_FEATURES,
)
