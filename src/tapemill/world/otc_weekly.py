"""Weekly off-exchange volume per symbol and venue, as FINRA publishes it: tiers, firms, revisions.

A symbol's week is the sum of its daily off-exchange volumes and of what trades outside regular
hours, split among alternative trading systems and other firms. Totals are the sums of firm rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import polars as pl

from tapemill.world.seeds import stream
from tapemill.world.specs import Tier

__all__ = ["ATS_FIRMS", "OTC_FIRMS", "WEEK_SCHEMA", "draw_week", "published", "tier_of"]

ATS_FIRMS = {
    "AURX": "AURORA CROSSING",
    "BLKP": "BLOCK POINT ATS",
    "COVE": "COVE MIDPOINT",
    "DRWN": "DARWIN ATS",
    "EVEN": "EVENTIDE POOL",
}
"""Made-up alternative trading systems: MPID to name."""

OTC_FIRMS = {
    "FALC": "FALCON SECURITIES LLC",
    "GRNT": "GRANITE MARKET MAKING LLC",
    "HRBR": "HARBOR WHOLESALE LLC",
    "IRON": "IRONWOOD EXECUTION LLC",
}
"""Made-up wholesalers: MPID to name."""

WEEK_SCHEMA = pl.Schema(
    {
        "week_start": pl.Date,
        "symbol": pl.String,
        "summary_type": pl.String,
        "tier": pl.String,
        "mpid": pl.String,
        "shares": pl.Int64,
        "trades": pl.Int64,
        "notional": pl.Float64,
        "last_traded": pl.Date,
        "first_published": pl.Date,
        "published": pl.Date,
    }
)
"""Rows of one week, revisions included: `published` is when a row, or its revision, came out."""

_TIERS: dict[Tier, str] = {"mega": "T1", "mid": "T1", "illiquid": "T2"}
_PUBLISHED_DAYS = {"T1": 21, "T2": 35}
_REVISED_EVERY = 40
_REVISED_AFTER = 11
_TRADE_SHARES = 140


def tier_of(tier: Tier) -> str:
    """FINRA's tier of a liquidity tier: the illiquid names are Tier 2."""
    return _TIERS[tier]


def published(monday: date, tier: str, holidays: frozenset[date]) -> date:
    """Date on which a week of a tier comes out: a Monday, or the day after a holiday."""
    day = monday + timedelta(days=_PUBLISHED_DAYS[tier])
    return day + timedelta(days=1) if day in holidays else day


def draw_week(
    seed: int,
    monday: date,
    symbols: Mapping[str, tuple[Tier, int, float]],
    sessions: list[date],
    holidays: frozenset[date],
) -> pl.DataFrame:
    """Draw all rows of one week.

    Parameters
    ----------
    seed : int
    monday : date
    symbols : mapping
        Ticker → liquidity tier, off-exchange shares of its daily files, price.
    sessions : list of date
        Sessions of the week.
    holidays : frozenset of date
        Mondays without a session, on which nothing is published.

    Returns
    -------
    polars.DataFrame
        ``WEEK_SCHEMA``; one row a firm, venue class and symbol, one total a venue class and symbol,
        and for one symbol in forty a revision of these eleven days later.
    """
    rows: list[tuple[object, ...]] = []
    for symbol, (tier, daily, price) in symbols.items():
        draw = stream(seed, "otc_week", symbol, monday.toordinal())
        name = tier_of(tier)
        out = published(monday, name, holidays)
        shares = _split(draw, int(daily * draw.uniform(1.01, 1.05)))
        versions = [(shares, out)]
        if draw.integers(_REVISED_EVERY) == 0:
            revised = {key: round(value * draw.uniform(1.01, 1.2)) for key, value in shares.items()}
            versions.append((revised, out + timedelta(days=_REVISED_AFTER)))
        for version, date_out in versions:
            known = (sessions[-1], out, date_out)
            for kind, mpid, volume in _with_totals(version):
                trades = max(1, volume // _TRADE_SHARES)
                money = round(volume * price, 2)
                rows.append((monday, symbol, kind, name, mpid, volume, trades, money, *known))
    frame = pl.DataFrame(rows, schema=WEEK_SCHEMA, orient="row")
    return frame.sort("symbol", "summary_type", "mpid", "published", nulls_last=False)


def _split(draw: np.random.Generator, shares: int) -> dict[tuple[str, str], int]:
    """Shares by (venue class, MPID); firms without any are left out."""
    ats = draw.uniform(0.2, 0.4)
    found: dict[tuple[str, str], int] = {}
    for venue, part, firms in (("ATS", ats, ATS_FIRMS), ("OTC", 1.0 - ats, OTC_FIRMS)):
        weights = draw.dirichlet(np.full(len(firms), 1.5))
        for mpid, weight in zip(firms, weights, strict=True):
            if volume := int(shares * part * weight):
                found[venue, mpid] = volume
    return found


def _with_totals(shares: Mapping[tuple[str, str], int]) -> list[tuple[str, str | None, int]]:
    """(summary type, MPID, shares): the firm rows, and a total of each venue class."""
    rows: list[tuple[str, str | None, int]] = []
    for venue in ("ATS", "OTC"):
        firms = {mpid: volume for (kind, mpid), volume in shares.items() if kind == venue}
        rows += [(f"{venue}_W_SMBL_FIRM", mpid, volume) for mpid, volume in firms.items()]
        if firms:
            rows.append((f"{venue}_W_SMBL", None, sum(firms.values())))
    return rows
