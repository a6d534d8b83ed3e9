"""Approaches: the rule by hand, against a plain machine, in any chunks, blind to what comes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levels.walks import (
    BASE,
    SECOND,
    PlainMachine,
    sigma_rows,
    track,
    trades_at,
    world,
    zone_rows,
)
from tapemill.errors import ContractError
from tapemill.levels.episodes import (
    DELAYS,
    END_REASONS,
    NO_ORDINAL,
    NO_TOUCH,
    EpisodeTracker,
)
from tapemill.levels.trades import Trades
from tapemill.settings.declaration import LevelsSettings

SEEDS = st.integers(0, 2**32 - 1)
LATE = BASE + 10_000 * SECOND


def run(trades, zones, sigma=None, *, until=9_000, close_ns=LATE, **changed):
    """One walk in one piece: ended episodes and decisions."""
    tracker = EpisodeTracker(LevelsSettings(**changed), close_ns)
    tracker.zones(zones)
    tracker.volatility(sigma or sigma_rows((0, 4.0)))
    first, decisions = tracker.advance(trades, int(trades.ts_gateway[-1]))
    rest, more = tracker.finish(BASE + until * SECOND)
    ended = type(first)(*map(np.concatenate, zip(first, rest, strict=True)))
    return ended, type(decisions)(*map(np.concatenate, zip(decisions, more, strict=True)))


def reasons(ended):
    return [END_REASONS[code] for code in ended.reason]


# With sigma 4: approach 4, touch 1, leave 8 ticks around a zone of 100 to 102.
ZONE = zone_rows((0, 7, 100.0, 102.0))


def test_an_approach_is_entered_touched_and_left_and_its_times_are_those_of_trades():
    trades = trades_at([1, 2, 3, 4, 5, 50, 90], [91, 95, 96, 98, 99, 101, 111])
    ended, decisions = run(trades, ZONE)
    assert reasons(ended) == ["through"]
    assert (ended.enter_ns[0], ended.enter_ordinal[0]) == (BASE + 3 * SECOND, 2)
    assert (ended.touch_ns[0], ended.touch_ordinal[0]) == (BASE + 5 * SECOND, 4)
    assert ended.end_ns[0] == BASE + 90 * SECOND
    assert (ended.direction[0], ended.attempt[0], ended.sigma[0]) == (1, 1, 4.0)
    # It ended 85 s after the touch: there is nothing to decide at 120 s and 240 s.
    assert decisions.delay.tolist() == [0, 30, 60]
    assert decisions.ordinal.tolist() == [4, NO_ORDINAL, NO_ORDINAL]
    waited = (decisions.decision_ns - decisions.touch_ns) // SECOND
    assert waited.tolist() == [0, 30, 60]


def test_an_approach_from_above_that_turns_never_touched():
    ended, decisions = run(trades_at([1, 2, 3, 4], [115, 106, 104, 111]), ZONE)
    assert reasons(ended) == ["turned"]
    assert (ended.direction[0], ended.touch_ns[0], ended.attempt[0]) == (-1, NO_TOUCH, 0)
    assert decisions.delay.size == 0


def test_price_on_a_zone_for_an_hour_is_one_approach_and_the_next_needs_a_leave():
    prices = [90, 100] + [101, 99, 103, 98] * 900 + [94, 100, 91, 100]
    ended, _ = run(trades_at(range(len(prices)), prices), ZONE, until=3_700)
    # 94 is outside of the approach band but inside of the leave band: still the same approach.
    assert reasons(ended) == ["turned", "end_of_data"]
    assert ended.attempt.tolist() == [1, 1]  # the hour between them begins a new chain


def test_a_zone_born_on_price_waits_until_price_has_been_away():
    zones = zone_rows((0, 1, 500.0, 500.0), (10, 7, 100.0, 102.0))
    trades = trades_at([1, 11, 12, 13, 14, 15], [101, 99, 94, 101, 91, 97])
    ended, _ = run(trades, zones)
    assert ended.enter_ns.tolist() == [BASE + 15 * SECOND]


def test_who_jumps_over_a_zone_has_touched_it():
    ended, decisions = run(trades_at([1, 2], [80, 130]), ZONE)
    assert reasons(ended) == ["through"]
    assert ended.enter_ns[0] == ended.touch_ns[0] == ended.end_ns[0] == BASE + 2 * SECOND
    assert decisions.delay.tolist() == [0]


def test_a_zone_moved_past_price_was_not_approached_by_it():
    zones = zone_rows((0, 7, 100.0, 102.0), (10, 7, 76.0, 78.0))
    ended, _ = run(trades_at([1, 11, 12, 13, 14], [80, 81, 79, 87, 82]), zones)
    # Armed below it; now price is above it and must go away first, up or down.
    assert (ended.direction.tolist(), ended.enter_ns.tolist()) == ([-1], [BASE + 14 * SECOND])


def test_bands_stay_those_of_the_entry():
    sigma = sigma_rows((0, 4.0), (60, 40.0))
    ended, _ = run(trades_at([1, 2, 61, 62], [80, 99, 95, 91]), ZONE, sigma)
    assert reasons(ended) == ["turned"]
    assert ended.sigma.tolist() == [4.0]


def test_nothing_begins_before_a_volatility_is_known():
    ended, _ = run(trades_at([1, 2, 3], [80, 100, 80]), ZONE, sigma_rows((500, 4.0)))
    assert ended.episode.size == 0


def test_an_approach_outlives_its_level_and_ends_with_a_gap_the_close_or_the_data():
    trades = trades_at([1, 2, 400, 401], [90, 100, 100, 100])
    gone = zone_rows((0, 7, 100.0, 102.0), (40, 7, None, None))
    ended, decisions = run(trades, gone)
    assert (reasons(ended), ended.end_ns.tolist()) == (["gap"], [BASE + 302 * SECOND])
    assert decisions.delay.tolist() == list(DELAYS)
    moved = zone_rows((0, 7, 100.0, 102.0), (40, 7, 150.0, 152.0))
    ended, decisions = run(trades_at([1, 2, 70, 71], [90, 100, 101, 80]), moved)
    assert (reasons(ended), ended.low.tolist()) == (["turned"], [100.0])
    assert set(decisions.low.tolist()) == {100.0}
    ended, decisions = run(trades, ZONE)
    # Silent from 2 s on: known at 302 s; the price after it says nothing of the way it took.
    assert (reasons(ended), ended.end_ns.tolist()) == (["gap"], [BASE + 302 * SECOND])
    assert decisions.delay.tolist() == list(DELAYS)
    ended, _ = run(trades, ZONE, close_ns=BASE + 30 * SECOND)
    assert (reasons(ended), ended.end_ns.tolist()) == (["close"], [BASE + 30 * SECOND])
    ended, _ = run(trades_at([1, 2], [90, 100]), ZONE, until=50)
    assert (reasons(ended), ended.end_ns.tolist()) == (["end_of_data"], [BASE + 50 * SECOND])


def test_golden_a20_attempts_at_10_00_10_10_10_26_and_10_30():
    seconds, prices = [0], [80]
    for minute in (0, 10, 26, 30):
        seconds += [minute * 60 + 1, minute * 60 + 2]
        prices += [100, 80]
    ended, _ = run(trades_at(seconds, prices), ZONE, gap_seconds=3600)
    assert ended.attempt.tolist() == [1, 2, 1, 2]
    assert ended.chain.tolist() == [0, 0, 2, 2]


def test_the_other_side_has_its_own_attempts():
    ended, _ = run(trades_at(range(5), [80, 100, 120, 101, 80]), ZONE)
    assert ended.direction.tolist() == [1, -1]
    assert ended.attempt.tolist() == [1, 1]


@given(SEEDS)
@settings(max_examples=150)
def test_it_does_what_the_plain_machine_does(seed):
    made = world(seed)
    plain = PlainMachine(made)
    ended, decisions = track(made)
    for name in ("episode", "zone", "direction", "low", "high", "sigma", "enter_ns",
                 "enter_ordinal", "end_ns", "attempt", "chain"):  # fmt: skip
        assert getattr(ended, name).tolist() == [row[name] for row in plain.ended], name
    assert reasons(ended) == [row["reason"] for row in plain.ended]
    touched = [NO_TOUCH if row["touch_ns"] is None else row["touch_ns"] for row in plain.ended]
    assert ended.touch_ns.tolist() == touched
    order = sorted(plain.decided, key=lambda row: (row[0], row[1], row[2], row[4]))
    assert list(zip(*(column.tolist() for column in decisions), strict=True)) == order


def test_walks_reach_every_end_and_many_attempts():
    seen, attempts, moved = set(), 0, 0
    for seed in range(60):
        ended, decisions = track(world(seed))
        seen |= set(reasons(ended))
        attempts = max(attempts, int(ended.attempt.max(initial=0)))
        moved += int((np.diff(decisions.low[np.argsort(decisions.zone, kind="stable")]) != 0).sum())
    assert seen == set(END_REASONS)
    assert attempts >= 4
    assert moved > 10


@given(SEEDS, st.lists(st.integers(0, 300), max_size=8), st.booleans())
@settings(max_examples=60)
def test_any_chunks_give_the_same_bits(seed, cuts, late):
    made = world(seed)
    whole = track(made)
    for chosen in (sorted(cuts), range(1, 300)):
        for one, other in zip(whole, track(made, chosen, late=late), strict=True):
            for first, second in zip(one, other, strict=True):
                assert first.tobytes() == second.tobytes()


@given(SEEDS, st.integers(20, 280), st.sampled_from(["delete", "permute", "shift"]))
@settings(max_examples=60)
def test_what_comes_later_changes_no_decision(seed, cut, how):
    made = world(seed)
    moment = int(made.trades.ts_gateway[cut])
    rng = np.random.default_rng(seed)
    past = made.trades.ts_gateway <= moment
    price = made.trades.price.copy()
    if how == "permute":
        price[~past] = rng.permutation(price[~past])
    elif how == "shift":
        price[~past] += 500
    keep = past if how == "delete" else np.ones_like(past)
    trades = made.trades._replace(price=price)
    other = type(made)(**{**vars(made), "trades": Trades(*(column[keep] for column in trades))})
    for rows in ("zones", "sigma"):
        table = getattr(made, rows)
        early = table.at_ns <= moment
        setattr(other, rows, type(table)(*(column[early] for column in table)))
    before = [decisions.decision_ns <= moment for _, decisions in (track(made), track(other))]
    pair = [track(made)[1], track(other)[1]]
    for one, two in zip(*pair, strict=True):
        assert one[before[0]].tobytes() == two[before[1]].tobytes()


def test_rows_and_trades_that_come_too_late_are_refused():
    tracker = EpisodeTracker(LevelsSettings(), LATE)
    tracker.advance(trades_at([1, 5], [1, 2]), BASE + 5 * SECOND)
    with pytest.raises(ContractError, match="zone at"):
        tracker.zones(zone_rows((4, 1, 1.0, 1.0)))
    with pytest.raises(ContractError, match="volatility at"):
        tracker.volatility(sigma_rows((6, 1.0), (5, 1.0)))
    with pytest.raises(ContractError, match="comes after"):
        tracker.advance(trades_at([4], [1]), BASE + 6 * SECOND)


def test_many_zones_and_a_full_output_go_on_where_they_stopped():
    zones = zone_rows(*[(0, zone, 100.0 + zone % 3, 102.0) for zone in range(500)])
    trades = trades_at(range(400), [80, 102] * 200)
    ended, decisions = run(trades, zones)
    # The last of the 200 approaches of each zone is open until the data end, beyond the gap.
    assert len(ended.zone) == 500 * 200
    assert np.bincount(decisions.zone).tolist() == [204] * 500
