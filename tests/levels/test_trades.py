"""Trades among records, and silences of a feed, found in any pieces."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.book.events import NO_PRICE, Events
from tapemill.errors import ContractError
from tapemill.levels.trades import FeedSilence, trades_of

SECOND = 1_000_000_000


def events_of(actions, sides, prices) -> Events:
    count = len(actions)
    given_columns = {
        "ts_gateway": np.arange(count, dtype=np.int64),
        "ordinal": np.arange(count, dtype=np.int64) + 100,
        "action": np.frombuffer(actions.encode(), np.int8),
        "side": np.frombuffer(sides.encode(), np.int8),
        "price": np.array(prices, np.int32),
        "size": np.arange(count, dtype=np.int32) + 1,
    }
    rest = np.zeros(count, np.int64)
    return Events(*(given_columns.get(name, rest) for name in Events._fields))


def test_trades_are_the_records_with_action_t_and_a_price():
    events = events_of("ATFTCTT", "BBAANNA", [1, 2, 3, 4, 5, 6, NO_PRICE])
    trades = trades_of(events)
    assert trades.ordinal.tolist() == [101, 103, 105]
    assert trades.price.tolist() == [2, 4, 6]
    assert trades.aggressor.tolist() == [1, -1, 0]
    single = [trades_of(Events(*(column[i : i + 1] for column in events))) for i in range(7)]
    for one, column in enumerate(trades):
        assert np.concatenate([found[one] for found in single]).tolist() == column.tolist()


@given(
    st.lists(st.sampled_from([0, 1, 299, 300, 301, 900]), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_a_silence_longer_than_allowed_is_a_gap_however_the_feed_is_cut(waits, cuts):
    times = np.cumsum(waits) * SECOND
    expected = [
        (before, before + 300 * SECOND)
        for before, after in itertools.pairwise(times.tolist())
        if after - before > 300 * SECOND
    ]
    for chosen in ((), sorted(min(cut, len(times)) for cut in cuts), range(1, len(times))):
        silence = FeedSilence(300)
        found = []
        for start, stop in itertools.pairwise([0, *chosen, len(times)]):
            gaps = silence.advance(times[start:stop])
            found += zip(gaps.start_ns.tolist(), gaps.known_ns.tolist(), strict=True)
        assert found == expected
        end = int(times[-1]) + 300 * SECOND
        assert silence.finish(end).start_ns.size == 0
        assert silence.finish(end + 1).start_ns.tolist() == [times[-1]]


@pytest.mark.parametrize("times", [[3, 2, 4], [2]])
def test_a_feed_that_runs_backwards_is_refused(times):
    silence = FeedSilence(300)
    silence.advance(np.array([3]))
    with pytest.raises(ContractError, match="record at 2 ns comes after 3 ns"):
        silence.advance(np.array(times))
