"""Volume-weighted average prices: session, Globex and anchored, with bands."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from tapemill.levels.inputs import LevelInputs, MinuteArrays
from tapemill.levels.kinds import FloatArray, Group, LevelKind, LevelPath, running
from tapemill.levels.user_levels import own_rows
from tapemill.settings.declaration import LevelsSettings

__all__ = ["VWAP_KINDS", "running_vwap"]

_GROUP: Group = "average"
_AT_MINUTES = "At the end of each minute, from the minutes that have ended"


def running_vwap(minutes: MinuteArrays) -> tuple[FloatArray, FloatArray]:
    """Volume-weighted mean and standard deviation of the price after each minute.

    Parameters
    ----------
    minutes : MinuteArrays
        Consecutive minutes from the anchor on, prices in ticks.

    Returns
    -------
    tuple of ndarray
        Mean (exact over trades, Σ p·q / Σ q) and standard deviation of the minutes' own VWAP about
        it, weighted by volume; the spread within a minute is not part of it. Ticks; NaN while
        nothing has traded.
    """
    # From the first price on, so that the squares keep their digits.
    origin = minutes.close[0] if len(minutes.close) else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        own = minutes.price_volume / minutes.volume - origin
        own[minutes.volume <= 0] = 0.0
        volume = np.cumsum(minutes.volume)
        mean = np.cumsum(own * minutes.volume) / volume
        square = np.cumsum(own * own * minutes.volume) / volume
    return mean + origin, np.sqrt(np.maximum(square - mean * mean, 0.0))


_Since = tuple[MinuteArrays, int | None]
"""Minutes since an anchor, and when it was known that some of them are missing."""


def _session_minutes(inputs: LevelInputs) -> _Since | None:
    if inputs.regular_open_ns is None or inputs.regular_close_ns is None:
        return None
    if not inputs.has_from(inputs.regular_open_ns):
        return None
    return inputs.unbroken(inputs.regular_open_ns, inputs.regular_close_ns)


def _globex_minutes(inputs: LevelInputs) -> _Since | None:
    if not inputs.has_from(inputs.globex_open_ns):
        return None
    return inputs.unbroken(inputs.globex_open_ns, inputs.globex_close_ns)


def _since(inputs: LevelInputs, anchor_ns: int) -> _Since | None:
    """Minutes from `anchor_ns` on; None where the data do not reach back to it."""
    if anchor_ns >= inputs.globex_open_ns:
        if not inputs.has_from(anchor_ns):
            return None
        return inputs.unbroken(anchor_ns, inputs.globex_close_ns)
    if not len(inputs.earlier.start) or inputs.earlier.start[0] > anchor_ns:
        return None
    if not inputs.has_from(inputs.globex_open_ns):
        return None
    today, broken = inputs.unbroken(inputs.globex_open_ns, inputs.globex_close_ns)
    return inputs.earlier.between(anchor_ns, inputs.globex_open_ns).joined(today), broken


def _band(
    name: str,
    minutes_of: Callable[[LevelInputs], _Since | None],
    multiple: int,
    weight: float,
    text: str,
) -> LevelKind:
    def build(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
        found = minutes_of(inputs)
        if found is None or not len(found[0].start):
            return
        minutes, broken = found
        mean, deviation = running_vwap(minutes)
        provenance = f"volume-weighted over the finished minutes, {text}, {inputs.session}"
        if multiple:
            provenance += f", {multiple:+d} standard deviations"
        yield running(name, minutes.ended, mean + multiple * deviation, provenance, broken)

    shift = f" {multiple:+d} · σ" if multiple else ""
    return LevelKind(
        name=name,
        group=_GROUP,
        description=f"Volume-weighted average price, {text}{shift}.",
        formula="Σ p·q / Σ q"
        + (f"{shift}, σ² = Σ q·(minute VWAP − VWAP)² / Σ q" if multiple else " over its trades"),
        known=_AT_MINUTES,
        weight=weight,
        build=build,
    )


def _anchored(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
    for label, anchor_ns, text in _anchors(inputs):
        found = _since(inputs, anchor_ns)
        if found is None:
            continue
        minutes, broken = found
        # Before a minute of today it is not known that the data of today begin on time.
        today = minutes.start >= inputs.globex_open_ns
        if not today.any():
            continue
        mean, _ = running_vwap(minutes)
        yield running(
            f"ANCHORED_VWAP_{label}",
            minutes.ended[today],
            mean[today],
            f"volume-weighted over the finished minutes since {text}",
            broken,
        )


def _anchors(inputs: LevelInputs) -> Iterator[tuple[str, int, str]]:
    week = inputs.session.isocalendar()[:2]
    opens = [
        (prior.session, prior.open_ns)
        for prior in inputs.prior_regular
        if prior.session.isocalendar()[:2] == week
    ]
    if inputs.regular_open_ns is not None:
        opens.append((inputs.session, inputs.regular_open_ns))
    if opens:
        yield "WEEK", opens[0][1], f"the regular open of {opens[0][0]}, first of the week"
    for row in own_rows(inputs).filter(pl.col("price").is_null()).iter_rows(named=True):
        yield row["name"], row["valid_from_ns"], f"the user's anchor {row['name']}"


VWAP_KINDS = (
    _band("VWAP", _session_minutes, 0, 0.7, "regular hours"),
    _band("VWAP_UPPER_1", _session_minutes, 1, 0.4, "regular hours"),
    _band("VWAP_LOWER_1", _session_minutes, -1, 0.4, "regular hours"),
    _band("VWAP_UPPER_2", _session_minutes, 2, 0.5, "regular hours"),
    _band("VWAP_LOWER_2", _session_minutes, -2, 0.5, "regular hours"),
    _band("GLOBEX_VWAP", _globex_minutes, 0, 0.5, "since the Globex open"),
    LevelKind(
        name="ANCHORED_VWAP",
        group=_GROUP,
        description="Volume-weighted average price since an anchor: the week's first regular open,"
        " and the rows of the user's file that have a name and a time but no price.",
        formula="Σ p·q / Σ q over all trades since the anchor; absent where a trade date since"
        " then has no data",
        known=_AT_MINUTES,
        weight=0.6,
        build=_anchored,
    ),
)
