"""The made-up book is a valid book, the two feeds are one market, the shape is that of futures."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools

import numpy as np
import pytest

from tapemill.world import order_book_stream
from tapemill.world.order_book import OrderBookSpec, OrderBookWorld, Plant, path_world, write_day
from tapemill.world.order_book_records import DTYPES
from world.order_book_replay import Replay

TICK = 250_000_000
SHARED = ("ts_event", "ts_recv", "price", "size", "action", "side", "flags", "sequence")
PLANTS = tuple(
    Plant(name=kind, kind=kind, level=19_200 + offset, probability=0.5, travel_ticks=8, size=size)
    for kind, offset, size in (
        ("wall", 10, 150),
        ("iceberg", -10, 6),
        ("vacuum", 24, 1),
        ("pinning", -24, 1),
        ("null", 0, 1),
    )
)
SPEC = OrderBookSpec(trades=1_000, hours="regular", sigma_minute=1.2, plants=PLANTS)


@pytest.fixture(scope="module")
def world():
    return OrderBookWorld(3, SPEC)


@pytest.fixture(scope="module")
def orders(world):
    return world.records("mbo")


@pytest.fixture(scope="module")
def ladders(world):
    return world.records("mbp-10")


def test_a_replay_finds_no_fault_and_the_ladders_of_the_other_feed(orders, ladders):
    names = DTYPES["mbp-10"].names[14:]
    book, used, crossed, top = Replay(), 0, 0, None
    for record in orders:
        before = top
        book.apply(record)
        if record["flags"] & 32:
            top = book.top()
            continue
        if record["action"] in (b"A", b"C", b"M"):
            top = book.top()
        if record["flags"] & 128:
            bid, ask = book.best()
            crossed += bid >= ask
        if record["action"] == b"T" or top != before:
            row = ladders[used]
            used += 1
            assert [int(row[name]) for name in names] == top
            assert all(row[name] == record[name] for name in SHARED)
    assert book.faults == [] and book.pending == {} and crossed == 0
    assert used == ladders.size > 15_000


def test_the_trades_are_those_of_the_path(world, orders):
    trades = world.trades()
    seen = orders[orders["action"] == b"T"]
    assert np.array_equal(seen["price"], trades.price.astype(np.int64) * TICK)
    assert np.array_equal(seen["size"], trades.size)
    assert np.array_equal(seen["ts_recv"], trades.ts_gateway)
    sides = np.array([b"A", b"N", b"B"])[trades.aggressor + 1]
    assert np.array_equal(seen["side"], sides)
    assert (trades.aggressor == 0).sum() == 1 and trades.aggressor[0] == 0
    alone = path_world(3, SPEC)
    assert all(np.array_equal(a, b) for a, b in zip(trades, alone.trades, strict=True))
    assert alone.truth.equals(world.truth())


def test_times_and_flags_are_those_of_the_vendor(orders):
    snapshot = orders["flags"] == 40
    count = int(snapshot.sum())
    assert snapshot[:count].all() and (orders["action"][:count] == b"A").all()
    assert (orders["ts_recv"][:count] > orders["ts_event"][:count]).all()
    flow = orders[count:]
    gateway, event = flow["ts_recv"].astype(np.int64), flow["ts_event"].astype(np.int64)
    assert (np.diff(gateway) >= 0).all() and (np.diff(event) >= 0).all()
    assert (gateway - event >= 50_000).all() and np.median(gateway - event) < 200_000
    assert (np.diff(flow["sequence"].astype(np.int64)) >= 0).all()
    # An event ends exactly where the next one begins at another time or packet.
    ends = flow["flags"] == 130
    assert set(np.unique(flow["flags"])) == {0, 130} and ends[-1]
    assert not ends[np.isin(flow["action"], [b"T", b"F"])].any()
    assert np.isin(flow["action"][np.flatnonzero(flow["action"] == b"T") + 1], [b"F"]).all()


def test_the_shape_is_that_of_a_future():
    records = OrderBookWorld(5, OrderBookSpec(trades=8_000, sigma_minute=1.2)).records("mbo")
    flow = records[records["flags"] != 40]
    share = {code: float((flow["action"] == code).mean()) for code in (b"A", b"C", b"M", b"T")}
    assert 0.028 < share[b"T"] < 0.035
    assert 0.3 < share[b"A"] < 0.45 and 0.1 < share[b"M"] < 0.25
    cancels = flow[flow["action"] == b"C"]
    filled = np.unique(flow["order_id"][flow["action"] == b"F"])
    assert (~np.isin(cancels["order_id"], filled)).sum() > 0.88 * (flow["action"] == b"A").sum()
    hour = (flow["ts_event"].astype(np.int64) - int(flow["ts_event"][0])) // 3_600_000_000_000
    counts = np.bincount(hour)
    assert counts.size == 23
    assert counts[15] > 5 * counts[1:7].mean()  # the regular open against the night
    assert counts[16] > 1.5 * counts[18]  # against lunch
    sizes = flow["size"][flow["action"] == b"T"]
    assert np.median(sizes) == 1 and np.quantile(sizes, 0.99) > 10


def test_the_same_seed_gives_the_same_bytes_whatever_the_blocks(
    world, orders, ladders, monkeypatch
):
    monkeypatch.setattr(order_book_stream, "_ROWS", {"mbo": 9_500, "mbp-10": 4_200})
    again = OrderBookWorld(3, SPEC)
    assert again.records("mbo").tobytes() == orders.tobytes()
    assert again.records("mbp-10").tobytes() == ladders.tobytes()
    assert len(list(again.blocks("mbo"))) > 5
    assert OrderBookWorld(4, SPEC).records("mbo").tobytes() != orders.tobytes()


def test_a_level_without_effect_changes_no_byte(orders):
    bare = dataclasses.replace(SPEC, plants=())
    watched = dataclasses.replace(
        SPEC, plants=tuple(dataclasses.replace(plant, kind="null") for plant in PLANTS)
    )
    plain = OrderBookWorld(3, bare).records("mbo").tobytes()
    assert OrderBookWorld(3, watched).records("mbo").tobytes() == plain
    assert plain != orders.tobytes()


@pytest.mark.parametrize("schema", ["mbp-1", "tbbo", "trades"])
def test_narrow_schemas_are_cut_from_the_ladders(world, ladders, schema):
    found = world.records(schema)
    names = [name for name in DTYPES[schema].names if name not in ("length", "rtype")]
    if schema == "mbp-1":
        tops = [tuple(row) for row in ladders[["bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00",
                                              "bid_ct_00", "ask_ct_00"]]]  # fmt: skip
        changed = [True] + [a != b for a, b in itertools.pairwise(tops)]
        keep = np.array(changed) | (ladders["action"] == b"T")
    else:
        keep = ladders["action"] == b"T"
    assert found.size == keep.sum() >= 1_000
    assert all(np.array_equal(found[name], ladders[name][keep]) for name in names)


@pytest.mark.parametrize("schema", ["mbo", "mbp-10"])
def test_a_busy_day_has_the_records_asked_for(tmp_path, schema):
    one, two = tmp_path / f"one.{schema}.dbn", tmp_path / f"two.{schema}.dbn"
    count = write_day(one, schema, 120_000, seed=9)
    assert 120_000 <= count <= 120_400
    assert write_day(two, schema, 120_000, seed=9) == count
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (one, two)}
    assert len(digests) == 1
    packed = tmp_path / f"one.{schema}.dbn.zst"
    write_day(packed, schema, 120_000, seed=9)
    ratio = one.stat().st_size / packed.stat().st_size
    assert 2.5 < ratio < 6 if schema == "mbo" else 8 < ratio < 20
