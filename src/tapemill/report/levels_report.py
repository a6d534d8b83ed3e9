"""The report of levels: one page, one picture and the tables of a contract's trade date."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tapemill.report.drawing import write_bytes
from tapemill.report.levels_facts import LevelsFacts, read_levels
from tapemill.report.levels_figure import LevelsFigure, levels_figure
from tapemill.report.levels_notes import clock_text
from tapemill.report.levels_page import levels_page
from tapemill.report.levels_tables import Effects, effects_of
from tapemill.report.runs import Run, run_digest, write_run

if TYPE_CHECKING:
    from tapemill.lake import Lake
    from tapemill.settings import Settings

__all__ = ["LevelsReport", "write_levels_report"]

_MODULES = (
    "_levels_matplotlib",
    "_levels_plotly",
    "_levels_tracks_plotly",
    "drawing",
    "flow_page",
    "flow_style",
    "levels_book",
    "levels_choice",
    "levels_facts",
    "levels_figure",
    "levels_labels",
    "levels_notes",
    "levels_page",
    "levels_reading",
    "levels_report",
    "levels_scene",
    "levels_style",
    "levels_tables",
    "levels_tape",
    "levels_zones",
    "palette",
)


@dataclasses.dataclass(frozen=True)
class LevelsReport:
    """A report on disk and what it shows."""

    run: Run
    facts: LevelsFacts
    effects: Effects


def write_levels_report(
    lake: Lake,
    settings: Settings,
    session: date,
    symbol: str,
    out: Path,
    *,
    wanted: Sequence[str] = (),
    as_of: date | datetime | str | None = None,
    between: tuple[int, int] | None = None,
) -> LevelsReport:
    """Write the report of one contract and trade date.

    The folder holds ``index.html``, ``SYMBOL.png``, and ``levels``, ``episodes``, ``decisions`` and
    ``effects`` as CSV and Parquet, with every row and placebo.

    Parameters
    ----------
    lake : Lake
        With ``gold.episodes`` built.
    settings : Settings
    session : date
        Trade date.
    symbol : str
    out : Path
        The run lies in ``<out>/levels/<session>-<hash>/``.
    wanted, as_of, between
        As for :func:`tapemill.report.levels_facts.read_levels`.

    Raises
    ------
    UnknownNameError, DateError
        As :func:`tapemill.report.levels_facts.read_levels`.
    CorruptError, FaultError
        As :func:`tapemill.report.runs.write_run`.
    """
    facts = read_levels(
        lake, settings, session, symbol, wanted=wanted, as_of=as_of, between=between
    )
    effects = effects_of(facts.evidence)
    figure = levels_figure(facts)
    parameters = {
        "symbol": symbol,
        "session": session,
        "levels": " ".join(wanted),
        "as_of": facts.as_of or "",
        "start_ns": facts.start_ns,
        "end_ns": facts.end_ns,
        "sources": " ".join(one.sha256 for one in facts.sources),
        "notes": "; ".join(facts.notes),
        "ratios": facts.ratios,
        "gap_seconds": facts.gap_seconds,
    }
    command = _command(facts, wanted, between)
    digest = run_digest(
        facts.frames() | {"zones": facts.zones, "effects": effects.frame},
        parameters,
        [f"tapemill.report.{name}" for name in _MODULES],
    )
    run = write_run(
        out,
        "levels",
        session,
        digest,
        parameters,
        lambda folder: _fill(folder, facts, figure, effects, command),
    )
    return LevelsReport(run, facts, effects)


def _fill(
    folder: Path, facts: LevelsFacts, figure: LevelsFigure, effects: Effects, command: str
) -> None:
    write_bytes(folder / "index.html", levels_page(facts, figure, effects, command))
    figure.write_png(folder / f"{facts.symbol}.png")
    for name, frame in (facts.frames() | {"effects": effects.frame}).items():
        frame.write_parquet(folder / f"{name}.parquet")
        moments = [column for column in frame.columns if column.endswith("_ns")]
        # People read the CSV: New York times stand beside the nanoseconds.
        frame.with_columns(
            pl.col(column)
            .map_elements(lambda ns: clock_text(ns, seconds=True, day=True), pl.String)
            .alias(f"{column.removesuffix('_ns')}_et")
            for column in moments
        ).write_csv(folder / f"{name}.csv")


def _command(facts: LevelsFacts, wanted: Sequence[str], between: tuple[int, int] | None) -> str:
    said = f"tapemill report levels {facts.session} --symbol {facts.symbol}"
    said += "".join(f" --level {name}" for name in wanted)
    if between is not None:
        said += f" --from {clock_text(between[0])} --to {clock_text(between[1])}"
    return said + (f" --as-of {facts.as_of.isoformat()}" if facts.as_of else "")
