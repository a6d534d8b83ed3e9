"""What must hold between the tables of gold: who belongs to whom, and what was known when."""

from __future__ import annotations

import polars as pl

from tapemill.levels.checks_rows import (
    EPISODES,
    FEATURES,
    LEVELS,
    OUTCOME_ROWS,
    Rule,
    broken_rows,
)
from tapemill.levels.outcomes import barrier_names
from tapemill.refine.detectors import Finding
from tapemill.settings import LevelsSettings

__all__ = ["check_between"]

_SECOND = 1_000_000_000
_NEAR = 1e-6
_DECISION = ["episode_id", "delay_seconds"]


def check_between(
    levels: pl.DataFrame,
    episodes: pl.DataFrame,
    features: pl.DataFrame,
    outcomes: pl.DataFrame,
    settings: LevelsSettings,
    *,
    tick_size: float | None = None,
) -> list[Finding]:
    """Judge one trade date of a contract across its tables.

    Parameters
    ----------
    levels, episodes, features, outcomes : pl.DataFrame
        Rows of ``gold.levels``, ``gold.episodes``, ``gold.episode_features`` and
        ``gold.episode_outcomes``.
    settings : LevelsSettings
        As the rows were made with.
    tick_size : float, optional
        Points of one tick.
    """
    return [
        *_of_levels(levels, tick_size),
        *_known_before(levels, episodes),
        *_of_features(episodes, features, settings),
        *_of_outcomes(features, outcomes, settings),
        *_partners(episodes, features),
        *_chains(episodes),
    ]


def _of_levels(levels: pl.DataFrame, tick_size: float | None) -> list[Finding]:
    real = levels.filter(pl.col("family") == "real")
    matched = pl.col("placebo_of").is_in(real["level_id"].unique().to_list())
    families = pl.col("family").n_unique().over("symbol", "session", "zone")
    overlap = pl.col("valid_to_ns").shift(1).over("level_id", order_by="valid_from_ns")
    rules = [
        Rule("families_share_a_zone", families > 1, "real levels and placebos of one zone"),
        Rule("placebo_unmatched", ~matched, "placebos of levels that are not there"),
        Rule("level_twice", pl.col("valid_from_ns") < overlap, "one level at two prices at once"),
    ]
    if tick_size is not None:
        off = (pl.col("price") - pl.col("price_ticks") * tick_size).abs()
        near = _NEAR * (1.0 + pl.col("price").abs())
        rules.append(Rule("price_off_its_ticks", off > near, "price is not ticks times the tick"))
    return broken_rows(LEVELS, levels, rules)


def _known_before(levels: pl.DataFrame, episodes: pl.DataFrame) -> list[Finding]:
    """Levels of a zone stood, and were known, before price came to it."""
    rows = episodes.join(
        levels.select("zone", "level_id", "valid_from_ns", "valid_to_ns"), on="zone", how="inner"
    )
    standing = (
        rows.filter(pl.col("enter_ns").is_between("valid_from_ns", "valid_to_ns", closed="left"))
        .group_by("episode_id")
        .agg(standing=pl.col("level_id").unique().sort().str.join("+"))
    )
    judged = episodes.join(standing, on="episode_id", how="left")
    rule = Rule(
        "level_known_late",
        ~pl.col("standing").eq_missing(pl.col("level_ids")),
        "the levels named were not those that stood when price came near",
    )
    return broken_rows(EPISODES, judged, [rule])


def _of_features(
    episodes: pl.DataFrame, features: pl.DataFrame, settings: LevelsSettings
) -> list[Finding]:
    """Decisions fall due on time, within their approach, and say how far price was."""
    own = episodes.select(
        "episode_id",
        "touch_ns",
        "end_ns",
        "low_ticks",
        "high_ticks",
        "sigma_ticks",
        pl.col("attempt").cast(pl.Float64).alias("stated_attempt"),
        pl.col("direction").alias("side"),
        pl.col("family").alias("of"),
    )
    judged = features.join(own, on="episode_id", how="left")
    at_touch = pl.col("delay_seconds") == 0
    due_ns = pl.col("touch_ns") + pl.col("delay_seconds").cast(pl.Int64) * _SECOND
    band = pl.max_horizontal(
        float(settings.touch_min_ticks), settings.touch_sigma * pl.col("sigma_ticks")
    )
    distance, scaled = pl.col("distance_ticks"), pl.col("distance_sigma") * pl.col("sigma_ticks")
    rules = [
        Rule(
            "decision_off_schedule",
            pl.col("decision_ns") != due_ns,
            "a decision is made at the touch or whole seconds after it",
        ),
        Rule(
            "decision_after_end",
            pl.col("decision_ns") > pl.col("end_ns"),
            "a decision about an approach that is over",
        ),
        Rule(
            "episode_contradicts",
            (pl.col("side") != pl.col("direction"))
            | (pl.col("of") != pl.col("family"))
            | (pl.col("stated_attempt") != pl.col("attempt")),
            "direction, family or attempt are not those of the approach",
        ),
        Rule(
            "touch_far_away",
            at_touch & (distance < -band - _NEAR),
            "price was not within the touch band at the touch",
        ),
        Rule(
            "distance_contradicts",
            (distance - scaled).abs() > _NEAR * (1.0 + distance.abs()),
            "distances in ticks and in volatility do not agree",
        ),
        Rule(
            "distance_contradicts",
            pl.col("penetration_ticks") < distance - _NEAR,
            "price is further past the edge than it ever was",
        ),
        Rule(
            "distance_contradicts",
            at_touch
            & ((pl.col("zone_width_ticks") - (pl.col("high_ticks") - pl.col("low_ticks"))).abs())
            .gt(_NEAR),
            "the zone is not as wide as at its touch",
        ),
    ]  # fmt: skip
    return broken_rows(FEATURES, judged, rules)


def _of_outcomes(
    features: pl.DataFrame, outcomes: pl.DataFrame, settings: LevelsSettings
) -> list[Finding]:
    """Every decision has every outcome once, measured from the price that its features saw."""
    asked = len(settings.horizons_seconds) * len(barrier_names(settings))
    own = features.select(
        *_DECISION,
        pl.col("decision_ns").alias("own_ns"),
        pl.col("direction").alias("side"),
        pl.col("spread_ticks").alias("own_spread"),
    )
    judged = outcomes.join(own, on=_DECISION, how="left")
    rules = [
        Rule("partner_missing", pl.col("own_ns").is_null(), "outcomes of no decision"),
        Rule(
            "decision_contradicts",
            (pl.col("own_ns") != pl.col("decision_ns"))
            | (pl.col("side") != pl.col("direction"))
            | ~pl.col("own_spread").eq_missing(pl.col("spread_ticks")),
            "moment, direction or spread are not those of the features",
        ),
    ]
    found = broken_rows(OUTCOME_ROWS, judged, rules)
    counted = features.join(outcomes.group_by(_DECISION).len("labels"), on=_DECISION, how="left")
    rule = Rule(
        "partner_missing",
        pl.col("labels").fill_null(0) != asked,
        f"decisions without all {asked} outcomes",
    )
    return found + broken_rows(FEATURES, counted, [rule])


def _partners(episodes: pl.DataFrame, features: pl.DataFrame) -> list[Finding]:
    touched = episodes.filter(pl.col("touch_ns").is_not_null())
    known = touched["episode_id"].to_list()
    at_touch = features.filter(pl.col("delay_seconds") == 0)["episode_id"].to_list()
    strangers = Rule(
        "partner_missing",
        ~pl.col("episode_id").is_in(known),
        "decisions about no touched approach",
    )
    undecided = Rule(
        "partner_missing",
        ~pl.col("episode_id").is_in(at_touch),
        "touched approaches without a decision at the touch",
    )
    return broken_rows(FEATURES, features, [strangers]) + broken_rows(
        EPISODES, touched, [undecided]
    )


def _chains(episodes: pl.DataFrame) -> list[Finding]:
    """A later attempt follows one that is a number less, from the same side, in time."""
    touched = episodes.filter(pl.col("touch_ns").is_not_null()).sort("touch_ns")
    rank = pl.col("touch_ns").rank("ordinal").over("chain")
    same = (pl.col("zone").n_unique().over("chain") == 1) & (
        pl.col("direction").n_unique().over("chain") == 1
    )
    rule = Rule(
        "chain_wrong",
        (pl.col("attempt") != rank) | ~same,
        "attempts of a chain are not counted one by one at one zone and side",
    )
    return broken_rows(EPISODES, touched, [rule])
