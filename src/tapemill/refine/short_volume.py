"""FINRA short sale volume: one row per symbol, session, facility and version, decimals kept."""

from __future__ import annotations

import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.refine.versions import resolve_versions

__all__ = ["FACILITY_OF_MARKET", "short_volume"]

CONSOLIDATED = "CNMS"
FACILITY_OF_MARKET = {"B": "FNQC", "D": "FNRA", "N": "FNYX", "O": "FORF", "Q": "FNSQ"}
"""Market code in a consolidated row → the facility file that holds its part."""

_DAY = ("symbol", "session")
_SUMS = ("short_volume", "total_volume")


def short_volume(bronze: pl.DataFrame) -> pl.DataFrame:
    """Refine short sale volume of whole sessions.

    Rows of the Query API and of the files share their key, so the same day from both is one fact.

    Parameters
    ----------
    bronze : pl.DataFrame
        Rows of ``bronze.finra_short_volume``, complete for their sessions.

    Returns
    -------
    pl.DataFrame
        Rows of ``silver.short_volume``. ``reconciled`` compares the sum of the facilities named in
        the consolidated row's market codes with it, short and total volume both; it is null where
        one of them was not delivered.
    """
    codes = pl.col("market").str.to_uppercase().str.split(",")
    codes = codes.list.eval(pl.element().str.strip_chars()).list.unique().list.sort()
    rows = bronze.with_columns(
        market=codes.list.join(","),
        rule_known_at=known_at_expr("finra_evening"),
    )
    versions = resolve_versions(
        rows,
        key=(*_DAY, "facility"),
        group=(*_DAY, "facility"),
        values=("short_volume", "short_exempt_volume", "total_volume", "market"),
        delivered=("session", "facility"),
    )
    verdict = _reconciled(versions.filter(pl.col("superseded_at").is_null()))
    judged = versions.join(verdict, on=_DAY, how="left").with_columns(
        reconciled=pl.when(pl.col("superseded_at").is_null() & _takes_part()).then("reconciled"),
        year=pl.col("session").dt.year(),
    )
    declared = contract("silver.short_volume")
    return declared.conform(judged.select(declared.schema.names()).sort(*declared.order))


def _takes_part() -> pl.Expr:
    return pl.col("facility").is_in([CONSOLIDATED, *FACILITY_OF_MARKET.values()])


def _reconciled(current: pl.DataFrame) -> pl.DataFrame:
    """Per symbol and session: whether the parts named in the consolidated row add up to it."""
    whole = current.filter(pl.col("facility") == CONSOLIDATED).select(*_DAY, *_SUMS, "market")
    wanted = (
        whole.select(*_DAY, code=pl.col("market").str.split(","))
        .explode("code", empty_as_null=True)
        .with_columns(
            facility=pl.col("code").replace_strict(
                FACILITY_OF_MARKET, default=None, return_dtype=pl.String
            )
        )
    )
    parts = current.filter(pl.col("facility") != CONSOLIDATED).select(
        *_DAY, "facility", *(pl.col(name).alias(f"part_{name}") for name in _SUMS)
    )
    found = wanted.join(parts, on=[*_DAY, "facility"], how="left")
    sums = found.group_by(_DAY).agg(
        complete=pl.col("part_total_volume").is_not_null().all(),
        **{f"sum_{name}": pl.col(f"part_{name}").sum() for name in _SUMS},
    )
    equal = pl.all_horizontal(pl.col(name) == pl.col(f"sum_{name}") for name in _SUMS)
    return whole.join(sums, on=_DAY).select(
        *_DAY, reconciled=pl.when(pl.col("complete")).then(equal)
    )
