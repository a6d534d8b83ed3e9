"""Minutes and volume profiles of contracts, out of the trades of their order data.

Both are made by the kernel that also serves live data (:mod:`tapemill.book.minutes`), from the
sources that :func:`~tapemill.refine.futures_sources.plan_trades` chooses. A row is known at the
end of its minute (half hour), or when the gateway had the last of its trades if that was later.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tapemill.clock import calendar, known_at_expr
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.refine.futures_rows import trade_rows
from tapemill.refine.futures_sources import (
    EVENTS,
    TRADES,
    FeedPlan,
    OrderSource,
    order_sources,
    plan_trades,
    session_window,
    sessions_of_source,
    symbols_of,
)
from tapemill.refine.recipe import Kitchen, Plan, Product, digest_of

if TYPE_CHECKING:
    from tapemill.book.minutes import Built

__all__ = ["MINUTE_INPUTS", "SessionBars", "plan_minutes", "plan_profile", "session_bars"]

MINUTE_INPUTS = ("bronze.databento_files", EVENTS, TRADES)
_MINUTES = "silver.futures_minutes"
_PROFILE = "silver.futures_profile"
_NANO = 10**9


@dataclasses.dataclass(frozen=True)
class SessionBars:
    """What the trades of one trade date make.

    Attributes
    ----------
    minutes, profile : pl.DataFrame
        Rows of ``silver.futures_minutes`` and ``silver.futures_profile``.
    quarantined : pl.DataFrame
        Trades that are in neither, with ``reasons``: ``no_price``, ``after_its_minute``.
    """

    minutes: pl.DataFrame
    profile: pl.DataFrame
    quarantined: pl.DataFrame


def session_bars(lake: Lake, sources: Sequence[OrderSource], session: datetime.date) -> SessionBars:
    """Minutes and profiles of every symbol of a trade date.

    Symbols that are read from the same sources are read together, a window of records at a time.
    """
    groups: dict[tuple[object, ...], list[FeedPlan]] = {}
    for symbol in symbols_of(sources, session):
        plan = plan_trades(sources, symbol, session)
        cover = tuple(
            (part.source.raw_key, part.source.book_levels, part.start_ns, part.end_ns)
            for part in plan.segments
        )
        if cover:
            groups.setdefault(cover, []).append(plan)
    made = [_of_group(lake, plans) for plans in groups.values()]
    return SessionBars(
        _together([part.minutes for part in made], _MINUTES),
        _together([part.profile for part in made], _PROFILE),
        pl.concat([part.quarantined for part in made]) if made else _no_quarantine(),
    )


def _together(frames: Sequence[pl.DataFrame], target: str) -> pl.DataFrame:
    declared = contract(target)
    if not frames:
        return declared.empty()
    return pl.concat(frames).sort(declared.order)


def _of_group(lake: Lake, plans: Sequence[FeedPlan]) -> SessionBars:
    """Bars of symbols whose plans have the same segments."""
    from tapemill.book.minutes import MinuteBuilder  # numba is slow to import

    by_symbol = {plan.symbol: plan for plan in plans}
    builders = {symbol: MinuteBuilder() for symbol in by_symbol}
    built: dict[str, list[Built]] = {symbol: [] for symbol in by_symbol}
    rejected = [_no_quarantine()]
    for number, segment in enumerate(plans[0].segments):
        for trades in trade_rows(lake, segment, list(by_symbol)):
            priced = trades.filter(pl.col("price_ticks").is_not_null())
            if priced.height < trades.height:
                unpriced = trades.filter(pl.col("price_ticks").is_null())
                rejected.append(_reject(unpriced, segment.source, plans[0].session, "no_price"))
            for (symbol,), rows in priced.group_by("symbol", maintain_order=True):
                name = str(symbol)
                scale = by_symbol[name].segments[number].scale
                one = builders[name].apply(
                    rows["ts_event"].to_numpy(),
                    rows["ts_gateway"].to_numpy(),
                    rows["price_ticks"].to_numpy() * np.int64(scale),
                    rows["size"].to_numpy(),
                    rows["aggressor"].to_numpy(),
                )
                built[name].append(one)
                if one.late.any():
                    late = rows.filter(pl.Series(one.late))
                    rejected.append(
                        _reject(late, segment.source, plans[0].session, "after_its_minute")
                    )
    for name, builder in builders.items():
        built[name].append(builder.finish())
    minutes = [_minute_rows(by_symbol[name], parts) for name, parts in built.items()]
    profiles = [_profile_rows(by_symbol[name], parts) for name, parts in built.items()]
    return SessionBars(pl.concat(minutes), pl.concat(profiles), pl.concat(rejected))


def _minute_rows(plan: FeedPlan, parts: Sequence[Built]) -> pl.DataFrame:
    rows = pl.concat([pl.DataFrame(part.minutes._asdict()) for part in parts])
    opened, closed = _regular_hours(plan.session)
    start = pl.col("ts_event")
    shaped = rows.rename({"start": "ts_event"}).select(
        **_identity(plan),
        ts_event=start,
        open_ticks=pl.col("open"),
        high_ticks=pl.col("high"),
        low_ticks=pl.col("low"),
        close_ticks=pl.col("close"),
        volume=pl.col("volume"),
        buy_volume=pl.col("buy_volume"),
        sell_volume=pl.col("sell_volume"),
        trades=pl.col("trades"),
        price_volume=pl.col("price_volume"),
        regular=(start >= opened) & (start < closed),
        tick_size=pl.lit(plan.tick_nano / _NANO),
        known_at=_known_at("bar_end"),
    )
    return contract(_MINUTES).conform(shaped)


def _profile_rows(plan: FeedPlan, parts: Sequence[Built]) -> pl.DataFrame:
    rows = pl.concat([pl.DataFrame(part.profile._asdict()) for part in parts])
    shaped = rows.rename({"start": "ts_event"}).select(
        **_identity(plan),
        ts_event=pl.col("ts_event"),
        price_ticks=pl.col("price"),
        volume=pl.col("volume"),
        buy_volume=pl.col("buy_volume"),
        sell_volume=pl.col("sell_volume"),
        known_at=_known_at("half_hour_end"),
    )
    return contract(_PROFILE).conform(shaped)


def _identity(plan: FeedPlan) -> dict[str, pl.Expr]:
    return {
        "symbol": pl.lit(plan.symbol),
        "session": pl.lit(plan.session),
        "month": pl.lit(f"{plan.session:%Y-%m}"),
    }


def _known_at(rule: str) -> pl.Expr:
    """The rule, or the receipt of the last trade (rounded up) if the gateway had it later."""
    received = (-(-pl.col("last_gateway") // 1000)).cast(pl.Datetime("us", "UTC"))
    return pl.max_horizontal(known_at_expr(rule, feed_delay_minutes=0), received)


def _regular_hours(session: datetime.date) -> tuple[int, int]:
    """Regular hours of US shares on a trade date, ns UTC; empty on their holidays."""
    known = calendar("XNYS")
    if not known.is_session(session):
        return 0, 0
    found = known.session(session)
    return found.open_ns, found.close_ns


def _reject(
    trades: pl.DataFrame, source: OrderSource, session: datetime.date, reason: str
) -> pl.DataFrame:
    return trades.select(
        "symbol",
        "ts_event",
        "ts_gateway",
        "price_ticks",
        "size",
        "side",
        "ordinal",
        session=pl.lit(session),
        raw_sha256=pl.lit(source.raw_sha256),
        source=pl.lit(source.source),
        ts_recv=pl.lit(source.received_us).cast(pl.Datetime("us", "UTC")),
        reasons=pl.lit(reason),
    )


def _no_quarantine() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "symbol": pl.String,
            "ts_event": pl.Int64,
            "ts_gateway": pl.Int64,
            "price_ticks": pl.Int32,
            "size": pl.Int32,
            "side": pl.Int8,
            "ordinal": pl.Int64,
            "session": pl.Date,
            "raw_sha256": pl.String,
            "source": pl.String,
            "ts_recv": pl.Datetime("us", "UTC"),
            "reasons": pl.String,
        }
    )


def plan_minutes(kitchen: Kitchen, version: str) -> Plan:
    """Units are trade dates; see :class:`tapemill.refine.recipe.Recipe`."""
    return _plan(kitchen, version, lambda bars: Product(bars.minutes, bars.quarantined), _MINUTES)


def plan_profile(kitchen: Kitchen, version: str) -> Plan:
    """Units are trade dates; trades that are in no profile are in quarantine with the minutes."""
    return _plan(kitchen, version, lambda bars: Product(bars.profile), _PROFILE)


def _plan(
    kitchen: Kitchen, version: str, product: Callable[[SessionBars], Product], target: str
) -> Plan:
    """A trade date is stale when the sources that reach into it, or its hours, are other ones."""
    sources = order_sources(kitchen.lake)
    reaching: dict[datetime.date, list[OrderSource]] = {}
    for source in sources:
        for day in sessions_of_source(source):
            reaching.setdefault(day, []).append(source)

    def make(units: Sequence[str]) -> Product:
        made = [
            product(session_bars(kitchen.lake, reaching.get(day, []), day))
            for day in map(datetime.date.fromisoformat, units)
        ]
        rejected = [one.quarantined for one in made if one.quarantined is not None]
        return Product(
            _together([one.rows for one in made], target), pl.concat(rejected) if rejected else None
        )

    return Plan(
        {
            day.isoformat(): digest_of(
                version, *session_window(day), *_regular_hours(day), *map(str, reaching[day])
            )
            for day in sorted(reaching)
        },
        make,
    )
