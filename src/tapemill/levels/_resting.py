"""What rests in a book after some changes, without walking them one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book.events import NO_DEPTH, NO_ORDER, NO_PRICE, Cause, Changes, Events, Flag

__all__ = ["Resting", "opening_changes", "state_record"]

Array = Any
_SIDE = 33
_ZERO = 1 << 32


class Resting:
    """Sizes and orders by side and price.

    Attributes
    ----------
    key : int64
        Side and price in one number, ascending: see `_key`.
    size, orders : int32
    """

    def __init__(self) -> None:
        self.key: Array = np.empty(0, np.int64)
        self.size: Array = np.empty(0, np.int32)
        self.orders: Array = np.empty(0, np.int32)

    def fold(self, changes: Changes) -> None:
        """Apply changes: the last word on a price counts."""
        key = np.concatenate([self.key, _key(changes.side, changes.price)])
        size = np.concatenate([self.size, changes.size])
        orders = np.concatenate([self.orders, changes.orders])
        unique, from_end = np.unique(key[::-1], return_index=True)
        last = len(key) - 1 - from_end
        stays = size[last] > 0
        self.key, self.size, self.orders = unique[stays], size[last][stays], orders[last][stays]

    def become(self, other: Resting) -> None:
        """Take over what another one holds."""
        self.key, self.size, self.orders = other.key, other.size, other.orders


def opening_changes(held: Resting, there: Resting) -> Changes:
    """What leads from one book to the other, as state: cause `RESET`, by side and price."""
    key = np.union1d(held.key, there.key)
    before, _ = _at(held, key)
    size, orders = _at(there, key)
    differs = (before != size) | (orders != _at(held, key)[1])
    key, before, size, orders = key[differs], before[differs], size[differs], orders[differs]
    side = (key >> _SIDE).astype(np.int8)
    price = ((key & ((1 << _SIDE) - 1)) - _ZERO).astype(np.int32)
    cause = np.full(len(key), Cause.RESET, np.int8)
    return Changes(side, price, size, orders, cause, (size - before).astype(np.int32))


def state_record(events: Events, changes: int) -> Events:
    """A record just before the first of `events` that is no flow."""
    columns = [column[:1].copy() for column in events[:-1]]
    record = Events(*[*columns, np.array([0, changes], np.int64)])
    record.ordinal[0] -= 1
    record.action[0] = record.side[0] = ord("N")
    record.price[0], record.size[0] = NO_PRICE, 0
    record.depth[0], record.order_id[0] = NO_DEPTH, NO_ORDER
    record.flags[0] = Flag.SNAPSHOT | Flag.BAD_TS_RECV
    return record


def _at(resting: Resting, key: Array) -> tuple[Array, Array]:
    """Size and orders at each key; 0 where nothing rests."""
    if not len(resting.key):
        return np.zeros(len(key), np.int32), np.zeros(len(key), np.int32)
    place = np.minimum(np.searchsorted(resting.key, key), len(resting.key) - 1)
    there = resting.key[place] == key
    return (
        np.where(there, resting.size[place], 0).astype(np.int32),
        np.where(there, resting.orders[place], 0).astype(np.int32),
    )


def _key(side: Array, price: Array) -> Array:
    return (side.astype(np.int64) << _SIDE) | (price.astype(np.int64) + _ZERO)
