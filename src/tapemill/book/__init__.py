"""The order book of one instrument, event by event: what each record did to which price, and why.

In: records of an order feed (every order, or the best levels) as structured arrays, in any chunks.
Out: :class:`Events` and :class:`Changes`, which are what `silver.futures_events` and
`silver.futures_depth` keep and what the physics of levels reads. Any chunking of the input gives
the same output to the bit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tapemill.book.events import (
    NO_DEPTH,
    NO_ORDER,
    NO_PRICE,
    Cause,
    Changes,
    Events,
    Flag,
)

if TYPE_CHECKING:
    from tapemill.book.depth import DepthState
    from tapemill.book.ladder import LadderBook
    from tapemill.book.orders import OrderBook

__all__ = [
    "NO_DEPTH",
    "NO_ORDER",
    "NO_PRICE",
    "Cause",
    "Changes",
    "DepthState",
    "Events",
    "Flag",
    "LadderBook",
    "OrderBook",
]

_COMPILED = {"DepthState": "depth", "LadderBook": "ladder", "OrderBook": "orders"}


def __getattr__(name: str) -> Any:
    """Import the compiled parts when they are first asked for: numba starts slowly."""
    if name not in _COMPILED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_COMPILED[name]}"), name)
