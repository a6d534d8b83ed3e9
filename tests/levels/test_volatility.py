"""Volatility of one minute: against Polars, against a plain loop, in any pieces."""

import datetime as dt
import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.errors import ContractError
from tapemill.levels.volatility import LEAST_CHANGES, VolatilityTracker, volatility

MINUTE = 60_000_000_000
START = 28_392_600 * MINUTE
DAY = dt.date(2023, 12, 26)


def minutes(closes, at=None, sessions=None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "session": sessions or [DAY] * len(closes),
            "ts_event": [START + place * MINUTE for place in (at or range(len(closes)))],
            "close_ticks": pl.Series(closes, dtype=pl.Int32),
        }
    )


def test_it_is_the_adjusted_ewm_of_polars_where_no_minute_is_missing():
    closes = 19_000 + np.random.default_rng(5).integers(-4, 5, 400).cumsum()
    found = volatility(minutes(closes), 30)
    squares = pl.Series(np.diff(closes).astype(float) ** 2)
    expected = squares.ewm_mean(half_life=30, adjust=True).sqrt().to_numpy()[LEAST_CHANGES - 1 :]
    assert np.allclose(found.sigma, expected, rtol=1e-12, atol=0)
    # Known from the end of its minute on, not from the beginning.
    assert found.at_ns[0] == START + (LEAST_CHANGES + 1) * MINUTE
    assert found.at_ns[-1] == START + 400 * MINUTE


def test_missing_minutes_scale_by_time_and_a_closed_market_does_not_count():
    at = [0, 1, 2, 3, 7, 8, 9, 1000, 1001, 1002]
    closes = [100, 102, 101, 101, 109, 108, 110, 300, 301, 299]
    sessions = [DAY] * 7 + [DAY + dt.timedelta(days=1)] * 3
    found = volatility(minutes(closes, at, sessions), 3)
    # Every change spread over its minutes, each minute one weight; none over the night.
    spread = [4.0, 1.0, 0.0] + [8.0**2 / 4] * 4 + [1.0, 4.0] + [1.0, 4.0]
    weights = [0.5 ** ((len(spread) - 1 - place) / 3) for place in range(len(spread))]
    mean = sum(w * x for w, x in zip(weights, spread, strict=True)) / sum(weights)
    assert math.isclose(found.sigma[-1], math.sqrt(mean), rel_tol=1e-12)
    # The first minute of the new session changes nothing but carries the old one on.
    assert found.sigma[-3] == found.sigma[-4]


def test_a_known_walk_gives_its_standard_deviation():
    closes = np.random.default_rng(2).normal(0.0, 6.0, 20_000).cumsum().round().astype(int)
    found = volatility(minutes(closes), 390)
    assert abs(np.mean(found.sigma[5_000:]) / 6.0 - 1.0) < 0.03


def test_it_is_unknown_before_enough_changes_and_while_nothing_moved():
    assert volatility(minutes([100, 101, 102, 103, 104]), 30).sigma.size == 0
    found = volatility(minutes([100] * 10 + [101]), 30)
    assert found.at_ns.tolist() == [START + 11 * MINUTE]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 60), max_size=6))
@settings(max_examples=30)
def test_any_pieces_give_the_same_bits_and_later_minutes_change_nothing(seed, cuts):
    rng = np.random.default_rng(seed)
    at = np.cumsum(rng.choice([1, 1, 1, 5], 60)).tolist()
    frame = minutes(rng.integers(-9, 10, 60).cumsum(), at)
    whole = volatility(frame, 10)
    tracker = VolatilityTracker(10)
    bounds = [0, *sorted(cuts), 60]
    pieces = [tracker.advance(frame[first:last]) for first, last in itertools.pairwise(bounds)]
    for one, parts in zip(whole, zip(*pieces, strict=True), strict=True):
        assert one.tobytes() == np.concatenate(parts).tobytes()
    early = volatility(frame[:40], 10)
    assert early.sigma.tobytes() == whole.sigma[: early.sigma.size].tobytes()


def test_a_minute_given_twice_is_refused():
    with pytest.raises(ContractError, match="does not lie after"):
        volatility(minutes([1, 2, 3], [0, 1, 1]), 30)
