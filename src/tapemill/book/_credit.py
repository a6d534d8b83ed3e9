"""What the ladder reader carries, above all the credit of trades: what they took from a price."""

from __future__ import annotations

from typing import Any

from tapemill.book._compiled import compiled

__all__ = ["BAD", "CARRIED", "CREDIT", "CREDITS", "STARTED", "UNEXPLAINED", "grant", "use"]

# Places in the vector of carried numbers.
STARTED = 0
CREDITS = 1
CREDIT = 2
UNEXPLAINED = 3
BAD = 4
CARRIED = 5

_BID, _ASK = ord("B"), ord("A")


@compiled
def grant(credits_: Any, carried: Any, side: int, ticks: int, size: int) -> None:
    """Note that a trade took `size` at a price: decreases there are fills first.

    A trade without a side is an auction: it took from both sides, at its price or better.
    """
    for resting in (_BID, _ASK):
        if side == resting:
            continue
        count = carried[CREDITS]
        credits_[count, 0] = resting
        credits_[count, 1] = ticks
        credits_[count, 2] = size
        credits_[count, 3] = 0 if side in (_BID, _ASK) else 1
        carried[CREDITS] = count + 1


@compiled
def use(credits_: Any, carried: Any, side: int, ticks: int, wanted: int) -> int:
    """Take up to `wanted` of the credit at a price; return what there was."""
    used = 0
    for k in range(carried[CREDITS]):
        if credits_[k, 0] != side or used == wanted:
            continue
        away = ticks - credits_[k, 1] if side == _BID else credits_[k, 1] - ticks
        if away == 0 or (away > 0 and credits_[k, 3] == 1):
            part = min(credits_[k, 2], wanted - used)
            credits_[k, 2] -= part
            used += part
    return used
