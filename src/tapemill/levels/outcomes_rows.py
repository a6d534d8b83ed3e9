"""Outcomes as rows of `gold.episode_outcomes`, with spread and fees taken off."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.levels.outcomes import CENSORED_BY, OUTCOMES, Outcomes, barrier_names
from tapemill.settings.declaration import LevelsSettings

__all__ = ["outcome_rows"]

Array = Any


def outcome_rows(
    outcomes: Outcomes,
    names: pl.DataFrame,
    spreads: pl.DataFrame,
    settings: LevelsSettings,
    *,
    tick_value: float,
) -> pl.DataFrame:
    """Labels as rows of `gold.episode_outcomes`.

    Parameters
    ----------
    outcomes : Outcomes
    names : polars.DataFrame
        Columns episode (running number), episode_id, symbol, session and family, a row an episode.
    spreads : polars.DataFrame
        Columns episode_id, delay_seconds and spread_ticks at the decision, a row a decision; null,
        NaN or no row where it is unknown.
    settings : LevelsSettings
    tick_value : float
        What one tick of one contract is worth, in its currency; NaN if unknown, and then nothing
        is net of fees.

    Returns
    -------
    polars.DataFrame
        ``net_ticks = barrier_ticks - spread_ticks - 2 · fee_per_side / tick_value`` where a barrier
        was passed; neither is never tradeable.

    Raises
    ------
    ContractError
        When rows break the contract of the table.
    """
    declared = contract("gold.episode_outcomes")
    labels = _labels(outcomes, settings).join(
        names.select("episode", "episode_id", "symbol", "session", "family"),
        on="episode",
        how="left",
        validate="m:1",
    )
    rows = labels.join(
        spreads.select(
            "episode_id",
            pl.col("delay_seconds").cast(pl.Int32),
            pl.col("spread_ticks").cast(pl.Float64).fill_nan(None),
        ),
        on=["episode_id", "delay_seconds"],
        how="left",
        validate="m:1",
    )
    passed = pl.col("outcome").is_in(["break", "bounce"])
    fees = 2.0 * settings.fee_per_side / tick_value
    # Unknown fees must be null: NaN would sort above every number, and so count as tradeable.
    net = (pl.col("barrier_ticks") - pl.col("spread_ticks") - fees).fill_nan(None)
    net = pl.when(passed).then(net)
    rows = rows.with_columns(net_ticks=net)
    tradeable = pl.when(passed).then(pl.col("net_ticks") > 0.0)
    rows = rows.with_columns(
        tradeable.when(pl.col("outcome") == "neither").then(pl.lit(False)).alias("tradeable"),
        month=pl.col("session").dt.strftime("%Y-%m"),
        known_at=known_at_expr("outcome_resolved"),
    )
    return declared.conform(rows.select(declared.schema.names())).sort(declared.order)


def _labels(outcomes: Outcomes, settings: LevelsSettings) -> pl.DataFrame:
    """Columns of the labels themselves, codes as words."""

    def words(names: tuple[str, ...], codes: Array) -> pl.Series:
        return pl.Series(np.array(names)[codes].tolist(), dtype=pl.String())

    censored_by = words(CENSORED_BY, outcomes.censored_by)
    return pl.DataFrame(
        {
            "episode": outcomes.episode,
            "delay_seconds": outcomes.delay,
            "decision_ns": outcomes.decision_ns,
            "direction": outcomes.direction,
            "horizon_seconds": outcomes.horizon,
            "barrier": words(barrier_names(settings), outcomes.barrier),
            "barrier_ticks": outcomes.barrier_ticks,
            "anchor_ticks": outcomes.anchor.astype(np.float64),
            "outcome": words(OUTCOMES, outcomes.outcome),
            "censored_by": censored_by.set(censored_by == "", None),
            "seconds": pl.Series(outcomes.seconds).fill_nan(None),
            "favourable_ticks": outcomes.favourable.astype(np.float64),
            "adverse_ticks": outcomes.adverse.astype(np.float64),
            "resolved_ns": outcomes.resolved_ns,
        }
    )
