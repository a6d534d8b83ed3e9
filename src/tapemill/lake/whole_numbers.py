"""Parquet files of whole numbers: order data, where a day has a hundred million values a column.

Polars' writer looks every value up in a dictionary and keeps times as they are. Knowing that
columns are whole numbers, one pass tells which of three encodings suits, and compiled code writes
it. Any Parquet reader reads the files.

Source: Apache Parquet, format 2.10 (thrift definitions and encodings).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import zstandard

from tapemill.lake._bits import BLOCK, bit_packed, delta_packed, indexed, span
from tapemill.lake._thrift import I8, I32, I64, Value, encoded, varint

__all__ = ["WholeFile"]

_MARK = b"PAR1"
_INT32, _INT64, _BYTE_ARRAY = I32(1), I32(2), I32(6)
_PLAIN, _RLE, _DELTA, _DICTIONARY = I32(0), I32(3), I32(5), I32(8)
_ZSTD = I32(6)
_REQUIRED, _OPTIONAL = I32(0), I32(1)
_DATA_PAGE, _DICTIONARY_PAGE = I32(0), I32(2)
_MOST_INDEXED = 1 << 16
"""Widest range of values that is looked up in a dictionary."""
_MOST_DISTINCT = 1 << 12
_DELTA_HEAD = 40
_BLOCK_ROOM = 10 + 4 + 8 * BLOCK
"""A block at worst: its least step, four widths, and every step in 64 bits."""
_FEW_OF = 4
"""A dictionary must be met this often, on average, to pay."""


class _Layout(NamedTuple):
    physical: I32
    converted: I32
    logical: Value


def _signed(bits: int) -> Value:
    return {10: {1: I8(bits), 2: True}}


_LAYOUTS: dict[pl.DataType, _Layout] = {
    pl.Int8(): _Layout(_INT32, I32(15), _signed(8)),
    pl.Int16(): _Layout(_INT32, I32(16), _signed(16)),
    pl.Int32(): _Layout(_INT32, I32(17), _signed(32)),
    pl.Int64(): _Layout(_INT64, I32(18), _signed(64)),
    pl.Date(): _Layout(_INT32, I32(6), {6: {}}),
    pl.Datetime("us", "UTC"): _Layout(_INT64, I32(10), {8: {1: True, 2: {2: {}}}}),
    pl.String(): _Layout(_BYTE_ARRAY, I32(0), {1: {}}),
}


class _Chunk(NamedTuple):
    """One column of one row group, as bytes and as its metadata describe it."""

    pages: bytes
    plain_size: int
    dictionary_size: int
    encoding: I32
    nulls: int
    bounds: tuple[bytes, bytes] | None


class _Values(NamedTuple):
    """Values of a chunk that are there, encoded; `dictionary` is (count, bytes)."""

    encoding: I32
    body: bytes
    bounds: tuple[bytes, bytes] | None = None
    dictionary: tuple[int, bytes] | None = None


class _Column(NamedTuple):
    """A column as numbers: its own, or places in the list of its texts."""

    name: str
    layout: _Layout
    numbers: Any
    valid: Any
    texts: list[bytes] | None


class WholeFile:
    """A Parquet file that grows by row groups and holds no more than their bytes.

    Parameters
    ----------
    schema : pl.Schema
        Integers, dates, microseconds UTC, and texts of which few differ within a row group.
    nullable : collection of str
        Columns in which a value may be absent.
    row_group_rows, level : int
        Most rows of a row group; level of zstd.
    """

    def __init__(
        self, schema: pl.Schema, nullable: Collection[str], *, row_group_rows: int, level: int
    ) -> None:
        self.rows = 0
        self._schema = schema
        self._nullable = frozenset(nullable)
        self._most = row_group_rows
        self._compressor = zstandard.ZstdCompressor(level=level)
        self._parts: list[bytes] = [_MARK]
        self._at = len(_MARK)
        self._groups: list[Value] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Append rows of the declared schema; they are encoded at once."""
        columns = [_column(frame, name, self._nullable) for name in self._schema]
        count = -(-frame.height // self._most)
        cuts = [frame.height * k // count for k in range(count + 1)] if count else []
        for start, stop in itertools.pairwise(cuts):
            self._add_group(columns, slice(start, stop))

    def _add_group(self, columns: list[_Column], rows: slice) -> None:
        count = rows.stop - rows.start
        first, plain = self._at, 0
        entries: list[Value] = []
        for column in columns:
            chunk = _encoded(column, rows, self._compressor)
            entries.append({2: I64(self._at), 3: _described(column, chunk, self._at, count)})
            self._parts.append(chunk.pages)
            self._at += len(chunk.pages)
            plain += chunk.plain_size
        size = self._at - first
        self._groups.append({1: entries, 2: I64(plain), 3: I64(count), 5: I64(first), 6: I64(size)})
        self.rows += count

    def finish(self) -> bytes:
        """The whole file; nothing can be added afterwards."""
        root: Value = {4: b"schema", 5: I32(len(self._schema))}
        fields = [
            _field(name, dtype, nullable=name in self._nullable)
            for name, dtype in self._schema.items()
        ]
        footer = encoded(
            {
                1: I32(2),
                2: [root, *fields],
                3: I64(self.rows),
                4: self._groups,
                6: b"tapemill",
                7: [{1: {}} for _ in fields],
            }
        )
        return b"".join([*self._parts, footer, len(footer).to_bytes(4, "little"), _MARK])


def _column(frame: pl.DataFrame, name: str, nullable: Collection[str]) -> _Column:
    layout = _LAYOUTS[frame.schema[name]]
    texts = None
    numbers = frame[name]
    if numbers.dtype == pl.String:
        one = pl.col(name)
        low, high, nulls = frame.select(one.min(), one.max().alias("_"), n=one.null_count()).row(0)
        if low is not None and low == high and not nulls:  # nearly always
            zeros = np.zeros(frame.height, np.int8)
            valid = np.ones(frame.height, bool) if name in nullable else None
            return _Column(name, layout, zeros, valid, [low.encode()])
        known = numbers.unique().drop_nulls().sort()
        texts = [text.encode() for text in known]
        numbers = numbers.cast(pl.Enum(known))
    numbers = numbers.to_physical()
    valid = None
    if name in nullable:
        valid = numbers.is_not_null().to_numpy()
        numbers = numbers.fill_null(0)
    return _Column(name, layout, numbers.to_numpy(), valid, texts)


def _field(name: str, dtype: pl.DataType, *, nullable: bool) -> Value:
    physical, converted, logical = _LAYOUTS[dtype]
    repetition = _OPTIONAL if nullable else _REQUIRED
    return {1: physical, 3: repetition, 4: name.encode(), 6: converted, 10: logical}


def _described(column: _Column, chunk: _Chunk, at: int, rows: int) -> Value:
    encodings = [_PLAIN, _RLE, chunk.encoding] if chunk.encoding != _PLAIN else [_PLAIN, _RLE]
    fields: dict[int, Value] = {
        1: column.layout.physical,
        2: encodings,
        3: [column.name.encode()],
        4: _ZSTD,
        5: I64(rows),
        6: I64(chunk.plain_size),
        7: I64(len(chunk.pages)),
        9: I64(at + chunk.dictionary_size),
    }
    if chunk.dictionary_size:
        fields[11] = I64(at)
    statistics: dict[int, Value] = {3: I64(chunk.nulls)}
    if chunk.bounds is not None:
        statistics |= {5: chunk.bounds[1], 6: chunk.bounds[0]}
    fields[12] = statistics
    return fields


def _encoded(column: _Column, rows: slice, compressor: Any) -> _Chunk:
    numbers = column.numbers[rows]
    count, levels = numbers.size, b""
    if column.valid is not None:
        valid = column.valid[rows]
        numbers = numbers[valid]
        levels = _levels(valid)
    values = numbers.astype(np.int64)
    if not values.size:
        made = _Values(_PLAIN, b"")
    elif column.texts is not None:
        made = _texts(values, column.texts)
    else:
        made = _numbers(values, wide=column.layout.physical == _INT64)
    pages, plain = b"", 0
    if made.dictionary is not None:
        size, body = made.dictionary
        pages, plain = _page(_DICTIONARY_PAGE, {7: {1: I32(size), 2: _PLAIN}}, body, compressor)
    dictionary_size = len(pages)
    head: dict[int, Value] = {5: {1: I32(count), 2: made.encoding, 3: _RLE, 4: _RLE}}
    page, size = _page(_DATA_PAGE, head, levels + made.body, compressor)
    return _Chunk(
        pages + page, plain + size, dictionary_size, made.encoding, count - values.size, made.bounds
    )


def _page(kind: I32, head: dict[int, Value], body: bytes, compressor: Any) -> tuple[bytes, int]:
    """A page with its header, and its size without compression."""
    packed = compressor.compress(body)
    header = encoded({1: kind, 2: I32(len(body)), 3: I32(len(packed)), **head})
    return header + packed, len(header) + len(body)


def _numbers(values: Any, *, wide: bool) -> _Values:
    """The smallest of three encodings: places in a dictionary, differences, or as they are."""
    low, high = (int(bound) for bound in span(values))
    bounds = _bytes_of(np.array([low]), wide=wide), _bytes_of(np.array([high]), wide=wide)
    if low == high:
        return _Values(_DICTIONARY, _places(values * 0, 1), bounds, (1, bounds[0]))
    if high - low < _MOST_INDEXED:
        distinct = np.empty(high - low + 1, np.int64)
        places = np.zeros(high - low + 1, np.int64)
        held = values.copy()
        found = int(indexed(held, low, places, distinct))
        if found <= _MOST_DISTINCT and _FEW_OF * found <= values.size + _FEW_OF:
            dictionary = found, _bytes_of(distinct[:found], wide=wide)
            return _Values(_DICTIONARY, _places(held, found), bounds, dictionary)
    if high - low < (1 << 62 if wide else 1 << 31):
        blocks = -(-values.size // BLOCK)
        room = np.empty(_DELTA_HEAD + blocks * _BLOCK_ROOM, np.uint8)
        return _Values(_DELTA, room[: delta_packed(values, room)].tobytes(), bounds)
    return _Values(_PLAIN, _bytes_of(values, wide=wide), bounds)


def _texts(values: Any, texts: list[bytes]) -> _Values:
    low, high = span(values)
    body = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    dictionary = len(texts), body
    return _Values(_DICTIONARY, _places(values, len(texts)), (texts[low], texts[high]), dictionary)


def _bytes_of(values: Any, *, wide: bool) -> bytes:
    found: bytes = values.astype("<i8" if wide else "<i4").tobytes()
    return found


def _places(places: Any, count: int) -> bytes:
    """Places in a dictionary: their width in bits, then one run."""
    width = max((count - 1).bit_length(), 1)
    return bytes([width]) + _run(places, width, constant=count == 1)


def _run(numbers: Any, width: int, *, constant: bool) -> bytes:
    if constant:  # a count and the number itself, which takes a byte up to eight bits
        return varint(numbers.size << 1) + bytes([int(numbers[0])])
    room = np.empty(numbers.size * width // 8 + width + 16, np.uint8)
    found: bytes = room[: bit_packed(numbers, width, room)].tobytes()
    return found


def _levels(valid: Any) -> bytes:
    """Which values are there, as definition levels, with their length in front."""
    there = valid.astype(np.int64)
    run = _run(there, 1, constant=bool(valid.all() or not valid.any()))
    return len(run).to_bytes(4, "little") + run
