"""Bring silver and reference tables up to date: only what changed, in the order of dependence.

A unit (a session, a symbol) is stale when the fingerprint of everything behind it differs from the
one recorded with its last build. Stale units of one partition are swapped in by one commit; the
fingerprints are recorded after it, so a crash in between builds the same content once more.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from tapemill.clock.injected import Clock
from tapemill.contracts import contract
from tapemill.errors import ConflictError, UnknownNameError, did_you_mean
from tapemill.lake import Lake
from tapemill.lake.control import this_process
from tapemill.lake.pruning import day_column
from tapemill.lake.quarantine import quarantine_rows
from tapemill.refine.recipe import Kitchen, Product, Recipe
from tapemill.refine.recipes import RECIPES, unresolved_dividends
from tapemill.settings import Settings

__all__ = ["BuildReport", "TargetReport", "build"]

Progress = Callable[[int, int, str], None]
_WRITER = "build"
_BATCH_ROWS = 2_000_000
"""Input rows of one swap: bounds memory when a month holds a whole market."""
_EVENING_ROWS = 1_500_000
"""The same of a table of evenings, whose rows are wider than their inputs."""
_MARKET = "silver.short_volume"
"""Of the inputs of an evening the one that has a row for each of its names."""
_EVERYTHING = 0.5
"""From this share of stale symbols on, the table is swapped whole."""


@dataclasses.dataclass
class TargetReport:
    """What was done for one target; `built` and `skipped` count units, `seconds` elapsed time."""

    target: str
    built: int = 0
    skipped: int = 0
    rows: int = 0
    quarantined: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """The numbers as a plain mapping."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class BuildReport:
    """One report a target, in the order of building."""

    targets: tuple[TargetReport, ...]

    @property
    def builds(self) -> int:
        """Units built in all; 0 when nothing was new."""
        return sum(report.built for report in self.targets)

    @property
    def skipped(self) -> int:
        """Units that were up to date."""
        return sum(report.skipped for report in self.targets)

    def summary(self) -> dict[str, Any]:
        """The report for tables and JSON."""
        return {
            "builds": self.builds,
            "skipped": self.skipped,
            "targets": [report.summary() for report in self.targets],
        }


def build(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    targets: Sequence[str] | None = None,
    progress: Progress | None = None,
    *,
    recipes: Mapping[str, Recipe] = RECIPES,
) -> BuildReport:
    """Bring targets up to date, with everything they are made from.

    Parameters
    ----------
    lake : Lake
    settings : Settings
    clock : Clock
        Measures how long builds take; it decides no content.
    targets : sequence of str, optional
        Datasets that a recipe makes; all of them by default.
    progress : callable, optional
        Called with units done, units in all and a note.
    recipes : mapping, optional
        Target → recipe, in building order; those of higher rooms are passed in with these.

    Returns
    -------
    BuildReport

    Raises
    ------
    UnknownNameError
        A target that no recipe makes.
    ConflictError
        Another process is building the same target.
    """
    kitchen = Kitchen(lake, settings)
    reports = []
    for recipe in _wanted(targets, recipes):
        report = TargetReport(recipe.target)
        started = clock.monotonic()
        with _Claimed(kitchen, recipe) as claim:
            _bring_up_to_date(kitchen, clock, recipe, claim, report, progress)
        report.seconds = clock.monotonic() - started
        reports.append(report)
    return BuildReport(tuple(reports))


def _wanted(targets: Sequence[str] | None, recipes: Mapping[str, Recipe]) -> Iterator[Recipe]:
    """Recipes of the targets and of whatever they read, in the order of the registry."""
    wanted: set[str] = set()
    waiting = list(recipes if targets is None else targets)
    for name in waiting:
        if name not in recipes:
            raise UnknownNameError(
                f"no recipe makes {name!r}",
                next_step=did_you_mean(name, recipes) or f"targets: {', '.join(recipes)}",
            )
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += [source for source in recipes[name].inputs if source in recipes]
    return (recipe for name, recipe in recipes.items() if name in wanted)


class _Claimed:
    """The right to build one target, held while the block runs."""

    def __init__(self, kitchen: Kitchen, recipe: Recipe) -> None:
        self._claims = kitchen.lake.control.claims
        self._seconds = float(kitchen.settings.lease.seconds)
        self._key = f"build|{recipe.target}"
        self._token = 0

    def __enter__(self) -> _Claimed:
        token = self._claims.claim(self._key, this_process("build"), self._seconds)
        if token is None:
            raise ConflictError(
                f"another process is building {self._key.removeprefix('build|')}",
                next_step="wait for it; `tapemill status` shows who builds",
            )
        self._token = token
        return self

    def renew(self) -> None:
        """Hold on for another lease; ConflictError if somebody took over."""
        self._claims.renew(self._key, self._token, self._seconds)

    def __exit__(self, *_: object) -> None:
        self._claims.release(self._key, self._token)


def _bring_up_to_date(
    kitchen: Kitchen,
    clock: Clock,
    recipe: Recipe,
    claim: _Claimed,
    report: TargetReport,
    progress: Progress | None,
) -> None:
    control = kitchen.lake.control
    plan = recipe.plan(kitchen, recipe.version)
    made = control.builds.fingerprints(recipe.target)
    stale = [unit for unit, print_ in plan.fingerprints.items() if made.get(unit) != print_]
    if recipe.unit == "symbol":
        # Symbols whose last row disappeared upstream: their rows go too.
        stale += [unit for unit, print_ in made.items() if print_ and unit not in plan.fingerprints]
    report.skipped = len(plan.fingerprints.keys() - set(stale))
    for batch in _batches(kitchen.lake, recipe, stale):
        claim.renew()
        begun = clock.monotonic()
        product = plan.make(batch)
        claim.renew()
        _swap(kitchen.lake, recipe, batch, product)
        took = round((clock.monotonic() - begun) * 1e9)
        counts = _rows_by_unit(recipe, product.rows)
        control.builds.record_many(
            recipe.target,
            [(unit, plan.fingerprints.get(unit, ""), counts.get(unit, 0)) for unit in batch],
            ns=took,
        )
        report.built += len(batch)
        report.rows += product.rows.height
        report.quarantined += 0 if product.quarantined is None else product.quarantined.height
        if progress is not None:
            progress(report.built, len(stale), recipe.target)
    asked = [name for name in recipe.inputs if not name.startswith("silver.")]
    inputs = [name for name in asked if kitchen.lake.tables.exists(name)]
    if recipe.unit == "symbol" and inputs and not kitchen.lake.tables.exists(recipe.target):
        # Looked and found nothing: an empty table says so, a missing one would not.
        kitchen.lake.tables.replace(recipe.target, contract(recipe.target).empty(), writer=_WRITER)
    if recipe.target == "reference.adjustments" and stale:
        _report_unresolved(kitchen)


def _batches(lake: Lake, recipe: Recipe, stale: Sequence[str]) -> Iterator[list[str]]:
    """Stale units by partition of the target; large partitions in several batches."""
    if recipe.unit == "symbol":
        if stale:
            yield sorted(stale)
        return
    partitions: dict[str, list[str]] = {}
    width = len("2026-01") if contract(recipe.target).partition == "month" else len("2026")
    for unit in sorted(stale):
        partitions.setdefault(unit[:width], []).append(unit)
    for units in partitions.values():
        size = _batch_size(lake, recipe, units)
        for start in range(0, len(units), size):
            yield units[start : start + size]


def _batch_size(lake: Lake, recipe: Recipe, units: Sequence[str]) -> int:
    """Sessions whose input rows stay under the bound, by the statistics of the files."""
    first, last = datetime.date.fromisoformat(units[0]), datetime.date.fromisoformat(units[-1])
    rows = 0.0
    for name in recipe.inputs:
        counts = name.startswith(("bronze.", "gold.")) or name == _MARKET
        if counts and lake.tables.exists(name):
            rows += _rows_between(lake.tables.files(name), first, last)
    bound = _EVENING_ROWS if recipe.target.startswith("gold.") else _BATCH_ROWS
    return max(1, int(len(units) * bound / max(rows, bound)))


def _rows_between(files: pl.DataFrame, first: datetime.date, last: datetime.date) -> float:
    """About how many rows of the files lie between two days, both included."""
    if not {"min.session", "max.session"} <= set(files.columns):
        return float(files["num_records"].sum())
    low, high = pl.col("min.session"), pl.col("max.session")
    inside = pl.min_horizontal(high, pl.lit(last)) - pl.max_horizontal(low, pl.lit(first))
    part = (inside.dt.total_days() + 1).clip(0) / ((high - low).dt.total_days() + 1)
    # A file without the statistic may hold any day.
    return float(files.select((pl.col("num_records") * part.fill_null(1.0)).sum()).item())


def _swap(lake: Lake, recipe: Recipe, batch: Sequence[str], product: Product) -> None:
    tables, target = lake.tables, recipe.target
    if recipe.append:
        if product.rows.height:
            sequence = (tables.committed(target, _WRITER) or 0) + 1
            tables.append(target, product.rows, writer=_WRITER, sequence=sequence)
        return
    if recipe.unit == "session":
        sessions = [datetime.date.fromisoformat(unit) for unit in batch]
        if product.rows.height or tables.exists(target):
            tables.replace(target, product.rows, sessions=sessions, writer=_WRITER)
        _swap_quarantined(lake, recipe, sessions, product)
        return
    name = contract(target).key[0]
    quoted = ", ".join("'" + unit.replace("'", "''") + "'" for unit in batch)
    predicate = f"{name} IN ({quoted})" if tables.exists(target) else None
    tables.replace(target, product.rows, predicate=predicate, writer=_WRITER)


def _swap_quarantined(
    lake: Lake, recipe: Recipe, sessions: Sequence[datetime.date], product: Product
) -> None:
    """Replace what earlier builds of these sessions put into quarantine."""
    bad = product.quarantined
    if bad is None:
        return
    mine = pl.col("dataset") == recipe.target
    before = lake.tables.scan("ops.quarantine").filter(
        mine & pl.col("session").is_in(list(sessions))
    )
    if bad.is_empty() and not before.select(pl.len()).collect().item():
        return
    days = ", ".join(f"CAST('{day.isoformat()}' AS DATE)" for day in sessions)
    rows = quarantine_rows(contract(recipe.target), bad)
    lake.tables.replace(
        "ops.quarantine",
        rows,
        predicate=f"dataset = '{recipe.target}' AND session IN ({days})",
        writer=_WRITER,
    )


def _rows_by_unit(recipe: Recipe, rows: pl.DataFrame) -> dict[str, int]:
    declared = contract(recipe.target)
    column = day_column(declared) if recipe.unit == "session" else declared.key[0]
    counted = rows.group_by(column).len()
    return {str(unit): count for unit, count in counted.iter_rows()}


def _report_unresolved(kitchen: Kitchen) -> None:
    """An incident per symbol whose dividends have no factor; resolved when they have."""
    control, kind, dataset = (
        kitchen.lake.control,
        "dividend_without_factor",
        "reference.adjustments",
    )
    unresolved = unresolved_dividends(kitchen)
    subjects = set(unresolved["symbol"])
    for (symbol,), rows in unresolved.group_by("symbol", maintain_order=True):
        reasons = ", ".join(
            f"{day} {reason}" for day, reason in rows.select("ex_date", "reason").rows()
        )
        control.incidents.open(kind, dataset, str(symbol), reasons, severity="warning")
    for incident in control.incidents.open_incidents(dataset):
        if incident.kind == kind and incident.subject not in subjects:
            control.incidents.resolve(incident.incident_id, "every dividend has a factor now")
