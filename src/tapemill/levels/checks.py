"""Checks of gold: what no row, no table and no sample of levels may look like.

Severities: an error is a contradiction, or a label that the trades do not bear out; a warning asks
for a look; an info says how far the data reach. Labels are recomputed where gold is what a build
would make now; elsewhere there is nothing to compare them with, and that is said.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

import polars as pl

from tapemill.lake import Lake
from tapemill.levels.checks_between import check_between
from tapemill.levels.checks_columns import Sample
from tapemill.levels.checks_labels import check_labels
from tapemill.levels.checks_rows import EPISODES, FEATURES, LEVELS, OUTCOME_ROWS, check_rows
from tapemill.levels.recipes import LEVEL_RECIPES
from tapemill.levels.subject import Subject, subjects_of
from tapemill.refine.detectors import Finding
from tapemill.refine.futures_sources import order_sources
from tapemill.refine.recipe import Kitchen
from tapemill.settings import Settings

__all__ = ["GOLD", "check_levels"]

GOLD = (LEVELS, EPISODES, FEATURES, OUTCOME_ROWS)


def check_levels(
    lake: Lake,
    settings: Settings,
    symbols: Sequence[str] | None = None,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
    datasets: Iterable[str] = GOLD,
) -> list[Finding]:
    """Judge the tables of levels; nothing is written.

    Parameters
    ----------
    lake : Lake
    settings : Settings
    symbols : sequence of str, optional
        Contracts.
    start, end : date, optional
        First and last trade date.
    datasets : iterable of str
        Findings of these tables only.

    Returns
    -------
    list of Finding
        Empty if nothing of it was built.
    """
    if not all(lake.tables.exists(name) for name in GOLD):
        return []
    stale = _stale(lake, settings)
    known = {
        (one.symbol, one.session): one
        for some in subjects_of(lake, order_sources(lake)).values()
        for one in some
    }
    found: list[Finding] = []
    sample = Sample()
    for symbol, session in _dates(lake, symbols, start, end):
        subject = known.get((symbol, session))
        rows = {name: _rows(lake, name, symbol, session) for name in GOLD}
        broken = [one for name in GOLD for one in check_rows(name, rows[name], settings.levels)]
        found += broken
        if any(one.kind == "columns_differ" for one in broken):
            continue
        if subject is None or session in stale:
            text = f"{session}: not what a build would make now; `tapemill build {EPISODES}`"
            evidence = rows[LEVELS].select("symbol", "session").head(1)
            found.append(Finding("gold_stale", "warning", LEVELS, symbol, session, text, evidence))
            subject = None
        found += _together(lake, rows, subject, settings)
        sample.take(session, rows[EPISODES], rows[FEATURES], rows[OUTCOME_ROWS])
    wanted = set(datasets)
    return [one for one in found + sample.findings() if one.dataset in wanted]


def _together(
    lake: Lake, rows: dict[str, pl.DataFrame], subject: Subject | None, settings: Settings
) -> list[Finding]:
    """What the tables of one contract and trade date say of each other, and ticks of labels."""
    levels, episodes, features, outcomes = (rows[name] for name in GOLD)
    step = None if subject is None else subject.tick_size
    found = check_between(levels, episodes, features, outcomes, settings.levels, tick_size=step)
    if subject is not None:
        found += check_labels(lake, subject, episodes, features, outcomes, levels, settings.levels)
    return found


def _stale(lake: Lake, settings: Settings) -> set[datetime.date]:
    """Trade dates of which a build would make something else now."""
    dates: set[datetime.date] = set()
    for recipe in LEVEL_RECIPES.values():
        now = recipe.plan(Kitchen(lake, settings), recipe.version).fingerprints
        made = lake.control.builds.fingerprints(recipe.target)
        dates |= {
            datetime.date.fromisoformat(unit)
            for unit in now.keys() | {unit for unit, print_ in made.items() if print_}
            if now.get(unit) != made.get(unit)
        }
    return dates


def _dates(
    lake: Lake,
    symbols: Sequence[str] | None,
    start: datetime.date | None,
    end: datetime.date | None,
) -> list[tuple[str, datetime.date]]:
    """Contracts and trade dates that any of the tables has."""
    frames = []
    for name in GOLD:
        rows = lake.tables.scan(name, start=start, end=end).select("symbol", "session")
        frames.append(rows.unique())
    pairs = pl.concat(frames).unique()
    if symbols is not None:
        pairs = pairs.filter(pl.col("symbol").is_in(list(symbols)))
    if start is not None:
        pairs = pairs.filter(pl.col("session") >= start)
    if end is not None:
        pairs = pairs.filter(pl.col("session") <= end)
    return list(pairs.sort("session", "symbol").collect().iter_rows())


def _rows(lake: Lake, name: str, symbol: str, session: datetime.date) -> pl.DataFrame:
    rows = lake.tables.scan(name, start=session, end=session)
    return rows.filter((pl.col("symbol") == symbol) & (pl.col("session") == session)).collect()
