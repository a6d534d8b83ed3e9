"""Compiled walk over record headers."""

from __future__ import annotations

from typing import Any

from numba import njit

__all__ = ["BAD_HEADER", "RAN_OUT", "STOPPED", "count_alike", "gather", "walk"]

STOPPED = 0
"""The walk has as many records as it may take, or met a long run of like ones."""
RAN_OUT = 1
"""The next record does not lie wholly in the bytes."""
BAD_HEADER = 2
"""The next bytes are no header of an accepted record."""


@njit(cache=True, nogil=True)
def count_alike(data: Any, start: int, stop: int, limit: int) -> int:
    """Whole records in ``data[start:stop]`` that have type and length of the first one."""
    length, rtype = data[start], data[start + 1]
    step = int(length) * 4
    count = 0
    position = start
    while count < limit and position + step <= stop:
        if data[position] != length or data[position + 1] != rtype:
            break
        count += 1
        position += step
    return count


@njit(cache=True, nogil=True)
def walk(data: Any, start: int, stop: int, accepted: Any, run: int, offsets: Any) -> Any:
    """Find records one by one until `offsets` is full or `run` like ones follow each other.

    Returns (records found, position after them, `STOPPED`, `RAN_OUT` or `BAD_HEADER`). A long run
    is left to :func:`count_alike`, which the caller has asked first, so the walk begins with none.
    """
    count = 0
    alike = 0
    position = start
    while count < offsets.shape[0]:
        if position + 2 > stop:
            return count, position, RAN_OUT
        length, rtype = data[position], data[position + 1]
        if not accepted[rtype, length]:
            return count, position, BAD_HEADER
        step = int(length) * 4
        if position + step > stop:
            return count, position, RAN_OUT
        if count > 0:
            before = offsets[count - 1]
            same = data[before] == length and data[before + 1] == rtype
            alike = alike + 1 if same else 1
        else:
            alike = 1
        offsets[count] = position
        count += 1
        position += step
        if alike == run:
            return count - run, offsets[count - run], STOPPED
    return count, position, STOPPED


@njit(cache=True, nogil=True)
def gather(data: Any, offsets: Any, out: Any) -> None:
    """Copy the bytes that begin at each offset into the rows of `out`."""
    for row in range(offsets.shape[0]):
        begin = offsets[row]
        for column in range(out.shape[1]):
            out[row, column] = data[begin + column]
