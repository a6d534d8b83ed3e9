"""The grouped table of flow: a symbol's evenings, newest first, headed and explained by registry.

Headings, units, help and the column dictionary come from the metric registry. The bold row on top
sums what may be summed: daily volumes. Weekly volumes are facts of a week and are never added over
its days; ratios are made anew from the sums.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import polars as pl

from tapemill.contracts.flow_metrics import COMPOSITE_METRICS, DAILY_METRICS
from tapemill.contracts.metrics import Metric
from tapemill.report.flow_cells import Cell, Heading, TableView
from tapemill.report.flow_style import (
    ACCENT,
    BUY,
    LABEL_COLOURS,
    MUTED,
    NEUTRAL,
    blend,
    plain,
    write_value,
    z_colour,
)

__all__ = ["TABLE_METRICS", "dictionary_html", "export_frame", "flow_table", "metric_help"]

_STATUS = tuple(metric for metric in DAILY_METRICS if metric.name.startswith("has_"))
TABLE_METRICS = (
    *_STATUS,
    *(metric for metric in (*DAILY_METRICS, *COMPOSITE_METRICS) if metric.table),
)
"""Columns of the table in their order; the dots of status come first."""

_COLOURED_BY = {
    "short_share": "short_z",
    "short_to_rest_ratio": "short_z",
    "short_z": "short_z",
    "tape_imbalance": "tape_z",
    "tape_z": "tape_z",
    "lit_imbalance": "lit_z",
    "lit_z": "lit_z",
    "trf_imbalance": "trf_z",
    "return_1d_frac": "return_z",
}
"""Column → the surprise that colours it; never a fixed ratio."""

_DOTS = {"has_short": "S", "has_tape": "T", "has_otc": "O", "has_price": "P"}
Row = dict[str, Any]


def metric_help(metric: Metric) -> str:
    """What a heading says on hover."""
    unit = f" [{metric.unit}]" if metric.unit else ""
    formula = f" = {metric.formula}" if metric.formula else ""
    return f"{metric.name}{unit}: {metric.description}{formula}"


def flow_table(daily: pl.DataFrame, symbol: str, limit: int | None = None) -> TableView:
    """The table of one symbol.

    Parameters
    ----------
    daily : pl.DataFrame
        ``FlowFacts.daily``.
    symbol : str
    limit : int, optional
        Newest evenings shown; the bold row still covers all of them.
    """
    rows = daily.filter(pl.col("symbol") == symbol).sort("session", descending=True).to_dicts()
    shown = rows[:limit]
    headings = (
        Heading("Date", "Evening, 18:00 New York", "text"),
        *(
            Heading(
                _DOTS.get(metric.name, metric.label),
                metric_help(metric),
                "text" if metric.form in ("text", "date") else "number",
                metric.block,
            )
            for metric in TABLE_METRICS
        ),
    )
    body = tuple(
        (
            Cell(f"{row['session']:%a %Y-%m-%d}"),
            *(_cell(metric, row) for metric in TABLE_METRICS),
        )
        for row in shown
    )
    cut = f"; the newest {len(shown)} are shown" if len(shown) < len(rows) else ""
    return TableView(
        f"{symbol}: {len(rows)} evenings, newest first",
        headings,
        body,
        note=f"Colour follows the surprise against the name's own past, not a fixed ratio{cut}. "
        "S T O P: short volume, tape, OTC week and price known. Blank: not known.",
        summary=_summary(rows),
    )


def _cell(metric: Metric, row: Row) -> Cell:
    value = row.get(metric.name)
    text = write_value(value, metric.form)
    if metric.form == "flag":
        return Cell(text, BUY if value else NEUTRAL, metric.description if value else "not known")
    colour = ""
    if metric.name in _COLOURED_BY and text:
        colour = z_colour(row.get(_COLOURED_BY[metric.name]), quiet="#C9D1DB")
    elif metric.name in ("volume_z", "volume_ratio") and text:
        # Volume has a size and no direction.
        colour = blend("#C9D1DB", ACCENT, abs(row.get("volume_z") or 0.0) / 3)
    elif metric.form == "text":
        colour = LABEL_COLOURS.get(text, "")
    elif metric.name == "composite_score" and text:
        text = write_value(value, "z")
        colour = z_colour(3 * float(value or 0.0), quiet="#C9D1DB", full=1.5)
    title = ""
    if metric.block == "otc" and row.get("otc_week") is not None:
        title = f"{row['otc_status']}, published {row['otc_published']}, not this day's own"
        colour = colour or (MUTED if row["otc_status"] == "expired" else "")
    return Cell(text, colour, title)


# -- the bold row --------------------------------------------------------------------------------


def _summary(rows: Sequence[Row]) -> tuple[Cell, ...]:
    return (Cell("Summary"), *(_summed(metric, rows) for metric in TABLE_METRICS))


def _summed(metric: Metric, rows: Sequence[Row]) -> Cell:
    known = [row[metric.name] for row in rows if row.get(metric.name) is not None]
    if metric.form == "flag":
        count = sum(bool(value) for value in known)
        return Cell(f"{count}", MUTED, f"{count} of {len(rows)} evenings")
    if not known:
        return Cell("")
    if metric.name in ("short_share", "short_to_rest_ratio"):
        return _ratio(metric, rows)
    if metric.block == "otc":
        return _of_weeks(metric, rows)
    if metric.form == "volume":
        return Cell(write_value(sum(known), "volume"), title=f"sum of {len(known)} evenings")
    if metric.form == "text":
        top = statistics.mode(known)
        return Cell(f"{known.count(top)} {top}", LABEL_COLOURS.get(top, ""), "most frequent")
    if metric.form == "price":
        return Cell(write_value(known[0], "price"), title="newest close known")
    form = "z" if metric.name == "composite_score" else metric.form
    mean = statistics.fmean(known)
    return Cell(write_value(mean, form), title=f"mean of {len(known)} evenings")


def _ratio(metric: Metric, rows: Sequence[Row]) -> Cell:
    """From the sums: a mean of daily ratios would weigh a quiet day like a busy one."""
    both = [row for row in rows if row["short_volume"] is not None and row["total_volume"]]
    short = sum(row["short_volume"] for row in both)
    total = sum(row["total_volume"] for row in both)
    below = total if metric.name == "short_share" else total - short
    if not below:
        return Cell("")
    return Cell(write_value(short / below, metric.form), title="from the sums of the evenings")


def _of_weeks(metric: Metric, rows: Sequence[Row]) -> Cell:
    """Each week once, however many evenings knew it."""
    weeks = {row["otc_week"]: row[metric.name] for row in reversed(rows) if row["otc_week"]}
    known = [value for value in weeks.values() if value is not None]
    if metric.form == "date":
        return Cell(f"{len(weeks)} weeks", title="distinct weeks known on these evenings")
    if metric.form == "count" or not known:
        return Cell("")
    return Cell(
        write_value(statistics.fmean(known), metric.form),
        title=f"mean of {len(known)} weeks, each counted once",
    )


# -- files and dictionary ------------------------------------------------------------------------


def export_frame(daily: pl.DataFrame) -> pl.DataFrame:
    """Every column of the contract for CSV and Parquet, by symbol, newest evening first."""
    return daily.drop("year").sort(["symbol", "session"], descending=[False, True])


def dictionary_html(metrics: Sequence[Metric], title: str = "What the columns mean") -> str:
    """The column dictionary, from the registry."""
    rows = "".join(
        f"<tr><td>{plain(metric.block)}</td><td><b>{plain(_heading(metric))}</b></td>"
        f"<td><code>{plain(metric.name)}</code></td><td>{plain(metric.unit)}</td>"
        f"<td>{plain(metric.description)}</td><td>{plain(metric.formula)}</td></tr>"
        for metric in metrics
    )
    return (
        f'<div class="card"><h3>{plain(title)}</h3><div class="scroll"><table class="dictionary">'
        "<thead><tr><th>Block</th><th>Heading</th><th>Column</th><th>Unit</th><th>Meaning</th>"
        f"<th>Formula</th></tr></thead><tbody>{rows}</tbody></table></div></div>\n"
    )


def _heading(metric: Metric) -> str:
    return _DOTS.get(metric.name, metric.label)
