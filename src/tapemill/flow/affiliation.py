"""Which sector and which OTC tier a symbol was known to belong to, evening by evening."""

from __future__ import annotations

import bisect
import datetime
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.flow.evening import evening_of

__all__ = ["Codes", "sectors_of", "tiers_of"]

Codes = npt.NDArray[np.int16]
"""Shape (evenings, symbols)."""

_TIER_DAYS = 182
"""A tier is known from weeks at most so old."""


def sectors_of(
    memberships: pl.DataFrame, symbols: Sequence[str], days: Sequence[datetime.date]
) -> tuple[Codes, list[str]]:
    """Code of each symbol's sector on each evening, by what was known then; −1 without one.

    A symbol in several sectors counts in the first by name.
    """
    codes = np.full((len(days), len(symbols)), -1, dtype=np.int16)
    rows = memberships.filter(pl.col("kind") == "sector", pl.col("symbol").is_in(list(symbols)))
    names = sorted(rows["group"].unique())
    place = {symbol: k for k, symbol in enumerate(symbols)}
    moments = [evening_of(day) for day in days]
    columns = ("symbol", "group", "valid_from", "valid_to", "known_at", "superseded_at")
    for symbol, group, since, until, known, gone in (
        rows.sort("group", "valid_from", "known_at", descending=True).select(columns).iter_rows()
    ):
        low = max(bisect.bisect_left(days, since), bisect.bisect_left(moments, known))
        high = len(days) if until is None else bisect.bisect_right(days, until)
        if gone is not None:
            high = min(high, bisect.bisect_left(moments, gone))
        codes[low:high, place[symbol]] = names.index(group)
    return codes, names


def tiers_of(
    otc: pl.DataFrame, symbols: Sequence[str], days: Sequence[datetime.date]
) -> tuple[Codes, list[str]]:
    """Code of each symbol's tier in its newest week known on each evening; −1 where unknown."""
    codes = np.full((len(days), len(symbols)), -1, dtype=np.int16)
    week, tier = pl.col("week_start"), pl.col("tier")
    # The next week came when the one before was too old: the evenings between knew no tier.
    ended = (week.shift() + pl.duration(days=_TIER_DAYS)).cast(pl.Datetime("us", "UTC"))
    broken = (tier != tier.shift()) | (pl.col("known_at") > ended)
    runs = (
        otc.filter(pl.col("symbol").is_in(list(symbols)))
        .select("symbol", "week_start", "tier", "known_at")
        .unique()
        .sort("symbol", "known_at", "week_start", "tier")
        .filter(week >= week.cum_max().over("symbol"))
        .with_columns(run=broken.over("symbol").fill_null(value=False).cum_sum().over("symbol"))
        .group_by("symbol", "run", maintain_order=True)
        .agg(tier.first(), pl.col("known_at").first(), week.max())
    )
    names = sorted(runs["tier"].unique())
    place = {symbol: k for k, symbol in enumerate(symbols)}
    moments = [evening_of(day) for day in days]
    for symbol, _, name, known, newest in runs.iter_rows():
        low = bisect.bisect_left(moments, known)
        high = bisect.bisect_right(days, newest + datetime.timedelta(days=_TIER_DAYS))
        codes[low:high, place[symbol]] = names.index(name)
    return codes, names
