"""Outcomes of a trade date: a second walk over its trades, after the features are made."""

from __future__ import annotations

import numpy as np
import polars as pl

from tapemill.levels.outcomes import Outcomes, OutcomeTracker
from tapemill.levels.outcomes_rows import outcome_rows
from tapemill.levels.rows import DayTables
from tapemill.levels.trades import Gaps, Trades
from tapemill.settings import LevelsSettings

__all__ = ["label_day"]

_NO_GAPS = Gaps(np.empty(0, np.int64), np.empty(0, np.int64))


def label_day(
    day: DayTables,
    trades: Trades,
    settings: LevelsSettings,
    *,
    close_ns: int,
    tick_value: float,
) -> pl.DataFrame:
    """Rows of `gold.episode_outcomes`.

    Parameters
    ----------
    day : DayTables
    trades : Trades
        All trades of the date; those after the end of its feed are not looked at.
    settings : LevelsSettings
    close_ns : int
        End of the trade date.
    tick_value : float
        Value of one tick in the contract's currency; NaN if no definition tells it, and then
        nothing is net of fees.
    """
    tracker = OutcomeTracker(settings, close_ns)
    tracker.open(day.decisions)
    # Feeds of trades alone may go on after the book has ended, with silences that nobody measured.
    last = day.end.until_ns - (day.end.reason != "close")
    count = int(np.searchsorted(trades.ts_gateway, last, side="right"))
    trades = Trades(*(column[:count] for column in trades))
    walked = tracker.advance(trades, day.end.until_ns, day.end.gaps)
    # All silences of the feed are in already: that nobody traded at the end is none.
    rest = tracker.finish(day.end.until_ns, day.end.reason, _NO_GAPS)
    both = Outcomes(*(np.concatenate(pair) for pair in zip(walked, rest, strict=True)))
    spreads = day.features.select("episode_id", "delay_seconds", "spread_ticks")
    return outcome_rows(both, day.names, spreads, settings, tick_value=tick_value)
