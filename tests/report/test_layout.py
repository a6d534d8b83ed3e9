"""Geometry and session labels."""

from __future__ import annotations

import itertools
from datetime import date

import pytest

from report.cells import make_cells, weekdays
from tapemill.report.grid import build_grid
from tapemill.report.layout import calendar_layout, month_starts, session_ticks

SIZES = [(1, 1), (8, 25), (530, 7), (8, 500), (60, 60), (600, 25), (2, 2000)]


@pytest.mark.parametrize(("symbols", "sessions"), SIZES)
def test_all_rows_are_placed_once_inside_the_figure(symbols, sessions):
    cells = make_cells(
        [f"SYMBOL{i}" for i in range(symbols)], weekdays(date(2024, 6, 10), sessions)
    )
    grid = build_grid(cells, max_rows=symbols)
    layout = calendar_layout(grid)
    rows = [row for first, last, _ in layout.blocks for row in range(first, last)]
    assert rows == list(range(symbols))
    rects = [rect for _, _, rect in layout.blocks]
    for rect in rects + ([layout.strip] if layout.strip else []):
        assert rect.left > 0
        assert rect.left + rect.width <= layout.width
        assert rect.top > layout.legend
        assert rect.top + rect.height < layout.foot < layout.height
    for left, right in itertools.pairwise(rects):
        assert left.left + left.width < right.left
    if layout.strip:
        assert layout.strip.top + layout.strip.height < rects[0].top


def test_many_rows_of_few_sessions_are_folded():
    cells = make_cells([f"S{i:04d}" for i in range(530)], weekdays(date(2024, 6, 10), 7))
    layout = calendar_layout(build_grid(cells))
    assert len(layout.blocks) > 4
    assert layout.height < 1500
    assert layout.strip_own_axis


@pytest.mark.parametrize("cell", [0.6, 1.2, 2.4, 5.0, 11.0, 20.0, 50.0])
@pytest.mark.parametrize("first", [date(2023, 12, 27), date(2024, 6, 10), date(2024, 3, 28)])
def test_session_labels_never_touch(cell, first):
    sessions = weekdays(first, 500)
    positions, labels = session_ticks(sessions, cell)
    assert len(positions) == len(labels) >= 2
    assert min(b - a for a, b in itertools.pairwise(positions)) * cell >= 40.0
    assert labels[0].endswith(str(sessions[positions[0]].year))


def test_labels_name_sessions_weeks_or_months():
    sessions = weekdays(date(2024, 6, 10), 60)
    assert session_ticks(sessions, 50.0)[1][:2] == ["10 Jun\n2024", "11 Jun"]
    assert session_ticks(sessions, 18.0)[1][:3] == ["10 Jun\n2024", "17 Jun", "24 Jun"]
    # The cut first month gives way to the first whole one.
    assert session_ticks(weekdays(date(2024, 3, 28), 300), 2.5)[1][:2] == ["Apr\n2024", "May"]
    months = session_ticks(weekdays(date(2024, 11, 1), 60), 2.5)[1]
    assert months == ["Nov\n2024", "Dec", "Jan\n2025"]


def test_month_starts():
    sessions = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2025, 2, 3)]
    assert month_starts(sessions) == [2, 3]
