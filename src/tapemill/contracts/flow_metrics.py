"""Every metric of off-exchange flow, declared once.

In: nothing. Out: :data:`DAILY_METRICS`, :data:`SCAN_METRICS`, :data:`MACRO_METRICS`,
:data:`GROUP_METRICS` and :data:`COMPOSITE_METRICS`, from which the gold tables, the report's table,
its column dictionary, the plots and ``docs/flow-metrics.md`` are made. FINRA publishes no direction
of trades: every number about buying and selling is an inference.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts.dataset import Column
from tapemill.contracts.flow_daily_metrics import DAILY_METRICS
from tapemill.contracts.flow_metric import flow_metric as _m
from tapemill.contracts.metrics import Metric

__all__ = [
    "COMPOSITE_METRICS",
    "DAILY_METRICS",
    "EVENING",
    "GROUP_METRICS",
    "MACRO_METRICS",
    "SCAN_METRICS",
]

SCAN_METRICS: tuple[Metric, ...] = (
    _m("status", "eligible", "Eligible", "flag", "Takes part in the ranking", nullable=False),
    _m(
        "status",
        "ineligible_reason",
        "Why not",
        "text",
        "First rule that excludes it: class, no_volume, history, presence, price, dollar_volume"
        " or off_exchange_volume",
    ),
    _m("status", "security_class", "Class", "text", "common, warrant, right, unit …"),
    _m("status", "sector", "Sector", "text", "Of the memberships in force", table=True),
    _m("status", "split", "Split", "text", "listed for the session; suspected in the one before"),
    _m("short", "short_volume", "Short", "volume", "B"),
    _m("short", "total_volume", "Off-exch.", "volume", "D", table=True),
    _m("short", "short_share", "Share", "frac", "B / D", table=True),
    _m("short", "baseline_share", "Usual", "frac", "Share at the baseline", table=True),
    _m("short", "baseline_days", "Days", "count", "Valid sessions in it, at most 60", table=True),
    _m(
        "short",
        "share_move",
        "Move",
        "ratio",
        "Move of the logit share from its baseline",
        "y − baseline",
        unit="log odds",
    ),
    _m(
        "short",
        "peer_shift",
        "Peers",
        "ratio",
        "What peers did: median move of the eligible, plus the sector's own beyond that where the"
        " sector has 5 eligible names",
        unit="log odds",
    ),
    _m(
        "short",
        "peer_share_points",
        "Peers",
        "frac",
        "That move in points of share, at this name's baseline",
    ),
    _m(
        "short",
        "z",
        "z",
        "z",
        "Surprise of the short share, the market's (and sector's) move removed",
        "(y − baseline − peer_shift) / scale; scale from the median absolute deviation of the prior"
        " 60 sessions, not under the evening's 10th percentile, wider for short histories",
        table=True,
    ),
    _m(
        "short",
        "p_value",
        "p",
        "frac",
        "Against |z| of the eligible names on the prior 60 evenings",
        "(1 + #{pool ≥ |z|}) / (1 + N)",
    ),
    _m(
        "short",
        "p_source",
        "p from",
        "text",
        "prior_evenings; own_evening (less sure) while fewer than 5 evenings came before",
    ),
    _m("short", "q_value", "q", "frac", "Benjamini-Hochberg over the eligible", table=True),
    _m("short", "volume_ratio", "× volume", "ratio", "D to its prior 20-day median", table=True),
    _m("short", "volume_z", "Volume z", "z", "Surprise of ln D, market removed", table=True),
    _m("short", "volume_q_value", "Volume q", "frac", "Of high volume only", table=True),
    _m(
        "short",
        "score",
        "Score",
        "z",
        "What the lists are ordered by",
        "z · min(1, √(D / prior median D))",
        table=True,
    ),
    _m("status", "direction", "Sign", "text", "buying or selling", table=True),
    _m("status", "rank", "Rank", "count", "Within the direction; 1 is the most unusual"),
    _m("status", "volume_rank", "Volume rank", "count", "By volume z, highest first"),
    _m("status", "novelty", "Novelty", "text", "sudden, persistent or ordinary", table=True),
    _m("status", "run_length", "Run", "count", "Evenings in a row beyond 2 on this side"),
    _m("status", "volume_novelty", "Volume is", "text", "The same for volume", table=True),
    _m("price", "dollar_volume_median", "$ volume", "dollars", "Prior 20 sessions", table=True),
    _m("price", "last_close", "Close", "price", "Newest close known"),
    _m("otc", "otc_tier", "Tier", "text", "T1, T2 or OTC, where known"),
    _m("otc", "otc_next_publication", "OTC due", "date", "When the week's truth is due"),
)

_LIKE_EVENINGS = (
    "Evenings behind the share's percentile: of 252, those of half to twice as many names"
)

MACRO_METRICS: tuple[Metric, ...] = (
    _m("status", "names", "Names", "count", "Eligible names", nullable=False),
    _m("status", "rows", "Rows", "count", "Names in FINRA's file", nullable=False),
    _m("status", "priced_frac", "Priced", "frac", "Eligible names with a price"),
    _m("status", "weighting", "Weight", "text", "dollar, or share where prices are missing"),
    _m("short", "short_share", "Short share", "frac", "Of the eligible names, weighted"),
    _m("short", "equal_weight_share", "Equal wt.", "frac", "Mean of the names' shares"),
    _m("short", "breadth", "Breadth", "frac", "Part with z > 1 less part with z < −1"),
    _m("short", "dispersion", "Dispersion", "ratio", "Robust spread of z", "1.4826 · MAD"),
    _m("short", "peer_shift", "Shift", "ratio", "Median move of y", unit="log odds"),
    _m("short", "share_percentile", "Share pct", "frac", "Among the prior 252 evenings"),
    _m("short", "breadth_percentile", "Breadth pct", "frac", "Among the prior 252 evenings"),
    _m("short", "dispersion_percentile", "Disp. pct", "frac", "Among the prior 252 evenings"),
    _m("status", "percentile_days", "Days", "count", _LIKE_EVENINGS),
)

GROUP_METRICS: tuple[Metric, ...] = (
    _m("status", "members", "Members", "count", "Members in force", nullable=False),
    _m("status", "covered", "Covered", "count", "Members with a FINRA row", nullable=False),
    _m(
        "status",
        "weight_coverage_frac",
        "Coverage",
        "frac",
        "Weight (or count, where a weight is unknown) of the members behind the share",
    ),
    _m("status", "status", "Status", "text", "ready, thin (coverage under 90 %) or warming"),
    _m("status", "weighting", "Weight", "text", "dollar, or share where prices are missing"),
    _m("short", "short_volume", "Short", "volume", "Σ B"),
    _m("short", "total_volume", "Off-exch.", "volume", "Σ D"),
    _m("short", "short_share", "Share", "frac", "Σ B·close / Σ D·close", table=True),
    _m("short", "equal_weight_share", "Equal wt.", "frac", "Mean of the members' shares"),
    _m("short", "short_z", "z", "z", "Of the weighted share's logit, own past", table=True),
    _m("short", "equal_weight_z", "Equal wt. z", "z", "Of the equal-weighted share's logit"),
    _m("short", "breadth", "Breadth", "frac", "Members with z > 1 less z < −1", table=True),
    _m("signal", "pressure_label", "Label", "text", "As of a symbol; insufficient when thin"),
)

COMPOSITE_METRICS: tuple[Metric, ...] = (
    _m(
        "signal",
        "directional_score",
        "Direction",
        "ratio",
        "From the tape: exchanges and, if known, TRF prints",
        "tanh(z / 2) of the lit imbalance, averaged with the TRF's; whole tape in minute mode",
        unit="score −1 to 1",
    ),
    _m(
        "signal",
        "pressure_score",
        "Pressure",
        "ratio",
        "From the short share",
        "tanh(z / 2)",
        unit="score −1 to 1",
    ),
    _m(
        "signal",
        "participation_score",
        "Participation",
        "frac",
        "Percentile of OTC participation, from data published by then",
    ),
    _m(
        "signal",
        "composite_score",
        "Score",
        "ratio",
        "Agreement of the two, shrunk by confidence",
        "(w_d·d + w_p·p) / (weights of what is known) · (0.75 + 0.5·participation, 1 if unknown)"
        " · confidence, clipped to ±1",
        unit="score −1 to 1",
        table=True,
        guides=(-0.35, 0.0, 0.35),
    ),
    _m(
        "signal",
        "confidence",
        "Confidence",
        "frac",
        "How much evidence there is; FINRA's daily files alone reach 0.51",
        "n / (n + 2.93) · direction (tick 1, minute 0.85, none 0.7)"
        " · OTC (known 1, expired or unranked 0.9, none 0.85) · price (known 1, unknown 0.9)",
        table=True,
    ),
    _m(
        "signal",
        "final_label",
        "Signal",
        "text",
        "accumulate, distribute, divergent, neutral or insufficient",
        "begins at ±0.35, ends at ±0.15 or with a missing evening; divergent where direction and"
        " pressure lie beyond ±0.25 on opposite sides; insufficient under 0.5 confidence",
        table=True,
        nullable=False,
    ),
    _m("signal", "pending_label", "Pending", "text", "Label that has yet to hold long enough"),
    _m("signal", "pending_evenings", "Held", "count", "Evenings in a row it has held so far"),
    _m(
        "status",
        "data_quality",
        "Evidence",
        "text",
        "What the row stands on: short, tick or minute, otc, price, joined by +; or none",
        nullable=False,
    ),
)

EVENING: tuple[Column, ...] = (
    Column("as_of", pl.Datetime("us", "UTC"), "Nothing known later was used", "us UTC"),
    Column("known_at", pl.Datetime("us", "UTC"), "When the row could be acted on", "us UTC"),
)
