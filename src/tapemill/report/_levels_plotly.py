"""Plotly renderer of the page of levels."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from tapemill.report import levels_figure as model
from tapemill.report._levels_tracks_plotly import draw_tracks
from tapemill.report.flow_style import CARD, INK, LINE, MUTED
from tapemill.report.levels_scene import MAIN_HEIGHT
from tapemill.report.levels_style import OUTCOMES, PLACEBO, PRICE, heat_stops
from tapemill.report.palette import FONT, rgba

if TYPE_CHECKING:
    from tapemill.report.levels_figure import LevelsFigure
    from tapemill.report.levels_scene import Approach, Scene
    from tapemill.report.levels_style import Look

__all__ = ["draw"]

_CROWD = 80


def draw(drawn: LevelsFigure) -> go.Figure:
    """The page's figure as a Plotly figure."""
    figure = go.Figure()
    figure.update_layout(
        height=drawn.height,
        autosize=True,
        margin={"l": model.LEFT, "r": model.RIGHT, "t": model.TOP, "b": model.BOTTOM},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor=CARD,
        plot_bgcolor="#0C1117",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "orientation": "h"},
        hoverlabel={
            "bgcolor": "#0F1318", "bordercolor": LINE, "font": {"color": INK}, "align": "left",
        },
        legend={
            "orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left",
            "font": {"size": 11.5, "color": INK}, "bgcolor": "rgba(0,0,0,0)", "tracegroupgap": 0,
            "itemsizing": "constant",
        },
        hovermode="closest",
        dragmode="pan",
        barmode="relative",
        bargap=0.06,
    )  # fmt: skip
    _axes(figure, drawn)
    scene = drawn.scene
    _book(figure, scene)
    _levels(figure, scene)
    _price(figure, scene)
    for placebo in (False, True):
        _approaches(figure, scene, placebo=placebo)
    _labels(figure, scene)
    draw_tracks(figure, drawn)
    _marks(figure, drawn)
    return figure


def _axes(figure: go.Figure, drawn: LevelsFigure) -> None:
    inner = drawn.height - model.TOP - model.BOTTOM
    scene = drawn.scene
    for number, track in enumerate(drawn.tracks, start=1):
        name = "" if number == 1 else str(number)
        last = number == len(drawn.tracks)
        start = 1 - (track.top - model.TOP + track.height) / inner
        end = 1 - (track.top - model.TOP) / inner
        x_axis: dict[str, Any] = {
            "type": "date",
            "range": [scene.start, scene.end],
            "anchor": f"y{name}",
            "showgrid": True,
            "gridcolor": rgba(LINE + "90"),
            "zeroline": False,
            "showticklabels": last or number == 1,
            "tickfont": {"color": MUTED, "size": 11},
            "tickformatstops": [
                {"dtickrange": [None, 60_000], "value": "%H:%M:%S"},
                {"dtickrange": [60_000, None], "value": "%H:%M\n%a %d %b"},
            ],
            "hoverformat": "%H:%M:%S",
            "nticks": 14,
        }
        if number > 1:
            x_axis["matches"] = "x"
        if number == 1:
            x_axis |= {
                "tickformatstops": [
                    {"dtickrange": [None, 60_000], "value": "%H:%M:%S"},
                    {"dtickrange": [60_000, None], "value": "%H:%M"},
                ],
                "showspikes": True, "spikemode": "across", "spikethickness": 1,
                "spikecolor": MUTED, "spikedash": "dot", "spikesnap": "cursor",
            }  # fmt: skip
        y_axis: dict[str, Any] = {
            "domain": [max(0.0, start), min(1.0, end)],
            "anchor": f"x{name}",
            "gridcolor": rgba(LINE + "90"),
            "zeroline": False,
            "tickfont": {"color": MUTED, "size": 11},
            "fixedrange": number > 1,
        }
        if number == 1:
            y_axis |= {"range": [scene.low, scene.high], "tickformat": ",.2f", "nticks": 14}
        if track.absent:
            y_axis |= {"showgrid": False, "showticklabels": False, "range": [0, 1]}
        figure.update_layout({f"xaxis{name}": x_axis, f"yaxis{name}": y_axis})
        for text, at, size in ((track.title, end, 12), (track.absent, (start + end) / 2, 12)):
            if text:
                figure.add_annotation(
                    x=0 if text is track.title else 0.5,
                    y=at, xref="paper", yref="paper", showarrow=False,
                    xanchor="left" if text is track.title else "center",
                    yanchor="bottom" if text is track.title else "middle",
                    text=f"<b>{html.escape(text)}</b>" if text is track.title else text,
                    font={"size": size, "color": INK if text is track.title else MUTED},
                )  # fmt: skip


def _book(figure: go.Figure, scene: Scene) -> None:
    book = scene.facts.book
    if book is None or not book.size.any():
        return
    least, most = book.usual()
    ends = scene.ms(book.edges_ns)
    stops = [[0.0, "rgba(0,0,0,0)"], [0.5 / most, "rgba(0,0,0,0)"]]
    stops += [[max(at, 0.5 / most), colour] for at, colour in heat_stops(least, most)]
    small = book.size.astype(np.uint16 if book.size.max() < 65536 else np.int32)
    figure.add_trace(
        go.Heatmap(
            x0=(ends[0] + ends[1]) / 2,
            dx=ends[1] - ends[0],
            y=scene.points(book.centres),
            z=small,
            zmin=0,
            zmax=most,
            colorscale=stops,
            zsmooth=False,
            name="book",
            showlegend=True,
            hovertemplate="%{x|%H:%M:%S} ET · %{y:,.2f} points<br>%{z} contracts rest there"
            "<extra>book</extra>",
            showscale=False,
        )
    )


def _levels(figure: go.Figure, scene: Scene) -> None:
    seen: set[str] = set()
    for strip in scene.strips:
        if strip.placebo:
            continue
        at, low, high = _corners(strip.at), _held(strip.low), _held(strip.high)
        for first, end in _runs(at, low):
            figure.add_trace(
                go.Scatter(
                    x=np.concatenate([at[first:end], at[first:end][::-1]]),
                    y=np.concatenate([high[first:end], low[first:end][::-1]]).astype(np.float32),
                    mode="none",
                    fill="toself",
                    fillcolor=rgba(strip.look.colour + "2E"),
                    hoverinfo="skip",
                    legendgroup=strip.look.key,
                    showlegend=False,
                )
            )
    for level in scene.levels:
        group = "placebo levels" if level.placebo else level.look.key
        label = "placebo levels" if level.placebo else level.look.label
        figure.add_trace(
            go.Scatter(
                x=level.at,
                y=level.values.astype(np.float32),
                mode="lines",
                line={
                    "color": level.look.colour,
                    "width": 1.1,
                    "dash": "dot" if level.placebo else "solid",
                    "shape": "hv",
                },
                name=label,
                legendgroup=group,
                showlegend=group not in seen,
                visible="legendonly" if level.placebo else True,
                connectgaps=False,
                hovertemplate=f"{html.escape(level.name)} %{{y:,.2f}} points"
                "<br>since %{x|%H:%M:%S} ET<extra></extra>",
            )
        )
        seen.add(group)


def _corners(at: Any) -> Any:
    """Times of a step line's corners: each value holds until the next time."""
    return np.repeat(at, 2)[1:]


def _held(values: Any) -> Any:
    return np.repeat(values, 2)[:-1]


def _runs(at: Any, values: Any) -> list[tuple[int, int]]:
    known = np.isfinite(values).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known, [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a > 1]


def _price(figure: go.Figure, scene: Scene) -> None:
    tape = scene.facts.tape
    middle = scene.ms(tape.at_ns + tape.seconds * 500_000_000)
    seconds = tape.seconds
    # A gap is a hole in the line: a point without a value stands before what follows it.
    cuts = np.flatnonzero(tape.breaks)
    at = np.insert(middle, cuts, middle[cuts] - 1)
    last, low, high = (
        np.insert(scene.points(ticks), cuts, np.nan).astype(np.float32)
        for ticks in (tape.last, tape.low, tape.high)
    )
    spans = np.stack([low, high, np.full(len(at), np.nan, np.float32)], axis=1).reshape(-1)
    figure.add_trace(
        go.Scatter(
            x=np.repeat(at, 3), y=spans, mode="lines", connectgaps=False,
            line={"color": rgba(PRICE + "90"), "width": 1}, hoverinfo="skip",
            legendgroup="price", showlegend=False,
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=at, y=last, mode="lines", connectgaps=False, name="trades",
            line={"color": PRICE, "width": 1.5}, legendgroup="price",
            hovertemplate=f"last trade of {seconds} s, %{{x|%H:%M:%S}} ET: %{{y:,.2f}} points"
            "<extra></extra>",
        )
    )  # fmt: skip


def _approaches(figure: go.Figure, scene: Scene, *, placebo: bool) -> None:
    chosen = [one for one in scene.approaches if one.placebo is placebo]
    seen: set[str] = set()
    # A whole day has hundreds: smaller marks, and those that never touched on demand.
    crowded = len(chosen) > _CROWD
    large = 9 if crowded else 12
    for look in OUTCOMES:
        own = [one for one in chosen if one.look.key == look.key]
        if not own:
            continue
        name = "placebo approaches" if placebo else look.label
        first = name not in seen
        seen.add(name)
        quiet = look.key == "untouched"
        shared: dict[str, Any] = {
            "legendgroup": name if placebo else f"outcome {look.key}",
            "visible": "legendonly" if placebo or (quiet and crowded) else True,
        }
        if not placebo:
            figure.add_trace(
                go.Scatter(
                    x=np.array([[one.enter, one.end, one.end] for one in own]).reshape(-1),
                    y=np.array([[one.price, one.price, np.nan] for one in own], np.float32).reshape(
                        -1
                    ),
                    mode="lines",
                    line={
                        "color": look.colour,
                        "width": 1.5 if quiet else 3,
                        "dash": "dot" if quiet else "solid",
                    },
                    opacity=0.85,
                    hoverinfo="skip",
                    showlegend=False,
                    **shared,
                )
            )
        figure.add_trace(
            go.Scatter(
                x=np.array([one.enter if one.touch is None else one.touch for one in own]),
                y=np.array([one.price for one in own], np.float32),
                mode="markers",
                marker={
                    "symbol": [_symbol(one) for one in own],
                    "size": 8 if quiet or placebo else large,
                    "color": look.colour,
                    "line": {"width": 1.4, "color": look.colour if look.hollow else "#0C1117"},
                },
                name=name,
                showlegend=first,
                **_told(own, look, placebo=placebo),
                **shared,
            )
        )


def _told(own: list[Approach], look: Look, *, placebo: bool) -> dict[str, Any]:
    """What the pointer shows; placebos are many, and need no text of their own."""
    if placebo:
        said = f"placebo, {look.label}: %{{y:,.2f}} points, %{{x|%H:%M:%S}} ET"
        return {"hovertemplate": f"{said}<extra></extra>"}
    return {
        "customdata": [one.hover for one in own],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _symbol(one: Approach) -> str:
    shape = "triangle-up" if one.from_below else "triangle-down"
    return f"{shape}-open" if one.look.hollow else shape


def _labels(figure: go.Figure, scene: Scene) -> None:
    for label in scene.labels:
        figure.add_annotation(
            x=1, y=label.price, xref="paper", yref="y", ax=20, axref="pixel",
            ay=(label.price - label.place) / (scene.high - scene.low) * MAIN_HEIGHT,
            xanchor="left", showarrow=True, arrowhead=0, arrowwidth=1, arrowcolor=label.colour,
            text=html.escape(label.text), hovertext=label.hover, align="left",
            font={"size": 11, "color": label.colour},
        )  # fmt: skip


def _marks(figure: go.Figure, drawn: LevelsFigure) -> None:
    """Boundaries of the trade date and gaps, through all tracks."""
    scene = drawn.scene
    for number in range(1, len(drawn.tracks) + 1):
        axis = "y" if number == 1 else f"y{number}"
        place = {"xref": "x", "yref": f"{axis} domain", "y0": 0, "y1": 1}
        for at, _ in scene.boundaries:
            figure.add_shape(
                type="line", x0=at, x1=at, layer="above", **place,
                line={"color": rgba(INK + "80"), "width": 1, "dash": "dash"},
            )  # fmt: skip
        for begin, end in scene.gaps:
            figure.add_shape(
                type="rect", x0=begin, x1=end, layer="below", **place,
                fillcolor=rgba(PLACEBO + "38"), line_width=0,
            )  # fmt: skip
    for at, text in scene.boundaries:
        figure.add_annotation(
            x=at, y=0.0, xref="x", yref="y domain", text=text, showarrow=False, xanchor="left",
            yanchor="bottom", xshift=3, font={"size": 10.5, "color": INK}, bgcolor="#0C1117A0",
        )  # fmt: skip
    for begin, end in scene.gaps:
        figure.add_annotation(
            x=(begin + end) / 2, y=0.97, xref="x", yref="y domain", text="no data",
            showarrow=False, textangle=-90, yanchor="top", font={"size": 11, "color": MUTED},
        )  # fmt: skip
