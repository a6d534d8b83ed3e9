"""Compiled search for trades among records of an order feed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tapemill.book.events import Flag

__all__ = ["trade_places"]

_TRADE = ord("T")
_SNAPSHOT = int(Flag.SNAPSHOT)


@njit(cache=True, nogil=True)
def trade_places(actions: Any, prices: Any, flags: Any, undefined: int) -> Any:
    """Places (int64) of records with action ``T`` and a price that no snapshot repeats.

    The columns may be strided views of records.
    """
    found = np.empty(actions.size, np.int64)
    count = 0
    for i in range(actions.size):
        if actions[i] == _TRADE and prices[i] != undefined and not flags[i] & _SNAPSHOT:
            found[count] = i
            count += 1
    return found[:count]
