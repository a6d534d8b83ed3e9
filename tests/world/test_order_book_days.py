"""Half days, clock changes, silent days, interruptions, several instruments in one file."""

from __future__ import annotations

import dataclasses
import datetime
from datetime import date

import numpy as np
import pytest

from tapemill.clock import calendar
from tapemill.errors import UnknownNameError, UsageError
from tapemill.world.order_book import (
    FuturesInstrument,
    OrderBookSpec,
    OrderBookWorld,
    Pause,
    path_world,
)
from world.order_book_replay import Replay

HOUR = 3_600_000_000_000
MINUTE = HOUR // 60
SMALL = OrderBookSpec(trades=600, sigma_minute=0.3, records_per_trade=20)
OPEN = calendar("CMES").session(SMALL.trade_dates[0]).open_ns


def with_(**changes):
    return dataclasses.replace(SMALL, **changes)


def flow_of(records):
    return records[records["flags"] != 40]


def replay(records):
    book = Replay()
    for record in records:
        book.apply(record)
    return book


def test_a_half_day_ends_early_with_fewer_trades():
    half = OrderBookWorld(1, with_(trade_dates=(date(2024, 7, 3),)))
    session = calendar("CMES").session(date(2024, 7, 3))
    flow = flow_of(half.records("mbo"))
    assert session.open_ns <= flow["ts_event"][0] and flow["ts_event"][-1] <= session.close_ns
    full = OrderBookWorld(1, SMALL)
    assert half.trades().price.size < 0.9 * full.trades().price.size
    assert full.trades().price.size == 600


def test_sessions_follow_the_clock_change():
    world = OrderBookWorld(1, with_(trade_dates=(date(2024, 3, 8), date(2024, 3, 11))))
    opens = [int(flow_of(world.records("mbo", day))["ts_event"][0]) for day in world.trade_dates]
    hours = [datetime.datetime.fromtimestamp(ns // 10**9, datetime.UTC).hour for ns in opens]
    assert hours == [23, 22]
    trades = world.trades()
    assert trades.price.size == 1_200 and (np.diff(trades.ts_gateway) >= 0).all()
    first = world.records("trades", date(2024, 3, 11))["price"][0] // 250_000_000
    last = world.records("trades", date(2024, 3, 8))["price"][-1] // 250_000_000
    assert abs(first - last) <= 2  # the second date goes on where the first one ended


def test_a_day_without_trades_still_has_a_book():
    world = OrderBookWorld(1, with_(trades=0, quiet_records=900))
    flow, count = flow_of(world.records("mbo")), world.records("mbo").size
    assert flow.size == 900 < count and not (flow["action"] == b"T").any()
    assert world.trades().price.size == 0 and world.truth().is_empty()
    assert world.records("trades").size == 0


def test_nothing_happens_while_trading_is_halted():
    pause = Pause(kind="halt", start_ns=OPEN + 16 * HOUR, end_ns=OPEN + 16 * HOUR + 15 * MINUTE)
    world = OrderBookWorld(1, with_(pauses=(pause,)))
    events = world.records("mbo")["ts_event"]
    assert not ((events >= pause.start_ns) & (events < pause.end_ns)).any()
    assert replay(world.records("mbo")).faults == []


@pytest.mark.parametrize("recovered", [False, True])
def test_what_the_feed_misses_is_missing(recovered):
    kind = "recovered_gap" if recovered else "gap"
    pause = Pause(kind=kind, start_ns=OPEN + 15 * HOUR, end_ns=OPEN + 17 * HOUR)
    world = OrderBookWorld(1, with_(pauses=(pause,)))
    records = world.records("mbo")
    events = records["ts_event"]
    assert not ((events >= pause.start_ns) & (events < pause.end_ns)).any()
    assert (events >= pause.end_ns).sum() > 500
    faults = replay(records).faults
    clears = np.flatnonzero(records["action"] == b"R")
    jump = np.diff(flow_of(records)["sequence"].astype(np.int64)).max()
    assert jump > 500
    if recovered:
        assert faults == [] and clears.size == 1
        after = records[clears[0] + 1 :]
        assert (
            after["flags"][0] == 40 and (np.diff(flow_of(records)["ts_recv"].view("i8")) >= 0).all()
        )
    else:
        assert {fault[0] for fault in faults} >= {"missing"} and not clears.size
    whole = path_world(1, SMALL).trades.price.size
    assert world.trades().price.size == (records["action"] == b"T").sum() < whole


def family():
    june = FuturesInstrument(symbol="ESM4", instrument_id=5_602, expiration=date(2024, 6, 21))
    spread = FuturesInstrument(
        symbol="ESH4-ESM4",
        instrument_id=42_140,
        tick_nano=50_000_000,
        legs=("ESH4", "ESM4"),
    )
    return (
        SMALL,
        with_(instrument=june, trades=200, sigma_minute=0.2, start_ticks=19_420),
        with_(instrument=spread, trades=60, sigma_minute=0.1, start_ticks=-30, depth=40),
    )


def test_two_contracts_and_a_spread_share_a_file():
    world = OrderBookWorld(1, *family())
    records = world.records("mbo")
    flow = records[records["flags"] != 40]
    assert (np.diff(records["ts_recv"].astype(np.int64)) >= 0).all()
    assert (np.diff(records["sequence"].astype(np.int64)) >= 0).all()
    for spec in world.specs:
        alone = OrderBookWorld(1, spec).records("mbo")
        mine = records[records["instrument_id"] == spec.instrument.instrument_id]
        names = [name for name in alone.dtype.names if name != "sequence"]
        assert all(np.array_equal(mine[name], alone[name]) for name in names)
        assert (mine["price"] % spec.instrument.tick_nano == 0).all()
        assert replay(mine).faults == []
    spread = flow[flow["instrument_id"] == 42_140]
    assert (spread["price"] < 0).any()
    assert world.trades("ESM4").price.size == 200


def test_names_and_dates_that_the_world_lacks():
    world = OrderBookWorld(1, SMALL)
    with pytest.raises(UnknownNameError, match="ESZ9"):
        world.trades("ESZ9")
    with pytest.raises(UnknownNameError, match="mbp-20"):
        world.records("mbp-20")
    with pytest.raises(UsageError, match="2024-01-02"):
        world.records("mbo", date(2024, 1, 2))
