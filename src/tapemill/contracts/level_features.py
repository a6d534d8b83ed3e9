"""Every feature of a decision at a level, declared once: schema, docs and checks come from here.

A feature is computed from what was known at its decision and from nothing later. Distances are in
ticks or in units of the one-minute volatility; signs say which side they favour.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts.level_context import (
    APPROACH_FEATURES,
    CONFLUENCE_FEATURES,
    CONTEXT_FEATURES,
    RUNWAY_FEATURES,
)
from tapemill.contracts.level_feature import Family, LevelFeature

__all__ = ["LEVEL_FEATURES", "LevelFeature"]


def _feature(
    family: Family,
    name: str,
    unit: str,
    description: str,
    formula: str,
    *,
    window: str = "at the decision",
    sign: str = "",
    source: str = "",
    dtype: pl.DataType | None = None,
) -> LevelFeature:
    return LevelFeature(
        name,
        dtype or pl.Float64(),
        description,
        unit,
        True,
        family=family,
        formula=formula,
        window=window,
        sign=sign,
        source=source,
    )


LEVEL_FEATURES: tuple[LevelFeature, ...] = (
    *APPROACH_FEATURES,
    *CONTEXT_FEATURES,
    *CONFLUENCE_FEATURES,
    *RUNWAY_FEATURES,
)
