"""Compiled search for trades among records of an order feed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["trade_places"]

_TRADE = ord("T")


@njit(cache=True, nogil=True)
def trade_places(actions: Any, prices: Any, undefined: int) -> Any:
    """Places of records with action ``T`` and a price (int64), read from the records in place."""
    found = np.empty(actions.size, np.int64)
    count = 0
    for i in range(actions.size):
        if actions[i] == _TRADE and prices[i] != undefined:
            found[count] = i
            count += 1
    return found[:count]
