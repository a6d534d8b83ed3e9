"""Gold: what an evening, a book or a surface amounted to, as it could be known then.

A row of gold belongs to one evening and was computed from facts known by its `as_of` alone; facts
that arrive later change later evenings, never this one.
"""

from __future__ import annotations

import polars as pl

from tapemill.contracts.columns import SESSION, SYMBOL, YEAR
from tapemill.contracts.dataset import Column, Dataset
from tapemill.contracts.flow_metrics import (
    COMPOSITE_METRICS,
    DAILY_METRICS,
    EVENING,
    GROUP_METRICS,
    MACRO_METRICS,
    SCAN_METRICS,
)

__all__ = ["GOLD"]

_GROUP = Column("group", pl.String(), "Index, sector or theme of the memberships file")
_SCOPE = Column("scope", pl.String(), "market, sector:NAME or tier:T1, T2, OTC")


def _evening(
    name: str, description: str, identity: tuple[Column, ...], metrics: tuple[Column, ...]
) -> Dataset:
    keys = tuple(column.name for column in identity)
    return Dataset(
        name,
        description,
        (*identity, SESSION, *EVENING, *metrics, YEAR),
        key=(*keys, "session"),
        order=("session", *keys),
        partition="year",
        event_column="session",
        known_at="flow_evening",
    )


GOLD = (
    _evening(
        "gold.flow_daily",
        "Off-exchange flow per symbol and evening: short volume, tape, OTC weeks, price context.",
        (SYMBOL,),
        DAILY_METRICS,
    ),
    _evening(
        "gold.flow_scan",
        "The whole-market scan of an evening: surprise of share and volume, q, novelty, rank.",
        (SYMBOL,),
        SCAN_METRICS,
    ),
    _evening(
        "gold.flow_macro",
        "The market's off-exchange short share, breadth and dispersion, per evening and scope.",
        (_SCOPE,),
        MACRO_METRICS,
    ),
    _evening(
        "gold.flow_groups",
        "Constituents of an index, sector or theme taken together, per evening.",
        (_GROUP, Column("kind", pl.String(), "index, sector or theme")),
        GROUP_METRICS,
    ),
    Dataset(
        "gold.composite_signal",
        "Direction, pressure and participation in one score and label. Append-only: a change of"
        " code or parameters is a new version, a change of its inputs a new revision.",
        (
            SYMBOL,
            SESSION,
            *EVENING,
            Column(
                "inference_version", pl.String(), "Digest of code and parameters, 12 hex digits"
            ),
            Column("revision", pl.Int16(), "1, or more where history was backfilled since"),
            *COMPOSITE_METRICS,
            Column("input_digest", pl.String(), "Digest of what the evening was computed from"),
            YEAR,
        ),
        key=("symbol", "session", "inference_version", "as_of", "revision"),
        order=("session", "symbol", "inference_version", "revision"),
        partition="year",
        event_column="session",
        known_at="flow_evening",
    ),
)
