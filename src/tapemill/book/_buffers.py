"""Arrays that the kernels write into."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book.events import Changes, Events
from tapemill.errors import ContractError

__all__ = ["Buffers", "bad_price"]

_EVENT_TYPES = [
    np.dtype(kind)
    for kind in ("i8", "i8", "i8", "i1", "i1", "i4", "i4", "i2", "i8", "i2", "i2", "i4", "i8", "i8")
]
_CHANGE_TYPES = [np.dtype(kind) for kind in ("i1", "i4", "i4", "i4", "i1", "i4")]

_FEW = 256
"""Calls with fewer rows share arrays: making twenty for each record would be the longest part."""
_SHARED = 4096


def _columns(kinds: list[np.dtype[Any]], rows: int) -> list[Any]:
    return [np.empty(rows, kind) for kind in kinds]


class Buffers:
    """Hands out unwritten columns, each row once, so that no answer changes afterwards.

    Parameters
    ----------
    constant : int
        Value of the columns that this feed never fills.
    *names : str
        Those columns. They cost no time: all calls share them, so nobody may write to them.
    """

    def __init__(self, constant: int, *names: str) -> None:
        self._constant = constant
        self._names = [Events._fields.index(name) for name in names]
        self._fixed = {k: np.empty(0, _EVENT_TYPES[k]) for k in self._names}
        self._events: list[Any] = []
        self._events_used = _SHARED
        self._changes: list[Any] = []
        self._changes_used = _SHARED

    def events(self, n: int) -> Events:
        """Columns for `n` records."""
        first, last = 0, n
        if n >= _FEW:
            columns = _columns(_EVENT_TYPES, n + 1)
        else:
            first, last = self._events_used, self._events_used + n
            if last + 1 > _SHARED:
                self._events = _columns(_EVENT_TYPES, _SHARED)
                first, last = 0, n
            columns = self._events
            self._events_used = last + 1
        rows = slice(first, last)
        cut = [column[rows] for column in columns]
        cut[-1] = columns[-1][first : last + 1]
        for k in self._names:
            if self._fixed[k].size < n:
                self._fixed[k] = np.full(max(n, _SHARED), self._constant, _EVENT_TYPES[k])
            cut[k] = self._fixed[k][:n]
        return Events(*cut)

    def changes(self, m: int) -> Changes:
        """Columns for `m` changes; :meth:`kept` must be called before the next are asked for."""
        if m >= _FEW:
            return Changes(*_columns(_CHANGE_TYPES, m))
        if self._changes_used + m > _SHARED:
            self._changes = _columns(_CHANGE_TYPES, _SHARED)
            self._changes_used = 0
        rows = slice(self._changes_used, self._changes_used + m)
        return Changes(*[column[rows] for column in self._changes])

    def more(self, changes: Changes, used: int, m: int) -> Changes:
        """Columns for at least `m` and twice as many changes, with the first `used` of before."""
        more = Changes(*_columns(_CHANGE_TYPES, max(_FEW, m, 2 * changes.side.size)))
        for old, new in zip(changes, more, strict=True):
            new[:used] = old[:used]
        return more

    def kept(self, changes: Changes, m: int) -> Changes:
        """Return the first `m` changes, whose rows are used from now on."""
        if changes.side.size < _FEW:
            self._changes_used += m
        rows = slice(0, m)
        return Changes(*[column[rows] for column in changes])


def bad_price(price: int, tick: int, ordinal: int) -> ContractError:
    """Error for a price that is no whole number of ticks."""
    return ContractError(
        f"price {price} (1e-9) is no multiple of the tick {tick} (1e-9)",
        where=f"record {ordinal}",
        next_step="take the tick size from this instrument's definition",
    )
