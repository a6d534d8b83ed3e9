"""What a feature of a decision is: a column that also says its formula, window, sign and source."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tapemill.contracts.dataset import Column

__all__ = ["Family", "LevelFeature"]

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
