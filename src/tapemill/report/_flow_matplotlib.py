"""Matplotlib renderer of stacked flow panels (Agg, no pyplot)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, PercentFormatter

from tapemill.report import flow_panels as model
from tapemill.report.drawing import DPI
from tapemill.report.flow_style import BUY, CARD, INK, LINE, MUTED, SELL

if TYPE_CHECKING:
    from tapemill.report.flow_panels import FlowFigure, Mark, Panel

__all__ = ["draw"]

_POINT = 72 / DPI
_SYMBOLS = {"up": "^", "down": "v", "diamond": "D", "dot": "o", "flag": "|"}
_MAP = LinearSegmentedColormap.from_list("surprise", [SELL, "#222B36", BUY])


def draw(drawn: FlowFigure) -> Figure:
    """The panels as a Matplotlib figure."""
    width, height = drawn.width, drawn.height
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=CARD)
    FigureCanvasAgg(figure)
    positions, labels = drawn.ticks()
    for number, (panel, top) in enumerate(zip(drawn.panels, drawn.tops(), strict=True), start=1):
        axes = figure.add_axes(
            (
                model.LEFT / width,
                1 - (top + panel.height) / height,
                drawn.plot_width / width,
                panel.height / height,
            ),
            facecolor="none",
        )
        _frame(axes, drawn, panel, positions)
        for mark in panel.marks:
            _mark(axes, mark)
        if number == len(drawn.panels):
            axes.set_xticks(positions, labels)
            axes.tick_params(axis="x", labelsize=11 * _POINT, labelcolor=MUTED)
    lines = [(drawn.title, 10.0, 19.0, INK, "bold"), (drawn.subtitle, 37.0, 12.5, MUTED, "normal")]
    foot = height - 17 * len(drawn.footer) - 12
    lines += [
        (text, foot + 17 * line, 11.0, MUTED, "normal") for line, text in enumerate(drawn.footer)
    ]
    for text, top, size, colour, weight in lines:
        figure.text(
            20 / width,
            1 - top / height,
            text,
            size=size * _POINT,
            color=colour,
            weight=weight,
            va="top",
            parse_math=False,
        )
    return figure


def _frame(axes: Axes, drawn: FlowFigure, panel: Panel, positions: list[int]) -> None:
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.set_xlim(-0.8, len(drawn.sessions) - 0.2)
    axes.set_xticks(positions, [""] * len(positions))
    axes.tick_params(length=0, labelsize=11 * _POINT, labelcolor=MUTED)
    axes.set_title(
        panel.title, loc="left", size=12 * _POINT, weight="bold", color=INK, pad=3, parse_math=False
    )
    if panel.remark:
        axes.set_title(
            panel.remark, loc="right", size=11 * _POINT, color=MUTED, pad=3, parse_math=False
        )
    axes.set_ylim(*model.fitted_span(panel))
    if panel.absent:
        axes.set_yticks([])
        axes.grid(axis="x", color=LINE, linewidth=0.5, alpha=0.6)
        axes.text(
            0.5, 0.5, panel.absent, transform=axes.transAxes, ha="center", va="center",
            size=12 * _POINT, color=MUTED, parse_math=False,
        )  # fmt: skip
        return
    axes.grid(color=LINE, linewidth=0.6)
    axes.yaxis.set_major_locator(MaxNLocator(max(2, int(panel.height // 38))))
    if panel.form == "frac":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=int(model.fine(panel))))
    elif panel.form == "volume":
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    elif panel.form == "price":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.2f}"))
    for value, label in panel.guides:
        axes.axhline(value, color=MUTED, linewidth=0.8, linestyle=":", alpha=0.7)
        if label:
            axes.annotate(
                label, (1.0, value), (5, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", size=10 * _POINT, color=MUTED,
                parse_math=False, annotation_clip=False,
            )  # fmt: skip


def _mark(axes: Axes, mark: Mark) -> None:
    if isinstance(mark, model.Candles):
        colours = np.where(mark.close >= mark.open, BUY, SELL).tolist()
        axes.vlines(mark.at, mark.low, mark.high, colors=colours, linewidths=0.9)
        body = np.maximum(np.abs(mark.close - mark.open), (mark.high.max() - mark.low.min()) * 2e-3)
        axes.bar(mark.at, body, 0.66, np.minimum(mark.open, mark.close), color=colours, linewidth=0)
    elif isinstance(mark, model.Steps):
        at, values = model.step_path(mark.values)
        axes.plot(
            at,
            values,
            color=mark.colour,
            linewidth=mark.width * _POINT * 1.2,
            linestyle=":" if mark.dash else "-",
            solid_joinstyle="miter",
        )
    elif isinstance(mark, model.Band):
        at, low = model.step_path(mark.low)
        _, high = model.step_path(mark.high)
        axes.fill_between(at, low, high, color=mark.colour, alpha=0.22, linewidth=0)
    elif isinstance(mark, model.Bars):
        at = np.arange(len(mark.values), dtype=np.float64)
        shown = np.isfinite(mark.values)
        painted = [
            to_rgba(colour, opacity)
            for colour, opacity, there in zip(mark.colours, mark.opacities, shown, strict=True)
            if there
        ]
        axes.bar(at[shown], mark.values[shown], 0.78, color=painted, linewidth=0)
    elif isinstance(mark, model.Blocks):
        _blocks(axes, mark)
    elif isinstance(mark, model.Points):
        for symbol in dict.fromkeys(mark.symbols):
            chosen = [i for i, one in enumerate(mark.symbols) if one == symbol]
            axes.scatter(
                mark.at[chosen],
                mark.values[chosen],
                s=(mark.size * _POINT) ** 2,
                c=[mark.colours[i] for i in chosen],
                marker=_SYMBOLS[symbol],
                linewidths=1.2 if symbol == "flag" else 0,
                clip_on=False,
                zorder=4,
            )
    elif isinstance(mark, model.Region):
        axes.axvspan(
            mark.first - 0.5, mark.last + 0.5, color=mark.colour, alpha=mark.opacity, linewidth=0
        )
    else:
        _heat(axes, mark)


def _blocks(axes: Axes, mark: model.Blocks) -> None:
    patches, faces, edges = [], [], []
    for block in mark.blocks:
        patches.append(
            Rectangle((block.first - 0.46, 0), block.last - block.first + 0.92, block.value)
        )
        faces.append(to_rgba(block.colour, 0.0 if block.outlined else block.opacity))
        edges.append(to_rgba(block.colour, block.opacity if block.outlined else 0.0))
        if block.text:
            axes.annotate(
                block.text, ((block.first + block.last) / 2, block.value), (0, 2),
                textcoords="offset points", ha="center", va="bottom", size=10 * _POINT,
                color=MUTED, parse_math=False,
            )  # fmt: skip
    axes.add_collection(PatchCollection(patches, facecolors=faces, edgecolors=edges))


def _heat(axes: Axes, mark: model.Heat) -> None:
    rows, across = mark.values.shape
    axes.imshow(
        np.ma.masked_invalid(mark.values),
        aspect="auto",
        interpolation="nearest",
        cmap=_MAP,
        vmin=-mark.limit,
        vmax=mark.limit,
        extent=(-0.5, across - 0.5, rows - 0.5, -0.5),
    )
    axes.grid(visible=False)
    axes.set_xlim(-0.8, across - 0.2)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.hlines(np.arange(rows + 1) - 0.5, -0.5, across - 0.5, colors=CARD, linewidths=0.8)
    axes.set_yticks(range(rows), mark.labels)
    axes.tick_params(axis="y", labelsize=10 * _POINT, labelcolor=INK)
    for row, note in enumerate(mark.notes):
        axes.annotate(
            note, (1.0, row), (5, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", size=10 * _POINT, color=MUTED,
            parse_math=False, annotation_clip=False,
        )  # fmt: skip
