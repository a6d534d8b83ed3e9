"""Listings: splits, dividends, tickers, upcoming holidays."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import contract
from tapemill.errors import BadAnswerError
from tapemill.vendors.exchange import Request
from tapemill.vendors.massive.bars import Lane
from tapemill.vendors.massive.drift import DIVIDEND, MARKET_STATUS, SPLIT, TICKER, Envelope
from tapemill.vendors.rows import Field, read_rows, rejected_rows
from tapemill.vendors.shape import breaks_contract, in_column_order, partitioned

__all__ = ["LISTINGS", "read_listing"]

LISTINGS: dict[str, tuple[tuple[Field, ...], dict[str, str]]] = {
    "bronze.massive_splits": (SPLIT, {"symbol": "ticker", "ex_date": "execution_date"}),
    "bronze.massive_dividends": (DIVIDEND, {"symbol": "ticker", "ex_date": "ex_dividend_date"}),
    "bronze.massive_tickers": (TICKER, {"symbol": "ticker"}),
    "bronze.massive_market_status": (MARKET_STATUS, {"session": "date"}),
}
"""Dataset → documented fields, and our column name → the vendor's where they differ."""

_NO_DATE = ("", "none", "null", "n/a", "0000-00-00")


def read_listing(request: Request, envelope: Envelope) -> Lane:
    """Read one page of a listing.

    Raises
    ------
    BadAnswerError
        Rows of another ticker or outside the dates that were asked for, or fewer than claimed.
    msgspec.DecodeError
        The rows are no JSON.
    """
    dataset = contract(request.dataset)
    fields, renamed = LISTINGS[request.dataset]
    typed = read_rows(envelope.results, fields)
    # `count` is the number of rows of this page here; listings carry no resultsCount.
    if envelope.claimed is not None and envelope.claimed != typed.count:
        raise BadAnswerError(
            f"the answer reports completion with records missing: count {envelope.claimed}, "
            f"rows {typed.count}"
        )
    dates = [field.name for field in fields if field.family == "date"]
    rows = typed.frame.with_columns(
        pl.when(~pl.col(name).str.to_lowercase().is_in(_NO_DATE)).then(pl.col(name)).alias(name)
        for name in dates
    )
    parsed = rows.with_columns(
        pl.col(name).str.to_date("%Y-%m-%d", strict=False).alias(name) for name in dates
    )
    wrong = [
        pl.when(rows.get_column(name).is_not_null() & parsed.get_column(name).is_null()).then(
            pl.lit(f"{name}_not_a_date")
        )
        for name in dates
    ]
    reasons = pl.concat_str(wrong, separator=";", ignore_nulls=True) if wrong else pl.lit("")
    parsed = parsed.with_columns(reasons=reasons)
    frame = parsed.select(
        "reasons",
        "ordinal",
        *(
            pl.col(renamed.get(column.name, column.name)).alias(column.name)
            for column in dataset.columns
            if renamed.get(column.name, column.name) in typed.frame.columns
            and column.name != "ordinal"
        ),
    )
    if "session" not in frame.columns and "session" in dataset.schema:
        frame = frame.with_columns(session=pl.lit(request.start, dtype=pl.Date))
    misdated = frame.filter(pl.col("reasons") != "")
    frame = frame.filter(pl.col("reasons") == "").drop("reasons")
    _check_question(request, frame)
    good, bad = breaks_contract(dataset, partitioned(frame, dataset))
    bad = pl.concat([bad, misdated], how="diagonal")
    rejected = pl.concat([typed.broken, rejected_rows(bad, typed.frame)])
    return Lane(in_column_order(dataset, good), rejected.sort("ordinal"), typed.drift)


def _check_question(request: Request, frame: pl.DataFrame) -> None:
    if request.symbol != "*":
        others = frame.filter(pl.col("symbol") != request.symbol)
        if others.height:
            raise BadAnswerError(
                f"asked for {request.symbol}, answered for {others.get_column('symbol')[0]} too"
            )
    if request.start is None or request.end is None or "ex_date" not in frame.columns:
        return
    outside = frame.filter(~pl.col("ex_date").is_between(request.start, request.end))
    if outside.height:
        raise BadAnswerError(
            f"window ignored: asked for {request.start} to {request.end}, "
            f"got {outside.get_column('ex_date')[0]}"
        )
