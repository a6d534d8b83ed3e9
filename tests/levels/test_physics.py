"""The physics of book and tape: against a slow reference, in any chunks, blind to the future."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levels.book_streams import SECOND, Market, Stream
from levels.book_streams_reference import SlowPhysics
from tapemill.book.events import NO_DEPTH, NO_PRICE, Changes, Events
from tapemill.errors import ContractError
from tapemill.levels.episodes import NO_ORDINAL, Decisions
from tapemill.levels.physics import PHYSICS_FEATURES, Physics, feature_frame
from tapemill.settings.declaration import LevelsSettings

NAMES = [feature.name for feature in PHYSICS_FEATURES]
KEYS = LevelsSettings(sweep_multiple=4.0, flow_min_contracts=60.0, weak_contracts=150.0)


@functools.cache
def stream(seed: int, levels: int = 0, records: int = 2400) -> Stream:
    market = Market(seed, levels, rate=6.0, pauses=0.01)
    market.run(records // 2)
    market.pause(320)
    market.run(records * 5 // 6)
    market.clear()
    return market.run(records)


@functools.cache
def decisions(seed: int, levels: int = 0, records: int = 2400, count: int = 60) -> Decisions:
    """Touches by a trade and what follows them by the clock, about zones near the price."""
    random = np.random.default_rng(seed)
    events = stream(seed, levels, records).events
    trades = np.flatnonzero((events.action == ord("T")) & (events.price != NO_PRICE))
    rows = []
    for episode, at in enumerate(random.choice(trades, count)):
        touch = int(events.ts_gateway[at])
        reach = 6 if episode % 3 else 50
        low = float(events.price[at]) + random.integers(-reach, reach) + random.choice([0.0, 0.3])
        edges = (low, low + float(random.integers(0, 4)))
        sigma = float(random.choice([np.nan, 3.0, 18.0, 40.0]))
        common = (episode, 7, int(random.choice([-1, 1])), *edges, sigma, touch)
        rows.append((touch, int(events.ordinal[at]), 0, common))
        for delay in (30, 60, 240):
            rows.append((touch + delay * SECOND, NO_ORDINAL, delay, common))
    rows.sort(key=lambda row: (row[0], row[1], row[3][0], row[2]))
    types = (np.int64, np.int64, np.int64, np.int32, np.int32, np.int8) + (np.float64,) * 3
    columns = zip(
        *[(ns, o, c[0], c[1], delay, *c[2:6], c[6]) for ns, o, delay, c in rows], strict=True
    )
    return Decisions(*[np.array(c, t) for c, t in zip(columns, (*types, np.int64), strict=True)])


def some(of: Decisions, keep) -> Decisions:
    return Decisions(*[column[keep] for column in of])


def answers(physics: Physics, given: Stream, ask: Decisions | None, edges) -> np.ndarray:
    """Feed in chunks, each with the decisions that fall before its last record's end."""
    found, asked = [], 0
    for start, stop in itertools.pairwise(edges):
        part = given.part(start, stop)
        last = (int(part.events.ts_gateway[-1]), int(part.events.ordinal[-1]))
        upto = asked
        while ask and upto < ask.episode.size and key(ask, upto) <= last:
            upto += 1
        fresh = some(ask, slice(asked, upto)) if ask else None
        found.append(physics.advance(part.events, part.changes, fresh, last[0]))
        asked = upto
    if ask:
        nothing = given.part(0, 0)
        found.append(
            physics.advance(nothing.events, nothing.changes, some(ask, slice(asked, None)), 0)
        )
    found.append(physics.finish())
    order = np.concatenate([rows.episode * 1000 + rows.delay for rows in found])
    if ask:
        assert (order == ask.episode * 1000 + ask.delay).all()
    return np.concatenate([rows.values for rows in found])


def key(ask: Decisions, at: int) -> tuple[int, int]:
    return int(ask.decision_ns[at]), int(ask.ordinal[at])


def whole(given: Stream, ask: Decisions, keys: LevelsSettings = KEYS) -> np.ndarray:
    return answers(Physics(keys), given, ask, [0, given.events.ts_gateway.size])


@pytest.mark.parametrize(("seed", "levels"), [(1, 0), (2, 0), (3, 10), (4, 10), (5, 1), (6, 5)])
def test_every_feature_equals_its_declaration_computed_slowly(seed: int, levels: int) -> None:
    ask = decisions(seed, levels)
    ours = whole(stream(seed, levels), ask)
    slow = SlowPhysics(KEYS).answers(stream(seed, levels), ask)
    assert len(slow) == len(ours)
    for row, expected in zip(ours, slow, strict=True):
        assert set(expected) <= set(NAMES)
        wanted = [expected.get(name, np.nan) for name in NAMES]
        np.testing.assert_allclose(row, wanted, rtol=1e-9, atol=1e-9)


def test_the_streams_reach_every_feature_and_every_state() -> None:
    """What is never filled or never varies would be compared with nothing above."""
    rows = np.concatenate([whole(stream(s, n), decisions(s, n)) for s, n in [(1, 0), (3, 10)]])
    for name, column in zip(NAMES, rows.T, strict=True):
        known = column[~np.isnan(column)]
        assert known.size > 20 and np.unique(known).size > 2, name
    states = [column for name, column in zip(NAMES, rows.T, strict=True) if "_state_" in name]
    assert set(np.unique(states)[:6]) == {1, 2, 3, 4, 5, 6}


@pytest.mark.property
@pytest.mark.parametrize("levels", [0, 10])
@settings(max_examples=15)
@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_any_chunks_give_the_same_bits(levels: int, most: int, seed: int) -> None:
    given_stream, ask = stream(3, levels), decisions(3, levels)
    size = given_stream.events.ts_gateway.size
    steps = np.random.default_rng(seed).integers(1, most + 1, size)
    edges = np.unique(np.clip(np.concatenate([[0], np.cumsum(steps), [size]]), 0, size))
    found = answers(Physics(KEYS), given_stream, ask, edges)
    np.testing.assert_array_equal(found, whole(given_stream, ask))


def test_record_by_record_gives_the_same_bits() -> None:
    size = stream(1).events.ts_gateway.size
    found = answers(Physics(KEYS), stream(1), decisions(1), np.arange(size + 1))
    np.testing.assert_array_equal(found, whole(stream(1), decisions(1)))


@pytest.mark.property
@pytest.mark.parametrize("levels", [0, 10])
@settings(max_examples=15)
@given(st.floats(0.0, 1.0), st.integers(0, 2**32 - 1))
def test_no_answer_depends_on_what_comes_after_it(levels: int, at: float, seed: int) -> None:
    """Everything after a decision is permuted, thinned and moved in time; nothing before moves."""
    given_stream, ask = stream(4, levels), decisions(4, levels)
    random = np.random.default_rng(seed)
    place = int(at * (ask.episode.size - 1))
    events = given_stream.events
    later = (events.ts_gateway > ask.decision_ns[place]) | (
        (events.ts_gateway == ask.decision_ns[place]) & (events.ordinal > ask.ordinal[place])
    )
    known = np.flatnonzero(~later)
    rest = random.permutation(np.flatnonzero(later))
    rest = rest[: int(random.integers(0, rest.size + 1))]
    other = given_stream.chosen(np.concatenate([known, rest]))
    when = other.events.ts_gateway.copy()
    moments = random.integers(ask.decision_ns[place] + 1, events.ts_gateway[-1] + 2, rest.size)
    when[known.size :] = np.sort(moments)
    order = np.arange(when.size) + 0
    order[: known.size] = events.ordinal[known]
    changed = Stream(other.events._replace(ts_gateway=when, ordinal=order), other.changes)
    found = whole(changed, ask)[: place + 1]
    np.testing.assert_array_equal(found, whole(given_stream, ask)[: place + 1])


def test_a_decision_after_its_moment_is_refused() -> None:
    physics = Physics(KEYS)
    part = stream(1).part(0, 600)
    physics.advance(part.events, part.changes, None, 0)
    late = some(decisions(1), slice(0, 1))
    with pytest.raises(ContractError, match="came too late"):
        physics.advance(*stream(1).part(600, 700), late, 0)


def test_a_timed_decision_waits_for_every_record_of_its_moment() -> None:
    """A clock that has reached a moment has not yet passed it: more records may bear it."""
    ask = some(decisions(1), decisions(1).delay == 30)
    ask = some(ask, slice(5, 6))
    nothing = stream(1).part(0, 0)
    physics = Physics(KEYS)
    assert physics.advance(*nothing, ask, int(ask.decision_ns[0])).episode.size == 0
    assert physics.advance(*nothing, None, int(ask.decision_ns[0]) + 1).episode.size == 1


def test_a_decision_at_a_record_waits_for_it_though_its_moment_is_reached() -> None:
    """Records of one moment may come in different chunks; the decision counts the later one."""
    given_stream = stream(1)
    touching = int(decisions(1).ordinal[decisions(1).delay == 0][9])
    clock = given_stream.events.ts_gateway.copy()
    clock[touching - 1] = clock[touching]
    moved = Stream(given_stream.events._replace(ts_gateway=clock), given_stream.changes)
    ask = some(decisions(1), decisions(1).ordinal == touching)
    physics = Physics(KEYS)
    until = int(clock[touching])
    assert physics.advance(*moved.part(0, touching), ask, until).episode.size == 0
    found = physics.advance(*moved.part(touching, touching + 1), None, until)
    np.testing.assert_array_equal(found.values, whole(moved.part(0, touching + 1), ask))


def test_a_book_of_scattered_prices_grows_and_forgets_nothing() -> None:
    random = np.random.default_rng(5)
    prices = random.choice(2_000_000, 40_000, replace=False).astype(np.int32) - 1_000_000
    n = prices.size
    clock = 10**18 + np.arange(n, dtype=np.int64) * 1000
    small = {kind: np.zeros(n, kind) for kind in (np.int8, np.int16, np.int32, np.int64)}
    events = Events(
        clock, clock, np.arange(n), small[np.int8] + ord("A"), small[np.int8] + ord("A"), prices,
        small[np.int32] + 1, small[np.int16] - 1, small[np.int64], small[np.int16],
        small[np.int16], small[np.int32], small[np.int64], np.arange(n + 1),
    )  # fmt: skip
    sizes = random.integers(1, 50, n).astype(np.int32)
    changes = Changes(
        small[np.int8] + ord("A"), prices, sizes, small[np.int32] + 1, small[np.int8] + 1, sizes
    )
    low, high = -900_000.0, -899_000.0
    ask = Decisions(
        clock[-1:], np.array([n - 1]), np.array([0]), np.array([0]), np.array([0]),
        np.array([1]), np.array([low]), np.array([high]), np.array([0.0]), clock[-1:],
    )  # fmt: skip
    row = dict(zip(NAMES, whole(Stream(events, changes), ask)[0], strict=True))
    inside = (prices >= low - KEYS.barrier_min_ticks) & (prices <= high + KEYS.barrier_min_ticks)
    assert row["barrier_depth"] == sizes[inside].sum()
    assert row["barrier_orders"] == inside.sum()


def resting(given: Stream) -> dict[tuple[int, int], tuple[int, int]]:
    """What rests by side and price after all changes."""
    sides, prices, sizes, orders, _, _ = (column.tolist() for column in given.changes)
    there = dict(zip(zip(sides, prices, strict=True), zip(sizes, orders, strict=True), strict=True))
    return {place: what for place, what in there.items() if what[0]}


def takeover(held: dict, given: Stream, at: int) -> Stream:
    """The record by which a feed leads from one book to that of a source at its record `at`."""
    there = resting(given.part(0, at))
    rows = [
        (*place, *there.get(place, (0, 0)), 6, 0)
        for place in sorted({*held, *there})
        if held.get(place) != there.get(place)
    ]
    types = (np.int8, np.int32, np.int32, np.int32, np.int8, np.int32)
    columns = zip(*rows, strict=True)
    one = given.part(at, at + 1).events
    events = one._replace(
        ordinal=one.ordinal - 1, action=np.full(1, ord("N"), np.int8),
        depth=np.full(1, NO_DEPTH, np.int16), flags=np.full(1, 40, np.int16),
        first_change=np.array([0, len(rows)]),
    )  # fmt: skip
    return Stream(events, Changes(*[np.array(c, t) for c, t in zip(columns, types, strict=True)]))


@pytest.mark.parametrize("before", [0, 10])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_one_source_takes_over_from_another(before: int, after: int) -> None:
    """Book and view are those of the new source; its windows begin with it."""
    first, second, at = stream(2, before), stream(6, after), 300
    shift = int(first.events.ts_gateway[-1] - second.events.ts_gateway[at]) + SECOND
    second = Stream(
        second.events._replace(ts_gateway=second.events.ts_gateway + shift), second.changes
    )
    ask = decisions(6, after)
    ask = some(ask, (ask.ordinal > at) & (ask.decision_ns > second.events.ts_gateway[at] - shift))
    ask = ask._replace(decision_ns=ask.decision_ns + shift, touch_ns=ask.touch_ns + shift)
    rest = second.part(at, second.events.action.size)
    found = []
    for held in (resting(first), {}):
        physics = Physics(KEYS)
        if held:
            physics.advance(*first, None, 0)
        physics.advance(*takeover(held, second, at), None, 0)
        found.append(answers(physics, rest, ask, [0, rest.events.action.size]))
    same = [
        at
        for at, name in enumerate(NAMES)
        if "wall_ratio" not in name and name.split("_")[0] in ("barrier", "queue", "spread")
    ]
    np.testing.assert_array_equal(found[0][:, same], found[1][:, same])
    assert np.isfinite(found[0][:, NAMES.index("barrier_depth")]).mean() > 0.3


def test_the_frame_has_the_declared_types_and_null_for_no_evidence() -> None:
    frame = feature_frame(whole(stream(1), decisions(1)))
    assert frame.columns == NAMES
    assert [str(t) for t in frame.dtypes] == [str(f.dtype) for f in PHYSICS_FEATURES]
    assert frame["barrier_state_touch"].null_count() > 0
    assert not frame["barrier_added_touch"].is_nan().any()
