"""Rows of `weeklySummary` and `consolidatedShortInterest`, field by field, in bronze columns."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import contract
from tapemill.vendors.finra.requests import INTEREST, WEEKLY
from tapemill.vendors.rows import exact_decimal, rejected_rows
from tapemill.vendors.shape import breaks_contract, in_column_order

__all__ = ["interest_rows", "weekly_rows"]

Shaped = tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]

_WEEK_DAYS = {
    "week_start": "weekStartDate",
    "initial_published_date": "initialPublishedDate",
    "last_update_date": "lastUpdateDate",
    "last_reported_date": "lastReportedDate",
}
_REVISED = ("R", "Y", "true")


def weekly_rows(fields: pl.DataFrame) -> Shaped:
    """Shape rows of `weeklySummary`.

    Parameters
    ----------
    fields : pl.DataFrame
        Strings named as FINRA names its fields, and `ordinal`.

    Returns
    -------
    frame : pl.DataFrame
        Columns of ``bronze.finra_otc_weekly`` without provenance.
    rejected : pl.DataFrame
        Rows that are set aside, with reasons.
    notes : tuple of str
        Always empty here: nothing is dropped.
    """
    shares, no_shares = _quantity("totalWeeklyShareQuantity", WEEKLY, "shares")
    trades = pl.col("totalWeeklyTradeCount").cast(pl.Int64, strict=False)
    tier = _tier()
    days = {name: _day(field) for name, field in _WEEK_DAYS.items()}
    week = days["week_start"]
    reasons = pl.concat_str(
        no_shares,
        pl.when(pl.col("totalWeeklyShareQuantity").is_null()).then(pl.lit("shares_missing")),
        *(_misread(name, field, days[name]) for name, field in _WEEK_DAYS.items()),
        _misread("trades", "totalWeeklyTradeCount", trades),
        pl.when(tier.is_null()).then(pl.lit("tier_unknown")),
        separator=";",
        ignore_nulls=True,
    )
    typed = fields.select(
        "ordinal",
        shares,
        symbol="issueSymbolIdentifier",
        issue_name="issueName",
        week_inferred=pl.lit(False),
        summary_type="summaryTypeCode",
        tier=tier,
        tier_identifier="tierIdentifier",
        tier_description="tierDescription",
        product_type="productTypeCode",
        mpid="MPID",
        participant_name="marketParticipantName",
        firm_crd="firmCRDNumber",
        trades=trades,
        notional=pl.col("totalNotionalSum").cast(pl.Float64, strict=False),
        year=week.dt.year(),
        reasons=reasons,
        **days,
    )
    return _checked(WEEKLY, fields, typed, "week_start")


def interest_rows(fields: pl.DataFrame) -> Shaped:
    """Shape rows of `consolidatedShortInterest`; arguments and results as of :func:`weekly_rows`.

    Columns are those of ``bronze.finra_short_interest``.
    """
    exact = [
        _quantity("currentShortPositionQuantity", INTEREST, "short_interest"),
        _quantity("previousShortPositionQuantity", INTEREST, "previous_short_interest"),
        _quantity("averageDailyVolumeQuantity", INTEREST, "average_daily_volume"),
    ]
    settled = _day("settlementDate")
    reasons = pl.concat_str(
        *(reason for _, reason in exact),
        pl.when(pl.col("currentShortPositionQuantity").is_null()).then(
            pl.lit("short_interest_missing")
        ),
        _misread("settlement_date", "settlementDate", settled),
        separator=";",
        ignore_nulls=True,
    )
    flag = pl.col("revisionFlag")
    typed = fields.select(
        "ordinal",
        *(value for value, _ in exact),
        symbol="symbolCode",
        issue_name="issueName",
        settlement_date=settled,
        days_to_cover=pl.col("daysToCoverQuantity").cast(pl.Float64, strict=False),
        change_percent=pl.col("changePercent").cast(pl.Float64, strict=False),
        market_class="marketClassCode",
        revised=pl.when(flag.is_not_null()).then(flag.is_in(_REVISED)),
        year=settled.dt.year(),
        reasons=reasons,
    )
    return _checked(INTEREST, fields, typed, "settlement_date")


def _checked(dataset: str, fields: pl.DataFrame, typed: pl.DataFrame, day: str) -> Shaped:
    declared = contract(dataset)
    misread = typed.filter(pl.col("reasons") != "")
    good, bad = breaks_contract(declared, typed.filter(pl.col("reasons") == "").drop("reasons"))
    bad = pl.concat([misread, bad], how="diagonal").with_columns(session=pl.col(day))
    return in_column_order(declared, good), rejected_rows(bad, fields).sort("ordinal"), ()


def _tier() -> pl.Expr:
    """T1, T2 or OTC, from the identifier or else from words such as "NMS Tier 1"."""
    told = pl.col("tierIdentifier")
    words = pl.col("tierDescription").fill_null("")
    said = (
        pl.when(words.str.contains(r"(?i)tier\s*1"))
        .then(pl.lit("T1"))
        .when(words.str.contains(r"(?i)tier\s*2"))
        .then(pl.lit("T2"))
        .when(words.str.contains(r"(?i)\bOTC\b"))
        .then(pl.lit("OTC"))
    )
    return pl.when(told.is_in(["T1", "T2", "OTC"])).then(told).otherwise(said)


def _day(field: str) -> pl.Expr:
    return pl.col(field).str.to_date("%Y-%m-%d", strict=False)


def _misread(name: str, field: str, value: pl.Expr) -> pl.Expr:
    misread = pl.col(field).is_not_null() & value.is_null()
    return pl.when(misread).then(pl.lit(f"{name}_unreadable"))


def _quantity(field: str, dataset: str, name: str) -> tuple[pl.Expr, pl.Expr]:
    dtype = contract(dataset).schema[name]
    assert isinstance(dtype, pl.Decimal)  # declared so; narrows the type
    value, reason = exact_decimal(field, dtype)
    return value.alias(name), reason
