"""One symbol: price, short share, volume, tape, OTC weeks and score, under each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.report.flow_facts import FlowFacts, stamp
from tapemill.report.flow_panels import (
    Band,
    Bars,
    Candles,
    FlowFigure,
    Panel,
    Points,
    Steps,
)
from tapemill.report.flow_style import (
    ACCENT,
    BUY,
    DISCLAIMER,
    INK,
    LABEL_COLOURS,
    MUTED,
    NEUTRAL,
    SELL,
    write_value,
    z_colour,
)
from tapemill.report.flow_weeks import any_known, row_values, week_panel

__all__ = ["baseline_band", "symbol_figure"]

Values = npt.NDArray[np.float64]
Row = dict[str, Any]

_BAND_SCALES = 2.0
_FULL_HISTORY = 60
_LABEL_MARKS = {"accumulate": "up", "distribute": "down", "divergent": "diamond"}


def symbol_figure(facts: FlowFacts, symbol: str) -> FlowFigure:
    """The panels of one symbol of `facts`.

    Every panel that has nothing to show stays in its place and says why.
    """
    rows = _rows(facts, symbol)
    panels = (
        _price(facts, symbol, rows),
        _share(rows),
        _volume(rows),
        _tape(rows),
        week_panel(facts, symbol, rows),
        _score(facts, rows),
    )
    known = [row for row in rows if row]
    latest = known[-1]
    said = [f"{facts.sessions[0]} to {facts.sessions[-1]}", stamp(facts.as_of, facts.newest)]
    if latest.get("short_z") is not None:
        said.append(
            f"last {latest['session']}: share {write_value(latest['short_share'], 'frac')}, "
            f"usual {write_value(latest['short_baseline_share'], 'frac')}, "
            f"z {write_value(latest['short_z'], 'z')}"
        )
    return FlowFigure(
        f"{symbol}  off-exchange flow",
        "  ·  ".join(said),
        facts.sessions,
        panels,
        (DISCLAIMER, *_cautions(facts, rows)),
    )


def baseline_band(
    logit: Values, baseline_share: Values, z: Values, scales: float = _BAND_SCALES
) -> tuple[Values, Values]:
    """Shares that lie `scales` scales below and above the baseline.

    The scale follows from the stored surprise, ``(y − baseline) / z``; where z is 0 or unknown it
    cannot be told and the band has a gap.

    Parameters
    ----------
    logit, baseline_share, z : float64 of shape (sessions,)
        ``short_share_logit``, ``short_baseline_share`` and ``short_z`` of ``gold.flow_daily``.

    Returns
    -------
    low, high : float64 of shape (sessions,)
        Shares of 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        baseline = np.log(baseline_share / (1 - baseline_share))
        scale = np.where(np.abs(z) > 1e-9, (logit - baseline) / z, np.nan)
        low = 1 / (1 + np.exp(-(baseline - scales * scale)))
        high = 1 / (1 + np.exp(-(baseline + scales * scale)))
    known = np.isfinite(low) & np.isfinite(high)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


# -- rows ----------------------------------------------------------------------------------------


def _rows(facts: FlowFacts, symbol: str) -> list[Row]:
    """One row a session, empty where the evening has none."""
    found = {
        row["session"]: row
        for row in facts.daily.filter(pl.col("symbol") == symbol).iter_rows(named=True)
    }
    return [found.get(session, {}) for session in facts.sessions]


def _hover(rows: Sequence[Row], write: Callable[[Row], str]) -> tuple[str, ...]:
    return tuple(
        f"{row['session']:%a %Y-%m-%d}<br>{write(row)}" if row else "no row" for row in rows
    )


# -- panels --------------------------------------------------------------------------------------


def _price(facts: FlowFacts, symbol: str, rows: Sequence[Row]) -> Panel:
    bars = facts.bars.filter(pl.col("symbol") == symbol)
    if bars.is_empty():
        said = next((note for note in facts.notes if note.startswith("no prices")), "")
        return Panel("Price", 66, absent=said or f"no daily bar of {symbol} was known in the range")
    place = {session: at for at, session in enumerate(facts.sessions)}
    bars = bars.filter(pl.col("session").is_in(list(place)))
    at = np.array([place[day] for day in bars["session"]], dtype=np.float64)
    hover = tuple(
        f"{day:%a %Y-%m-%d}<br>O {o:,.2f} · H {h:,.2f} · L {least:,.2f} · C {c:,.2f}"
        for day, o, h, least, c in bars.select(
            "session", "open", "high", "low", "close"
        ).iter_rows()
    )
    opened, high, low, close = (
        bars[name].to_numpy().astype(np.float64) for name in ("open", "high", "low", "close")
    )
    marks: list[Any] = [Candles(at, opened, high, low, close, hover)]
    marks += _label_marks(rows, facts, bars)
    raw = any(note.startswith("prices as traded") for note in facts.notes)
    remark = f"last bar known {bars['session'].to_list()[-1]}"
    return Panel(
        "Price, USD" + (" as traded" if raw else ", splits removed"),
        210, tuple(marks), form="price", remark=remark,
    )  # fmt: skip


def _label_marks(rows: Sequence[Row], facts: FlowFacts, bars: pl.DataFrame) -> list[Points]:
    """Where a label begins: under the low of a day of accumulation, over the high otherwise."""
    ends = {row[0]: row[1:] for row in bars.select("session", "low", "high").iter_rows()}
    room = float(bars["high"].max() - bars["low"].min()) * 0.05  # type: ignore[operator, arg-type]
    at, values, colours, symbols, hover = [], [], [], [], []
    before = None
    for place, row in enumerate(rows):
        label = row.get("final_label")
        session = facts.sessions[place]
        if label in _LABEL_MARKS and label != before and session in ends:
            low, high = ends[session]
            at.append(float(place))
            values.append(low - room if label == "accumulate" else high + room)
            colours.append(LABEL_COLOURS[label])
            symbols.append(_LABEL_MARKS[label])
            hover.append(f"{session}: {label} begins")
        before = label
    if not at:
        return []
    return [
        Points(np.array(at), np.array(values), tuple(colours), tuple(symbols), tuple(hover), 10.0)
    ]


def _share(rows: Sequence[Row]) -> Panel:
    share = row_values(rows, "short_share")
    title = "Short share of off-exchange volume (points: surprise z; band: usual ± 2 scales)"
    if not any_known(share):
        return Panel(title, 90, absent="FINRA's files hold no row of this symbol in the range")
    z = row_values(rows, "short_z")
    usual = row_values(rows, "short_baseline_share")
    low, high = baseline_band(row_values(rows, "short_share_logit"), usual, z)
    hover = _hover(
        rows,
        lambda r: (
            f"share {write_value(r['short_share'], 'frac')} · usual "
            f"{write_value(r['short_baseline_share'], 'frac')} · z {write_value(r['short_z'], 'z')}"
            f"<br>{write_value(r['short_volume'], 'volume')} of "
            f"{write_value(r['total_volume'], 'volume')}"
        ),
    )
    marks: list[Any] = []
    if any_known(low):
        marks.append(Band(low, high, NEUTRAL))
    # Over half a year the points carry the story and the line steps back.
    line = INK if len(rows) <= 130 else NEUTRAL
    marks += [Steps(usual, MUTED, dash=True, width=1.3), Steps(share, line, width=1.3)]
    at = np.flatnonzero(np.isfinite(share))
    marks.append(
        Points(
            at.astype(np.float64),
            share[at],
            tuple(z_colour(z[i]) for i in at),
            ("dot",) * len(at),
            tuple(hover[i] for i in at),
            7.5 if len(rows) <= 130 else 6.0,
        )
    )
    days = row_values(rows, "baseline_days")
    remark = (
        f"baseline of {int(np.nanmax(days))} sessions" if any_known(days) else "no baseline yet"
    )
    return Panel(title, 170, tuple(marks), form="frac", remark=remark)


def _volume(rows: Sequence[Row]) -> Panel:
    z = row_values(rows, "volume_z")
    title = "Off-exchange volume, surprise z"
    if not any_known(z):
        return Panel(title, 60, absent="too little history to compare the volume with")
    hover = _hover(
        rows,
        lambda r: (
            f"volume z {write_value(r['volume_z'], 'z')} · "
            f"{write_value(r['volume_ratio'], 'ratio')} × usual · "
            f"{write_value(r['total_volume'], 'volume')}"
        ),
    )
    strength = tuple(min(1.0, 0.35 + abs(v) / 4) if v == v else 0.0 for v in z.tolist())
    bars = Bars(z, (ACCENT,) * len(rows), strength, hover)
    return Panel(title, 84, (bars,), guides=((0.0, ""), (2.0, "2")))


def _tape(rows: Sequence[Row]) -> Panel:
    lit, whole = row_values(rows, "lit_imbalance"), row_values(rows, "tape_imbalance")
    name, values, z_name = "lit_imbalance", lit, "lit_z"
    title = "Lit imbalance: exchanges only, TRF prints excluded (tick mode)"
    if not any_known(lit):
        name, values, z_name = "tape_imbalance", whole, "tape_z"
        title = "Tape imbalance: whole tape, dark prints included (minute mode)"
    if not any_known(values):
        return Panel(
            "Tape imbalance", 56,
            absent="no tape is known for these sessions (`tapemill fetch tape`): direction is "
            "unknown, not neutral",
        )  # fmt: skip
    hover = _hover(
        rows,
        lambda r: (
            f"imbalance {write_value(r[name], 'frac')} · z {write_value(r[z_name], 'z')} · "
            f"{r['tape_mode'] or 'none'}"
        ),
    )
    z = row_values(rows, z_name)
    colours = tuple(
        z_colour(a) if a == a else (BUY if v > 0 else SELL)
        for a, v in zip(z.tolist(), values.tolist(), strict=True)
    )
    reach = max(0.5, float(np.nanmax(np.abs(values))) * 1.1)
    guides = tuple((v, f"{100 * v:+.0f} %" if abs(v) == 0.2 else "") for v in (-0.2, 0.0, 0.2))
    missing = int(np.isnan(values).sum())
    remark = f"{missing} of {len(rows)} sessions without tape" if missing else ""
    bars = Bars(values, colours, (0.9,) * len(rows), hover)
    return Panel(title, 110, (bars,), (-reach, reach), guides, "frac", remark=remark)


def _score(facts: FlowFacts, rows: Sequence[Row]) -> Panel:
    title = "Composite score (opacity: confidence; ▲ accumulate  ▼ distribute  ◆ divergent)"
    score = row_values(rows, "composite_score")
    if not facts.has_signal:
        return Panel(title, 66, absent=next(n for n in facts.notes if n.startswith("no score")))
    if not any_known(score):
        return Panel(title, 66, absent="the evidence is insufficient on every evening of the range")
    confidence = row_values(rows, "confidence")
    hover = _hover(
        rows,
        lambda r: (
            f"score {write_value(r['composite_score'], 'z')} · confidence "
            f"{write_value(r['confidence'], 'frac')}<br>{r['final_label'] or 'no label'} · "
            f"{r['data_quality'] or ''}"
        ),
    )
    colours = tuple(BUY if value > 0 else SELL for value in score.tolist())
    opacities = tuple(0.0 if c != c else min(1.0, 0.15 + 0.85 * c) for c in confidence.tolist())
    marks: list[Any] = [Bars(score, colours, opacities, hover)]
    labelled = [i for i, row in enumerate(rows) if row.get("final_label") in _LABEL_MARKS]
    if labelled:
        labels = [rows[i]["final_label"] for i in labelled]
        marks.append(
            Points(
                np.array(labelled, dtype=np.float64),
                np.full(len(labelled), 0.93),
                tuple(LABEL_COLOURS[label] for label in labels),
                tuple(_LABEL_MARKS[label] for label in labels),
                tuple(f"{rows[i]['session']}: {rows[i]['final_label']}" for i in labelled),
                6.5 if len(rows) <= 130 else 4.5,
            )
        )
    guides = ((-0.35, "−0.35"), (0.0, ""), (0.35, "+0.35"))
    last = next((row for row in reversed(rows) if row), {})
    remark = (
        f"{last.get('final_label') or ''}, {write_value(last.get('confidence'), 'frac')} confident"
    )
    return Panel(title, 120, tuple(marks), (-1.0, 1.0), guides, remark=remark)


def _cautions(facts: FlowFacts, rows: Sequence[Row]) -> tuple[str, ...]:
    said = list(facts.notes)
    days = [row["baseline_days"] for row in rows if row and row.get("baseline_days") is not None]
    if not days:
        said.append("no evening has a baseline: fetch more history of short volume")
    elif min(days) < _FULL_HISTORY:
        short = sum(one < _FULL_HISTORY for one in days)
        said.append(
            f"{short} evenings have less than {_FULL_HISTORY} sessions of history (least "
            f"{min(days)}): their z is less sure"
        )
    empty = sum(not row or not row.get("has_short") for row in rows)
    if empty:
        said.append(f"{empty} of {len(rows)} sessions have no row in FINRA's files: left blank")
    return (f"Careful: {'; '.join(said)}.",) if said else ()
