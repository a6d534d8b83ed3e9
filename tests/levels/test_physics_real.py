"""The physics on the real hour: every order and its ten best levels say the same."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from book.streams import ES_MBO, ES_MBP_10, TICK, read_real
from levels.book_streams import SECOND, Stream
from tapemill.book.ladder import LadderBook
from tapemill.book.orders import OrderBook
from tapemill.book.records import MBO, MBP_10, UNDEFINED
from tapemill.levels.episodes import NO_ORDINAL, Decisions
from tapemill.levels.physics import PHYSICS_FEATURES, Physics
from tapemill.settings.declaration import LevelsSettings

pytestmark = pytest.mark.real

NAMES = [feature.name for feature in PHYSICS_FEATURES]
KEYS = LevelsSettings(barrier_min_ticks=2, barrier_sigma=0.0)


@pytest.fixture(scope="module")
def hour(real_data):
    records, ordinals = read_real(real_data / ES_MBO, MBO)
    return Stream(*OrderBook(TICK).apply(records, ordinals))


@pytest.fixture(scope="module")
def ladders(real_data):
    return read_real(real_data / ES_MBP_10, MBP_10)


@pytest.fixture(scope="module")
def asked(hour) -> Decisions:
    """A decision by the clock half a minute after each seventh trade, at a zone near its price."""
    events = hour.events
    trades = np.flatnonzero(events.action == ord("T"))[20::7]
    touch = events.ts_gateway[trades]
    n = trades.size
    low = events.price[trades] + np.random.default_rng(1).integers(-4, 5, n).astype(np.float64)
    order = np.arange(n)
    return Decisions(
        touch + 30 * SECOND, np.full(n, NO_ORDINAL), order, order, np.full(n, 30, np.int32),
        np.where(order % 2, 1, -1), low, low + 1, np.full(n, 9.0), touch,
    )  # fmt: skip


def rows(stream: Stream, asked: Decisions, keys: LevelsSettings = KEYS, parts: int = 1):
    physics, found = Physics(keys), []
    edges = np.linspace(0, stream.events.action.size, parts + 1).astype(int)
    for place, (start, stop) in enumerate(itertools.pairwise(edges)):
        part = stream.part(start, stop)
        found.append(physics.advance(*part, None if place else asked, 0).values)
    return np.concatenate([*found, physics.finish().values])


def in_view(records, asked: Decisions, seconds: int) -> np.ndarray:
    """Whether ten levels showed the whole zone from before the window to the decision."""
    book = records["levels"]
    clock = records["ts_recv"].astype(np.int64)
    price = {name: book[f"{name}_px"][:, -1] for name in ("bid", "ask")}
    lowest = np.where(price["bid"] == UNDEFINED, -(2**40), price["bid"] // TICK)
    highest = np.where(price["ask"] == UNDEFINED, 2**40, price["ask"] // TICK)
    whole = np.zeros(asked.low.size, bool)
    for place, now in enumerate(asked.decision_ns):
        start = (now // SECOND - seconds) * SECOND
        first, last = np.searchsorted(clock, [start, now], side="right")
        span = slice(max(first - 1, 0), last)
        bids = lowest[span].max() <= asked.low[place] - KEYS.barrier_min_ticks
        asks = highest[span].min() >= asked.high[place] + KEYS.barrier_min_ticks
        whole[place] = asks if asked.direction[place] > 0 else bids
    return whole


@pytest.mark.parametrize("seconds", [5, 15, 60])
def test_ten_levels_give_the_flows_of_every_order_where_the_zone_is_in_view(
    hour, ladders, asked, seconds: int
) -> None:
    """Only an iceberg that is refilled by the message that fills it is no add and fill there."""
    records, ordinals = ladders
    ours = rows(hour, asked)
    theirs = rows(Stream(*LadderBook(TICK, 10).apply(records, ordinals)), asked)
    view = in_view(records, asked, seconds)
    # The ladders begin with the first change of the ten best, later than the snapshot.
    view &= ~np.isnan(theirs[:, NAMES.index(f"barrier_net_{seconds}s")])
    assert view.sum() > 100
    for name in (
        "barrier_depth",
        "barrier_orders",
        f"barrier_net_{seconds}s",
        f"barrier_canceled_{seconds}s",
    ):
        column = NAMES.index(name)
        np.testing.assert_array_equal(ours[view, column], theirs[view, column], name)
    columns = {name: NAMES.index(f"barrier_{name}_{seconds}s") for name in ("added", "filled")}
    unlike = {name: ours[view, at] - theirs[view, at] for name, at in columns.items()}
    np.testing.assert_array_equal(unlike["added"], unlike["filled"])
    assert 0 < unlike["filled"].sum() <= 0.05 * ours[view, columns["filled"]].sum()
    for name in ("buy_volume", "imbalance", "velocity", "sweeps", "through_volume"):
        column = NAMES.index(f"tape_{name}_{seconds}s")
        np.testing.assert_array_equal(ours[view, column], theirs[view, column], name)
    for name in ("spread_ticks", "queue_pressure"):
        column = NAMES.index(name)
        np.testing.assert_array_equal(ours[view, column], theirs[view, column], name)


def test_the_real_hour_in_chunks_gives_the_same_bits(hour, asked) -> None:
    whole = rows(hour, asked, LevelsSettings())
    np.testing.assert_array_equal(rows(hour, asked, LevelsSettings(), parts=997), whole)


def test_the_real_hour_has_evidence(hour, asked) -> None:
    values = rows(hour, asked, LevelsSettings())
    known = ~np.isnan(values)
    for name in ("barrier_wall_ratio", "barrier_state_60s", "tape_imbalance_60s", "ofi_10_60s"):
        assert known[:, NAMES.index(name)].mean() > 0.8, name
    states = values[:, NAMES.index("barrier_state_60s")]
    assert np.unique(states[~np.isnan(states)]).size >= 3
    for name in ("tape_sweeps_240s", "tape_large_share_60s", "barrier_replenishment_60s"):
        column = values[:, NAMES.index(name)]
        assert np.unique(column[~np.isnan(column)]).size > 2, name
