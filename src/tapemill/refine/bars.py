"""Bronze bars to silver bars: one row per symbol, bar and version, placed in its session."""

from __future__ import annotations

import dataclasses

import polars as pl

from tapemill.clock import eastern_datetime, known_at_expr
from tapemill.contracts import Quality, contract
from tapemill.refine.jumps import mark_jumps
from tapemill.refine.versions import resolve_versions

__all__ = ["Refined", "daily_bars", "minute_bars"]

MINUTE_NS = 60_000_000_000
_PRICES = ("open", "high", "low", "close")
_VALUES = (*_PRICES, "volume", "vwap", "trades")
_HALF_CENT = 0.005
"""Lanes round prices to the cent; more than half of one is a contradiction."""


@dataclasses.dataclass(frozen=True)
class Refined:
    """What a kernel makes of bronze rows.

    Attributes
    ----------
    rows : pl.DataFrame
        Rows of the silver contract.
    quarantined : pl.DataFrame
        Bronze rows that may not enter silver, with ``reasons``.
    """

    rows: pl.DataFrame
    quarantined: pl.DataFrame


def minute_bars(
    bronze: pl.DataFrame,
    sessions: pl.DataFrame,
    *,
    target: str = "silver.equity_bars_1m",
    feed_delay_minutes: int = 15,
    jump_multiple: float = 12.0,
) -> Refined:
    """Refine one-minute bars.

    Parameters
    ----------
    bronze : pl.DataFrame
        Rows of ``bronze.massive_bars_1m`` and ``bronze.imported_bars_1m`` under the columns they
        share, plus ``adjusted`` where the lane declares it.
    sessions : pl.DataFrame
        `Calendar.frame` of the bars' calendar.
    target : str
        Silver dataset, ``silver.equity_bars_1m`` or ``silver.futures_bars_1m``.
    feed_delay_minutes : int
        Delay of the vendor's plan, part of ``known_at``.
    jump_multiple : float
        Threshold of the jump bit, in usual minutes (see `mark_jumps`).

    Returns
    -------
    Refined
        Adjusted rows and rows of dates without a session are quarantined; rows off the minute grid
        or outside their session stay in bronze, counted by the coverage; the rest is versioned.
    """
    placed, quarantined = _placed(bronze, sessions)
    on_grid = (pl.col("ts_event") % MINUTE_NS == 0).alias("_on_grid")
    inside = (
        (pl.col("ts_event") >= pl.col("pre_open_ns"))
        & (pl.col("ts_event") < pl.col("post_close_ns"))
    ).fill_null(value=False)
    judged = placed.with_columns(on_grid, _inside=inside)
    kept = pl.col("_on_grid") & pl.col("_inside")
    if not judged.select(kept.all()).item():
        judged = judged.filter(kept)
    versions = resolve_versions(
        judged.drop("_on_grid", "_inside", "pre_open_ns", "post_close_ns").with_columns(
            known_at_expr("bar_end", feed_delay_minutes=feed_delay_minutes).alias("rule_known_at")
        ),
        key=("symbol", "ts_event"),
        group=("symbol", "session"),
        values=_VALUES,
        compared=_PRICES,
        tolerance=_HALF_CENT,
    )
    marked = mark_jumps(versions, jump_multiple)
    rows = marked.with_columns(
        minute_of_session=((pl.col("ts_event") - pl.col("open_ns")) // MINUTE_NS).cast(pl.Int16),
        segment=pl.when(pl.col("ts_event") < pl.col("open_ns"))
        .then(pl.lit("pre"))
        .when(pl.col("ts_event") < pl.col("close_ns"))
        .then(pl.lit("rth"))
        .otherwise(pl.lit("post")),
        quality=_quality(jumps=True),
    )
    return Refined(_shaped(rows, target), quarantined)


def daily_bars(
    bronze: pl.DataFrame, sessions: pl.DataFrame, *, feed_delay_minutes: int = 15
) -> Refined:
    """Refine daily bars of stocks: versions and lanes as for minutes, no grid.

    Parameters
    ----------
    bronze : pl.DataFrame
        Rows of ``bronze.massive_bars_1d`` and ``bronze.imported_bars_1d``, shared columns.
    sessions : pl.DataFrame
        `Calendar.frame`; a bar of a date that is no session is quarantined.
    feed_delay_minutes : int
        Part of ``known_at``.
    """
    placed, quarantined = _placed(bronze, sessions)
    versions = resolve_versions(
        placed.with_columns(
            known_at_expr("daily_bar", feed_delay_minutes=feed_delay_minutes).alias("rule_known_at")
        ),
        key=("symbol", "session"),
        group=("symbol", "session"),
        values=_VALUES,
        compared=_PRICES,
        tolerance=_HALF_CENT,
    )
    return Refined(
        _shaped(versions.with_columns(quality=_quality(jumps=False)), "silver.equity_bars_1d"),
        quarantined,
    )


def _placed(bronze: pl.DataFrame, sessions: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Usable rows beside the hours of their session, and rows for quarantine."""
    usable, quarantined = _unadjusted(bronze)
    placed = usable.join(_with_day_end(sessions), on="session", how="left", maintain_order="left")
    if not placed["open_ns"].null_count():
        return placed, quarantined
    homeless = pl.col("open_ns").is_null()
    bad = placed.filter(homeless).select(*bronze.columns, reasons=pl.lit("not_a_session"))
    return placed.filter(~homeless), pl.concat([quarantined, bad])


def _with_day_end(sessions: pl.DataFrame) -> pl.DataFrame:
    """Add the midnight that ends the session's date: until then late prints may restate bars."""
    columns = ("session", "open_ns", "close_ns", "pre_open_ns", "post_close_ns")
    midnight = eastern_datetime(pl.col("session").dt.offset_by("1d"), 0)
    return sessions.select(*columns, _day_end=midnight)


def _unadjusted(bronze: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows as traded, and rows that a vendor adjusted: mixing them corrupts every return."""
    if "adjusted" not in bronze.columns or not bronze["adjusted"].any():
        return bronze, bronze.clear().with_columns(reasons=pl.lit("", dtype=pl.String))
    adjusted = pl.col("adjusted").fill_null(value=False)
    bad = bronze.filter(adjusted).with_columns(reasons=pl.lit("adjusted_by_vendor"))
    return bronze.filter(~adjusted), bad


def _quality(*, jumps: bool) -> pl.Expr:
    """The bit mask; every bit depends on what was known with that version."""
    bits = {
        Quality.PROVISIONAL: pl.col("ts_recv") < pl.col("_day_end"),
        Quality.REPAIRED: pl.col("version") > 1,
        Quality.CONFLICT: pl.col("conflict"),
        Quality.SYNTHETIC: pl.col("source").str.contains("sandbox|synthetic"),
        Quality.NO_VOLUME: pl.col("volume").is_null(),
        Quality.ADJUSTED: pl.col("source").str.ends_with(".adjusted"),
    }
    if jumps:
        bits[Quality.JUMP] = pl.col("jump") | pl.col("spike")
    return pl.sum_horizontal(
        flag.fill_null(value=False).cast(pl.Int32) * int(bit) for bit, flag in bits.items()
    )


def _shaped(rows: pl.DataFrame, target: str) -> pl.DataFrame:
    """The columns of the contract; a partition column follows from the session."""
    declared = contract(target)
    rows = rows.with_columns(
        ts=(pl.col("ts_event") // 1000).cast(pl.Datetime("us", "UTC")),
        month=pl.col("session").dt.strftime("%Y-%m"),
        year=pl.col("session").dt.year(),
    )
    return declared.conform(rows.select(declared.schema.names()))
