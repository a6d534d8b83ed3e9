"""Where things go: pixel layout of the coverage calendar and session labels of every time axis.

Both renderers draw from the same numbers, so that the page and the picture agree.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from datetime import date

from tapemill.report.grid import CoverageGrid

__all__ = ["CalendarLayout", "Rect", "calendar_layout", "month_starts", "session_ticks"]

WIDTH = 1280
_MARGIN, _LABEL_GAP, _CHARACTER = 26, 8, 8.2
_TITLE, _LEGEND, _STRIP, _AXIS, _EARLY, _FOOT = 62, 34, 74, 42, 16, 40
_STRIP_FROM_ROWS = 20
_ROWS_A_BLOCK = 60


@dataclasses.dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels, origin at the top left of the figure."""

    left: float
    top: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True, slots=True)
class CalendarLayout:
    """Geometry of one calendar.

    Attributes
    ----------
    width, height : float
        Whole figure, px.
    title, legend : float
        Top of the title and of the legend, px.
    strip : Rect, optional
        Bars of all rows by session; None for few rows.
    strip_own_axis : bool
        Whether the strip spans several blocks and carries its own session labels.
    blocks : tuple of (first row, row after the last, Rect)
        Rows folded into side-by-side blocks when there are many rows and few sessions.
    cell_width, cell_height : float
        px.
    foot : float
        Top of the footnote, px.
    """

    width: float
    height: float
    title: float
    legend: float
    strip: Rect | None
    strip_own_axis: bool
    blocks: tuple[tuple[int, int, Rect], ...]
    cell_width: float
    cell_height: float
    foot: float

    @property
    def marks(self) -> bool:
        """Whether a cell is large enough for its character."""
        return self.cell_width >= 12 and self.cell_height >= 11


def calendar_layout(grid: CoverageGrid) -> CalendarLayout:
    """Lay `grid` out on a page 1,280 px wide."""
    rows, sessions = len(grid.labels), len(grid.sessions)
    label = min(190.0, max(map(len, grid.labels)) * _CHARACTER) + _LABEL_GAP
    room = WIDTH - 2 * _MARGIN
    fit = max(1, int(room // (label + max(14 * sessions, 60))))
    blocks = max(1, min(fit, math.ceil(rows / _ROWS_A_BLOCK)))
    height = math.ceil(rows / blocks)
    blocks = math.ceil(rows / height)
    cell_width = min(64.0, (room / blocks - label - (12 if blocks > 1 else 0)) / sessions)
    cell_height = 24.0 if height <= 20 else 16.0 if height <= 60 else 12.0
    legend = _TITLE
    top = legend + _LEGEND
    strip = None
    own_axis = blocks > 1
    if rows >= _STRIP_FROM_ROWS or grid.hidden:
        across = room - label if own_axis else cell_width * sessions
        top += 8
        strip = Rect(_MARGIN + label, top, across, _STRIP)
        top += _STRIP + (_AXIS if own_axis else 0) + 10
    top += _EARLY
    placed = tuple(
        (
            first,
            min(first + height, rows),
            Rect(
                _MARGIN + label + (room / blocks) * block,
                top,
                cell_width * sessions,
                cell_height * (min(first + height, rows) - first),
            ),
        )
        for block, first in enumerate(range(0, rows, height))
    )
    foot = top + cell_height * height + _AXIS + 6
    return CalendarLayout(
        width=WIDTH,
        height=foot + _FOOT,
        title=20.0,
        legend=legend,
        strip=strip,
        strip_own_axis=own_axis,
        blocks=placed,
        cell_width=cell_width,
        cell_height=cell_height,
        foot=foot,
    )


def session_ticks(
    sessions: Sequence[date], cell_width: float, *, room: float = 40.0
) -> tuple[list[int], list[str]]:
    """Positions and two-line labels of the sessions worth naming.

    The finest of session, week, month, quarter and year is taken whose labels do not touch.

    Parameters
    ----------
    sessions : sequence of date
        Ascending.
    cell_width : float
        px between two sessions.
    room : float
        px that one label needs.

    Returns
    -------
    positions : list of int
        Index into `sessions`.
    labels : list of str
        Lines joined by a newline; the year stands under the first label of a year.
    """
    periods: dict[str, Callable[[date], object]] = {
        "session": lambda d: d,
        "week": lambda d: d.isocalendar()[:2],
        "month": lambda d: (d.year, d.month),
        "quarter": lambda d: (d.year, (d.month - 1) // 3),
        "year": lambda d: d.year,
    }
    positions: list[int] = []
    daily = True
    for name, period in periods.items():
        positions = [
            i for i, d in enumerate(sessions) if i == 0 or period(d) != period(sessions[i - 1])
        ]
        daily = name in ("session", "week")
        if len(positions) > 1 and (positions[1] - positions[0]) * cell_width < room:
            # The first period may be cut short; its label gives way to the next one.
            if name == "session":
                continue
            positions = positions[1:]
        gaps = [b - a for a, b in itertools.pairwise(positions)]
        # One short month or holiday week may be dropped rather than coarsen all labels.
        if not gaps or sorted(gaps)[len(gaps) // 8] * cell_width >= room:
            break
    positions = _thin(positions, room / cell_width)
    labels, year = [], None
    for position in positions:
        day = sessions[position]
        text = f"{day.day} {day:%b}" if daily else f"{day:%b}"
        labels.append(f"{text}\n{day.year}" if day.year != year else text)
        year = day.year
    return positions, labels


def _thin(positions: Sequence[int], gap: float) -> list[int]:
    kept: list[int] = []
    for position in positions:
        if not kept or position - kept[-1] >= gap:
            kept.append(position)
    return kept


def month_starts(sessions: Sequence[date]) -> list[int]:
    """Index of each session that opens a month, the first session left out."""
    return [
        i
        for i in range(1, len(sessions))
        if (sessions[i].year, sessions[i].month) != (sessions[i - 1].year, sessions[i - 1].month)
    ]
