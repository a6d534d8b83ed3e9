"""Rows of gold out of what the kernels gave."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.contracts.level_physics import FUEL_FEATURES
from tapemill.levels.context import CONTEXT_NAMES
from tapemill.levels.episodes import END_REASONS, NO_TOUCH, Decisions, EndedEpisodes
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.physics import PHYSICS_FEATURES, FeatureRows
from tapemill.levels.trades import Gaps

__all__ = ["DayEnd", "DayTables", "day_tables", "decision_frame"]

Array = Any

_ID_DIGITS = 16
_SLOTS = {feature.name for feature in FUEL_FEATURES}
"""Features that wait for option data: the contract fills them with nulls."""


@dataclasses.dataclass(frozen=True)
class DayEnd:
    """Where the data of a trade date end (ns UTC), why, and the silences of its feed."""

    until_ns: int
    reason: Literal["close", "end_of_data"]
    gaps: Gaps


@dataclasses.dataclass(frozen=True)
class DayTables:
    """Rows of one contract and trade date.

    Attributes
    ----------
    levels, episodes, features : pl.DataFrame
        Rows of `gold.levels`, `gold.episodes`, `gold.episode_features`.
    decisions : Decisions
        What outcomes are opened for, in the order in which they fell due.
    names : pl.DataFrame
        `episode` (the running number of `decisions`) with episode_id, symbol, session, family.
    end : DayEnd
    """

    levels: pl.DataFrame
    episodes: pl.DataFrame
    features: pl.DataFrame
    decisions: Decisions
    names: pl.DataFrame
    end: DayEnd


def day_tables(
    inputs: LevelInputs,
    levels: pl.DataFrame,
    entered: EndedEpisodes,
    decided: Sequence[Decisions],
    described: Sequence[Array],
    measured: Sequence[FeatureRows],
    end: DayEnd,
) -> DayTables:
    """Put together what one trade date gave.

    Parameters
    ----------
    inputs : LevelInputs
    levels : pl.DataFrame
        Rows of `gold.levels`.
    entered : EndedEpisodes
        All episodes.
    decided : sequence of Decisions
    described : sequence of float64 arrays, (decisions, context features)
        Aligned with `decided`.
    measured : sequence of FeatureRows
        Answers of the physics, in whatever order they came.
    end : DayEnd
    """
    episodes = _episodes(inputs, levels, entered)
    decisions = Decisions(*(np.concatenate(columns) for columns in zip(*decided, strict=True)))
    # One frame of all answers: a busy date gives them in thousands of calls.
    found = FeatureRows(*(np.concatenate(columns) for columns in zip(*measured, strict=True)))
    answers = pl.DataFrame({"episode": found.episode, "delay": found.delay}).with_columns(
        pl.Series(feature.name, np.ascontiguousarray(found.values[:, place]))
        for place, feature in enumerate(PHYSICS_FEATURES)
    )
    context = np.concatenate(described)
    features = (
        decision_frame(decisions)
        .with_columns(
            pl.Series(name, np.ascontiguousarray(context[:, place]))
            for place, name in enumerate(CONTEXT_NAMES)
        )
        .join(answers, on=["episode", "delay"], how="left", validate="1:1", maintain_order="left")
    )
    return DayTables(
        levels,
        _finished(episodes),
        _features(episodes, features),
        decisions,
        episodes.select("episode", "episode_id", "symbol", "session", "family"),
        end,
    )


def decision_frame(decisions: Decisions) -> pl.DataFrame:
    """Decisions as a frame: episode, delay, decision_ns, direction."""
    return pl.DataFrame(
        {
            "episode": decisions.episode,
            "delay": decisions.delay,
            "decision_ns": decisions.decision_ns,
            "direction": decisions.direction,
        }
    )


def _episodes(inputs: LevelInputs, levels: pl.DataFrame, entered: EndedEpisodes) -> pl.DataFrame:
    """Episodes with their names and identity; `episode` is the running number."""
    rows = pl.DataFrame(entered._asdict())
    family = levels.group_by("zone").agg(pl.col("family").first())
    members = (
        rows.select("episode", "zone", "enter_ns")
        .join(levels.select("zone", "kind", "level_id", "valid_from_ns", "valid_to_ns"), on="zone")
        .filter(pl.col("enter_ns").is_between("valid_from_ns", "valid_to_ns", closed="left"))
        .sort("level_id")
        .group_by("episode")
        .agg(
            kinds=pl.col("kind").unique(maintain_order=True).str.join("+"),
            level_ids=pl.col("level_id").unique(maintain_order=True).str.join("+"),
        )
    )
    named = rows.join(family, on="zone", how="left").join(members, on="episode", how="left")
    named = named.sort("episode")
    identity = [
        _identity(inputs.symbol, *key)
        for key in named.select("zone", "family", "enter_ns", "enter_ordinal").iter_rows()
    ]
    chain = pl.Series("chain", [identity[number] for number in named["chain"]], dtype=pl.String)
    return named.with_columns(
        chain,
        pl.Series("episode_id", identity, dtype=pl.String),
        symbol=pl.lit(inputs.symbol),
        session=pl.lit(inputs.session),
        month=pl.lit(f"{inputs.session:%Y-%m}"),
    )


def _identity(symbol: str, zone: int, family: str, enter_ns: int, ordinal: int) -> str:
    text = f"{symbol}|{zone}|{family}|{enter_ns}|{ordinal}"
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def _finished(episodes: pl.DataFrame) -> pl.DataFrame:
    declared = contract("gold.episodes")
    reasons = dict(enumerate(END_REASONS))
    shaped = episodes.with_columns(
        low_ticks=pl.col("low"),
        high_ticks=pl.col("high"),
        sigma_ticks=pl.col("sigma"),
        touch_ns=pl.when(pl.col("touch_ns") != NO_TOUCH).then("touch_ns"),
        end_reason=pl.col("reason").replace_strict(reasons, return_dtype=pl.String),
        attempt=pl.col("attempt").cast(pl.Int64),
    ).with_columns(known_at=known_at_expr("episode_end"))
    return declared.conform(shaped.select(declared.schema.names())).sort(declared.order)


def _features(episodes: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
    declared = contract("gold.episode_features")
    names = ["episode", "episode_id", "symbol", "session", "month", "family"]
    shaped = (
        features.join(episodes.select(names), on="episode", how="left")
        .with_columns(delay_seconds=pl.col("delay"))
        .with_columns(known_at=known_at_expr("decision"))
        .select(name for name in declared.schema.names() if name not in _SLOTS)
        # No evidence is null in the tables; NaN would compare and sort as a number.
        .with_columns(pl.selectors.float().fill_nan(None))
    )
    return declared.conform(shaped).sort(declared.order)
