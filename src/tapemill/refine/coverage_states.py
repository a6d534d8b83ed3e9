"""Liquidity tiers, states and reason codes of coverage cells."""

from __future__ import annotations

import dataclasses

import polars as pl

__all__ = ["CoverageLimits", "with_states", "with_tiers"]

_CELL = ("symbol", "session")
_TIER2_TRADES = 5.0
_TIER1_DOLLARS = 250_000.0
_TIER2_DOLLARS = 25_000.0
_RECONCILED_FRAC = 0.995


@dataclasses.dataclass(frozen=True)
class CoverageLimits:
    """What is tolerated.

    Parameters
    ----------
    tier1_min_frac, tier2_min_frac : float
        Least present / (expected - halted).
    tier1_longest_run, tier2_longest_run : int
        Longest run of missing minutes.
    tier1_trades : float
        Median trades a minute from which a name is tier 1.
    vendor_incident_frac : float
        Share of tier-1 names that may miss the same minute.
    """

    tier1_min_frac: float = 0.97
    tier2_min_frac: float = 0.85
    tier1_longest_run: int = 5
    tier2_longest_run: int = 15
    tier1_trades: float = 50.0
    vendor_incident_frac: float = 0.02


def with_tiers(cells: pl.DataFrame, limits: CoverageLimits) -> pl.DataFrame:
    """Add ``tier``: 1 liquid, 2 in between, 3 illiquid, 0 unknown.

    By median trades a minute; by median dollars where trades are not given; both scaled by how
    densely the symbol's own first-to-last span is filled, since a minute without trades has no bar.
    By that density alone where the source gives neither.
    """
    span = pl.col("last_minute") - pl.col("first_minute") + 1
    density = (pl.col("present") + pl.col("halted")) / span

    def graded(measure: pl.Expr, first: float, second: float) -> pl.Expr:
        return pl.when(measure >= first).then(1).when(measure >= second).then(2).otherwise(3)

    tier = (
        pl.when(pl.col("present") == 0)
        .then(0)
        .when(pl.col("trades_median").is_not_null())
        .then(graded(pl.col("trades_median") * density, limits.tier1_trades, _TIER2_TRADES))
        .when(pl.col("has_volume"))
        .then(graded(pl.col("dollars_median") * density, _TIER1_DOLLARS, _TIER2_DOLLARS))
        .otherwise(graded(density, limits.tier1_min_frac, limits.tier2_min_frac))
    )
    return cells.with_columns(tier=tier.cast(pl.Int8))


def with_states(
    cells: pl.DataFrame,
    gaps: pl.DataFrame,
    incidents: pl.DataFrame,
    suspected: pl.DataFrame,
    limits: CoverageLimits,
) -> pl.DataFrame:
    """Add ``state`` and ``reasons``."""
    cells = _beside_others(cells, gaps, incidents, suspected)
    tradable = pl.col("expected") - pl.col("halted")
    share = pl.col("present") / pl.max_horizontal(tradable, pl.lit(1))
    tier = pl.col("tier")
    least = pl.when(tier == 1).then(limits.tier1_min_frac).otherwise(limits.tier2_min_frac)
    longest = pl.when(tier == 1).then(limits.tier1_longest_run).otherwise(limits.tier2_longest_run)
    absent = (pl.col("present") == 0) & (tradable > 0)
    confirmed_empty = absent & (pl.col("ledger_state") == "empty").fill_null(value=False)
    # A tier that was read off the density of bars says nothing about their number.
    graded = pl.col("trades_median").is_not_null() | pl.col("has_volume").fill_null(value=False)
    thin, run = (share < least) & graded, pl.col("longest_missing_run") > longest
    short = ~absent & (thin | run)
    reconciled = (
        (pl.col("daily_volume") > 0)
        & pl.col("has_volume")
        & (pl.col("minute_volume") >= _RECONCILED_FRAC * pl.col("daily_volume"))
    ).fill_null(value=False)
    explained = reconciled | pl.col("suspected_halt")
    blemished = (
        (pl.col("off_grid") > 0)
        | (pl.col("outside") > 0)
        | (pl.col("quarantined") > 0)
        | pl.col("vendor_incident")
    )
    state = (
        pl.when(confirmed_empty)
        .then(pl.lit("empty"))
        .when(absent)
        .then(pl.lit("missing"))
        .when(short & (tier <= 2) & ~explained)
        .then(pl.lit("red"))
        .when(short | blemished)
        .then(pl.lit("amber"))
        .when(pl.col("halted") > 0)
        .then(pl.lit("halt"))
        .otherwise(pl.lit("green"))
    )
    codes = {
        "confirmed_empty": confirmed_empty,
        "no_bars": absent & ~confirmed_empty,
        "illiquid": short & (tier == 3),
        "coverage_low": short & thin & (tier <= 2),
        "long_run": short & run & (tier <= 2),
        "missing_at_open": short & (tier <= 2) & (pl.col("missing_at_open") > longest),
        "missing_at_close": short & (tier <= 2) & (pl.col("missing_at_close") > longest),
        "quiet_by_daily_volume": short & reconciled & (tier <= 2),
        "suspected_halt": pl.col("suspected_halt"),
        "halt": pl.col("halted") > 0,
        "vendor_incident": pl.col("vendor_incident"),
        "daily_present": absent & (pl.col("daily_volume") > 0),
        "off_grid": pl.col("off_grid") > 0,
        "outside": pl.col("outside") > 0,
        "quarantined": pl.col("quarantined") > 0,
        "duplicates": pl.col("duplicates") > 0,
    }
    reasons = [pl.when(test).then(pl.lit(code)) for code, test in codes.items()]
    unfetched = pl.when(absent & ~pl.col("ledger_state").is_in(["data", "empty"])).then(
        pl.concat_str(pl.lit("ledger_"), pl.col("ledger_state"))
    )
    return cells.with_columns(
        state=state,
        reasons=pl.concat_str([*reasons, unfetched], separator=";", ignore_nulls=True),
    )


def _beside_others(
    cells: pl.DataFrame, gaps: pl.DataFrame, incidents: pl.DataFrame, suspected: pl.DataFrame
) -> pl.DataFrame:
    """Add ``vendor_incident`` and ``suspected_halt``: what the neighbours say of a cell's holes."""
    halted = gaps.join(suspected, on=["session", "run_start", "run_length"], how="semi")
    watched = cells.filter(pl.col("tier").is_between(1, 2)).select(_CELL)
    lost = _hit(gaps.join(watched, on=_CELL, how="semi"), incidents)
    for name, found in (("suspected_halt", halted), ("vendor_incident", lost)):
        flag = found.select(_CELL).unique().with_columns(pl.lit(value=True).alias(name))
        cells = cells.join(flag, on=_CELL, how="left").with_columns(
            pl.col(name).fill_null(value=False)
        )
    return cells


def _hit(gaps: pl.DataFrame, incidents: pl.DataFrame) -> pl.DataFrame:
    """Cells that miss at least half of the minutes of one incident; a lone quiet minute is none."""
    apart = (pl.col("minute").diff().over("session") != 1).fill_null(value=True)
    runs = (
        incidents.select("session", "minute")
        .sort("session", "minute")
        .with_columns(_run=apart.cum_sum())
        .with_columns(_minutes=pl.len().over("_run"))
    )
    inside = pl.col("minute").is_between(
        pl.col("run_start"), pl.col("run_start") + pl.col("run_length") - 1
    )
    return (
        gaps.join(runs, on="session", how="inner")
        .filter(inside)
        .group_by(*_CELL, "_run")
        .agg(lost=pl.len(), minutes=pl.col("_minutes").first())
        .filter(2 * pl.col("lost") >= pl.col("minutes"))
    )
