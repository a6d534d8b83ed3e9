"""Queues and refills against slow ones, in any chunks, and on the real hour."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book.streams import ES_MBO, TICK, A, B, C, F, M, N, R, T, random_orders, read_real
from tapemill.book import NO_PRICE, Cause
from tapemill.book.events import Changes, Events
from tapemill.book.orders import OrderBook
from tapemill.book.queue import OrderQueue, QueuePlace, Refills, RefillWatch
from tapemill.book.records import MBO

WINDOW = 5


class SlowQueue:
    """Lists of [order, size, credit] by (side, price), first to be filled first."""

    def __init__(self):
        self.lists = defaultdict(list)
        self.where = {}

    def ahead(self, key):
        total = 0
        for order, size, credit in self.lists[self.where[key]]:
            if order == key:
                return total
            total += max(0, size - credit)
        raise AssertionError(key)

    def entry(self, key):
        return next(row for row in self.lists[self.where[key]] if row[0] == key)

    def join(self, key, place, size):
        self.where[key] = place
        self.lists[place].append([key, size, 0])
        return self.ahead(key)

    def leave(self, key):
        self.lists[self.where[key]].remove(self.entry(key))
        del self.where[key]

    def apply(self, action, key, side, price, size):
        if action == R:
            self.__init__()
            return -1
        if action == A and key not in self.where:
            return self.join(key, (side, price), size) if price != NO_PRICE else -1
        if action not in (A, C, F, M) or key not in self.where:
            return -1
        row = self.entry(key)
        if action == F:
            if side in (A, B) and self.where[key][1] != price:
                return -1
            ahead = self.ahead(key)
            row[2] += size
            return ahead
        if action == C:
            ahead = self.ahead(key)
            row[1] -= size
            row[2] = max(0, row[2] - size)
            if row[1] <= 0:
                self.leave(key)
            return ahead
        if (side, price) == self.where[key] and size <= max(0, row[1] - row[2]):
            row[1], row[2] = size, 0
            return self.ahead(key)
        self.leave(key)
        return self.join(key, (side, price), size)


def events_of(records):
    return OrderBook(TICK).apply(records, np.arange(records.size))


def part(events, changes, start, stop):
    first, last = events.first_change[start], events.first_change[stop]
    cut = Events(
        *(column[start:stop] for column in events[:-1]),
        events.first_change[start : stop + 1] - first,
    )
    return cut, Changes(*(column[first:last] for column in changes))


@pytest.mark.property
@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 250), max_size=5))
def test_places_are_those_of_a_slow_queue_in_any_chunks(seed, cuts):
    events, changes = events_of(random_orders(seed, 250))
    slow = SlowQueue()
    names = ("action", "order_id", "side", "price", "size")
    expected = [
        slow.apply(*row) for row in zip(*(getattr(events, n).tolist() for n in names), strict=True)
    ]
    for edges in ([0, 250], [0, *sorted(cuts), 250], range(251)):
        queue, watch = OrderQueue(), RefillWatch(WINDOW)
        found, refilled = [], []
        for start, stop in zip(edges, list(edges)[1:], strict=False):
            some, own = part(events, changes, start, stop)
            found.extend(queue.apply(some).tolist())
            refilled.extend(watch.apply(some, own).tolist())
        assert found == expected
        assert refilled == slow_refills(events, changes)
    for key, place in slow.where.items():
        stands = queue.place(key)
        assert (stands.side, stands.price) == place
        assert (stands.size, stands.ahead) == (slow.entry(key)[1], slow.ahead(key))
    assert queue.place(10**15) is None


def slow_refills(events, changes):
    """Quantity each event refilled, from lists of what was filled where."""
    filled, when, out = defaultdict(int), {}, []
    for i in range(events.action.size):
        back, own = 0, None
        for m in range(events.first_change[i], events.first_change[i + 1]):
            place = (changes.side[m], changes.price[m])
            late = place in when and events.ts_event[i] - when[place] > WINDOW
            if changes.cause[m] == Cause.FILL:
                filled[place] = (0 if late else filled[place]) - int(changes.quantity[m])
                when[place], own = events.ts_event[i], place
            elif changes.cause[m] == Cause.ADD and place in when and not late:
                told = events.action[i] == A or (events.action[i] == M and own == place)
                some = min(filled[place], int(changes.quantity[m])) if told else 0
                filled[place] -= some
                back += some
        out.append(back)
    return out


def orders(*rows):
    """Records of (action, order, side, ticks, size, clock)."""
    records = np.zeros(len(rows), MBO)
    for record, (action, order, side, price, size, clock) in zip(records, rows, strict=True):
        for name, value in zip(
            ("action", "order_id", "side", "price", "size", "ts_event"),
            (action, order, side, price * TICK, size, clock),
            strict=True,
        ):
            record[name] = value
    return records


def test_who_shrinks_keeps_the_place_and_who_grows_loses_it():
    events, _ = events_of(
        orders(
            (A, 1, B, 100, 5, 1), (A, 2, B, 100, 3, 1), (A, 3, B, 100, 2, 1),
            (M, 1, B, 100, 4, 2), (M, 2, B, 100, 6, 3),
        )
    )  # fmt: skip
    queue = OrderQueue()
    assert queue.apply(events).tolist() == [0, 5, 8, 0, 6]
    assert queue.place(3) == QueuePlace(B, 100, 2, 4, 8)
    assert queue.place(2) == QueuePlace(B, 100, 6, 6, 6)


def test_refills_are_told_by_who_refills():
    records = orders(
        (A, 1, B, 100, 5, 1), (T, 0, A, 100, 5, 2), (F, 1, B, 100, 5, 2), (M, 1, B, 100, 5, 2),
        (T, 0, A, 100, 4, 9), (F, 1, B, 100, 4, 9), (M, 1, B, 100, 1, 9),
        (A, 2, B, 100, 3, 12), (A, 3, B, 100, 9, 13), (A, 4, B, 100, 9, 14),
    )  # fmt: skip
    watch = RefillWatch(WINDOW)
    assert watch.apply(*events_of(records)).tolist() == [0, 0, 0, 5, 0, 0, 0, 3, 1, 0]
    assert watch.at(B, 100) == Refills(1, 5, 2, 4)
    assert watch.at(A, 100) == Refills(0, 0, 0, 0)


def test_tables_grow():
    n = 20_000
    rows = [(A, 7 * k + 1, B, 100 - k % 3000, 1, 1) for k in range(n)]
    rows += [(F, 7 * k + 1, B, 100 - k % 3000, 1, 2) for k in range(3000)]
    rows += [(C, 7 * k + 1, B, 100 - k % 3000, 1, 2) for k in range(3000)]
    events, changes = events_of(orders(*rows))
    queue, watch = OrderQueue(), RefillWatch(WINDOW)
    ahead = queue.apply(events)
    assert ahead[:n].tolist() == [k // 3000 for k in range(n)]
    assert queue.place(7 * (n - 1) + 1).ahead == (n - 1) // 3000 - 1
    assert not watch.apply(events, changes).any()


@pytest.mark.real
def test_trades_of_the_real_hour_fill_the_front_of_the_queue(real_data):
    """The venue matches this product first in, first out, so the rules of priority can be seen."""
    records, _ = read_real(real_data / ES_MBO, MBO)
    events, changes = events_of(records)
    ahead = OrderQueue().apply(events)
    filled = (events.action == F) & (events.side != N) & (ahead >= 0)
    assert filled.sum() == 3575
    # The rest is mostly one contract behind: the cancel of who stood in front comes in the same
    # packet, after the trade.
    assert (ahead[filled] == 0).mean() > 0.93
    assert (ahead[filled] <= 2).mean() > 0.99
    watch = RefillWatch(10_000_000)
    refilled = watch.apply(events, changes)
    native = (events.action == M) & (refilled > 0)
    assert native.sum() >= 57
