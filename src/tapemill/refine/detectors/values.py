"""Patterns that show in the values: sentinels, foreign prints, splits on the wrong basis."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tapemill.refine.detectors.findings import Finding, by_session
from tapemill.refine.jumps import mark_jumps

__all__ = ["off_exchange_prints", "sentinel_value", "split_unadjusted"]

_PRICES = ("open", "high", "low", "close")
_FAR_FRAC = 0.2
_NEIGHBOURS = 15
_LEAST_WICK_FRAC = 0.01
_LEAST_SPLIT_LOG = 0.15
"""Splits smaller than about 7:6 cannot be told from an overnight move."""


def sentinel_value(
    dataset: str, bars: pl.DataFrame, sentinels: Sequence[float] = (999.99,)
) -> list[Finding]:
    """A number that vendors write for "no value", read as a price or a volume.

    A price counts when it stands far from its neighbours (a share may really cost 999.99); a
    volume counts when no other volume of the symbol and session has a fraction.

    Parameters
    ----------
    dataset : str
    bars : pl.DataFrame
        ``symbol``, ``session``, ``ts_event``, prices, ``volume``; current versions.
    sentinels : sequence of float
    """
    written = pl.any_horizontal(pl.col(name).is_in(list(sentinels)) for name in _PRICES)
    volume = pl.col("volume").is_in(list(sentinels))
    suspects = bars.filter(written | volume).select("symbol", "session").unique()
    if suspects.is_empty():
        return []
    beside = bars.join(suspects.select("symbol").unique(), on="symbol", how="semi").sort(
        "symbol", "ts_event"
    )
    # Sentinels must not vouch for each other: neighbours are the closes that are none.
    honest = pl.when(~pl.col("close").is_in(list(sentinels))).then(pl.col("close"))
    usual = honest.rolling_median(_NEIGHBOURS, min_samples=1, center=True)
    usual = pl.coalesce(usual, usual.forward_fill(), usual.backward_fill()).over("symbol")
    away = ((pl.col(name) / usual).log().abs() > _FAR_FRAC for name in _PRICES)
    # Not one other close to compare with: a price that never moves is no price.
    frozen = usual.is_null() & (pl.len().over("symbol") > 1)
    far = pl.any_horizontal(
        pl.col(name).is_in(list(sentinels)) & (test.fill_null(value=False) | frozen)
        for name, test in zip(_PRICES, away, strict=True)
    )
    fractions = ((pl.col("volume") % 1 != 0) & ~volume).sum().over("symbol", "session")
    evidence = beside.filter(far | (volume & (fractions == 0)).fill_null(value=False)).select(
        "symbol", "session", "ts_event", *_PRICES, "volume"
    )
    return by_session("sentinel_value", dataset, evidence, "{rows} bars hold a sentinel as value")


def off_exchange_prints(
    dataset: str, bars: pl.DataFrame, *, jump_multiple: float = 12.0
) -> list[Finding]:
    """Lone highs and lows far from the market: prints that never met the exchanges' quotes.

    Regular hours only; at least one percent and `jump_multiple` usual minutes away.

    Parameters
    ----------
    dataset : str
    bars : pl.DataFrame
        Current versions with ``segment``, ``quality`` and prices.
    jump_multiple : float
        See `mark_jumps`.
    """
    regular = bars.filter(pl.col("segment") == "rth").sort("symbol", "ts_event")
    marked = mark_jumps(regular.with_columns(version=pl.lit(1, dtype=pl.Int16)), jump_multiple)
    body_high, body_low = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    away = pl.max_horizontal(pl.col("high") / body_high, body_low / pl.col("low")) - 1
    evidence = marked.filter(pl.col("spike") & (away > _LEAST_WICK_FRAC)).select(
        "symbol", "session", "ts_event", *_PRICES, away_frac=away
    )
    return by_session(
        "off_exchange_prints",
        dataset,
        evidence,
        "{rows} lone highs or lows far from the market",
        severity="warning",
    )


def split_unadjusted(dataset: str, daily: pl.DataFrame, splits: pl.DataFrame) -> list[Finding]:
    """Split days on the basis of the day before, and raw bars that a vendor adjusted.

    From the close before to the open of the ex-date an unadjusted series moves by
    ``split_from / split_to``, an adjusted one not at all. The finding says which was promised.

    Parameters
    ----------
    dataset : str
    daily : pl.DataFrame
        ``symbol``, ``session``, ``open``, ``close``, ``adjusted`` (what the lane promised).
    splits : pl.DataFrame
        ``symbol``, ``ex_date``, ``price_factor_frac`` (from/to), one row an event.
    """
    before = pl.col("close").shift(1).over("symbol", "adjusted")
    moves = daily.sort("symbol", "adjusted", "session").with_columns(previous_close=before)
    seen = moves.join(
        splits.select("symbol", session="ex_date", price_factor_frac="price_factor_frac"),
        on=["symbol", "session"],
        how="inner",
    ).drop_nulls("previous_close")
    move = (pl.col("open") / pl.col("previous_close")).log()
    factor = pl.col("price_factor_frac").log()
    promised = pl.when(pl.col("adjusted")).then(0.0).otherwise(factor)
    other = pl.when(pl.col("adjusted")).then(factor).otherwise(0.0)
    evidence = seen.filter(
        (factor.abs() > _LEAST_SPLIT_LOG) & ((move - promised).abs() > (move - other).abs())
    ).select(
        "symbol",
        "session",
        "adjusted",
        "previous_close",
        "open",
        "price_factor_frac",
        move_frac=move.exp(),
    )
    return by_session(
        "split_unadjusted", dataset, evidence, "{symbols} splits are on the wrong basis"
    )
