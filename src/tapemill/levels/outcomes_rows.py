"""Outcomes as rows of `gold.episode_outcomes`, with spread and fees taken off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from tapemill.levels.outcomes import CENSORED_BY, OUTCOMES, Outcomes, barrier_names
from tapemill.settings.declaration import LevelsSettings

__all__ = ["outcome_rows"]

Array = Any


def outcome_rows(
    outcomes: Outcomes,
    spreads: pl.DataFrame,
    ids: Array,
    settings: LevelsSettings,
    *,
    symbol: str,
    session: dt.date,
    families: Mapping[str, str],
    tick_value: float,
) -> pl.DataFrame:
    """Labels in columns of `gold.episode_outcomes`, all but month and known_at.

    Parameters
    ----------
    outcomes : Outcomes
    spreads : polars.DataFrame
        Columns episode (running number), delay (s) and spread_ticks at the decision; null, NaN or
        no row where it is unknown.
    ids : array of str
        Names of episodes by running number, see `episode_ids`.
    settings : LevelsSettings
    symbol : str
    session : datetime.date
        Trade date.
    families : mapping of str to str
        Name of the episode to its family.
    tick_value : float
        What one tick of one contract is worth, in its currency.

    Returns
    -------
    polars.DataFrame
        In the order given. ``net_ticks = barrier_ticks - spread_ticks - 2 fee_per_side /
        tick_value`` where a barrier was passed; an outcome of neither is not tradeable.
    """
    rows = _labels(outcomes, ids, settings).join(
        spreads.select(
            pl.col("episode").cast(pl.Int64),
            pl.col("delay").cast(pl.Int32).alias("delay_seconds"),
            pl.col("spread_ticks").cast(pl.Float64).fill_nan(None),
        ),
        on=["episode", "delay_seconds"],
        how="left",
        maintain_order="left",
        validate="m:1",
    )
    fees = 2.0 * settings.fee_per_side / tick_value
    passed = pl.col("outcome").is_in(["break", "bounce"])
    net = pl.when(passed).then(pl.col("barrier_ticks") - pl.col("spread_ticks") - fees)
    rows = rows.with_columns(net.alias("net_ticks"))
    tradeable = pl.when(passed).then(pl.col("net_ticks") > 0.0)
    return rows.select(
        pl.lit(symbol).alias("symbol"),
        pl.lit(session, dtype=pl.Date()).alias("session"),
        "episode_id",
        pl.col("episode_id").replace_strict(families, return_dtype=pl.String()).alias("family"),
        "delay_seconds", "decision_ns", "direction", "horizon_seconds", "barrier",
        "barrier_ticks", "anchor_ticks", "outcome", "censored_by", "seconds",
        "favourable_ticks", "adverse_ticks", "spread_ticks", "net_ticks",
        tradeable.when(pl.col("outcome") == "neither").then(pl.lit(False)).alias("tradeable"),
        "resolved_ns",
    )  # fmt: skip


def _labels(outcomes: Outcomes, ids: Array, settings: LevelsSettings) -> pl.DataFrame:
    """Columns of the labels themselves, codes as words."""

    def words(names: tuple[str, ...], codes: Array) -> pl.Series:
        return pl.Series(np.array(names)[codes].tolist(), dtype=pl.String())

    censored_by = words(CENSORED_BY, outcomes.censored_by)
    return pl.DataFrame(
        {
            "episode": outcomes.episode,
            "episode_id": pl.Series(ids[outcomes.episode].tolist(), dtype=pl.String()),
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
