"""All labels of a trade date made again from ticks: decisions out of gold, trades out of the lake.

Nothing of the walk that made them is used: a decision is where its approach says it was touched,
its volatility is the approach's, and :func:`tapemill.levels.checker.recheck` does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.lake import Lake
from tapemill.levels.checker import recheck
from tapemill.levels.checks_rows import EPISODES, OUTCOME_ROWS, Rule, broken_rows
from tapemill.levels.episodes import NO_ORDINAL, Decisions
from tapemill.levels.feed import open_feed, read_trades
from tapemill.levels.subject import Subject
from tapemill.levels.trades import FeedSilence, Gaps, Trades
from tapemill.refine.detectors import Finding
from tapemill.refine.detectors.findings import by_session
from tapemill.refine.futures_rows import records, windows
from tapemill.refine.futures_sources import EVENTS, FeedPlan
from tapemill.settings import LevelsSettings

__all__ = ["check_labels", "decisions_of"]

Array = Any
_MINUTE_NS = 60_000_000_000


def check_labels(
    lake: Lake,
    subject: Subject,
    episodes: pl.DataFrame,
    features: pl.DataFrame,
    outcomes: pl.DataFrame,
    levels: pl.DataFrame,
    settings: LevelsSettings,
) -> list[Finding]:
    """Recompute every label of a contract's trade date.

    Parameters
    ----------
    lake : Lake
    subject : Subject
        The contract and trade date that the rows are of.
    episodes, features, outcomes, levels : pl.DataFrame
        Its rows of gold.
    settings : LevelsSettings
        As they were made with.
    """
    if episodes.is_empty():
        return []
    trades = read_trades(lake, subject.symbol, subject.session)
    plan = open_feed(lake, subject.symbol, subject.session).plan
    close_ns = calendar("CMES").session(subject.session).close_ns
    until_ns, gaps = _end_and_gaps(lake, plan, close_ns, settings)
    touched = episodes.filter(pl.col("touch_ns").is_not_null()).with_row_index("episode")
    found = _wrong_side(episodes, levels, trades)
    decisions = decisions_of(touched, features, trades, settings)
    strange = touched.filter(
        ~pl.col("episode").is_in(decisions.episode[decisions.delay == 0].tolist())
    )
    if strange.height:
        text = "{rows} approaches touched at a moment without a trade at their zone"
        return found + by_session("touch_without_trade", EPISODES, strange, text)
    differ = recheck(
        outcomes,
        trades,
        decisions,
        settings,
        names=touched.select(pl.col("episode").cast(pl.Int64), "episode_id"),
        close_ns=close_ns,
        until_ns=until_ns,
        tick_value=subject.tick_value,
        gaps=gaps,
        end_reason="close" if until_ns >= close_ns - _MINUTE_NS else "end_of_data",
    )
    if differ.height:
        rows = differ.with_columns(symbol=pl.lit(subject.symbol), session=pl.lit(subject.session))
        text = "{rows} values of labels are not what the trades say"
        found += by_session("label_disagrees", OUTCOME_ROWS, rows, text)
    return found


def decisions_of(
    touched: pl.DataFrame, features: pl.DataFrame, trades: Trades, settings: LevelsSettings
) -> Decisions:
    """Decisions as the rows of gold tell them.

    Parameters
    ----------
    touched : pl.DataFrame
        Rows of ``gold.episodes`` with a touch, and ``episode``, a running number.
    features : pl.DataFrame
    trades : Trades
        They tell at which record the touch was: the first of its moment in the touch band.
    settings : LevelsSettings

    Returns
    -------
    Decisions
        In order; without decisions of approaches whose touch no trade shows.
    """
    rows = features.select("episode_id", "delay_seconds", "decision_ns").join(
        touched, on="episode_id", how="inner"
    )
    band = pl.max_horizontal(
        float(settings.touch_min_ticks), settings.touch_sigma * pl.col("sigma_ticks")
    )
    upward = pl.col("direction") > 0
    edge = pl.when(upward).then(pl.col("low_ticks") - band).otherwise(pl.col("high_ticks") + band)
    rows = rows.with_columns(edge=edge)
    ordinals = np.full(rows.height, NO_ORDINAL, np.int64)
    seen = np.ones(rows.height, bool)
    for place, (delay, ns, side, near) in enumerate(
        rows.select("delay_seconds", "touch_ns", "direction", "edge").iter_rows()
    ):
        if delay == 0:
            first, last = np.searchsorted(trades.ts_gateway, (ns, ns + 1))
            hit = np.flatnonzero(side * (trades.price[first:last] - near) >= 0)
            seen[place] = bool(hit.size)
            if hit.size:
                ordinals[place] = trades.ordinal[first + hit[0]]
    rows = rows.with_columns(ordinal=ordinals).filter(pl.Series(seen, dtype=pl.Boolean))
    rows = rows.sort("decision_ns", "ordinal", "episode", "delay_seconds")
    columns = {
        "decision_ns": np.int64,
        "ordinal": np.int64,
        "episode": np.int64,
        "zone": np.int32,
        "delay_seconds": np.int32,
        "direction": np.int8,
        "low_ticks": np.float64,
        "high_ticks": np.float64,
        "sigma_ticks": np.float64,
        "touch_ns": np.int64,
    }
    return Decisions(*(rows[name].to_numpy().astype(kind) for name, kind in columns.items()))


def _end_and_gaps(
    lake: Lake, plan: FeedPlan, close_ns: int, settings: LevelsSettings
) -> tuple[int, Gaps]:
    """Where the feed of the date ends, and its silences."""
    silence = FeedSilence(settings.gap_seconds)
    parts = [silence.advance(times) for times in _receipts(lake, plan)]
    latest = silence.latest_ns
    until_ns = min((plan.start_ns if latest is None else latest) + 1, close_ns)
    parts.append(silence.finish(until_ns))
    return until_ns, Gaps(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def _receipts(lake: Lake, plan: FeedPlan) -> Iterator[Array]:
    """Times at which records of a feed were received, in order."""
    for part in plan.segments:
        start, end = part.start_ns, part.end_ns
        for window in windows(lake, EVENTS, part.source, start, end):
            rows = records(
                lake, EVENTS, part.source, [plan.symbol], window, start_ns=start, end_ns=end
            )
            found = rows.select("ordinal", "ts_gateway").collect().sort("ordinal")
            yield found["ts_gateway"].to_numpy()


def _wrong_side(episodes: pl.DataFrame, levels: pl.DataFrame, trades: Trades) -> list[Finding]:
    """Price came from the side that the direction says: the trade before lay beyond no level."""
    standing = (
        episodes.select("episode_id", "zone", "enter_ns")
        .join(levels.select("zone", "price_ticks", "valid_from_ns", "valid_to_ns"), on="zone")
        .filter(pl.col("enter_ns").is_between("valid_from_ns", "valid_to_ns", closed="left"))
        .group_by("episode_id")
        .agg(lowest=pl.col("price_ticks").min(), highest=pl.col("price_ticks").max())
    )
    moments = episodes["enter_ns"].to_numpy()
    first = np.searchsorted(trades.ts_gateway, moments, side="left")
    alone = np.searchsorted(trades.ts_gateway, moments, side="right") - first == 1
    padded = np.append(trades.price.astype(np.float64), np.nan)
    before = np.where(alone & (first > 0), padded[first - 1], np.nan)
    judged = episodes.with_columns(before=pl.Series(before).fill_nan(None)).join(
        standing, on="episode_id", how="left"
    )
    beyond = (
        pl.when(pl.col("direction") > 0)
        .then(pl.col("before") >= pl.col("lowest"))
        .otherwise(pl.col("before") <= pl.col("highest"))
    )
    text = "price was already at the levels, or beyond them, before it came near"
    return broken_rows(EPISODES, judged, [Rule("approach_from_other_side", beyond, text)])
