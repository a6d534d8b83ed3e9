"""Features of book and tape at a level: barrier, tape, order-flow imbalance, and slots for fuel.

Windows are whole seconds: the window W goes from the start of the second that lies W seconds before
the decision's own second to the decision, so it is W seconds and a fraction long. A window that
began before the feed was whole (its first record, a snapshot, a silence of `levels.gap_seconds`)
gives null, never zero. The zone of the barrier is [low − b, high + b] with
b = max(`barrier_min_ticks`, `barrier_sigma` · σ); the band of the tape is made likewise.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts.level_feature import Family, LevelFeature

__all__ = [
    "BARRIER_FEATURES",
    "FUEL_FEATURES",
    "IMBALANCE_FEATURES",
    "IMBALANCE_TICKS",
    "TAPE_FEATURES",
    "TOUCH_WINDOW",
    "WINDOWS",
]

WINDOWS = (5, 15, 60, 240)
"""Lengths of the windows before a decision, in seconds."""
TOUCH_WINDOW = "touch"
"""Suffix of the window from the second of the touch on; null at the touch itself."""
IMBALANCE_TICKS = (1, 5, 10)
"""How many prices a side, from the best one, count as order-flow imbalance."""

_SPANS = (
    *((f"{seconds}s", f"{seconds} s before the decision") for seconds in WINDOWS),
    (TOUCH_WINDOW, "from the second of the touch to the decision; null at the touch"),
)
_BREAK = "favours a break"
_BOUNCE = "favours a bounce"
_ORDERS = "changes of the defending side in the zone"
_DEPTH = "book of the defending side in the zone"
_TRADES = "sided trades in the band of the tape"


def _feature(
    family: Family,
    name: str,
    unit: str,
    description: str,
    formula: str,
    window: str = "at the decision",
    sign: str = "",
    source: str = "",
    dtype: pl.DataType | None = None,
) -> LevelFeature:
    return LevelFeature(
        name,
        dtype or pl.Float64(),
        description,
        unit,
        True,
        family=family,
        formula=formula,
        window=window,
        sign=sign,
        source=source,
    )


def _barrier_now(name: str, unit: str, text: str, formula: str, sign: str = "") -> LevelFeature:
    return _feature("barrier", f"barrier_{name}", unit, text, formula, sign=sign, source=_DEPTH)


_BARRIER_NOW = (
    _barrier_now(
        "depth",
        "contracts",
        "Resting on the defending side in the zone",
        "Σ size; null where no price of the zone is in view",
        _BOUNCE,
    ),
    _barrier_now("orders", "count", "Orders that rest there", "Σ orders", _BOUNCE),
    _barrier_now(
        "order_size", "contracts", "Mean size of them", "depth / orders; null without orders"
    ),
    _barrier_now(
        "visible_frac",
        "fraction",
        "Share of the zone's prices that the feed shows: 1 for a feed of every order",
        "prices of the zone not beyond the last level in view / prices of the zone",
    ),
    _barrier_now(
        "density",
        "contracts/tick",
        "Depth for each price that is in view and not better than the side's best",
        "depth / such prices; null where there are none (the best has left the zone)",
        _BOUNCE,
    ),
    _barrier_now(
        "wall_ratio",
        "ratio",
        "Depth against what usually rests that far from the best",
        "depth / Σ baseline(distance from the best) over the same prices; the baseline is the mean"
        " of both sides at the start of each second so far, null before 30 of them",
        _BOUNCE,
    ),
)

_BARRIER_WINDOW = (
    ("added", "contracts", "Quantity added", "a = Σ quantity of adds", _BOUNCE),
    ("canceled", "contracts", "Quantity pulled", "c = Σ −quantity of cancels", _BREAK),
    ("filled", "contracts", "Quantity traded away", "f = Σ −quantity of fills", ""),
    ("net", "contracts", "Net change", "a − c − f", _BOUNCE),
    (
        "replenishment",
        "ratio",
        "Added for each contract that went",
        "a / (c + f); null where nothing went",
        _BOUNCE,
    ),
    ("net_pull", "ratio", "Net withdrawal against what rests", "(c − a) / depth", _BREAK),
    ("churn", "contracts", "All change", "a + c + f", ""),
    ("cancel_share", "fraction", "Share of pulls in all change", "c / (a + c + f)", _BREAK),
    ("fill_share", "fraction", "Share of what went that was traded", "f / (c + f)", ""),
    (
        "state",
        "code",
        "1 vacuum, 2 wall, 3 absorption, 4 consumed, 5 weak, 6 neutral",
        "first rule that holds, see tapemill.levels.states; null where the depth is",
        "",
    ),
    (
        "confidence",
        "fraction",
        "How much change there was to judge by",
        "min(1, churn / (5 · flow_min_contracts))",
        "",
    ),
)

BARRIER_FEATURES = (
    *_BARRIER_NOW,
    *(
        _feature(
            "barrier",
            f"barrier_{name}_{suffix}",
            unit,
            text,
            formula,
            window,
            sign,
            _ORDERS,
            pl.Int8() if name == "state" else None,
        )
        for suffix, window in _SPANS
        for name, unit, text, formula, sign in _BARRIER_WINDOW
    ),
)

_TAPE_WINDOW = (
    ("buy_volume", "contracts", "Bought by aggressors", "B = Σ size, aggressor buys", "", _TRADES),
    ("sell_volume", "contracts", "Sold by aggressors", "S = Σ size, aggressor sells", "", _TRADES),
    (
        "imbalance",
        "fraction",
        "Signed imbalance of aggressors",
        "(B − S) / (B + S); null without volume",
        "buying",
        _TRADES,
    ),
    ("pressure", "fraction", "The imbalance in break direction", "d · imbalance", _BREAK, _TRADES),
    (
        "velocity",
        "ticks/s",
        "Slope of price on time",
        "least squares over all trades, at any price, unweighted; null below two moments",
        "rising",
        "all trades",
    ),
    ("advance", "ticks/s", "The velocity in break direction", "d · velocity", _BREAK, "all trades"),
    (
        "acceleration",
        "ticks/s",
        "Change of the advance within the window",
        "d · (velocity of the last ⌊W/2⌋ + 1 seconds − of those before)",
        _BREAK,
        "all trades",
    ),
    (
        "trade_rate",
        "1/s",
        "Trades a second, at any price",
        "trades / length of the window",
        "",
        "all trades",
    ),
    (
        "trade_size",
        "contracts",
        "Mean size of a trade",
        "(B + S) / trades; null without trades",
        "",
        _TRADES,
    ),
    (
        "large_share",
        "fraction",
        "Share of volume in large trades",
        "Σ size of trades above the 95 % quantile of sizes so far / (B + S)",
        "",
        _TRADES,
    ),
    (
        "through_volume",
        "contracts",
        "Traded beyond the zone of the level, in break direction",
        "Σ size above high if d = +1, below low if d = −1",
        _BREAK,
        _TRADES,
    ),
    (
        "sweeps",
        "count",
        "Bursts of one aggressor that overlap the band",
        "≥ 2 prints of one side with gaps ≤ sweep_gap_ms and size ≥ sweep_multiple · u, where u is"
        " the usual volume of a second with trades as known at its start (mean with a half life of"
        " sigma_minutes; null before 30 such seconds)",
        "",
        "sided trades",
    ),
    (
        "sweep_multiple",
        "ratio",
        "Size of the largest of them",
        "max size / u; null without one",
        "",
        "sided trades",
    ),
    (
        "sweep_pressure",
        "ratio",
        "Sizes of them in break direction",
        "Σ d · side · size / u",
        _BREAK,
        "sided trades",
    ),
)

TAPE_FEATURES = tuple(
    _feature("tape", f"tape_{name}_{suffix}", unit, text, formula, window, sign, source)
    for suffix, window in _SPANS
    for name, unit, text, formula, sign, source in _TAPE_WINDOW
)

IMBALANCE_FEATURES = (
    _feature(
        "imbalance",
        "queue_pressure",
        "fraction",
        "Imbalance of what rests at the two best prices",
        "d · (bid size − ask size) / (bid size + ask size); null while crossed or one-sided",
        sign=_BREAK,
        source="best prices",
    ),
    _feature(
        "imbalance",
        "spread_ticks",
        "ticks",
        "Spread",
        "best ask − best bid; null while crossed or one-sided",
        source="best prices",
    ),
    _feature(
        "imbalance",
        "microprice_ticks",
        "ticks",
        "Size-weighted middle of the best prices from their plain middle",
        "d · ((bid · ask size + ask · bid size) / (bid size + ask size) − (bid + ask) / 2)",
        sign=_BREAK,
        source="best prices",
    ),
    *(
        _feature(
            "imbalance",
            f"ofi_{ticks}_{suffix}",
            "ratio",
            f"Order-flow imbalance of the best {ticks} price{'s' if ticks > 1 else ''} a side",
            "d · Σ (bid flow − ask flow) / usual depth of a side there (see barrier_wall_ratio);"
            " flow = signed quantity of adds, cancels and fills at prices less than"
            f" {ticks} tick{'s' if ticks > 1 else ''} from the better of the best before and after"
            " (Cont, Kukanov and Stoikov 2014 for one); null where the feed shows fewer levels",
            window,
            _BREAK,
            "changes near the best prices",
        )
        for suffix, window in _SPANS
        for ticks in IMBALANCE_TICKS
    ),
)


def _fuel(name: str, unit: str, text: str, formula: str, sign: str) -> LevelFeature:
    return _feature("fuel", name, unit, text, formula, sign=sign, source="options; null until then")


FUEL_FEATURES = (
    _fuel(
        "dealer_gamma",
        "contracts/tick",
        "What dealers must trade as price moves a tick at the level, in futures",
        "Σ dealer gamma of the strikes near the zone, as known at the decision",
        "dealers dampen",
    ),
    _fuel(
        "dealer_gamma_flow",
        "contracts/tick/min",
        "Change of the dealers' gamma near the level",
        "signed option trades near the zone / minute",
        "dealers come to dampen",
    ),
    _fuel(
        "gamma_flip_distance_sigma",
        "sigma",
        "Distance of the level from the price where dealers' gamma changes sign",
        "d · (flip − level) / σ",
        "the flip lies beyond the level",
    ),
)
