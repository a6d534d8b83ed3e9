"""Many symbols at once: a sorted map of surprises, their breadth, their mean and their prices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.report.flow_facts import FlowFacts, stamp
from tapemill.report.flow_panels import Bars, FlowFigure, Heat, Panel, Steps
from tapemill.report.flow_style import BUY, DISCLAIMER, INK, NEUTRAL, SELL, write_value

__all__ = ["breadth_of", "merged_figure", "sorted_symbols", "weighted_share"]

Values = npt.NDArray[np.float64]


def merged_figure(facts: FlowFacts) -> FlowFigure:
    """All symbols of `facts` over one axis, the strongest score on top."""
    order, scores = sorted_symbols(facts)
    z = _matrix(facts, "short_z", order)
    share, weighting = weighted_share(facts, order)
    breadth = breadth_of(z)
    names = [f"{one:%a %Y-%m-%d}" for one in facts.sessions]
    known = np.isfinite(z).sum(axis=0)
    reach = max(0.3, 1.1 * float(np.nanmax(np.abs(breadth), initial=0.0)))
    notes = tuple("" if math.isnan(one) else write_value(one, "z") for one in scores)
    row = 22.0 if len(order) <= 16 else 15.0
    said = tuple(
        f"{day}<br>breadth {100 * value:+.0f} points of {count} names"
        for day, value, count in zip(names, breadth.tolist(), known.tolist(), strict=True)
    )
    colours = tuple(BUY if value > 0 else SELL for value in breadth.tolist())
    panels = (
        Panel(
            "Surprise of the short share, z from −3 to +3 (sorted by the last score)",
            max(60.0, row * len(order)),
            (Heat(z, tuple(order), notes),),
            remark="score",
        ),
        Panel(
            "Breadth: part of the names with z > 1 less part with z < −1",
            96,
            (Bars(breadth, colours, (0.9,) * len(names), said),),
            (-reach, reach),
            ((0.0, ""),),
            "frac",
            remark=f"{int(known[-1])} of {len(order)} names on the last evening",
        ),
        Panel(
            f"Short share of all names, {weighting}-weighted",
            96,
            (
                Steps(
                    share,
                    INK,
                    tuple(
                        f"{day}<br>{write_value(value, 'frac')}"
                        for day, value in zip(names, share.tolist(), strict=True)
                    ),
                ),
            ),
            form="frac",
            absent="" if np.isfinite(share).any() else "no short volume in the range",
        ),
        _prices(facts, order),
    )
    return FlowFigure(
        f"{len(order)} names  off-exchange flow",
        f"{facts.sessions[0]} to {facts.sessions[-1]}  ·  {stamp(facts.as_of, facts.newest)}",
        facts.sessions,
        panels,
        (DISCLAIMER,),
    )


def sorted_symbols(facts: FlowFacts) -> tuple[list[str], list[float]]:
    """Symbols by their last known composite score, highest first; names without one come last.

    Without ``gold.composite_signal`` the pressure score takes its place.
    """
    name = "composite_score" if facts.has_signal else "pressure_score"
    last = (
        facts.daily.filter(pl.col(name).is_not_null())
        .sort("session")
        .group_by("symbol")
        .agg(pl.col(name).last())
    )
    found: dict[str, float] = dict(last.iter_rows())
    order = sorted(facts.symbols, key=lambda one: (-found.get(one, -math.inf), one))
    return order, [found.get(one, math.nan) for one in order]


def breadth_of(z: Values) -> Values:
    """Part of the names beyond +1 less part beyond −1, a session; NaN where none has a z.

    Parameters
    ----------
    z : float64 of shape (names, sessions)
    """
    known = np.isfinite(z).sum(axis=0)
    beyond = (z > 1).sum(axis=0) - (z < -1).sum(axis=0)
    return np.where(known > 0, beyond / np.maximum(known, 1), np.nan)


def weighted_share(facts: FlowFacts, order: list[str]) -> tuple[Values, str]:
    """Short share of the names together, and what weighs them.

    Returns
    -------
    share : float64 of shape (sessions,)
        Σ B·close / Σ D·close where every name of the session has a close, else Σ B / Σ D for all
        sessions: the two are never mixed.
    weighting : str
        ``"dollar"`` or ``"share"``.
    """
    short = _matrix(facts, "short_volume", order)
    total = _matrix(facts, "total_volume", order)
    close = _matrix(facts, "close", order)
    there = np.isfinite(short) & np.isfinite(total)
    priced = bool(np.isfinite(close[there]).all()) and bool(there.any())
    weight = np.where(np.isfinite(close), close, 0.0) if priced else np.ones_like(total)
    above = np.where(there, short * weight, 0.0).sum(axis=0)
    below = np.where(there, total * weight, 0.0).sum(axis=0)
    share = np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
    return share, "dollar" if priced else "share"


def _prices(facts: FlowFacts, order: list[str]) -> Panel:
    """Closes as a multiple of the first close of each name; the median in front."""
    closes = _spread(facts, facts.bars, "close", order)
    title = "Prices, first close of the range = 100 (white: median)"
    if not np.isfinite(closes).any():
        return Panel(title, 60, absent="no daily bars are known for these names")
    first = np.array([row[np.isfinite(row)][0] if np.isfinite(row).any() else 1 for row in closes])
    scaled = 100 * closes / first[:, None]
    median = np.full(scaled.shape[1], np.nan)
    some = np.isfinite(scaled).any(axis=0)
    median[some] = np.nanmedian(scaled[:, some], axis=0)
    marks: list[Any] = [
        Steps(row, NEUTRAL, tuple(f"{symbol} {value:,.1f}" for value in row.tolist()), 0.8)
        for symbol, row in zip(order, scaled, strict=True)
        if np.isfinite(row).any()
    ]
    marks.append(Steps(median, INK, width=2.0))
    missing = int((~np.isfinite(closes).any(axis=1)).sum())
    return Panel(
        title, 170, tuple(marks), guides=((100.0, ""),),
        remark=f"{missing} names without bars" if missing else "",
    )  # fmt: skip


def _matrix(facts: FlowFacts, name: str, order: list[str]) -> Values:
    return _spread(facts, facts.daily, name, order)


def _spread(facts: FlowFacts, frame: pl.DataFrame, name: str, order: list[str]) -> Values:
    """Values by symbol and session, NaN where there is none."""
    values = np.full((len(order), len(facts.sessions)), np.nan)
    rows = {symbol: at for at, symbol in enumerate(order)}
    columns = {session: at for at, session in enumerate(facts.sessions)}
    for symbol, session, value in frame.select("symbol", "session", name).iter_rows():
        if value is not None and session in columns and symbol in rows:
            values[rows[symbol], columns[session]] = value
    return values
