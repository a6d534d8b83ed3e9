"""Minutes in which nobody could trade: known halts, and halts that the bars themselves suggest.

Known market-wide halts are data (``data/halts.csv``). Where nearly every liquid symbol misses the
same quarter of an hour and comes back at quite another price, a halt is suspected: the cell says
so, but it stays a suspicion until the table knows it. An outage of the vendor has any length, and
prices after it have moved as they do in that time.
"""

from __future__ import annotations

import functools
from importlib import resources

import polars as pl

__all__ = ["halt_minutes", "official_halts", "shared_runs"]

MINUTE_NS = 60_000_000_000
_SHORTEST_RUN, _LONGEST_RUN = 14, 17
"""Circuit breakers of level 1 and 2 hold for 15 minutes; those cut in two may hold bars or not."""
_LEAST_MOVE = 0.0075
"""Median jump over a halt. Liquid names move by a quarter of it in 15 ordinary minutes."""
_LEAST_SYMBOLS = 5
_NEARLY_ALL = 0.9


@functools.cache
def official_halts() -> pl.DataFrame:
    """Market-wide halts from the committed table.

    Returns
    -------
    pl.DataFrame
        ``session`` Date, ``start_ns`` and ``end_ns`` Int64 (ns UTC, end exclusive), ``reason``.
    """
    text = resources.files("tapemill.refine").joinpath("data/halts.csv").read_bytes()
    table = pl.read_csv(text, comment_prefix="#", try_parse_dates=False)
    return table.select(
        session=pl.col("session").str.to_date("%Y-%m-%d"),
        start_ns=_eastern_ns("start"),
        end_ns=_eastern_ns("end"),
        reason="reason",
    )


def _eastern_ns(column: str) -> pl.Expr:
    wall = pl.concat_str(["session", column], separator=" ").str.to_datetime("%Y-%m-%d %H:%M:%S")
    return wall.dt.replace_time_zone("America/New_York").dt.epoch("ns")


def halt_minutes(windows: pl.DataFrame) -> pl.DataFrame:
    """Minutes touched by an official halt, counted from the expected opening.

    Parameters
    ----------
    windows : pl.DataFrame
        ``session``, ``expected_open_ns``, ``expected`` (minutes); one row a session and window.

    Returns
    -------
    pl.DataFrame
        The three, and ``minute`` (Int32, 0 = first expected), only inside the expected minutes. A
        minute that a halt cuts in two counts: it may hold a bar or not.
    """
    halts = official_halts().join(windows, on="session", how="inner")
    first = (pl.col("start_ns") - pl.col("expected_open_ns")).floordiv(MINUTE_NS)
    beyond = -((pl.col("expected_open_ns") - pl.col("end_ns")).floordiv(MINUTE_NS))
    return (
        halts.select(
            "session",
            "expected_open_ns",
            "expected",
            minute=pl.int_ranges(
                pl.max_horizontal(first, pl.lit(0)), pl.max_horizontal(beyond, pl.lit(0))
            ),
        )
        .explode("minute", empty_as_null=True)
        .drop_nulls()
        .filter(pl.col("minute") < pl.col("expected"))
        .with_columns(pl.col("minute").cast(pl.Int32))
        .unique(maintain_order=True)
    )


def shared_runs(runs: pl.DataFrame, liquid: pl.DataFrame) -> pl.DataFrame:
    """Runs of missing minutes that nearly all liquid symbols share: suspected market-wide halts.

    Parameters
    ----------
    runs : pl.DataFrame
        ``symbol``, ``session``, ``run_start``, ``run_length`` (minutes), ``resume_move`` (absolute
        log return from the last bar before to the first bar after; null at open and close).
    liquid : pl.DataFrame
        ``symbol``, ``session`` of the cells whose silence means something.

    Returns
    -------
    pl.DataFrame
        ``session``, ``run_start``, ``run_length``, ``symbols`` (share it), ``resume_move``
        (median).
    """
    members = liquid.group_by("session").agg(liquid=pl.len())
    shared = (
        runs.filter(pl.col("run_length").is_between(_SHORTEST_RUN, _LONGEST_RUN))
        .join(liquid, on=["symbol", "session"], how="semi")
        .group_by("session", "run_start", "run_length")
        .agg(symbols=pl.len(), resume_move=pl.col("resume_move").median())
        .join(members, on="session")
    )
    return (
        shared.filter(
            (pl.col("symbols") >= _LEAST_SYMBOLS)
            & (pl.col("symbols") >= _NEARLY_ALL * pl.col("liquid"))
            & (pl.col("resume_move") >= _LEAST_MOVE)
        )
        .sort("session", "run_start")
        .select("session", "run_start", "run_length", "symbols", "resume_move")
    )
