"""Depth by price for compiled code: look up, put, next best, how far the feed can see."""

from __future__ import annotations

from typing import Any

from tapemill.book._compiled import compiled
from tapemill.levels import _physics_layout as kept

__all__ = ["depth_at", "place_of", "put", "view_limit"]

_STEPS = 4096
"""Prices tried one by one before all known prices are compared."""


@compiled
def place_of(book: Any, price: int) -> Any:
    """Row of a price, or the empty row where it would go."""
    mask = book.shape[0] - 1
    place = price & mask
    while book[place, kept.KEY] != price and book[place, kept.KEY] != kept.EMPTY:
        place = (place + 1) & mask
    return place


@compiled
def depth_at(book: Any, price: int, field: int) -> int:
    """One field of a price; 0 where nothing rests."""
    place = place_of(book, price)
    return int(book[place, field]) if book[place, kept.KEY] == price else 0


@compiled
def _next_best(book: Any, side: int, sign: int, best: int) -> int:
    """Best price of a side that is worse than `best`, mirrored; something rests there."""
    for step in range(1, _STEPS):
        if depth_at(book, sign * (best - step), kept.SIZE + side) > 0:
            return best - step
    found = -kept.FAR
    for place in range(book.shape[0]):
        if book[place, kept.KEY] != kept.EMPTY and book[place, kept.SIZE + side] > 0:
            found = max(found, sign * book[place, kept.KEY])
    return found


@compiled
def put(whole: Any, book: Any, side: int, price: int, size: int, orders: int) -> None:
    """Set what rests at a price and keep the best price and the number of prices."""
    place = place_of(book, price)
    if book[place, kept.KEY] == kept.EMPTY:
        book[place, kept.KEY] = price
        whole[kept.USED] += 1
    had = book[place, 1 + side]
    book[place, 1 + side] = size
    book[place, 3 + side] = orders
    sign = 1 - 2 * side
    mirrored = sign * price
    if size > 0:
        if had == 0:
            whole[kept.COUNT_BID + side] += 1
        if mirrored > whole[kept.BEST_BID + side]:
            whole[kept.BEST_BID + side] = mirrored
    elif had > 0:
        whole[kept.COUNT_BID + side] -= 1
        if mirrored == whole[kept.BEST_BID + side]:
            whole[kept.BEST_BID + side] = (
                _next_best(book, side, sign, mirrored)
                if whole[kept.COUNT_BID + side] > 0
                else -kept.FAR
            )


@compiled
def view_limit(whole: Any, book: Any, side: int) -> int:
    """Worst price of a side that the feed shows now, mirrored.

    ``-FAR`` where it shows all (every order, or fewer levels than it could), ``FAR`` where it has
    shown nothing yet.
    """
    if whole[kept.LIMITED] == 0:
        return -kept.FAR
    levels = whole[kept.LEVELS]
    if levels == 0:
        return kept.FAR
    if whole[kept.COUNT_BID + side] < levels:
        return -kept.FAR
    worst = whole[kept.BEST_BID + side]
    for _ in range(levels - 1):
        worst = _next_best(book, side, 1 - 2 * side, worst)
    return int(worst)
