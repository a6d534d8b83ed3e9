"""Stacked panels over one axis of sessions, described once for both renderers.

The axis counts sessions: weekends and holidays leave no gap and invent no value. Lines are steps,
because a day's number says nothing about the hours between.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tapemill.report.drawing import Drawing, plotly_script, write_bytes
from tapemill.report.flow_style import INK, STYLE
from tapemill.report.layout import session_ticks

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

__all__ = [
    "Band",
    "Bars",
    "Block",
    "Blocks",
    "Candles",
    "FlowFigure",
    "Heat",
    "Panel",
    "Points",
    "Region",
    "Steps",
    "figure_width",
]

Values = npt.NDArray[np.float64]

LEFT, RIGHT, TOP, GAP, AXIS = 74.0, 96.0, 92.0, 30.0, 46.0
"""Pixels around and between panels."""
_LEAST_WIDTH, _MOST_WIDTH, _SESSION_WIDTH = 1240.0, 2400.0, 9.0

_LABEL_ROOM = 52.0
"""px: a label as wide as "28 Dec" in the figures' type, and air beside it."""


@dataclasses.dataclass(frozen=True)
class Candles:
    """Open, high, low and close at positions; all float64 of shape (bars,)."""

    at: Values
    open: Values
    high: Values
    low: Values
    close: Values
    hover: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Steps:
    """A line of steps over consecutive sessions; NaN leaves a gap."""

    values: Values
    colour: str
    hover: tuple[str, ...] = ()
    width: float = 1.6
    dash: bool = False
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Band:
    """A shaded stretch between two step lines; NaN leaves a gap."""

    low: Values
    high: Values
    colour: str


@dataclasses.dataclass(frozen=True)
class Bars:
    """Bars from zero, each with its colour and opacity; NaN leaves a gap."""

    values: Values
    colours: tuple[str, ...]
    opacities: tuple[float, ...]
    hover: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Block:
    """A rectangle from zero to `value` over sessions `first` to `last` (positions, inclusive)."""

    first: float
    last: float
    value: float
    colour: str
    opacity: float
    hover: str
    text: str = ""
    outlined: bool = False


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Weekly facts at the week they describe."""

    blocks: tuple[Block, ...]


@dataclasses.dataclass(frozen=True)
class Points:
    """Markers. `symbols` are "up", "down", "diamond", "dot" or "flag"."""

    at: Values
    values: Values
    colours: tuple[str, ...]
    symbols: tuple[str, ...]
    hover: tuple[str, ...]
    size: float = 8.0


@dataclasses.dataclass(frozen=True)
class Region:
    """Shaded sessions over the panel's whole height, `first` to `last` inclusive."""

    first: float
    last: float
    colour: str
    opacity: float = 0.12


@dataclasses.dataclass(frozen=True)
class Heat:
    """A map of rows by sessions; float64 of shape (rows, sessions), coloured to ±`limit`."""

    values: Values
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    limit: float = 3.0


Mark = Candles | Steps | Band | Bars | Blocks | Points | Region | Heat


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel.

    Parameters
    ----------
    title : str
        What it shows and in which unit.
    height : float
        px.
    marks : tuple
        Drawn in order.
    span : tuple of float, optional
        Ends of the vertical axis; fitted to the marks without it.
    guides : tuple of (value, label)
        Quiet lines across.
    form : str
        ``"price"``, ``"frac"``, ``"number"`` or ``"volume"``: how the axis is written.
    absent : str
        Said in the middle of a panel that has nothing to show, and why.
    remark : str
        Said at the right end of the title.
    """

    title: str
    height: float
    marks: tuple[Mark, ...] = ()
    span: tuple[float, float] | None = None
    guides: tuple[tuple[float, str], ...] = ()
    form: str = "number"
    absent: str = ""
    remark: str = ""


@dataclasses.dataclass
class FlowFigure(Drawing):
    """Panels over one axis of sessions; can be changed before it is written.

    Parameters
    ----------
    title, subtitle : str
    sessions : tuple of date
        Ascending, one a position from 0.
    panels : tuple of Panel
    footer : tuple of str
        Lines under the axis.
    """

    title: str
    subtitle: str
    sessions: tuple[date, ...]
    panels: tuple[Panel, ...]
    footer: tuple[str, ...] = ()

    @property
    def width(self) -> float:
        """Whole figure, px."""
        return figure_width(len(self.sessions))

    @property
    def plot_width(self) -> float:
        """Panels without margins, px."""
        return self.width - LEFT - RIGHT

    @property
    def height(self) -> float:
        """Whole figure, px."""
        return self.tops()[-1] + self.panels[-1].height + AXIS + 17 * len(self.footer) + 12

    def tops(self) -> list[float]:
        """Top of each panel, px from the top of the figure."""
        tops, top = [], TOP
        for panel in self.panels:
            tops.append(top)
            top += panel.height + GAP
        return tops

    def ticks(self) -> tuple[list[int], list[str]]:
        """Positions and labels of the sessions worth naming: no two labels touch."""
        cell = self.plot_width / (len(self.sessions) + 0.6)
        return session_ticks(self.sessions, cell, room=_LABEL_ROOM)

    def figure(self) -> go.Figure:
        """A new Plotly figure."""
        from tapemill.report._flow_plotly import draw

        return draw(self)

    def matplotlib_figure(self) -> Figure:
        """A new Matplotlib figure."""
        from tapemill.report._flow_matplotlib import draw

        return draw(self)

    def write_html(self, path: str | Path) -> Path:
        """Write one self-contained dark page that needs no network."""
        page = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{html.escape(self.title)}</title><style>{STYLE}</style>{plotly_script()}"
            f'</head><body style="color:{INK}"><main><div class="scroll">'
            f"{self.div('figure')}</div></main></body></html>\n"
        )
        return write_bytes(path, page.encode())


def figure_width(sessions: int) -> float:
    """Pixels across: it grows with the sessions shown, between a page and two."""
    return min(_MOST_WIDTH, max(_LEAST_WIDTH, LEFT + RIGHT + _SESSION_WIDTH * sessions))


def step_path(values: Values) -> tuple[Values, Values]:
    """Corners of a step line: each value from half a session before to half after."""
    count = len(values)
    at = np.repeat(np.arange(count + 1, dtype=np.float64) - 0.5, 2)[1:-1]
    return at, np.repeat(values, 2)


def fine(panel: Panel) -> bool:
    """Whether an axis of parts spans so little that whole percents would repeat or mislead."""
    low, high = fitted_span(panel)
    return panel.form == "frac" and high - low < 0.15


def fitted_span(panel: Panel) -> tuple[float, float]:
    """Ends of the vertical axis that hold every mark, with room above and below."""
    if panel.span is not None:
        return panel.span
    found: list[Values] = [np.array([value for value, _ in panel.guides], dtype=np.float64)]
    zero: Sequence[float] = ()
    for mark in panel.marks:
        if isinstance(mark, Candles | Band):
            found += [mark.low, mark.high]
        elif isinstance(mark, Steps | Points):
            found.append(mark.values)
        elif isinstance(mark, Bars):
            found.append(mark.values)
            zero = (0.0,)
        elif isinstance(mark, Blocks):
            found.append(np.array([block.value for block in mark.blocks], dtype=np.float64))
            zero = (0.0,)
    every = np.concatenate([*found, np.array(zero, dtype=np.float64)])
    every = every[np.isfinite(every)]
    if not len(every):
        return 0.0, 1.0
    low, high = float(every.min()), float(every.max())
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    bottom = low if len(zero) and low == 0 else low - room
    return bottom, high + room
