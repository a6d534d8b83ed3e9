"""States, colours, labels and marks of every figure, declared once for both renderers."""

from __future__ import annotations

import dataclasses

__all__ = [
    "DOWN",
    "FAINT",
    "FONT",
    "GRID",
    "INK",
    "MUTED",
    "QUIET",
    "STATES",
    "STATE_CODE",
    "UP",
    "VOLUME",
    "CoverageState",
    "rgba",
]


@dataclasses.dataclass(frozen=True, slots=True)
class CoverageState:
    """How one state of a coverage cell is named and drawn.

    Parameters
    ----------
    name : str
        The value in ``silver.coverage.state``.
    label, meaning : str
        Legend text and its explanation.
    colour : str
        ``#RRGGBB`` or ``#RRGGBBAA``. The set stays apart for colour-blind readers by lightness.
    mark : str
        One character drawn in cells that are large enough, so that colour is never the only cue.
    mark_colour : str
    severity : int
        Weight of a cell when rows are sorted worst first; 0 needs no attention.
    """

    name: str
    label: str
    meaning: str
    colour: str
    mark: str
    mark_colour: str
    severity: int


STATES = (
    CoverageState(
        "not_listed", "no cell", "not listed, or not asked for", "#8A94A61F", "", "#5B6472", 0
    ),
    CoverageState(
        "green", "green (complete)", "minutes present as expected", "#6DBD9B", "", "#0B2B20", 0
    ),
    CoverageState(
        "empty", "empty", "confirmed: the vendor has nothing", "#C4CAD3", "0", "#39424E", 0
    ),
    CoverageState("halt", "halt", "gap explained by a trading halt", "#3F86D6", "H", "#FFFFFF", 0),
    CoverageState(
        "amber", "amber (thin)", "usable, with gaps to look at", "#F5C445", "~", "#4A3500", 1
    ),
    CoverageState(
        "red", "red (broken)", "fails the coverage limits", "#C22F1E", "!", "#FFFFFF", 40
    ),
    CoverageState("missing", "missing", "no bar of the session", "#4B2477", "×", "#FFFFFF", 60),
)
"""All states, least to most severe; the position is the code used in grids."""

STATE_CODE = {state.name: code for code, state in enumerate(STATES)}

INK = "#1C2430"
MUTED = "#6B7686"
FAINT = "#D9DEE5"
GRID = "#7D899B40"
"""Lines that stay quiet on light and on dark paper."""
QUIET = 0.68
"""Opacity of secondary text in pages: it follows the ink of light and dark paper."""
UP = "#2B8A6B"
DOWN = "#C2452D"
VOLUME = "#9AA7B8"
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"


def rgba(colour: str) -> str:
    """``#RRGGBB`` or ``#RRGGBBAA`` as the CSS function that Plotly understands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    alpha = int(colour[7:9], 16) / 255 if len(colour) == 9 else 1.0
    return f"rgba({red},{green},{blue},{alpha:.3f})"
