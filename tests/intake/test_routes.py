"""Routes: fewest calls, every pending cell exactly once."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.intake.routes import SESSIONS_PER_PAGE, cover, spans

SESSIONS = [date(2025, 1, 1) + timedelta(days=n) for n in range(400)]


def matrices():
    return st.builds(
        lambda seed, rows, columns, density: (
            np.random.default_rng(seed).random((rows, columns)) < density
        ),
        st.integers(0, 10**6),
        st.integers(1, 6),
        st.integers(1, 6),
        st.floats(0, 1),
    )


def test_a_page_of_minutes_holds_52_sessions():
    assert SESSIONS_PER_PAGE == 52


def test_a_year_of_minutes_is_five_calls():
    found = spans(np.ones(252, dtype=bool), SESSIONS[:252], SESSIONS_PER_PAGE)
    assert [len(span) for span in found] == [52, 52, 52, 52, 44]


@pytest.mark.property
@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.booleans(), min_size=1, max_size=120), st.integers(1, 20))
def test_spans_hold_each_pending_session_once_and_are_short_enough(pending, longest):
    found = spans(np.array(pending), SESSIONS[: len(pending)], longest)
    held = [session for span in found for session in span]
    assert held == [s for s, is_open in zip(SESSIONS, pending, strict=False) if is_open]
    assert all((span[-1] - span[0]).days < longest for span in found)


@pytest.mark.property
@settings(derandomize=True, deadline=None, max_examples=200)
@given(matrices())
def test_cover_holds_each_pending_cell_once_and_is_never_dearer_than_a_pure_route(pending):
    symbols = [f"S{n}" for n in range(pending.shape[0])]
    sessions = SESSIONS[: pending.shape[1]]
    grouped, ranges = cover(pending, symbols, sessions)
    held = {(s, day) for day in grouped for s in symbols}
    for block in ranges:
        assert not set(block.sessions) & set(grouped)
        held |= {(block.symbol, day) for day in block.sessions}
    wanted = {(symbols[i], sessions[j]) for i, j in zip(*np.nonzero(pending), strict=True)}
    assert wanted <= held
    assert {cell for cell in held if cell[1] not in grouped} <= wanted
    cost = len(grouped) + len(ranges)
    assert cost <= min(pending.any(axis=0).sum(), pending.any(axis=1).sum())


def test_the_whole_market_of_two_years_goes_by_grouped_calls():
    """ssot 2.2: 503 grouped calls instead of 991 calls a session."""
    grouped, ranges = cover(np.ones((991, 300), bool), [f"S{n}" for n in range(991)], SESSIONS)
    assert (len(grouped), len(ranges)) == (300, 0)


def test_few_symbols_over_years_go_by_ranges():
    grouped, ranges = cover(np.ones((8, 300), bool), [f"S{n}" for n in range(8)], SESSIONS)
    assert (len(grouped), len(ranges)) == (0, 8)


def test_a_new_day_and_a_new_symbol_take_two_calls():
    pending = np.zeros((50, 100), bool)
    pending[:, -1] = True
    pending[7, :] = True
    grouped, ranges = cover(pending, [f"S{n}" for n in range(50)], SESSIONS[:100])
    assert grouped == [SESSIONS[99]]
    assert [block.symbol for block in ranges] == ["S7"]
