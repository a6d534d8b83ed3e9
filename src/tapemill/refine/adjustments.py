"""Splits and dividends as factors that a read applies; prices at rest stay as traded.

Conventions, written down because every vendor has another one:

* a split multiplies earlier prices by ``split_from / split_to`` and earlier volumes by the inverse;
* a dividend multiplies earlier prices by ``1 - cash / previous close``, the unadjusted close of the
  exchange session before the ex-date: the cash buys shares at that close less the dividend;
* on a day with both, the split comes first: the vendor's cash is per old share and is restated to
  new shares, as is the close it is divided by.
"""

from __future__ import annotations

import dataclasses

import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.refine.versions import resolve_versions

__all__ = ["Adjustments", "adjustments"]

_EVENT = ("symbol", "ex_date")


@dataclasses.dataclass(frozen=True)
class Adjustments:
    """Factors, and the dividends that could not be turned into one.

    Attributes
    ----------
    rows : pl.DataFrame
        Rows of ``reference.adjustments``.
    unresolved : pl.DataFrame
        ``symbol``, ``ex_date``, ``reason``: the factor is null until the reason is gone. Only
        where an earlier daily bar of the symbol is kept; listings name the whole market for ever.
    """

    rows: pl.DataFrame
    unresolved: pl.DataFrame


def adjustments(
    splits: pl.DataFrame,
    dividends: pl.DataFrame,
    closes: pl.DataFrame,
    sessions: pl.DataFrame,
) -> Adjustments:
    """Turn corporate actions into factors.

    Parameters
    ----------
    splits : pl.DataFrame
        Rows of ``bronze.massive_splits``.
    dividends : pl.DataFrame
        Rows of ``bronze.massive_dividends``.
    closes : pl.DataFrame
        Versions of unadjusted daily closes: ``symbol``, ``session``, ``close``, ``known_at``,
        ``superseded_at``. A restated close makes a new version of the factor.
    sessions : pl.DataFrame
        ``session`` of the exchange, covering every ex-date and the session before it.

    Returns
    -------
    Adjustments
    """
    split_rows = _splits(splits)
    cash = _cash(dividends)
    cash = _with_previous_close(cash, closes, sessions)
    cash = _restated_to_new_shares(cash, split_rows)
    factors = _dividend_factors(cash)
    declared = contract("reference.adjustments")
    rows = pl.concat([split_rows, factors.drop("reason")], how="diagonal_relaxed")
    rows = declared.conform(rows.select(declared.schema.names()).sort(*declared.order))
    unresolved = (
        factors.filter(pl.col("superseded_at").is_null() & pl.col("reason").is_not_null())
        .join(closes.group_by("symbol").agg(begins=pl.col("session").min()), on="symbol")
        .filter(pl.col("ex_date") > pl.col("begins"))
        .select(*_EVENT, "reason")
        .sort(*_EVENT)
    )
    return Adjustments(rows, unresolved)


def _splits(bronze: pl.DataFrame) -> pl.DataFrame:
    """One factor per symbol and ex-date; another ratio in a later answer restates it."""
    versions = resolve_versions(
        bronze.with_columns(known_at_expr("ex_date_open").alias("rule_known_at")),
        key=_EVENT,
        group=_EVENT,
        values=("split_from", "split_to"),
    )
    return versions.select(
        *_EVENT,
        "split_from",
        "split_to",
        kind=pl.lit("split"),
        cash_amount=pl.lit(None, dtype=pl.Float64),
        previous_close=pl.lit(None, dtype=pl.Float64),
        price_factor_frac=pl.col("split_from") / pl.col("split_to"),
        volume_factor_frac=pl.col("split_to") / pl.col("split_from"),
        source="source",
        raw_sha256="raw_sha256",
        ordinal="ordinal",
        version="version",
        known_at="known_at",
        superseded_at="superseded_at",
    )


def _cash(bronze: pl.DataFrame) -> pl.DataFrame:
    """Cash per old share by ex-date over time: several payments of one day add up.

    A payment is one event (the vendor's id, or its type and pay date); the same payment under two
    ids counts once. Each payment is versioned by itself, then summed at every moment at which any
    of them changed.
    """
    identity = pl.coalesce(
        "id", pl.concat_str("dividend_type", "pay_date", separator="|", ignore_nulls=True)
    )
    events = bronze.with_columns(
        _event=identity,
        rule_known_at=known_at_expr("declared_next_morning"),
        _dollars=pl.coalesce("currency", pl.lit("USD")).str.to_uppercase() == "USD",
    )
    versions = resolve_versions(
        events, key=(*_EVENT, "_event"), group=_EVENT, values=("cash_amount", "_dollars")
    )
    twins = [*_EVENT, "cash_amount", "currency", "dividend_type", "declaration_date", "pay_date"]
    first = versions.filter(pl.col("version") == 1).sort(*_EVENT, "_event")
    events_once = first.unique(twins, keep="first", maintain_order=True)
    versions = versions.join(events_once, on=[*_EVENT, "_event"], how="semi")
    payment = [*_EVENT, "_event"]
    cash, foreign = pl.col("cash_amount"), (~pl.col("_dollars")).cast(pl.Int8)
    changes = versions.with_columns(
        _change=cash - cash.shift(1).over(payment, order_by="version").fill_null(0.0),
        _foreign=foreign - foreign.shift(1).over(payment, order_by="version").fill_null(0),
    ).sort(*_EVENT, "known_at", "raw_sha256", "ordinal")
    sums = changes.with_columns(
        cash_amount=pl.col("_change").cum_sum().over(*_EVENT),
        _dollars=pl.col("_foreign").cum_sum().over(*_EVENT) == 0,
    )
    moments = sums.group_by(*_EVENT, "known_at", maintain_order=True).last()
    return moments.with_columns(
        superseded_at=pl.col("known_at").shift(-1).over(*_EVENT),
    ).select(
        *_EVENT,
        "cash_amount",
        "_dollars",
        "source",
        "raw_sha256",
        "ordinal",
        "known_at",
        "superseded_at",
    )


def _with_previous_close(
    cash: pl.DataFrame, closes: pl.DataFrame, sessions: pl.DataFrame
) -> pl.DataFrame:
    """Join every version of the close of the exchange session before the ex-date.

    A pair of an event version and a close version holds while both do.
    """
    days = sessions.select(pl.col("session").sort())
    dated = (
        cash.sort("ex_date")
        .join_asof(
            days.with_columns(previous_session="session"),
            left_on="ex_date",
            right_on="session",
            strategy="backward",
            allow_exact_matches=False,
        )
        .drop("session")
    )
    if not closes.is_empty():
        # The close before a coming dividend is not due yet: its factor cannot exist either.
        dated = dated.filter(
            pl.col("previous_session").is_null()
            | (pl.col("previous_session") <= closes["session"].max())
        )
    known = closes.select(
        "symbol",
        previous_session="session",
        previous_close="close",
        close_known_at="known_at",
        close_superseded_at="superseded_at",
    )
    paired = dated.join(known, on=["symbol", "previous_session"], how="left")
    ends = pl.min_horizontal("superseded_at", "close_superseded_at")
    begins = pl.max_horizontal("known_at", "close_known_at")
    return (
        paired.with_columns(known_at=begins, superseded_at=ends)
        .filter(pl.col("superseded_at").is_null() | (pl.col("known_at") < pl.col("superseded_at")))
        .drop("close_known_at", "close_superseded_at")
        .sort(*_EVENT, "known_at")
    )


def _restated_to_new_shares(cash: pl.DataFrame, splits: pl.DataFrame) -> pl.DataFrame:
    """On the day of a split: cash and close per new share, by the current ratio of the split."""
    ratio = splits.filter(pl.col("superseded_at").is_null()).select(
        *_EVENT, _ratio="price_factor_frac"
    )
    joined = cash.join(ratio, on=_EVENT, how="left").with_columns(pl.col("_ratio").fill_null(1.0))
    return joined.with_columns(
        cash_amount=pl.col("cash_amount") * pl.col("_ratio"),
        _basis=pl.col("previous_close") * pl.col("_ratio"),
    )


def _dividend_factors(cash: pl.DataFrame) -> pl.DataFrame:
    reason = (
        pl.when(~pl.col("_dollars"))
        .then(pl.lit("currency_not_usd"))
        .when(pl.col("previous_close").is_null())
        .then(pl.lit("previous_close_missing"))
        .when(pl.col("cash_amount") >= pl.col("_basis"))
        .then(pl.lit("dividend_exceeds_price"))
    )
    factor = 1 - pl.col("cash_amount") / pl.col("_basis")
    return cash.sort(*_EVENT, "known_at").select(
        *_EVENT,
        "cash_amount",
        "previous_close",
        "source",
        "raw_sha256",
        "ordinal",
        "known_at",
        "superseded_at",
        kind=pl.lit("dividend"),
        split_from=pl.lit(None, dtype=pl.Float64),
        split_to=pl.lit(None, dtype=pl.Float64),
        price_factor_frac=pl.when(reason.is_null()).then(factor),
        volume_factor_frac=pl.lit(1.0),
        version=pl.int_range(1, pl.len() + 1, dtype=pl.Int16).over(*_EVENT),
        reason=reason,
    )
