"""Compiled watch over prices that were filled and filled up again."""

from __future__ import annotations

from typing import Any

from tapemill.book._compiled import compiled
from tapemill.book._table import find_row, insert_row
from tapemill.book.events import Cause

__all__ = ["FILLED_AT", "NATIVE", "PRICES", "SYNTHETIC", "WIDTH", "read_refills"]

# Columns of a price's row.
KEY = 0
FILLED_AT = 1
OPEN = 2
"""Filled and not yet added again."""
NATIVE = 3
"""Refills by the filled order itself, and (next column) their quantity."""
SYNTHETIC = 5
"""Refills by new orders, and (next column) their quantity."""
WIDTH = 7

PRICES = 0

_ADD, _FILL, _RESET = int(Cause.ADD), int(Cause.FILL), int(Cause.RESET)
_NEW, _MODIFY = ord("A"), ord("M")
_ASK = ord("A")


@compiled
def read_refills(
    events: Any,
    changes: Any,
    start: int,
    window: int,
    index: Any,
    prices: Any,
    carried: Any,
    refilled: Any,
) -> int:
    """Read events from `start`; return where it stopped: before the end if the table is full."""
    for i in range(start, events.action.size):
        clock = events.ts_event[i]
        action = events.action[i]
        refilled[i] = 0
        first, last = events.first_change[i], events.first_change[i + 1]
        if last - first + carried[PRICES] > prices.shape[0]:
            return i
        own = -1  # price that this very record filled
        for m in range(first, last):
            cause = changes.cause[m]
            if cause not in (_ADD, _FILL):
                continue
            key = 2 * changes.price[m] + (changes.side[m] == _ASK)
            at = find_row(index, key)
            if cause == _FILL:
                if at < 0:
                    insert_row(index, key, carried[PRICES], 0, 1)
                    at = find_row(index, key)
                    row = index[at, 1]
                    prices[row, KEY] = key
                    carried[PRICES] += 1
                row = index[at, 1]
                if clock - prices[row, FILLED_AT] > window:
                    prices[row, OPEN] = 0
                prices[row, OPEN] -= changes.quantity[m]
                prices[row, FILLED_AT] = clock
                own = row
                continue
            if at < 0:
                continue
            row = index[at, 1]
            kind = NATIVE if own == row and action == _MODIFY else SYNTHETIC
            if kind == SYNTHETIC and action != _NEW:
                continue
            if clock - prices[row, FILLED_AT] > window or prices[row, OPEN] == 0:
                continue
            back = min(prices[row, OPEN], changes.quantity[m])
            prices[row, OPEN] -= back
            prices[row, kind] += 1
            prices[row, kind + 1] += back
            refilled[i] += back
    return int(events.action.size)
