"""Pieces of a stretch as rows of the silver order tables, column by column."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from tapemill.book import NO_DEPTH, NO_PRICE, Flag
from tapemill.clock import Calendar
from tapemill.contracts import contract
from tapemill.intake.order_pieces import NO_TICKS, EventPiece, Source, TradePiece

__all__ = ["depth_rows", "event_rows", "trade_rows"]

_UTC_US = pl.Datetime("us", "UTC")
_BEST = tuple(f"{side}_{what}" for side in ("bid", "ask") for what in ("ticks", "size", "orders"))

Columns = dict[str, Any]


def event_rows(pieces: Sequence[EventPiece], raw_key: int, calendar: Calendar) -> pl.DataFrame:
    """Rows of ``silver.futures_events``.

    Parameters
    ----------
    pieces : sequence of EventPiece
        Of one stretch, at least one.
    raw_key : int
    calendar : Calendar
        CMES.

    Returns
    -------
    pl.DataFrame
        As the contract has it, in the order of the pieces.
    """
    of = _joined([piece.events._asdict() for piece in pieces])
    sources = _Sources([piece.source for piece in pieces], [p.events.ordinal.size for p in pieces])
    columns: Columns = {
        name: of(name) for name in ("ts_event", "ts_gateway", "ordinal", "action", "side", "size")
    }
    columns |= {name: of(name) for name in ("flags", "ts_in_delta", "sequence")}
    columns["price_ticks"] = _null_where(of("price"), NO_PRICE)
    columns["depth"] = sources.only("ladders", lambda: of("depth"), pl.Int16, NO_DEPTH)
    columns["order_id"] = sources.only("orders", lambda: of("order_id"), pl.Int64)
    columns["channel_id"] = sources.only("orders", lambda: of("channel_id"), pl.Int16)
    columns["known_at"] = _known_at(columns["ts_gateway"])
    columns |= _sessions(columns["ts_event"], columns["ts_gateway"], columns["flags"], calendar)
    return _frame("silver.futures_events", columns | sources.columns(), raw_key)


def depth_rows(pieces: Sequence[EventPiece], raw_key: int, calendar: Calendar) -> pl.DataFrame:
    """Rows of ``silver.futures_depth``; parameters and order as of :func:`event_rows`."""
    of = _joined([piece.changes._asdict() for piece in pieces])
    counts = [piece.changes.side.size for piece in pieces]
    sources = _Sources([piece.source for piece in pieces], counts)
    behind = [_behind(piece) for piece in pieces]
    records = _joined(behind)
    columns: Columns = {name: of(name) for name in ("side", "size", "orders", "cause", "quantity")}
    columns["price_ticks"] = of("price")
    columns |= {name: records(name) for name in ("ts_event", "ordinal", "change")}
    gateway, flags = records("ts_gateway"), records("flags")
    columns["known_at"] = _known_at(gateway)
    columns |= _sessions(columns["ts_event"], gateway, flags, calendar)
    return _frame("silver.futures_depth", columns | sources.columns(), raw_key)


def trade_rows(pieces: Sequence[TradePiece], raw_key: int, calendar: Calendar) -> pl.DataFrame:
    """Rows of ``silver.futures_trades``; parameters and order as of :func:`event_rows`."""
    sizes = [piece.columns["ordinal"].size for piece in pieces]
    filled = [
        piece.columns
        | {name: np.full(n, NO_TICKS, np.int32) for name in _BEST if name not in piece.columns}
        for piece, n in zip(pieces, sizes, strict=True)
    ]
    of = _joined(filled)
    columns: Columns = {name: of(name) for name in filled[0]}
    for name in ("price_ticks", *_BEST):
        columns[name] = _null_where(columns[name], NO_TICKS)
    columns["known_at"] = _known_at(columns["ts_gateway"])
    columns |= _sessions(columns["ts_event"], columns["ts_gateway"], columns["flags"], calendar)
    sources = _Sources([piece.source for piece in pieces], sizes)
    return _frame("silver.futures_trades", columns | sources.columns(), raw_key)


def _behind(piece: EventPiece) -> Columns:
    """The record behind each change, and the number of the change within it."""
    events = piece.events
    counts = np.diff(events.first_change)
    record = np.repeat(np.arange(counts.size), counts)
    numbers = np.arange(record.size) - np.repeat(events.first_change[:-1], counts)
    return {
        "ts_event": events.ts_event[record],
        "ts_gateway": events.ts_gateway[record],
        "ordinal": events.ordinal[record],
        "flags": events.flags[record],
        "change": numbers.astype(np.int16),
    }


class _Sources:
    """Whose the rows are, for columns that are the same all along a piece."""

    def __init__(self, sources: Sequence[Source], sizes: Sequence[int]) -> None:
        self._all = sources
        self._sizes = sizes
        self._orders = [source.levels == 0 for source in sources]

    def columns(self) -> Columns:
        """symbol, instrument_id and book_levels."""
        types = (pl.String(), pl.Int64(), pl.Int16())
        names = ("symbol", "instrument_id", "book_levels")
        if len(set(self._all)) == 1:
            return {
                name: pl.lit(value, dtype)
                for name, value, dtype in zip(names, self._all[0], types, strict=True)
            }
        place = pl.Series(np.repeat(np.arange(len(self._all)), self._sizes))
        return {
            name: pl.Series([source[k] for source in self._all], dtype=dtype).gather(place)
            for k, (name, dtype) in enumerate(zip(names, types, strict=True))
        }

    def only(self, kind: str, values: Any, dtype: Any, missing: int | None = None) -> Any:
        """A column that the other kind of feed does not have."""
        has = self._orders if kind == "orders" else [not one for one in self._orders]
        if not any(has):
            return pl.lit(None, dtype)
        series = pl.Series(values(), dtype=dtype)
        if missing is not None:
            series = _null_where(series, missing)
        if not all(has):
            series = series.set(pl.Series(np.repeat(np.logical_not(has), self._sizes)), None)
        return series


def _joined(pieces: Sequence[Columns]) -> Any:
    """Column name → its values of all pieces one after the other."""
    if len(pieces) == 1:
        return pieces[0].__getitem__
    return lambda name: np.concatenate([piece[name] for piece in pieces])


def _null_where(values: Any, missing: int) -> pl.Series:
    series = values if isinstance(values, pl.Series) else pl.Series(values)
    absent = series == missing
    return series.set(absent, None) if absent.any() else series


def _known_at(gateway: Any) -> pl.Series:
    # Rounded up: the fraction of a microsecond must not make a record known before it came.
    return pl.Series((gateway + 999) // 1000).cast(_UTC_US)


def _sessions(event: Any, gateway: Any, flags: Any, calendar: Calendar) -> Columns:
    """The trade date and month of each row; a snapshot belongs where the gateway sent it.

    Its orders were entered days or weeks before, and the book of a trade date begins with it.
    """
    snapshot = (flags & Flag.SNAPSHOT) != 0
    moments = np.where(snapshot, gateway, event) if snapshot.any() else event
    if not moments.size:
        return {"session": pl.lit(None, pl.Date), "month": pl.lit(None, pl.String)}
    # The trade date never decreases with time: its ends tell whether there is more than one.
    first, last = calendar.trade_dates(pl.Series([moments.min(), moments.max()]))
    if first == last:
        return {"session": pl.lit(first, pl.Date), "month": pl.lit(_month(first), pl.String)}
    days = calendar.trade_dates(pl.Series(moments))
    months = {day: _month(day) for day in days.unique()}
    return {"session": days, "month": days.replace_strict(months, return_dtype=pl.String)}


def _month(day: datetime.date) -> str:
    return f"{day:%Y-%m}"


def _frame(dataset: str, columns: Columns, raw_key: int) -> pl.DataFrame:
    schema = contract(dataset).schema
    columns = {**columns, "raw_key": pl.lit(raw_key, pl.Int64)}
    values = {name: column for name, column in columns.items() if not isinstance(column, pl.Expr)}
    if "book_levels" not in schema:
        columns.pop("book_levels")
    constants = [
        column.alias(name) for name, column in columns.items() if isinstance(column, pl.Expr)
    ]
    return (
        pl.DataFrame({name: values[name] for name in values if name in schema})
        .with_columns(constants)
        .select(schema.names())
    )
