"""Compiled encoders of whole numbers as Parquet keeps them.

Source: Apache Parquet, encodings: RLE_DICTIONARY (bit-packed runs) and DELTA_BINARY_PACKED with
blocks of 128 values in four miniblocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["BLOCK", "bit_packed", "delta_packed", "indexed", "span"]

BLOCK = 128
_MINI = 32
_SEVEN = np.uint64(7)
_LOW = np.uint64(0x7F)
_MORE = np.uint64(0x80)
_ONE = np.uint64(1)
_BYTE = np.uint64(0xFF)


@njit(cache=True, nogil=True)
def span(values: Any) -> Any:
    """Least and greatest of at least one value."""
    low = high = values[0]
    for value in values:
        low = min(low, value)
        high = max(high, value)
    return low, high


@njit(cache=True, nogil=True)
def indexed(values: Any, low: Any, places: Any, distinct: Any) -> Any:
    """Replace values by their place among the distinct ones, ascending; how many there are.

    `places` has room for every value between the least and the greatest and is all zeros;
    `distinct` gets the distinct values.
    """
    for value in values:
        places[value - low] = 1
    count = 0
    for k in range(places.size):
        if places[k]:
            places[k] = count
            distinct[count] = k + low
            count += 1
    for i in range(values.size):
        values[i] = places[values[i] - low]
    return count


@njit(cache=True, nogil=True)
def _varint(out: Any, at: Any, value: Any) -> Any:
    while value > _LOW:
        out[at] = np.uint8((value & _LOW) | _MORE)
        value >>= _SEVEN
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@njit(cache=True, nogil=True)
def _zigzag(value: Any) -> Any:
    return np.uint64((value << 1) ^ (value >> 63))


@njit(cache=True, nogil=True)
def _pack(values: Any, first: Any, count: Any, width: Any, out: Any, at: Any) -> Any:
    """Put the low `width` bits of values one after the other, least significant bit first."""
    held = np.uint64(0)
    bits = 0
    for i in range(first, first + count):
        value = np.uint64(values[i])
        held |= value << np.uint64(bits)
        bits += width
        if bits >= 64:
            for _ in range(8):
                out[at] = np.uint8(held & _BYTE)
                held >>= np.uint64(8)
                at += 1
            bits -= 64
            # A shift by 64 is not defined; nothing of the value is left then.
            held = value >> np.uint64(width - bits) if bits else np.uint64(0)
    while bits > 0:
        out[at] = np.uint8(held & _BYTE)
        held >>= np.uint64(8)
        bits -= 8
        at += 1
    return at


@njit(cache=True, nogil=True)
def bit_packed(values: Any, width: Any, out: Any) -> Any:
    """One bit-packed run of small numbers with its header; bytes written.

    The last group of eight is filled up with zeros.
    """
    groups = (values.size + 7) // 8
    at = _varint(out, 0, np.uint64(groups) << _ONE | _ONE)
    stop = at + groups * width
    at = _pack(values, 0, values.size, width, out, at)
    while at < stop:
        out[at] = 0
        at += 1
    return stop


@njit(cache=True, nogil=True)
def delta_packed(values: Any, out: Any) -> Any:
    """Differences in blocks; bytes written.

    No two values may lie further apart than their physical type can hold.
    """
    n = values.size
    at = _varint(out, 0, np.uint64(BLOCK))
    at = _varint(out, at, np.uint64(BLOCK // _MINI))
    at = _varint(out, at, np.uint64(n))
    at = _varint(out, at, _zigzag(values[0]))
    steps = np.empty(BLOCK, np.int64)
    for start in range(1, n, BLOCK):
        count = min(BLOCK, n - start)
        least = values[start] - values[start - 1]
        for k in range(count):
            steps[k] = values[start + k] - values[start + k - 1]
            least = min(least, steps[k])
        at = _varint(out, at, _zigzag(least))
        widths = at
        at += BLOCK // _MINI
        for mini in range(BLOCK // _MINI):
            first = mini * _MINI
            last = min(first + _MINI, count)
            seen = np.int64(0)
            for k in range(first, last):
                steps[k] -= least
                seen |= steps[k]
            for k in range(max(last, first), first + _MINI):
                steps[k] = 0
            width = 0
            while seen:
                seen >>= 1
                width += 1
            out[widths + mini] = width
            if width:
                at = _pack(steps, first, _MINI, width, out, at)
    return at
