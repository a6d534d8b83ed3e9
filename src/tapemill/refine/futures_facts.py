"""What a source says about a contract on each trade date, counted in one pass over its rows."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tapemill.clock import calendar
from tapemill.lake import Lake
from tapemill.refine.futures_rows import WINDOW, records, windows
from tapemill.refine.futures_sources import (
    EVENTS,
    OrderSource,
    session_window,
    sessions_of_source,
)

if TYPE_CHECKING:
    from tapemill.refine.futures_ladder import LadderCheck

__all__ = ["SourceFacts", "gather"]

_DEPTH = "silver.futures_depth"
_HOUR_NS = 3_600 * 10**9
_SNAPSHOT = 32
_ADD, _TRADE = ord("A"), ord("T")
_BITS = 64


@dataclasses.dataclass
class SourceFacts:
    """Counts of one source, symbol and trade date; snapshots are counted apart and nowhere else.

    Attributes
    ----------
    hours : set of int
        Whole hours since the trade date began in which records arrived.
    equal, repeated : int
        Records equal to another one of the same message; to one of another message.
    lags : int64, shape (64,)
        Records whose receipt came 2**i nanoseconds and more after the venue's time.
    spreads : int64
        Ends of events by ticks between the ladders.
    """

    source: OrderSource
    symbol: str
    session: datetime.date
    records: int = 0
    snapshots: int = 0
    trades: int = 0
    volume: int = 0
    buy_volume: int = 0
    sell_volume: int = 0
    prices: int = 0
    sizeless: int = 0
    unpriced: int = 0
    outside_hours: int = 0
    receipts_backwards: int = 0
    sequence_backwards: int = 0
    largest_jump: int = 0
    jump_ordinal: int = -1
    median_jump: float = 0.0
    received_before: int = 0
    equal: int = 0
    repeated: int = 0
    event_ends: int = 0
    crossed: int = 0
    first_crossed: int = -1
    negative_levels: int = 0
    too_deep: int = 0
    hours: set[int] = dataclasses.field(default_factory=set)
    lags: Any = dataclasses.field(default_factory=lambda: np.zeros(_BITS, np.int64))
    spreads: Any = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    def lag_ns(self, quantile: float) -> int:
        """About the quantile of receipt less venue time: a power of two at or below it."""
        return 1 << _quantile(self.lags, quantile) if self.lags.sum() else 0

    def spread_ticks(self, quantile: float) -> int:
        """Quantile of the spread where events end; 0 if there is none."""
        return _quantile(self.spreads, quantile) if self.spreads.sum() else 0

    def row(self) -> pl.DataFrame:
        """The plain numbers as one row of evidence."""
        plain = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if isinstance(getattr(self, field.name), int | float | str | datetime.date)
        }
        return pl.DataFrame([{**plain, "file": self.source.name, "schema": self.source.schema}])


def _quantile(counts: Any, quantile: float) -> int:
    return int(np.searchsorted(np.cumsum(counts), quantile * counts.sum(), side="left"))


def gather(lake: Lake, source: OrderSource, symbol: str) -> list[SourceFacts]:
    """Count a source's rows of a symbol, by trade date.

    Parameters
    ----------
    lake : Lake
    source : OrderSource
    symbol : str

    Returns
    -------
    list of SourceFacts
        One a trade date with rows, in order. Equal rows that a window of 262,144 ordinals parts
        are not seen as equal.
    """
    found: dict[datetime.date, _Counting] = {}
    dates = sessions_of_source(source)
    bounds = [session_window(day)[1] for day in dates]
    ladder = _ladder(source)
    for events, depth in _frames(lake, source, symbol):
        numbers = np.searchsorted(bounds, events["ts_gateway"].to_numpy(), side="right")
        for number in np.unique(numbers):
            day = dates[min(int(number), len(dates) - 1)]
            part = events.filter(pl.Series(numbers == number))
            own = depth.filter(
                pl.col("ordinal").is_between(part["ordinal"].min(), part["ordinal"].max())
            )
            counting = found.setdefault(day, _Counting(SourceFacts(source, symbol, day)))
            counting.add(part, own, ladder)
    return [found[day].facts for day in sorted(found)]


def _ladder(source: OrderSource) -> LadderCheck | None:
    if source.dataset != EVENTS:
        return None
    from tapemill.refine.futures_ladder import LadderCheck  # numba is slow to import

    return LadderCheck(source.book_levels)


def _frames(
    lake: Lake, source: OrderSource, symbol: str
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    start, end = source.first_ns, source.last_ns + 1
    for window in windows(lake, source.dataset, source, start, end, WINDOW):
        found = records(lake, source.dataset, source, [symbol], window, start_ns=start, end_ns=end)
        rows = found.select(pl.exclude(_CONSTANT))
        if source.dataset != EVENTS:
            events = rows.with_columns(
                action=pl.lit(_TRADE, pl.Int8), channel_id=pl.lit(0, pl.Int16)
            )
            yield events.collect().sort("ordinal"), pl.DataFrame(schema={"ordinal": pl.Int64})
            continue
        depth = records(lake, _DEPTH, source, [symbol], window, start_ns=start, end_ns=end)
        both = pl.collect_all([rows, depth.select("ordinal", "change", *_CHANGE)])
        if both[0].height:
            yield both[0].sort("ordinal"), both[1].sort("ordinal", "change")


_CHANGE = ("side", "price_ticks", "size")
_CONSTANT = ("symbol", "instrument_id", "session", "month", "known_at", "raw_key", "book_levels")
"""Columns that tell no two records of a source and symbol apart."""


class _Counting:
    """Facts on the way, with what must be remembered of the rows before."""

    def __init__(self, facts: SourceFacts) -> None:
        self.facts = facts
        known = calendar("CMES").session(facts.session)
        self._hours = known.pre_open_ns, known.post_close_ns
        self._receipt = 0
        self._sequences: dict[int, int] = {}
        self._jumps: list[float] = []
        self._seen_prices: set[int] = set()

    def add(self, rows: pl.DataFrame, depth: pl.DataFrame, ladder: LadderCheck | None) -> None:
        facts = self.facts
        snapshot = pl.col("flags").cast(pl.Int32) & _SNAPSHOT != 0
        if ladder is not None:
            self._walk(rows, depth, ladder)
        live = rows.filter(~snapshot)
        facts.snapshots += rows.height - live.height
        facts.records += live.height
        if live.is_empty():
            return
        self._count_trades(live.filter(pl.col("action") == _TRADE))
        sized = live.filter(pl.col("action").is_in([_ADD, _TRADE]))
        facts.sizeless += sized.filter(pl.col("size") <= 0).height
        self._count_equal(live.drop("ordinal"))
        self._count_clocks(live)
        self._count_sequence(live)

    def _count_equal(self, live: pl.DataFrame) -> None:
        """One message may say equal things, one after the other; two messages may not."""
        shown = live.hash_rows(seed=1)
        message = live.select(pl.struct("ts_event", "sequence").rle_id()).to_series()
        apart = pl.DataFrame([shown.alias("shown"), message.alias("message")]).n_unique()
        self.facts.equal += live.height - apart
        self.facts.repeated += apart - shown.n_unique()

    def _count_trades(self, trades: pl.DataFrame) -> None:
        facts, (opens, closes) = self.facts, self._hours
        size = pl.col("size").cast(pl.Int64)
        moment = pl.col("ts_event")
        counted = trades.select(
            volume=size.sum(),
            buy=size.filter(pl.col("side") == ord("B")).sum(),
            sell=size.filter(pl.col("side") == ord("A")).sum(),
            unpriced=pl.col("price_ticks").null_count(),
            outside=((moment < opens) | (moment >= closes)).sum(),
        ).row(0)
        facts.trades += trades.height
        facts.volume += counted[0]
        facts.buy_volume += counted[1]
        facts.sell_volume += counted[2]
        facts.unpriced += counted[3]
        facts.outside_hours += counted[4]
        self._seen_prices.update(trades["price_ticks"].drop_nulls().unique())
        facts.prices = len(self._seen_prices)

    def _count_clocks(self, live: pl.DataFrame) -> None:
        facts = self.facts
        receipts = live["ts_gateway"].to_numpy()
        steps = np.diff(receipts, prepend=self._receipt or receipts[0])
        facts.receipts_backwards += int((steps < 0).sum())
        self._receipt = int(receipts[-1])
        lag = receipts - live["ts_event"].to_numpy()
        facts.received_before += int((lag < 0).sum())
        bits = np.log2(np.maximum(lag, 1)).astype(np.int64)
        facts.lags += np.bincount(bits, minlength=_BITS)[:_BITS]
        start = session_window(facts.session)[0]
        facts.hours.update(np.unique((receipts - start) // _HOUR_NS).tolist())

    def _count_sequence(self, live: pl.DataFrame) -> None:
        """Numbers run by channel; a contract's own leave out those of the channel's others."""
        facts = self.facts
        for (channel,), rows in live.group_by("channel_id", maintain_order=True):
            key = int(str(channel or 0))
            numbers = rows["sequence"].to_numpy()
            jumps = np.diff(numbers, prepend=self._sequences.get(key, numbers[0]))
            self._sequences[key] = int(numbers[-1])
            facts.sequence_backwards += int((jumps < 0).sum())
            self._jumps.append(float(np.median(jumps)))
            at = int(jumps.argmax())
            if jumps[at] > facts.largest_jump:
                facts.largest_jump = int(jumps[at])
                facts.jump_ordinal = int(rows["ordinal"][at])
        facts.median_jump = float(np.median(self._jumps))

    def _walk(self, rows: pl.DataFrame, depth: pl.DataFrame, ladder: LadderCheck) -> None:
        facts, (opens, closes) = self.facts, self._hours
        if not len(facts.spreads):
            self._counts, facts.spreads = ladder.counters()
        flags = rows["flags"].cast(pl.Int64).to_numpy()
        moments = rows["ts_event"].to_numpy()
        counted = (moments >= opens) & (moments < closes) & (flags & _SNAPSHOT == 0)
        changes = (
            depth["ordinal"].to_numpy(writable=True),
            *(depth[name].cast(pl.Int64).to_numpy(writable=True) for name in _CHANGE),
        )
        ladder.walk(
            rows["ordinal"].to_numpy(writable=True),
            flags.copy(),
            counted,
            (changes[0], changes[1], changes[2], changes[3]),
            self._counts,
            facts.spreads,
        )
        facts.event_ends, facts.crossed, facts.first_crossed = self._counts[:3].tolist()
        facts.negative_levels, facts.too_deep = self._counts[3:5].tolist()
