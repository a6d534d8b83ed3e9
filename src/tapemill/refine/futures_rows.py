"""Rows of order data in the order of the file, a window of ordinals at a time.

A day of a busy contract is twenty million records: nothing here holds more than a window of them.
Files are found by their statistics of receipt time, raw object and ordinal, row groups by those
inside.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

import polars as pl

from tapemill.lake import Lake
from tapemill.refine.futures_sources import EVENTS, OrderSource, Segment

__all__ = ["WINDOW", "Window", "records", "trade_rows", "windows"]

WINDOW = 262_144
"""Ordinals of a window."""
_TRADE_WINDOW = 16 * WINDOW
_TRADE = ord("T")
_SNAPSHOT = 32
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)

_Value = int | str | datetime.datetime
Window = tuple[int, int]
"""First ordinal and the one after the last."""


def windows(
    lake: Lake,
    dataset: str,
    source: OrderSource,
    start_ns: int,
    end_ns: int,
    size: int = WINDOW,
) -> Iterator[Window]:
    """Windows of ordinals that may hold records of a source received in ``[start_ns, end_ns)``.

    They are the same for every table that names the same ordinals.
    """
    files = _files(lake, dataset, source, start_ns, end_ns)
    if files.is_empty():
        return
    covered = files.select("min.ordinal", "max.ordinal").rows()
    first, last = min(low for low, _ in covered), max(high for _, high in covered)
    for low in range(first - first % size, last + 1, size):
        if any(begin < low + size and end >= low for begin, end in covered):
            yield low, low + size


def records(
    lake: Lake,
    dataset: str,
    source: OrderSource,
    symbols: Sequence[str],
    window: Window,
    *,
    start_ns: int,
    end_ns: int,
) -> pl.LazyFrame:
    """Rows of a source and of some symbols in a window, received in ``[start_ns, end_ns)``.

    In the order of the files; sort by ordinal if there may be several. Of a table without
    ``ts_gateway`` the rows next to the ends may be too many, by a microsecond.
    """
    table = lake.tables.table(dataset)
    low, high = window
    files = _files(lake, dataset, source, start_ns, end_ns)
    if files.is_empty():
        return table.scan([])
    inside = (pl.col("max.ordinal") >= low) & (pl.col("min.ordinal") < high)
    files = files.filter(inside).sort("min.ordinal")
    rows = table.scan(files["path"].to_list())
    # What the statistics of the files say of every row costs nothing; asking the rows does.
    if not _all_between(files, "raw_key", source.raw_key, source.raw_key):
        rows = rows.filter(pl.col("raw_key") == source.raw_key)
    if len(symbols) > 1:
        rows = rows.filter(pl.col("symbol").is_in(symbols))
    elif not _all_between(files, "symbol", symbols[0], symbols[0]):
        rows = rows.filter(pl.col("symbol") == symbols[0])
    if not _all_between(files, "ordinal", low, high - 1):
        rows = rows.filter((pl.col("ordinal") >= low) & (pl.col("ordinal") < high))
    if dataset == EVENTS and source.mixed:
        rows = rows.filter(pl.col("book_levels") == source.book_levels)
    first, last = _moment(start_ns) + 2 * _MICROSECOND, _moment(end_ns) - 2 * _MICROSECOND
    if _all_between(files, "known_at", first, last):
        return rows
    # Rounded up to the microsecond: this spares row groups.
    moment = pl.col("known_at")
    rows = rows.filter((moment >= _moment(start_ns)) & (moment <= _moment(end_ns + 999)))
    if "ts_gateway" not in table.dataset.schema:
        return rows
    return rows.filter((pl.col("ts_gateway") >= start_ns) & (pl.col("ts_gateway") < end_ns))


def _all_between(files: pl.DataFrame, column: str, low: _Value, high: _Value) -> bool:
    """Whether the statistics say that every row of the files lies between, both included."""
    least, most = f"min.{column}", f"max.{column}"
    if least not in files.columns:
        return False
    within = (pl.col(least) >= low) & (pl.col(most) <= high)
    return bool(files.select(within.fill_null(value=False).all()).item())


def trade_rows(
    lake: Lake, segment: Segment, symbols: Sequence[str], *, as_of_ns: int | None = None
) -> Iterator[pl.DataFrame]:
    """Trades of a segment in order of arrival, at most a few million records behind each frame.

    Yields
    ------
    pl.DataFrame
        ``symbol``, ``ts_event``, ``ts_gateway``, ``ordinal``, ``price_ticks`` (null where the feed
        gives none; in ticks of the source), ``size``, ``side``, ``aggressor`` (Int8: +1 buyer, -1
        seller, 0 unknown). Snapshots are state and not among them.
    """
    source = segment.source
    end_ns = segment.end_ns if as_of_ns is None else min(segment.end_ns, as_of_ns + 1)
    for window in windows(lake, source.dataset, source, segment.start_ns, end_ns, _TRADE_WINDOW):
        rows = records(
            lake, source.dataset, source, symbols, window, start_ns=segment.start_ns, end_ns=end_ns
        ).filter(pl.col("flags").cast(pl.Int32) & _SNAPSHOT == 0)
        if source.dataset == EVENTS:
            rows = rows.filter(pl.col("action") == _TRADE)
        found = rows.select(
            "symbol",
            "ts_event",
            "ts_gateway",
            "ordinal",
            "price_ticks",
            "size",
            "side",
            aggressor=_aggressor(),
        ).collect()
        if found.height:
            yield found.sort("ordinal", maintain_order=True)


def _aggressor() -> pl.Expr:
    side = pl.col("side")
    return (side == ord("B")).cast(pl.Int8) - (side == ord("A")).cast(pl.Int8)


def _files(
    lake: Lake, dataset: str, source: OrderSource, start_ns: int, end_ns: int
) -> pl.DataFrame:
    """Data files that may hold rows of a source received in ``[start_ns, end_ns)``."""
    files = lake.tables.files(dataset)
    if files.is_empty() or start_ns >= end_ns:
        return files.clear()
    may = (pl.col("max.known_at") >= _moment(start_ns)) & (
        pl.col("min.known_at") <= _moment(end_ns + 999)
    )
    if "min.raw_key" in files.columns:  # files of older writers do not tell
        low, high = pl.col("min.raw_key"), pl.col("max.raw_key")
        own = pl.lit(source.raw_key).is_between(low, high)
        may = may.fill_null(value=True) & own
    return files.filter(may.fill_null(value=True))


def _moment(ns: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=ns // 1000)
