"""The window: one owner, and no request outside of it, whatever is asked."""

import ast
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from intake.bench import NOW, Bench
from tapemill.clock import calendar, eastern_ns
from tapemill.intake.entitlement import clamp, window
from tapemill.lake.control import CellState
from tapemill.settings import default_settings
from tapemill.world import Fault

XNYS = calendar("XNYS")
DATASETS = ("bars_1m", "bars_1d", "splits", "dividends", "short_volume")
BARS = "bronze.massive_bars_1m"


def with_massive(**values):
    settings = default_settings()
    return msgspec.structs.replace(
        settings, massive=msgspec.structs.replace(settings.massive, **values)
    )


def test_two_years_end_with_the_session_before_today():
    first, last = window(default_settings(), XNYS, "massive", NOW)
    assert first == date(2026, 2, 9) - timedelta(days=730)
    assert last == date(2026, 2, 6)


def test_a_same_day_plan_waits_for_the_close_and_the_delay():
    settings = with_massive(same_day=True, feed_delay_minutes=15)
    day = date(2026, 2, 9)
    assert window(settings, XNYS, "massive", eastern_ns(day, 20, 14))[1] == date(2026, 2, 6)
    assert window(settings, XNYS, "massive", eastern_ns(day, 20, 15))[1] == day
    half_day = date(2025, 11, 28)
    assert window(settings, XNYS, "massive", eastern_ns(half_day, 17, 15))[1] == half_day


def test_finra_publishes_at_six_in_the_evening():
    settings, day = default_settings(), date(2026, 2, 9)
    assert window(settings, XNYS, "finra", eastern_ns(day, 17, 59))[1] == date(2026, 2, 6)
    assert window(settings, XNYS, "finra", eastern_ns(day, 18))[1] == day
    weekend = eastern_ns(date(2026, 2, 8), 19)
    assert window(settings, XNYS, "finra", weekend)[1] == date(2026, 2, 6)


def test_the_exchanges_date_counts_not_the_machines():
    """Defect options 6: naive local "today"."""
    late_evening = eastern_ns(date(2026, 2, 9), 23, 30)  # the tenth in UTC
    assert window(default_settings(), XNYS, "massive", late_evening)[1] == date(2026, 2, 6)


@pytest.mark.property
@hypothesis_settings(max_examples=150)
@given(
    st.dates(date(2015, 1, 1), date(2026, 12, 1)),
    st.integers(0, 900),
    st.integers(1, 1500),
    st.booleans(),
    st.sampled_from(["massive", "finra"]),
)
def test_clamp_loses_no_session_and_lets_none_slip(start, days, history, same_day, vendor):
    settings = with_massive(history_days=history, same_day=same_day)
    sessions = XNYS.session_dates(start, min(start + timedelta(days=days), date(2026, 12, 24)))
    found = clamp(settings, XNYS, vendor, sessions, NOW)
    parts = (found.out_of_window, found.available, found.not_yet)
    assert [day for part in parts for day in part] == sessions
    first, last = window(settings, XNYS, vendor, NOW)
    assert all(first <= day <= last for day in found.available)


@pytest.fixture(scope="module")
def place(tmp_path_factory, market):
    place = Bench(tmp_path_factory.mktemp("window"), market)
    yield place
    place.lake.control.close()


@pytest.mark.property
@hypothesis_settings(max_examples=120)
@given(
    st.sampled_from(DATASETS),
    st.dates(date(2016, 1, 1), date(2026, 12, 1)),
    st.integers(0, 1200),
    st.integers(1, 1000),
)
def test_no_planned_request_leaves_the_window(place, dataset, start, days, history):
    """ssot A17: property over random ranges through the planner."""
    place.settings = msgspec.structs.replace(
        place.settings,
        massive=msgspec.structs.replace(place.settings.massive, history_days=history),
    )
    end = min(start + timedelta(days=days), date(2026, 12, 24))
    plan = place.plan(dataset, ["AAPL", "SPY"], start, end)
    first, last = window(place.settings, XNYS, plan.vendor, NOW)
    for task in plan.tasks:
        assert first <= task.first.start <= task.first.end <= last
        assert all(first <= session <= last for session in task.sessions)
    sessions = XNYS.session_dates(start, end)
    total = plan.complete + plan.pending + plan.out_of_window + plan.not_yet + plan.refused
    assert total == len(sessions) * len(plan.symbols)


def test_out_of_window_cells_end_without_a_call(bench):
    place = bench(settings={"massive.history_days": 20})
    sessions = XNYS.session_dates(date(2026, 1, 5), date(2026, 2, 6))
    report = place.run(BARS, ["SPY"])
    states = place.states(BARS, ["SPY"], sessions)[0]
    old = [session < date(2026, 2, 9) - timedelta(days=20) for session in sessions]
    assert ((states == CellState.OUT_OF_WINDOW) == old).all()
    assert report.remaining == 0
    assert all("2026-01-20" in path for path in place.wire.paths())
    assert place.fetch(place.plan(BARS, ["KO"], date(2026, 1, 5), date(2026, 1, 16))).calls == 0


def test_a_window_that_the_vendor_answers_with_empty_is_not_confirmed(bench):
    """Must show 7: a window older than the plan, answered with empty instead of an error."""
    faults = [Fault(kind="old_window_empty")]
    place = bench(faults=faults, plan="free", settings={"massive.history_days": 3000})
    start, end = date(2024, 1, 2), date(2024, 3, 28)
    report = place.run("bars_1d", ["SPY", "KO", "NVDA"], start, end)
    sessions = XNYS.session_dates(start, end)
    states = place.states("bronze.massive_bars_1d", ["SPY", "KO", "NVDA"], sessions)
    edge = date(2026, 2, 9) - timedelta(days=730)
    old = [session < edge for session in sessions]
    assert any(old)
    assert (states[:, old] == CellState.NOT_ENTITLED).all()
    assert not (states == CellState.EMPTY).any()
    assert report.incidents == 1
    kinds = [incident.kind for incident in place.lake.control.incidents.open_incidents()]
    assert kinds == ["old_window_empty"]


def test_a_listing_date_of_one_symbol_is_not_taken_for_the_vendors_edge(bench):
    place = bench()
    report = place.run("bars_1d", None, date(2026, 1, 5), date(2026, 2, 6))
    assert report.incidents == 0
    assert not place.lake.control.incidents.open_incidents()


def test_only_one_module_builds_requests(repo_root):
    """Lint: outside of `tasks`, nobody in this room names a vendor's path or request builder."""
    builders = {
        "minute_bars", "daily_bars", "grouped_daily", "splits", "dividends", "tickers",
        "market_status", "short_volume_file", "reg_sho_daily",
    }  # fmt: skip
    for file in sorted((repo_root / "src/tapemill/intake").glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        if file.name != "tasks.py":
            assert not names & builders, file.name
        assert not [text for text in texts if text.startswith(("/v1", "/v2", "/v3", "http"))]
