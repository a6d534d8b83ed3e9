"""Plotly renderer of stacked flow panels."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from tapemill.report import flow_panels as model
from tapemill.report.flow_style import BUY, CARD, INK, LINE, MUTED, NEUTRAL, SELL
from tapemill.report.palette import FONT, rgba

if TYPE_CHECKING:
    from tapemill.report.flow_panels import FlowFigure, Mark, Panel

__all__ = ["draw"]

_FORMATS = {"price": ",.2f", "frac": ",.0%", "number": "~g", "volume": "~s"}
_SYMBOLS = {
    "up": "triangle-up",
    "down": "triangle-down",
    "diamond": "diamond",
    "dot": "circle",
    "flag": "line-ns-open",
}


def draw(drawn: FlowFigure) -> go.Figure:
    """The panels as a Plotly figure."""
    figure = go.Figure()
    bottom = model.AXIS + 17 * len(drawn.footer) + 12
    inner = drawn.height - model.TOP - bottom
    figure.update_layout(
        width=drawn.width,
        height=drawn.height,
        margin={"l": model.LEFT, "r": model.RIGHT, "t": model.TOP, "b": bottom},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor=CARD,
        plot_bgcolor="rgba(0,0,0,0)",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED},
        hoverlabel={"bgcolor": "#0F1318", "bordercolor": LINE, "font": {"color": INK}},
        showlegend=False,
        bargap=0.22,
        barmode="overlay",
        hovermode="closest",
    )
    for number, (panel, top) in enumerate(zip(drawn.panels, drawn.tops(), strict=True), start=1):
        start = 1 - (top - model.TOP + panel.height) / inner
        end = 1 - (top - model.TOP) / inner
        _axes(figure, drawn, panel, number, (max(0.0, start), min(1.0, end)))
        _words(figure, panel, number, end, inner)
        for mark in panel.marks:
            _mark(figure, mark, number)
    _titles(figure, drawn, inner)
    return figure


def _axes(
    figure: go.Figure, drawn: FlowFigure, panel: Panel, number: int, domain: tuple[float, float]
) -> None:
    name = "" if number == 1 else str(number)
    positions, labels = drawn.ticks()
    last = number == len(drawn.panels)
    x_axis: dict[str, Any] = {
        "range": [-0.8, len(drawn.sessions) - 0.2],
        "anchor": f"y{name}",
        "showgrid": True,
        "gridcolor": rgba(LINE + "80"),
        "zeroline": False,
        "tickvals": positions,
        "ticktext": [text.replace("\n", "<br>") for text in labels],
        "tickangle": 0,
        "tickfont": {"color": MUTED, "size": 11},
        "showticklabels": last,
        "rangeslider": {"visible": False},
    }
    if number > 1:
        x_axis["matches"] = "x"
    low, high = model.fitted_span(panel)
    heat = next((mark for mark in panel.marks if isinstance(mark, model.Heat)), None)
    y_axis: dict[str, Any] = {
        "domain": list(domain),
        "anchor": f"x{name}",
        "range": [low, high],
        "gridcolor": LINE,
        "zeroline": False,
        "nticks": max(3, int(panel.height // 38)),
        "tickformat": ",.1%" if model.fine(panel) else _FORMATS[panel.form],
        "tickfont": {"color": MUTED, "size": 11},
    }
    if panel.absent:
        y_axis |= {"showgrid": False, "showticklabels": False}
    if heat is not None:
        y_axis |= {
            "range": [len(heat.labels) - 0.5, -0.5],
            "tickvals": list(range(len(heat.labels))),
            "ticktext": [html.escape(label) for label in heat.labels],
            "showgrid": False,
            "tickfont": {"color": INK, "size": 10},
        }
    figure.update_layout({f"xaxis{name}": x_axis, f"yaxis{name}": y_axis})
    for value, label in panel.guides:
        figure.add_shape(
            type="line",
            x0=0,
            x1=1,
            y0=value,
            y1=value,
            xref=f"x{name} domain",
            yref=f"y{name}",
            line={"color": rgba(MUTED + "90"), "width": 1, "dash": "dot"},
        )
        if label:
            figure.add_annotation(
                x=1,
                y=value,
                xref=f"x{name} domain",
                yref=f"y{name}",
                xanchor="left",
                xshift=5,
                text=html.escape(label),
                showarrow=False,
                font={"size": 10, "color": MUTED},
            )


def _words(figure: go.Figure, panel: Panel, number: int, end: float, inner: float) -> None:
    common: dict[str, Any] = {"xref": "paper", "yref": "paper", "showarrow": False}
    figure.add_annotation(
        x=0, y=end, xanchor="left", yanchor="bottom", yshift=2,
        text=f"<b>{html.escape(panel.title)}</b>", font={"size": 12}, **common,
    )  # fmt: skip
    if panel.remark:
        figure.add_annotation(
            x=1, y=end, xanchor="right", yanchor="bottom", yshift=2,
            text=html.escape(panel.remark), font={"size": 11, "color": MUTED}, **common,
        )  # fmt: skip
    if panel.absent:
        figure.add_annotation(
            x=0.5, y=end - panel.height / inner / 2, xanchor="center", yanchor="middle",
            text=html.escape(panel.absent), font={"size": 12, "color": MUTED}, **common,
        )  # fmt: skip


def _mark(figure: go.Figure, mark: Mark, number: int) -> None:
    name = "" if number == 1 else str(number)
    place = {"xaxis": f"x{name}", "yaxis": f"y{name}"}
    if isinstance(mark, model.Candles):
        _candles(figure, mark, place)
    elif isinstance(mark, model.Steps):
        at, values = model.step_path(mark.values)
        figure.add_trace(
            go.Scatter(
                x=at,
                y=values,
                mode="lines",
                line={
                    "color": mark.colour,
                    "width": mark.width,
                    "dash": "dot" if mark.dash else "solid",
                },
                connectgaps=False,
                **_hover(tuple(text for text in mark.hover for _ in range(2))),
                **place,
            )
        )
    elif isinstance(mark, model.Band):
        _band(figure, mark, place)
    elif isinstance(mark, model.Bars):
        figure.add_trace(
            go.Bar(
                x=np.arange(len(mark.values)),
                y=mark.values,
                marker={
                    "color": list(mark.colours),
                    "opacity": list(mark.opacities),
                    "line": {"width": 0},
                },
                **_hover(mark.hover),
                **place,
            )
        )
    elif isinstance(mark, model.Blocks):
        _blocks(figure, mark, place)
    elif isinstance(mark, model.Points):
        figure.add_trace(
            go.Scatter(
                x=mark.at,
                y=mark.values,
                mode="markers",
                marker={
                    "color": list(mark.colours),
                    "symbol": [_SYMBOLS[symbol] for symbol in mark.symbols],
                    "size": mark.size,
                    "line": {"width": 1, "color": list(mark.colours)},
                },
                cliponaxis=False,
                **_hover(mark.hover),
                **place,
            )
        )
    elif isinstance(mark, model.Region):
        figure.add_shape(
            type="rect",
            x0=mark.first - 0.5,
            x1=mark.last + 0.5,
            y0=0,
            y1=1,
            xref=place["xaxis"],
            yref=f"{place['yaxis']} domain",
            fillcolor=mark.colour,
            opacity=mark.opacity,
            line_width=0,
            layer="below",
        )
    else:
        _heat(figure, mark, place)


def _hover(texts: tuple[str, ...]) -> dict[str, Any]:
    if not texts:
        return {"hoverinfo": "skip"}
    return {"customdata": list(texts), "hovertemplate": "%{customdata}<extra></extra>"}


def _candles(figure: go.Figure, mark: model.Candles, place: dict[str, str]) -> None:
    figure.add_trace(
        go.Candlestick(
            x=mark.at,
            open=mark.open,
            high=mark.high,
            low=mark.low,
            close=mark.close,
            increasing={"line": {"color": BUY, "width": 1}, "fillcolor": BUY},
            decreasing={"line": {"color": SELL, "width": 1}, "fillcolor": SELL},
            **_hover(mark.hover),
            **place,
        )
    )


def _band(figure: go.Figure, mark: model.Band, place: dict[str, str]) -> None:
    """One polygon a stretch: a gap in the baseline stays a gap."""
    known = np.isfinite(mark.low) & np.isfinite(mark.high)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(np.int8), [0]])))
    for first, end in edges.reshape(-1, 2):
        at, low = model.step_path(mark.low[first:end])
        _, high = model.step_path(mark.high[first:end])
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([at, at[::-1]]) + first,
                y=np.concatenate([high, low[::-1]]),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=rgba(mark.colour + "38"),
                hoverinfo="skip",
                **place,
            )
        )


def _blocks(figure: go.Figure, mark: model.Blocks, place: dict[str, str]) -> None:
    for block in mark.blocks:
        figure.add_shape(
            type="rect",
            x0=block.first - 0.46,
            x1=block.last + 0.46,
            y0=0,
            y1=block.value,
            xref=place["xaxis"],
            yref=place["yaxis"],
            fillcolor="rgba(0,0,0,0)" if block.outlined else block.colour,
            opacity=block.opacity,
            line={"width": 1, "color": block.colour, "dash": "dot" if block.outlined else "solid"},
            layer="below",
        )
    shown = mark.blocks
    figure.add_trace(
        go.Scatter(
            x=[(block.first + block.last) / 2 for block in shown],
            y=[block.value for block in shown],
            mode="markers+text",
            marker={"size": 14, "color": "rgba(0,0,0,0)"},
            text=[html.escape(block.text) for block in shown],
            textposition="top center",
            textfont={"size": 10, "color": MUTED},
            cliponaxis=False,
            **_hover(tuple(block.hover for block in shown)),
            **place,
        )
    )


def _heat(figure: go.Figure, mark: model.Heat, place: dict[str, str]) -> None:
    figure.add_trace(
        go.Heatmap(
            z=mark.values,
            zmin=-mark.limit,
            zmax=mark.limit,
            colorscale=[[0, SELL], [0.5, "#222B36"], [1, BUY]],
            xgap=0.4,
            ygap=1,
            text=[[label] * mark.values.shape[1] for label in mark.labels],
            hovertemplate="%{text} · z %{z:+.2f}<extra></extra>",
            showscale=False,
            **place,
        )
    )
    for row, note in enumerate(mark.notes):
        figure.add_annotation(
            x=1,
            y=row,
            xref="paper",
            yref=place["yaxis"],
            xanchor="left",
            xshift=5,
            text=html.escape(note),
            showarrow=False,
            font={"size": 10, "color": MUTED if note else NEUTRAL},
        )


def _titles(figure: go.Figure, drawn: FlowFigure, inner: float) -> None:
    lines = [(drawn.title, model.TOP - 10, 19, INK, True), (drawn.subtitle, 56, 12.5, MUTED, False)]
    for text, above, size, colour, bold in lines:
        said = html.escape(text)
        figure.add_annotation(
            x=0,
            y=1 + above / inner,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="top",
            xshift=8 - model.LEFT + 12,
            text=f"<b>{said}</b>" if bold else said,
            showarrow=False,
            font={"size": size, "color": colour},
        )
    for number, text in enumerate(drawn.footer):
        figure.add_annotation(
            x=0,
            y=-(model.AXIS + 17 * number) / inner,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="top",
            xshift=8 - model.LEFT + 12,
            text=html.escape(text),
            showarrow=False,
            font={"size": 11, "color": MUTED},
        )
