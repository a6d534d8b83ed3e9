"""A futures market, order by order, whose effects are known; written as the vendor's files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from tapemill.errors import UnknownNameError, UsageError, did_you_mean
from tapemill.world.dbn_writer import DbnWriter, encode_definitions
from tapemill.world.order_book_path import (
    TRUTH_SCHEMA,
    DayPath,
    PathWorld,
    WorldTrades,
    day_path,
    path_world,
)
from tapemill.world.order_book_records import DTYPES, derive, feed_behind, merge
from tapemill.world.order_book_spec import FuturesInstrument, OrderBookSpec, Pause, Plant
from tapemill.world.order_book_stream import SessionStream, midnight_ns

__all__ = [
    "FuturesInstrument",
    "OrderBookSpec",
    "OrderBookWorld",
    "PathWorld",
    "Pause",
    "Plant",
    "WorldTrades",
    "path_world",
    "write_day",
]

Array = Any

_DAY_NS: Final = 86_400_000_000_000
_MINUTES: Final = 23 * 60
_RECORDS_PER_TRADE: Final = {"mbo": 33, "mbp-10": 29}


class OrderBookWorld:
    """Order flow of one or more instruments; the same arguments give the same bytes.

    Parameters
    ----------
    seed : int
        Every number follows from it and the specifications.
    *specs : OrderBookSpec
        One an instrument. Each is drawn by itself: adding another changes nothing of the first.

    Examples
    --------
    >>> world = OrderBookWorld(7, OrderBookSpec(trades=2_000))  # doctest: +SKIP
    >>> world.write(Path("esh4.mbo.dbn.zst"), "mbo")  # doctest: +SKIP
    """

    def __init__(self, seed: int, *specs: OrderBookSpec) -> None:
        self.seed = seed
        self.specs = specs or (OrderBookSpec(),)
        self._paths: dict[tuple[str, date], DayPath] = {}

    @property
    def instruments(self) -> tuple[FuturesInstrument, ...]:
        """Instruments in the order of the specifications."""
        return tuple(spec.instrument for spec in self.specs)

    @property
    def trade_dates(self) -> tuple[date, ...]:
        """Trade dates on which any instrument trades."""
        return tuple(sorted({day for spec in self.specs for day in spec.trade_dates}))

    def truth(self) -> pl.DataFrame:
        """Return every approach to a planted level and what came of it (`TRUTH_SCHEMA`)."""
        frames = [self._path(spec, day).truth for spec in self.specs for day in spec.trade_dates]
        return pl.concat([pl.DataFrame(schema=TRUTH_SCHEMA), *frames])

    def trades(self, symbol: str | None = None) -> WorldTrades:
        """Return the recorded trades of one instrument (the first), as :func:`path_world` does."""
        spec = self._spec(symbol)
        return path_world(self.seed, spec).trades

    def blocks(self, schema: str, day: date | None = None) -> Iterator[Array]:
        """Yield the records of a trade date (the first), as structured arrays.

        Several instruments are merged by `ts_recv` in memory; one alone is streamed.

        Raises
        ------
        UnknownNameError
            For a schema that the world does not make.
        """
        day = self._day(day)
        specs = [spec for spec in self.specs if day in spec.trade_dates]
        streams = [self._stream(spec, day, schema) for spec in specs]
        if len(streams) == 1:
            yield from streams[0]
            return
        yield merge([np.concatenate([block.copy() for block in blocks]) for blocks in streams])

    def records(self, schema: str, day: date | None = None) -> Array:
        """Return all records of a trade date (the first) as one structured array."""
        return np.concatenate([block.copy() for block in self.blocks(schema, day)])

    def write(
        self, path: Path, schema: str, day: date | None = None, *, compress: bool | None = None
    ) -> int:
        """Write the records of a trade date (the first) and return how many they are.

        A name that ends in ``.zst`` is compressed unless `compress` says otherwise.
        """
        day = self._day(day)
        start, end = self._range(day)
        count = 0
        with DbnWriter(
            path,
            schema=schema,
            instruments=self.instruments,
            start_ns=start,
            end_ns=end,
            compress=compress,
        ) as out:
            for block in self.blocks(schema, day):
                out.write(block)
                count += block.size
        return count

    def write_definitions(
        self, path: Path, day: date | None = None, *, compress: bool | None = None
    ) -> int:
        """Write the definitions known at the start of a trade date; return how many records."""
        start, end = self._range(self._day(day))
        body = encode_definitions(self.instruments, start)
        with DbnWriter(
            path,
            schema="definition",
            instruments=self.instruments,
            start_ns=start,
            end_ns=end,
            compress=compress,
        ) as out:
            out.write(np.frombuffer(body, np.uint8))
        return sum(max(len(instrument.legs), 1) for instrument in self.instruments)

    def _stream(self, spec: OrderBookSpec, day: date, schema: str) -> Iterator[Array]:
        feed = feed_behind(schema)
        path = self._path(spec, day)
        wanted = round(path.ts_event.size * spec.records_per_trade) or spec.quiet_records
        stream = SessionStream(self.seed, spec, path, (feed,), records=wanted)
        yield from derive(schema, (block[feed] for block in stream.blocks()))

    def _path(self, spec: OrderBookSpec, day: date) -> DayPath:
        bid = spec.start_ticks
        for trade_date in spec.trade_dates:
            key = (spec.instrument.symbol, trade_date)
            if key not in self._paths:
                self._paths[key] = day_path(self.seed, spec, trade_date, bid)
            if trade_date == day:
                return self._paths[key]
            bid = self._paths[key].last_bid
        raise UsageError(f"{spec.instrument.symbol} does not trade on {day} in this world")

    def _spec(self, symbol: str | None) -> OrderBookSpec:
        known = {spec.instrument.symbol: spec for spec in self.specs}
        if symbol is None:
            return self.specs[0]
        if symbol not in known:
            raise UnknownNameError(
                f"the world has no {symbol!r}",
                where=f"it has {', '.join(known)}",
                next_step=did_you_mean(symbol, known),
            )
        return known[symbol]

    def _day(self, day: date | None) -> date:
        chosen = self.trade_dates[0] if day is None else day
        if chosen not in self.trade_dates:
            raise UsageError(
                f"nothing trades on {chosen} in this world",
                where=f"trade dates: {', '.join(str(known) for known in self.trade_dates)}",
                next_step="name one of them",
            )
        return chosen

    def _range(self, day: date) -> tuple[int, int]:
        spec = next(spec for spec in self.specs if day in spec.trade_dates)
        path = self._path(spec, day)
        return midnight_ns(path.open_ns), midnight_ns(path.close_ns) + _DAY_NS


def write_day(
    path: Path,
    schema: str = "mbp-10",
    records: int = 20_000_000,
    seed: int = 1,
    *,
    compress: bool | None = None,
    spec: OrderBookSpec | None = None,
) -> int:
    """Write a busy session of `records` records of `mbo` or `mbp-10`, in bounded memory.

    Parameters
    ----------
    path : Path
        File to make.
    spec : OrderBookSpec, optional
        What to write; its `trades` are set so that about 3 % of the records are trades.

    Returns
    -------
    int
        Records written: `records`, or a few more where they end inside an event.
    """
    if schema not in _RECORDS_PER_TRADE:
        raise UnknownNameError(
            f"write_day makes {' or '.join(_RECORDS_PER_TRADE)}, not {schema!r}",
            next_step=did_you_mean(schema, _RECORDS_PER_TRADE),
        )
    trades = max(records // _RECORDS_PER_TRADE[schema], 1)
    wanted = spec or OrderBookSpec()
    # Few trades move price little: a third of them is as much as looks like a market.
    sigma = min(wanted.sigma_minute, math.sqrt(trades / 3 / _MINUTES))
    chosen = dataclasses.replace(wanted, trades=trades, sigma_minute=sigma)
    day = chosen.trade_dates[0]
    walk = day_path(seed, chosen, day, chosen.start_ticks)
    feed = feed_behind(schema)
    stream = SessionStream(
        seed, chosen, walk, (feed,), records=records, counted=feed, with_snapshot=True
    )
    count = 0
    with DbnWriter(
        path,
        schema=schema,
        instruments=(chosen.instrument,),
        start_ns=midnight_ns(walk.open_ns),
        end_ns=midnight_ns(walk.close_ns) + _DAY_NS,
        compress=compress,
    ) as out:
        for block in stream.blocks():
            out.write(block[feed])
            count += block[feed].nbytes // DTYPES[feed].itemsize
    return count
