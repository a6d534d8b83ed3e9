"""Bars that jump: judged only by what came before them, so that an as-of read cannot see ahead."""

from __future__ import annotations

import polars as pl

__all__ = ["WINDOW_BARS", "mark_jumps"]

WINDOW_BARS = 30
_LEAST_BARS = 10
_SMALLEST_SCALE = 2e-4
"""Two basis points: quiet names stand still for minutes, and a tick is not a jump."""
_OPENING_SCALE = 5e-3
"""Scale of the first bars of a session, before a median exists."""


def mark_jumps(bars: pl.DataFrame, multiple: float) -> pl.DataFrame:
    """Add ``jump`` and ``spike``: moves beyond `multiple` times the usual minute.

    The usual minute is the median absolute log return of the previous 30 bars of the same symbol
    and session. A jump is a close-to-close return beyond it. A spike is a lone high or low: it
    leaves open, close and the previous close by more than that, and the bar returns from it, as
    off-exchange prints do.

    Parameters
    ----------
    bars : pl.DataFrame
        ``symbol``, ``session``, ``ts_event``, ``version``, ``open``, ``high``, ``low``, ``close``;
        sorted by symbol, time and version. Restatements are judged beside the neighbours as first
        published: a later restatement of those was not known to them.
    multiple : float
        How many times the usual minute.

    Returns
    -------
    pl.DataFrame
        `bars` with two Boolean columns more.
    """
    if bars["version"].max() in (None, 1):
        return _flagged(_with_context(bars, multiple)).drop("_before", "_limit")
    first = _with_context(bars.filter(pl.col("version") == 1), multiple)
    context = first.select("symbol", "ts_event", "_before", "_limit")
    beside = bars.join(context, on=["symbol", "ts_event"], how="left", maintain_order="left")
    return _flagged(beside).drop("_before", "_limit")


def _with_context(bars: pl.DataFrame, multiple: float) -> pl.DataFrame:
    same = (pl.col("symbol") == pl.col("symbol").shift(1)) & (
        pl.col("session") == pl.col("session").shift(1)
    )
    bars = bars.with_columns(_before=pl.when(same).then(pl.col("close").shift(1)))
    bars = bars.with_columns(_move=(pl.col("close") / pl.col("_before")).log().abs())
    usual = (
        pl.col("_move")
        .shift(1)
        .rolling_median(WINDOW_BARS, min_samples=_LEAST_BARS)
        .over("symbol", "session")
        .fill_null(_OPENING_SCALE)
    )
    limit = multiple * pl.max_horizontal(usual, pl.lit(_SMALLEST_SCALE))
    return bars.with_columns(_limit=limit).drop("_move")


def _flagged(bars: pl.DataFrame) -> pl.DataFrame:
    move = (pl.col("close") / pl.col("_before")).log().abs()
    up = (pl.col("high") / pl.max_horizontal("open", "close", "_before")).log()
    down = (pl.min_horizontal("open", "close", "_before") / pl.col("low")).log()
    return bars.with_columns(
        jump=(move > pl.col("_limit")).fill_null(value=False),
        spike=(pl.max_horizontal(up, down) > pl.col("_limit")).fill_null(value=False),
    )
