"""What the flow report shows of some symbols, read from the lake as it was known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.contracts.flow_metrics import COMPOSITE_METRICS
from tapemill.contracts.silver import Quality
from tapemill.errors import DateError, LakeError, UsageError
from tapemill.lake.asof import as_of_moment

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = ["FlowFacts", "newest_evening", "read_flow", "stamp"]

_DAILY, _SIGNAL = "gold.flow_daily", "gold.composite_signal"
_BARS, _WEEKS, _ACTIONS = "silver.equity_bars_1d", "silver.otc_weekly", "reference.adjustments"
_LATER = timedelta(days=75)
"""Weeks of the last sessions are published up to six weeks later."""
_SCORES = tuple(metric.name for metric in COMPOSITE_METRICS if metric.name != "pressure_score")


@dataclasses.dataclass(frozen=True)
class FlowFacts:
    """Some symbols over consecutive sessions.

    Attributes
    ----------
    symbols : tuple of str
    sessions : tuple of date
        Ascending; every session of the exchange, with or without a row.
    as_of : datetime, optional
        Nothing known later was read; None reads what the lake knows now.
    daily : pl.DataFrame
        ``gold.flow_daily`` with the columns of ``gold.composite_signal`` beside it.
    weeks : pl.DataFrame
        One row a symbol and OTC week of the range: ``symbol``, ``week``, ``published``, ``tier``,
        ``volume`` (shares), ``participation`` (part of the week's consolidated volume or null).
    bars : pl.DataFrame
        ``silver.equity_bars_1d``: symbol, session, open, high, low, close, volume (splits removed
        where corporate actions are known).
    notes : tuple of str
        What is missing from the lake, and how to get it.
    has_signal : bool
        Whether ``gold.composite_signal`` is built.
    """

    symbols: tuple[str, ...]
    sessions: tuple[date, ...]
    as_of: datetime | None
    daily: pl.DataFrame
    weeks: pl.DataFrame
    bars: pl.DataFrame
    notes: tuple[str, ...]
    has_signal: bool

    @property
    def newest(self) -> datetime | None:
        """When the newest fact shown became known, UTC."""
        value = self.daily["known_at"].max()
        return value if isinstance(value, datetime) else None

    def frames(self) -> dict[str, pl.DataFrame]:
        """Every frame that is shown, by name."""
        return {"daily": self.daily, "weeks": self.weeks, "bars": self.bars}


def stamp(as_of: datetime | None, newest: datetime | None) -> str:
    """The report's as-of line."""
    if as_of is not None:
        return f"as known at {as_of:%Y-%m-%d %H:%M} UTC"
    return "as the lake knows it" + (
        f", newest evening {newest:%Y-%m-%d %H:%M} UTC" if newest else ""
    )


def newest_evening(lake: Lake, dataset: str, as_of: datetime | None = None) -> date:
    """The last evening of a gold table that was known.

    Raises
    ------
    LakeError
        The table was never built, or no evening was known by then.
    """
    _require_built(lake, dataset)
    rows = lake.tables.scan(dataset)
    if as_of is not None:
        rows = rows.filter(pl.col("known_at") <= as_of)
    found = rows.select(pl.col("session").max()).collect().item()
    if not isinstance(found, date):
        raise LakeError(
            f"{dataset} holds no evening"
            + (f" known by {as_of:%Y-%m-%d %H:%M} UTC" if as_of else ""),
            where=lake.location,
            next_step=f"`tapemill build {dataset}`" if as_of is None else "give a later --as-of",
        )
    return found


def read_flow(
    lake: Lake,
    symbols: Sequence[str],
    *,
    end: date | None = None,
    days: int = 60,
    as_of: date | datetime | str | None = None,
) -> FlowFacts:
    """Read what the report shows of some symbols.

    Parameters
    ----------
    lake : Lake
        With ``gold.flow_daily`` built, and ``gold.composite_signal`` for the score.
    symbols : sequence of str
    end : date, optional
        Last session; the newest evening by default.
    days : int
        Sessions shown.
    as_of : date, datetime or str, optional
        Nothing known later is read.

    Raises
    ------
    LakeError
        ``gold.flow_daily`` was never built.
    UnknownNameError
        It holds no row of a symbol.
    UsageError, DateError
        A symbol has no evening in the range, or the dates cannot be meant.
    """
    if days < 1:
        raise UsageError(f"{days} sessions cannot be drawn", next_step="give --days 1 or more")
    moment = None if as_of is None else as_of_moment(as_of)
    last = end or newest_evening(lake, _DAILY, moment)
    _require_built(lake, _DAILY)
    exchange = calendar("XNYS")
    if not exchange.is_session(last):
        raise DateError(
            f"{last} is no session ({exchange.closed_reason(last)})",
            next_step=f"the session before is {exchange.previous(last)}",
        )
    first = exchange.previous(last, days - 1) if days > 1 else last
    seen = lake.scan(_DAILY, list(symbols), first, last + _LATER, moment).collect()
    daily = seen.filter(pl.col("session") <= last).sort("symbol", "session")
    _require_rows(lake, daily, symbols, first, last, moment)
    notes: list[str] = []
    has_signal = lake.tables.exists(_SIGNAL)
    if not has_signal:
        notes.append("no score: gold.composite_signal is not built (`tapemill build`)")
    daily = _with_signal(lake, daily, moment, has_signal=has_signal)
    weeks = _weeks(lake, seen, symbols, first, last, moment)
    bars = _bars(lake, symbols, first, last, moment, notes)
    sessions = tuple(exchange.session_dates(first, last))
    return FlowFacts(tuple(symbols), sessions, moment, daily, weeks, bars, tuple(notes), has_signal)


def _require_built(lake: Lake, dataset: str) -> None:
    if not lake.tables.exists(dataset):
        raise LakeError(
            f"{dataset} is not built",
            where=lake.location,
            next_step=f"`tapemill build {dataset}`, after short volume was fetched or imported",
        )


def _require_rows(
    lake: Lake,
    daily: pl.DataFrame,
    symbols: Sequence[str],
    first: date,
    last: date,
    moment: datetime | None,
) -> None:
    absent = sorted(set(symbols) - set(daily["symbol"].unique()))
    if not absent:
        return
    known = lake.scan(_DAILY, absent, None, None, moment)
    span = known.select(a=pl.col("session").min(), b=pl.col("session").max()).collect().row(0)
    until = f" known by {moment:%Y-%m-%d %H:%M} UTC" if moment else ""
    raise DateError(
        f"no evening of {', '.join(absent[:10])} from {first} to {last}{until}",
        where=f"{_DAILY} has them from {span[0]} to {span[1]}" if span[0] else _DAILY,
        next_step=f"--end {span[1]}" if span[1] else "give a later --as-of, or leave it out",
    )


def _with_signal(
    lake: Lake, daily: pl.DataFrame, moment: datetime | None, *, has_signal: bool
) -> pl.DataFrame:
    schema = contract(_SIGNAL).schema
    if not has_signal:
        return daily.with_columns(pl.lit(None, dtype=schema[name]).alias(name) for name in _SCORES)
    from tapemill.flow.signals import current_signals

    rows = current_signals(lake).filter(
        pl.col("symbol").is_in(daily["symbol"].unique().to_list()),
        pl.col("session").is_between(daily["session"].min(), daily["session"].max()),
    )
    if moment is not None:
        rows = rows.filter(pl.col("known_at") <= moment)
    # An evening may have been computed for more than one moment: the newest known counts.
    scores = rows.select("symbol", "session", "as_of", *_SCORES).collect().sort("as_of")
    scores = scores.unique(["symbol", "session"], keep="last", maintain_order=True).drop("as_of")
    return daily.join(scores, on=["symbol", "session"], how="left", maintain_order="left")


def _weeks(
    lake: Lake,
    seen: pl.DataFrame,
    symbols: Sequence[str],
    first: date,
    last: date,
    moment: datetime | None,
) -> pl.DataFrame:
    """Weeks of the range as published by then; participation as the evenings computed it."""
    monday = first - timedelta(days=first.weekday())
    told = (
        seen.filter(pl.col("otc_week").is_between(monday, last))
        .sort("session")
        .group_by("symbol", week="otc_week")
        .agg(
            published=pl.col("otc_published").last(),
            tier=pl.col("otc_tier").last(),
            volume=pl.col("otc_volume").last(),
            participation=pl.col("otc_participation_frac").drop_nulls().last(),
        )
    )
    if not lake.tables.exists(_WEEKS):
        return told.sort("symbol", "week")
    rows = lake.scan(_WEEKS, list(symbols), monday, last, moment, strict_symbols=False)
    filed = (
        rows.sort("venue_class")
        .group_by("symbol", week="week_start")
        .agg(
            published=pl.col("last_update_date").max(),
            tier=pl.col("tier").first(),
            volume=pl.col("shares").cast(pl.Float64).sum(),
        )
        .collect()
    )
    part = told.select("symbol", "week", "participation")
    both = filed.join(part, on=["symbol", "week"], how="left")
    only = told.join(filed, on=["symbol", "week"], how="anti")
    return pl.concat([both, only.select(both.columns)]).sort("symbol", "week")


def _bars(
    lake: Lake,
    symbols: Sequence[str],
    first: date,
    last: date,
    moment: datetime | None,
    notes: list[str],
) -> pl.DataFrame:
    columns = ["symbol", "session", "open", "high", "low", "close", "volume"]
    if not lake.tables.exists(_BARS):
        notes.append("no prices: `tapemill fetch bars_1d`, or import daily bars, then build")
        schema = contract(_BARS).schema
        return pl.DataFrame(schema={name: schema[name] for name in columns})
    known = lake.tables.exists(_ACTIONS)
    rows = lake.scan(
        _BARS,
        list(symbols),
        first,
        last,
        moment,
        "split" if known else None,
        [*columns, "quality"],
        strict_symbols=False,
    ).collect()
    traded = (rows["quality"] & int(Quality.ADJUSTED) == 0).any()
    if traded and not known:
        notes.append("prices as traded: splits were never looked up (`tapemill fetch splits`)")
    return rows.select(columns).sort("symbol", "session")
