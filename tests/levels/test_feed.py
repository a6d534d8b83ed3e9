"""The book out of the lake: what went in comes out, once, and a reader knows what rests."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from datetime import UTC, date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from refine.futures_orders import QUARTER, at, land, records, trades
from tapemill.book.depth import DepthState
from tapemill.book.events import NO_DEPTH, NO_ORDER, NO_PRICE, Cause, Changes, Events
from tapemill.book.orders import OrderBook
from tapemill.book.records import MBO
from tapemill.clock.injected import FixedClock
from tapemill.lake import Lake
from tapemill.levels.feed import open_feed, read_feed, read_trades
from tapemill.levels.trades import trades_of

NOW = FixedClock(1_790_000_000 * 10**9)
DAY = date(2024, 3, 7)
START = at(date(2024, 3, 6), 18)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True, clock=NOW)


def orders(seed: int, count: int, start: int, *, every: int = 10**9) -> np.ndarray:
    """Records of every order around 4,750 points: adds, cancels, and trades with their fills."""
    rng = np.random.default_rng(seed)
    rows, resting = [], []
    for i in range(count):
        moment = start + i * every
        draw = rng.random()
        if resting and draw < 0.3:
            number, side, price, size = resting.pop(int(rng.integers(len(resting))))
            rows.append((moment, number, price, size, 128, "C", side))
        elif resting and draw < 0.45:
            number, side, price, size = resting.pop(int(rng.integers(len(resting))))
            rows.append((moment, 0, price, size, 0, "T", "A" if side == "B" else "B"))
            rows.append((moment, number, price, size, 0, "F", side))
            rows.append((moment, number, price, size, 128, "C", side))
        else:
            side = "B" if rng.random() < 0.5 else "A"
            ticks = 19_000 + (-1 if side == "B" else 1) * int(rng.integers(1, 30))
            size = int(rng.integers(1, 20))
            rows.append((moment, i + 1, ticks, size, 128, "A", side))
            resting.append((i + 1, side, ticks, size))
    found = np.zeros(len(rows), MBO)
    for i, (moment, number, price, size, flags, action, side) in enumerate(rows):
        found[i]["ts_event"], found[i]["ts_recv"] = moment, moment + 1_000_000
        found[i]["order_id"], found[i]["price"], found[i]["size"] = number, price * QUARTER, size
        found[i]["flags"], found[i]["action"], found[i]["side"] = flags, ord(action), ord(side)
        found[i]["sequence"] = i + 1
    return found


def booked(rows: np.ndarray, ordinals: np.ndarray | None = None) -> tuple[Events, Changes]:
    numbers = np.arange(len(rows)) if ordinals is None else ordinals
    return OrderBook(QUARTER).apply(rows, numbers)


def event_rows(events: Events, symbol: str = "ESH4") -> pl.DataFrame:
    price = pl.Series(events.price, dtype=pl.Int32)
    return pl.DataFrame({name: getattr(events, name) for name in Events._fields[:-1]}).select(
        pl.exclude("price", "depth", "order_id"),
        symbol=pl.lit(symbol),
        price_ticks=pl.select(pl.when(price != NO_PRICE).then(price)).to_series(),
        depth=pl.when(pl.col("depth") != NO_DEPTH).then("depth"),
        order_id=pl.when(pl.col("order_id") != NO_ORDER).then("order_id"),
    )


def change_rows(events: Events, changes: Changes) -> pl.DataFrame:
    counts = np.diff(events.first_change)
    frame = pl.DataFrame(changes._asdict()).rename({"price": "price_ticks"})
    starts = np.repeat(events.first_change[:-1], counts)
    return frame.with_columns(
        ordinal=pl.Series(np.repeat(events.ordinal, counts)),
        change=pl.Series((np.arange(len(starts)) - starts).astype(np.int16)),
    )


def land_orders(lake: Lake, name: str, rows: np.ndarray, *, batch: int = 300, **more: Any) -> None:
    events, changes = booked(rows)
    depth = change_rows(events, changes)
    land(lake, name, event_rows(events), schema="mbo", depth=depth, batch=batch, **more)


def joined(parts: Sequence[tuple[Events, Changes]]) -> tuple[Events, Changes]:
    offsets = np.cumsum([0, *(len(changes.side) for _, changes in parts)])
    columns = [
        np.concatenate([getattr(events, name) for events, _ in parts])
        for name in Events._fields[:-1]
    ]
    firsts = [events.first_change[:-1] + offsets[i] for i, (events, _) in enumerate(parts)]
    together = Events(*columns, np.concatenate([*firsts, offsets[-1:]]))
    return together, Changes(*(np.concatenate(c) for c in zip(*(c for _, c in parts), strict=True)))


def same(found: tuple[Events, Changes], expected: tuple[Events, Changes]) -> None:
    for got, want in zip(found, expected, strict=True):
        for name in want._fields:
            np.testing.assert_array_equal(getattr(got, name), getattr(want, name), name)
            assert getattr(got, name).dtype == getattr(want, name).dtype, name


def book(*changes: Changes) -> tuple[list[Any], ...]:
    state = DepthState()
    for one in changes:
        state.apply(one)
    return tuple(np.stack(state.ladder(ord(side))).astype(np.int64).tolist() for side in ("B", "A"))


@pytest.mark.parametrize("chunk", [64, 1_000, 262_144])
def test_what_was_imported_comes_out_whatever_the_chunks(lake: Lake, chunk: int) -> None:
    rows = orders(1, 900, START + 10**12)
    land_orders(lake, "a", rows)
    parts = list(read_feed(lake, "ESH4", DAY, chunk=chunk))
    same(joined(parts), booked(rows))
    assert max(len(events.ordinal) for events, _ in parts) <= chunk


def test_other_contracts_of_the_file_stay_out(lake: Lake) -> None:
    mine, other = orders(1, 500, START + 10**12), orders(2, 500, START + 10**12)
    both = np.concatenate([mine, other])
    order = np.argsort(both["ts_event"], kind="stable")
    place = np.empty(len(both), np.int64)
    place[order] = np.arange(len(both))
    parts = [
        (symbol, *booked(rows, place[own]))
        for symbol, rows, own in (
            ("ESH4", mine, slice(0, len(mine))),
            ("ESM4", other, slice(len(mine), None)),
        )
    ]
    events = pl.concat(event_rows(e, symbol) for symbol, e, _ in parts).sort("ordinal")
    depth = pl.concat(change_rows(e, c) for _, e, c in parts).sort("ordinal", "change")
    land(lake, "a", events, schema="mbo", depth=depth, batch=256)
    for symbol, *expected in parts:
        same(joined(list(read_feed(lake, symbol, DAY, chunk=100))), (expected[0], expected[1]))


def test_compaction_changes_nothing(lake: Lake) -> None:
    rows = orders(3, 900, START + 10**12)
    land_orders(lake, "a", rows)
    land_orders(lake, "b", orders(4, 900, START + 10**12)[:700])
    before = joined(list(read_feed(lake, "ESH4", DAY, chunk=500)))
    lake.compact()
    assert lake.tables.files("silver.futures_depth").height == 1
    same(joined(list(read_feed(lake, "ESH4", DAY, chunk=500))), before)


def test_a_date_that_begins_within_a_file_begins_with_what_rests(lake: Lake) -> None:
    rows = orders(5, 1_200, START - 600 * 10**9)
    land_orders(lake, "a", rows)
    events, changes = booked(rows)
    evening = int(np.searchsorted(events.ts_gateway, START))
    cut = int(events.first_change[evening])
    assert cut
    rested = book(Changes(*(column[:cut] for column in changes)))
    parts = list(read_feed(lake, "ESH4", DAY, chunk=300))
    first, state = parts[0]
    assert first.ordinal.tolist() == [evening - 1]
    assert first.ts_gateway[0] == events.ts_gateway[evening]
    assert (first.action[0], first.price[0], first.flags[0]) == (ord("N"), NO_PRICE, 40)
    assert set(state.cause.tolist()) == {Cause.RESET}
    assert book(state) == rested
    found, told = joined(parts[1:])
    np.testing.assert_array_equal(found.ordinal, events.ordinal[evening:])
    assert book(state, told) == book(changes)
    assert (np.diff(found.ordinal) > 0).all()


def test_a_source_that_takes_over_leaves_nothing_of_the_one_before(lake: Lake) -> None:
    first, second = orders(6, 800, START + 10**9), orders(7, 900, START + 500 * 10**9)
    land_orders(lake, "a", first)
    land_orders(lake, "b", second)
    feed = open_feed(lake, "ESH4", DAY)
    parts = list(feed.chunks(250))
    events, changes = joined(parts)
    last = first["ts_recv"][-1]
    taken = [*first["ts_recv"], *second["ts_recv"][second["ts_recv"] > last]]
    real = events.action != ord("N")
    assert events.ts_gateway[real].tolist() == taken
    assert (~real).sum() == 1
    assert book(changes) == book(booked(second)[1])
    stamps = list(zip(events.ts_gateway.tolist(), events.ordinal.tolist(), strict=True))
    assert stamps == sorted(set(stamps))
    assert [part["name"] for part in feed.plan.provenance()] == ["a", "b"]


def test_what_rested_in_the_evening_goes_with_its_source(lake: Lake) -> None:
    first, second = orders(11, 700, START - 600 * 10**9), orders(12, 900, START)
    third = orders(13, 900, START + 300 * 10**9)
    first["price"] -= 1_000 * QUARTER  # prices that nobody else touches
    second["price"] += 1_000 * QUARTER
    for name, rows in (("a", first), ("b", second), ("c", third)):
        land_orders(lake, name, rows)
    parts = list(read_feed(lake, "ESH4", DAY, chunk=200))
    states = [changes for events, changes in parts if (events.action == ord("N")).any()]
    assert len(states) == 3
    assert book(joined(parts)[1]) == book(booked(third)[1])


def test_only_what_was_known_is_read(lake: Lake) -> None:
    rows = orders(8, 600, START + 10**12)
    land_orders(lake, "a", rows)
    events, _ = booked(rows)
    moment = datetime.datetime.fromtimestamp(int(events.ts_gateway[400]) // 10**9, tz=UTC)
    us = int(moment.timestamp()) * 10**6
    found, changes = joined(list(read_feed(lake, "ESH4", DAY, chunk=128, as_of=moment)))
    known = -(-events.ts_gateway // 1000) <= us
    np.testing.assert_array_equal(found.ordinal, events.ordinal[known])
    assert len(changes.side) == events.first_change[known.sum()]
    early = read_trades(lake, "ESH4", DAY, as_of=moment)
    np.testing.assert_array_equal(early.ordinal, trades_of(found).ordinal)


def test_trades_are_those_of_the_book_and_elsewhere_of_feeds_of_trades(lake: Lake) -> None:
    rows = orders(9, 400, START + 10**12)
    land_orders(lake, "a", rows)
    expected = trades_of(booked(rows)[0])
    assert expected.price.size > 20
    for found, want in zip(read_trades(lake, "ESH4", DAY), expected, strict=True):
        np.testing.assert_array_equal(found, want)
        assert found.dtype == want.dtype
    moments = [at(DAY, 9), at(DAY, 9, 1), at(DAY, 9, 2)]
    alone = records(trades("ESH4", moments, [5, None, 7], sides="BAN"))
    land(lake, "later", alone)
    more = read_trades(lake, "ESH4", DAY)
    assert more.price.tolist() == [*expected.price.tolist(), 5, 7]
    assert more.aggressor[-2:].tolist() == [1, 0]


def test_steps_of_the_sources_come_out_as_one(lake: Lake) -> None:
    rows = orders(10, 300, START + 10**12)
    land_orders(lake, "a", rows, ticks={"ESH4": (2 * QUARTER, "prices: greatest step")})
    land(lake, "later", trades("ESH4", [at(DAY, 9)], [5]), schema="mbp-1")
    events, changes = booked(rows)
    parts = list(read_feed(lake, "ESH4", DAY))
    assert (parts[0][0].price == 2 * events.price).all()
    assert (parts[0][1].price == 2 * changes.price).all()
    assert open_feed(lake, "ESH4", DAY).plan.tick_nano == QUARTER


def test_no_feed_is_an_empty_one(lake: Lake) -> None:
    assert list(read_feed(lake, "ESH4", DAY)) == []
    land(lake, "a", trades("ESH4", [at(DAY, 9)], [5]))
    assert list(read_feed(lake, "ESH4", DAY)) == []
    assert read_trades(lake, "ESH4", DAY).price.tolist() == [5]
    assert read_trades(lake, "NQH4", DAY).price.tolist() == []
