"""Matplotlib renderer of the coverage calendar (Agg, no pyplot)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tapemill.report.drawing import DPI
from tapemill.report.grid import CoverageGrid
from tapemill.report.layout import (
    CalendarLayout,
    Rect,
    calendar_layout,
    month_starts,
    session_ticks,
)
from tapemill.report.palette import INK, MUTED, STATE_CODE, STATES

_POINT = 72 / DPI
"""Points a layout pixel."""


def draw(grid: CoverageGrid, title: str, subtitle: str) -> Figure:
    """The calendar as a Matplotlib figure."""
    layout = calendar_layout(grid)
    figure = Figure(figsize=(layout.width / DPI, layout.height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    for first, last, rect in layout.blocks:
        _block(_add_axes(figure, layout, rect), grid, layout, slice(first, last))
    if layout.strip is not None:
        _strip(_add_axes(figure, layout, layout.strip), grid, layout, layout.strip)
    _legend(figure, grid, layout)
    for text, top, size, colour, weight in (
        (title, 12, 18, INK, "bold"),
        (subtitle, 40, 12.5, MUTED, "normal"),
        (f"{grid.shown}  ½ = early close.", layout.foot, 11.5, MUTED, "normal"),
    ):
        figure.text(
            26 / layout.width,
            1 - top / layout.height,
            text,
            size=size * _POINT,
            color=colour,
            weight=weight,
            va="top",
            parse_math=False,
        )
    return figure


def _add_axes(figure: Figure, layout: CalendarLayout, rect: Rect) -> Axes:
    axes = figure.add_axes(
        (
            rect.left / layout.width,
            1 - (rect.top + rect.height) / layout.height,
            rect.width / layout.width,
            rect.height / layout.height,
        )
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK, pad=4)
    return axes


def _session_axis(axes: Axes, grid: CoverageGrid, cell_width: float) -> None:
    positions, labels = session_ticks(grid.sessions, cell_width)
    axes.set_xticks(positions, labels)
    axes.tick_params(axis="x", length=3, color=MUTED, labelsize=11 * _POINT)


def _block(axes: Axes, grid: CoverageGrid, layout: CalendarLayout, rows: slice) -> None:
    colours = np.array([to_rgba(state.colour) for state in STATES])
    codes = grid.codes[rows]
    height, width = codes.shape
    axes.imshow(
        colours[codes],
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )
    axes.hlines(np.arange(height + 1) - 0.5, -0.5, width - 0.5, colors="white", linewidths=0.8)
    if layout.cell_width >= 4:
        axes.vlines(np.arange(width + 1) - 0.5, -0.5, height - 0.5, colors="white", linewidths=0.8)
    if layout.cell_width < 30:
        axes.vlines(
            np.array(month_starts(grid.sessions)) - 0.5,
            -0.5,
            height - 0.5,
            colors=MUTED,
            linewidths=0.8,
        )
    if layout.marks:
        size = min(11.0, layout.cell_height - 2) * _POINT
        for row, column in np.argwhere(codes > STATE_CODE["green"]).tolist():
            state = STATES[codes[row, column]]
            axes.text(
                column,
                row,
                state.mark,
                ha="center",
                va="center_baseline",
                color=state.mark_colour,
                size=size,
                parse_math=False,
            )
    for at in np.flatnonzero(grid.early).tolist():
        axes.annotate(
            "½",
            (at, -0.5),
            (0, 2),
            textcoords="offset points",
            ha="center",
            size=11 * _POINT,
            color=MUTED,
            annotation_clip=False,
        )
    axes.set_yticks(range(height), grid.labels[rows])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="y", labelsize=min(12.0, layout.cell_height - 1) * _POINT)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    _session_axis(axes, grid, layout.cell_width)


def _strip(axes: Axes, grid: CoverageGrid, layout: CalendarLayout, rect: Rect) -> None:
    share = grid.counts / np.maximum(grid.counts.sum(axis=1, keepdims=True), 1)
    at = np.arange(len(grid.sessions))
    below = np.zeros(len(grid.sessions))
    for code in reversed(range(len(STATES))):
        if grid.counts[:, code].any():
            width = 1.0 if layout.cell_width < 6 else 0.94
            axes.bar(at, share[:, code], width, below, color=STATES[code].colour, linewidth=0)
            below = below + share[:, code]
    axes.set(xlim=(-0.5, len(grid.sessions) - 0.5), ylim=(0, 1))
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "all rows"])
    axes.tick_params(axis="y", labelsize=10 * _POINT, labelcolor=MUTED)
    if layout.strip_own_axis:
        _session_axis(axes, grid, rect.width / len(grid.sessions))
    else:
        axes.set_xticks([])


def _legend(figure: Figure, grid: CoverageGrid, layout: CalendarLayout) -> None:
    counts = grid.cells_by_state
    handles = []
    for state in STATES[1:] + STATES[:1]:
        count = f" {counts[state.name]:,}" if state.name in counts else ""
        mark = f"{state.mark} " if state.mark else ""
        handles.append(Patch(facecolor=state.colour, label=f"{mark}{state.label}{count}"))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(26 / layout.width, 1 - layout.legend / layout.height),
        ncol=len(handles),
        frameon=False,
        fontsize=12 * _POINT,
        handlelength=1.0,
        handleheight=1.0,
        handletextpad=0.5,
        columnspacing=1.6,
        borderpad=0,
        borderaxespad=0,
        labelcolor=INK,
    )
