"""A second opinion on outcomes: every label made again from trades, slowly and another way.

Shares no code with the kernel that makes them: one decision at a time, whole arrays, binary search.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from tapemill.levels.episodes import Decisions
from tapemill.levels.trades import Gaps, Trades
from tapemill.settings.declaration import LevelsSettings

__all__ = ["recheck"]

Array = Any

_SECOND = 1_000_000_000
_KEY = ["episode_id", "delay_seconds", "horizon_seconds", "barrier"]
_EXPECTED = pl.Schema(
    {
        "episode_id": pl.String(),
        "delay_seconds": pl.Int32(),
        "horizon_seconds": pl.Int32(),
        "barrier": pl.String(),
        "decision_ns": pl.Int64(),
        "direction": pl.Int8(),
        "barrier_ticks": pl.Float64(),
        "anchor_ticks": pl.Float64(),
        "outcome": pl.String(),
        "censored_by": pl.String(),
        "seconds": pl.Float64(),
        "favourable_ticks": pl.Float64(),
        "adverse_ticks": pl.Float64(),
        "resolved_ns": pl.Int64(),
    }
)
_NEAR = 1e-9


def recheck(
    outcomes: pl.DataFrame,
    trades: Trades,
    decisions: Decisions,
    settings: LevelsSettings,
    *,
    names: pl.DataFrame,
    close_ns: int,
    until_ns: int,
    tick_value: float,
    gaps: Gaps | None = None,
    end_reason: str = "end_of_data",
) -> pl.DataFrame:
    """Recompute all labels of one trade date and name those that differ.

    Parameters
    ----------
    outcomes : polars.DataFrame
        Rows of `gold.episode_outcomes`; the spread is taken from them, all else is made again.
    trades : Trades
        All trades of the date.
    decisions : Decisions
        All decisions of the date.
    settings : LevelsSettings
    names : polars.DataFrame
        Columns episode (running number) and episode_id.
    close_ns, until_ns : int
        End of the trade date and of the data (ns UTC), as the outcomes were made with.
    tick_value : float
        What one tick of one contract is worth, in its currency.
    gaps : Gaps, optional
        Silences of the whole feed; without them those of the trades are taken.
    end_reason : str
        Why the data end at `until_ns`.

    Returns
    -------
    polars.DataFrame
        One row a difference: the key of the outcome, `column` (``row`` if it is missing or not
        asked for), `stated` and `recomputed` as text. Empty: agreed.
    """
    found = gaps if gaps is not None else _silences(trades, settings, until_ns)
    ends = _Ends(found, close_ns, until_ns, end_reason)
    ids = dict(names.select("episode", "episode_id").iter_rows())
    rows: list[tuple[Any, ...]] = []
    for place in range(len(decisions.decision_ns)):
        rows.extend(_labels(place, decisions, trades, settings, ends, ids))
    expected = pl.DataFrame(rows, schema=_EXPECTED, orient="row")
    both = expected.with_columns(pl.lit(True).alias("asked")).join(
        outcomes.with_columns(pl.lit(True).alias("stated")),
        on=_KEY,
        how="full",
        coalesce=True,
        suffix="_stated",
    )
    return _differences(both, 2.0 * settings.fee_per_side / tick_value)


class _Ends:
    """What stops a watch before its horizon."""

    def __init__(self, gaps: Gaps, close_ns: int, until_ns: int, end_reason: str) -> None:
        self._gaps, self._close_ns, self._until_ns = gaps, close_ns, until_ns
        self._end_reason = end_reason

    def after(self, decision_ns: int) -> tuple[int, str, int]:
        """Last moment that is seen after a decision, why, and when that was known."""
        stop, why, known = self._until_ns - 1, self._end_reason, self._until_ns
        if why == "close":
            stop = self._until_ns
        if self._close_ns <= stop:
            stop, why, known = self._close_ns, "close", self._close_ns
        ahead = np.flatnonzero(self._gaps.known_ns >= decision_ns)
        if ahead.size and self._gaps.start_ns[ahead[0]] <= stop:
            gap = ahead[0]
            return int(self._gaps.start_ns[gap]), "gap", int(self._gaps.known_ns[gap])
        return stop, why, known


def _silences(trades: Trades, settings: LevelsSettings, until_ns: int) -> Gaps:
    marks = np.append(trades.ts_gateway, max(until_ns, int(trades.ts_gateway[-1])))
    longest = settings.gap_seconds * _SECOND
    starts = marks[:-1][marks[1:] - marks[:-1] > longest]
    return Gaps(starts, starts + longest)


def _seen(trades: Trades, decision_ns: int, ordinal: int) -> int:
    """How many trades lie at or before a decision."""
    first = int(np.searchsorted(trades.ts_gateway, decision_ns, side="left"))
    beyond = int(np.searchsorted(trades.ts_gateway, decision_ns, side="right"))
    return first + int(np.searchsorted(trades.ordinal[first:beyond], ordinal, side="right"))


def _labels(
    place: int,
    decisions: Decisions,
    trades: Trades,
    settings: LevelsSettings,
    ends: _Ends,
    ids: dict[int, str],
) -> list[tuple[Any, ...]]:
    """All labels of one decision."""
    decision_ns = int(decisions.decision_ns[place])
    direction = int(decisions.direction[place])
    seen = _seen(trades, decision_ns, int(decisions.ordinal[place]))
    anchor = int(trades.price[seen - 1])
    stop, why, known = ends.after(decision_ns)
    longest = decision_ns + max(settings.horizons_seconds) * _SECOND
    end = int(np.searchsorted(trades.ts_gateway, min(stop, longest), side="right"))
    moves = direction * (trades.price[seen:end].astype(np.int64) - anchor)
    up = np.maximum.accumulate(np.maximum(moves, 0)).astype(np.float64)
    down = np.maximum.accumulate(np.maximum(-moves, 0)).astype(np.float64)
    times = trades.ts_gateway[seen:end]
    head = ids[int(decisions.episode[place])], int(decisions.delay[place])
    rows: list[tuple[Any, ...]] = []
    for seconds in settings.horizons_seconds:
        deadline = decision_ns + seconds * _SECOND
        inside = int(np.searchsorted(times, min(deadline, stop), side="right"))
        widths = _widths(settings, float(decisions.sigma[place]), seconds)
        # Moves are whole ticks: half a tick stands for "any move at all".
        goals = np.maximum(list(widths.values()), 0.5)
        firsts = np.searchsorted(up, goals).tolist(), np.searchsorted(down, goals).tolist()
        for (name, width), rise, fall in zip(widths.items(), *firsts, strict=True):
            passed = min(rise, fall)
            outcome, reason, waited, resolved_ns = "neither", None, None, deadline
            last = inside - 1
            if passed < inside:
                outcome = "break" if rise < fall else "bounce"
                last, resolved_ns = passed, int(times[passed])
                waited = (resolved_ns - decision_ns) / _SECOND
            elif deadline > stop:
                outcome, reason, resolved_ns = "censored", why, known
            best, worst = (float(up[last]), float(down[last])) if last >= 0 else (0.0, 0.0)
            found = (outcome, reason, waited, best, worst, resolved_ns)
            label = (*head, seconds, name, decision_ns, direction, width, float(anchor))
            rows.append(label + found)
    return rows


def _widths(settings: LevelsSettings, sigma: float, seconds: int) -> dict[str, float]:
    """Barriers of one horizon by name."""
    scaled = {f"k{k:g}": k * sigma * math.sqrt(seconds / 60) for k in settings.barrier_multiples}
    return scaled | {f"t{ticks}": float(ticks) for ticks in settings.barrier_ticks}


def _differences(both: pl.DataFrame, fees: float) -> pl.DataFrame:
    """One row for each column of each label on which the two do not agree."""
    passed = pl.col("outcome").is_in(["break", "bounce"])
    net = pl.lit(None, pl.Float64)
    if not math.isnan(fees):
        net = pl.col("barrier_ticks") - pl.col("spread_ticks") - fees
    both = both.rename({"net_ticks": "net_ticks_stated", "tradeable": "tradeable_stated"})
    both = both.with_columns(
        pl.when(passed).then(net).alias("net_ticks"),
        pl.when(passed)
        .then(net > 0.0)
        .when(pl.col("outcome") == "neither")
        .then(pl.lit(False))
        .alias("tradeable"),
    )
    columns = [*(name for name in _EXPECTED.names() if name not in _KEY), "net_ticks", "tradeable"]
    present = pl.col("asked") & pl.col("stated")
    parts = [
        both.filter(present.fill_null(False).not_()).select(
            *_KEY,
            pl.lit("row").alias("column"),
            pl.when(pl.col("stated")).then(pl.lit("present")).alias("stated"),
            pl.when(pl.col("asked")).then(pl.lit("present")).alias("recomputed"),
        )
    ]
    twice = both.select(pl.struct(_KEY).is_duplicated()).to_series()
    parts.append(
        both.filter(twice).select(
            *_KEY,
            pl.lit("row").alias("column"),
            pl.lit("twice").alias("stated"),
            pl.lit("once").alias("recomputed"),
        )
    )
    for name in columns:
        ours, theirs = pl.col(name), pl.col(f"{name}_stated")
        same = ours.eq_missing(theirs)
        if both.schema[name].is_float():
            same = same | ((ours - theirs).abs() <= _NEAR * (1.0 + ours.abs())).fill_null(False)
        parts.append(
            both.filter(present.fill_null(False) & ~same).select(
                *_KEY,
                pl.lit(name).alias("column"),
                theirs.cast(pl.String).alias("stated"),
                ours.cast(pl.String).alias("recomputed"),
            )
        )
    return pl.concat(parts)
