"""Ladders read into changes: exact when replayed, exact in flows where a ladder can know them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.streams import (
    ES_MBO,
    ES_MBP_1,
    ES_MBP_10,
    LAST,
    SNAPSHOT,
    TICK,
    A,
    B,
    C,
    M,
    N,
    R,
    T,
    bulk_ladders,
    in_chunks,
    ladder_records,
    matches,
    random_orders,
    read_real,
    same,
)
from book.streams_reference import SlowBook, columns
from tapemill.book import Cause, DepthState
from tapemill.book.ladder import LadderBook
from tapemill.book.orders import OrderBook
from tapemill.book.records import MBO, MBP_1, MBP_10, UNDEFINED
from tapemill.errors import ContractError

FLOWS = (Cause.ADD, Cause.CANCEL, Cause.FILL)


def random_ladders(seed, n, levels):
    orders = random_orders(seed, n)
    return orders, ladder_records(orders, SlowBook().tops(orders, levels), levels)


def held_to_replay(records, levels):
    """Replay the changes and hold every ladder to the record's."""
    events, changes = LadderBook(TICK, levels).apply(records, np.arange(records.size))
    state = DepthState(levels)
    for i in range(records.size):
        state.apply(changes, events.first_change[i], events.first_change[i + 1])
        for side, name in ((B, "bid"), (A, "ask")):
            there = records["levels"][i]
            there = there[there[f"{name}_px"] != UNDEFINED]
            price, size, orders = state.ladder(side, 0)
            np.testing.assert_array_equal(price * TICK, there[f"{name}_px"], err_msg=str(i))
            np.testing.assert_array_equal(size, there[f"{name}_sz"])
            np.testing.assert_array_equal(orders, there[f"{name}_ct"])
    return events, changes


def flows(changes, start, stop, view=None):
    """(side, price, cause) → quantity."""
    total = Counter()
    for side, price, _, _, cause, quantity in columns(changes, start, stop):
        if cause in FLOWS and (view is None or (side, price) in view):
            total[side, price, cause] += quantity
    return {key: quantity for key, quantity in total.items() if quantity}


@pytest.mark.property
@given(seed=st.integers(0, 10**6), levels=st.sampled_from([1, 10]))
def test_replayed_changes_are_the_ladders(seed, levels):
    held_to_replay(random_ladders(seed, 150, levels)[1], levels)


@pytest.mark.property
@given(seed=st.integers(0, 10**6), levels=st.sampled_from([1, 10]))
def test_ladders_without_sense_replay_too(seed, levels):
    """After a gap of the feed anything may follow anything."""
    records = random_ladders(seed, 200, levels)[1]
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.choice(records.size, records.size // 4, replace=False))
    held_to_replay(records[kept], levels)


@pytest.mark.property
@given(
    seed=st.integers(0, 10**6),
    levels=st.sampled_from([1, 10]),
    cuts=st.lists(st.integers(0, 150), max_size=6),
)
def test_any_chunking_gives_the_same(seed, levels, cuts):
    records = random_ladders(seed, 160, levels)[1]
    n = records.size
    whole = in_chunks(LadderBook(TICK, levels), records, [])
    single = in_chunks(LadderBook(TICK, levels), records, range(1, n))
    some = in_chunks(LadderBook(TICK, levels), records, [min(cut, n) for cut in cuts])
    for part in (single, some):
        same(whole[0], part[0])
        same(whole[1], part[1])


@pytest.mark.property
@given(seed=st.integers(0, 10**6))
def test_trades_bound_the_fills(seed):
    """Within an event no more is filled on a side than trades took there."""
    records = random_ladders(seed, 200, 10)[1]
    events, changes = LadderBook(TICK, 10).apply(records, np.arange(records.size))
    credit = Counter()
    clock = None
    for i in range(records.size):
        if events.ts_event[i] != clock:
            credit.clear()
        clock = events.ts_event[i]
        if events.action[i] == T:
            for side in (A, B):
                credit[side] += int(events.size[i]) * (events.side[i] != side)
        for side, _, _, _, cause, quantity in columns(
            changes, events.first_change[i], events.first_change[i + 1]
        ):
            if cause == Cause.FILL:
                credit[side] += quantity
                assert credit[side] >= 0
                assert quantity < 0


def record(bids, asks, action=A, side=B, price=None, size=0, flags=LAST, clock=1, levels=10):
    """One ladder record; bids and asks are (price, size, orders), best first."""
    row = np.zeros(1, MBP_10 if levels == 10 else MBP_1)
    row["action"], row["side"], row["size"], row["flags"] = action, side, size, flags
    row["price"] = UNDEFINED if price is None else price * TICK
    row["ts_event"] = clock
    for name, rows in (("bid", bids), ("ask", asks)):
        row["levels"][f"{name}_px"] = UNDEFINED
        for level, (ticks, held, orders) in enumerate(rows):
            row["levels"][f"{name}_px"][0, level] = ticks * TICK
            row["levels"][f"{name}_sz"][0, level] = held
            row["levels"][f"{name}_ct"][0, level] = orders
    return row


def read(*rows, levels=10):
    """Changes of each record."""
    book = LadderBook(TICK, levels)
    out = []
    for i, row in enumerate(rows):
        _, changes = book.apply(row, np.array([i]))
        out.append(columns(changes, 0, None))
    return out, book


DEEP = [(100 - k, 5, 1) for k in range(10)]
ASKS = [(101 + k, 5, 1) for k in range(10)]


def test_the_window_reveals_and_hides_without_a_flow():
    gone = [*DEEP[1:], (90, 7, 2)]
    rows = [
        record(DEEP, ASKS),
        record(gone, ASKS, C, B, 100, 5),
        record(DEEP, ASKS, A, B, 100, 5),
    ]
    (first, revealed, hidden), book = read(*rows)
    assert {row[4] for row in first} == {Cause.RESET}
    assert revealed == [(B, 100, 0, 0, Cause.CANCEL, -5), (B, 90, 7, 2, Cause.REVEALED, 0)]
    assert hidden == [(B, 100, 5, 1, Cause.ADD, 5), (B, 90, 0, 0, Cause.HIDDEN, 0)]
    assert book.unexplained == 0


def test_a_move_to_the_end_of_the_window_adds_only_itself():
    after = [*DEEP[1:], (90, 7, 3)]
    (_, moved), book = read(record(DEEP, ASKS), record(after, ASKS, M, B, 90, 5))
    assert moved == [
        (B, 100, 0, 0, Cause.CANCEL, -5),
        (B, 90, 2, 2, Cause.REVEALED, 0),
        (B, 90, 7, 3, Cause.ADD, 5),
    ]
    assert book.unexplained == 0


def test_fills_come_first_and_end_with_the_event():
    trade = record(DEEP, ASKS, T, A, 100, 2, flags=0, clock=2)
    less = [(100, 1, 1), *DEEP[1:]]
    (_, none, mixed), _ = read(record(DEEP, ASKS), trade, record(less, ASKS, C, B, 100, 4, clock=2))
    assert none == []
    assert mixed == [(B, 100, 3, 1, Cause.FILL, -2), (B, 100, 1, 1, Cause.CANCEL, -2)]
    (_, _, later), _ = read(record(DEEP, ASKS), trade, record(less, ASKS, C, B, 100, 4, clock=3))
    assert later == [(B, 100, 1, 1, Cause.CANCEL, -4)]
    more = [(101, 6, 2), *ASKS[1:]]
    (*_, ended), _ = read(
        record(DEEP, ASKS),
        trade,
        record(DEEP, more, A, A, 101, 1, clock=2),
        record(less, more, C, B, 100, 4, clock=2),
    )
    assert ended == [(B, 100, 1, 1, Cause.CANCEL, -4)]


def test_an_auction_fills_both_sides_at_its_price_or_better():
    bids, asks = [(105, 4, 1), *DEEP[:9]], [(99, 4, 1), *ASKS[:9]]
    trade = record(bids, asks, T, N, 102, 4, flags=0, clock=2)
    after = record(DEEP, ASKS, C, B, 105, 4, clock=2)
    (_, _, cleared), _ = read(record(bids, asks), trade, after)
    assert [row for row in cleared if row[4] == Cause.FILL] == [
        (B, 105, 0, 0, Cause.FILL, -4),
        (A, 99, 0, 0, Cause.FILL, -4),
    ]


def test_snapshots_and_clears_are_states():
    empty = record([], [], R, N, None, 0, clock=2)
    rows, _ = read(
        record(DEEP, ASKS),
        empty,
        record([(100, 5, 1)], [], A, B, 100, 5, clock=3),
        record(DEEP, ASKS, A, B, 100, 5, flags=SNAPSHOT, clock=4),
    )
    assert {row[4] for row in rows[1]} == {Cause.RESET} and len(rows[1]) == 20
    assert rows[2] == [(B, 100, 5, 1, Cause.ADD, 5)]
    assert {row[4] for row in rows[3]} == {Cause.RESET} and len(rows[3]) == 19
    whole, _ = read(record(DEEP, ASKS), empty, record(DEEP, ASKS, A, B, 100, 5, clock=3))
    assert {row[4] for row in whole[2]} == {Cause.RESET}


def test_best_level_only():
    rows, book = read(
        record([(100, 5, 1)], [(101, 5, 1)], levels=1),
        record([(99, 8, 2)], [(101, 5, 1)], C, B, 100, 5, levels=1),
        record([(100, 1, 1)], [(101, 5, 1)], A, B, 100, 1, levels=1),
        record([(100, 2, 2)], [(102, 5, 1)], C, N, 101, 5, levels=1),
        levels=1,
    )
    assert rows[1] == [(B, 100, 0, 0, Cause.CANCEL, -5), (B, 99, 8, 2, Cause.REVEALED, 0)]
    assert rows[2] == [(B, 100, 1, 1, Cause.ADD, 1), (B, 99, 0, 0, Cause.HIDDEN, 0)]
    assert rows[3] == [
        (B, 100, 2, 2, Cause.ADD, 1),
        (A, 101, 0, 0, Cause.CANCEL, -5),
        (A, 102, 5, 1, Cause.REVEALED, 0),
    ]
    assert book.unexplained == 1


@pytest.mark.parametrize("levels", [0, 2, 11])
def test_levels_are_those_of_a_feed(levels):
    with pytest.raises(ContractError):
        LadderBook(TICK, levels)


def test_a_level_off_the_tick_is_the_callers_error():
    rows = np.concatenate([record(DEEP, ASKS), record(DEEP, ASKS)])
    rows["levels"]["ask_px"][1, 4] += 1
    with pytest.raises(ContractError, match=str(rows["levels"]["ask_px"][1, 4])) as error:
        LadderBook(TICK, 10).apply(rows, np.array([8, 9]))
    assert "record 9" in str(error.value)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "levels", "layout"), [(ES_MBP_10, 10, MBP_10), (ES_MBP_1, 1, MBP_1)]
)
def test_replayed_changes_are_the_real_ladders(real_data, name, levels, layout):
    records, _ = read_real(real_data / name, layout)
    events, changes = held_to_replay(records, levels)
    rng = np.random.default_rng(2)
    cuts = rng.choice(records.size, 100, replace=False).tolist()
    joined, gathered = in_chunks(LadderBook(TICK, levels), records, cuts)
    same([*events[:-1], events.first_change[:-1]], joined)
    same(changes, gathered)


@pytest.mark.real
def test_flows_of_the_real_ladders_are_those_of_the_orders(real_data):
    """Restricted to prices in view; what a ladder cannot know is counted, kind by kind."""
    orders, ordinals = read_real(real_data / ES_MBO, MBO)
    ladders, numbers = read_real(real_data / ES_MBP_10, MBP_10)
    events, changes = OrderBook(TICK).apply(orders, ordinals)
    own_events, own = LadderBook(TICK, 10).apply(ladders, numbers)
    state = DepthState(10)
    view = set()
    unlike = Counter()
    compared = 0
    for i, j in enumerate(matches(orders, ladders)):
        start, stop = events.first_change[i], events.first_change[i + 1]
        state.apply(changes, start, stop)
        before, view = view, {(s, int(p)) for s in (A, B) for p in state.ladder(s)[0]}
        expected = flows(changes, start, stop, before | view)
        found = {}
        if j >= 0:
            found = flows(own, own_events.first_change[j], own_events.first_change[j + 1])
            compared += 1
        if expected == found or j == 0:  # the first ladder is a state
            continue
        causes = {key[2] for key in expected}
        net = Counter()
        for sign, side in ((1, expected), (-1, found)):
            for (where, price, _), quantity in side.items():
                net[where, price] += sign * quantity
        assert not any(net.values())
        # An iceberg refilled by the message that says it was filled; two orders of one event that
        # lost quantity at one price, of which one was filled.
        unlike["iceberg" if {Cause.ADD, Cause.FILL} <= causes else "two orders"] += 1
    assert compared == ladders.size
    assert unlike == {"iceberg": 59, "two orders": 13}


def test_bulk_ladders_replay():
    """The stream that speed is measured on is a book."""
    events, changes = held_to_replay(bulk_ladders(7, 1500), 10)
    causes = Counter(changes.cause[events.first_change[1] :].tolist())
    assert causes[Cause.FILL] > 15
