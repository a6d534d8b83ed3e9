"""Outcomes: golden cases, censoring, chunks, and walks whose answer is known."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levels.walks import BASE, SECOND, track, trades_at, world
from tapemill.errors import ContractError
from tapemill.levels.episodes import NO_ORDINAL, Decisions
from tapemill.levels.outcomes import CENSORED_BY, OUTCOMES, Outcomes, OutcomeTracker, barrier_names
from tapemill.levels.trades import Gaps, Trades
from tapemill.settings.declaration import LevelsSettings

SEEDS = st.integers(0, 2**32 - 1)
LATE = BASE + 1_000_000 * SECOND


def decisions_at(*rows, sigma=4.0) -> Decisions:
    """Decisions of (second, ordinal, direction), each an episode of its own."""
    seconds, ordinals, directions = zip(*rows, strict=True)
    moments = np.array([BASE + round(second * SECOND) for second in seconds], np.int64)
    count = len(rows)
    return Decisions(
        moments, np.array(ordinals, np.int64), np.arange(count), np.full(count, 7, np.int32),
        np.zeros(count, np.int32), np.array(directions, np.int8), np.zeros(count), np.zeros(count),
        np.full(count, sigma), moments,
    )  # fmt: skip


def labels(trades, decisions, *, until=100_000, close_ns=LATE, gaps=None, **changed):
    """All labels of one walk in one piece, by (episode, horizon, barrier)."""
    chosen = LevelsSettings(**{"gap_seconds": 100_000} | changed)
    tracker = OutcomeTracker(chosen, close_ns)
    tracker.open(decisions)
    first = tracker.advance(trades, int(trades.ts_gateway[-1]), gaps)
    rest = tracker.finish(BASE + until * SECOND, gaps=gaps and Gaps(*(g[:0] for g in gaps)))
    found = Outcomes(*map(np.concatenate, zip(first, rest, strict=True)))
    names = barrier_names(chosen)
    frame = pl.DataFrame(found._asdict()).with_columns(
        barrier=pl.Series([names[code] for code in found.barrier]),
        outcome=pl.Series([OUTCOMES[code] for code in found.outcome]),
        censored_by=pl.Series([CENSORED_BY[code] for code in found.censored_by]),
        seconds=pl.col("seconds").fill_nan(None),
    )
    return {(r["episode"], r["horizon"], r["barrier"]): r for r in frame.iter_rows(named=True)}


def test_golden_a17_as_first_passage():
    # Up 2.10, then down 2.20 points: by size the page calls it a bounce; what came first decides.
    trades = trades_at([0, 60, 120], [0, 21, -22])
    found = labels(trades, decisions_at((0, 0, 1)), barrier_ticks=(20,))
    row = found[0, 900, "t20"]
    assert (row["outcome"], row["seconds"], row["favourable"]) == ("break", 60.0, 21)
    # Neither barrier of 25: both extremes are those of the page.
    row = labels(trades, decisions_at((0, 0, 1)), barrier_ticks=(25,))[0, 900, "t25"]
    assert (row["outcome"], row["favourable"] - row["adverse"]) == ("neither", -1)


def test_golden_a18_minus_two_at_60_s_before_plus_two_at_180_s():
    found = labels(trades_at([0, 60, 180], [0, -8, 8]), decisions_at((0, 0, 1)))
    assert (found[0, 240, "t8"]["outcome"], found[0, 240, "t8"]["seconds"]) == ("bounce", 60.0)
    # From above the same path breaks.
    found = labels(trades_at([0, 60, 180], [0, -8, 8]), decisions_at((0, 0, -1)))
    assert found[0, 240, "t8"]["outcome"] == "break"


def test_golden_a19_a_horizon_across_the_close_is_censored_and_one_up_to_it_is_whole():
    close_ns = BASE + 960 * SECOND  # as 15:44 is to 16:00 with delay 480 s and horizon 480 s
    trades = trades_at([0, 481, 2_000], [0, 1, 90])
    decisions = decisions_at((480, NO_ORDINAL, 1), (481, 1, 1))
    found = labels(trades, decisions, close_ns=close_ns)
    assert found[0, 480, "t4"]["outcome"] == "neither"
    late = found[1, 480, "t4"]
    assert (late["outcome"], late["censored_by"]) == ("censored", "close")
    assert (late["resolved_ns"], late["seconds"]) == (close_ns, None)
    # The trade after the close belongs to nobody.
    assert {row["favourable"] for row in found.values()} <= {0, 1}


def test_horizons_are_true_and_their_last_moment_counts():
    trades = trades_at([0, 60, 60.000000001, 119, 121], [0, 4, 8, 8, 16])
    found = labels(trades, decisions_at((0, 0, 1)))
    assert (found[0, 60, "t4"]["outcome"], found[0, 60, "t4"]["seconds"]) == ("break", 60.0)
    row = found[0, 60, "t8"]
    assert (row["outcome"], row["favourable"], row["seconds"]) == ("neither", 4, None)
    assert row["resolved_ns"] == BASE + 60 * SECOND
    assert found[0, 120, "t8"]["resolved_ns"] == BASE + 60 * SECOND + 1
    assert found[0, 120, "t16"]["outcome"] == "neither"


def test_barriers_grow_with_the_square_root_of_the_horizon():
    found = labels(trades_at([0], [0]), decisions_at((0, 0, 1), sigma=3.0))
    assert found[0, 240, "k0.5"]["barrier_ticks"] == pytest.approx(3.0)
    assert found[0, 900, "k2"]["barrier_ticks"] == pytest.approx(6.0 * math.sqrt(15))
    assert {row["outcome"] for row in found.values()} == {"neither"}


def test_one_trade_that_jumps_resolves_every_barrier_on_its_way():
    found = labels(trades_at([0, 1, 30], [0, -1, 9]), decisions_at((0, 0, -1)))
    for horizon in (60, 900):
        for barrier in ("t4", "t8"):
            row = found[0, horizon, barrier]
            assert (row["outcome"], row["seconds"], row["adverse"]) == ("bounce", 30.0, 9)
            assert row["favourable"] == 1


def test_labels_begin_after_the_record_that_the_decision_knows():
    # Three trades of one moment; the second touched. The third is the future.
    trades = trades_at([5, 5, 5, 6], [0, 10, 14, 10], [3, 8, 9, 11])
    found = labels(trades, decisions_at((5, 8, 1), (5, NO_ORDINAL, 1)))
    assert (found[0, 60, "t4"]["anchor"], found[0, 60, "t4"]["seconds"]) == (10, 0.0)
    # A timed decision comes after all of them: 14 is its anchor and 10 its first passage.
    row = found[1, 60, "t4"]
    assert (row["anchor"], row["outcome"], row["seconds"]) == (14, "bounce", 1.0)


def test_a_gap_censors_what_is_open_even_if_the_horizon_ends_within_it():
    trades = trades_at([0, 10, 500], [0, 4, 40])
    decisions = decisions_at((0, 0, 1), (200, NO_ORDINAL, 1), (500, 2, 1))
    found = labels(trades, decisions, gap_seconds=300)
    assert found[0, 60, "t4"]["outcome"] == "break"
    for key in ((0, 60, "t8"), (0, 900, "t8"), (1, 60, "t4")):
        row = found[key]
        assert (row["outcome"], row["censored_by"]) == ("censored", "gap")
        assert row["resolved_ns"] == BASE + 310 * SECOND
    assert found[0, 900, "t8"]["favourable"] == 4
    # What is decided after the gap lives on, until the next one.
    assert found[2, 60, "t4"]["censored_by"] == "gap"
    assert found[2, 60, "t4"]["resolved_ns"] == BASE + 800 * SECOND


def test_a_silence_of_trades_is_no_gap_while_the_feed_lives():
    trades = trades_at([0, 10, 500], [0, 4, 40])
    alive = Gaps(np.empty(0, np.int64), np.empty(0, np.int64))
    found = labels(trades, decisions_at((0, 0, 1)), gap_seconds=300, gaps=alive)
    assert found[0, 60, "t8"]["outcome"] == "neither"
    assert found[0, 900, "t8"]["seconds"] == 500.0


def test_the_end_of_the_data_censors_and_nobody_hears_of_neither():
    found = labels(trades_at([0, 50], [0, 5]), decisions_at((0, 0, 1)), until=100)
    assert found[0, 60, "t8"]["outcome"] == "neither"
    row = found[0, 120, "t8"]
    assert (row["outcome"], row["censored_by"]) == ("censored", "end_of_data")
    assert row["resolved_ns"] == BASE + 100 * SECOND


def test_a_decision_without_trade_too_late_or_after_the_close_is_refused():
    with pytest.raises(ContractError, match="no trade before it"):
        labels(trades_at([10], [0]), decisions_at((5, NO_ORDINAL, 1)))
    tracker = OutcomeTracker(LevelsSettings(), BASE + 100 * SECOND)
    tracker.advance(trades_at([10], [0]), BASE + 10 * SECOND)
    with pytest.raises(ContractError, match="decision at"):
        tracker.open(decisions_at((9, 0, 1)))
    with pytest.raises(ContractError, match="after the close"):
        tracker.open(decisions_at((101, 0, 1)))


def outcome_parts(made, decisions, cuts, chosen):
    """Labels with trades and decisions cut into chunks."""
    tracker = OutcomeTracker(chosen, made.close_ns)
    bounds = [0, *cuts, len(made.trades.price)]
    parts, given_rows = [], 0
    for start, stop in itertools.pairwise(bounds):
        trades = Trades(*(column[start:stop] for column in made.trades))
        until = int(made.trades.ts_gateway[max(stop, 1) - 1])
        row = int(np.searchsorted(decisions.decision_ns, until, side="right"))
        row = max(row, given_rows)
        tracker.open(Decisions(*(column[given_rows:row] for column in decisions)))
        given_rows = row
        parts.append(tracker.advance(trades, until))
    tracker.open(Decisions(*(column[given_rows:] for column in decisions)))
    parts.append(tracker.finish(made.until_ns))
    return Outcomes(*map(np.concatenate, zip(*parts, strict=True)))


@given(SEEDS, st.lists(st.integers(0, 300), max_size=8))
@settings(max_examples=60)
def test_any_chunks_give_the_same_bits(seed, cuts):
    made = world(seed)
    decisions = track(made)[1]
    whole = outcome_parts(made, decisions, (), made.settings)
    assert len(whole.episode) == 30 * len(decisions.episode)
    for chosen in (sorted(cuts), range(1, 300)):
        parts = outcome_parts(made, decisions, chosen, made.settings)
        for one, other in zip(whole, parts, strict=True):
            assert one.tobytes() == other.tobytes()


def many(seed, count, spacing, step):
    """A driftless walk of one tick a step, and decisions `spacing` trades apart."""
    rng = np.random.default_rng(seed)
    prices = np.cumsum(rng.choice([-1, 1], count))
    trades = trades_at(np.arange(count) * step, prices)
    at = np.arange(100, count - spacing, spacing)
    direction = rng.choice([-1, 1], at.size)
    return trades, decisions_at(*((i * step, i, d) for i, d in zip(at, direction, strict=True)))


def test_a_driftless_walk_breaks_as_often_as_it_bounces():
    trades, decisions = many(3, 400_000, 400, 1.0)
    found = labels(trades, decisions, until=400_000)
    for barrier in ("t4", "t8"):
        outcomes = [row["outcome"] for key, row in found.items() if key[1:] == (240, barrier)]
        breaks, bounces = outcomes.count("break"), outcomes.count("bounce")
        assert abs(breaks - bounces) < 3.0 * math.sqrt(breaks + bounces)
        assert breaks + bounces > 700


def test_the_chance_of_a_before_b_is_b_over_a_plus_b():
    # Barriers are symmetric; the unequal pair is read off two of them: of those first at -4, the
    # ones that then make +8 before -8 start 4 below the middle, so P = 4 / 16.
    trades, decisions = many(8, 600_000, 300, 0.1)
    found = labels(trades, decisions, until=60_000)
    first = [e for e in range(len(decisions.zone)) if found[e, 900, "t4"]["outcome"] == "bounce"]
    done = [found[e, 900, "t8"]["outcome"] for e in first]
    share = done.count("break") / len(done)
    assert len(done) > 900
    assert abs(share - 0.25) < 3.0 * math.sqrt(0.25 * 0.75 / len(done))


def test_the_mean_time_of_first_passage_is_the_square_of_the_barrier():
    trades, decisions = many(11, 400_000, 400, 1.0)
    found = labels(trades, decisions, until=400_000)
    waits = [row["seconds"] for key, row in found.items() if key[1:] == (900, "t4")]
    # E[T] = b² steps, var[T] = 2 b² (b² - 1) / 3 for a walk of ±1.
    deviation = math.sqrt(2 * 16 * 15 / 3 / len(waits))
    assert abs(np.mean(waits) - 16.0) < 3.0 * deviation
