"""Every metric of off-exchange flow, declared once.

In: nothing. Out: :data:`DAILY_METRICS`, :data:`SCAN_METRICS`, :data:`MACRO_METRICS`,
:data:`GROUP_METRICS` and :data:`COMPOSITE_METRICS`, from which the gold tables, the report's table,
its column dictionary, the plots and ``docs/flow-metrics.md`` are made. FINRA publishes no direction
of trades: every number about buying and selling is an inference.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts.dataset import Column
from tapemill.contracts.metrics import Form, Metric

__all__ = [
    "COMPOSITE_METRICS",
    "DAILY_METRICS",
    "EVENING",
    "GROUP_METRICS",
    "MACRO_METRICS",
    "SCAN_METRICS",
]

_FORM_UNIT: dict[Form, str] = {
    "volume": "shares",
    "dollars": "USD",
    "price": "USD/share",
    "frac": "fraction",
    "z": "robust standard deviations",
    "count": "count",
    "date": "date ET",
}


def _metric(
    block: str,
    name: str,
    label: str,
    form: Form,
    description: str,
    formula: str = "",
    *,
    table: bool = False,
    guides: tuple[float, ...] = (),
    dtype: pl.DataType | None = None,
    nullable: bool = True,
    unit: str | None = None,
) -> Metric:
    kinds: dict[Form, pl.DataType] = {
        "text": pl.String(),
        "date": pl.Date(),
        "flag": pl.Boolean(),
        "count": pl.Int32(),
    }
    return Metric(
        name,
        dtype or kinds.get(form, pl.Float64()),
        description,
        _FORM_UNIT.get(form, "") if unit is None else unit,
        nullable,
        {},
        block,
        label,
        formula,
        form,
        table,
        guides,
    )


_m = _metric

DAILY_METRICS: tuple[Metric, ...] = (
    # -- status ------------------------------------------------------------------------------
    _m("status", "finra_symbol", "FINRA", "text", "Symbol as FINRA writes it"),
    _m("status", "has_short", "has short", "flag", "FINRA's daily row is there", nullable=False),
    _m("status", "has_tape", "has tape", "flag", "The tape's imbalance is known", nullable=False),
    _m("status", "has_otc", "has OTC", "flag", "An unexpired OTC week is known", nullable=False),
    _m("status", "has_price", "has price", "flag", "A recent close is known", nullable=False),
    _m(
        "status",
        "status",
        "Status",
        "text",
        "ready, warming (no baseline yet) or no_short (no row of FINRA, or no volume in it: nothing"
        " is inferred)",
        nullable=False,
    ),
    # -- short -------------------------------------------------------------------------------
    _m("short", "short_source", "Source", "text", "consolidated, or the sum of facilities"),
    _m("short", "short_volume", "Short", "volume", "B: sold short off-exchange", table=True),
    _m("short", "short_exempt_volume", "Exempt", "volume", "Exempt part, contained in B"),
    _m("short", "rest_volume", "Rest", "volume", "S: the other side", "D − B"),
    _m("short", "total_volume", "Off-exch.", "volume", "D: FINRA's total", table=True),
    _m(
        "short",
        "short_share",
        "Short share",
        "frac",
        "Share of off-exchange volume sold short",
        "B / D, FINRA's total only",
        table=True,
    ),
    _m(
        "short",
        "short_to_rest_ratio",
        "B/S",
        "ratio",
        "Short volume to the rest; 1.25 and 0.80 are guides, labels come from z",
        "B / (D − B)",
        table=True,
        guides=(0.80, 1.0, 1.25),
    ),
    _m(
        "short",
        "short_share_logit",
        "Logit share",
        "ratio",
        "Smoothed logit of the short share",
        "y = ln((B + κ) / (S + κ)), κ = 0.5 % of the prior 20-day median D, at least 100 shares",
        unit="log odds",
    ),
    _m(
        "short",
        "short_baseline_share",
        "Usual share",
        "frac",
        "Short share at the baseline",
        "1 / (1 + exp(−median of y over the prior 60 sessions))",
    ),
    _m("short", "baseline_days", "Days", "count", "Valid sessions in the baseline, at most 60"),
    _m(
        "short",
        "short_z",
        "Short z",
        "z",
        "Surprise of the short share against the symbol's own past",
        "(y − baseline) / scale; the session itself is not in its baseline",
        table=True,
        guides=(-2.0, 0.0, 2.0),
    ),
    _m(
        "short",
        "volume_z",
        "Volume z",
        "z",
        "Surprise of off-exchange volume",
        "the same on ln D",
        table=True,
    ),
    _m("short", "volume_ratio", "× volume", "ratio", "D to its prior 20-day median", table=True),
    # -- tape --------------------------------------------------------------------------------
    _m("tape", "tape_mode", "Mode", "text", "tick, minute or none: the rung that was affordable"),
    _m("tape", "tape_buy_volume", "Buy", "volume", "All venues, inferred buys"),
    _m("tape", "tape_sell_volume", "Sell", "volume", "All venues, inferred sells"),
    _m("tape", "tape_unclassified_volume", "Unknown", "volume", "All venues, side unknown"),
    _m(
        "tape",
        "tape_imbalance",
        "Tape",
        "frac",
        "Direction of the whole tape",
        "(buy − sell) / (buy + sell), null under 10,000 shares",
        table=True,
        guides=(-0.2, -0.1, 0.0, 0.1, 0.2),
    ),
    _m("tape", "tape_z", "Tape z", "z", "Against prior days of the same mode", table=True),
    _m("tape", "quote_rule_frac", "Quote", "frac", "Volume classified by the prevailing quote"),
    _m("tape", "midpoint_frac", "Mid", "frac", "Volume classified by side of the midpoint"),
    _m("tape", "tick_rule_frac", "Tick", "frac", "Volume classified by the tick rule"),
    _m("tape", "bulk_frac", "Bulk", "frac", "Volume split by bulk-volume classification"),
    # -- lit and trf, tick mode only -----------------------------------------------------------
    _m("lit", "lit_buy_volume", "Lit buy", "volume", "On exchanges, inferred buys"),
    _m("lit", "lit_sell_volume", "Lit sell", "volume", "On exchanges, inferred sells"),
    _m(
        "lit",
        "lit_imbalance",
        "Lit",
        "frac",
        "Direction of the exchanges' tape, TRF prints excluded; tick mode only",
        "(buy − sell) / (buy + sell), null under 10,000 shares",
        table=True,
        guides=(-0.2, -0.1, 0.0, 0.1, 0.2),
    ),
    _m("lit", "lit_z", "Lit z", "z", "Against prior days", table=True),
    _m("trf", "trf_buy_volume", "TRF buy", "volume", "Off-exchange prints, inferred buys"),
    _m("trf", "trf_sell_volume", "TRF sell", "volume", "Off-exchange prints, inferred sells"),
    _m(
        "trf",
        "trf_imbalance",
        "TRF",
        "frac",
        "Direction of off-exchange prints signed against the NBBO; tick mode only",
        "(buy − sell) / (buy + sell), null under 10,000 shares",
        table=True,
        guides=(-0.2, 0.0, 0.2),
    ),
    _m("trf", "trf_z", "TRF z", "z", "Against prior days"),
    _m(
        "trf",
        "retail_imbalance",
        "Retail",
        "frac",
        "Direction of sub-penny improved prints; tick mode only, null under 10,000 shares",
        "Boehmer, Jones, Zhang, Zhang 2021: fraction of a cent in (0.6, 1) buys, (0, 0.4) sells",
    ),
    # -- otc ---------------------------------------------------------------------------------
    _m("otc", "otc_week", "OTC week", "date", "Monday of the newest week known", table=True),
    _m("otc", "otc_published", "Published", "date", "When that week was published"),
    _m("otc", "otc_age_sessions", "Age", "count", "Sessions since that week ended", table=True),
    _m("otc", "otc_status", "OTC", "text", "latest_known, expired or none; never the day's own"),
    _m("otc", "otc_tier", "Tier", "text", "T1, T2 or OTC"),
    _m(
        "otc",
        "otc_volume",
        "OTC volume",
        "volume",
        "ATS and non-ATS of that week; null while only one of the two is known",
    ),
    _m("otc", "otc_ats_volume", "ATS volume", "volume", "In dark pools, that week"),
    _m("otc", "otc_non_ats_volume", "Dealers", "volume", "Off-exchange at dealers, that week"),
    _m("otc", "otc_ats_frac", "ATS", "frac", "Dark pools' part of it", "ATS / (ATS + non-ATS)"),
    _m(
        "otc",
        "otc_venue_concentration",
        "HHI",
        "frac",
        "Herfindahl index of the dark pools' shares, where venue rows are known",
        "Σ (ATS shares / Σ ATS shares)²",
    ),
    _m("otc", "otc_average_trade_size", "Av. trade", "volume", "Shares a trade in that week, both"),
    _m(
        "otc",
        "otc_participation_frac",
        "Part.",
        "frac",
        "Off-exchange part of that calendar week's consolidated volume, extended hours included",
        "OTC week / Σ daily volume of the same Monday-to-Friday week; null unless every session of"
        " it has a bar",
        table=True,
    ),
    _m(
        "otc",
        "otc_participation_percentile",
        "Part. pct",
        "frac",
        "Mid-rank of that week among the known weeks before it: 8 to 52, of the last 260 sessions",
        "(weeks below + ½ weeks equal) / weeks",
    ),
    _m("otc", "otc_next_publication", "OTC due", "date", "When the session's own week is due"),
    # -- price -------------------------------------------------------------------------------
    _m(
        "price",
        "price_session",
        "Priced",
        "date",
        "Session of the newest close known, among the 20 before; usually the session before",
    ),
    _m("price", "close", "Close", "price", "Close of that session, unadjusted", table=True),
    _m(
        "price",
        "return_1d_frac",
        "Return",
        "frac",
        "From the close of the session before, splits removed",
        "close / previous close − 1; null where the session before has no bar",
        table=True,
    ),
    _m("price", "return_z", "Return z", "z", "Against the prior 60 sessions"),
    _m("price", "range_frac", "Range", "frac", "Of that session", "(high − low) / close"),
    _m("price", "consolidated_volume", "Volume", "volume", "All venues, that session"),
    _m("price", "dollar_volume_median", "$ volume", "dollars", "Prior 20 sessions, median"),
    # -- interest ----------------------------------------------------------------------------
    _m(
        "interest",
        "short_interest",
        "Short int.",
        "volume",
        "Open short position, newest known and at most 62 days old",
    ),
    _m("interest", "short_interest_settlement", "Settled", "date", "Its settlement date"),
    _m("interest", "days_to_cover", "Days", "ratio", "As FINRA computes it", unit="days"),
    _m(
        "interest",
        "short_interest_change_frac",
        "Change",
        "frac",
        "Against the settlement before, as FINRA gives both in one row",
    ),
    # -- signal ------------------------------------------------------------------------------
    _m(
        "signal",
        "pressure_score",
        "Pressure",
        "ratio",
        "Buying (+) or selling (−) pressure read from the short share",
        "tanh(z / 2); z of ±1 gives ±0.46",
        unit="score −1 to 1",
        guides=(-0.46, 0.0, 0.46),
    ),
    _m(
        "signal",
        "pressure_label",
        "Label",
        "text",
        "buying, selling, neutral, or insufficient where the evidence is missing",
        "z of ±1 and beyond (setting `flow.pressure_label_z`)",
        table=True,
        nullable=False,
    ),
)

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
