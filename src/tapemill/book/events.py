"""Records of an order feed and what they did to the book, as columns."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np

__all__ = ["NO_DEPTH", "NO_ORDER", "NO_PRICE", "Cause", "Changes", "Events", "Flag"]

Array = Any

NO_PRICE = int(np.iinfo(np.int32).min)
"""Price where the feed gives none."""
NO_DEPTH = -1
"""Level of the book where the feed gives none (mbo)."""
NO_ORDER = 0
"""Order id where the feed gives none."""


class Cause(enum.IntEnum):
    """Why the quantity at a price changed."""

    ADD = 1
    CANCEL = 2
    FILL = 3
    REVEALED = 4
    """Came into view of a feed with few levels; nobody added it now."""
    HIDDEN = 5
    """Fell out of view; nobody cancelled it."""
    RESET = 6
    """Snapshot or clear: the state itself, not a flow."""


class Flag(enum.IntFlag):
    """Bits of Databento's `flags`."""

    LAST = 128
    TOB = 64
    SNAPSHOT = 32
    MBP = 16
    BAD_TS_RECV = 8
    MAYBE_BAD_BOOK = 4
    PUBLISHER_SPECIFIC = 2


class Events(NamedTuple):
    """Consecutive records of one instrument, one array a column, all of length n.

    Attributes
    ----------
    ts_event, ts_gateway : int64
        When the matching engine did it; when the vendor's gateway had it (ns UTC). The second
        never decreases within a file and is the clock of everything that decides.
    ordinal : int64
        Position of the record in its file.
    action, side : int8
        ASCII codes as the feed has them.
    price, size : int32
        Ticks (`NO_PRICE` where undefined) and contracts.
    depth : int16
        Level that changed, 0 best; `NO_DEPTH` for mbo.
    order_id : int64
        `NO_ORDER` for mbp.
    flags, channel_id : int16
    ts_in_delta : int32
    sequence : int64
    first_change : int64, length n + 1
        Changes of record i are ``first_change[i]:first_change[i + 1]`` of the :class:`Changes`.
    """

    ts_event: Array
    ts_gateway: Array
    ordinal: Array
    action: Array
    side: Array
    price: Array
    size: Array
    depth: Array
    order_id: Array
    flags: Array
    channel_id: Array
    ts_in_delta: Array
    sequence: Array
    first_change: Array


class Changes(NamedTuple):
    """What records did to price levels, in order; arrays of length m.

    Attributes
    ----------
    side : int8
        ASCII ``B`` or ``A``.
    price : int32
        Ticks.
    size, orders : int32
        Resting at that price afterwards; 0 and 0: the level is gone.
    cause : int8
        A :class:`Cause`.
    quantity : int32
        Signed change by that cause: above zero added, below zero taken away; 0 for `REVEALED` and
        `HIDDEN`.
    """

    side: Array
    price: Array
    size: Array
    orders: Array
    cause: Array
    quantity: Array
