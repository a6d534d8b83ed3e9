"""Records by instrument, and which of them have prices that a tick cannot count."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tapemill.book.records import UNDEFINED

__all__ = ["MOST_TICKS", "by_instrument", "off_tick", "prices_of"]

MOST_TICKS = 2**31 - 2
"""The column of ticks is 32 bits wide, and its least number means that there is no price."""


def off_tick(prices: Any, nano: int) -> Any:
    """Which prices are given and no whole number of ticks that fits."""
    whole = prices // nano
    off = (whole * nano != prices) | (np.abs(whole) > MOST_TICKS)
    return off & (prices != UNDEFINED)


def prices_of(records: Any) -> Any:
    """All prices of records, those of their ladders included."""
    if "levels" not in (records.dtype.names or ()):
        return records["price"]
    ladders = [records["levels"][side].reshape(-1) for side in ("bid_px", "ask_px")]
    return np.concatenate([records["price"], *ladders])


def by_instrument(records: Any) -> Iterator[tuple[int, Any]]:
    """Ids and the rows of each in order; None: all rows."""
    ids = records["instrument_id"]
    if (ids == ids[0]).all():
        yield int(ids[0]), None
        return
    order = np.argsort(ids, kind="stable")
    sorted_ids = ids[order]
    cuts = [0, *(np.flatnonzero(np.diff(sorted_ids)) + 1).tolist(), len(ids)]
    for start, stop in itertools.pairwise(cuts):
        yield int(sorted_ids[start]), order[start:stop]
