"""The tables of a page of levels: what stood, what came near, and whether it mattered."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl

from tapemill.contracts import contract
from tapemill.report.flow_style import plain
from tapemill.report.levels_facts import LevelsFacts
from tapemill.report.levels_notes import clock_text
from tapemill.report.levels_style import outcome_look, state_look

__all__ = [
    "ASKED",
    "Effects",
    "Shown",
    "effects_of",
    "effects_table",
    "episodes_table",
    "levels_table",
    "table_html",
]

ASKED = "bounce"
"""The outcome whose rate is compared between real levels and placebos."""
_PAGE_ROWS = 200


@dataclasses.dataclass(frozen=True)
class Shown:
    """A table as it stands on the page.

    Attributes
    ----------
    columns : tuple of (heading, meaning, whether it is text)
    rows : tuple of tuple of str
        As many as the page holds.
    total : int
        Rows there are; the files hold all of them.
    empty : str
        What to say where there are none.
    """

    columns: tuple[tuple[str, str, bool], ...]
    rows: tuple[tuple[str, ...], ...]
    total: int
    empty: str


@dataclasses.dataclass(frozen=True)
class Effects:
    """Real minus placebo, all approaches together first, then by kind."""

    frame: pl.DataFrame
    outcome: str
    words: str
    dates: int


def table_html(shown: Shown) -> str:
    """A table whose headings say on hover what they mean."""
    if not shown.rows:
        return f'<div class="card"><p class="note">{plain(shown.empty)}</p></div>'
    head = "".join(
        f'<th title="{plain(meaning)}"{_class(text)}>{plain(name)}</th>'
        for name, meaning, text in shown.columns
    )
    texts = [text for _, _, text in shown.columns]
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_class(text)}>{plain(cell)}</td>" for cell, text in zip(row, texts, strict=True)
        )
        + "</tr>"
        for row in shown.rows
    )
    rest = (
        f'<p class="note">The first {len(shown.rows)} of {shown.total:,} rows; the CSV and Parquet '
        "files of this folder hold all of them.</p>"
        if shown.total > len(shown.rows)
        else ""
    )
    return (
        f'<div class="card"><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}'
        f"</tbody></table></div>{rest}</div>"
    )


def _class(text: bool) -> str:
    return ' class="text"' if text else ""


def _meaning(dataset: str, column: str) -> str:
    """The declaration of a column, with its unit."""
    found = next(one for one in contract(dataset).columns if one.name == column)
    return f"{dataset}.{column}: {found.description}" + (f" ({found.unit})" if found.unit else "")


# -- levels --------------------------------------------------------------------------------------


def levels_table(facts: LevelsFacts) -> Shown:
    """One row a real level of the stretch that is drawn, highest price first."""
    rows = facts.levels.filter(
        pl.col("family") == "real",
        pl.col("valid_from_ns") < facts.end_ns,
        pl.col("valid_to_ns") > facts.start_ns,
    ).sort("level_id", "valid_from_ns")
    touched = (
        facts.episodes.filter(pl.col("family") == "real", pl.col("touch_ns").is_not_null())
        .select(level_id=pl.col("level_ids").str.split("+"))
        .explode("level_id")
        .group_by("level_id")
        .agg(touches=pl.len())
    )
    near = (
        facts.episodes.filter(pl.col("family") == "real")
        .select(level_id=pl.col("level_ids").str.split("+"))
        .explode("level_id")
        .group_by("level_id")
        .agg(approaches=pl.len())
    )
    one = (
        rows.group_by("level_id", "kind", maintain_order=True)
        .agg(
            first=pl.col("price").first(),
            last=pl.col("price").last(),
            since=pl.col("valid_from_ns").first(),
            until=pl.col("valid_to_ns").last(),
            zones=pl.col("zone").unique(maintain_order=True),
            rows=pl.len(),
            provenance=pl.col("provenance").last(),
        )
        .join(touched, on="level_id", how="left")
        .join(near, on="level_id", how="left")
        .sort("last", "level_id", descending=[True, False])
    )
    columns = (
        ("level", _meaning("gold.levels", "level_id"), True),
        ("kind", _meaning("gold.levels", "kind"), True),
        ("price", _meaning("gold.levels", "price") + ": the last of the stretch", False),
        ("first", "Its price when it began, where it moved since (points)", False),
        ("from, ET", _meaning("gold.levels", "valid_from_ns"), False),
        ("to, ET", _meaning("gold.levels", "valid_to_ns"), False),
        ("zone", _meaning("gold.levels", "zone") + ": the last, and how many before", False),
        ("approaches", "Approaches to a zone that it stood in (count)", False),
        ("touches", "Of them those that touched (count)", False),
        ("provenance", _meaning("gold.levels", "provenance"), True),
    )
    cells = tuple(
        (
            row["level_id"],
            row["kind"],
            f"{row['last']:,.2f}",
            "" if row["first"] == row["last"] else f"{row['first']:,.2f}",
            clock_text(max(row["since"], facts.open_ns)),
            clock_text(min(row["until"], facts.close_ns)),
            str(row["zones"][-1])
            + (f" (+{len(row['zones']) - 1})" if len(row["zones"]) > 1 else ""),
            str(row["approaches"] or 0),
            str(row["touches"] or 0),
            row["provenance"],
        )
        for row in one.head(_PAGE_ROWS).iter_rows(named=True)
    )
    return Shown(columns, cells, one.height, "No level stood in the stretch that is drawn.")


# -- episodes ------------------------------------------------------------------------------------


def episodes_table(facts: LevelsFacts) -> Shown:
    """One row a real episode, in order of time; touched ones first where there are too many."""
    rows = facts.approaches
    total = rows.height
    if total > _PAGE_ROWS:
        rows = rows.sort(pl.col("touch_ns").is_null(), "enter_ns").head(_PAGE_ROWS)
    at_touch = facts.decisions.filter(pl.col("delay_seconds") == 0).select(
        "episode_id", "barrier_state", "barrier_net", "tape_imbalance"
    )
    rows = rows.join(at_touch, on="episode_id", how="left").sort("enter_ns", "episode_id")
    outcomes = "gold.episode_outcomes"
    columns = (
        ("enter, ET", _meaning("gold.episodes", "enter_ns"), False),
        ("touch, ET", _meaning("gold.episodes", "touch_ns"), False),
        ("end, ET", _meaning("gold.episodes", "end_ns"), False),
        ("ended by", _meaning("gold.episodes", "end_reason"), True),
        ("kinds", _meaning("gold.episodes", "kinds"), True),
        ("zone", _meaning("gold.episodes", "zone") + ", its edges in points", False),
        ("side", _meaning("gold.episodes", "direction"), True),
        ("attempt", _meaning("gold.episodes", "attempt"), False),
        ("sigma", _meaning("gold.episodes", "sigma_ticks"), False),
        ("state", "Barrier over 60 s before the touch (barrier_state_60s)", True),
        ("net", "Net change of the barrier over 60 s before the touch (contracts)", False),
        ("imbalance", "Aggressors over 60 s before the touch (tape_imbalance_60s)", False),
        ("outcome", _meaning(outcomes, "outcome") + ": k1 over 240 s from the touch", True),
        ("after", _meaning(outcomes, "seconds"), False),
        ("barrier", _meaning(outcomes, "barrier_ticks"), False),
        ("MFE", _meaning(outcomes, "favourable_ticks"), False),
        ("MAE", _meaning(outcomes, "adverse_ticks"), False),
        ("net of costs", _meaning(outcomes, "net_ticks"), False),
    )
    cells = tuple(_episode_cells(row, facts) for row in rows.iter_rows(named=True))
    return Shown(columns, cells, total, "No real level was approached in the stretch drawn.")


def _episode_cells(row: dict[str, Any], facts: LevelsFacts) -> tuple[str, ...]:
    tick = facts.tick_size
    low, high = row["low_ticks"] * tick, row["high_ticks"] * tick
    touched = row["touch_ns"] is not None
    return (
        clock_text(row["enter_ns"], seconds=True),
        clock_text(row["touch_ns"], seconds=True),
        clock_text(row["end_ns"], seconds=True),
        row["end_reason"],
        row["kinds"].replace("+", " + "),
        f"{low:,.2f}" if low == high else f"{low:,.2f} to {high:,.2f}",
        "▲ from below" if row["direction"] > 0 else "▼ from above",
        str(row["attempt"]) if touched else "",
        _number(row["sigma_ticks"], 2),
        state_look(row["barrier_state"]).label if touched else "",
        _number(row["barrier_net"], 0),
        _number(row["tape_imbalance"], 2),
        outcome_look(row["outcome"]).label,
        _number(row["seconds"], 1, " s"),
        _number(row["barrier_ticks"], 1),
        _number(row["favourable_ticks"], 1),
        _number(row["adverse_ticks"], 1),
        _number(row["net_ticks"], 1),
    )


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return "" if value is None or value != value else f"{value:,.{digits}f}{unit}"


# -- real minus placebo --------------------------------------------------------------------------


def effects_of(evidence: pl.DataFrame) -> Effects:
    """Compare the rate of bounces at real levels with that at their placebos.

    Parameters
    ----------
    evidence : pl.DataFrame
        As :func:`tapemill.levels.effects.read_outcomes` gives it; may be empty.
    """
    from tapemill.levels.effects import effect_rows
    from tapemill.proof.effect_verdict import judge_effects
    from tapemill.proof.placebo_effect import EFFECT_SCHEMA, placebo_effects

    if evidence.is_empty():
        empty = pl.DataFrame(schema=EFFECT_SCHEMA)
        return Effects(empty, "insufficient", judge_effects(empty).words, 0)
    rows = effect_rows(evidence, ASKED)
    by_kind = placebo_effects(rows.by_kind)
    verdict = judge_effects(by_kind)
    frame = pl.concat([placebo_effects(rows.together), by_kind])
    return Effects(frame, verdict.outcome, verdict.words, evidence["session"].n_unique())


def effects_table(effects: Effects) -> Shown:
    """One row a kind; kinds that were judged first, the others with the reason."""
    columns = (
        ("kind", "Kind of level; a zone of several kinds counts for each of them", True),
        ("real", "Approaches to real levels whose outcome is known (count)", False),
        ("placebo", "Approaches to placebos of the kind whose outcome is known (count)", False),
        ("censored", "Left out: data or session ended first (count)", False),
        ("units", "Trade dates, or stretches of time where there are few dates (count)", False),
        ("real bounces", "Share of real approaches that bounced (k1 over 240 s)", False),
        ("placebo bounces", "Share of placebo approaches that bounced", False),
        ("difference", "Real minus placebo, percentage points", False),
        ("95 % interval", "Of the difference, by leaving out whole units", False),
        ("q", "Share of false alarms to expect among kinds up to this one", False),
        ("note", "Why nothing is said", True),
    )
    frame = effects.frame.with_row_index("place").sort(
        pl.col("place") > 0, pl.col("difference").is_null(), "p_value", "kind", nulls_last=True
    )
    cells = tuple(
        (
            row["kind"],
            f"{row['n_real']:,}",
            f"{row['n_placebo']:,}",
            f"{row['left_out']:,}",
            f"{row['units']:,}",
            _percent(row["real_frac"]),
            _percent(row["placebo_frac"]),
            _points(row["difference"]),
            "" if row["low"] is None else f"{_points(row['low'])} to {_points(row['high'])}",
            _number(row["q_value"], 3),
            row["note"],
        )
        for row in frame.iter_rows(named=True)
    )
    return Shown(columns, cells, frame.height, "No outcome of this product is known yet.")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}"
