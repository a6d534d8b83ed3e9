"""Places in the queue of a price, and prices that fill up again after fills."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tapemill.book import _queue, _refills
from tapemill.book._table import find_row, grown, new_table
from tapemill.book.events import Changes, Events

__all__ = ["OrderQueue", "QueuePlace", "RefillWatch", "Refills"]

_FIRST_ORDERS = 1 << 12
_FIRST_PRICES = 1 << 8


class QueuePlace(NamedTuple):
    """Where a resting order stands.

    Attributes
    ----------
    side, price, size : int
        ASCII side, ticks, contracts shown.
    ahead : int
        Contracts that are to be filled before it, now.
    ahead_at_entry : int
        The same when it joined the queue, or joined it anew.
    """

    side: int
    price: int
    size: int
    ahead: int
    ahead_at_entry: int


class OrderQueue:
    """Follows the queue of each price through the events of a feed of every order.

    First in, first out: an order that changes price or grows goes to the back, one that shrinks
    keeps its place, an iceberg that refills waits anew. Orders of a snapshot stand in the order in
    which the snapshot tells them. Hidden quantity is not counted.
    """

    def __init__(self) -> None:
        self._ids = new_table(2 * _FIRST_ORDERS)
        self._queues = new_table(2 * _FIRST_ORDERS)
        self._slots = np.zeros((_FIRST_ORDERS, _queue.WIDTH), np.int64)
        self._slots[:, _queue.BACK] = np.arange(1, _FIRST_ORDERS + 1)
        self._carried = np.zeros(2, np.int64)

    def apply(self, events: Events) -> Any:
        """Read consecutive events.

        Returns
        -------
        array of int64, length n
            Quantity ahead of the order of each event: of an add or a modify that loses its place
            when it joined, else just before the event; −1 where the event is of no resting order.
        """
        ahead = np.empty(events.action.size, np.int64)
        at = 0
        while True:
            at = _queue.read_queue(
                events, at, self._ids, self._queues, self._slots, self._carried, ahead
            )
            if at == ahead.size:
                return ahead
            self._grow()

    def _grow(self) -> None:
        room = self._slots.shape[0]
        more = np.zeros_like(self._slots)
        more[:, _queue.BACK] = np.arange(room + 1, 2 * room + 1)
        # The last free slot points at `room` already.
        self._slots = np.concatenate([self._slots, more])
        self._ids = grown(self._ids)
        self._queues = grown(self._queues)

    def place(self, order_id: int) -> QueuePlace | None:
        """Return where an order stands; None: it does not rest."""
        at = find_row(self._ids, order_id)
        if at < 0:
            return None
        slot = int(self._ids[at, 1])
        row = self._slots[slot]
        return QueuePlace(
            int(row[_queue.SIDE]),
            int(row[_queue.PRICE]),
            int(row[_queue.SIZE]),
            int(_queue.quantity_ahead(self._slots, slot)),
            int(row[_queue.AHEAD]),
        )


class Refills(NamedTuple):
    """What came back at a price after fills; quantity counts up to what had been filled.

    Attributes
    ----------
    native, native_quantity : int
        By the filled order itself, in one message with its fill: an iceberg of the venue.
    synthetic, synthetic_quantity : int
        By new orders within the window: an iceberg of a broker, or a fast quoter.
    """

    native: int
    native_quantity: int
    synthetic: int
    synthetic_quantity: int


class RefillWatch:
    """Counts refills per side and price, over the events and changes of any order feed.

    Parameters
    ----------
    window_ns : int
        How long after the last fill at a price a new order there counts as a refill (venue's
        clock).
    """

    def __init__(self, window_ns: int) -> None:
        self.window_ns = window_ns
        self._index = new_table(4 * _FIRST_PRICES)
        self._prices = np.zeros((_FIRST_PRICES, _refills.WIDTH), np.int64)
        self._carried = np.zeros(1, np.int64)

    def apply(self, events: Events, changes: Changes) -> Any:
        """Read consecutive events and their changes; return the quantity each refilled (int64)."""
        refilled = np.empty(events.action.size, np.int64)
        at = 0
        while True:
            at = _refills.read_refills(
                events, changes, at, self.window_ns, self._index, self._prices, self._carried,
                refilled,
            )  # fmt: skip
            if at == refilled.size:
                return refilled
            most = int(np.diff(events.first_change).max())
            while most + int(self._carried[0]) > self._prices.shape[0]:
                self._prices = np.concatenate([self._prices, np.zeros_like(self._prices)])
                self._index = grown(self._index)

    def at(self, side: int, price: int) -> Refills:
        """Return the refills so far at a price (ASCII side, ticks)."""
        row = find_row(self._index, 2 * price + (side == ord("A")))
        if row < 0:
            return Refills(0, 0, 0, 0)
        counts = self._prices[int(self._index[row, 1]), _refills.NATIVE :]
        return Refills(*(int(count) for count in counts))
