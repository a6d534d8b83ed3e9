"""Plotly renderer of the tracks below the chart of price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from tapemill.report.flow_style import BUY, MUTED, SELL
from tapemill.report.palette import rgba

if TYPE_CHECKING:
    from tapemill.report.levels_figure import Decided, LevelsFigure

__all__ = ["draw_tracks"]

_CROWD = 80


def draw_tracks(figure: go.Figure, drawn: LevelsFigure) -> None:
    """Add barrier and tape to a figure that has its axes already."""
    vacuum, wall = drawn.scene.facts.ratios
    for number, track in enumerate(drawn.tracks, start=1):
        place = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        if track.absent or track.key == "price":
            continue
        if track.key == "volume":
            _volume(figure, drawn, place)
        else:
            _decisions(figure, drawn.decided, track.key, place)
        if track.key == "replenishment":
            figure.update_layout(
                {f"yaxis{number}": {"type": "log", "tickvals": [0.1, vacuum, wall, 10],
                                    "range": [-1.1, 1.1]}}
            )  # fmt: skip
        elif track.key == "imbalance":
            figure.update_layout(
                {f"yaxis{number}": {"range": [-1.15, 1.15], "tickvals": [-1, 0, 1],
                                    "ticktext": ["−1", "0", "+1"]}}
            )  # fmt: skip
        else:
            figure.update_layout({f"yaxis{number}": {"nticks": 5, "tickformat": "~s"}})
        for value in {"replenishment": (vacuum, 1.0, wall)}.get(track.key, (0.0,)):
            figure.add_shape(
                type="line", x0=0, x1=1, y0=value, y1=value, xref="paper", yref=place["yaxis"],
                line={"color": rgba(MUTED + "B0"), "width": 1, "dash": "dot"},
            )  # fmt: skip


def _volume(figure: go.Figure, drawn: LevelsFigure, place: dict[str, str]) -> None:
    seconds, at, buy, sell = drawn.volume
    for name, sign, values, colour in (("bought", 1, buy, BUY), ("sold", -1, sell, SELL)):
        figure.add_trace(
            go.Bar(
                x=at + seconds * 500, y=(sign * values).astype(np.int32), width=seconds * 950,
                marker={"color": colour, "line": {"width": 0}}, name=name, showlegend=False,
                customdata=values.astype(np.int32),
                hovertemplate=f"{name} %{{customdata:,}} contracts in {seconds} s, "
                "%{x|%H:%M:%S} ET<extra></extra>",
                **place,
            )
        )  # fmt: skip
    net = (buy - sell).astype(np.int32)
    figure.add_trace(
        go.Scatter(
            x=at + seconds * 500, y=net, mode="lines", showlegend=False,
            line={"color": "#FFFFFF", "width": 1}, opacity=0.75,
            hovertemplate="net %{y:+,} contracts<extra></extra>", **place,
        )
    )  # fmt: skip


def _decisions(
    figure: go.Figure, decided: tuple[Decided, ...], key: str, place: dict[str, str]
) -> None:
    shown = [one for one in decided if getattr(one, key) is not None]
    crowded = len(shown) > _CROWD
    # A whole day has thousands: those at the touch at once, the later ones on demand.
    parts = (
        (("at the touch", True, [one for one in shown if not one.delay]),
         ("later decisions", False, [one for one in shown if one.delay]))
        if crowded
        else (("decisions", True, shown),)
    )  # fmt: skip
    for name, visible, own in parts:
        if own:
            shared: dict[str, Any] = {
                "legendgroup": name,
                "visible": True if visible else "legendonly",
                **place,
            }
            legend = crowded and key == "net"
            if visible:
                _stems(figure, own, key, shared)
            _heads(figure, own, key, shared | {"name": name, "showlegend": legend}, crowded)


def _values(own: list[Decided], key: str) -> Any:
    return np.array([_bounded(key, getattr(one, key)) for one in own], np.float32)


def _stems(figure: go.Figure, own: list[Decided], key: str, shared: dict[str, Any]) -> None:
    base = 1.0 if key == "replenishment" else 0.0
    ends = _values(own, key)
    holes = np.full(len(own), np.nan, np.float32)
    figure.add_trace(
        go.Scatter(
            x=np.repeat([one.at for one in own], 3),
            y=np.stack([np.full(len(own), base, np.float32), ends, holes], axis=1).reshape(-1),
            mode="lines",
            line={"color": rgba(MUTED + "90"), "width": 1.2},
            hoverinfo="skip",
            showlegend=False,
            **shared,
        )
    )


def _heads(
    figure: go.Figure, own: list[Decided], key: str, shared: dict[str, Any], crowded: bool
) -> None:
    values = _values(own, key)
    colours = (
        [BUY if value > 0 else SELL for value in values.tolist()]
        if key == "imbalance"
        else [one.state.colour for one in own]
    )
    lettered = key == "net" and not crowded
    unit = {"net": "contracts", "replenishment": "added for each that went"}.get(key, "of volume")
    # Thousands of long texts would weigh more than the book.
    told = len(own) <= 400
    texts: dict[str, Any] = {
        "hovertemplate": f"%{{x|%H:%M:%S}} ET: %{{y:.3~g}} {unit}<extra></extra>"
    }
    if key == "net":
        texts = {
            "customdata": [one.hover if told else one.state.label for one in own],
            "hovertemplate": "%{customdata}<br>net %{y:+,.0f} contracts<extra></extra>",
        }
    figure.add_trace(
        go.Scatter(
            x=np.array([one.at for one in own]),
            y=values,
            mode="markers+text" if lettered else "markers",
            marker={"color": colours, "size": 5.5 if crowded else 8, "line": {"width": 0}},
            text=[one.state.label[:1].upper() for one in own] if lettered else None,
            textposition="middle right",
            textfont={"size": 10, "color": MUTED},
            cliponaxis=False,
            **texts,
            **shared,
        )
    )


def _bounded(key: str, value: float) -> float:
    """What a log axis of fixed range can show; the pointer tells the number itself."""
    return float(np.clip(value, 0.085, 11.5)) if key == "replenishment" else value
