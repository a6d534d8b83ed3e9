"""Matplotlib renderer of the page of levels (Agg, no pyplot)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from tapemill.report import levels_figure as model
from tapemill.report.drawing import DPI
from tapemill.report.flow_style import BUY, CARD, INK, LINE, MUTED, SELL
from tapemill.report.levels_style import BARRIER_STATES, HEAT, OUTCOMES, PLACEBO, PRICE

if TYPE_CHECKING:
    from tapemill.report.levels_figure import LevelsFigure, Track
    from tapemill.report.levels_scene import Scene

__all__ = ["draw"]

WIDTH = 1600
_POINT = 72 / DPI
_CROWD = 80
_MAP = LinearSegmentedColormap.from_list("book", list(HEAT))
_PAPER = "#0C1117"
_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800)


def draw(drawn: LevelsFigure) -> Figure:
    """The page's figure as a picture; placebos are left out."""
    height = drawn.height
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=CARD)
    FigureCanvasAgg(figure)
    scene = drawn.scene
    for number, track in enumerate(drawn.tracks, start=1):
        axes = figure.add_axes(
            (
                model.LEFT / WIDTH,
                1 - (track.top + track.height) / height,
                (WIDTH - model.LEFT - model.RIGHT) / WIDTH,
                track.height / height,
            ),
            facecolor=_PAPER,
        )
        _frame(axes, scene, track, last=number == len(drawn.tracks))
        if track.absent:
            axes.text(
                0.5, 0.5, track.absent, transform=axes.transAxes, ha="center", va="center",
                size=12 * _POINT, color=MUTED, parse_math=False,
            )  # fmt: skip
        elif track.key == "price":
            _price(axes, scene)
        elif track.key == "volume":
            _volume(axes, drawn)
        else:
            _decisions(axes, drawn, track.key)
        _marks(axes, scene, named=number == 1)
    for text, top, size, colour, weight in (
        (drawn.title, 12.0, 19.0, INK, "bold"),
        (drawn.subtitle, 40.0, 12.0, MUTED, "normal"),
        (drawn.footer, height - 22.0, 11.0, MUTED, "normal"),
    ):
        figure.text(
            model.LEFT / WIDTH, 1 - top / height, text, size=size * _POINT, color=colour,
            weight=weight, va="top", parse_math=False,
        )  # fmt: skip
    _legend(figure, drawn)
    return figure


def _frame(axes: Axes, scene: Scene, track: Track, *, last: bool) -> None:
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.set_xlim(scene.start, scene.end)
    axes.tick_params(length=0, labelsize=11 * _POINT, labelcolor=MUTED)
    axes.grid(color=LINE, linewidth=0.5, alpha=0.6)
    if track.title:
        axes.set_title(
            track.title, loc="left", size=12 * _POINT, weight="bold", color=INK, pad=3,
            parse_math=False,
        )  # fmt: skip
    places = _times(scene)
    axes.xaxis.set_major_locator(FixedLocator(places))
    shown = last or track.key == "price"
    axes.set_xticklabels([_clock(at) for at in places] if shown else [""] * len(places))
    if track.absent:
        axes.set_yticks([])
    elif track.key == "price":
        axes.set_ylim(scene.low, scene.high)
        axes.yaxis.set_major_locator(MaxNLocator(14))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.2f}"))
    elif track.key == "imbalance":
        axes.set_ylim(-1.15, 1.15)
        axes.set_yticks([-1, 0, 1], ["−1", "0", "+1"])
    elif track.key == "replenishment":
        vacuum, wall = scene.facts.ratios
        axes.set_yscale("log")
        axes.set_ylim(10**-1.1, 10**1.1)
        ticks = (0.1, vacuum, wall, 10.0)
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticklabels([f"{value:g}" for value in ticks])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))


def _times(scene: Scene) -> list[float]:
    """Round times that leave room for their labels."""
    span = (scene.end - scene.start) / 1000
    step = next((one for one in _STEPS if span / one <= 14), _STEPS[-1]) * 1000
    first = -(-scene.start // step) * step
    return np.arange(first, scene.end + 1, step).tolist()


def _clock(ms: float) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%H:%M")


def _price(axes: Axes, scene: Scene) -> None:
    book = scene.facts.book
    if book is not None and book.size.any():
        least, most = book.usual()
        low = scene.points(book.low_ticks - 0.5)
        high = scene.points(book.low_ticks + book.size.shape[0] * book.step_ticks - 0.5)
        ends = scene.ms(book.edges_ns)
        axes.imshow(
            np.ma.masked_equal(book.size, 0),
            aspect="auto",
            origin="lower",
            interpolation="nearest",
            cmap=_MAP,
            norm=LogNorm(vmin=min(least, most / 2), vmax=most),
            extent=(ends[0], ends[-1], float(low), float(high)),
            zorder=1,
        )
        axes.set_xlim(scene.start, scene.end)
        axes.set_ylim(scene.low, scene.high)
    for strip in scene.strips:
        if not strip.placebo:
            axes.fill_between(
                strip.at, strip.low, strip.high, step="post", color=strip.look.colour, alpha=0.2,
                linewidth=0, zorder=2,
            )  # fmt: skip
    for level in scene.levels:
        if not level.placebo:
            axes.step(
                level.at, level.values, where="post", color=level.look.colour, linewidth=1.0,
                zorder=3,
            )  # fmt: skip
    tape = scene.facts.tape
    middle = scene.ms(tape.at_ns + tape.seconds * 500_000_000)
    cuts = np.flatnonzero(tape.breaks)
    at = np.insert(middle, cuts, middle[cuts] - 1)
    last, bottom, top = (
        np.insert(scene.points(ticks), cuts, np.nan) for ticks in (tape.last, tape.low, tape.high)
    )
    axes.vlines(at, bottom, top, colors=PRICE, linewidths=0.7, alpha=0.55, zorder=4)
    axes.plot(at, last, color=PRICE, linewidth=1.1, zorder=4)
    _approaches(axes, scene)
    _labels(axes, scene)


def _approaches(axes: Axes, scene: Scene) -> None:
    chosen = [one for one in scene.approaches if not one.placebo]
    crowded = len(chosen) > _CROWD
    for one in chosen:
        quiet = one.touch is None
        if quiet and crowded:
            continue
        axes.plot(
            [one.enter, one.end], [one.price, one.price], color=one.look.colour,
            linewidth=1.0 if quiet else 2.0, linestyle=":" if quiet else "-", alpha=0.85,
            solid_capstyle="butt", zorder=5,
        )  # fmt: skip
        axes.plot(
            [one.enter if one.touch is None else one.touch], [one.price],
            marker="^" if one.from_below else "v", markersize=5 if crowded or quiet else 8,
            markerfacecolor="none" if one.look.hollow else one.look.colour,
            markeredgecolor=one.look.colour if one.look.hollow else _PAPER,
            markeredgewidth=1.0 if one.look.hollow else 0.6, zorder=6,
        )  # fmt: skip


def _labels(axes: Axes, scene: Scene) -> None:
    across = axes.get_yaxis_transform()
    for label in scene.labels:
        axes.plot(
            [1.0, 1.014], [label.price, label.place], transform=across, color=label.colour,
            linewidth=0.8, clip_on=False,
        )  # fmt: skip
        axes.text(
            1.017, label.place, label.text, transform=across, color=label.colour, va="center",
            size=11 * _POINT, parse_math=False, clip_on=False,
        )  # fmt: skip


def _volume(axes: Axes, drawn: LevelsFigure) -> None:
    seconds, at, buy, sell = drawn.volume
    for values, colour in ((buy, BUY), (-sell, SELL)):
        axes.bar(at + seconds * 500, values, seconds * 950, color=colour, linewidth=0)
    axes.plot(at + seconds * 500, buy - sell, color="#FFFFFF", linewidth=0.7, alpha=0.75)
    axes.axhline(0, color=MUTED, linewidth=0.6)


def _decisions(axes: Axes, drawn: LevelsFigure, key: str) -> None:
    shown = [one for one in drawn.decided if getattr(one, key) is not None]
    crowded = len(shown) > _CROWD
    if crowded:
        shown = [one for one in shown if not one.delay]
    base = 1.0 if key == "replenishment" else 0.0
    at = [one.at for one in shown]
    values = np.array([getattr(one, key) for one in shown], np.float64)
    if key == "replenishment":
        values = np.clip(values, 0.085, 11.5)
    colours: list[Any] = (
        [BUY if value > 0 else SELL for value in values.tolist()]
        if key == "imbalance"
        else [one.state.colour for one in shown]
    )
    axes.vlines(at, base, values, colors=MUTED, linewidths=0.8, alpha=0.6)
    axes.scatter(
        at, values, s=(4 if crowded else 5.5) ** 2, c=colours, zorder=4, clip_on=False, linewidths=0
    )
    for value in {"replenishment": (*drawn.scene.facts.ratios, 1.0)}.get(key, (0.0,)):
        axes.axhline(value, color=MUTED, linewidth=0.6, linestyle=":")
    if key == "net" and not crowded:
        for one, value in zip(shown, values.tolist(), strict=True):
            axes.annotate(
                one.state.label[:1].upper(), (one.at, value), (6, 0), textcoords="offset points",
                va="center", size=10 * _POINT, color=MUTED, annotation_clip=False,
            )  # fmt: skip


def _marks(axes: Axes, scene: Scene, *, named: bool) -> None:
    across = axes.get_xaxis_transform()
    for at, text in scene.boundaries:
        axes.axvline(at, color=INK, linewidth=0.7, linestyle="--", alpha=0.5, zorder=3)
        if named:
            axes.annotate(
                text, (at, 0.0), (3, 3), xycoords=across, textcoords="offset points",
                size=10 * _POINT, color=INK, zorder=7,
                bbox={"facecolor": _PAPER, "alpha": 0.6, "linewidth": 0, "pad": 1},
            )  # fmt: skip
    for first, end in scene.gaps:
        axes.axvspan(first, end, color=PLACEBO, alpha=0.25, linewidth=0, zorder=2)
        if named:
            axes.text(
                (first + end) / 2, 0.97, "no data", transform=across, rotation=90, ha="center",
                va="top", size=11 * _POINT, color=MUTED, zorder=7,
            )  # fmt: skip


def _legend(figure: Figure, drawn: LevelsFigure) -> None:
    present = {one.look.key for one in drawn.scene.approaches if not one.placebo}
    states = {one.state.key for one in drawn.decided}
    shown = [look for look in OUTCOMES if look.key in present]
    marks = [
        Line2D(
            [], [], linestyle="", marker="^", markersize=7, label=look.label,
            markerfacecolor="none" if look.hollow else look.colour, markeredgecolor=look.colour,
        )
        for look in shown
    ]  # fmt: skip
    marks += [
        Line2D([], [], linestyle="", marker="o", markersize=5, color=look.colour, label=look.label)
        for look in BARRIER_STATES
        if look.key in states
    ]
    marks.insert(0, Line2D([], [], color=PRICE, label="trades"))
    figure.legend(
        handles=marks, loc="upper right", ncols=len(marks), frameon=False, labelcolor=INK,
        fontsize=11 * _POINT, bbox_to_anchor=(1 - 12 / WIDTH, 1 - 46 / drawn.height), borderpad=0,
        handletextpad=0.4, columnspacing=1.0,
    )  # fmt: skip
