"""Members of indices, sectors and themes, with the dates on which they count."""

from __future__ import annotations

import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.refine.symbology import massive_symbol
from tapemill.refine.versions import resolve_versions

__all__ = ["memberships"]

_FACT = ("group", "symbol", "valid_from")
_VALUES = ("kind", "weight_frac", "valid_to")


def memberships(imported: pl.DataFrame) -> pl.DataFrame:
    """Refine imported memberships.

    Parameters
    ----------
    imported : pl.DataFrame
        Rows of ``bronze.imported_memberships``.

    Returns
    -------
    pl.DataFrame
        Rows of ``reference.memberships``, symbols in the house's spelling. A later file that
        repeats a member with another weight or an end restates it from its arrival on; a member
        that a later file leaves out stays one.
    """
    declared = contract("reference.memberships")
    if imported.is_empty():
        return declared.empty()
    rows = imported.with_columns(
        symbol=massive_symbol(pl.col("symbol"), "any"),
        rule_known_at=known_at_expr("effective_date"),
        # A file's name must not decide whose word counts: the latest import does.
        source=pl.lit("import:memberships"),
    )
    versions = resolve_versions(rows, key=_FACT, group=_FACT, values=_VALUES)
    return declared.conform(versions.select(declared.schema.names()).sort(*declared.order))
