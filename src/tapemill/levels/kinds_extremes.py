"""Highs and lows of the running trade date: premarket, overnight, opening ranges, session.

A running extreme stands at its value as of the last finished minute, so an approach always meets
the extreme that stood before it: the price that makes a new high never touches that high.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from tapemill.clock.eastern import eastern_ns
from tapemill.levels.inputs import MINUTE_NS, LevelInputs
from tapemill.levels.kinds import LevelKind, LevelPath, running, standing
from tapemill.settings.declaration import LevelsSettings

__all__ = ["EXTREME_KINDS"]

Side = Literal["HIGH", "LOW"]
_Window = Callable[[LevelInputs], tuple[int, int] | None]
_PREMARKET_HOUR = 4


def _premarket(inputs: LevelInputs) -> tuple[int, int] | None:
    if inputs.regular_open_ns is None:
        return None
    return eastern_ns(inputs.session, _PREMARKET_HOUR), inputs.regular_open_ns


def _overnight(inputs: LevelInputs) -> tuple[int, int] | None:
    # Where US stocks stay closed the night has no end before Globex closes.
    end = inputs.regular_open_ns
    return inputs.globex_open_ns, inputs.globex_close_ns if end is None else end


def _regular(inputs: LevelInputs) -> tuple[int, int] | None:
    if inputs.regular_open_ns is None or inputs.regular_close_ns is None:
        return None
    return inputs.regular_open_ns, inputs.regular_close_ns


def _running(name: str, side: Side, window: _Window, text: str) -> LevelKind:
    word = "Highest" if side == "HIGH" else "Lowest"

    def build(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
        bounds = window(inputs)
        if bounds is None or not inputs.has_from(bounds[0]):
            return
        found, broken = inputs.unbroken(*bounds)
        if not len(found.start):
            return
        if side == "HIGH":
            ticks = np.maximum.accumulate(found.high)
        else:
            ticks = np.minimum.accumulate(found.low)
        provenance = f"{word.lower()} trade of the finished minutes, {text}, {inputs.session}"
        yield running(f"{name}_{side}", found.ended, ticks, provenance, broken)

    return LevelKind(
        name=f"{name}_{side}",
        group="extreme",
        description=f"{word} price, {text}.",
        formula=f"{'max(high)' if side == 'HIGH' else 'min(low)'} over the minutes of the window"
        " that have ended",
        known="Running: at the end of each minute of the window; stands still after it",
        weight=_WEIGHTS[name],
        build=build,
    )


def _opening(name: str, side: Side, minutes: int) -> LevelKind:
    word = "Highest" if side == "HIGH" else "Lowest"

    def build(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
        begin = inputs.regular_open_ns
        if begin is None or not inputs.has_from(begin):
            return
        end = begin + minutes * MINUTE_NS
        found, broken = inputs.unbroken(begin, end)
        if broken is not None or not len(found.start):
            return
        ticks = found.high.max() if side == "HIGH" else found.low.min()
        yield standing(
            f"{name}_{side}",
            end + inputs.finish_lag_ns,
            float(ticks),
            f"{word.lower()} trade of the first {minutes} regular minutes of {inputs.session}",
        )

    return LevelKind(
        name=f"{name}_{side}",
        group="extreme",
        description=f"{word} price of the first {minutes} minutes of regular hours.",
        formula=f"{'max(high)' if side == 'HIGH' else 'min(low)'} over"
        f" [open, open + {minutes} min)",
        known=f"{minutes} minutes after the regular open",
        weight=_WEIGHTS[name],
        build=build,
    )


_WEIGHTS = {
    "PREMARKET": 1.0,
    "OVERNIGHT": 0.9,
    "OPENING_RANGE_5": 0.6,
    "OPENING_RANGE_15": 0.9,
    "OPENING_RANGE_30": 0.9,
    "INITIAL_BALANCE": 0.9,
    "SESSION": 0.6,
}
_SIDES: tuple[Side, Side] = ("HIGH", "LOW")

EXTREME_KINDS = (
    *(_running("PREMARKET", side, _premarket, "04:00 ET to the regular open") for side in _SIDES),
    *(
        _running("OVERNIGHT", side, _overnight, "Globex open to the regular open")
        for side in _SIDES
    ),
    *(
        _opening(f"OPENING_RANGE_{minutes}", side, minutes)
        for minutes in (5, 15, 30)
        for side in _SIDES
    ),
    *(_opening("INITIAL_BALANCE", side, 60) for side in _SIDES),
    *(_running("SESSION", side, _regular, "regular hours so far") for side in _SIDES),
)
