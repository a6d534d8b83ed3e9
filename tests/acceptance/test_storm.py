"""Storms and shared budgets, from the plan to silver.

Must show 4. tests/intake shows the storm's shapes and the gate alone; here a whole fetch of both
vendors sits out thirty minutes of 429, and whole processes share the minute of one key.
"""

from __future__ import annotations

import time
from datetime import date

import pytest
from polars.testing import assert_frame_equal

from acceptance.journey import IN_FLIGHT, LAST, NOW, settings_for
from acceptance.lakes import PROVENANCE, facts
from acceptance.sharing import SPEED, FastClock
from intake.bench import Bench
from tapemill.clock import FixedClock, calendar
from tapemill.intake import recover
from tapemill.lake import Lake
from tapemill.refine import build
from tapemill.world import Fault, Market, Sandbox, SandboxThread

pytestmark = pytest.mark.acceptance

STORM_SECONDS = 1800.0
FIRST_FINRA, FIRST_BARS = date(2025, 8, 15), date(2026, 1, 5)
PROBES = 4
"""At 60, 180, 420 and 900 seconds; the fifth comes after the storm."""
OPENS_AFTER, BENCH_IN_FLIGHT = 5, 4
RECEIVED = ("known_at", *PROVENANCE)
"""What says when a row came: later after a storm."""


@pytest.fixture(scope="module")
def market():
    return Market(7, symbols=4, start=FIRST_FINRA, end=LAST)


def fetched(folder, market, *faults):
    """Everything fetched side by side, FINRA slowly enough to last for the storm, and built."""
    place = Bench(folder, market, faults=faults, settings={"finra.calls_per_minute": 4})
    report = place.fetch(
        place.plan("bars_1m", ["SPY", "KO"], FIRST_BARS, LAST),
        place.plan("bars_1d", None, FIRST_BARS, LAST),
        place.plan("splits", None, FIRST_BARS, LAST),
        place.plan("dividends", None, FIRST_BARS, LAST),
        place.plan("short_volume", None, FIRST_FINRA, LAST),
    )
    build(place.lake, place.settings, place.clock)
    return place, report


def calls_within(place, vendor, seconds):
    log = [call.at for call in place.sandbox.calls.records if call.vendor == vendor]
    return sum(at < seconds for at in log)


def test_half_an_hour_of_429_from_the_plan_to_silver(tmp_path, market):
    calm, calm_report = fetched(tmp_path / "calm", market)
    storm = Fault(kind="storm_429", vendor="massive", for_seconds=STORM_SECONDS)
    stormy, report = fetched(tmp_path / "stormy", market, storm)

    assert calls_within(stormy, "massive", STORM_SECONDS) <= OPENS_AFTER + BENCH_IN_FLIGHT + PROBES
    assert calls_within(calm, "finra_cdn", STORM_SECONDS) >= 0.95 * 4 * STORM_SECONDS / 60
    assert calls_within(stormy, "finra_cdn", STORM_SECONDS) >= 0.95 * calls_within(
        calm, "finra_cdn", STORM_SECONDS
    )
    assert calls_within(stormy, "massive", float("inf")) > calls_within(
        stormy, "massive", STORM_SECONDS
    )

    assert report.remaining == calm_report.remaining == 0
    assert report.rows == calm_report.rows
    assert report.stopped == []
    assert stormy.lake.datasets() == calm.lake.datasets()
    for name in calm.lake.datasets():
        drop = [*RECEIVED, "ts_recv"]
        left, right = (facts(place.lake, name).drop(drop, strict=False) for place in (calm, stormy))
        assert_frame_equal(left.sort(left.columns), right.sort(left.columns))
    assert stormy.lake.verify() == []
    for place in (calm, stormy):
        place.lake.close()


CAP = 15
BARS_FROM = {2: date(2025, 12, 15), 4: date(2025, 11, 17)}


@pytest.mark.crash
@pytest.mark.parametrize(
    ("processes", "seam", "nth"), [(2, "governor.arrived", 5), (4, "answers.store", 3)]
)
def test_processes_with_one_key_keep_one_minute(
    tmp_path, market, fork_server, processes, seam, nth
):
    """Whole fetches, one of them killed: never above the cap in any minute, and no call twice.

    It dies with calls on the wire, or with answers kept that have not landed: the others land them.

    The vendor refuses the call above the cap, in its own sliding window of sixty seconds. Its clock
    and the processes' run alike and fast.
    """
    clock, first = FastClock(SPEED), BARS_FROM[processes]
    sandbox = Sandbox(market, now_ns=NOW, plan="paid", rate_per_minute=CAP, clock=clock)
    with SandboxThread(sandbox) as thread:
        job = {
            "lake": str(tmp_path / "lake"),
            "address": thread.base_url,
            "first": first.isoformat(),
            "settings": {
                "massive.calls_per_minute": CAP,
                "massive.rate_margin_seconds": 4,
                "landing.batch_seconds": 20,
            },
        }
        kill = {"seam": seam, "moment": "after", "nth": nth}
        started = time.monotonic()
        ends = fork_server.run("share", {**job, "kill": kill}, *[job] * (processes - 1))
        minutes = (time.monotonic() - started) * SPEED / 60
    assert [end["killed"] for end in ends] == [True] + [False] * (processes - 1)
    sessions = calendar("XNYS").session_dates(first, LAST)
    assert len(sessions) <= sandbox.calls.count() <= len(sessions) + IN_FLIGHT
    assert sandbox.calls.busiest("massive", seconds=60) <= CAP
    assert {record.status for record in sandbox.calls.records} == {200}
    assert minutes < 2 * (len(sessions) / CAP + 1)
    assert all(end["told"][-1]["remaining"] == 0 for end in ends[1:])
    lake = Lake.open(tmp_path / "lake", clock=FixedClock(NOW))
    assert recover(lake, settings_for("http://127.0.0.1:1"), calendar("XNYS")).rows == 0
    rows = lake.tables.scan("bronze.massive_bars_1d").collect()
    assert rows.height == rows.n_unique(["symbol", "session"]) == 4 * len(sessions)
    lake.close()
