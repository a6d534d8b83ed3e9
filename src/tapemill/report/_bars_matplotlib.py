"""Matplotlib renderer of candles and volume (Agg, no pyplot)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, StrMethodFormatter

from tapemill.report.drawing import DPI
from tapemill.report.palette import DOWN, FAINT, INK, MUTED, UP, VOLUME

if TYPE_CHECKING:
    from tapemill.report.bars import BarPanel, BarsFigure

__all__ = ["draw"]

_POINT = 72 / DPI
_WIDTH, _LEFT, _RIGHT = 1280.0, 70.0, 26.0
_TOP, _AXIS, _VOLUME, _GAP = 84.0, 54.0, 74.0, 30.0


def draw(bars: BarsFigure) -> Figure:
    """The panels as a Matplotlib figure."""
    price = 300.0 if len(bars.panels) == 1 else 210.0
    height = _TOP + _AXIS + (price + _VOLUME + _GAP) * len(bars.panels) - _GAP
    figure = Figure(figsize=(_WIDTH / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)

    def axes_at(top: float, tall: float) -> Axes:
        width = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
        axes = figure.add_axes((_LEFT / _WIDTH, 1 - (top + tall) / height, width, tall / height))
        axes.spines[:].set_visible(False)
        axes.grid(axis="y", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelsize=11 * _POINT, labelcolor=INK)
        axes.set_xlim(*bars.span)
        axes.set_xticks([])
        return axes

    for number, panel in enumerate(bars.panels):
        top = _TOP + number * (price + _VOLUME + _GAP)
        _price(axes_at(top, price), bars, panel)
        below = axes_at(top + price + 6, _VOLUME - 6)
        _volume(below, panel)
        if number == len(bars.panels) - 1:
            below.set_xticks([at for at, _ in bars.ticks], [text for _, text in bars.ticks])
            below.tick_params(axis="x", length=3, color=MUTED)
    for text, top, size, colour, weight in (
        (bars.title, 14, 18, INK, "bold"),
        (bars.subtitle, 42, 12.5, MUTED, "normal"),
    ):
        figure.text(
            26 / _WIDTH,
            1 - top / height,
            text,
            size=size * _POINT,
            color=colour,
            weight=weight,
            va="top",
            parse_math=False,
        )
    return figure


def _price(axes: Axes, bars: BarsFigure, panel: BarPanel) -> None:
    frame = panel.bars
    at, opened, high, low, close = (
        frame[name].to_numpy() for name in ("at", "open", "high", "low", "close")
    )
    colours = np.where(close >= opened, UP, DOWN)
    # Above about 300 bars a candle is thinner than a pixel pair: its wick would hide the body.
    wick = 0.9 if len(at) <= 300 else 0.6
    axes.vlines(at, low, high, colors=colours.tolist(), linewidths=wick)
    body = np.maximum(np.abs(close - opened), (high.max() - low.min()) * 0.002)
    axes.bar(at, body, 0.72, np.minimum(opened, close), color=colours.tolist(), linewidth=0)
    room = (high.max() - low.min()) * 0.06 or 1.0
    axes.set_ylim(low.min() - room, high.max() + 2 * room)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.2f}"))
    for start, end, _ in bars.bands:
        axes.axvspan(start, end, color=FAINT, alpha=0.6, linewidth=0)
    for position, _ in bars.events:
        axes.axvline(position, color=MUTED, linewidth=1, linestyle=":")
    for position, text in [(a, t) for a, _, t in bars.bands] + list(bars.events):
        axes.annotate(
            text,
            (position, 1.0),
            (4, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
            size=11 * _POINT,
            color=MUTED,
            parse_math=False,
        )
    if panel.label:
        axes.set_title(
            panel.label,
            loc="left",
            size=12 * _POINT,
            weight="bold",
            color=INK,
            pad=4,
            parse_math=False,
        )


def _volume(axes: Axes, panel: BarPanel) -> None:
    axes.bar(panel.bars["at"], panel.bars["volume"].fill_null(0), 0.8, color=VOLUME, linewidth=0)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(axis="y", labelsize=10 * _POINT, labelcolor=MUTED)
