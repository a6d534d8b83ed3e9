"""A slow replay of order records: plain dictionaries, nothing of the code under test."""

from __future__ import annotations

from collections import OrderedDict

UNDEFINED = 2**63 - 1


class Replay:
    """Orders by id and by price; follows A, C, M and R, checks F and T against what rests."""

    def __init__(self):
        self.orders = {}
        self.sides = {b"B": {}, b"A": {}}
        self.faults = []
        self.pending = {}

    def best(self):
        bids, asks = self.sides[b"B"], self.sides[b"A"]
        return max(bids, default=None), min(asks, default=None)

    def ladder(self, side, levels=10):
        prices = sorted(self.sides[side], reverse=side == b"B")[:levels]
        rows = [(p, sum(self.sides[side][p].values()), len(self.sides[side][p])) for p in prices]
        return rows + [(UNDEFINED, 0, 0)] * (levels - len(rows))

    def top(self):
        return [
            cell
            for bid, ask in zip(self.ladder(b"B"), self.ladder(b"A"), strict=True)
            for pair in zip(bid, ask, strict=True)
            for cell in pair
        ]

    def apply(self, record):
        action, side, price = record["action"], record["side"], int(record["price"])
        order, size = int(record["order_id"]), int(record["size"])
        if action == b"R":
            self.__init__()
        elif action == b"A":
            if order in self.orders:
                self.faults.append(("twice", order))
            self._rest(order, side, price, size)
        elif action == b"T":
            self._trade(side, price)
        elif action == b"F":
            self._fill(order, price, size)
        elif order not in self.orders:
            self.faults.append(("missing", order))
        elif action == b"C":
            was, at, rests = self.orders[order]
            if size != rests or price != at:
                self.faults.append(("cancel", order, size, rests))
            self._drop(order)
            self.pending.pop(order, None)
        elif action == b"M":
            was, at, rests = self.orders[order]
            if order in self.pending and rests - size != self.pending.pop(order):
                self.faults.append(("modify", order))
            if at == price and was == side:
                self.orders[order] = (side, price, size)
                self.sides[side][price][order] = size
            else:
                self._drop(order)
                self._rest(order, side, price, size)

    def _trade(self, side, price):
        bid, ask = self.best()
        if (side == b"B" and price != ask) or (side == b"A" and price != bid):
            self.faults.append(("trade", side, price, bid, ask))

    def _fill(self, order, price, size):
        side, at, rests = self.orders.get(order, (None, None, 0))
        if at != price or size > rests:
            self.faults.append(("fill", order))
            return
        queue = [held for held in self.sides[side][at] if held not in self.pending]
        if queue[0] != order:
            self.faults.append(("priority", order))
        self.pending[order] = size

    def _rest(self, order, side, price, size):
        self.orders[order] = (side, price, size)
        self.sides[side].setdefault(price, OrderedDict())[order] = size

    def _drop(self, order):
        side, price, _ = self.orders.pop(order)
        del self.sides[side][price][order]
        if not self.sides[side][price]:
            del self.sides[side][price]
