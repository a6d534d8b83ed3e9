"""Plotly renderer of the coverage calendar."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tapemill.report.grid import CoverageGrid
from tapemill.report.layout import (
    CalendarLayout,
    Rect,
    calendar_layout,
    month_starts,
    session_ticks,
)
from tapemill.report.palette import FONT, GRID, INK, MUTED, QUIET, STATES, rgba

_HOVER = (
    "<b>%{y}</b>  %{x}<br>%{hovertext}<br>"
    "expected %{customdata[0]} min · present %{customdata[1]}<br>"
    "longest missing run %{customdata[2]} · halted %{customdata[3]}<extra></extra>"
)


def draw(grid: CoverageGrid, title: str, subtitle: str) -> go.Figure:
    """The calendar as a Plotly figure."""
    layout = calendar_layout(grid)
    names = [
        f"{day:%a %Y-%m-%d}{' (early close)' if early else ''}"
        for day, early in zip(grid.sessions, grid.early.tolist(), strict=True)
    ]
    figure = go.Figure()
    figure.update_layout(
        width=None,
        height=layout.height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0, "autoexpand": False},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor="#FFFFFF",
        plot_bgcolor="rgba(0,0,0,0)",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": rgba(GRID)},
        barmode="stack",
        bargap=0.0 if layout.cell_width < 6 else 0.06,
        hoverlabel={"align": "left"},
        legend={
            "orientation": "h",
            "x": 20 / layout.width,
            "xanchor": "left",
            "y": 1 - layout.legend / layout.height,
            "yanchor": "top",
            "traceorder": "normal",
            "itemclick": False,
            "itemdoubleclick": False,
            "bgcolor": "rgba(0,0,0,0)",
        },
    )
    _legend(figure, grid)
    for number, (first, last, rect) in enumerate(layout.blocks, start=1):
        _block(figure, grid, layout, names, number, slice(first, last), rect)
    if layout.strip is not None:
        _strip(figure, grid, layout, names)
    _words(figure, grid, layout, title, subtitle)
    return figure


def _legend(figure: go.Figure, grid: CoverageGrid) -> None:
    counts = grid.cells_by_state
    for state in STATES[1:] + STATES[:1]:
        count = f" {counts[state.name]:,}" if state.name in counts else ""
        mark = f"{state.mark} " if state.mark else ""
        figure.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                marker={"symbol": "square", "size": 13, "color": rgba(state.colour)},
                name=f"{mark}{state.label}<b>{count}</b>",
                hoverinfo="skip",
            )
        )


def _block(
    figure: go.Figure,
    grid: CoverageGrid,
    layout: CalendarLayout,
    names: list[str],
    number: int,
    rows: slice,
    rect: Rect,
) -> None:
    suffix = "" if number == 1 else str(number)
    codes = grid.codes[rows]
    steps = [i / len(STATES) for i in range(len(STATES) + 1)]
    scale = [
        [edge, rgba(state.colour)]
        for i, state in enumerate(STATES)
        for edge in (steps[i], steps[i + 1])
    ]
    thin = 0.0 if layout.cell_width < 4 else 1.0
    marks = np.array([state.mark for state in STATES], dtype=object)[codes]
    figure.add_trace(
        go.Heatmap(
            x=names,
            y=[html.escape(label) for label in grid.labels[rows]],
            z=codes,
            zmin=-0.5,
            zmax=len(STATES) - 0.5,
            colorscale=scale,
            showscale=False,
            xgap=thin,
            ygap=1.0,
            customdata=grid.numbers[rows],
            hovertext=_hover_words(grid, rows),
            hovertemplate=_HOVER,
            text=marks if layout.marks else None,
            texttemplate="%{text}" if layout.marks else None,
            textfont={"size": 11},
            xaxis=f"x{suffix}",
            yaxis=f"y{suffix}",
        )
    )
    axes = _axes(layout, rect, suffix)
    positions, labels = session_ticks(grid.sessions, layout.cell_width)
    axes[f"xaxis{suffix}"] |= _ticks(positions, labels)
    axes[f"yaxis{suffix}"] |= {
        "type": "category",
        "autorange": "reversed",
        "tickfont": {"size": min(12.0, layout.cell_height - 1)},
        "dtick": 1,
        "ticks": "",
        "ticklabelstandoff": 4,
    }
    figure.update_layout(axes)
    for at in np.flatnonzero(grid.early).tolist():
        figure.add_annotation(
            x=at,
            y=1,
            xref=f"x{suffix}",
            yref=f"y{suffix} domain",
            yanchor="bottom",
            text="½",
            showarrow=False,
            font={"size": 11},
            opacity=QUIET,
            hovertext=names[at],
        )
    if layout.cell_width < 30:
        for at in month_starts(grid.sessions):
            figure.add_shape(
                type="line",
                xref=f"x{suffix}",
                yref=f"y{suffix} domain",
                x0=at - 0.5,
                x1=at - 0.5,
                y0=0,
                y1=1,
                line={"color": rgba(MUTED), "width": 1},
            )


def _hover_words(grid: CoverageGrid, rows: slice) -> list[list[str]]:
    """State and reasons of each cell; plain states repeat one short text."""
    return [
        [
            f"{STATES[code].label}: {html.escape(reason).replace(';', ', ')}"
            if reason
            else STATES[code].label
            for code, reason in zip(codes, reasons, strict=True)
        ]
        for codes, reasons in zip(
            grid.codes[rows].tolist(), grid.reasons[rows].tolist(), strict=True
        )
    ]


def _axes(layout: CalendarLayout, rect: Rect, suffix: str) -> dict[str, Any]:
    common = {"showgrid": False, "zeroline": False, "fixedrange": True, "showline": False}
    return {
        f"xaxis{suffix}": common
        | {
            "domain": [rect.left / layout.width, (rect.left + rect.width) / layout.width],
            "anchor": f"y{suffix}",
        },
        f"yaxis{suffix}": common
        | {
            "domain": [
                max(0.0, 1 - (rect.top + rect.height) / layout.height),
                1 - rect.top / layout.height,
            ],
            "anchor": f"x{suffix}",
        },
    }


def _ticks(positions: list[int], labels: list[str]) -> dict[str, Any]:
    return {
        "type": "category",
        "tickmode": "array",
        "tickvals": positions,
        "ticktext": [label.replace("\n", "<br>") for label in labels],
        "tickangle": 0,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": rgba(MUTED),
        "tickfont": {"size": 11},
    }


def _strip(figure: go.Figure, grid: CoverageGrid, layout: CalendarLayout, names: list[str]) -> None:
    rect = layout.strip
    if rect is None:
        return
    suffix = str(len(layout.blocks) + 1)
    share = grid.counts / np.maximum(grid.counts.sum(axis=1, keepdims=True), 1)
    for code in reversed(range(len(STATES))):
        if not grid.counts[:, code].any():
            continue
        figure.add_trace(
            go.Bar(
                x=names,
                y=share[:, code],
                customdata=grid.counts[:, code],
                marker={"color": rgba(STATES[code].colour), "line": {"width": 0}},
                hovertemplate=f"%{{x}}<br>{STATES[code].label}: %{{customdata:,}} rows, "
                "%{y:.1%}<extra></extra>",
                showlegend=False,
                xaxis=f"x{suffix}",
                yaxis=f"y{suffix}",
            )
        )
    axes = _axes(layout, rect, suffix)
    positions, labels = session_ticks(grid.sessions, rect.width / len(grid.sessions))
    axes[f"xaxis{suffix}"] |= _ticks(positions, labels) | {
        "showticklabels": layout.strip_own_axis,
        "ticks": "outside" if layout.strip_own_axis else "",
    }
    axes[f"yaxis{suffix}"] |= {
        "range": [0, 1],
        "tickvals": [0, 0.5, 1],
        "ticktext": ["0", "50 %", "all rows"],
        "tickfont": {"size": 10},
        "showgrid": True,
        "gridcolor": rgba(GRID),
    }
    figure.update_layout(axes)


def _words(
    figure: go.Figure, grid: CoverageGrid, layout: CalendarLayout, title: str, subtitle: str
) -> None:
    left = 26 / layout.width
    foot = f"{grid.shown}  ½ = early close."
    for text, top, size, opacity in (
        (f"<b>{html.escape(title)}</b>", 12, 18, 1.0),
        (html.escape(subtitle), 38, 13, QUIET),
        (html.escape(foot), layout.foot, 12, QUIET),
    ):
        if text:
            figure.add_annotation(
                x=left,
                y=1 - top / layout.height,
                xref="paper",
                yref="paper",
                xanchor="left",
                yanchor="top",
                text=text,
                showarrow=False,
                align="left",
                font={"size": size},
                opacity=opacity,
            )
