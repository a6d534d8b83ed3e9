"""The situation around a decision: hand-made cases, a plain reference, chunks and the future."""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.levels.context import CONTEXT_NAMES, Context, Surroundings
from tapemill.levels.episodes import NO_ORDINAL, Decisions
from tapemill.levels.trades import Trades
from tapemill.levels.volatility import Volatility
from tapemill.settings import default_settings

SETTINGS = default_settings().levels
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = datetime.date(2023, 12, 27)
OPEN = 1_703_631_600 * SECOND  # 18:00 New York of the evening before
REGULAR = (OPEN + 930 * MINUTE, OPEN + 1320 * MINUTE)


def trades(ts, price):
    ts = np.asarray(ts, np.int64)
    return Trades(
        ts,
        np.arange(len(ts)),
        np.asarray(price, np.int32),
        np.ones(len(ts), np.int32),
        np.ones(len(ts), np.int8),
    )


def decisions(*rows):
    """Rows of (decision, ordinal, zone, delay, direction, low, high, sigma, touch)."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 9
    kinds = ("i8", "i8", "i4", "i4", "i1", "f8", "f8", "f8", "i8")
    at, ordinal, zone, delay, direction, low, high, sigma, touch = (
        np.asarray(column, kind) for column, kind in zip(columns, kinds, strict=True)
    )
    episode = np.arange(len(at))
    return Decisions(at, ordinal, episode, zone, delay, direction, low, high, sigma, touch)


def level(kind, price, zone, *, start=OPEN, end=OPEN + 1380 * MINUTE, family="real"):
    return {
        "kind": kind, "family": family, "price_ticks": float(price), "zone": zone,
        "valid_from_ns": start, "valid_to_ns": end,
    }  # fmt: skip


def minutes(session, start, volumes):
    count = len(volumes)
    return pl.DataFrame(
        {
            "session": [session] * count,
            "ts_event": start + MINUTE * np.arange(count),
            "volume": np.asarray(volumes, np.int64),
        },
        schema_overrides={"session": pl.Date},
    )


def surroundings(levels=(), today=None, history=None, weights=None, sigma=None, regular=REGULAR):
    schema = {"kind": pl.String, "family": pl.String, "price_ticks": pl.Float64, "zone": pl.Int32,
              "valid_from_ns": pl.Int64, "valid_to_ns": pl.Int64}  # fmt: skip
    return Surroundings(
        OPEN,
        regular,
        minutes(DAY, OPEN, []) if today is None else today,
        minutes(DAY, OPEN, []) if history is None else history,
        pl.DataFrame(list(levels), schema=schema),
        weights or {"VWAP": 0.7, "PREMARKET_HIGH": 1.0, "ROUND": 0.4},
        Volatility(np.array([OPEN]), np.array([2.0])) if sigma is None else sigma,
    )


def answer(tape, due, known=None):
    context = Context(SETTINGS)
    context.know(known or surroundings())
    values = context.advance(tape, due)
    return [dict(zip(CONTEXT_NAMES, row, strict=True)) for row in values.tolist()]


def at(seconds, *, ordinal=NO_ORDINAL, zone=1, delay=0, direction=1, low=100.0, high=100.0,
       sigma=2.0, touch=None):  # fmt: skip
    moment = OPEN + int(seconds * SECOND)
    touched = moment - delay * SECOND if touch is None else OPEN + int(touch * SECOND)
    return moment, ordinal, zone, delay, direction, low, high, sigma, touched


def test_velocity_is_that_of_the_golden_case():
    """A3: prices 6850.00 to 6851.00, 0.25 a second: 0.25 points, one tick of 0.25, a second."""
    tape = trades(OPEN + SECOND * np.arange(0, 700), 27_400 + np.arange(0, 700))
    (found,) = answer(tape, decisions(at(650, low=28_050.0, high=28_050.0)))
    assert found["approach_velocity_60s"] == pytest.approx(1.0)
    assert found["approach_velocity_600s"] == pytest.approx(1.0)
    assert found["approach_efficiency_300s"] == pytest.approx(1.0)
    (down,) = answer(tape, decisions(at(650, direction=-1, low=28_050.0, high=28_050.0)))
    assert down["approach_velocity_60s"] == pytest.approx(-1.0)


def test_without_trades_before_the_window_there_is_no_velocity():
    (found,) = answer(trades([OPEN + 50 * SECOND], [99]), decisions(at(55)))
    assert np.isnan(found["approach_velocity_60s"])
    assert found["distance_ticks"] == -1.0
    assert found["distance_sigma"] == -0.5


def test_penetration_counts_from_the_touch_and_in_break_direction():
    tape = trades(OPEN + SECOND * np.array([1, 2, 3, 4]), [105, 100, 103, 101])
    (up,) = answer(tape, decisions(at(4, touch=2, delay=2)))
    assert (up["penetration_ticks"], up["distance_ticks"]) == (3.0, 1.0)
    (down,) = answer(tape, decisions(at(4, touch=2, delay=2, direction=-1, low=98.0, high=102.0)))
    assert down["penetration_ticks"] == 2.0  # 102 − 100


def test_confluence_is_that_of_the_golden_case():
    """A11: two levels 0.05 and 0.15 away in a band of 0.20 of weights 0.7 and 1.0: 0.775."""
    band = 4 * SETTINGS.merge_min_ticks
    known = surroundings(
        [
            level("ROUND", 100, 1),
            level("VWAP", 100 + band * 0.25, 2),
            level("PREMARKET_HIGH", 100 - band * 0.75, 3),
            level("VWAP", 100, 9, family="placebo_random"),
            level("VWAP", 101, 8, start=OPEN + 50 * SECOND),
            level("VWAP", 101, 7, end=OPEN + 10 * SECOND),
        ]
    )
    (found,) = answer(trades([OPEN], [100]), decisions(at(10)), known)
    assert found["confluence_count"] == 2
    assert found["confluence_score"] == pytest.approx(0.775)
    assert found["zone_levels"] == 1
    assert found["nearest_level_ticks"] == pytest.approx(band * 0.25)


def test_runway_passes_weak_levels_and_ends_at_a_strong_one():
    known = surroundings(
        [
            level("ROUND", 100, 1),
            level("ROUND", 120, 2),
            level("PREMARKET_HIGH", 140, 3),
            level("PREMARKET_HIGH", 90, 4),
        ]
    )
    up, down = answer(trades([OPEN], [100]), decisions(at(1), at(2, direction=-1)), known)
    assert (up["runway_break_ticks"], up["runway_bounce_ticks"]) == (40.0, 10.0)
    assert (up["obstacles_in_runway"], up["runway_break_sigma"]) == (1.0, 20.0)
    assert (down["runway_break_ticks"], down["obstacles_in_runway"]) == (10.0, 0.0)
    (alone,) = answer(trades([OPEN], [100]), decisions(at(1)), surroundings([level("ROUND", 1, 1)]))
    assert np.isnan(alone["runway_break_ticks"])
    assert np.isnan(alone["obstacles_in_runway"])


def test_attempts_chain_by_side_and_touches_count_from_both():
    """A20: touches at 10:00, 10:10, 10:26 and 10:30 are attempts 1, 2, 1, 2."""
    rows = [at(60 * minute) for minute in (0, 10, 26, 30)]
    rows.insert(2, at(60 * 12, direction=-1))
    found = answer(trades([OPEN], [100]), decisions(*rows))
    assert [row["attempt"] for row in found] == [1, 2, 1, 1, 2]
    assert [row["prior_touches"] for row in found] == [0, 1, 2, 3, 4]
    assert np.isnan(found[0]["seconds_since_previous_touch"])
    assert found[2]["seconds_since_previous_touch"] == 120


def test_relative_volume_stops_at_the_minute():
    """L7 of the old system: volume to the end of the hour."""
    before = datetime.date(2023, 12, 26)
    history = minutes(before, OPEN - 1440 * MINUTE, [10] * 1380)
    today = minutes(DAY, OPEN, [20] * 100)
    known = surroundings(today=today, history=history)
    early, late = answer(trades([OPEN], [100]), decisions(at(30), at(60 * 50 + 1)), known)
    assert np.isnan(early["relative_volume"])  # no minute has finished on either date
    assert late["relative_volume"] == pytest.approx(2.0)
    spike = minutes(DAY, OPEN, [20] * 50 + [10_000] * 50)
    (same,) = answer(
        trades([OPEN], [100]),
        decisions(at(60 * 50 + 1)),
        surroundings(today=spike, history=history),
    )
    assert same["relative_volume"] == late["relative_volume"]
    assert np.isnan(late["minute_volume_ratio"])


def test_relative_volume_compares_whole_parts_of_dates():
    days = [datetime.date(2023, 12, day) for day in (20, 21, 22)]
    opens = [OPEN - 1440 * MINUTE * back for back in (7, 6, 5)]
    history = pl.concat(
        [
            minutes(days[0], opens[0], [10] * 1380),
            minutes(days[1], opens[1] + 600 * MINUTE, [10] * 780),  # begins in the morning
            minutes(days[2], opens[2], [10] * 40),  # ends in the evening
        ]
    )
    today = minutes(DAY, OPEN, [20] * 100)
    due = decisions(at(60 * 50 + 1))
    (whole,) = answer(trades([OPEN], [100]), due, surroundings(today=today, history=history))
    assert whole["relative_volume"] == pytest.approx(2.0)
    late = dataclasses.replace(
        surroundings(today=today, history=history), whole_until_ns=OPEN + 49 * MINUTE
    )
    (unknown,) = answer(trades([OPEN], [100]), due, late)
    assert np.isnan(unknown["relative_volume"])


def test_time_and_volatility_are_those_of_the_moment():
    sigma = Volatility(OPEN + MINUTE * np.arange(1, 101), np.arange(1.0, 101.0))
    moment = (REGULAR[0] - OPEN) / SECOND + 90
    early, late = answer(
        trades([OPEN], [100]), decisions(at(61), at(moment)), surroundings(sigma=sigma)
    )
    assert (early["is_regular"], late["is_regular"]) == (0.0, 1.0)
    assert (early["seconds_since_open"], late["seconds_since_open"]) == (61 - 55_800, 90)
    assert (early["sigma_now_ticks"], late["sigma_now_ticks"]) == (1.0, 100.0)
    assert np.isnan(early["volatility_percentile"])
    assert late["volatility_percentile"] == 1.0
    (holiday,) = answer(trades([OPEN], [100]), decisions(at(61)), surroundings(regular=None))
    assert np.isnan(holiday["seconds_to_close"])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_chunks_and_any_future_give_the_same_bits(data):
    count = data.draw(st.integers(5, 60))
    random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    ts = OPEN + np.cumsum(random.integers(0, 90, count)) * SECOND
    tape = trades(ts, 100 + np.cumsum(random.integers(-2, 3, count)))
    where = np.sort(random.choice(count, size=min(6, count), replace=False))
    due = decisions(
        *(
            at(
                (ts[k] - OPEN) / SECOND,
                ordinal=int(k),
                zone=int(k % 2),
                direction=1 - 2 * int(k % 2),
            )
            for k in where
        )
    )
    known = surroundings([level("VWAP", 101, 1), level("ROUND", 97, 5)])
    whole = Context(SETTINGS)
    whole.know(known)
    expected = whole.advance(tape, due)
    parts = Context(SETTINGS)
    parts.know(known)
    found = []
    for k in range(count):
        now = where == k
        one = Trades(*(column[k : k + 1] for column in tape))
        found.append(parts.advance(one, Decisions(*(column[now] for column in due))))
    np.testing.assert_array_equal(np.concatenate(found), expected)
    cut = int(where[len(where) // 2])
    future = trades(ts, np.where(np.arange(count) > cut, 7_777, tape.price))
    scrambled = Context(SETTINGS)
    scrambled.know(known)
    again = scrambled.advance(future, due)
    np.testing.assert_array_equal(again[where <= cut], expected[where <= cut])
