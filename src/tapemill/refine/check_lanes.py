"""Patterns in how bars arrived: pages twice, anchors ignored, windows that came back empty."""

from __future__ import annotations

import polars as pl

from tapemill.lake import Lake
from tapemill.refine.coverage_plan import Judged, ledger_states
from tapemill.refine.detectors import (
    Finding,
    old_window_empty,
    page_appended_twice,
    start_anchor_ignored,
)

__all__ = ["current", "of_lanes"]

_CELL = ("symbol", "session")
_DAILY = "silver.equity_bars_1d"


def of_lanes(lake: Lake, judged: Judged, cells: pl.DataFrame) -> list[Finding]:
    """Patterns in how the rows arrived."""
    first, last = cells["session"].min(), cells["session"].max()
    found: list[Finding] = []
    wanted = cells["symbol"].unique().to_list()
    for bronze in judged.bronze:
        rows = (
            lake.tables.scan(bronze)
            .filter(pl.col("session").is_between(first, last) & pl.col("symbol").is_in(wanted))
            .select(*_CELL, "raw_sha256", "ordinal")
        )
        found += page_appended_twice(bronze, _repeated(rows))
        if "imported" in bronze:
            continue
        answers = lake.control.frames(["ops.answers"])["ops.answers"].filter(
            pl.col("dataset") == bronze
        )
        asked = answers.select("raw_sha256", "symbol", start="first_session", end="last_session")
        came = (
            lake.tables.scan(bronze)
            .filter(pl.col("symbol").is_in(wanted))
            .select(*_CELL, "raw_sha256")
            .unique()
            .collect()
        )
        found += start_anchor_ignored(bronze, asked, came)
        states = ledger_states(lake, judged).filter(pl.col("symbol").is_in(wanted))
        found += old_window_empty(bronze, states, _seen(lake))
    return found


def _repeated(rows: pl.LazyFrame) -> pl.DataFrame:
    """Rows of raw objects that hold more rows than ordinals."""
    counted = rows.group_by("raw_sha256").agg(rows=pl.len(), ordinals=pl.col("ordinal").n_unique())
    doubled = counted.filter(pl.col("rows") > pl.col("ordinals")).select("raw_sha256").collect()
    return rows.filter(pl.col("raw_sha256").is_in(doubled["raw_sha256"].to_list())).collect()


def _seen(lake: Lake) -> pl.DataFrame:
    """First daily bar or listing date of every symbol, the earlier; last bar where it is over."""
    session = pl.col("session")
    daily = current(lake, _DAILY)
    spans = daily.group_by("symbol").agg(first_seen=session.min(), last_bar=session.max())
    newest = daily.select(session.max()).collect()["session"]
    # A ticker without a bar on the newest day is gone; the others are still there.
    gone = pl.when(pl.col("last_bar") < pl.lit(newest).first()).then(pl.col("last_bar"))
    listed = current(lake, "reference.instruments").select(
        "symbol", first_seen="list_date", last_seen="delisted_date"
    )
    both = pl.concat([spans.select("symbol", "first_seen", last_seen=gone), listed])
    return (
        both.group_by("symbol").agg(pl.col("first_seen").min(), pl.col("last_seen").min()).collect()
    )


def current(lake: Lake, dataset: str) -> pl.LazyFrame:
    """Rows that nothing supersedes."""
    return lake.tables.scan(dataset).filter(pl.col("superseded_at").is_null())
