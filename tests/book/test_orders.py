"""The book of every order against a slow one, in any chunks, and on the real hour."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.streams import (
    ES_MBO,
    ES_MBP_10,
    LAST,
    TICK,
    A,
    B,
    M,
    N,
    R,
    T,
    in_chunks,
    matches,
    random_orders,
    read_real,
    same,
)
from book.streams_reference import SlowBook, columns
from tapemill.book import NO_PRICE, Cause, DepthState
from tapemill.book.orders import OrderBook
from tapemill.book.records import MBO, MBP_10, UNDEFINED
from tapemill.errors import ContractError


def by_kind(changes, start, stop):
    """Changes of one record; a clear tells levels in no order that matters."""
    rows = columns(changes, start, stop)
    return sorted(rows) if rows and all(row[4] == Cause.RESET for row in rows) else rows


@pytest.mark.property
@given(seed=st.integers(0, 10**6))
def test_each_change_is_that_of_a_slow_book(seed):
    records = random_orders(seed, 300)
    slow, book = SlowBook(), OrderBook(TICK)
    events, changes = book.apply(records, np.arange(records.size))
    for i, record in enumerate(records):
        expected = [tuple(row) for row in slow.apply(record)]
        found = by_kind(changes, events.first_change[i], events.first_change[i + 1])
        if expected and all(row[4] == Cause.RESET for row in expected):
            expected.sort()
        assert found == expected, (i, record)
    assert book.missing == slow.missing
    assert book.orders == len(slow.orders)


@pytest.mark.property
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_any_chunking_gives_the_same(seed, cuts):
    records = random_orders(seed, 400)
    whole = in_chunks(OrderBook(TICK), records, [])
    single = in_chunks(OrderBook(TICK), records, range(1, 400))
    some = in_chunks(OrderBook(TICK), records, cuts)
    for part in (single, some):
        same(whole[0], part[0])
        same(whole[1], part[1])


def test_tables_grow_and_shrink_without_losing_an_order():
    """More orders and far levels than the first tables hold; then all are cancelled."""
    n = 40_000
    rng = np.random.default_rng(5)
    records = np.zeros(2 * n, MBO)
    records["order_id"][:n] = rng.permutation(n) * 1024 + 1
    records["price"][:n] = rng.integers(-(1 << 20), 1 << 20, n) * TICK
    records["size"][:n] = rng.integers(1, 9, n)
    records["action"][:n], records["side"] = A, B
    order = rng.permutation(n)
    for name in ("order_id", "price", "size"):
        records[name][n:] = records[name][:n][order]
    records["action"][n:] = ord("C")
    book = OrderBook(TICK)
    _, changes = book.apply(records[:n], np.arange(n))
    held = Counter()
    for price, size in zip(records["price"][:n] // TICK, records["size"][:n], strict=True):
        held[int(price)] += int(size)
    state = DepthState()
    state.apply(changes)
    price, size, orders = state.ladder(B)
    assert dict(zip(price.tolist(), size.tolist(), strict=True)) == held
    assert orders.sum() == n == book.orders
    assert changes.side.size == n
    _, changes = book.apply(records[n:], np.arange(n, 2 * n))
    state.apply(changes)
    assert state.best() == (NO_PRICE, NO_PRICE)
    assert (book.orders, book.missing) == (0, 0)


def test_events_keep_every_field_and_undefined_is_no_number():
    records = np.zeros(1, MBO)
    values = {
        "ts_event": 11, "ts_recv": 22, "order_id": 33, "price": UNDEFINED, "size": 4, "flags": 255,
        "channel_id": 200, "action": T, "side": N, "ts_in_delta": -5, "sequence": 4_000_000_000,
    }  # fmt: skip
    for name, value in values.items():
        records[name] = value
    events, changes = OrderBook(TICK).apply(records, np.array([77]))
    found = {name: int(column[0]) for name, column in events._asdict().items()}
    assert found == {
        "ts_event": 11, "ts_gateway": 22, "ordinal": 77, "action": T, "side": N, "price": NO_PRICE,
        "size": 4, "depth": -1, "order_id": 33, "flags": 255, "channel_id": 200,
        "ts_in_delta": -5, "sequence": 4_000_000_000, "first_change": 0,
    }  # fmt: skip
    assert changes.side.size == 0


@pytest.mark.parametrize("price", [TICK + 1, TICK * (1 << 31), 2**63 - 2, -TICK - 1])
def test_a_price_off_the_tick_is_the_callers_error(price):
    records = np.zeros(2, MBO)
    records["action"], records["side"], records["size"] = A, B, 1
    records["price"] = [TICK, price]
    with pytest.raises(ContractError, match=str(price)) as error:
        OrderBook(TICK).apply(records, np.array([5, 6]))
    assert str(TICK) in str(error.value)
    assert "record 6" in str(error.value)


@pytest.mark.parametrize("tick", [0, -1])
def test_a_tick_is_positive(tick):
    with pytest.raises(ContractError):
        OrderBook(tick)


def test_answers_do_not_change_when_more_is_read():
    records = random_orders(3, 200)
    book = OrderBook(TICK)
    kept, copies = [], []
    for i in range(records.size):
        events, changes = book.apply(records[i : i + 1], np.arange(i, i + 1))
        kept.append((*events, *changes))
        copies.append([column.copy() for column in kept[-1]])
    for one, other in zip(kept, copies, strict=True):
        same(one, other)


@pytest.fixture(scope="module")
def hour(real_data):
    records, ordinals = read_real(real_data / ES_MBO, MBO)
    book = OrderBook(TICK)
    return records, *book.apply(records, ordinals), book


@pytest.mark.real
def test_the_real_hour_replays_without_a_fault(hour):
    records, events, changes, book = hour
    assert book.missing == 0
    state = DepthState()
    seen = Counter()
    for i in range(records.size):
        if events.action[i] == T and events.side[i] != N:
            bid, ask = state.best()
            price = events.price[i]
            through = price >= ask if events.side[i] == B else price <= bid
            seen["at or through the opposite best" if through else "inside"] += 1
        state.apply(changes, events.first_change[i], events.first_change[i + 1])
        if events.flags[i] & LAST:
            bid, ask = state.best()
            # Before the opening auction (23:00 UTC) orders may cross and nothing trades.
            opened = events.ts_event[i] > 1_703_545_200_000_000_000
            seen[("crossed" if bid >= ask else "straight", bool(opened))] += 1
    assert seen == {
        "at or through the opposite best": 1864,
        ("straight", False): seen[("straight", False)],
        ("crossed", False): 891,
        ("straight", True): seen[("straight", True)],
    }
    assert seen[("straight", True)] > 20_000


@pytest.mark.real
def test_top_ten_of_the_real_hour_are_the_derived_ladders(hour, real_data):
    records, events, changes, _ = hour
    ladders, _ = read_real(real_data / ES_MBP_10, MBP_10)
    state = DepthState(10)
    for i, j in enumerate(matches(records, ladders)):
        state.apply(changes, events.first_change[i], events.first_change[i + 1])
        if j < 0:
            continue
        for side, name in ((B, "bid"), (A, "ask")):
            there = ladders["levels"][j]
            there = there[there[f"{name}_px"] != UNDEFINED]
            price, size, orders = state.ladder(side)
            np.testing.assert_array_equal(price * TICK, there[f"{name}_px"])
            np.testing.assert_array_equal(size, there[f"{name}_sz"])
            np.testing.assert_array_equal(orders, there[f"{name}_ct"])


@pytest.mark.real
def test_what_trades_took_is_what_fills_say(hour):
    """Every sided fill of an order at its own price leaves the book as a fill."""
    records, _, changes, _ = hour
    fills = changes.quantity[changes.cause == Cause.FILL].sum()
    assert (changes.cause == Cause.RESET).sum() == 8725
    resting = {}
    total = 0
    for record in records:
        key, action = int(record["order_id"]), chr(record["action"])
        if action in "AM":
            resting[key] = int(record["price"])
        elif action == "F" and key in resting:
            own = record["side"] == N or resting[key] == record["price"]
            total += int(record["size"]) * bool(own)
        elif action == "C":
            del resting[key]
    assert -fills == total


@pytest.mark.real
def test_any_chunking_of_the_real_hour_gives_the_same(hour):
    records, events, changes, _ = hour
    rng = np.random.default_rng(1)
    cuts = rng.choice(records.size, 200, replace=False).tolist()
    joined, gathered = in_chunks(OrderBook(TICK), records, cuts)
    same([*events[:-1], events.first_change[:-1]], joined)
    same(changes, gathered)


def test_a_clear_forgets_everything():
    records = random_orders(1, 50)
    book = OrderBook(TICK)
    state = DepthState()
    state.apply(book.apply(records, np.arange(50))[1])
    clear = np.zeros(1, MBO)
    clear["action"], clear["side"], clear["price"] = R, N, UNDEFINED
    _, changes = book.apply(clear, np.array([50]))
    assert set(changes.cause.tolist()) == {Cause.RESET}
    state.apply(changes)
    assert state.best() == (NO_PRICE, NO_PRICE)
    again = records[(records["action"] == M) & (records["order_id"] < 10**12)][:1]
    assert book.apply(again, np.array([51]))[1].side.size == 0
    assert book.orders == 0
