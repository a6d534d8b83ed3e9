"""What a fetch of order data would ask for."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from intake.futures_vendor import FIRST, LAST, SESSIONS, UTC_DAYS, open_lake
from tapemill.clock import FixedClock, eastern_ns
from tapemill.errors import UsageError
from tapemill.intake.futures_fetch_plan import plan_futures
from tapemill.lake.control import CellState

TRADES = "databento.trades"
DAY_NS = 86_400 * 10**9


@pytest.fixture
def lake(tmp_path):
    opened = open_lake(tmp_path / "lake")
    yield opened
    opened.close()


def test_trade_dates_tile_time_and_orders_go_by_utc_day(lake):
    start, end = dt.date(2023, 12, 21), dt.date(2023, 12, 27)
    clock = lake.clock
    plan = plan_futures(lake, clock, ["ESH4"], ["mbp-10", "mbo"], start, end)
    assert [day.day for day in plan.sessions] == [21, 22, 26, 27]
    depth = [cell for cell in plan.pending if cell.schema == "mbp-10"]
    assert depth[0].start_ns == eastern_ns(dt.date(2023, 12, 20), 18)
    for cell, following in itertools.pairwise(depth):
        assert cell.end_ns == eastern_ns(cell.day, 18) == following.start_ns
    # The week-end and Christmas, when nothing is open, are no UTC days to ask for; the evenings
    # on which a session begins are.
    orders = [cell for cell in plan.pending if cell.schema == "mbo"]
    assert [cell.day.day for cell in orders] == [20, 21, 22, 25, 26, 27]
    for cell in orders:
        assert cell.start_ns % DAY_NS == 0
        assert cell.end_ns == cell.start_ns + DAY_NS
    assert len({cell.file_name for cell in plan.pending}) == len(plan.pending)


@pytest.mark.parametrize("evening", [dt.date(2024, 3, 8), dt.date(2024, 3, 11)])
def test_both_sides_of_the_change_of_clocks_begin_at_six(lake, evening):
    following = plan_futures(lake, lake.clock, ["ESM4"], ["trades"], evening, evening).pending[0]
    local = dt.datetime.fromtimestamp(following.end_ns // 10**9, dt.UTC)
    assert local.hour == (23 if evening.day == 8 else 22)


def test_what_is_not_over_is_not_asked_for_and_definitions_come_first(lake):
    noon = FixedClock(eastern_ns(LAST, 12))
    plan = plan_futures(lake, noon, ["ESH4"], [], FIRST, LAST)
    assert plan.schemas == ("definition", "statistics", "mbp-10")
    assert {(cell.schema, cell.day) for cell in plan.not_yet} == {
        (schema, LAST) for schema in plan.schemas
    }
    assert [(cell.day, cell.schema) for cell in plan.pending][:3] == [
        (UTC_DAYS[0], "definition"),
        (FIRST, "definition"),
        (FIRST, "statistics"),
    ]
    newest = plan_futures(lake, noon, ["ESH4"], ["trades"], None, None)
    assert [cell.day for cell in newest.pending] == [SESSIONS[1]]


def test_a_complete_cell_between_cuts_what_is_priced_together(lake):
    lake.control.ledger.record(TRADES, "ESH4", [SESSIONS[1]], CellState.EMPTY)
    plan = plan_futures(lake, lake.clock, ["ESH4"], ["trades"], FIRST, LAST)
    assert [[cell.day for cell in run] for run in plan.runs] == [[FIRST], [LAST]]
    assert plan.complete == 1
    again = plan_futures(lake, lake.clock, ["ESH4"], ["trades"], FIRST, LAST, again=True)
    assert [len(run) for run in again.runs] == [3]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"symbols": []}, "none is given"),
        ({"schemas": ["mbp10"]}, "mbp10"),
        ({"stype_in": "continuous"}, "made in the lake"),
        ({"stype_in": "isin"}, "isin"),
        ({"start": dt.date(2024, 1, 6), "end": dt.date(2024, 1, 6)}, "2024-01-06"),
    ],
)
def test_what_cannot_be_meant_is_refused(lake, changes, words):
    options = {"symbols": ["ESH4"], "schemas": [], "start": FIRST, "end": LAST, **changes}
    with pytest.raises(UsageError, match=words):
        plan_futures(lake, lake.clock, **options)
