"""Bars that jump: judged only by what came before them, so that an as-of read cannot see ahead."""

from __future__ import annotations

import polars as pl

__all__ = ["WINDOW_BARS", "mark_jumps"]

WINDOW_BARS = 30
_BAR = ("symbol", "ts_event")
_LEAST_BARS = 10
_SMALLEST_SCALE = 2e-4
"""Two basis points: quiet names stand still for minutes, and a tick is not a jump."""
_FEW = 0.2
"""Up to this share of bars, medians are worked out one by one."""
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
        sorted by symbol, time and version; ``known_at`` where versions matter. Restatements are
        judged beside the neighbours as first published, and no bar beside one that came after it:
        neither was known to it.
    multiple : float
        How many times the usual minute.

    Returns
    -------
    pl.DataFrame
        `bars` with two Boolean columns more.
    """
    timely = _timely(bars)
    if bars["version"].max() in (None, 1) and timely.all():
        first = _with_previous_close(bars)
        limit = _limit(first, first.select(_large(multiple)).to_series(), multiple)
        return _flagged(first.with_columns(limit)).drop("_before", "_limit")
    first = _with_previous_close(bars.filter((pl.col("version") == 1) & timely))
    beside = _beside(bars, first.select(*_BAR, "_before"))
    # The limit of a bar is needed where any of its versions is large.
    large = beside.filter(_large(multiple)).select(_BAR).unique()
    chosen = first.select(_BAR).join(
        large.with_columns(_chosen=pl.lit(value=True)), on=_BAR, how="left", maintain_order="left"
    )
    limit = _limit(first, chosen["_chosen"].fill_null(value=False), multiple)
    limited = _beside(beside, first.select(_BAR).with_columns(limit))
    return _flagged(limited).drop("_before", "_limit")


def _timely(bars: pl.DataFrame) -> pl.Series:
    """First versions that were known before any later bar of their session."""
    everything = pl.repeat(value=True, n=bars.height, dtype=pl.Boolean, eager=True)
    if "known_at" not in bars.columns:
        return everything
    known = pl.when(pl.col("version") == 1).then(pl.col("known_at"))
    last = known.forward_fill()
    if not bars.select(((last < last.shift(1)) & _same_session()).any()).item():
        return everything
    soonest = known.reverse().cum_min().reverse().over("symbol", "session")
    return bars.select((known <= soonest).fill_null(value=True)).to_series()


def _beside(bars: pl.DataFrame, context: pl.DataFrame) -> pl.DataFrame:
    return bars.join(context, on=_BAR, how="left", maintain_order="left")


def _with_previous_close(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(_before=pl.when(_same_session()).then(pl.col("close").shift(1)))


def _same_session() -> pl.Expr:
    same_symbol = pl.col("symbol") == pl.col("symbol").shift(1)
    return same_symbol & (pl.col("session") == pl.col("session").shift(1))


def _large(multiple: float) -> pl.Expr:
    """Bars that move at least as much as the least limit; no other can be a jump or spike."""
    return (pl.max_horizontal(_move(), *_wicks()) > multiple * _SMALLEST_SCALE).fill_null(
        value=False
    )


def _limit(bars: pl.DataFrame, chosen: pl.Series, multiple: float) -> pl.Series:
    """`multiple` times the median absolute return of the previous bars, at the chosen rows.

    Where few rows are chosen their medians are worked out one by one, a tenth of the cost of a
    rolling one; the limit of the other rows is then never asked for.
    """
    moves = bars.select("symbol", "session", _move=_move())
    if chosen.sum() > _FEW * bars.height:
        rolled = (
            pl.col("_move")
            .shift(1)
            .rolling_median(WINDOW_BARS, min_samples=_LEAST_BARS)
            .over("symbol", "session")
        )
        usual = moves.select(rolled).to_series()
    else:
        usual = _medians_at(moves, chosen)
    usual = usual.fill_null(_OPENING_SCALE).clip(lower_bound=_SMALLEST_SCALE)
    return (usual * multiple).alias("_limit")


def _medians_at(moves: pl.DataFrame, chosen: pl.Series) -> pl.Series:
    """Rolling median of the previous moves at the chosen rows, null elsewhere."""
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    changed = pl.any_horizontal(
        pl.col(name) != pl.col(name).shift(1) for name in ("symbol", "session")
    ).fill_null(value=True)
    placed = moves.select(
        row=row, start=pl.when(changed).then(row).forward_fill(), _chosen=chosen
    ).filter("_chosen")
    # The first bar of a session has no move: the window begins one later.
    windows = placed.select(
        "row",
        at=pl.int_ranges(
            pl.max_horizontal(pl.col("row") - WINDOW_BARS, pl.col("start") + 1), pl.col("row")
        ),
    ).filter(pl.col("at").list.len() >= _LEAST_BARS)
    spread = windows.explode("at", empty_as_null=True)
    medians = (
        spread.select("row", move=moves["_move"].gather(spread["at"]))
        .group_by("row", maintain_order=True)
        .agg(pl.col("move").median())
    )
    whole = pl.select(pl.repeat(None, moves.height, dtype=pl.Float64)).to_series()
    return whole.scatter(medians["row"], medians["move"])


def _move() -> pl.Expr:
    return (pl.col("close") / pl.col("_before")).log().abs()


def _wicks() -> tuple[pl.Expr, pl.Expr]:
    """How far high and low leave open, close and the close before, as log ratios."""
    up = (pl.col("high") / pl.max_horizontal("open", "close", "_before")).log()
    down = (pl.min_horizontal("open", "close", "_before") / pl.col("low")).log()
    return up, down


def _flagged(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(
        jump=(_move() > pl.col("_limit")).fill_null(value=False),
        spike=(pl.max_horizontal(*_wicks()) > pl.col("_limit")).fill_null(value=False),
    )
