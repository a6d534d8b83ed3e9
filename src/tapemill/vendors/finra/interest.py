"""Rows of `consolidatedShortInterest`, from the Query API or a file, in the columns of bronze."""

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
    with_fields,
)
from tapemill.vendors.finra.requests import INTEREST

__all__ = ["INTEREST_FIELDS", "interest_rows"]

INTEREST_FIELDS = (
    "symbolCode",
    "issueName",
    "settlementDate",
    "currentShortPositionQuantity",
    "previousShortPositionQuantity",
    "averageDailyVolumeQuantity",
    "daysToCoverQuantity",
    "changePercent",
    "changePreviousNumber",
    "marketClassCode",
    "issuerServicesGroupExchangeCode",
    "stockSplitFlag",
    "revisionFlag",
    "accountingYearMonthNumber",
)
"""Fields that are read, or known and left alone."""

_QUANTITIES = {
    "short_interest": "currentShortPositionQuantity",
    "previous_short_interest": "previousShortPositionQuantity",
    "average_daily_volume": "averageDailyVolumeQuantity",
}
_REVISED = ("R", "Y", "TRUE", "1")
_SYMBOL = r"^[A-Za-z0-9][A-Za-z0-9 ./+=^#*$%~!@-]*$"


def interest_rows(fields: pl.DataFrame) -> Shaped:
    """Type, check and de-duplicate rows.

    Parameters
    ----------
    fields : pl.DataFrame
        `ordinal` and strings named as FINRA names its fields (:data:`INTEREST_FIELDS`); absent ones
        count as null.

    Returns
    -------
    frame : pl.DataFrame
        Columns of ``bronze.finra_short_interest`` without provenance.
    rejected : pl.DataFrame
        Rows set aside with their reasons. Rows that contradict each other are all set aside.
    notes : tuple of str
        How many exact repeats were dropped.
    """
    declared = contract(INTEREST)
    rows = with_fields(fields, INTEREST_FIELDS)
    values: list[Value] = [
        day("settlementDate", "settlement_date", required=True),
        *(
            quantity(field, name, declared.schema[name], required=name == "short_interest")
            for name, field in _QUANTITIES.items()
        ),
        number("daysToCoverQuantity", "days_to_cover"),
        number("changePercent", "change_percent"),
    ]
    symbol = pl.col("symbolCode")
    reasons = pl.concat_str(
        *(reason for _, reason in values),
        pl.when(~symbol.str.contains(_SYMBOL).fill_null(value=False)).then(
            pl.lit("symbol_not_a_symbol")
        ),
        separator=";",
        ignore_nulls=True,
    )
    flag = pl.col("revisionFlag").str.to_uppercase()
    typed = rows.select(
        "ordinal",
        *(value for value, _ in values),
        symbol=symbol,
        issue_name="issueName",
        market_class="marketClassCode",
        revised=pl.when(flag.is_not_null()).then(flag.is_in(_REVISED)),
        year=values[0][0].dt.year(),
        reasons=reasons,
    )
    return checked(declared, fields, typed, key=("symbol", "settlement_date"))
