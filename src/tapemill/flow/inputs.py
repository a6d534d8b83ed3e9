"""What some evenings are computed from: every fact visible by the last of them, and no other."""

from __future__ import annotations

import dataclasses
from datetime import date

import polars as pl

from tapemill.flow.panel import Panel

__all__ = ["EveningInputs"]


@dataclasses.dataclass(frozen=True)
class EveningInputs:
    """Facts for a run of evenings between which no late fact arrived.

    Attributes
    ----------
    evenings : tuple of datetime.date
        Sessions whose evenings are wanted, ascending; all are columns of `panel`.
    panel : Panel
        As many sessions before the first evening as its rows look back on.
    short : pl.DataFrame
        ``symbol``, ``finra_symbol``, ``session``, ``short_source`` (consolidated or facilities),
        ``short_volume``, ``short_exempt_volume``, ``total_volume`` (Float64) of the evenings.
    tape : pl.DataFrame
        ``symbol``, ``session``, ``mode`` (tick or minute), the columns of ``TAPE_SUMS`` and
        ``buy_volume``, ``sell_volume``, ``unclassified_volume``, ``bulk_volume``: sums over regular
        hours, over the sessions of `panel`. All known on the session's own evening.
    otc : pl.DataFrame
        Rows of ``silver.otc_weekly`` under Massive's symbols, every version known by the last
        evening. An evening sees the versions with ``known_at <= as_of`` and ``superseded_at``
        null or later.
    interest : pl.DataFrame
        Rows of ``silver.short_interest``, likewise.
    memberships : pl.DataFrame
        Rows of ``reference.memberships``, likewise; a member counts on sessions from
        ``valid_from`` to ``valid_to`` (null: still).
    symbols : pl.DataFrame
        ``symbol``, ``finra_symbol``, ``security_class``, ``root``, ``is_test`` of every symbol.
    """

    evenings: tuple[date, ...]
    panel: Panel
    short: pl.DataFrame
    tape: pl.DataFrame
    otc: pl.DataFrame
    interest: pl.DataFrame
    memberships: pl.DataFrame
    symbols: pl.DataFrame
