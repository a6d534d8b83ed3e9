"""A slow order book: the rules as dictionaries, written apart from the kernels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from book.streams import TICK, A, B, C, F, M, R
from tapemill.book.records import UNDEFINED

ADD, CANCEL, FILL, RESET = 1, 2, 3, 6


class SlowBook:
    """Orders by id; levels are added up from the orders each time they are asked for."""

    def __init__(self):
        self.orders = {}
        self.credit = defaultdict(int)
        self.missing = 0
        self.changes = []

    def level(self, side, price):
        sizes = [o[2] for o in self.orders.values() if (o[0], o[1]) == (side, price)]
        return sum(sizes), len(sizes)

    def top(self, side, levels):
        held = defaultdict(list)
        for at, price, size in self.orders.values():
            if at == side:
                held[price].append(size)
        best = sorted(held, reverse=side == B)[:levels]
        return [(price, sum(held[price]), len(held[price])) for price in best]

    def say(self, side, price, cause, quantity):
        self.changes.append((side, price, *self.level(side, price), cause, quantity))

    def reduce(self, key, to, cause):
        """Take an order down to `to` (None: away), fills first."""
        side, price, size = self.orders[key]
        filled = min(self.credit[key], size - (to or 0))
        self.credit[key] -= filled
        rest = size - (to or 0) - filled
        for quantity, why in ((filled, FILL), (rest, cause)):
            if not quantity:
                continue
            self.orders[key][2] -= quantity
            if to is None and self.orders[key][2] == 0:
                del self.orders[key]
            self.say(side, price, why, -quantity)

    def unhide(self, key):
        """What trades took beyond the shown size of an iceberg was there: an add."""
        hidden = self.credit[key] - self.orders[key][2]
        if hidden > 0:
            self.orders[key][2] += hidden
            self.say(*self.orders[key][:2], ADD, hidden)

    def modify(self, key, side, price, size, state):
        old = self.orders[key]
        less, more = (RESET, RESET) if state else (CANCEL, ADD)
        if (side, price) != (old[0], old[1]):
            self.reduce(key, None, less)
            self.orders[key] = [side, price, size]
            self.say(side, price, more, size)
        else:
            after_fills = max(0, old[2] - self.credit[key])
            self.reduce(key, min(size, after_fills), less)
            grown = size - self.orders[key][2]
            if grown:
                self.orders[key][2] = size
                self.say(side, price, more, grown)
        self.credit.pop(key, None)

    def apply(self, record):
        """Read one record; return its changes as tuples in the order of `Changes`."""
        self.changes = []
        action, side, key = (int(record[name]) for name in ("action", "side", "order_id"))
        price, size = int(record["price"]) // TICK, int(record["size"])
        state = bool(record["flags"] & 32)
        defined = record["price"] != UNDEFINED and side in (A, B)
        if action == A and defined:
            if key in self.orders:
                self.modify(key, side, price, size, state)
            else:
                self.orders[key] = [side, price, size]
                self.say(side, price, RESET if state else ADD, size)
        elif action in (C, M) and key not in self.orders:
            self.missing += 1
        elif action == M:
            self.unhide(key)
            self.modify(key, side, price, size, state)
        elif action == C:
            left = self.orders[key][2] - size
            self.unhide(key)
            self.reduce(key, left if left > 0 else None, RESET if state else CANCEL)
            if key not in self.orders:
                self.credit.pop(key, None)
        elif action == F and key in self.orders:
            if price == self.orders[key][1] or side not in (A, B):
                self.credit[key] += size
        elif action == R:
            levels = {(o[0], o[1]) for o in self.orders.values()}
            for side_, price_ in sorted(levels):
                held = self.level(side_, price_)[0]
                self.changes.append((side_, price_, 0, 0, RESET, -held))
            self.orders.clear()
            self.credit.clear()
        return self.changes

    def tops(self, records, levels=10):
        """(bids, asks) after each record."""
        out = []
        for record in records:
            self.apply(record)
            out.append((self.top(B, levels), self.top(A, levels)))
        return out


def columns(changes, start, stop):
    """Changes as tuples."""
    return [
        tuple(int(v) for v in row)
        for row in zip(*(np.asarray(c[start:stop]) for c in changes), strict=True)
    ]
