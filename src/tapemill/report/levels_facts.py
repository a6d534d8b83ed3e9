"""What the page of levels shows of one contract and trade date, read from the lake as known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.errors import DateError, LakeError, UnknownNameError, did_you_mean
from tapemill.lake.asof import as_of_moment
from tapemill.report.levels_book import BookGrid, book_grid, column_edges
from tapemill.report.levels_choice import choose
from tapemill.report.levels_notes import careful_notes
from tapemill.report.levels_reading import (
    BARRIER,
    HORIZON,
    WINDOW,
    Source,
    contract_row,
    has_history,
    known_rows,
    read_episodes,
    read_evidence,
    read_sources,
)
from tapemill.report.levels_tape import TapeBins, tape_bins
from tapemill.report.levels_zones import zone_stretches, zones_of

if TYPE_CHECKING:
    from tapemill.lake import Lake
    from tapemill.levels.trades import Trades
    from tapemill.settings import Settings

__all__ = [
    "BARRIER",
    "HORIZON",
    "WINDOW",
    "LevelsFacts",
    "Source",
    "read_levels",
    "symbols_of_session",
]

_LEVELS, _EPISODES = "gold.levels", "gold.episodes"
_MINUTE = 60_000_000_000


@dataclasses.dataclass(frozen=True)
class LevelsFacts:
    """One contract on one trade date.

    Attributes
    ----------
    symbol, root : str
    session : date
    tick_size : float
        Points.
    as_of : datetime, optional
        Nothing known later was read.
    start_ns, end_ns : int
        Stretch that is drawn (ns UTC).
    open_ns, close_ns : int
        Of the trade date.
    regular : tuple of int, optional
        Regular hours (ns UTC).
    low_ticks, high_ticks : int
        Prices that are drawn, both included.
    levels, episodes : pl.DataFrame
        Rows of the gold tables, those asked for, placebos among them. Episodes with the outcome at
        the touch by the default label beside them.
    decisions : pl.DataFrame
        One row a decision: barrier and tape before it, outcome.
    zones : pl.DataFrame
        Stretches of the zones of these levels: :func:`tapemill.report.levels_zones.zone_stretches`.
    evidence : pl.DataFrame
        Outcomes at the touch of this product, up to this trade date: columns of
        :func:`tapemill.levels.effects.read_outcomes`.
    tape : TapeBins
    book : BookGrid, optional
        None where no order feed covers the date.
    sources : tuple of Source
    notes : tuple of str
        What makes the page less sure.
    gap_seconds : int
    ratios : tuple of float
        Replenishment below which a barrier is a vacuum, and above which a wall.
    """

    symbol: str
    root: str
    session: date
    tick_size: float
    as_of: datetime | None
    start_ns: int
    end_ns: int
    open_ns: int
    close_ns: int
    regular: tuple[int, int] | None
    low_ticks: int
    high_ticks: int
    levels: pl.DataFrame
    episodes: pl.DataFrame
    decisions: pl.DataFrame
    zones: pl.DataFrame
    evidence: pl.DataFrame
    tape: TapeBins
    book: BookGrid | None
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    gap_seconds: int
    ratios: tuple[float, float]

    @property
    def approaches(self) -> pl.DataFrame:
        """Episodes of real levels within the stretch that is drawn."""
        return self.episodes.filter(
            pl.col("family") == "real",
            pl.col("enter_ns") < self.end_ns,
            pl.col("end_ns") > self.start_ns,
        )

    def frames(self) -> dict[str, pl.DataFrame]:
        """Every table that is shown, by name."""
        return {"levels": self.levels, "episodes": self.episodes, "decisions": self.decisions}


def symbols_of_session(lake: Lake, session: date, symbol: str | None = None) -> list[str]:
    """Contracts whose levels were made on a trade date.

    Raises
    ------
    LakeError
        The table was never built.
    DateError
        `session` is no trade date, or holds nothing.
    UnknownNameError
        It holds nothing of `symbol`.
    """
    if not lake.tables.exists(_EPISODES):
        raise LakeError(
            f"{_EPISODES} is not built",
            where=lake.location,
            next_step="`tapemill build gold.episodes`, after `tapemill import dbn FILES`",
        )
    exchange = calendar("CMES")
    if not exchange.is_session(session):
        raise DateError(
            f"{session} is no trade date ({exchange.closed_reason(session)})",
            next_step=f"the one before is {exchange.previous(session)}",
        )
    rows = lake.tables.scan(_LEVELS).select("symbol", "session").unique().collect()
    found = sorted(rows.filter(pl.col("session") == session)["symbol"])
    if not found:
        days = sorted(set(rows["session"]))
        raise DateError(
            f"no levels were made on {session}",
            where=f"{lake.location} has {', '.join(map(str, days[-8:])) or 'no trade date'}",
            next_step="a trade date begins at 18:00 New York of the evening before; import its "
            "order data, then `tapemill build gold.episodes`",
        )
    if symbol is None:
        return found
    if symbol not in found:
        raise UnknownNameError(
            f"no levels of {symbol} were made on {session}",
            where=f"it has {', '.join(found)}",
            next_step=did_you_mean(symbol, found) or "leave --symbol out",
        )
    return [symbol]


def read_levels(
    lake: Lake,
    settings: Settings,
    session: date,
    symbol: str,
    *,
    wanted: Sequence[str] = (),
    as_of: date | datetime | str | None = None,
    between: tuple[int, int] | None = None,
) -> LevelsFacts:
    """Read what the page shows.

    Parameters
    ----------
    lake : Lake
    settings : Settings
        ``levels.gap_seconds`` tells a quiet market from a gap.
    session : date
        Trade date.
    symbol : str
    wanted : sequence of str
        Kinds or ids of levels; all by default.
    as_of : date, datetime or str, optional
        Nothing known later is read.
    between : tuple of int, optional
        Only this stretch is drawn (ns UTC).

    Raises
    ------
    UnknownNameError
        `wanted` names no level of the date.
    DateError
        No trade of the date was known, or none lies in the stretch.
    """
    from tapemill.levels.feed import open_feed, read_trades

    moment = None if as_of is None else as_of_moment(as_of)
    trades = read_trades(lake, symbol, session, as_of=moment)
    feed = open_feed(lake, symbol, session, as_of=moment)
    sources, known_until = read_sources(lake, symbol, session), _ns(moment)
    start, end = _stretch(trades, sources, known_until, between, session, symbol)
    levels = known_rows(lake, _LEVELS, symbol, session, moment)
    if known_until is not None:
        # How long a level would stand was not known.
        until = pl.col("valid_to_ns").clip(upper_bound=known_until)
        levels = levels.with_columns(valid_to_ns=until).filter(
            pl.col("valid_from_ns") < pl.col("valid_to_ns")
        )
    every = levels
    episodes, decisions = read_episodes(lake, symbol, session, moment)
    levels, episodes, decisions = choose(levels, episodes, decisions, wanted)
    tick = float(levels["price"][0] / levels["price_ticks"][0]) if levels.height else 1.0
    declared = contract_row(lake, symbol)
    tick = float(declared.get("tick_size") or tick)
    low, high = _prices(trades, start, end, levels if wanted else levels.clear())
    gap_seconds = settings.levels.gap_seconds
    book = None
    if feed.plan.segments:
        edges = column_edges(start, end)
        book = book_grid(feed.chunks(), edges, low, high, gap_seconds)
        tick = feed.plan.tick_nano / 1e9
    globex, stocks = calendar("CMES").session(session), calendar("XNYS")
    regular = stocks.session(session) if stocks.is_session(session) else None
    facts = LevelsFacts(
        symbol=symbol,
        root=str(declared.get("root") or ""),
        session=session,
        tick_size=tick,
        as_of=moment,
        start_ns=start,
        end_ns=end,
        open_ns=globex.open_ns,
        close_ns=globex.close_ns,
        regular=(regular.open_ns, regular.close_ns) if regular else None,
        low_ticks=low,
        high_ticks=high,
        levels=levels,
        episodes=episodes,
        decisions=decisions,
        zones=zones_of(zone_stretches(every, end), levels),
        evidence=read_evidence(lake, symbol, str(declared.get("root") or ""), session, moment),
        tape=tape_bins(trades, start, end, gap_seconds),
        book=book,
        sources=sources,
        notes=(),
        gap_seconds=gap_seconds,
        ratios=(settings.levels.vacuum_ratio, settings.levels.wall_ratio),
    )
    notes = careful_notes(facts, every, declared, has_history(lake, symbol, session))
    return dataclasses.replace(facts, notes=(*notes, *_not_projected(lake, settings, facts)))


def _not_projected(lake: Lake, settings: Settings, facts: LevelsFacts) -> tuple[str, ...]:
    """The user's levels of other instruments that could not be brought over, and why."""
    if not settings.levels.user_file:
        return ()
    from tapemill.levels.projected_notes import projection_notes
    from tapemill.levels.subject import subjects_of
    from tapemill.refine.futures_sources import order_sources

    subjects = subjects_of(lake, order_sources(lake)).get(facts.session, ())
    return tuple(
        f"{one.name} of {one.symbol} is not drawn: {one.reason}"
        for subject in subjects
        if subject.symbol == facts.symbol
        for one in projection_notes(lake, subject, settings.levels)
    )


def _ns(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _stretch(
    trades: Trades,
    sources: Sequence[Source],
    known_until: int | None,
    between: tuple[int, int] | None,
    session: date,
    symbol: str,
) -> tuple[int, int]:
    """From the first to the last record of the date, or what was asked of it; whole minutes."""
    times = trades.ts_gateway
    if not len(times) or not sources:
        raise DateError(
            f"no trade of {symbol} on {session} was known",
            next_step="give a later --as-of, or import order data or trades of that date",
        )
    start, end = min(one.start_ns for one in sources), max(one.end_ns for one in sources)
    # A file may begin with a snapshot long before anything trades.
    start = max(start, int(times[0]) - 5 * _MINUTE)
    end = min(end, known_until) if known_until is not None else end
    if between is not None:
        start, end = max(start, between[0]), min(end, between[1])
    start, end = start // _MINUTE * _MINUTE, -(-end // _MINUTE) * _MINUTE
    if not ((times >= start) & (times < end)).any():
        raise DateError(
            f"no trade of {symbol} on {session} lies in the stretch asked for",
            next_step="give other --from and --to, in New York time, or leave them out",
        )
    return start, end


def _prices(trades: Trades, start: int, end: int, asked: pl.DataFrame) -> tuple[int, int]:
    inside = (trades.ts_gateway >= start) & (trades.ts_gateway < end)
    low, high = int(trades.price[inside].min()), int(trades.price[inside].max())
    room = max(8, round(0.12 * (high - low)))
    low, high = low - room, high + room
    if asked.height:
        # A level that was asked for is drawn even where price did not come.
        shown = asked.filter(pl.col("family") == "real")["price_ticks"]
        if shown.len():
            low = min(low, int(np.floor(float(shown.min()))) - 4)  # type: ignore[arg-type]
            high = max(high, int(np.ceil(float(shown.max()))) + 4)  # type: ignore[arg-type]
    return low, high
