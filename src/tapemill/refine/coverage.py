"""Gap and coverage truth: per symbol and session, what is there and what is missing.

Judged against the exchange calendar, never against the data's own extent: a hole at the open or
the close counts, an absent day is a row, and a halt is not a hole.
"""

from __future__ import annotations

import dataclasses

import polars as pl

from tapemill.contracts import Quality, contract
from tapemill.refine.coverage_states import CoverageLimits, with_states, with_tiers
from tapemill.refine.halts import MINUTE_NS, halt_minutes, shared_runs

__all__ = ["Coverage", "coverage"]

_CELL = ("symbol", "session")
_TALLIES = ("off_grid", "outside", "duplicates", "quarantined")
_SHORTEST_RUN = 5
_FAR = 12
"""Deviations beyond chance: quiet minutes are quiet in many names at once."""


@dataclasses.dataclass(frozen=True)
class Coverage:
    """The verdict on a set of sessions.

    Attributes
    ----------
    cells : pl.DataFrame
        Rows of ``silver.coverage``.
    incidents : pl.DataFrame
        ``session``, ``minute``, ``symbols``, ``liquid``: minutes missing in many liquid symbols.
    suspected_halts : pl.DataFrame
        See `shared_runs`.
    """

    cells: pl.DataFrame
    incidents: pl.DataFrame
    suspected_halts: pl.DataFrame


def coverage(
    dataset: str,
    bars: pl.DataFrame,
    expected: pl.DataFrame,
    *,
    tallies: pl.DataFrame | None = None,
    daily: pl.DataFrame | None = None,
    ledger: pl.DataFrame | None = None,
    limits: CoverageLimits | None = None,
) -> Coverage:
    """Judge minute bars.

    Parameters
    ----------
    dataset : str
        The silver dataset the bars belong to.
    bars : pl.DataFrame
        Current versions: ``symbol``, ``session``, ``ts_event`` (ns UTC), ``open``, ``close``,
        ``volume``, ``trades``, ``quality``.
    expected : pl.DataFrame
        One row a cell to be judged: ``symbol``, ``session``, ``expected_open_ns`` (Int64),
        ``expected`` (regular minutes). Bars of other cells are not judged.
    tallies : pl.DataFrame, optional
        ``symbol``, ``session``, ``off_grid``, ``outside``, ``duplicates``, ``quarantined``.
    daily : pl.DataFrame, optional
        ``symbol``, ``session``, ``volume`` of the daily bars: where the minutes add up to it,
        nothing was lost and silence is silence.
    ledger : pl.DataFrame, optional
        ``symbol``, ``session``, ``ledger_state`` (lower-case name of the cell's state).
    limits : CoverageLimits, optional

    Returns
    -------
    Coverage
    """
    limits = limits or CoverageLimits()
    expected = expected.with_columns(pl.col("expected").cast(pl.Int32))
    placed = bars.join(expected, on=_CELL, how="inner").with_columns(
        minute=((pl.col("ts_event") - pl.col("expected_open_ns")).floordiv(MINUTE_NS)).cast(
            pl.Int32
        )
    )
    regular = pl.col("minute").is_between(0, pl.col("expected") - 1)
    counts = _counts(placed, regular)
    marks = _covered(placed.filter(regular), expected)
    gaps = _gaps(marks)
    cells = expected.join(counts, on=_CELL, how="left").join(
        _runs_per_cell(gaps, marks), on=_CELL, how="left"
    )
    cells = _filled(_with_facts(cells, tallies, daily, ledger))
    cells = with_tiers(cells, limits)
    liquid = cells.filter((pl.col("tier") == 1) & (pl.col("present") > 0)).select(_CELL)
    suspected = shared_runs(gaps, liquid)
    incidents = _incidents(gaps, cells, liquid, suspected, limits)
    cells = with_states(cells, gaps, incidents, suspected, limits)
    return Coverage(_shaped(cells, dataset), incidents, suspected)


def _counts(placed: pl.DataFrame, regular: pl.Expr) -> pl.DataFrame:
    """Per cell: how many bars of which kind, and how liquid they look."""
    here = pl.col("minute").filter(regular)
    return placed.group_by(_CELL).agg(
        present=regular.sum().cast(pl.Int32),
        extended=(~regular).sum().cast(pl.Int32),
        zero_volume=(pl.col("volume") == 0).sum().cast(pl.Int32),
        jumps=(pl.col("quality") & int(Quality.JUMP) != 0).sum().cast(pl.Int32),
        trades_median=pl.col("trades").filter(regular).median(),
        dollars_median=(pl.col("volume") * pl.col("close")).filter(regular).median(),
        minute_volume=pl.col("volume").sum(),
        has_volume=pl.col("volume").is_not_null().any(),
        first_minute=here.min(),
        last_minute=here.max(),
    )


def _covered(regular: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """Minutes with a bar or inside a halt, per cell that has bars, sorted."""
    window = ("session", "expected_open_ns", "expected")
    bars = regular.select("symbol", *window, "minute", "open", "close", is_bar=pl.lit(value=True))
    halted = halt_minutes(expected.select(window).unique())
    if not halted.is_empty():
        # Futures of one session may be due in different hours: a minute counts from its own open.
        held = bars.select("symbol", *window).unique().join(halted, on=window, how="inner")
        silent = held.join(bars, on=[*_CELL, "minute"], how="anti").with_columns(
            open=pl.lit(None, dtype=pl.Float64),
            close=pl.lit(None, dtype=pl.Float64),
            is_bar=pl.lit(value=False),
        )
        bars = pl.concat([bars, silent.select(bars.columns)])
    return bars.sort(*_CELL, "minute")


def _gaps(marks: pl.DataFrame) -> pl.DataFrame:
    """Runs of missing minutes: ``run_start``, ``run_length``, ``resume_move``, ``expected``."""
    before = pl.col("minute").shift(1).over(_CELL)
    # The price on both sides of a run tells a halt, which resumes elsewhere, from silence.
    last_close = pl.col("close").forward_fill().shift(1).over(_CELL)
    inner = marks.select(
        *_CELL,
        "expected",
        run_start=(before + 1).fill_null(0),
        run_length=(pl.col("minute") - before - 1).fill_null(pl.col("minute")),
        resume_move=(pl.col("open") / last_close).log().abs(),
    )
    last = marks.group_by(_CELL, maintain_order=True).last()
    closing = last.select(
        *_CELL,
        "expected",
        run_start=pl.col("minute") + 1,
        run_length=pl.col("expected") - pl.col("minute") - 1,
        resume_move=pl.lit(None, dtype=pl.Float64),
    )
    return pl.concat([inner, closing]).filter(pl.col("run_length") > 0)


def _runs_per_cell(gaps: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    halted = marks.group_by(_CELL).agg(halted=(~pl.col("is_bar")).sum().cast(pl.Int32))
    at_close = pl.col("run_start") + pl.col("run_length") == pl.col("expected")
    runs = gaps.group_by(_CELL).agg(
        longest_missing_run=pl.col("run_length").max(),
        missing_at_open=pl.col("run_length").filter(pl.col("run_start") == 0).max(),
        missing_at_close=pl.col("run_length").filter(at_close).max(),
    )
    return halted.join(runs, on=_CELL, how="left").with_columns(
        pl.col("longest_missing_run", "missing_at_open", "missing_at_close").fill_null(0)
    )


def _with_facts(
    cells: pl.DataFrame,
    tallies: pl.DataFrame | None,
    daily: pl.DataFrame | None,
    ledger: pl.DataFrame | None,
) -> pl.DataFrame:
    """Join what is known beside the bars; absent facts are null or zero."""
    if tallies is None:
        cells = cells.with_columns(pl.lit(0, dtype=pl.Int32).alias(name) for name in _TALLIES)
    else:
        cells = cells.join(tallies.select(*_CELL, *_TALLIES), on=_CELL, how="left")
    if daily is None:
        cells = cells.with_columns(daily_volume=pl.lit(None, dtype=pl.Float64))
    else:
        cells = cells.join(
            daily.select(*_CELL, daily_volume=pl.col("volume").fill_null(0.0)),
            on=_CELL,
            how="left",
        )
    if ledger is None:
        return cells.with_columns(ledger_state=pl.lit(None, dtype=pl.String))
    return cells.join(ledger.select(*_CELL, "ledger_state"), on=_CELL, how="left")


def _filled(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells without any bar: everything is missing, open and close included."""
    nothing = pl.col("present").fill_null(0) == 0
    whole = pl.when(nothing).then("expected")
    zero = ("present", "extended", "zero_volume", "jumps", "halted", *_TALLIES)
    return cells.with_columns(
        pl.col(zero).fill_null(0).cast(pl.Int32),
        *(
            whole.otherwise(pl.col(name)).cast(pl.Int32).alias(name)
            for name in ("longest_missing_run", "missing_at_open", "missing_at_close")
        ),
    ).with_columns(missing=pl.col("expected") - pl.col("present") - pl.col("halted"))


def _incidents(
    gaps: pl.DataFrame,
    cells: pl.DataFrame,
    liquid: pl.DataFrame,
    suspected: pl.DataFrame,
    limits: CoverageLimits,
) -> pl.DataFrame:
    """Minutes that more liquid symbols miss than chance and the limit allow."""
    runs = gaps.join(liquid, on=_CELL, how="semi").join(
        suspected, on=["session", "run_start", "run_length"], how="anti"
    )
    minutes = (
        runs.select(
            *_CELL,
            minute=pl.int_ranges("run_start", pl.col("run_start") + pl.col("run_length")),
        )
        .explode("minute", empty_as_null=True)
        .group_by("session", "minute")
        .agg(symbols=pl.len())
    )
    usual = (
        cells.join(liquid, on=_CELL, how="semi")
        .group_by("session")
        .agg(
            liquid=pl.len(),
            usual=(pl.col("missing").clip(upper_bound=_SHORTEST_RUN) / pl.col("expected")).sum(),
        )
    )
    chance = pl.col("usual") + _FAR * pl.col("usual").sqrt() + 1
    enough = pl.max_horizontal(limits.vendor_incident_frac * pl.col("liquid"), pl.lit(1), chance)
    return (
        minutes.join(usual, on="session")
        .filter((pl.col("symbols") > enough) & (pl.col("symbols") >= 2))
        .select("session", pl.col("minute").cast(pl.Int32), "symbols", "liquid")
        .sort("session", "minute")
    )


def _shaped(cells: pl.DataFrame, dataset: str) -> pl.DataFrame:
    declared = contract("silver.coverage")
    cells = cells.with_columns(dataset=pl.lit(dataset), year=pl.col("session").dt.year())
    return declared.conform(cells.select(declared.schema.names()).sort(*declared.order))
