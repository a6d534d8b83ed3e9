"""Features of the situation around a decision: approach, context, confluence, runway.

They are made of trades, finished minutes and levels known at the decision, not of the book.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts.level_feature import Family, LevelFeature

__all__ = [
    "APPROACH_FEATURES",
    "CONFLUENCE_FEATURES",
    "CONTEXT_FEATURES",
    "RUNWAY_FEATURES",
]

_TOWARDS = "moving in break direction"


def _one(
    family: Family,
    name: str,
    unit: str,
    description: str,
    formula: str,
    *,
    window: str = "at the decision",
    sign: str = "",
    source: str = "trades",
) -> LevelFeature:
    return LevelFeature(
        name,
        pl.Float64(),
        description,
        unit,
        True,
        family=family,
        formula=formula,
        window=window,
        sign=sign,
        source=source,
    )


def _approach(name: str, unit: str, description: str, formula: str, **more: str) -> LevelFeature:
    return _one("approach", name, unit, description, formula, **more)


APPROACH_FEATURES = (
    _approach(
        "distance_ticks",
        "ticks",
        "How far the last trade is past the near edge of the zone",
        "d · (p − near edge); near edge = low if d = +1 else high",
        sign="inside or beyond the zone",
    ),
    _approach(
        "distance_sigma",
        "sigma",
        "The same in units of the one-minute volatility",
        "distance_ticks / sigma",
        sign="inside or beyond the zone",
    ),
    _approach(
        "penetration_ticks",
        "ticks",
        "Furthest trade past the near edge since the touch",
        "max over trades in [touch, decision] of d · (p − near edge)",
        window="since the touch",
        sign="inside or beyond the zone",
    ),
    *(
        _approach(
            f"approach_velocity_{seconds}s",
            "ticks/s",
            f"Mean speed of price over the last {seconds} s",
            f"d · (p(t) − p(t − {seconds} s)) / {seconds}; null without a trade before the window",
            window=f"{seconds} s before the decision",
            sign=_TOWARDS,
        )
        for seconds in (60, 300, 600)
    ),
    _approach(
        "approach_efficiency_300s",
        "ratio",
        "Straightness of the path: net move over distance travelled",
        "|p(t) − p(t − 300 s)| / Σ |step| over the trades of the window; null if price stood still",
        window="300 s before the decision",
    ),
    _approach(
        "approach_range_300s_sigma",
        "sigma",
        "Range of trades in the window",
        "(max − min) / sigma",
        window="300 s before the decision",
    ),
    _approach(
        "seconds_since_previous_touch",
        "s",
        "Time since this zone was touched before, from either side; null if never today",
        "decision's touch − previous touch of the zone",
        window="trade date so far",
    ),
    _approach(
        "attempt",
        "count",
        "Touches of this zone from this side in a row, from 1",
        "1 + touches that follow each other within levels.attempt_gap_minutes",
        window="trade date so far",
    ),
    _approach(
        "prior_touches",
        "count",
        "Touches of this zone earlier in the trade date, from either side",
        "count",
        window="trade date so far",
    ),
)

_MINUTES = "finished minutes"

CONTEXT_FEATURES = (
    _one(
        "context",
        "seconds_since_open",
        "s",
        "Since the regular open; negative before it, null on a date without regular hours",
        "t − open",
        source="session table",
    ),
    _one(
        "context",
        "seconds_to_close",
        "s",
        "Until the regular close; null on a date without regular hours",
        "close − t",
        source="session table",
    ),
    _one(
        "context",
        "is_regular",
        "flag",
        "1 within regular hours, else 0",
        "open ≤ t < close",
        source="session table",
    ),
    _one(
        "context",
        "sigma_now_ticks",
        "ticks",
        "Volatility of one minute as known at the decision",
        "see docs/levels.md, volatility",
        source=_MINUTES,
    ),
    _one(
        "context",
        "volatility_percentile",
        "fraction",
        "Share of earlier minutes, prior sessions included, whose volatility was lower",
        "rank of sigma among the sigma of the minutes before; null under 60 minutes",
        window="all minutes known",
        source=_MINUTES,
    ),
    _one(
        "context",
        "relative_volume",
        "ratio",
        "Volume of the trade date so far over the mean of the same part of earlier dates",
        "Σ volume to the last finished minute / mean over up to 20 prior sessions of the same sum"
        " to the same minute of the trade date, of those whose data reach from the open to it; null"
        " without one, or if the data of the date begin late",
        window="trade date so far",
        source=_MINUTES,
    ),
    _one(
        "context",
        "minute_volume_ratio",
        "ratio",
        "Volume of the last five finished minutes over the mean of the hour before",
        "mean volume of 5 minutes / mean volume of 60 minutes; minutes without trades count as 0",
        window="60 min before the decision",
        source=_MINUTES,
    ),
)

_LEVELS = "levels known at the decision"

CONFLUENCE_FEATURES = (
    _one(
        "confluence",
        "zone_levels",
        "count",
        "Levels that stand in the zone",
        "count of its members",
        source=_LEVELS,
    ),
    _one(
        "confluence",
        "zone_width_ticks",
        "ticks",
        "Height of the zone",
        "high − low",
        source=_LEVELS,
    ),
    _one(
        "confluence",
        "confluence_count",
        "count",
        "Real levels near the zone that are not of it",
        "count of levels within the band; band = max(merge_min_ticks, merge_sigma · sigma) · 4",
        source=_LEVELS,
    ),
    _one(
        "confluence",
        "confluence_score",
        "weight",
        "The same, weighted by kind and nearness",
        "Σ weight · (1 − distance / band)",
        source=_LEVELS,
    ),
    _one(
        "confluence",
        "nearest_level_ticks",
        "ticks",
        "Distance of the nearest real level that is not of the zone",
        "min |price − zone|",
        source=_LEVELS,
    ),
)

RUNWAY_FEATURES = (
    *(
        _one(
            "runway",
            f"runway_{way}_{unit}",
            unit,
            f"Way to the next strong real level in {way} direction; null if none is known",
            f"distance from the {edge} edge of the zone to the nearest level of weight ≥ 0.9",
            source=_LEVELS,
        )
        for way, edge in (("break", "far"), ("bounce", "near"))
        for unit in ("ticks", "sigma")
    ),
    _one(
        "runway",
        "obstacles_in_runway",
        "count",
        "Weaker real levels between the zone and the next strong one in break direction",
        "count; null if no strong level is known",
        source=_LEVELS,
    ),
)
