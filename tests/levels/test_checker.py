"""The second opinion on outcomes: it agrees with the kernel and sees every kind of change."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levels.test_outcomes import decisions_at, many
from levels.walks import BASE, SECOND, track, trades_at, world
from tapemill.levels.checker import recheck
from tapemill.levels.outcomes import Outcomes, OutcomeTracker
from tapemill.levels.outcomes_rows import outcome_rows
from tapemill.levels.trades import Gaps
from tapemill.settings.declaration import LevelsSettings

SEEDS = st.integers(0, 2**32 - 1)
TICK_VALUE = 12.5
NO_GAPS = Gaps(np.empty(0, np.int64), np.empty(0, np.int64))


def named(decisions):
    numbers = np.unique(decisions.episode)
    return pl.DataFrame(
        {
            "episode": numbers,
            "episode_id": [f"{number:016x}" for number in numbers],
            "symbol": ["ESH4"] * numbers.size,
            "session": [dt.date(2023, 12, 26)] * numbers.size,
            "family": ["real"] * numbers.size,
        },
        schema_overrides={"episode_id": pl.String, "symbol": pl.String, "session": pl.Date,
                          "family": pl.String},
    )  # fmt: skip


def spreads_of(decisions):
    """Two ticks, unknown for every third decision and absent for every fourth."""
    names = named(decisions).select("episode", "episode_id")
    frame = pl.DataFrame(
        {
            "episode": decisions.episode,
            "delay_seconds": decisions.delay,
            "spread_ticks": np.where(np.arange(decisions.zone.size) % 3 == 2, np.nan, 2.0),
        }
    )
    frame = frame.gather([at for at in range(frame.height) if at % 4 != 3])
    return frame.join(names, on="episode").select("episode_id", "delay_seconds", "spread_ticks")


def rows_of(trades, decisions, chosen, close_ns, until_ns, **how):
    tracker = OutcomeTracker(chosen, close_ns)
    tracker.open(decisions)
    gaps = how.get("gaps")
    parts = [
        tracker.advance(trades, int(trades.ts_gateway[-1]), gaps),
        tracker.finish(until_ns, how.get("end_reason", "end_of_data"), gaps and NO_GAPS),
    ]
    outcomes = Outcomes(*map(np.concatenate, zip(*parts, strict=True)))
    names, spreads = named(decisions), spreads_of(decisions)
    tick_value = how.get("tick_value", TICK_VALUE)
    return outcome_rows(outcomes, names, spreads, chosen, tick_value=tick_value)


def check(rows, trades, decisions, chosen, close_ns, until_ns, **how):
    how = {"tick_value": TICK_VALUE} | how
    return recheck(
        rows, trades, decisions, chosen, names=named(decisions), close_ns=close_ns,
        until_ns=until_ns, **how,
    )  # fmt: skip


@given(SEEDS, st.booleans(), st.booleans())
@settings(max_examples=50)
def test_it_agrees_with_the_kernel_on_every_label(seed, alive, closing):
    made = world(seed)
    decisions = track(made)[1]
    how = ({"gaps": NO_GAPS} if alive else {}) | ({"end_reason": "close"} if closing else {})
    given_ = (made.trades, decisions, made.settings, made.close_ns, made.until_ns)
    rows = rows_of(*given_, **how)
    assert rows.height == 30 * decisions.zone.size
    assert check(rows, *given_, **how).rows() == []


@pytest.fixture(scope="module")
def agreed():
    trades, decisions = many(5, 6_000, 200, 1.0)
    given_ = (trades, decisions, LevelsSettings(), BASE + 5_900 * SECOND, BASE + 6_000 * SECOND)
    return rows_of(*given_), given_


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("outcome", pl.lit("neither")),
        ("seconds", pl.col("seconds") + 1e-6),
        ("favourable_ticks", pl.col("favourable_ticks") + 1),
        ("adverse_ticks", pl.col("adverse_ticks") - 1),
        ("anchor_ticks", pl.col("anchor_ticks") + 1),
        ("barrier_ticks", pl.col("barrier_ticks") * 1.001),
        ("direction", -pl.col("direction")),
        ("decision_ns", pl.col("decision_ns") + 1),
        ("resolved_ns", pl.col("resolved_ns") - 1),
        ("net_ticks", pl.col("net_ticks") + 0.01),
        ("tradeable", ~pl.col("tradeable")),
    ],
)
def test_one_changed_value_is_named(agreed, column, change):
    rows, given_ = agreed
    place = rows.with_row_index().filter(
        (pl.col("outcome") == "break") & pl.col("net_ticks").is_not_null()
    )["index"][7]
    changed = rows.with_row_index().with_columns(
        pl.when(pl.col("index") == place).then(change).otherwise(column).alias(column)
    )
    found = check(changed.drop("index"), *given_)
    assert column in found["column"].to_list()
    where = ["episode_id", "delay_seconds", "horizon_seconds", "barrier"]
    assert found.select(where).unique().rows() == rows[place].select(where).rows()


def test_a_missing_a_foreign_and_a_double_row_are_named(agreed):
    rows, given_ = agreed
    assert check(rows[1:], *given_).select("column", "stated", "recomputed").rows() == [
        ("row", None, "present")
    ]
    foreign = pl.concat([rows, rows[:1].with_columns(episode_id=pl.lit("f" * 16))])
    assert check(foreign, *given_)["recomputed"].to_list() == [None]
    double = check(pl.concat([rows, rows[:1]]), *given_)
    assert set(double["stated"]) == {"twice"}


def test_spread_and_fees_come_off_the_barrier():
    # Fees of 2 · 2.25 are 0.36 ticks of 12.50; the spread is two ticks.
    trades = trades_at([0, 10, 11, 500], [0, 3, 4, 4])
    chosen = LevelsSettings(barrier_ticks=(2, 4, 8), gap_seconds=10_000)
    decisions = decisions_at((0, 0, 1), (10, 1, 1), (11, 2, 1))
    rows = rows_of(trades, decisions, chosen, BASE + 9_000 * SECOND, BASE + 600 * SECOND)

    def row(episode, horizon, barrier):
        columns = ["outcome", "spread_ticks", "net_ticks", "tradeable"]
        return rows.filter(
            (pl.col("episode_id") == f"{episode:016x}")
            & (pl.col("horizon_seconds") == horizon)
            & (pl.col("barrier") == barrier)
        ).select(columns).row(0)  # fmt: skip

    outcome, spread, net, tradeable = row(0, 60, "t4")
    assert (outcome, spread, tradeable) == ("break", 2.0, True)
    assert net == pytest.approx(4 - 2 - 0.36)
    assert row(0, 60, "t2")[2:] == (pytest.approx(-0.36), False)
    assert row(0, 60, "t8") == ("neither", 2.0, None, False)
    assert row(0, 900, "t8") == ("censored", 2.0, None, None)
    # The third decision's spread is NaN: unknown is neither free nor dear.
    assert row(2, 60, "t8") == ("neither", None, None, False)


def test_unknown_spread_leaves_net_and_tradeable_unknown():
    trades = trades_at([0, 1, 2, 10], [0, 0, 0, 5])
    decisions = decisions_at((0, 0, 1), (1, 1, 1), (2, 2, 1))
    rows = rows_of(trades, decisions, LevelsSettings(), BASE + 9_000 * SECOND, BASE + 20 * SECOND)
    unknown = rows.filter((pl.col("episode_id") == f"{2:016x}") & (pl.col("outcome") == "break"))
    assert unknown.height
    assert unknown["net_ticks"].null_count() == unknown["tradeable"].null_count() == unknown.height


def test_unknown_fees_leave_net_and_tradeable_unknown():
    trades = trades_at([0, 10, 500], [0, 5, 5])
    given_ = (trades, decisions_at((0, 0, 1)), LevelsSettings(gap_seconds=10_000))
    ends = (BASE + 9_000 * SECOND, BASE + 600 * SECOND)
    rows = rows_of(*given_, *ends, tick_value=math.nan)
    passed = rows.filter(pl.col("outcome").is_in(["break", "bounce"]))
    assert passed.height
    assert passed["spread_ticks"].null_count() == 0
    assert passed["net_ticks"].null_count() == passed["tradeable"].null_count() == passed.height
    assert check(rows, given_[0], given_[1], given_[2], *ends, tick_value=math.nan).is_empty()


def test_a_date_without_decisions_has_no_rows_and_nothing_to_say():
    decisions = type(decisions_at((0, 0, 1)))(*(c[:0] for c in decisions_at((0, 0, 1))))
    given_ = (trades_at([0], [0]), decisions, LevelsSettings(), BASE + SECOND, BASE + SECOND)
    rows = rows_of(*given_)
    assert rows.height == check(rows, *given_).height == 0
