"""Corporate actions applied at read time: stored prices never change, factors do.

For a session *t*, prices are multiplied by the product of the price factors of all events with
``ex_date > t`` and volumes by the product of their volume factors, so the newest prices stay as
traded and earlier ones become comparable with them.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from tapemill.contracts import Quality
from tapemill.errors import ContractError, UsageError

__all__ = ["Adjustment", "adjust", "cumulative_factors", "kinds_of"]

Adjustment = Literal["split", "total_return"]

_KINDS: dict[str, tuple[str, ...]] = {"split": ("split",), "total_return": ("split", "dividend")}
_PRICES = ("open", "high", "low", "close", "vwap")


def kinds_of(mode: str) -> tuple[str, ...]:
    """Kinds of corporate action an adjustment takes in; UsageError if there is no such one."""
    if mode not in _KINDS:
        raise UsageError(
            f"adjust={mode!r} is not an adjustment",
            next_step='use "split", "total_return" or leave it out',
        )
    return _KINDS[mode]


def cumulative_factors(events: pl.DataFrame, mode: Adjustment) -> pl.DataFrame:
    """Step function per symbol: what applies to sessions before each ex-date.

    Parameters
    ----------
    events : pl.DataFrame
        Rows of ``reference.adjustments``: symbol, ex_date, kind, price_factor_frac,
        volume_factor_frac.
    mode : {"split", "total_return"}

    Returns
    -------
    pl.DataFrame
        symbol, ex_date, price_factor, volume_factor (Float64); one row per symbol and ex-date,
        sorted. The factors are products over this and all later events.

    Raises
    ------
    ContractError
        An event in question has no price factor (a dividend without a previous close).
    """
    events = events.filter(pl.col("kind").is_in(kinds_of(mode)))
    unknown = events.filter(pl.col("price_factor_frac").is_null()).sort("symbol", "ex_date")
    if unknown.height:
        named = [f"{symbol} {day}" for symbol, day in unknown.select("symbol", "ex_date").rows()]
        raise ContractError(
            f"{unknown.height} dividends cannot be turned into factors: {', '.join(named[:5])}",
            where="reference.adjustments: no close before the ex-date was known",
            next_step="fetch the daily bars before these dates and build, or use adjust='split'",
        )
    later = pl.int_range(pl.len()).reverse()
    return (
        events.group_by("symbol", "ex_date")
        .agg(
            price_factor=pl.col("price_factor_frac").product(),
            volume_factor=pl.col("volume_factor_frac").product(),
        )
        .sort("symbol", "ex_date")
        .with_columns(
            pl.col("price_factor", "volume_factor")
            .sort_by(later)
            .cum_prod()
            .reverse()
            .over("symbol")
        )
    )


def adjust(bars: pl.LazyFrame, events: pl.DataFrame, mode: Adjustment) -> pl.LazyFrame:
    """Bars with adjusted prices and volumes, sorted by symbol and time.

    Parameters
    ----------
    bars : pl.LazyFrame
        Unadjusted, with ``symbol`` and ``session``; price columns and ``volume`` where present.
    events : pl.DataFrame
        Rows of ``reference.adjustments`` as known at the moment of the read.
    mode : {"split", "total_return"}

    Raises
    ------
    ContractError
        See :func:`cumulative_factors`.
    """
    names = bars.collect_schema().names()
    time = [name for name in ("ts_event",) if name in names]
    steps = cumulative_factors(events, mode).lazy()
    # What the source has adjusted must not be adjusted twice.
    done = pl.col("quality") & int(Quality.ADJUSTED) != 0 if "quality" in names else pl.lit(False)
    scaled = [(pl.col(name) * pl.col("price_factor")).alias(name) for name in _PRICES]
    scaled.append(pl.col("volume") * pl.col("volume_factor"))
    return (
        # Sessions must ascend within a symbol for the join; one sort also restores file order.
        bars.sort("symbol", "session", *time, maintain_order=True)
        .join_asof(
            steps,
            left_on="session",
            right_on="ex_date",
            by="symbol",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .with_columns(
            pl.when(done).then(1.0).otherwise(pl.col(name).fill_null(1.0)).alias(name)
            for name in ("price_factor", "volume_factor")
        )
        .with_columns(expr for expr in scaled if expr.meta.output_name() in names)
        .select(names)
    )
