"""Round numbers near the prices known so far."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tapemill.errors import ConfigError
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.kinds import LevelKind, LevelPath, standing
from tapemill.settings.declaration import LevelsSettings

__all__ = ["ROUND_KINDS", "round_spacing"]

_REACH = 2
"""Spacings beyond the prices known so far within which a round number is a level."""


def round_spacing(settings: LevelsSettings, root: str) -> int:
    """Ticks between round numbers of a product.

    Raises
    ------
    ConfigError
        ``levels.round_ticks_of`` gives something else than a whole number above zero.
    """
    text = settings.round_ticks_of.get(root)
    if text is None:
        return settings.round_ticks
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigError(
            f"levels.round_ticks_of gives {text!r} as the spacing of {root}",
            where="accepted: a whole number of ticks, 1 or more",
            next_step=f'for example {{{root} = "100"}}',
        )
    return int(text)


def _round(inputs: LevelInputs, settings: LevelsSettings) -> Iterator[LevelPath]:
    spacing = round_spacing(settings, inputs.root)
    at, low, high = inputs.today.ended, inputs.today.low, inputs.today.high
    prior = inputs.prior_globex[-1:]
    if prior and len(inputs.earlier.between(prior[0].open_ns, prior[0].close_ns).start):
        close = inputs.earlier.close[-1:]
        at = np.concatenate(([inputs.globex_open_ns], at))
        low, high = np.concatenate((close, low)), np.concatenate((close, high))
    if not len(at):
        return
    low = np.minimum.accumulate(low) - _REACH * spacing
    high = np.maximum.accumulate(high) + _REACH * spacing
    for number in range(int(-(-low[-1] // spacing)), int(high[-1] // spacing) + 1):
        ticks = float(number * spacing)
        first = int(np.argmax((low <= ticks) & (ticks <= high)))
        yield standing(
            f"ROUND_{ticks * inputs.tick_size:.10g}",
            int(at[first]),
            ticks,
            f"multiple of {spacing} ticks within {_REACH} of the prices known by then",
        )


ROUND_KINDS = (
    LevelKind(
        name="ROUND",
        group="round",
        description="Round number of the instrument.",
        formula="Multiples of levels.round_ticks (levels.round_ticks_of by product), once within"
        f" {_REACH} spacings of the last close before and the prices of the day so far",
        known="When the trade date begins, or at the end of the minute that comes near enough",
        weight=0.0,
        build=_round,
    ),
)
