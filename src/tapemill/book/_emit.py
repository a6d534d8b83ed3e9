"""What the kernels of both books share: exact ticks, and how a change is written down."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book._compiled import inlined
from tapemill.book.events import NO_PRICE, Cause
from tapemill.book.records import UNDEFINED

__all__ = [
    "BAD_PRICE",
    "DONE",
    "FULL_CHANGES",
    "FULL_LEVELS",
    "FULL_ORDERS",
    "put_change",
    "put_flow",
    "to_ticks",
]

# Why a kernel came back. It stops before a record it cannot finish, so it can go on from there.
DONE = 0
FULL_CHANGES = 1
BAD_PRICE = 2
FULL_ORDERS = 3
FULL_LEVELS = 4

_ADD = int(Cause.ADD)
_CANCEL = int(Cause.CANCEL)
_FILL = int(Cause.FILL)
_RESET = int(Cause.RESET)
_NO_PRICE = NO_PRICE
_UNDEFINED = UNDEFINED
_LIMIT = 2.0**31 - 2.0


@inlined
def to_ticks(price: int, tick: int, per_nano: float) -> tuple[int, bool]:
    """Price (1e-9) as whole ticks, and whether it is some; `per_nano` is 1 / tick.

    Below 2^31 ticks the product is off by less than 2^-20, so rounding it is exact division; the
    product with the tick proves it.
    """
    if price == _UNDEFINED:
        return _NO_PRICE, True
    guess = np.rint(price * per_nano)
    if not -_LIMIT < guess < _LIMIT:
        return _NO_PRICE, False
    ticks = int(guess)
    return ticks, ticks * tick == price


@inlined
def put_change(
    changes: Any, m: int, side: int, price: int, size: int, orders: int, cause: int, quantity: int
) -> int:
    """Write change `m`; return the number of the next."""
    changes.side[m] = side
    changes.price[m] = price
    changes.size[m] = size
    changes.orders[m] = orders
    changes.cause[m] = cause
    changes.quantity[m] = quantity
    return m + 1


@inlined
def put_flow(
    changes: Any,
    m: int,
    side: int,
    price: int,
    old: tuple[int, int],
    new: tuple[int, int],
    filled: int,
    reset: bool,
) -> int:
    """Write how a level went from `old` to `new` (size, orders), `filled` of it by trades.

    What trades took comes first, the rest is an add or a cancel; the count of orders between the
    two is not known and stays the old one.
    """
    rest = new[0] - old[0]
    if reset:
        return put_change(changes, m, side, price, new[0], new[1], _RESET, rest)
    if filled > 0:
        rest += filled
        if rest == 0:
            return put_change(changes, m, side, price, new[0], new[1], _FILL, -filled)
        m = put_change(changes, m, side, price, old[0] - filled, old[1], _FILL, -filled)
    # Only the number of orders moved: an add or a cancel of nothing keeps the ladder exact.
    added = rest > 0 or (rest == 0 and new[1] > old[1])
    return put_change(changes, m, side, price, new[0], new[1], _ADD if added else _CANCEL, rest)
