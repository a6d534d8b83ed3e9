"""A hash table in rows of four integers: open addressing, Robin Hood order.

A row is (key, a, b, mark); mark 0 is an empty row. Rows of a run are sorted by the place where
their search begins, so a search ends early and a removal moves only rows that are out of place
(Celis, Larson, Munro 1985; Knuth, volume 3, section 6.4).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book._compiled import compiled, inlined

__all__ = ["copy_rows", "find_row", "grown", "insert_row", "new_table", "remove_row"]

_KEY, _MARK = 0, 3
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_MULTIPLY_SHIFT = np.uint64(32)


def new_table(room: int) -> Any:
    """Empty table; `room` is a power of two."""
    return np.zeros((room, 4), np.int64)


@inlined
def _home(key: int, mask: int) -> int:
    """Where the search of a key begins."""
    spread: Any = np.int64((np.uint64(key) * _SPREAD) >> _MULTIPLY_SHIFT)
    return int(spread & mask)


@inlined
def find_row(table: Any, key: int) -> int:
    """Row of a key, or −1."""
    mask = table.shape[0] - 1
    at = _home(key, mask)
    away = 0
    while table[at, _MARK] != 0:
        if table[at, _KEY] == key:
            return at
        # Whoever sits here is nearer to home than we would be: the key is not in the table.
        if ((at - _home(table[at, _KEY], mask)) & mask) < away:
            return -1
        at = (at + 1) & mask
        away += 1
    return -1


@compiled
def insert_row(table: Any, key: int, a: int, b: int, mark: int) -> None:
    """Put a key that is not in the table; there must be an empty row."""
    mask = table.shape[0] - 1
    at = _home(key, mask)
    away = 0
    while table[at, _MARK] != 0:
        other = (at - _home(table[at, _KEY], mask)) & mask
        if other < away:
            row = (table[at, 0], table[at, 1], table[at, 2], table[at, 3])
            table[at, 0], table[at, 1], table[at, 2], table[at, 3] = key, a, b, mark
            key, a, b, mark = row
            away = other
        at = (at + 1) & mask
        away += 1
    table[at, 0], table[at, 1], table[at, 2], table[at, 3] = key, a, b, mark


@compiled
def remove_row(table: Any, at: int) -> None:
    """Empty a row; those behind it that are out of place move up."""
    mask = table.shape[0] - 1
    while True:
        behind = (at + 1) & mask
        empty = table[behind, _MARK] == 0
        if empty or _home(table[behind, _KEY], mask) == behind:
            table[at, _MARK] = 0
            return
        for column in range(4):
            table[at, column] = table[behind, column]
        at = behind


@compiled
def copy_rows(old: Any, new: Any) -> None:
    """Insert the rows of one table into an empty, larger one."""
    for k in range(old.shape[0]):
        if old[k, _MARK] != 0:
            insert_row(new, old[k, 0], old[k, 1], old[k, 2], old[k, 3])


def grown(table: Any) -> Any:
    """Return a table of twice the room with the same rows."""
    more = new_table(2 * table.shape[0])
    copy_rows(table, more)
    return more
