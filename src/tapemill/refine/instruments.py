"""Tickers into instruments with a history; changes of symbol by the identifier that stays."""

from __future__ import annotations

import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.refine.versions import resolve_versions

__all__ = ["instruments", "symbol_changes"]

_FACTS = (
    "name",
    "type",
    "primary_exchange",
    "active",
    "cik",
    "composite_figi",
    "share_class_figi",
    "list_date",
    "delisted_date",
)
_IDENTIFIERS = ("share_class_figi", "composite_figi")


def instruments(tickers: pl.DataFrame) -> pl.DataFrame:
    """Refine downloaded ticker listings.

    Parameters
    ----------
    tickers : pl.DataFrame
        Rows of ``bronze.massive_tickers``.

    Returns
    -------
    pl.DataFrame
        Rows of ``reference.instruments``: a new version whenever a fact of the symbol changed.
        Listings asked for as of an older date than one already received are left out: they
        describe the past and must not pass for news.
    """
    delisted = pl.col("delisted_utc").str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    newest = pl.col("session").cum_max().over("symbol")
    rows = (
        tickers.sort("symbol", "ts_recv", "raw_sha256", "ordinal")
        .filter(pl.col("session") >= newest)
        .with_columns(delisted_date=delisted, rule_known_at=known_at_expr("received"))
    )
    versions = resolve_versions(rows, key=("symbol",), group=("symbol",), values=_FACTS)
    declared = contract("reference.instruments")
    return declared.conform(versions.select(declared.schema.names()).sort(*declared.order))


def symbol_changes(listed: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Find one instrument under two tickers.

    Parameters
    ----------
    listed : pl.DataFrame
        Rows of ``reference.instruments``.
    sessions : pl.DataFrame
        ``session`` of the exchange: the new ticker trades from the session after the old one's
        last date.

    Returns
    -------
    pl.DataFrame
        Rows of ``reference.symbol_changes``: same FIGI, the old ticker delisted, the new one not
        delisted before.
    """
    current = listed.filter(pl.col("superseded_at").is_null())
    pairs = pl.concat([_pairs(current, name) for name in _IDENTIFIERS])
    pairs = pairs.unique(["old_symbol", "new_symbol"], keep="first", maintain_order=True)
    days = sessions.select(change_date=pl.col("session").sort())
    dated = pairs.sort("old_delisted").join_asof(
        days.with_columns(_day="change_date"),
        left_on="old_delisted",
        right_on="_day",
        strategy="forward",
        allow_exact_matches=False,
    )
    declared = contract("reference.symbol_changes")
    rows = dated.drop_nulls("change_date").with_columns(
        version=pl.lit(1, dtype=pl.Int16),
        superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
    )
    return declared.conform(rows.select(declared.schema.names()).sort(*declared.order))


def _pairs(current: pl.DataFrame, identifier: str) -> pl.DataFrame:
    """Old and new ticker of the same identifier, each old one with the next that took over."""
    known = current.filter(pl.col(identifier).is_not_null() & (pl.col(identifier) != ""))
    old = known.filter(pl.col("delisted_date").is_not_null()).select(
        identifier, old_symbol="symbol", old_delisted="delisted_date", old_known="known_at"
    )
    new = known.select(
        identifier,
        "source",
        "raw_sha256",
        "ordinal",
        new_symbol="symbol",
        new_delisted="delisted_date",
        new_known="known_at",
    )
    later = pl.col("new_delisted").is_null() | (pl.col("new_delisted") > pl.col("old_delisted"))
    return (
        old.join(new, on=identifier)
        .filter((pl.col("old_symbol") != pl.col("new_symbol")) & later)
        .sort("old_symbol", "new_delisted", "new_symbol", nulls_last=True)
        .unique(["old_symbol"], keep="first", maintain_order=True)
        .select(
            "old_symbol",
            "new_symbol",
            "old_delisted",
            "source",
            "raw_sha256",
            "ordinal",
            evidence=pl.concat_str(pl.lit(f"{identifier} "), pl.col(identifier)),
            known_at=pl.max_horizontal("old_known", "new_known"),
        )
    )
