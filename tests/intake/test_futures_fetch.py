"""Order data of Databento: the vendor's own client against the sandbox, into a lake."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from intake.futures_vendor import (
    COUNT,
    FIRST,
    LAST,
    NEW_YEAR,
    SESSIONS,
    UTC_DAYS,
    fetch,
    fill,
    open_lake,
    settings_for,
    traded,
    vendor,
)
from intake.orders_made import ESH4, orders, write
from tapemill.clock import eastern_ns
from tapemill.errors import ConfigError, NotEntitledError, UsageError
from tapemill.intake import futures_fetch
from tapemill.intake.futures_fetch import incoming_folder
from tapemill.intake.futures_fetch_asking import Halted
from tapemill.intake.futures_fetch_plan import plan_futures
from tapemill.intake.futures_fetch_pricing import Purse
from tapemill.intake.order_files import OrderFile, OrderImportReport
from tapemill.lake.control import CellState
from tapemill.levels.feed import read_feed
from tapemill.world import Fault, SandboxThread
from tapemill.world.dbn_writer import encode_metadata

TRADES = "databento.trades"
GET_RANGE = "*/timeseries.get_range"
DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with SandboxThread(vendor(fill(tmp_path_factory.mktemp("vendor")))) as thread:
        yield thread


@pytest.fixture
def sandbox(served):
    served.sandbox.faults.replace([])
    served.sandbox.calls.reset()
    return served.sandbox


@pytest.fixture
def settings(sandbox):
    return settings_for(sandbox.base_url)


@pytest.fixture
def lake(tmp_path):
    opened = open_lake(tmp_path / "lake")
    yield opened
    opened.close()


def states(lake, name=TRADES, symbol="ESH4", days=SESSIONS):
    matrix = lake.control.ledger.matrix(name, [symbol], days)
    return [CellState(int(state)) for state in matrix.states[0]]


def bought(sandbox):
    """Transfers that were asked for."""
    return sum(call.path.endswith("get_range") for call in sandbox.calls.records)


def landed(lake):
    return lake.tables.scan("silver.futures_trades").collect().sort("ts_gateway")


# -- from the vendor into the lake ---------------------------------------------------------------


def test_a_range_is_bought_once_and_is_in_the_lake(lake, settings, sandbox):
    report = fetch(lake, settings, ["trades", "definition"])
    assert (report.completed, report.remaining, report.files) == (7, 0, 7)
    assert states(lake) == [CellState.DATA, CellState.EMPTY, CellState.DATA]
    assert states(lake, "databento.definition", days=UTC_DAYS) == [CellState.DATA] * 4
    assert lake.control.ledger.cell(TRADES, "ESH4", FIRST).rows == COUNT
    rows, made = landed(lake), np.concatenate(traded())
    assert rows["price_ticks"].to_list() == (made["price"] // ESH4.tick_nano).tolist()
    ticks = lake.tables.scan("bronze.databento_files").filter(pl.col("records") == COUNT).collect()
    assert all("definition" in text for text in ticks["ticks"])
    # A range, a price for each of two schemas, seven transfers: each written down as it went.
    assert report.calls == sandbox.calls.count("databento") == 10
    assert report.paid_usd == pytest.approx(report.cost_usd)
    assert 0 < report.cost_usd < 0.001
    calls = lake.control.calls.covering(TRADES, "ESH4", LAST)
    assert [(call.status, call.outcome) for call in calls] == [(200, "data")] * 2
    assert "key" not in str(calls).replace("task_key", "")
    assert list(incoming_folder(lake).iterdir()) == []

    sandbox.calls.reset()
    assert fetch(lake, settings, ["trades", "definition"]).calls == 0
    assert sandbox.calls.count() == 0
    fetch(lake, settings, again=True)
    assert bought(sandbox) == 3
    assert landed(lake).equals(rows)


def test_orders_of_two_utc_days_make_the_book_of_a_trade_date(tmp_path, lake):
    made = days_of_orders()
    span = (NEW_YEAR + DAY_NS, NEW_YEAR + 3 * DAY_NS)
    content = encode_metadata("mbo", [ESH4], *span) + made.tobytes()
    write(tmp_path, "orders.mbo.dbn.zst", content)
    with SandboxThread(vendor(tmp_path)) as served:
        report = fetch(lake, settings_for(served.base_url), ["mbo"], end=FIRST)
    assert (report.completed, report.files, report.records) == (2, 2, len(made))
    assert states(lake, "databento.mbo", days=UTC_DAYS[:2]) == [CellState.DATA] * 2
    chunks = list(read_feed(lake, "ESH4", FIRST))
    begin, rest = chunks[0], [events for events, _ in chunks if events.action[0] != ord("N")]
    opened = eastern_ns(dt.date(2024, 1, 2), 18)
    received = np.concatenate([events.ts_gateway for events in rest])
    wanted = made["ts_recv"][made["ts_recv"] >= opened]
    assert np.array_equal(received, wanted[wanted < eastern_ns(FIRST, 18)].astype(np.int64))
    # What rests from before the evening is known as the trade date begins.
    assert begin[0].action.tolist() == [ord("N")]
    assert len(begin[1].side) > 5


def days_of_orders():
    """Two UTC days of orders; the second begins, as the vendor's do, with an emptied book."""
    days = []
    for day in (1, 2):
        part = orders(200, seed=day, start_ns=NEW_YEAR + day * DAY_NS, step_ns=DAY_NS // 201)
        part["action"][0], part["side"][0] = ord("R"), ord("N")
        part["price"][0], part["flags"][0] = 2**63 - 1, 40
        days.append(part)
    return np.concatenate(days)


@pytest.mark.parametrize(
    ("fault", "outcome", "status"),
    [
        (Fault(kind="storm_429", path=GET_RANGE, count=1), "rate-limited", 429),
        (Fault(kind="error_5xx", path=GET_RANGE, count=2), "transient", 503),
        (Fault(kind="cut_transfer", path=GET_RANGE, count=1), "transient", 0),
        (Fault(kind="reset", path=GET_RANGE, count=1), "transient", 0),
        (Fault(kind="html_body", path=GET_RANGE, count=1), "bad-answer", 0),
        (Fault(kind="error_5xx", path="*/metadata.*", count=1), "transient", 503),
    ],
)
def test_what_passes_is_tried_again(lake, settings, sandbox, fault, outcome, status):
    sandbox.faults.replace([fault])
    report = fetch(lake, settings)
    assert (report.completed, report.remaining) == (3, 0)
    assert report.outcomes == {"data": 5, outcome: fault.count}
    assert report.calls == sandbox.calls.count() == 5 + fault.count
    failed = [call for call in lake.control.calls.recent("databento") if call.outcome != "data"]
    assert {(call.outcome, call.status) for call in failed} == {(outcome, status)}
    assert landed(lake).height == 2 * COUNT
    if fault.kind == "storm_429":
        assert failed[0].retry_after_ms == 1000
    if fault.kind == "cut_transfer":  # it may be charged: it counts as spent
        assert report.paid_usd > report.cost_usd


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (
            Fault(kind="storm_429", path=GET_RANGE, options={"retry_after": "absent"}),
            CellState.RATE_LIMITED,
        ),
        (Fault(kind="cut_transfer", path=GET_RANGE), CellState.TRANSIENT),
        (Fault(kind="html_body", path=GET_RANGE), CellState.BAD_ANSWER),
    ],
)
def test_what_stays_keeps_the_cell_open_with_its_reason(lake, sandbox, fault, state):
    sandbox.faults.replace([fault])
    settings = settings_for(sandbox.base_url, **{"retry.attempts": 2})
    report = fetch(lake, settings)
    # Nothing came, so emptiness is not confirmed either.
    assert states(lake) == [state] * 3
    assert (report.remaining, len(report.failed), bought(sandbox)) == (3, 3, 6)
    assert "Databento" in lake.control.ledger.cell(TRADES, "ESH4", FIRST).reason
    sandbox.faults.replace([])
    assert fetch(lake, settings).completed == 3
    assert states(lake) == [CellState.DATA, CellState.EMPTY, CellState.DATA]


@pytest.mark.crash
def test_killed_runs_lose_nothing_and_buy_nothing_twice(tmp_path, settings, sandbox):
    folder = tmp_path / "lake"
    child = Path(__file__).with_name("futures_fetch_child.py")
    subprocess.run(
        [sys.executable, str(child), str(folder), sandbox.base_url],
        env={**os.environ, "PYTHONPATH": str(child.parents[1])},
        check=True,
    )
    assert bought(sandbox) == 1
    lake = open_lake(folder)
    assert len(list(incoming_folder(lake).glob("*.dbn.zst"))) == 1
    report = fetch(lake, settings)
    assert (report.completed, report.reused, report.files, bought(sandbox)) == (3, 1, 2, 3)
    assert states(lake) == [CellState.DATA, CellState.EMPTY, CellState.DATA]
    assert landed(lake).height == 2 * COUNT
    assert list(incoming_folder(lake).iterdir()) == []
    lake.close()


def test_a_file_that_does_not_import_stays_and_is_not_bought_again(
    lake, settings, sandbox, monkeypatch
):
    def spoiled(*_arguments):
        return OrderImportReport([OrderFile("some", fault="record 7 has no known length")])

    with monkeypatch.context() as patch:
        patch.setattr(futures_fetch, "import_orders", spoiled)
        report = fetch(lake, settings, end=FIRST)
        assert (states(lake)[0], report.remaining) == (CellState.BAD_ANSWER, 1)
        assert fetch(lake, settings, end=FIRST).reused == 1
    assert bought(sandbox) == 1
    assert "record 7" in lake.control.ledger.cell(TRADES, "ESH4", FIRST).reason
    for path in incoming_folder(lake).iterdir():
        path.unlink()
    assert fetch(lake, settings, end=FIRST).completed == 1
    assert bought(sandbox) == 2


def test_what_is_here_already_is_not_priced_again(lake, settings, sandbox, monkeypatch):
    with monkeypatch.context() as patch:
        failed = OrderImportReport([OrderFile("some", failure="no room")])
        patch.setattr(futures_fetch, "import_orders", lambda *_: failed)
        fetch(lake, settings, start=SESSIONS[1], end=SESSIONS[1])
    sandbox.calls.reset()
    report = fetch(lake, settings)
    assert (report.completed, report.reused, bought(sandbox)) == (3, 1, 2)
    # The range, and the price of either side of what is here.
    assert sandbox.calls.count() == 1 + 2 + 2


def test_a_request_in_other_hands_is_left_to_them(lake, settings, sandbox):
    plan = plan_futures(lake, lake.clock, ["ESH4"], ["trades"], FIRST, LAST)
    key = f"futures:{plan.pending[0].file_name}"
    token = lake.control.claims.claim(key, "another", 600)
    report = fetch(lake, settings)
    assert (report.completed, report.remaining, bought(sandbox)) == (2, 1, 2)
    assert any("another process" in note for note in report.notes)
    lake.control.claims.release(key, token)
    assert fetch(lake, settings).completed == 1


# -- what the vendor refuses ---------------------------------------------------------------------


def test_a_wrong_key_is_told_and_found_nowhere(lake, settings, sandbox, tmp_path):
    canary = "db-canary0Qx7Lm2Vb9Tz4Rw8Ye1Ui6"
    with pytest.raises(NotEntitledError) as refused:
        fetch(lake, settings_for(sandbox.base_url, key=canary))
    assert canary not in str(refused.value)
    assert states(lake) == [CellState.NOT_ENTITLED] * 3
    assert "401" in lake.control.ledger.cell(TRADES, "ESH4", LAST).reason
    assert [call.status for call in lake.control.calls.recent("databento")] == [401]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes(), path
    assert fetch(lake, settings).completed == 3


def test_a_dataset_that_is_not_licensed_is_refused_before_it_costs(tmp_path, lake):
    with SandboxThread(vendor(fill(tmp_path), licensed=("XNAS.ITCH",))) as served:
        with pytest.raises(NotEntitledError, match="licen"):
            fetch(lake, settings_for(served.base_url))
        assert bought(served.sandbox) == 0
    assert states(lake) == [CellState.NOT_ENTITLED] * 3


def test_no_key_makes_no_call(lake, settings, sandbox):
    with pytest.raises(ConfigError) as unset:
        fetch(lake, settings.override({"databento.base_url": sandbox.base_url, **_NO_KEY}))
    assert "DATABENTO_API_KEY" in unset.value.next_step
    assert sandbox.calls.count() == 0
    assert lake.control.calls.recent("databento") == []


_NO_KEY = {"databento.api_key": None}


def test_an_unknown_symbol_is_refused_before_anything_is_bought(lake, settings, sandbox):
    with pytest.raises(UsageError, match="could be resolved"):
        fetch(lake, settings, symbols=["ESH4", "NOPE"])
    assert bought(sandbox) == 0
    cell = lake.control.ledger.cell(TRADES, "NOPE", FIRST)
    assert cell.state is CellState.PENDING
    assert "422" in cell.reason


def test_what_costs_more_than_it_may_is_not_bought(lake, sandbox):
    tight = settings_for(sandbox.base_url, **{"databento.max_cost_usd": 1e-9})
    with pytest.raises(UsageError, match="would charge") as refused:
        fetch(lake, tight)
    assert "TAPEMILL_DATABENTO_MAX_COST_USD=" in refused.value.next_step
    assert bought(sandbox) == 0
    assert states(lake) == [CellState.PENDING] * 3
    free = settings_for(sandbox.base_url, **{"databento.max_cost_usd": 0.0})
    assert fetch(lake, free).completed == 3


def test_broken_transfers_may_not_pass_the_limit_either(lake):
    first, second, third = plan_futures(lake, lake.clock, ["ESH4"], ["trades"], FIRST, LAST).pending
    purse = Purse(10.0)
    purse.prices, purse.cost_usd = {first: 4.0, second: 4.0, third: 2.0}, 10.0
    purse.require_enough()
    for cell in (first, second, third):
        purse.pay(cell)
    with pytest.raises(Halted, match=r"would pass \$10\.00"):
        purse.pay(third)
    assert purse.paid_usd == 10.0


def test_what_the_vendor_does_not_have_is_not_asked_for(lake, settings, sandbox):
    report = fetch(lake, settings, start=dt.date(2023, 12, 29), end=dt.date(2024, 1, 8))
    assert (report.out_of_window, report.not_yet, report.completed) == (1, 1, 4)
    days = [dt.date(2023, 12, 29), dt.date(2024, 1, 8)]
    assert states(lake, days=days) == [CellState.OUT_OF_WINDOW, CellState.PENDING]
    assert report.remaining == 0
    assert bought(sandbox) == 4
