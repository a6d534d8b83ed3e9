"""Which cells are to be judged, and with which facts: the plan behind ``silver.coverage``."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

import polars as pl

from tapemill.clock import CalendarName, calendar, eastern_datetime
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.lake.control import MARKET, CellState
from tapemill.refine.bars import MINUTE_NS
from tapemill.refine.coverage import coverage
from tapemill.refine.coverage_states import CoverageLimits
from tapemill.refine.inputs import hours, session_digests, sessions_frame, sessions_of
from tapemill.refine.recipe import Kitchen, Plan, Product, digest_of
from tapemill.settings import Settings

__all__ = ["JUDGED", "Judged", "expected_cells", "ledger_states", "limits_of", "plan_coverage"]

_CELL = ("symbol", "session")
_NEARLY_TOUCH = "31d"
_ASKED = frozenset(CellState) - {
    CellState.PENDING,
    CellState.NOT_ENTITLED,
    CellState.OUT_OF_WINDOW,
}
"""Ledger states of cells that somebody wanted and that the plan allows."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """A silver dataset whose coverage is judged, and where its rows come from."""

    silver: str
    bronze: tuple[str, ...]
    calendar: CalendarName


JUDGED = (
    Judged("silver.equity_bars_1m", ("bronze.massive_bars_1m", "bronze.imported_bars_1m"), "XNYS"),
    Judged("silver.futures_bars_1m", ("bronze.imported_bars_1m",), "CMES"),
)


def limits_of(settings: Settings) -> CoverageLimits:
    """Coverage limits from the configuration."""
    checks = settings.checks
    return CoverageLimits(
        tier1_min_frac=checks.tier1_coverage_min_frac,
        tier2_min_frac=checks.tier2_coverage_min_frac,
        tier1_longest_run=checks.tier1_longest_missing_run,
        tier2_longest_run=checks.tier2_longest_missing_run,
        tier1_trades=checks.tier1_trades_per_minute,
        vendor_incident_frac=checks.vendor_incident_frac,
    )


def plan_coverage(kitchen: Kitchen, version: str) -> Plan:
    """Plan the judgement: a session is stale when its bars, its cells or its limits changed."""
    lake, limits = kitchen.lake, limits_of(kitchen.settings)
    judged_before = lake.control.builds.fingerprints("silver.coverage")
    facts = {judged.silver: _facts(lake, judged) for judged in JUDGED}
    days = sorted(
        {day for cells, _ in facts.values() for day in cells["session"].unique()}
        # Sessions judged before, which nobody expects any more, are emptied.
        | {datetime.date.fromisoformat(unit) for unit in judged_before}
    )
    made = {
        name: lake.control.builds.fingerprints(name) for name in (*facts, "silver.equity_bars_1d")
    }
    parts = [session_digests(frame) for pair in facts.values() for frame in pair]
    opened = [hours(judged.calendar, days) for judged in JUDGED]
    fingerprints = {
        day.isoformat(): digest_of(
            version,
            limits,
            *(prints.get(day.isoformat(), "") for prints in made.values()),
            *(part.get(day, "") for part in (*parts, *opened)),
        )
        for day in days
    }

    def make(units: Sequence[str]) -> Product:
        chosen = [datetime.date.fromisoformat(unit) for unit in units]
        frames = [_judge(lake, judged, *facts[judged.silver], chosen, limits) for judged in JUDGED]
        declared = contract("silver.coverage")
        return Product(pl.concat(frames).sort(*declared.order))

    return Plan(fingerprints, make)


def _facts(lake: Lake, judged: Judged) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cells to be judged with their ledger state, and rows in quarantine by cell."""
    return expected_cells(lake, judged), _quarantined(lake, judged)


def expected_cells(lake: Lake, judged: Judged) -> pl.DataFrame:
    """Cells of which something is known to be due.

    A symbol is expected on every session from the first to the last one that a source delivered
    (into bronze, where not one of its rows could enter silver), and wherever the ledger says that
    it was asked for. Between two imported files that lie more than a month apart nothing was ever
    claimed.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``session``, ``ledger_state`` (null where the ledger has none).
    """
    span = {"first": pl.col("session").min(), "last": pl.col("session").max()}
    spans = lake.tables.scan(judged.silver).group_by("symbol", "source").agg(**span).collect()
    delivered = pl.concat([_lane(lake.tables.scan(name), name, judged) for name in judged.bronze])
    left_out = delivered.join(spans.lazy(), on="symbol", how="anti")
    left_out = left_out.group_by("symbol", "source").agg(**span)
    spans = _joined(pl.concat([spans, left_out.collect()]))
    asked = ledger_states(lake, judged)
    empty = pl.DataFrame(
        schema={"symbol": pl.String, "session": pl.Date, "ledger_state": pl.String}
    )
    if spans.is_empty() and asked.is_empty():
        return empty
    ends = [
        day
        for column in (spans["first"], spans["last"], asked["session"])
        for day in (column.min(), column.max())
        if isinstance(day, datetime.date)
    ]
    days = sessions_frame(judged.calendar, ends).select("session")
    between = (
        spans.join(days, how="cross")
        .filter(pl.col("session").is_between(pl.col("first"), pl.col("last")))
        .select(_CELL)
    )
    asked = asked.join(days, on="session", how="semi")
    wanted = {state.name.lower() for state in _ASKED}
    cells = pl.concat(
        [between, asked.filter(pl.col("ledger_state").is_in(wanted)).select(_CELL)]
    ).unique()
    return cells.join(asked, on=_CELL, how="left").sort(_CELL)


def _joined(spans: pl.DataFrame) -> pl.DataFrame:
    """Spans of a symbol's sources, one span where they overlap or nearly touch."""
    reached = pl.col("last").cum_max().shift(1).over("symbol")
    apart = (pl.col("first") > reached.dt.offset_by(_NEARLY_TOUCH)).fill_null(value=True)
    return (
        spans.sort("symbol", "first", "last")
        .with_columns(island=apart.cum_sum())
        .group_by("symbol", "island", maintain_order=True)
        .agg(pl.col("first").min(), pl.col("last").max())
    )


def _lane(rows: pl.LazyFrame, dataset: str, judged: Judged) -> pl.LazyFrame:
    """Rows of a bronze dataset that belong to the judged class, with the hours they claim."""
    if "imported" in dataset:
        rows = rows.filter((pl.col("asset_class") == "future") == (judged.calendar == "CMES"))
        rows = rows.with_columns(adjusted=pl.lit(value=False))
    else:
        rows = rows.with_columns(hours=pl.lit(None, dtype=pl.String))
    return rows.select(*_CELL, "ts_event", "source", "hours", "adjusted")


def ledger_states(lake: Lake, judged: Judged) -> pl.DataFrame:
    """Cells of which the ledger knows: ``symbol``, ``session``, ``ledger_state``.

    Imported files are left out: nobody asked a vendor for them, and they hold other classes too.
    """
    asked = [name for name in judged.bronze if "imported" not in name]
    return (
        lake.control.frames(["ops.cells"])["ops.cells"]
        .filter(pl.col("dataset").is_in(asked) & (pl.col("symbol") != MARKET))
        .select(*_CELL, ledger_state="state")
    )


def _quarantined(lake: Lake, judged: Judged) -> pl.DataFrame:
    return (
        lake.tables.scan("ops.quarantine")
        .filter(pl.col("dataset").is_in([judged.silver, *judged.bronze]))
        .group_by(_CELL)
        .agg(quarantined=pl.len().cast(pl.Int32))
        .drop_nulls(_CELL)
        .collect()
    )


def _judge(
    lake: Lake,
    judged: Judged,
    cells: pl.DataFrame,
    quarantined: pl.DataFrame,
    days: Sequence[datetime.date],
    limits: CoverageLimits,
) -> pl.DataFrame:
    cells = cells.filter(pl.col("session").is_in(list(days)))
    if cells.is_empty():
        return contract("silver.coverage").empty()
    bars = sessions_of(lake, judged.silver, days)
    current = bars.filter(pl.col("superseded_at").is_null()).select(
        *_CELL, "ts_event", "open", "close", "volume", "trades", "quality"
    )
    daily = (
        sessions_of(lake, "silver.equity_bars_1d", days)
        .filter(pl.col("superseded_at").is_null())
        .select(*_CELL, "volume")
    )
    tallies = _tallies(lake, judged, days)
    found, day_bars, counted = pl.collect_all([current, daily, tallies])
    counted = counted.join(quarantined, on=_CELL, how="full", coalesce=True).with_columns(
        pl.col("off_grid", "outside", "duplicates", "quarantined").fill_null(0)
    )
    return coverage(
        judged.silver,
        found,
        _windows(judged, cells, counted, days),
        tallies=counted,
        daily=day_bars if judged.calendar == "XNYS" else None,
        ledger=cells.filter(pl.col("ledger_state").is_not_null()),
        limits=limits,
    ).cells


def _tallies(lake: Lake, judged: Judged, days: Sequence[datetime.date]) -> pl.LazyFrame:
    """Per cell: rows of bronze that did not become rows of silver, by reason."""
    open_hours = calendar(judged.calendar).frame(min(days), max(days)).lazy()
    lanes = [_lane(sessions_of(lake, name, days), name, judged) for name in judged.bronze]
    rows = pl.concat(lanes).filter(~pl.col("adjusted"))
    rows = rows.join(open_hours, on="session", how="left")
    on_grid = pl.col("ts_event") % MINUTE_NS == 0
    inside = (
        pl.col("ts_event")
        .is_between(pl.col("pre_open_ns"), pl.col("post_close_ns"), closed="left")
        .fill_null(value=False)
    )
    by_lane = rows.group_by(*_CELL, "source").agg(
        off_grid=(~on_grid).sum().cast(pl.Int32),
        outside=(on_grid & ~inside).sum().cast(pl.Int32),
        kept=(on_grid & inside).sum(),
        bars=pl.col("ts_event").filter(on_grid & inside).n_unique(),
        hours=pl.col("hours").first(),
    )
    restated = (
        sessions_of(lake, judged.silver, days)
        .filter(pl.col("version") > 1)
        .group_by(_CELL)
        .agg(restated=pl.len())
    )
    return (
        by_lane.group_by(_CELL)
        .agg(
            pl.col("off_grid", "outside").sum(),
            repeats=(pl.col("kept").cast(pl.Int64) - pl.col("bars").cast(pl.Int64)).sum(),
            hours=pl.col("hours").max(),
        )
        .join(restated, on=_CELL, how="left")
        .with_columns(
            duplicates=(pl.col("repeats") - pl.col("restated").fill_null(0).cast(pl.Int64))
            .clip(lower_bound=0)
            .cast(pl.Int32)
        )
        .drop("repeats", "restated")
    )


def _windows(
    judged: Judged, cells: pl.DataFrame, counted: pl.DataFrame, days: Sequence[datetime.date]
) -> pl.DataFrame:
    """The minutes expected of each cell.

    Stocks: the regular session. Futures: the whole trade date, or 09:30-16:00 New York inside of it
    where the file claims regular hours only.
    """
    table = calendar(judged.calendar).frame(min(days), max(days))
    placed = cells.select(_CELL).join(table, on="session")
    whole = placed.with_columns(expected_open_ns="open_ns", expected_close_ns="close_ns")
    if judged.calendar == "CMES":
        regular = (
            placed.join(counted.select(*_CELL, "hours"), on=_CELL, how="left")
            .with_columns(covers=pl.col("hours").forward_fill().backward_fill().over("symbol"))
            .with_columns(regular=(pl.col("covers") == "regular").fill_null(value=False))
        )
        first = eastern_datetime(pl.col("session"), 9, 30).dt.epoch("ns")
        last = eastern_datetime(pl.col("session"), 16).dt.epoch("ns")
        whole = regular.with_columns(
            expected_open_ns=pl.when("regular")
            .then(pl.max_horizontal("open_ns", first))
            .otherwise("open_ns"),
            expected_close_ns=pl.when("regular")
            .then(pl.min_horizontal("close_ns", last))
            .otherwise("close_ns"),
        )
    minutes = (pl.col("expected_close_ns") - pl.col("expected_open_ns")).floordiv(MINUTE_NS)
    return whole.select(
        *_CELL, "expected_open_ns", expected=minutes.clip(lower_bound=0).cast(pl.Int32)
    )
