"""The model behind the coverage calendar."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from report.cells import make_cells, weekdays
from tapemill.errors import ContractError, UsageError
from tapemill.report.grid import NUMBERS, build_grid
from tapemill.report.palette import STATE_CODE, STATES

SESSIONS = weekdays(date(2024, 6, 24), 10)


def test_states_cover_what_the_contract_names():
    named = pl.Series(["green", "amber", "red", "halt", "empty", "missing"])
    assert set(named) < set(STATE_CODE)
    severities = [state.severity for state in STATES]
    assert severities == sorted(severities)


def test_worst_rows_come_first_and_ties_are_alphabetical():
    cells = make_cells(
        ["CCC", "AAA", "THIN", "GONE", "BAD", "BBB"],
        SESSIONS,
        {("THIN", 1): "amber", ("GONE", 2): "missing", ("BAD", 3): "red"},
    )
    grid = build_grid(cells.sample(fraction=1.0, shuffle=True, seed=3))
    assert grid.labels == ("GONE", "BAD", "THIN", "AAA", "BBB", "CCC")


def test_cells_stand_where_they_belong():
    cells = make_cells(
        ["AAA", "BBB"], SESSIONS, {("BBB", 4): "red", ("AAA", 0): "absent", ("AAA", 9): "halt"}
    )
    grid = build_grid(cells)
    assert grid.labels == ("BBB", "AAA")
    assert grid.sessions == tuple(SESSIONS)
    expected = np.full((2, 10), STATE_CODE["green"])
    expected[0, 4] = STATE_CODE["red"]
    expected[1, 0] = STATE_CODE["not_listed"]
    expected[1, 9] = STATE_CODE["halt"]
    np.testing.assert_array_equal(grid.codes, expected)
    assert dict(zip(NUMBERS, grid.numbers[0, 4].tolist(), strict=True)) == {
        "expected": 390,
        "present": 345,
        "longest_missing_run": 45,
        "halted": 0,
    }
    assert grid.reasons[0, 4] == "first_reason;second_reason"
    assert grid.reasons[0, 3] == ""


def test_weekends_have_no_column():
    assert all(day.weekday() < 5 for day in build_grid(make_cells(["A"], SESSIONS)).sessions)


def test_no_row_is_dropped_in_silence():
    symbols = [f"S{i:05d}" for i in range(12_000)]
    states = {(symbols[i], 1): "red" for i in range(700)} | {(symbols[-1], 0): "amber"}
    grid = build_grid(make_cells(symbols, SESSIONS[:3], states))
    assert len(grid.labels) == 600
    assert grid.hidden == {"green": 11_299, "amber": 1, "red": 100}
    assert grid.rows_total == 12_000
    assert "600 of 12,000" in grid.shown
    for words in ("100 red", "1 amber", "11,299 green"):
        assert words in grid.shown
    assert grid.counts.sum() == 36_000
    assert grid.cells_by_state["red"] == 700


@pytest.mark.parametrize(("sessions", "drawn"), [(7, 600), (250, 120), (500, 100)])
def test_fewer_rows_are_drawn_when_there_are_many_sessions(sessions, drawn):
    symbols = [f"S{i}" for i in range(620)]
    grid = build_grid(make_cells(symbols, weekdays(date(2024, 1, 2), sessions)))
    assert len(grid.labels) == drawn
    assert len(build_grid(make_cells(symbols, SESSIONS), max_rows=620).labels) == 620


def test_early_closes_are_seen_from_expected_minutes():
    cells = make_cells(["AAA", "BBB"], SESSIONS, expected={7: 210})
    assert np.flatnonzero(build_grid(cells).early).tolist() == [7]
    assert np.flatnonzero(build_grid(cells, early_closes={SESSIONS[2]}).early).tolist() == [2]


def test_datasets_with_other_hours_do_not_make_each_other_early():
    futures = make_cells(
        ["ES"], SESSIONS, dataset="silver.futures_bars_1m", expected=dict.fromkeys(range(10), 1380)
    )
    grid = build_grid(pl.concat([make_cells(["SPY"], SESSIONS), futures]))
    assert not grid.early.any()
    assert set(grid.labels) == {"SPY  equity_bars_1m", "ES  futures_bars_1m"}


def test_nothing_to_draw_is_an_error():
    cells = make_cells(["A"], SESSIONS)
    with pytest.raises(UsageError, match="no coverage cell"):
        build_grid(cells.clear())
    with pytest.raises(UsageError, match="max_rows is 0"):
        build_grid(cells, max_rows=0)


def test_cells_that_contradict_the_contract_are_refused():
    cells = make_cells(["A"], SESSIONS)
    with pytest.raises(ContractError, match="halted"):
        build_grid(cells.drop("halted"))
    with pytest.raises(ContractError, match="purple"):
        build_grid(cells.with_columns(state=pl.lit("purple")))
    with pytest.raises(ContractError, match="twice"):
        build_grid(pl.concat([cells, cells.head(1)]))
