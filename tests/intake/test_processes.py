"""Several processes, and processes that are killed: one budget, no work twice, nothing lost."""

import json
import os
import random
import subprocess
import sys
import time

import polars as pl
import pytest

from intake.bench import END, NOW, START
from intake.budget_child import CAP, WINDOW
from tapemill.clock import FixedClock, calendar
from tapemill.lake import Lake
from tapemill.lake.control import CellState
from tapemill.world import Sandbox, SandboxThread

SESSIONS = calendar("XNYS").session_dates(START, END)
IN_FLIGHT = 2 * 2
TASKS = 2 + len(SESSIONS) + len(SESSIONS)
TABLES = {
    "bronze.massive_bars_1m": ["symbol", "ts_event", "close", "volume"],
    "bronze.massive_bars_1d": ["symbol", "ts_event", "close", "volume"],
    "bronze.finra_short_volume": ["symbol", "session", "facility", "total_volume"],
}


@pytest.fixture
def sandbox(market):
    with SandboxThread(Sandbox(market, now_ns=NOW, plan="paid")) as thread:
        yield thread.sandbox


def start(repo_root, script, *arguments):
    return subprocess.Popen(
        [sys.executable, str(repo_root / "tests/intake" / script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repo_root / "tests"), "POLARS_MAX_THREADS": "1"},
    )


def contents(folder):
    lake = Lake.open(folder, clock=FixedClock(NOW))
    rows = {name: lake.tables.scan(name).select(keys).collect() for name, keys in TABLES.items()}
    lake.control.close()
    return {name: frame.sort(frame.columns) for name, frame in rows.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, market, repo_root):
    folder = tmp_path_factory.mktemp("undisturbed") / "lake"
    with SandboxThread(Sandbox(market, now_ns=NOW, plan="paid")) as thread:
        child = start(repo_root, "fetching_child.py", folder, thread.base_url)
        assert child.communicate(timeout=120) and child.returncode == 0
        assert thread.sandbox.calls.count() == TASKS
    return contents(folder)


@pytest.mark.acceptance
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_one_budget_at_the_wire(tmp_path, sandbox, repo_root, processes):
    """Must show 4; options 21: never more than the cap in any window, two processes included."""
    total = 24
    children = [
        start(repo_root, "budget_child.py", tmp_path, sandbox.base_url, total // processes)
        for _ in range(processes)
    ]
    for child in children:
        child.communicate(timeout=120)
    assert [child.returncode for child in children] == [0] * processes
    assert sandbox.calls.count("massive") == total
    assert sandbox.calls.busiest("massive", seconds=WINDOW) <= CAP
    moments = [record.at for record in sandbox.calls.records]
    assert moments[-1] - moments[0] < 3 * (total / CAP + 1) * WINDOW


@pytest.mark.acceptance
def test_two_processes_share_a_plan_without_work_twice(tmp_path, sandbox, repo_root, undisturbed):
    children = [
        start(repo_root, "fetching_child.py", tmp_path / "lake", sandbox.base_url) for _ in range(2)
    ]
    outputs = [child.communicate(timeout=120)[0].splitlines() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    reports = [json.loads(lines[-1]) for lines in outputs]
    assert sandbox.calls.count() == sum(report["calls"] for report in reports) == TASKS
    assert all(report["remaining"] == 0 for report in reports)
    for name, frame in contents(tmp_path / "lake").items():
        assert frame.equals(undisturbed[name]), name


def kill_until_done(folder, sandbox, repo_root, kills, seed):
    """Kill children at random moments after they got ready; then let one finish."""
    rng = random.Random(seed)
    for _ in range(kills):
        child = start(repo_root, "fetching_child.py", folder, sandbox.base_url)
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.6))
        child.kill()
        child.communicate()
    child = start(repo_root, "fetching_child.py", folder, sandbox.base_url)
    output = child.communicate(timeout=120)[0]
    assert child.returncode == 0
    return json.loads(output.splitlines()[-1])


def check_killed(folder, sandbox, repo_root, undisturbed, kills, seed):
    report = kill_until_done(folder, sandbox, repo_root, kills, seed)
    assert report["remaining"] == 0
    assert sandbox.calls.count() <= TASKS + kills * IN_FLIGHT
    for name, frame in contents(folder).items():
        assert frame.unique().sort(frame.columns).equals(undisturbed[name]), name
    lake = Lake.open(folder, clock=FixedClock(NOW))
    for name, frame in TABLES.items():
        rows = lake.tables.scan(name)
        doubled = rows.group_by("raw_sha256", "ordinal").len().filter(pl.col("len") > 1).collect()
        assert doubled.is_empty(), (name, frame)
    assert not lake.control.batches.unfinished()
    assert not lake.control.answers.unlanded(orphaned_only=False)
    states = lake.control.ledger.matrix("bronze.massive_bars_1m", ["SPY", "KO"], SESSIONS).states
    assert (states == CellState.DATA).all()
    lake.control.close()


@pytest.mark.crash
def test_killed_fetches_resume_exactly(tmp_path, sandbox, repo_root, undisturbed):
    """Must show 3; ssot A5/A15: kill -9 anywhere; same rows, no call wasted, nothing twice."""
    check_killed(tmp_path / "lake", sandbox, repo_root, undisturbed, kills=8, seed=1)


@pytest.mark.crash
@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
def test_killed_fetches_resume_exactly_many_times(tmp_path, sandbox, repo_root, undisturbed, seed):
    check_killed(tmp_path / "lake", sandbox, repo_root, undisturbed, kills=12, seed=seed)


def test_sigterm_finishes_what_is_in_flight_and_lands_it(tmp_path, sandbox, repo_root):
    from tapemill.world import Fault

    sandbox.faults.replace([Fault(kind="storm_429", after_seconds=0.0, path="*02-0*")])
    child = start(repo_root, "fetching_child.py", tmp_path / "lake", sandbox.base_url)
    assert child.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 5
    while sandbox.calls.count() < 12 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.terminate()
    report = json.loads(child.communicate(timeout=60)[0].splitlines()[-1])
    assert child.returncode == 0
    assert report["interrupted"]
    assert report["rows"] > 0
    lake = Lake.open(tmp_path / "lake", clock=FixedClock(NOW))
    assert not lake.control.answers.unlanded(orphaned_only=False)
    assert not lake.control.claims.held()
    lake.control.close()
