"""What a kind of level is, and the path of one level through a session.

A kind is one small function from what was known to paths, with the words that the documents need.
Adding a kind is one such declaration and one entry in the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tapemill.levels.inputs import LevelInputs
    from tapemill.settings.declaration import LevelsSettings

__all__ = ["FloatArray", "Group", "IntArray", "LevelKind", "LevelPath", "running", "standing"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Group = Literal["extreme", "prior", "average", "profile", "round", "user", "option"]


class LevelPath(NamedTuple):
    """One level as a step function of time: from ``at_ns[i]`` on it stands at ``ticks[i]``.

    Parameters
    ----------
    level_id : str
        Kind and parameters; unique within the session.
    at_ns : ndarray of int64
        Ascending, ns UTC: the moments from which the values were known.
    ticks : ndarray of float64
        Price in ticks; need not be whole. NaN: from then on there is no such level.
    provenance : str
        From which rows and by which rule it comes.
    error_ticks : ndarray of float64 or None
        Half width of the 95 % band of a projected level; None where it is native.
    native_symbol : str
        Instrument on which it is defined; empty for the instrument itself.
    """

    level_id: str
    at_ns: IntArray
    ticks: FloatArray
    provenance: str
    error_ticks: FloatArray | None = None
    native_symbol: str = ""


@dataclass(frozen=True)
class LevelKind:
    """A kind of level and the function that finds its levels.

    Parameters
    ----------
    name : str
        As in ``gold.levels.kind``, for example ``"PREMARKET_HIGH"``.
    group : str
        What sort of thing it is; kinds of a group share a chapter of the documents.
    description : str
        One sentence for a trader.
    formula : str
        How the price is computed.
    known : str
        From when it can be known, in words.
    weight : float
        Weight in the confluence score, 0 to 1. A convention, not evidence.
    build : callable
        Inputs and settings → paths. It may use only rows that had ended at the moments it names:
        cut at any moment, the inputs must give the same steps up to that moment.
    """

    name: str
    group: Group
    description: str
    formula: str
    known: str
    weight: float
    build: Callable[[LevelInputs, LevelsSettings], Iterable[LevelPath]]


def running(
    level_id: str,
    at_ns: IntArray,
    ticks: FloatArray,
    provenance: str,
    broken_ns: int | None = None,
) -> LevelPath:
    """Path of a level that moves; it is gone from `broken_ns` on, when its data turned out torn."""
    if broken_ns is not None:
        at_ns = np.append(at_ns, max(broken_ns, int(at_ns[-1])))
        ticks = np.append(ticks, np.nan)
    return LevelPath(level_id, at_ns, ticks, provenance)


def standing(level_id: str, at_ns: int, ticks: float, provenance: str) -> LevelPath:
    """Path of a level that stands still from `at_ns` on."""
    return LevelPath(
        level_id, np.array([at_ns], np.int64), np.array([ticks], np.float64), provenance
    )
