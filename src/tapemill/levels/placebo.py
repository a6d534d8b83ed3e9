"""Placebo levels: prices that mean nothing, matched to the levels that are said to mean something.

Two families. *Random*: the level moved by an offset drawn within about an hour's travel of price.
*Shifted*: the level as far from price as it was at an earlier moment, that is, moved by what price
has moved since. An offset is drawn once, when the level is born, and stays: the placebo lives and
moves as its level does. It is a whole number of ticks, so a placebo of a traded price is one that
can trade. None is nearer to its level than the approach band, for the same approach is no control,
nor nearer than the merging distance to a real level known then.

Draws come from a hash of (symbol, session, level, which, try): the same in, the same out.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from tapemill.levels.inputs import LevelInputs, sigma_at
from tapemill.levels.kinds import FloatArray, IntArray
from tapemill.levels.zones import merge_distance
from tapemill.settings.declaration import LevelsSettings

__all__ = ["Placebo", "placebos_of", "uniform_draw"]

_REACH_BANDS = 8.0
"""Offsets reach so many approach bands: with the default band of one σ about an hour's travel."""
_TRIES = 64
_LOOK_BACK = (5, 390)
"""Minutes with trades before the birth from which a shifted placebo takes its offset."""


class Placebo(NamedTuple):
    """A placebo of a level.

    Parameters
    ----------
    level : int
        Index of the level that it matches.
    family : str
        ``"placebo_random"`` or ``"placebo_shifted"``.
    prefix : str
        Goes before the level's id.
    offset_ticks : float
        Whole ticks from its level.
    provenance : str
        How the offset was drawn.
    """

    level: int
    family: str
    prefix: str
    offset_ticks: float
    provenance: str


def uniform_draw(*key: object) -> float:
    """A number in [0, 1) that depends on `key` alone."""
    text = "|".join(map(str, key))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def placebos_of(
    inputs: LevelInputs,
    settings: LevelsSettings,
    level_ids: list[str],
    born_ns: IntArray,
    born_ticks: FloatArray,
    known_ticks: list[FloatArray],
) -> list[Placebo]:
    """Placebos of the levels; a level that no draw fits has none.

    Parameters
    ----------
    inputs : LevelInputs
        Price history and volatility.
    settings : LevelsSettings
        Bands, merging distance, number of random placebos.
    level_ids : list of str
        Real levels.
    born_ns, born_ticks : ndarray, shape (levels,)
        When each was first known (ns UTC), and where (ticks).
    known_ticks : list of ndarray
        For each level the real levels that stood when it was born, itself included; ticks.

    Returns
    -------
    list of Placebo
        By level; for each the random ones, then the shifted one.
    """
    sigma = np.nan_to_num(sigma_at(inputs.volatility, born_ns))
    merge = merge_distance(sigma, settings)
    band = np.maximum(settings.approach_min_ticks, settings.approach_sigma * sigma)
    at, close = _history(inputs)
    found: list[Placebo] = []
    for level, level_id in enumerate(level_ids):
        key = (inputs.symbol, inputs.session, level_id)
        least = float(band[level])
        room = known_ticks[level] - born_ticks[level]

        def fits(
            offset: float,
            least: float = least,
            room: FloatArray = room,
            distance: float = float(merge[level]),
        ) -> bool:
            return abs(offset) >= least and bool((np.abs(room - offset) > distance).all())

        for number in range(1, settings.placebos + 1):
            for attempt in range(_TRIES):
                draw = uniform_draw(*key, "random", number, attempt)
                offset = float(round((2.0 * draw - 1.0) * _REACH_BANDS * least))
                if fits(offset):
                    text = f"{level_id} {offset:+g} ticks, drawn at random"
                    prefix = f"PLACEBO_RANDOM:{number}:"
                    found.append(Placebo(level, "placebo_random", prefix, offset, text))
                    break
        last = int(np.searchsorted(at, born_ns[level], side="right")) - 1
        first = max(last - _LOOK_BACK[1], 0)
        choices = last - _LOOK_BACK[0] - first + 1
        for attempt in range(_TRIES if choices > 0 else 0):
            chosen = first + int(uniform_draw(*key, "shifted", attempt) * choices)
            offset = float(round(close[last] - close[chosen]))
            if fits(offset):
                text = f"{level_id} {offset:+g} ticks, as far from price as at {at[chosen]} ns"
                found.append(Placebo(level, "placebo_shifted", "PLACEBO_SHIFTED:", offset, text))
                break
    return found


def _history(inputs: LevelInputs) -> tuple[IntArray, FloatArray]:
    minutes = inputs.earlier.joined(inputs.today)
    return minutes.ended, minutes.close
