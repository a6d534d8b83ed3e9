"""The book of one contract and trade date out of the lake, in order of arrival, a chunk at a time.

Where several raw objects cover a moment, one speaks (:mod:`tapemill.refine.futures_sources`). Where
a trade date begins in the middle of a file, and where one source takes over from another, the feed
puts in one record of its own that says what rests in the book at that moment: action ``N``, flags
of a snapshot, changes with cause `RESET` from what the reader holds to what is there. Without it
a reader would keep levels of the source before, or know none of those that nobody has touched
since the evening. Its ordinal is one before that of the first record after it.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl

from tapemill.book.events import NO_DEPTH, NO_ORDER, NO_PRICE, Changes, Events
from tapemill.lake import Lake
from tapemill.lake.asof import AsOf, as_of_moment
from tapemill.levels._resting import Resting, opening_changes, state_record
from tapemill.levels.trades import NO_TRADES, Trades
from tapemill.refine.futures_rows import WINDOW, Window, records, trade_rows, windows
from tapemill.refine.futures_sources import (
    EVENTS,
    FeedPlan,
    Segment,
    order_sources,
    plan_feed,
    plan_trades,
)

__all__ = ["Feed", "open_feed", "read_feed", "read_trades"]

Array = Any
_DEPTH = "silver.futures_depth"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_EVENT_COLUMNS = {
    "ts_event": None,
    "ts_gateway": None,
    "ordinal": None,
    "action": None,
    "side": None,
    "price_ticks": NO_PRICE,
    "size": None,
    "depth": NO_DEPTH,
    "order_id": NO_ORDER,
    "flags": None,
    "channel_id": 0,
    "ts_in_delta": None,
    "sequence": None,
}
"""Columns of the table in the order of :class:`Events`, and what stands for null there."""
_CHANGE_COLUMNS = ("side", "price_ticks", "size", "orders", "cause", "quantity")


@dataclasses.dataclass(frozen=True)
class Feed:
    """A trade date's book to be read.

    Attributes
    ----------
    plan : FeedPlan
        What it is read from; `FeedPlan.provenance` is for the record.
    until_ns : int
        Records received at or after it are not read: the end of the date, or of what was known.
    """

    lake: Lake
    plan: FeedPlan
    until_ns: int

    def chunks(self, chunk: int = WINDOW) -> Iterator[tuple[Events, Changes]]:
        """Records in order of arrival.

        Parameters
        ----------
        chunk : int
            Most records at once. The next ones are read in a thread meanwhile, so that about
            twice as many are in memory.

        Yields
        ------
        Events, Changes
            Prices in the plan's ticks; the arrays are the caller's.
        """
        resting = Resting()
        last = len(self.plan.segments) - 1
        for number, segment in enumerate(self.plan.segments):
            first = True
            for events, changes in self._records(segment, chunk):
                if first:
                    begin = self._begin(segment, events, resting)
                    if begin is not None:
                        yield begin
                    first = False
                if number < last:
                    resting.fold(changes)
                yield events, changes

    def _begin(
        self, segment: Segment, events: Events, resting: Resting
    ) -> tuple[Events, Changes] | None:
        """The record that leads from what a reader holds to what rests in this source's book."""
        there = Resting()
        before = int(events.ordinal[0])
        for frame in self._changes_before(segment, before):
            there.fold(_changes(frame, segment.scale))
        changes = opening_changes(resting, there)
        resting.become(there)
        if not len(changes.side):
            return None
        return state_record(events, len(changes.side)), changes

    def _changes_before(self, segment: Segment, ordinal: int) -> Iterator[pl.DataFrame]:
        source, start = segment.source, segment.source.first_ns
        if start >= segment.start_ns:
            return
        for low, high in windows(self.lake, _DEPTH, source, start, segment.start_ns, 4 * WINDOW):
            window = (low, min(high, ordinal))
            yield (
                _depth_rows(self.lake, segment, self.plan.symbol, window, start, segment.start_ns)
                .collect()
                .sort("ordinal", "change")
            )

    def _records(self, segment: Segment, chunk: int) -> Iterator[tuple[Events, Changes]]:
        end_ns = min(segment.end_ns, self.until_ns)
        ahead = windows(self.lake, EVENTS, segment.source, segment.start_ns, end_ns, chunk)
        with ThreadPoolExecutor(1) as reader:
            window = next(ahead, None)
            coming = None if window is None else reader.submit(self._read, segment, window, end_ns)
            while coming is not None:
                found = coming.result()
                window = next(ahead, None)
                coming = (
                    None if window is None else reader.submit(self._read, segment, window, end_ns)
                )
                if len(found[0].ordinal):
                    yield found

    def _read(self, segment: Segment, window: Window, end_ns: int) -> tuple[Events, Changes]:
        start_ns, symbol = segment.start_ns, self.plan.symbol
        events, depth = pl.collect_all(
            [
                records(
                    self.lake,
                    EVENTS,
                    segment.source,
                    [symbol],
                    window,
                    start_ns=start_ns,
                    end_ns=end_ns,
                ).select(_EVENT_COLUMNS.keys()),
                _depth_rows(self.lake, segment, symbol, window, start_ns, end_ns),
            ]
        )
        if not events["ordinal"].is_sorted():
            events = events.sort("ordinal")
        if not depth["ordinal"].is_sorted():
            depth = depth.sort("ordinal", "change")
        return _joined(events, depth, segment.scale)


def open_feed(
    lake: Lake, symbol: str, session: datetime.date, *, as_of: AsOf | None = None
) -> Feed:
    """Choose what a contract's trade date is read from.

    Parameters
    ----------
    lake : Lake
    symbol : str
    session : date
        Trade date.
    as_of : date, datetime, str or int, optional
        Only records that were known then.

    Returns
    -------
    Feed
        Without segments where no order feed covers the date.

    Raises
    ------
    DateError
        `session` is no trade date.
    """
    plan = plan_feed(order_sources(lake), symbol, session)
    return Feed(lake, plan, min(plan.end_ns, _known_until(as_of, plan.end_ns)))


def read_feed(
    lake: Lake,
    symbol: str,
    session: datetime.date,
    *,
    chunk: int = WINDOW,
    as_of: AsOf | None = None,
) -> Iterator[tuple[Events, Changes]]:
    """Records of a contract's trade date: :func:`open_feed` and :meth:`Feed.chunks` in one."""
    return open_feed(lake, symbol, session, as_of=as_of).chunks(chunk)


def read_trades(
    lake: Lake, symbol: str, session: datetime.date, *, as_of: AsOf | None = None
) -> Trades:
    """All trades of a contract's trade date in order of arrival.

    From its order feeds as `read_feed` chooses them; where none covers a moment, from feeds of
    trades alone. Snapshots and trades without a price are left out.

    Parameters
    ----------
    lake, symbol, session, as_of
        As for :func:`open_feed`.
    """
    plan = plan_trades(order_sources(lake), symbol, session)
    until = _known_until(as_of, plan.end_ns)
    parts: list[Trades] = []
    for segment in plan.segments:
        for frame in trade_rows(lake, segment, [symbol], as_of_ns=until - 1):
            rows = frame.filter(pl.col("price_ticks").is_not_null())
            parts.append(
                Trades(
                    rows["ts_gateway"].to_numpy(),
                    rows["ordinal"].to_numpy(),
                    rows["price_ticks"].to_numpy() * np.int32(segment.scale),
                    rows["size"].to_numpy(),
                    rows["aggressor"].to_numpy(),
                )
            )
    if not parts:
        return NO_TRADES
    return Trades(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _known_until(as_of: AsOf | None, otherwise: int) -> int:
    """The first nanosecond whose record was not known at `as_of`."""
    if as_of is None:
        return otherwise
    return (as_of_moment(as_of) - _EPOCH) // _MICROSECOND * 1000 + 1


def _depth_rows(
    lake: Lake, segment: Segment, symbol: str, window: Window, start_ns: int, end_ns: int
) -> pl.LazyFrame:
    rows = records(lake, _DEPTH, segment.source, [symbol], window, start_ns=start_ns, end_ns=end_ns)
    return rows.select("ordinal", "change", *_CHANGE_COLUMNS)


def _joined(events: pl.DataFrame, depth: pl.DataFrame, scale: int) -> tuple[Events, Changes]:
    """Columns as arrays, and which changes are whose."""
    columns = [
        _column(events[name], null, scale if name == "price_ticks" else 1)
        for name, null in _EVENT_COLUMNS.items()
    ]
    owners, ordinals = depth["ordinal"].to_numpy(), columns[2]
    if not len(ordinals):
        return Events(*[*columns, np.zeros(1, np.int64)]), _changes(depth.clear(), scale)
    if ordinals[-1] - ordinals[0] == len(ordinals) - 1:
        place = np.clip(owners - ordinals[0], 0, len(ordinals) - 1)
    else:
        place = np.minimum(np.searchsorted(ordinals, owners), len(ordinals) - 1)
    # The ends of a stretch are cut by nanoseconds in one table and by microseconds in the other.
    own = ordinals[place] == owners
    if not own.all():
        depth, place = depth.filter(pl.Series(own)), place[own]
    bounds = np.zeros(len(ordinals) + 1, np.int64)
    np.cumsum(np.bincount(place, minlength=len(ordinals)), out=bounds[1:])
    return Events(*[*columns, bounds]), _changes(depth, scale)


def _changes(depth: pl.DataFrame, scale: int) -> Changes:
    return Changes(
        *(
            _column(depth[name], None, scale if name == "price_ticks" else 1)
            for name in _CHANGE_COLUMNS
        )
    )


def _column(values: pl.Series, null: int | None, scale: int) -> Array:
    """One array, writable, so that compiled code sees the same type as from a live feed."""
    if scale != 1:
        values = values * scale
    if null is not None:
        values = values.fill_null(null)
    return values.to_numpy(writable=True)
