"""The book of a feed that sends every order: mbo, full depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapemill.book._buffers import Buffers, bad_price
from tapemill.book._emit import BAD_PRICE, DONE, FULL_CHANGES, FULL_LEVELS, FULL_ORDERS
from tapemill.book._orders import HALF, LEVELS, MISSING, ORDERS, UNMATCHED, read_orders
from tapemill.book._table import grown, new_table
from tapemill.book.events import NO_DEPTH, Changes, Events
from tapemill.errors import ContractError

__all__ = ["OrderBook"]

_FIRST_ORDERS = 1 << 13
_FIRST_FAR = 1 << 6


class OrderBook:
    """Reads records of every order of one instrument, in any chunks, into events and changes.

    An order that a fill record (F) marked at its own price, or in an auction, loses that quantity
    as a `FILL` with its next cancel or modify; whatever else it loses is a `CANCEL`. An order that
    moves leaves its old price by a cancel and comes to the new one as an add, also when it moved to
    cross the market and traded there. An order of an iceberg that is filled and refilled by one
    message gives a fill and an add.

    Parameters
    ----------
    tick_nano : int
        Least price step (1e-9).

    Raises
    ------
    ContractError
        The tick is not positive.
    """

    def __init__(self, tick_nano: int) -> None:
        if tick_nano <= 0:
            raise ContractError(f"tick {tick_nano} is not positive", next_step="give it in 1e-9")
        self._tick = tick_nano
        self._per_nano = 1.0 / tick_nano
        self._carried = np.zeros(7, np.int64)
        self._table = new_table(_FIRST_ORDERS)
        # Pages of zeros that nobody touches take no memory.
        self._levels = np.zeros((2, 2 * HALF, 2), np.int32)
        self._far = new_table(_FIRST_FAR)
        self._buffers = Buffers(NO_DEPTH, "depth")

    @property
    def missing(self) -> int:
        """Cancels and modifies so far of orders that the book does not hold."""
        return int(self._carried[MISSING])

    @property
    def unmatched_fills(self) -> int:
        """Fill records so far of orders that the book does not hold, e.g. fills of an aggressor."""
        return int(self._carried[UNMATCHED])

    @property
    def orders(self) -> int:
        """Orders resting now."""
        return int(self._carried[ORDERS])

    def apply(self, records: Any, ordinals: Any) -> tuple[Events, Changes]:
        """Read consecutive records.

        Parameters
        ----------
        records : array of MBO
        ordinals : array of int64
            Positions of the records in their file.

        Returns
        -------
        tuple of Events and Changes
            One event a record; `depth` is a shared constant: do not write to it.

        Raises
        ------
        ContractError
            A price is no whole number of ticks; the book is of no use afterwards.
        """
        n = records.size
        events = self._buffers.events(n)
        changes = self._buffers.changes(n + (n >> 2) + 16)
        view = records.view()
        view.flags.writeable = False
        at = m = 0
        while True:
            why, at, m, price = read_orders(
                view, ordinals, self._tick, self._per_nano, self._carried, self._table,
                self._levels, self._far, at, m, events, changes,
            )  # fmt: skip
            if why == DONE:
                break
            if why == BAD_PRICE:
                raise bad_price(price, self._tick, ordinals[at])
            if why == FULL_CHANGES:
                changes = self._buffers.more(
                    changes, m, m + n - at + int(self._carried[LEVELS]) + 16
                )
            elif why == FULL_ORDERS:
                self._table = grown(self._table)
            elif why == FULL_LEVELS:
                self._far = grown(self._far)
        events.first_change[n] = m
        return events, self._buffers.kept(changes, m)
