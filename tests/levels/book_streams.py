"""Random order-book streams: a full book as the venue has it, shown as every order or as levels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tapemill.book.events import NO_DEPTH, NO_PRICE, Cause, Changes, Events

SECOND = 1_000_000_000
START = 1_703_545_200 * SECOND  # 2023-12-25 23:00 UTC
_EVENT_TYPES = (
    np.int64, np.int64, np.int64, np.int8, np.int8, np.int32, np.int32, np.int16, np.int64,
    np.int16, np.int16, np.int32, np.int64,
)  # fmt: skip
_CHANGE_TYPES = (np.int8, np.int32, np.int32, np.int32, np.int8, np.int32)
NAMES = {"B": "A", "A": "B"}


class Stream(NamedTuple):
    events: Events
    changes: Changes

    def part(self, start: int, stop: int) -> Stream:
        """Records start … stop − 1, with positions of changes that begin at 0."""
        first = self.events.first_change
        columns = [column[start:stop] for column in self.events[:-1]]
        whole = first[start : stop + 1]
        return Stream(
            Events(*columns, whole - whole[0]),
            Changes(*[column[whole[0] : whole[-1]] for column in self.changes]),
        )

    def chosen(self, keep) -> Stream:
        """Records of the given positions, in that order, each with its changes."""
        first = self.events.first_change
        spans = [np.arange(first[i], first[i + 1]) for i in keep]
        at = np.concatenate([*spans, np.empty(0, np.int64)]).astype(np.int64)
        ends = np.cumsum([0, *[span.size for span in spans]])
        return Stream(
            Events(*[column[keep] for column in self.events[:-1]], ends.astype(np.int64)),
            Changes(*[column[at] for column in self.changes]),
        )


class Market:
    """A book that trades, written down record by record.

    `levels` 0 writes every order, else only the best levels a side are shown.
    """

    def __init__(
        self,
        seed: int,
        levels: int = 0,
        price: int = 19_200,
        rate: float = 8.0,
        pauses: float = 0.001,
        trades: float = 0.2,
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.levels, self.rate, self.pauses, self.now = levels, rate, pauses, START
        self.middle, self.trades = price, trades
        self.sides: dict[str, dict[int, list[int]]] = {"B": {}, "A": {}}
        self.shown: dict[str, dict[int, list[int]]] = {"B": {}, "A": {}}
        self.events: list[tuple] = []
        self.changes: list[tuple] = []
        self.first = [0]

    def record(self, action: str, side: str, price: int, size: int, did: list, flags: int = 0):
        """Write a record; `did` are (side, price, cause, signed) in order."""
        for which, at, cause, signed in did:
            level = self.sides[which].setdefault(at, [0, 0])
            level[0] += signed
            level[1] = max(level[1] + (1 if signed > 0 else -1), 1)
            if level[0] <= 0:
                del self.sides[which][at]
            if not self.levels:
                left = self.sides[which].get(at, [0, 0])
                self.changes.append((ord(which), at, *left, cause, signed))
        if self.levels:
            self._show(did)
        depth = 0 if self.levels else NO_DEPTH
        self.events.append(
            (self.now - 50_000, self.now, len(self.events), ord(action), ord(side), price, size,
             depth, 0, flags, 0, 50_000, len(self.events))
        )  # fmt: skip
        self.first.append(len(self.changes))

    def _show(self, did: list) -> None:
        for which in "BA":
            book = self.sides[which]
            best = sorted(book, reverse=which == "B")[: self.levels]
            now = {price: list(book[price]) for price in best}
            old = self.shown[which]
            own = {}
            for side, price, cause, signed in did:
                if side == which:
                    own.setdefault(price, []).append((cause, signed))
            for price in sorted({*now, *old}):
                left = now.get(price, [0, 0])
                if price in own and (price in old or own[price][0][0] in (Cause.ADD, Cause.RESET)):
                    size = old.get(price, [0, 0])[0]
                    for cause, signed in own[price]:
                        size += signed
                        if price in now or (left == [0, 0] and size <= 0):
                            orders = left[1] if size > 0 else 0
                            self.changes.append((ord(which), price, size, orders, cause, signed))
                        else:
                            self.changes.append((ord(which), price, 0, 0, Cause.HIDDEN, 0))
                elif old.get(price) != now.get(price):
                    cause = Cause.REVEALED if price in now else Cause.HIDDEN
                    self.changes.append((ord(which), price, *left, cause, 0))
            self.shown[which] = now

    def open(self, depth: int = 24) -> None:
        for distance in range(1, depth + 1):
            for side, sign in (("B", -1), ("A", 1)):
                size = int(self.random.integers(1, 40))
                price = self.middle + sign * distance
                self.record("A", side, price, size, [(side, price, Cause.RESET, size)], 40)

    def clear(self) -> None:
        """The feed begins anew: everything goes at once and comes back as a snapshot."""
        rows = [(s, p, Cause.RESET, -q) for s in "BA" for p, (q, _) in self.sides[s].items()]
        self.record("R", "N", NO_PRICE, 0, rows, 8)
        for side, price, _, signed in rows:
            self.record("A", side, price, -signed, [(side, price, Cause.RESET, -signed)], 40)

    def best(self, side: str) -> int:
        book = self.sides[side]
        return max(book) if side == "B" else min(book)

    def add(self) -> None:
        side = "BA"[self.random.integers(2)]
        sign = -1 if side == "B" else 1
        price = self.best(NAMES[side]) + sign * int(self.random.geometric(0.2))
        if self.random.random() < 0.03:
            price += sign * int(self.random.integers(0, 60))
        size = int(self.random.integers(1, 30))
        self.record("A", side, price, size, [(side, price, Cause.ADD, size)])

    def cancel(self) -> None:
        side = "BA"[self.random.integers(2)]
        book = self.sides[side]
        if len(book) < 6:
            return
        near = sorted(book, key=lambda price: abs(price - self.best(side)))
        price = near[min(int(self.random.geometric(0.15)) - 1, len(near) - 1)]
        size = int(self.random.integers(1, book[price][0] + 1))
        self.record("C", side, price, size, [(side, price, Cause.CANCEL, -size)])

    def trade(self) -> None:
        side = "BA"[self.random.integers(2)]
        resting = NAMES[side]
        left = int(self.random.geometric(0.08))
        if self.random.random() < 0.05:
            left *= 12
        known = side if self.random.random() > 0.03 else "N"
        while left > 0 and len(self.sides[resting]) > 6:
            price = self.best(resting)
            there = self.sides[resting][price][0]
            size = min(left, there)
            shown = price if self.random.random() > 0.01 else NO_PRICE
            self.record("T", known, shown, size, [])
            did = [(resting, price, Cause.FILL, -size)]
            if size < there and self.random.random() < 0.2:
                did.append(
                    (resting, price, Cause.CANCEL, -int(self.random.integers(1, there - size + 1)))
                )
            self.record("C", resting, price, size, did, 130)
            left -= size
            self.now += int(self.random.integers(0, 30_000_000))

    def run(self, records: int) -> Stream:
        if not self.events:
            self.open()
        while len(self.events) < records:
            self.now += int(self.random.exponential(SECOND / self.rate))
            chance = self.random.random()
            if chance < self.pauses:
                self.now += int(self.random.integers(3, 30)) * SECOND
            orders = 1.0 - self.trades
            if chance < 0.55 * orders:
                self.add()
            elif chance < orders:
                self.cancel()
            else:
                self.trade()
        return self.stream()

    def pause(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def stream(self) -> Stream:
        columns = list(zip(*self.events, strict=True))
        events = [np.array(c, t) for c, t in zip(columns, _EVENT_TYPES, strict=True)]
        rows = list(zip(*self.changes, strict=True)) or [[]] * 6
        changes = [np.array(c, t) for c, t in zip(rows, _CHANGE_TYPES, strict=True)]
        return Stream(Events(*events, np.array(self.first, np.int64)), Changes(*changes))
