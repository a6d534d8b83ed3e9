"""Plotly renderer of candles and volume."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
import polars as pl

from tapemill.report.palette import DOWN, FONT, GRID, INK, MUTED, QUIET, UP, VOLUME, rgba

if TYPE_CHECKING:
    from tapemill.report.bars import BarPanel, BarsFigure

__all__ = ["draw"]

_TOP, _AXIS, _PRICE, _VOLUME, _GAP = 78, 48, 300, 74, 22
_HOVER = (
    "%{customdata[0]}<br>O %{customdata[1]:,.2f} · H %{customdata[2]:,.2f} · "
    "L %{customdata[3]:,.2f} · C %{customdata[4]:,.2f}<br>volume %{customdata[5]:,.0f}"
    "<extra></extra>"
)


def draw(bars: BarsFigure) -> go.Figure:
    """The panels as a Plotly figure."""
    price = _PRICE if len(bars.panels) == 1 else 210
    block = price + _VOLUME + _GAP
    height = _TOP + _AXIS + block * len(bars.panels)
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 66, "r": 26, "t": _TOP, "b": _AXIS},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor="#FFFFFF",
        plot_bgcolor="rgba(0,0,0,0)",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": rgba(GRID)},
        showlegend=False,
        bargap=0.15,
        hovermode="closest",
    )
    inner = block * len(bars.panels)
    for number, panel in enumerate(bars.panels):
        top = 1 - number * block / inner
        last = number == len(bars.panels) - 1
        _panel(figure, bars, panel, 2 * number + 1, top, price / inner, _VOLUME / inner, last)
    _words(figure, bars, height)
    return figure


def _panel(
    figure: go.Figure,
    bars: BarsFigure,
    panel: BarPanel,
    number: int,
    top: float,
    price: float,
    volume: float,
    last: bool,
) -> None:
    first, second = ("" if number == 1 else str(number)), str(number + 1)
    frame = panel.bars
    at = frame["at"].to_numpy()
    figure.add_trace(
        go.Candlestick(
            x=at,
            **{name: frame[name].to_numpy() for name in ("open", "high", "low", "close")},
            increasing={"line": {"color": UP, "width": 1}, "fillcolor": UP},
            decreasing={"line": {"color": DOWN, "width": 1}, "fillcolor": DOWN},
            customdata=_hover_rows(frame),
            hovertemplate=_HOVER,
            xaxis=f"x{first}",
            yaxis=f"y{first}",
        )
    )
    figure.add_trace(
        go.Bar(
            x=at,
            y=frame["volume"].to_numpy(),
            marker={"color": rgba(VOLUME), "line": {"width": 0}},
            customdata=_hover_rows(frame),
            hovertemplate=_HOVER,
            xaxis=f"x{second}",
            yaxis=f"y{second}",
        )
    )
    x_axis: dict[str, Any] = {
        "range": list(bars.span),
        "showgrid": False,
        "zeroline": False,
        "rangeslider": {"visible": False},
        "tickvals": [position for position, _ in bars.ticks],
        "ticktext": [text.replace("\n", "<br>") for _, text in bars.ticks],
        "tickangle": 0,
        "tickcolor": rgba(MUTED),
    }
    if number > 1:
        x_axis["matches"] = "x"
    y_axis = {"showgrid": True, "gridcolor": rgba(GRID), "zeroline": False, "nticks": 6}
    figure.update_layout(
        {
            f"xaxis{first}": x_axis | {"anchor": f"y{first}", "showticklabels": False},
            f"xaxis{second}": x_axis
            | {
                "anchor": f"y{second}",
                "matches": "x",
                "showticklabels": last,
                "ticks": "outside" if last else "",
            },
            f"yaxis{first}": y_axis
            | {"domain": [top - price, top], "anchor": f"x{first}", "tickformat": ",.2f"},
            f"yaxis{second}": y_axis
            | {
                "domain": [max(0.0, top - price - volume), top - price - 0.012],
                "anchor": f"x{second}",
                "nticks": 3,
                "tickformat": "~s",
                "rangemode": "tozero",
                "tickfont": {"size": 10},
            },
        }
    )
    _marks(figure, bars, panel, first)


def _hover_rows(frame: pl.DataFrame) -> list[list[Any]]:
    columns = frame.select("name", "open", "high", "low", "close", "volume")
    return [list(row) for row in columns.iter_rows()]


def _marks(figure: go.Figure, bars: BarsFigure, panel: BarPanel, axis: str) -> None:
    common = {"xref": f"x{axis}", "yref": f"y{axis} domain", "y0": 0, "y1": 1}
    for start, end, _ in bars.bands:
        figure.add_shape(
            type="rect",
            x0=start,
            x1=end,
            fillcolor=rgba(GRID),
            line_width=0,
            **common,
        )
    for start, _, text in bars.bands + tuple((a, a, t) for a, t in bars.events):
        figure.add_annotation(
            x=start,
            y=1,
            xref=f"x{axis}",
            yref=f"y{axis} domain",
            xanchor="left",
            yanchor="top",
            text=html.escape(text),
            showarrow=False,
            font={"size": 11},
            opacity=QUIET,
        )
    for at, _ in bars.events:
        figure.add_shape(
            type="line",
            x0=at,
            x1=at,
            line={"color": rgba(MUTED), "width": 1, "dash": "dot"},
            **common,
        )
    if panel.label:
        figure.add_annotation(
            x=0,
            y=1,
            xref="paper",
            yref=f"y{axis} domain",
            xanchor="left",
            yanchor="bottom",
            text=f"<b>{html.escape(panel.label)}</b>",
            showarrow=False,
        )


def _words(figure: go.Figure, bars: BarsFigure, height: float) -> None:
    inner = height - _TOP - _AXIS
    for text, above, size, opacity in (
        (f"<b>{html.escape(bars.title)}</b>", 70, 18, 1.0),
        (html.escape(bars.subtitle), 44, 13, QUIET),
    ):
        if text:
            figure.add_annotation(
                x=0,
                y=1 + above / inner,
                xref="paper",
                yref="paper",
                xanchor="left",
                yanchor="top",
                xshift=-40,
                text=text,
                showarrow=False,
                font={"size": size},
                opacity=opacity,
            )
