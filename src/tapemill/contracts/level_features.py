"""Every feature of a decision at a level, declared once: schema, docs and checks come from here.

A feature is computed from what was known at its decision and from nothing later. Distances are in
ticks or in units of the one-minute volatility; signs say which side they favour.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import polars as pl

from tapemill.contracts.dataset import Column

__all__ = ["LEVEL_FEATURES", "LevelFeature"]

Family = Literal[
    "barrier", "tape", "imbalance", "approach", "context", "confluence", "runway", "fuel"
]


@dataclasses.dataclass(frozen=True, slots=True)
class LevelFeature(Column):
    """A feature with what a reader must know of it.

    Parameters
    ----------
    family : str
        ``"barrier"``, ``"tape"``, ``"imbalance"``, ``"approach"``, ``"context"``,
        ``"confluence"``, ``"runway"`` or ``"fuel"``.
    formula : str
        How it is computed, in plain signs.
    window : str
        Over which time, for example ``"60 s before the decision"``.
    sign : str
        What a positive value means; empty where it has no sign.
    source : str
        Which part of the book or tape it is made of.
    """

    family: Family = "context"
    formula: str = ""
    window: str = ""
    sign: str = ""
    source: str = ""


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
    _feature(
        "approach",
        "distance_ticks",
        "ticks",
        "Distance of the last trade from the zone",
        "max(low − p, p − high, 0)",
        source="trades",
    ),
)
