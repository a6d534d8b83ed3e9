"""The data sets of FINRA's Query API, row by row as its server names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

from tapemill.world.daily import MICRO
from tapemill.world.otc_weekly import ATS_FIRMS, OTC_FIRMS
from tapemill.world.sandbox.feed import Served, VendorFeed
from tapemill.world.short_volume import FACILITIES

__all__ = ["DATASETS", "ApiDataset"]

_FIRM_NAMES = {**ATS_FIRMS, **OTC_FIRMS}
_CRD_OF = {mpid: 100_001 + place for place, mpid in enumerate(_FIRM_NAMES)}


@dataclass(frozen=True)
class ApiDataset:
    """One data set: the date field that bounds it, and its rows between two dates."""

    date_field: str
    rows: Callable[[VendorFeed, date, date], Served]


def _reg_sho_daily(feed: VendorFeed, first: date, last: date) -> Served:
    """One row per symbol, session and facility, in the order of dates."""
    frames, withheld = [], 0
    for session in feed.sessions(first, last):
        served = feed.short_volume(session, "*", "finra_api")
        frames.append(served.frame)
        withheld += served.withheld
    rows = pl.concat([feed.market.short_volume(date(1900, 1, 1)), *frames])
    named = rows.select(
        tradeReportDate="session",
        securitiesInformationProcessorSymbolIdentifier="symbol",
        shortParQuantity=_number("short"),
        shortExemptParQuantity=_number("exempt"),
        totalParQuantity=_number("total"),
        marketCode="facility",
        reportingFacilityCode=pl.col("facility").replace_strict(
            {code: name for code, (_, name) in FACILITIES.items()}
        ),
    )
    return Served(named, withheld)


def _weekly_summary(feed: VendorFeed, first: date, last: date) -> Served:
    """Totals, firm rows and market statistics of every week, all mixed as the vendor mixes them."""
    frames, withheld = [], 0
    for monday in feed.weeks(first, last):
        served = feed.otc_week(monday)
        frames += [served.frame, _statistics(served.frame)]
        withheld += served.withheld
    rows = pl.concat([feed.market.otc_week(date(1900, 1, 1)), *frames])
    firm = pl.col("mpid")
    named = rows.select(
        issueSymbolIdentifier="symbol",
        issueName=pl.concat_str("symbol", pl.lit(" Synthetic Common Stock")),
        firmCRDNumber=firm.replace_strict(_CRD_OF, default=None),
        MPID=firm,
        marketParticipantName=firm.replace_strict(_FIRM_NAMES, default=None),
        tierIdentifier="tier",
        tierDescription=pl.concat_str(pl.lit("NMS Tier "), pl.col("tier").str.slice(1)),
        summaryStartDate="week_start",
        weekStartDate="week_start",
        totalWeeklyShareQuantity="shares",
        totalWeeklyTradeCount="trades",
        totalNotionalSum="notional",
        lastReportedDate="last_traded",
        initialPublishedDate="first_published",
        lastUpdateDate="published",
        productTypeCode=pl.lit("UTP"),
        summaryTypeCode="summary_type",
    )
    return Served(named, withheld)


def _statistics(week: pl.DataFrame) -> pl.DataFrame:
    """Totals of the whole market, without a symbol; out once all tiers are."""
    if week.is_empty() or week.filter(pl.col("tier") != "T1").is_empty():
        return week.clear()
    totals = week.filter(pl.col("mpid").is_null()).with_columns(
        summary_type=pl.col("summary_type").str.replace("_SMBL", "_VOL_STATS"),
        symbol=pl.lit(None, dtype=pl.String),
        tier=pl.lit("T2"),
    )
    keys = ["week_start", "symbol", "summary_type", "tier", "mpid"]
    return (
        totals.group_by(keys, maintain_order=True)
        .agg(
            pl.col("shares", "trades", "notional").sum(),
            pl.col("last_traded", "first_published", "published").max(),
        )
        .select(week.columns)
    )


def _short_interest(feed: VendorFeed, first: date, last: date) -> Served:
    frames = [feed.short_interest(settled) for settled in feed.settlements(first, last)]
    rows = pl.concat([feed.market.short_interest(date(1900, 1, 1)), *frames])
    position, previous = pl.col("short_interest"), pl.col("previous")
    volume = pl.col("average_volume")
    change = ((position - previous) / previous * 100.0).round(2)
    named = rows.select(
        accountingYearMonthNumber=pl.col("settlement_date").dt.to_string("%Y%m%d").cast(pl.Int64),
        symbolCode="symbol",
        issueName=pl.concat_str("symbol", pl.lit(" Synthetic Common Stock")),
        issuerServicesGroupExchangeCode=pl.lit("R"),
        marketClassCode=pl.lit("NNM"),
        currentShortPositionQuantity=position,
        previousShortPositionQuantity=previous,
        stockSplitFlag=pl.lit(None, dtype=pl.String),
        averageDailyVolumeQuantity=volume,
        daysToCoverQuantity=pl.when(volume > 0).then((position / volume).round(2)),
        revisionFlag=pl.lit(None, dtype=pl.String),
        changePercent=pl.when(previous > 0).then(change),
        changePreviousNumber=position - previous,
        settlementDate="settlement_date",
    )
    return Served(named)


DATASETS: dict[str, ApiDataset] = {
    "regshodaily": ApiDataset("tradeReportDate", _reg_sho_daily),
    "weeklysummary": ApiDataset("weekStartDate", _weekly_summary),
    "consolidatedshortinterest": ApiDataset("settlementDate", _short_interest),
}
"""Lower-case name → data set of the group ``otcMarket``."""


def _number(name: str) -> pl.Expr:
    """Shares as the nearest double to the decimal text: a division would be an ulp off."""
    whole, rest = pl.col(name) // MICRO, pl.col(name) % MICRO
    text = pl.concat_str(whole, pl.lit("."), rest.cast(pl.String).str.zfill(6))
    return text.cast(pl.Float64).alias(name)
