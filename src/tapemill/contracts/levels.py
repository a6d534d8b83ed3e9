"""Levels, approaches to them, what was seen at each decision, and what happened next.

Outcomes are apart from features on purpose: nothing that makes a feature may read them.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts.columns import MONTH, SYMBOL, UTC_US
from tapemill.contracts.dataset import Column, Dataset, RowCheck
from tapemill.contracts.level_features import LEVEL_FEATURES

__all__ = ["LEVEL_DATASETS"]

_DATE = Column("session", pl.Date(), "Trade date: 18:00 of the evening before to 17:00", "date ET")
_KNOWN = Column("known_at", UTC_US, "When the row could first be acted on", "us UTC")
_EPISODE = Column("episode_id", pl.String(), "Digest of instrument, zone and moment; 16 hex digits")
_FAMILY = Column("family", pl.String(), "real, placebo_random or placebo_shifted")
_DELAY = Column("delay_seconds", pl.Int32(), "Decision after the touch: 0, 30, 60, 120, 240", "s")
_DECISION = Column("decision_ns", pl.Int64(), "The moment of decision", "ns UTC")
_DIRECTION = Column(
    "direction", pl.Int8(), "+1 approached from below (resistance), -1 from above (support)"
)


def _ticks(name: str, description: str, *, null: bool = False) -> Column:
    return Column(name, pl.Float64(), description, "ticks", null)


def _whole(name: str, description: str, unit: str, *, null: bool = False) -> Column:
    return Column(name, pl.Int64(), description, unit, null)


LEVEL_DATASETS = (
    Dataset(
        "gold.levels",
        "Named prices and the times between which they stood; a moving level is many rows.",
        (
            SYMBOL,
            _DATE,
            MONTH,
            Column(
                "level_id", pl.String(), "Kind and parameters: SMA_200, PLACEBO_SHIFTED:SMA_200"
            ),
            Column("kind", pl.String(), "PREMARKET_HIGH, VWAP, ROUND …"),
            _FAMILY,
            Column("placebo_of", pl.String(), "level_id that a placebo matches", nullable=True),
            Column("price", pl.Float64(), "Price of the level", "points"),
            _ticks("price_ticks", "Price of the level; need not be whole"),
            _ticks("error_ticks", "Half width of the 95 % band of a projected level; 0 if native"),
            _whole("valid_from_ns", "From when it was known at this price", "ns UTC"),
            _whole("valid_to_ns", "Until when; known only then, not when the row begins", "ns UTC"),
            Column("native_symbol", pl.String(), "Instrument on which it is defined"),
            Column("provenance", pl.String(), "From which rows and rule it comes"),
            Column("zone", pl.Int32(), "Zone that it stood in; members of a zone are one obstacle"),
            _KNOWN,
        ),
        key=("symbol", "session", "level_id", "valid_from_ns"),
        order=("symbol", "session", "level_id", "valid_from_ns"),
        partition="month",
        event_column="valid_from_ns",
        known_at="level_valid",
        row_checks=(
            RowCheck(
                "valid_backwards", pl.col("valid_from_ns") < pl.col("valid_to_ns"), "from < to"
            ),
        ),
    ),
    Dataset(
        "gold.episodes",
        "One approach of price to a zone of levels: entered, perhaps touched, left.",
        (
            SYMBOL,
            _DATE,
            MONTH,
            _EPISODE,
            _FAMILY,
            Column("zone", pl.Int32(), "Zone of gold.levels"),
            Column("kinds", pl.String(), "Kinds of its levels at the entry, joined by +"),
            Column("level_ids", pl.String(), "level_id of its levels at the entry, joined by +"),
            _DIRECTION,
            _ticks("low_ticks", "Lower edge of the zone at the entry: the approach keeps it"),
            _ticks("high_ticks", "Upper edge likewise"),
            _ticks("sigma_ticks", "Volatility of one minute as known at the entry"),
            _whole("enter_ns", "Price came into the approach band", "ns UTC"),
            _whole(
                "touch_ns",
                "Price came into the touch band; null if it did not",
                "ns UTC",
                null=True,
            ),
            _whole("end_ns", "Price left the leave band, or the reason below", "ns UTC"),
            Column("end_reason", pl.String(), "through, turned, gap, close or end_of_data"),
            _whole(
                "attempt",
                "Touches of this zone and side within the attempt gap, from 1; 0 untouched",
                "count",
            ),
            Column("chain", pl.String(), "Episode that began the chain of attempts"),
            _KNOWN,
        ),
        key=("episode_id",),
        order=("symbol", "session", "enter_ns", "episode_id"),
        partition="month",
        event_column="enter_ns",
        known_at="episode_end",
    ),
    Dataset(
        "gold.episode_features",
        "What was known at each decision of a touched episode; see docs/level-features.md.",
        (
            SYMBOL,
            _DATE,
            MONTH,
            _EPISODE,
            _FAMILY,
            _DELAY,
            _DECISION,
            _DIRECTION,
            *LEVEL_FEATURES,
            _KNOWN,
        ),
        key=("episode_id", "delay_seconds"),
        order=("symbol", "session", "decision_ns", "episode_id"),
        partition="month",
        event_column="decision_ns",
        known_at="decision",
    ),
    Dataset(
        "gold.episode_outcomes",
        "What happened after each decision: first passage of trades through two barriers.",
        (
            SYMBOL,
            _DATE,
            MONTH,
            _EPISODE,
            _FAMILY,
            _DELAY,
            _DECISION,
            _DIRECTION,
            Column("horizon_seconds", pl.Int32(), "How long it is watched", "s"),
            Column("barrier", pl.String(), "k0.5, k1, k2 (volatility of the horizon) or t4, t8 …"),
            _ticks("barrier_ticks", "Distance of both barriers from the anchor"),
            _ticks(
                "anchor_ticks", "Last trade at the decision: where the barriers are measured from"
            ),
            Column("outcome", pl.String(), "break, bounce, neither or censored"),
            Column("censored_by", pl.String(), "gap, close or end_of_data", nullable=True),
            Column("seconds", pl.Float64(), "From the decision to the first passage", "s", True),
            _ticks("favourable_ticks", "Furthest in break direction before the end (MFE)"),
            _ticks(
                "adverse_ticks", "Furthest in bounce direction before the end (MAE), as positive"
            ),
            _ticks("spread_ticks", "Spread at the decision", null=True),
            _ticks(
                "net_ticks",
                "Barrier less spread and fees; null unless break or bounce, and if one is unknown",
                null=True,
            ),
            Column(
                "tradeable",
                pl.Boolean(),
                "Whether net_ticks is above zero; null if censored, or if that is unknown",
                nullable=True,
            ),
            _whole("resolved_ns", "When the outcome was known", "ns UTC"),
            _KNOWN,
        ),
        key=("episode_id", "delay_seconds", "horizon_seconds", "barrier"),
        order=("symbol", "session", "decision_ns", "episode_id", "horizon_seconds", "barrier"),
        partition="month",
        event_column="resolved_ns",
        known_at="outcome_resolved",
    ),
)
