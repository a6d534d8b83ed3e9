"""From the chunks of a DBN file to stretches: each instrument through its own book, in one pass.

Stretches are counted in records of the file, so they are the same whatever the chunks, and a killed
import that reads again comes to the same stretches with the same books.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tapemill.book import LadderBook, OrderBook
from tapemill.clock import Calendar
from tapemill.errors import ContractError
from tapemill.intake.order_pieces import (
    STRETCH_RECORDS,
    EventPiece,
    Source,
    Stretch,
    rejected_rows,
    trade_piece,
)
from tapemill.intake.order_sorting import MOST_TICKS, by_instrument, off_tick, prices_of
from tapemill.intake.order_ticks import Tick, TickTable, tick_of_prices
from tapemill.vendors.databento import (
    DbnFile,
    RecordChunk,
    parse_bars,
    parse_definitions,
    parse_statistics,
    parse_status,
)

__all__ = ["EVENTS", "FEEDS", "TRADES", "OrderReading"]

EVENTS = "silver.futures_events"
TRADES = "silver.futures_trades"
_LEVELS = {"mbo": 0, "mbp-10": 10, "mbp-1": 1}
_TRADES = ("trades", "tbbo")
FEEDS = {
    "definition": "bronze.databento_definitions",
    "statistics": "bronze.databento_statistics",
    "status": "bronze.databento_status",
    "ohlcv": "bronze.databento_bars",
}
_PARSERS: dict[str, Callable[..., pl.DataFrame]] = {
    "statistics": parse_statistics,
    "status": parse_status,
    "ohlcv": parse_bars,
}
_CHUNK = 65_536
_JUDGED = 65_536
"""Records of an instrument without a definition whose prices decide its tick; fewer if its first
stretch ends before."""
_DAY_NS = 86_400 * 10**9


class _Held(NamedTuple):
    stretch: Stretch
    records: Any
    ordinals: Any


@dataclasses.dataclass
class _Instrument:
    """One instrument of one kind of record; without a tick it holds its records back."""

    source: Source
    kind: str
    tick: Tick | None = None
    book: OrderBook | LadderBook | None = None
    held: list[_Held] = dataclasses.field(default_factory=list)

    @property
    def dataset(self) -> str:
        return EVENTS if self.kind in _LEVELS else TRADES

    def settle(self, tick: Tick) -> None:
        """Take a tick for good."""
        self.tick = tick
        if self.kind == "mbo":
            self.book = OrderBook(tick.nano)
        elif self.kind in _LEVELS:
            self.book = LadderBook(tick.nano, _LEVELS[self.kind])


class OrderReading:
    """Reads a file once, stretch by stretch.

    Parameters
    ----------
    file : DbnFile
    ticks : TickTable
        Learns the definitions of the file itself.
    calendar : Calendar
        Moments outside of it are set aside.

    Attributes
    ----------
    records : int
        Read so far.
    first_ns, last_ns : int or None
        Range of receipts (ns UTC).
    symbols : set of str
    ticks : dict
        Symbol → step that its rows are counted in.
    unused : dict
        Kind of record that no table keeps → how many.
    """

    def __init__(self, file: DbnFile, ticks: TickTable, calendar: Calendar) -> None:
        self.records = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.symbols: set[str] = set()
        self.ticks: dict[str, Tick] = {}
        self.unused: dict[str, int] = {}
        self._file = file
        self._table = ticks
        first, last = calendar.coverage
        epoch = np.datetime64(0, "D")
        # Two days in: whatever the zone and the weekend, the trade date is still in the calendar.
        self._lowest = int((np.datetime64(first) - epoch).astype(int) + 2) * _DAY_NS
        self._highest = int((np.datetime64(last) - epoch).astype(int) - 4) * _DAY_NS
        self._instruments: dict[tuple[str, int, str], _Instrument] = {}
        self._open: dict[int, Stretch] = {}

    def stretches(
        self, read: Callable[[int], None] | None = None
    ) -> Generator[Stretch, None, None]:
        """The stretches of the file in order, each once it is complete.

        `read` is told how many bytes of records each chunk has.
        """
        for chunk in self._file.chunks(_CHUNK):
            self._take(chunk)
            if read is not None:
                read(chunk.records.nbytes)
            full = [k for k, stretch in self._open.items() if stretch.records == STRETCH_RECORDS]
            for number in sorted(full):
                yield self._close(number)
        for number in sorted(self._open):
            yield self._close(number)

    def _close(self, number: int) -> Stretch:
        for instrument in self._instruments.values():
            if instrument.held:
                self._release(instrument)
        return self._open.pop(number)

    def _take(self, chunk: RecordChunk) -> None:
        """Divide a chunk among the stretches that its ordinals lie in."""
        ordinals = chunk.ordinals
        first = int(ordinals[0]) // STRETCH_RECORDS
        last = int(ordinals[-1]) // STRETCH_RECORDS
        cuts = np.searchsorted(ordinals, [k * STRETCH_RECORDS for k in range(first, last + 2)])
        for place, number in enumerate(range(first + 1, last + 2)):
            part = slice(cuts[place], cuts[place + 1])
            if part.start == part.stop:
                continue
            stretch = self._open.setdefault(number, Stretch(number))
            self._add(stretch, chunk._replace(records=chunk.records[part], ordinals=ordinals[part]))
            stretch.records += part.stop - part.start
        self.records += ordinals.size

    def _add(self, stretch: Stretch, chunk: RecordChunk) -> None:
        if chunk.kind in _LEVELS or chunk.kind in _TRADES:
            self._add_orders(stretch, chunk)
        elif chunk.kind in FEEDS:
            self._add_feed(stretch, chunk)
        elif chunk.kind not in ("symbol_mapping", "system"):
            count = len(chunk.records)
            self.unused[chunk.kind] = self.unused.get(chunk.kind, 0) + count

    def _span(self, times: Any) -> None:
        """Widen the range of receipts."""
        first, last = int(times.min()), int(times.max())
        self.first_ns = first if self.first_ns is None else min(first, self.first_ns)
        self.last_ns = last if self.last_ns is None else max(last, self.last_ns)

    def _add_feed(self, stretch: Stretch, chunk: RecordChunk) -> None:
        dataset = self._file.metadata.dataset
        if chunk.kind == "definition":
            frame = parse_definitions(chunk, dataset)
            self._table.learn(frame)
        else:
            frame = _PARSERS[chunk.kind](chunk, dataset, self._symbol)
        frame = frame.with_columns(
            pl.col("symbol").fill_null(pl.format("#{}", pl.col("instrument_id")))
        )
        received = frame["ts_gateway"].drop_nulls()
        if received.len():
            self._span(received)
        self.symbols |= set(frame["symbol"].unique())
        stretch.feeds.setdefault(FEEDS[chunk.kind], []).append(frame)

    # -- orders and trades -------------------------------------------------------------------

    def _add_orders(self, stretch: Stretch, chunk: RecordChunk) -> None:
        records: Any = chunk.records
        ordinals: Any = chunk.ordinals
        for number, rows in by_instrument(records):
            ours, places = (records, ordinals) if rows is None else (records[rows], ordinals[rows])
            for symbol, part in self._by_symbol(number, ours["ts_recv"]):
                instrument = self._instrument(chunk.kind, number, symbol)
                self._sound(stretch, instrument, ours[part], places[part])

    def _by_symbol(self, number: int, received: Any) -> Iterator[tuple[str, slice]]:
        """Stretches in which an id stands for one symbol; it may change at midnight UTC."""
        n = received.size
        ends = [self._symbol(number, int(received[0])), self._symbol(number, int(received[-1]))]
        if ends[0] == ends[1]:
            yield ends[0] or f"#{number}", slice(0, n)
            return
        days = received // _DAY_NS
        cuts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), n]
        for start, stop in itertools.pairwise(cuts):
            found = self._symbol(number, int(received[start]))
            yield found or f"#{number}", slice(start, stop)

    def _symbol(self, number: int, at_ns: int) -> str | None:
        return self._file.symbol_of(number, at_ns) or self._table.symbol_of(number, at_ns)

    def _instrument(self, kind: str, number: int, symbol: str) -> _Instrument:
        key = kind, number, symbol
        if key not in self._instruments:
            made = _Instrument(Source(symbol, number, _LEVELS.get(kind, -1)), kind)
            self._instruments[key] = made
            self.symbols.add(symbol)
            tick = self.ticks.get(symbol) or self._table.of(symbol)
            if tick is not None:
                self._settle(made, tick)
        return self._instruments[key]

    def _settle(self, instrument: _Instrument, tick: Tick) -> None:
        self.ticks.setdefault(instrument.source.symbol, tick)
        instrument.settle(self.ticks[instrument.source.symbol])

    def _sound(
        self, stretch: Stretch, instrument: _Instrument, records: Any, ordinals: Any
    ) -> None:
        """Set aside records without a time, then read the others."""
        times = [records["ts_event"], records["ts_recv"]]
        low, high = min(one.min() for one in times), max(one.max() for one in times)
        if low < self._lowest or high >= self._highest:
            bad = np.zeros(len(records), bool)
            for one in times:
                bad |= (one < self._lowest) | (one >= self._highest)
            self._reject(stretch, instrument, records[bad], ordinals[bad], "time_outside_calendar")
            records, ordinals = records[~bad], ordinals[~bad]
        if not len(records):
            return
        self._span(records["ts_recv"])
        if instrument.tick is not None:
            self._read(stretch, instrument, records, ordinals)
            return
        instrument.held.append(_Held(stretch, records.copy(), ordinals))
        if sum(len(part.records) for part in instrument.held) >= _JUDGED:
            self._release(instrument)

    def _release(self, instrument: _Instrument) -> None:
        """Decide a tick by the prices held back, then read their records."""
        held, instrument.held = instrument.held, []
        judged = [part.records for part in held]
        prices = np.concatenate([prices_of(one) for one in _first_of(judged, _JUDGED)])
        known = self.ticks.get(instrument.source.symbol)
        self._settle(instrument, known or tick_of_prices(prices))
        for part in held:
            self._read(part.stretch, instrument, part.records, part.ordinals)

    def _read(self, stretch: Stretch, instrument: _Instrument, records: Any, ordinals: Any) -> None:
        assert instrument.tick is not None
        nano = instrument.tick.nano
        if instrument.kind in _LEVELS and instrument.kind != "mbo":
            before = copy.deepcopy(instrument.book)  # a few hundred bytes
            try:
                self._apply(stretch, instrument, records, ordinals)
            except ContractError:
                # A ladder has twenty prices: they are looked at only once the book refused one.
                instrument.book = before
                good = self._on_tick(stretch, instrument, records, ordinals, ladder=True)
                self._apply(stretch, instrument, records[good], ordinals[good])
            return
        prices = records["price"]
        whole = prices // nano
        most = max(int(whole.max()), -int(whole.min()))
        odd = whole * nano != prices
        ladder = instrument.kind == "tbbo"
        if ladder or most > MOST_TICKS or odd.any():
            good = self._on_tick(stretch, instrument, records, ordinals, ladder=ladder)
            records, ordinals = records[good], ordinals[good]
        if instrument.kind == "mbo":
            self._apply(stretch, instrument, records, ordinals)
        elif len(records):
            stretch.trades.append(trade_piece(instrument.source, records, ordinals, nano))

    def _apply(
        self, stretch: Stretch, instrument: _Instrument, records: Any, ordinals: Any
    ) -> None:
        assert instrument.book is not None
        if len(records):
            events, changes = instrument.book.apply(records, ordinals)
            stretch.events.append(EventPiece(instrument.source, events, changes))

    def _on_tick(
        self,
        stretch: Stretch,
        instrument: _Instrument,
        records: Any,
        ordinals: Any,
        *,
        ladder: bool,
    ) -> Any:
        """Which records have only prices of whole ticks; the others are set aside."""
        assert instrument.tick is not None
        columns = [records["price"]]
        if ladder:
            sides = ("bid_px", "ask_px")
            columns += [
                records["levels"][side][:, k]
                for side in sides
                for k in range(records["levels"].shape[1])
            ]
        bad = np.zeros(len(records), bool)
        for prices in columns:
            bad |= off_tick(prices, instrument.tick.nano)
        self._reject(stretch, instrument, records[bad], ordinals[bad], "price_off_tick")
        return ~bad

    def _reject(
        self, stretch: Stretch, instrument: _Instrument, records: Any, ordinals: Any, reason: str
    ) -> None:
        if len(records):
            rows = rejected_rows(records, ordinals, instrument.source.symbol, reason)
            stretch.rejected.append((instrument.dataset, rows))


def _first_of(parts: list[Any], limit: int) -> Iterator[Any]:
    for part in parts:
        yield part[:limit]
        limit = max(limit - len(part), 0)
