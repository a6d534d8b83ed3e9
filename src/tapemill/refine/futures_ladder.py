"""The compiled replay that looks at both ladders wherever an event of the venue ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["LadderCheck"]

_HALF = 1 << 17
_SPREADS = 1_024
_LAST = 128
_BID = ord("B")

# Counters of a session.
ENDS, CROSSED, FIRST_CROSSED, NEGATIVE, TOO_DEEP, FIRST_TOO_DEEP = range(6)
_COUNTERS = 6
# What is carried from chunk to chunk.
_BASE, _HAS_BASE, _BEST_BID, _BEST_ASK, _BIDS, _ASKS = range(6)


@njit(cache=True, nogil=True)
def _set(sizes: Any, carried: Any, counts: Any, side: int, price: int, size: int) -> None:
    if size < 0:
        counts[NEGATIVE] += 1
        size = 0
    if not carried[_HAS_BASE]:
        carried[_HAS_BASE] = 1
        carried[_BASE] = price - _HALF
    place = price - carried[_BASE]
    if place < 1 or place >= 2 * _HALF - 1:
        return  # an order this far away never meets the other side
    part = 0 if side == _BID else 1
    before = sizes[part, place]
    sizes[part, place] = size
    carried[_BIDS + part] += (1 if size > 0 else 0) - (1 if before > 0 else 0)
    if part == 0:
        if size > 0 and place > carried[_BEST_BID]:
            carried[_BEST_BID] = place
        while carried[_BEST_BID] > 0 and sizes[0, carried[_BEST_BID]] == 0:
            carried[_BEST_BID] -= 1
    else:
        if size > 0 and (place < carried[_BEST_ASK] or carried[_BEST_ASK] == 0):
            carried[_BEST_ASK] = place
        # With no ask left the walk ends at the edge; 0 stands for none.
        while 0 < carried[_BEST_ASK] < 2 * _HALF - 1 and sizes[1, carried[_BEST_ASK]] == 0:
            carried[_BEST_ASK] += 1
        if carried[_BEST_ASK] == 2 * _HALF - 1:
            carried[_BEST_ASK] = 0


@njit(cache=True, nogil=True)
def _walk(
    ordinals: Any,
    flags: Any,
    counted: Any,
    owners: Any,
    sides: Any,
    prices: Any,
    new_sizes: Any,
    levels: int,
    sizes: Any,
    carried: Any,
    counts: Any,
    spreads: Any,
) -> None:
    change = 0
    for i in range(ordinals.size):
        while change < owners.size and owners[change] <= ordinals[i]:
            _set(sizes, carried, counts, sides[change], prices[change], new_sizes[change])
            change += 1
        if not (flags[i] & _LAST and counted[i]):
            continue
        counts[ENDS] += 1
        if levels and (carried[_BIDS] > levels or carried[_ASKS] > levels):
            if counts[TOO_DEEP] == 0:
                counts[FIRST_TOO_DEEP] = ordinals[i]
            counts[TOO_DEEP] += 1
        if carried[_BEST_BID] == 0 or carried[_BEST_ASK] == 0:
            continue
        spread = carried[_BEST_ASK] - carried[_BEST_BID]
        if spread <= 0:
            if counts[CROSSED] == 0:
                counts[FIRST_CROSSED] = ordinals[i]
            counts[CROSSED] += 1
        else:
            spreads[min(spread, _SPREADS - 1)] += 1


class LadderCheck:
    """Replays a source's changes of one symbol and counts what no ladder may be.

    Parameters
    ----------
    levels : int
        Levels a side that the feed shows; 0: all.
    """

    def __init__(self, levels: int) -> None:
        self._levels = levels
        self._sizes = np.zeros((2, 2 * _HALF), np.int32)
        self._carried = np.zeros(6, np.int64)

    def walk(
        self,
        ordinals: Any,
        flags: Any,
        counted: Any,
        changes: tuple[Any, Any, Any, Any],
        counts: Any,
        spreads: Any,
    ) -> None:
        """Add to the counters of a session.

        Parameters
        ----------
        ordinals, flags : int64, shape (n,)
        counted : bool, shape (n,)
            Whether the market traded then: ladders may cross while it gathers orders.
        changes : tuple
            Ordinals (int64), sides, prices and sizes (int64), shape (m,).
        counts : int64
            From :meth:`counters`.
        spreads : int64
            Events that ended with so many ticks between the ladders.
        """
        _walk(
            ordinals,
            flags,
            counted,
            *changes,
            self._levels,
            self._sizes,
            self._carried,
            counts,
            spreads,
        )

    @staticmethod
    def counters() -> tuple[Any, Any]:
        """Zeros for `counts` and `spreads`."""
        return np.zeros(_COUNTERS, np.int64), np.zeros(_SPREADS, np.int64)
