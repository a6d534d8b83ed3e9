"""A trade date from records to labels, in the weather that real dates have."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pytest

from levels.test_feed import QUARTER, orders
from tapemill.book.orders import OrderBook
from tapemill.clock import calendar
from tapemill.levels.arrivals import ArrivalMinutes
from tapemill.levels.checker import recheck
from tapemill.levels.day import LiveDay, whole_day
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.labels import label_day
from tapemill.levels.rows import DayTables
from tapemill.levels.trades import NO_TRADES, Trades, trades_of
from tapemill.settings import LevelsSettings

SETTINGS = LevelsSettings()
MINUTE = 60 * 10**9
HOUR = 60 * MINUTE


def made_of(rows: np.ndarray, day: date, size: int):
    """Inputs of a date, its trades, and its book in chunks."""

    def chunks():
        book = OrderBook(QUARTER)
        for start in range(0, len(rows), size):
            stop = min(start + size, len(rows))
            yield book.apply(rows[start:stop], np.arange(start, stop))

    nothing = ArrivalMinutes("ESH4", day).frame()
    inputs = LevelInputs.for_session("ESH4", "ES", day, 0.25, nothing, history=nothing)
    first = int(rows["ts_recv"][0]) if len(rows) else inputs.globex_open_ns
    inputs = dataclasses.replace(inputs, feed_start_ns=first)
    parts = [NO_TRADES, *(trades_of(events) for events, _ in chunks())]
    trades = Trades(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return inputs, trades, chunks


def labels_agree(made: DayTables, inputs: LevelInputs, trades: Trades) -> int:
    """Whether a second opinion gives the same labels; how many there are."""
    outcomes = label_day(made, trades, SETTINGS, close_ns=inputs.globex_close_ns, tick_value=12.5)
    differ = recheck(
        outcomes,
        trades,
        made.decisions,
        SETTINGS,
        names=made.names,
        close_ns=inputs.globex_close_ns,
        until_ns=made.end.until_ns,
        tick_value=12.5,
        gaps=made.end.gaps,
        end_reason=made.end.reason,
    )
    assert differ.is_empty()
    return outcomes.height


WEATHER = {
    "weekend of the clocks, from before the open to after the close": (
        date(2024, 3, 11), -1 * HOUR, 2 * HOUR, 8
    ),
    "holiday without regular hours, its last hours and beyond": (
        date(2024, 1, 15), 17 * HOUR, 20 * HOUR, 8
    ),
    "half day, around the close of shares": (date(2023, 11, 24), 18 * HOUR, 20 * HOUR, 8),
    "begins in the middle": (date(2024, 3, 12), 15 * HOUR, 17 * HOUR, 8),
}  # fmt: skip


@pytest.mark.parametrize("name", WEATHER)
def test_live_is_whole_and_labels_hold_in_any_weather(name: str) -> None:
    day, start, end, every = WEATHER[name]
    opened = calendar("CMES").session(day).open_ns
    rows = orders(3, (end - start) // (every * 10**9), opened + start, every=every * 10**9)
    inputs, trades, chunks = made_of(rows, day, 700)
    whole = whole_day(inputs, SETTINGS, trades, chunks())
    live = LiveDay(inputs, SETTINGS)
    for events, changes in chunks():
        live.advance(events, changes)
    for found, want in zip(dataclasses.astuple(live.finish())[:3], (
        whole.levels, whole.episodes, whole.features
    ), strict=True):  # fmt: skip
        assert found.equals(want)
    assert whole.features.height > 20
    assert labels_agree(whole, inputs, trades) > 400


def test_a_feed_that_lives_on_without_trades_is_no_gap() -> None:
    day = date(2024, 3, 12)
    rows = orders(3, 1_500, calendar("CMES").session(day).open_ns, every=2 * 10**9)
    last_trade = int(np.flatnonzero(rows["action"] == ord("T"))[-1])
    quiet = np.repeat(rows[rows["action"] == ord("A")][:1], 20)
    quiet["order_id"] = 10**9 + np.arange(20)
    for name in ("ts_event", "ts_recv"):
        quiet[name] = rows[name][last_trade + 2] + MINUTE * np.arange(1, 21)
    rows = np.concatenate([rows[: last_trade + 3], quiet])
    inputs, trades, chunks = made_of(rows, day, 500)
    made = whole_day(inputs, SETTINGS, trades, chunks())
    assert not len(made.end.gaps.start_ns)
    assert labels_agree(made, inputs, trades)


def test_a_feed_that_says_nothing_gives_no_approaches() -> None:
    day = date(2024, 3, 12)
    inputs, trades, chunks = made_of(orders(3, 0, 0), day, 10)
    made = whole_day(inputs, SETTINGS, trades, chunks())
    assert made.episodes.is_empty()
    assert made.features.is_empty()
    outcomes = label_day(made, trades, SETTINGS, close_ns=inputs.globex_close_ns, tick_value=1.0)
    assert outcomes.is_empty()
