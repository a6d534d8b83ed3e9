"""What flow said, as dated events that a proof can judge without knowing flow.

An event is a name, the session whose evening spoke, the moment it could be acted on, a side and a
tier. Buying pressure and accumulation are the long side.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import polars as pl

from tapemill.flow.signals import current_signals

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = ["EVENT_SCHEMA", "eligible_names", "label_events", "scan_events"]

EVENT_SCHEMA: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "session": pl.Date(),
    "known_at": pl.Datetime("us", "UTC"),
    "side": pl.Int64(),
    "tier": pl.String(),
}

_SIDES = {"buying": 1, "selling": -1, "accumulate": 1, "distribute": -1}


def scan_events(
    lake: Lake,
    start: date | None = None,
    end: date | None = None,
    *,
    q_below: float = 0.10,
    top: int | None = None,
    as_of: datetime | None = None,
) -> pl.DataFrame:
    """Names that the scan of an evening called unusual.

    Parameters
    ----------
    lake : Lake
    start, end : date, optional
        Sessions of the evenings, both included.
    q_below : float
        Names whose q lies below it.
    top : int, optional
        The first names of each side of each evening instead, whatever their q.
    as_of : datetime, optional
        Evenings known by then.

    Returns
    -------
    pl.DataFrame
        Columns of :data:`EVENT_SCHEMA`, sorted by session and symbol.
    """
    chosen = pl.col("rank") <= top if top is not None else pl.col("q_value") < q_below
    rows = _between(lake, "gold.flow_scan", start, end, as_of).filter(
        pl.col("eligible"), pl.col("direction").is_not_null(), chosen
    )
    return _events(rows.select(*_identity(), label="direction", tier="otc_tier").collect())


def label_events(
    lake: Lake,
    start: date | None = None,
    end: date | None = None,
    *,
    as_of: datetime | None = None,
) -> pl.DataFrame:
    """Evenings on which a composite label began: accumulate or distribute, not so the row before.

    Parameters and returns as of :func:`scan_events`; of the inference version registered last.
    """
    rows = current_signals(lake).select(*_identity(), label="final_label")
    if as_of is not None:
        rows = rows.filter(pl.col("known_at") <= as_of)
    begun = (
        rows.sort("symbol", "session")
        .filter(pl.col("label").ne_missing(pl.col("label").shift(1).over("symbol")))
        .filter(pl.col("label").is_in(["accumulate", "distribute"]), *_within(start, end))
    )
    tiers = _between(lake, "gold.flow_daily", start, end, as_of).select(
        "symbol", "session", tier="otc_tier"
    )
    return _events(begun.join(tiers, on=["symbol", "session"], how="left").collect())


def eligible_names(
    lake: Lake,
    start: date | None = None,
    end: date | None = None,
    *,
    as_of: datetime | None = None,
) -> pl.DataFrame:
    """``symbol``, ``session`` of the names that took part in each evening's ranking."""
    rows = _between(lake, "gold.flow_scan", start, end, as_of).filter(pl.col("eligible"))
    return rows.select("symbol", "session").collect()


def _identity() -> tuple[str, ...]:
    return ("symbol", "session", "known_at")


def _within(start: date | None, end: date | None) -> list[pl.Expr]:
    day = pl.col("session")
    ends = (None if start is None else day >= start, None if end is None else day <= end)
    return [bound for bound in ends if bound is not None]


def _between(
    lake: Lake, dataset: str, start: date | None, end: date | None, as_of: datetime | None
) -> pl.LazyFrame:
    rows = lake.tables.scan(dataset, start=start, end=end).filter(
        pl.lit(value=True), *_within(start, end)
    )
    return rows if as_of is None else rows.filter(pl.col("known_at") <= as_of)


def _events(rows: pl.DataFrame) -> pl.DataFrame:
    side = pl.col("label").replace_strict(_SIDES, return_dtype=pl.Int64)
    signed = rows.with_columns(side=side)
    typed = signed.select(pl.col(name).cast(kind) for name, kind in EVENT_SCHEMA.items())
    return typed.sort("session", "symbol")
