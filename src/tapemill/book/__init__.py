"""The order book of one instrument, event by event: what each record did to which price, and why.

In: records of an order feed (every order, or the best levels) as structured arrays, in any chunks.
Out: :class:`Events` and :class:`Changes`, which are what `silver.futures_events` and
`silver.futures_depth` keep and what the physics of levels reads. Any chunking of the input gives
the same output to the bit.
"""

from __future__ import annotations

from tapemill.book.events import (
    NO_DEPTH,
    NO_ORDER,
    NO_PRICE,
    Cause,
    Changes,
    Events,
    Flag,
)

__all__ = ["NO_DEPTH", "NO_ORDER", "NO_PRICE", "Cause", "Changes", "Events", "Flag"]
