"""Look of the page of levels: what each outcome, state and group of levels is drawn like.

Every colour is repeated by a sign or a word, so that nothing hangs on colour alone.
"""

from __future__ import annotations

import dataclasses

from tapemill.report.flow_style import INK, MUTED, NEUTRAL

__all__ = [
    "BARRIER_STATES",
    "GROUPS",
    "HEAT",
    "OUTCOMES",
    "PLACEBO",
    "PRICE",
    "Look",
    "group_look",
    "heat_stops",
    "outcome_look",
    "state_look",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """How one thing is named and coloured.

    Parameters
    ----------
    key, label : str
        Value in the tables, and what the legend says.
    colour : str
        ``#RRGGBB``.
    meaning : str
        One sentence for the legend of the page.
    hollow : bool
        Drawn as an outline.
    """

    key: str
    label: str
    colour: str
    meaning: str
    hollow: bool = False


PRICE = "#FFE08A"
PLACEBO = "#8C7AA9"

OUTCOMES = (
    Look("break", "break", "#FF4D6D", "price went through by the barrier first"),
    Look("bounce", "bounce", "#2EE6A6", "price turned back by the barrier first"),
    Look("neither", "neither", "#DCE3EC", "no barrier was reached within the horizon"),
    Look("censored", "censored", "#9AA7B5", "the data or the session ended first", hollow=True),
    Look("unknown", "not known yet", "#9AA7B5", "the outcome was not known", hollow=True),
    Look("untouched", "not touched", "#6F7C8C", "price came near and left again", hollow=True),
)

BARRIER_STATES = (
    Look("1", "vacuum", "#FF8A4C", "pulled away, not traded away"),
    Look("2", "wall", "#2EE6A6", "added faster than it goes"),
    Look("3", "absorption", "#58C4F6", "refilled while it is hit"),
    Look("4", "consumed", "#FF4D6D", "traded away"),
    Look("5", "weak", "#E3B341", "little rests there"),
    Look("6", "neutral", "#9AA7B5", "no rule holds"),
)

GROUPS = (
    Look("extreme", "session extremes", "#FF9F6B", "highs and lows of parts of the trade date"),
    Look("prior", "prior sessions", "#F28DB2", "prices of earlier days and weeks"),
    Look("average", "averages", "#B79CFF", "VWAP and moving averages"),
    Look("profile", "volume profile", "#8FD694", "prices where earlier dates traded most"),
    Look("round", "round numbers", "#AAB6C4", "evenly spaced prices"),
    Look("user", "your own", INK, "from your file of levels"),
    Look("option", "options", "#E3B341", "from option positions"),
)

HEAT = ("#12222F", "#163248", "#194460", "#1F597A", "#2B7696", "#559FB6", "#AEDADD", "#F2FBF9")
"""From little to much; light means much."""

_NONE = Look("", "no evidence", NEUTRAL, "too little was seen", hollow=True)


def outcome_look(name: str) -> Look:
    """The look of an outcome of the tables."""
    return next((look for look in OUTCOMES if look.key == name), OUTCOMES[4])


def state_look(code: int | None) -> Look:
    """The look of a barrier's state, from its code."""
    return next((look for look in BARRIER_STATES if look.key == str(code)), _NONE)


def group_look(name: str) -> Look:
    """The look of a group of level kinds."""
    return next((look for look in GROUPS if look.key == name), Look(name, name, MUTED, ""))


def heat_stops(least: float, most: float) -> list[tuple[float, str]]:
    """Positions (0 to 1 of `most`) and colours that make a linear scale logarithmic.

    Sizes up to `least` share the darkest colour: what usually rests everywhere stays quiet, so that
    walls stand out.
    """
    last = len(HEAT) - 1
    floor = min(max(least, 1.0), most / 2)
    stops = [(floor * (most / floor) ** (i / last) / most, one) for i, one in enumerate(HEAT)]
    return [(0.0, HEAT[0]), *stops[:-1], (1.0, HEAT[-1])]
