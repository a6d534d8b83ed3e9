"""Rows of `weeklySummary`, from the Query API or a file, in the columns of bronze.

One list mixes totals per symbol (`ATS_W_SMBL`, `OTC_W_SMBL`), the same volume per venue or firm
(`…_FIRM`), and totals of the whole market. Bronze keeps the first two, told apart by
``summary_type``; market totals name no symbol and are skipped.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts import contract
from tapemill.vendors.finra.fields import (
    Shaped,
    Value,
    checked,
    day,
    number,
    quantity,
    whole,
    with_fields,
)
from tapemill.vendors.finra.requests import FIRM_TYPES, SYMBOL_TYPES, WEEKLY

__all__ = ["WEEKLY_FIELDS", "tier_of", "weekly_rows"]

WEEKLY_FIELDS = (
    "issueSymbolIdentifier",
    "issueName",
    "weekStartDate",
    "summaryTypeCode",
    "tierIdentifier",
    "tierDescription",
    "productTypeCode",
    "MPID",
    "marketParticipantName",
    "firmCRDNumber",
    "totalWeeklyShareQuantity",
    "totalWeeklyTradeCount",
    "totalNotionalSum",
    "initialPublishedDate",
    "lastUpdateDate",
    "lastReportedDate",
    "summaryStartDate",
)
"""Fields that are read; others are left alone."""

_TEXT = {
    "symbol": "issueSymbolIdentifier",
    "issue_name": "issueName",
    "summary_type": "summaryTypeCode",
    "tier_identifier": "tierIdentifier",
    "tier_description": "tierDescription",
    "product_type": "productTypeCode",
    "mpid": "MPID",
    "participant_name": "marketParticipantName",
    "firm_crd": "firmCRDNumber",
}
_KEY = (
    "symbol",
    "week_start",
    "summary_type",
    "tier",
    "mpid",
    "firm_crd",
    "participant_name",
    "last_update_date",
)
_KINDS = (*SYMBOL_TYPES, *FIRM_TYPES)
_MARKET_TOTALS = r"_VOL_STATS"
_SYMBOL = r"^[A-Za-z0-9][A-Za-z0-9 ./+=^#*$%~!@-]*$"


def weekly_rows(fields: pl.DataFrame) -> Shaped:
    """Type, check and de-duplicate rows.

    Parameters
    ----------
    fields : pl.DataFrame
        `ordinal` and strings named as FINRA names its fields (:data:`WEEKLY_FIELDS`); absent ones
        count as null. An optional Boolean ``week_inferred`` says that `weekStartDate` is not the
        source's own word.

    Returns
    -------
    frame : pl.DataFrame
        Columns of ``bronze.finra_otc_weekly`` without provenance. Shares are ``Decimal(20, 6)``.
    rejected : pl.DataFrame
        Rows set aside with their reasons. Rows that contradict each other are all set aside.
    notes : tuple of str
        How many market totals were skipped and exact repeats dropped.
    """
    declared = contract(WEEKLY)
    named = with_fields(fields, WEEKLY_FIELDS).with_columns(
        fields.get_column("week_inferred")
        if "week_inferred" in fields.columns
        else pl.lit(value=False).alias("week_inferred")
    )
    totals = pl.col("summaryTypeCode").str.contains(_MARKET_TOTALS).fill_null(value=False)
    rows = named.filter(~totals)
    values: list[Value] = [
        quantity("totalWeeklyShareQuantity", "shares", declared.schema["shares"], required=True),
        whole("totalWeeklyTradeCount", "trades"),
        number("totalNotionalSum", "notional"),
        day("weekStartDate", "week_start", required=True),
        day("initialPublishedDate", "initial_published_date"),
        day("lastUpdateDate", "last_update_date", required=True),
        day("lastReportedDate", "last_reported_date"),
    ]
    tier = tier_of("tierIdentifier", "tierDescription")
    reasons = pl.concat_str(
        *(reason for _, reason in values),
        _unless(pl.col("issueSymbolIdentifier").str.contains(_SYMBOL), "symbol_not_a_symbol"),
        _unless(pl.col("summaryTypeCode").is_in(_KINDS), "summary_type_unknown"),
        _unless(tier.is_not_null(), "tier_unknown"),
        separator=";",
        ignore_nulls=True,
    )
    typed = rows.select(
        "ordinal",
        "week_inferred",
        *(pl.col(field).alias(name) for name, field in _TEXT.items()),
        *(value for value, _ in values),
        tier=tier,
        year=values[3][0].dt.year(),
        reasons=reasons,
    )
    skipped = {"{} rows of market totals skipped": named.height - rows.height}
    return checked(declared, _as_sent(fields), typed, key=_KEY, notes=skipped)


def tier_of(identifier: str, description: str) -> pl.Expr:
    """T1, T2 or OTC from both tier fields, whichever tells; null where neither does.

    FINRA sends `T1`, and also `NMS` beside "NMS Tier 1", or the description alone.
    """
    told = [pl.col(name).str.to_uppercase() for name in (identifier, description)]
    found = [
        pl.when(words.str.contains(r"\bT(IER)?\s*1\b"))
        .then(pl.lit("T1"))
        .when(words.str.contains(r"\bT(IER)?\s*2\b"))
        .then(pl.lit("T2"))
        .when(words.str.contains(r"\bOTC"))
        .then(pl.lit("OTC"))
        for words in told
    ]
    return pl.coalesce(*found)


def _unless(sound: pl.Expr, reason: str) -> pl.Expr:
    return pl.when(~sound.fill_null(value=False)).then(pl.lit(reason))


def _as_sent(fields: pl.DataFrame) -> pl.DataFrame:
    """Without the column that is ours."""
    return fields.drop("week_inferred", strict=False)
