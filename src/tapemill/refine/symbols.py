"""Every symbol that FINRA's daily files have named, in the house's spelling, with its kind."""

from __future__ import annotations

import polars as pl

from tapemill.contracts import contract
from tapemill.refine.symbology import (
    fifth_letter_class,
    is_test_symbol,
    massive_symbol,
    root_symbol,
    security_class,
)

__all__ = ["symbols"]


def symbols(seen: pl.DataFrame) -> pl.DataFrame:
    """Make the master of symbols.

    Parameters
    ----------
    seen : pl.DataFrame
        ``symbol`` as FINRA writes it, ``first_session``, ``last_session``; one row a symbol.

    Returns
    -------
    pl.DataFrame
        Rows of ``reference.symbols``. A fifth letter tells the kind only where the first four
        letters were a symbol at the same time.
    """
    declared = contract("reference.symbols")
    name = pl.col("symbol")
    house = seen.select(
        "first_session", "last_session", symbol=massive_symbol(name), finra_symbol="symbol"
    ).with_columns(_root=name.str.extract(r"^([A-Z]{4})[A-Z]$", 1))
    roots = house.select(_root="symbol", _from="first_session", _until="last_session")
    rows = house.join(roots, on="_root", how="left").with_columns(
        listed=(
            (pl.col("first_session") <= pl.col("_until"))
            & (pl.col("_from") <= pl.col("last_session"))
        ).fill_null(value=False)
    )
    told = fifth_letter_class(name, pl.col("listed"))
    judged = rows.with_columns(
        security_class=pl.coalesce(told, security_class(name)),
        root=pl.when(told.is_not_null()).then("_root").otherwise(root_symbol(name)),
        is_test=is_test_symbol(name),
    )
    return declared.conform(judged.select(declared.schema.names()).sort(*declared.order))
