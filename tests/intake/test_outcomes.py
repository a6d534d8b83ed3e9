"""Typed outcomes: what each answer does to the ledger, and how often it is asked again."""

import gzip
import json
from datetime import date

import polars as pl
import pytest

from intake.bench import END, NOW, START, Bench
from tapemill.clock import calendar
from tapemill.lake.control import CellState
from tapemill.vendors import WireAnswer
from tapemill.world import Fault

SESSIONS = calendar("XNYS").session_dates(START, END)
BARS = "bronze.massive_bars_1m"


class ScriptedWire:
    """Gives the answers of a list, the last one for ever."""

    def __init__(self, clock, *answers):
        self.clock = clock
        self.answers = list(answers)
        self.calls = []

    async def send(self, call, arrived):
        self.calls.append(call)
        await self.clock.sleep(0.05)
        arrived()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def close(self):
        pass


def answer(status, document=None, headers=None, body=None):
    content = json.dumps(document).encode() if body is None else body
    return WireAnswer(status, {"content-type": "application/json", **(headers or {})}, content)


EMPTY = answer(
    200,
    {
        "ticker": "SPY", "adjusted": False, "queryCount": 0, "resultsCount": 0,
        "status": "OK", "request_id": "r", "count": 0,
    },
)  # fmt: skip
RATE = answer(429, {"status": "ERROR", "error": "exceeded the maximum requests per minute"})
CASES = {
    # name: (answer, state of every cell, calls on the wire in one run)
    "200 empty": (EMPTY, CellState.EMPTY, 1),
    "204": (answer(204, body=b""), CellState.BAD_ANSWER, 2),
    "401": (
        answer(401, {"status": "ERROR", "error": "Unknown API Key"}),
        CellState.NOT_ENTITLED,
        1,
    ),
    "403": (
        answer(403, {"status": "NOT_AUTHORIZED", "message": "not entitled"}),
        CellState.NOT_ENTITLED,
        1,
    ),
    "429": (RATE, CellState.RATE_LIMITED, 11),
    "429 with Retry-After": (
        answer(429, {"status": "ERROR"}, {"retry-after": "7"}),
        CellState.RATE_LIMITED,
        11,
    ),
    "500": (answer(500, body=b"oops"), CellState.TRANSIENT, 11),
    "time-out": (WireAnswer(0, {}, b"", "time-out"), CellState.TRANSIENT, 11),
    "reset": (WireAnswer(0, {}, b"", "connection reset by peer"), CellState.TRANSIENT, 11),
    "truncated": (answer(200, body=EMPTY.body[:40]), CellState.TRANSIENT, 11),
    "200 with a throttle message": (
        answer(
            200, {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}
        ),
        CellState.RATE_LIMITED,
        11,
    ),
    "200 with an error": (
        answer(200, {"status": "ERROR", "error": "something broke"}),
        CellState.BAD_ANSWER,
        2,
    ),
    "a page of HTML": (
        answer(200, headers={"content-type": "text/html"}, body=b"<html>maintenance</html>"),
        CellState.BAD_ANSWER,
        2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_outcome_leaves_its_own_state(bench, name):
    """Defect options 22.1: auth, 429 and time-outs became permanent "no data"."""
    wire_answer, state, calls = CASES[name]
    place = bench(settings={"massive.max_in_flight": 1})
    place.wire = ScriptedWire(place.clock, wire_answer)
    report = place.run(BARS, ["SPY"])
    assert (place.states(BARS, ["SPY"], SESSIONS) == state).all()
    # Five failures open the breaker, six probes of it fail: then the run gives the vendor up.
    assert len(place.wire.calls) == report.calls == calls
    complete = state in (CellState.DATA, CellState.EMPTY)
    assert report.completed == (len(SESSIONS) if complete else 0)
    assert report.remaining == (0 if complete else len(SESSIONS))
    assert report.rows == 0
    if not complete:
        assert place.lake.control.ledger.cell(BARS, "SPY", SESSIONS[0]).reason


def test_a_refusal_is_not_asked_again_in_the_next_run_either(bench):
    place = bench()
    place.wire = ScriptedWire(place.clock, CASES["403"][0])
    place.run(BARS, ["SPY"])
    plan = place.plan(BARS, ["SPY"])
    assert (plan.calls, plan.refused) == (0, len(SESSIONS))
    assert place.plan(BARS, ["SPY"], again=True).calls == 1


def test_a_wrong_key_stops_the_lane_after_one_call(bench):
    """Field map 2.8: stop that provider, one clear message that names the variable."""
    place = bench(settings={"massive.max_in_flight": 1})
    place.wire = ScriptedWire(place.clock, CASES["401"][0])
    report = place.run(BARS, ["SPY", "AAPL", "KO", "NVDA"])
    assert len(place.wire.calls) == 1
    assert report.tasks == {"failed": 1, "deferred": 3}
    assert "MASSIVE_API_KEY" in report.stopped[0]


def test_a_transient_failure_is_retried_and_then_complete(bench):
    place = bench(faults=[Fault(kind="error_5xx", count=2)], settings={"massive.max_in_flight": 1})
    report = place.run(BARS, ["SPY"])
    assert report.calls == 3
    assert (place.states(BARS, ["SPY"], SESSIONS) == CellState.DATA).all()
    assert report.outcomes == {"data": 1}
    by_outcome = [call.outcome for call in place.lake.control.calls.recent()]
    assert sorted(by_outcome) == ["data", "transient", "transient"]


def test_a_bad_answer_is_fetched_once_more_then_an_incident(bench):
    place = bench(faults=[Fault(kind="html_body", count=1)])
    assert place.run(BARS, ["SPY"]).completed == len(SESSIONS)
    place = bench(faults=["html_body"])
    report = place.run(BARS, ["SPY"])
    assert (report.calls, report.incidents) == (2, 1)
    incident = place.lake.control.incidents.open_incidents()[0]
    assert incident.kind == "bad_answer"
    assert "SPY" in incident.subject


def test_the_body_of_a_bad_answer_is_kept(bench):
    place = bench()
    place.wire = ScriptedWire(place.clock, CASES["a page of HTML"][0])
    place.run(BARS, ["SPY"])
    stored = place.lake.control.frames(["ops.answers"])["ops.answers"]
    kept = stored.filter(pl.col("outcome") == "bad-answer").get_column("raw_sha256")
    assert place.lake.raw.get(kept[0]) == b"<html>maintenance</html>"


def test_retry_after_is_honoured_as_seconds_and_capped_when_absurd(bench):
    place = bench(
        faults=[Fault(kind="storm_429", count=1, options={"retry_after": "int", "seconds": 40})]
    )
    place.run(BARS, ["SPY"])
    first, second = (record.at for record in place.sandbox.calls.records)
    assert second - first >= 40
    place = bench(faults=[Fault(kind="storm_429", count=1, options={"retry_after": "absurd"})])
    place.run(BARS, ["SPY"])
    first, second = (record.at for record in place.sandbox.calls.records)
    assert second - first <= 905


def test_a_failed_refetch_does_not_reopen_a_complete_cell(bench):
    place = bench()
    place.run(BARS, ["SPY"])
    place.wire = ScriptedWire(place.clock, CASES["500"][0])
    place.run(BARS, ["SPY"], again=True)
    assert (place.states(BARS, ["SPY"], SESSIONS) == CellState.DATA).all()


def test_nothing_for_the_whole_market_is_not_confirmed_empty(bench):
    """Empty on a trading day is never green: the market is late, or the vendor lost it."""
    grouped = answer(
        200,
        {"queryCount": 0, "resultsCount": 0, "adjusted": False, "status": "OK", "request_id": "r"},
    )
    place = bench()
    place.wire = ScriptedWire(place.clock, grouped)
    place.run("bars_1d", None)
    states = place.states("bronze.massive_bars_1d", ["*"], SESSIONS)[0]
    assert states[-1] == CellState.TRANSIENT
    assert (states[:-2] == CellState.BAD_ANSWER).all()


def test_a_young_session_without_a_bar_stays_open_when_the_one_before_has_bars(bench):
    place = bench(faults=[Fault(kind="minute_file_absent", symbols=["SPY"], sessions=[END])])
    place.run(BARS, ["SPY"])
    states = place.states(BARS, ["SPY"], SESSIONS)[0]
    assert states[-1] == CellState.PARTIAL
    assert (states[:-1] == CellState.DATA).all()
    old = bench(
        faults=[Fault(kind="minute_file_absent", symbols=["SPY"], sessions=[date(2026, 1, 20)])]
    )
    old.run(BARS, ["SPY"])
    absent = old.lake.control.ledger.cell(BARS, "SPY", date(2026, 1, 20))
    assert absent.state == CellState.EMPTY
    assert "no row" in absent.reason


def test_rows_that_break_the_contract_are_quarantined_and_counted(bench):
    bars = [
        {"t": 1769437800000, "o": 10, "h": 11, "l": 9, "c": 10, "v": 5.5, "vw": 10.1, "n": 3},
        {"t": 1769437860000, "o": 10, "h": 9, "l": 11, "c": 10, "v": 5, "vw": 10.1, "n": 3},
        {"t": 1769437920000, "o": -1, "h": 11, "l": -1, "c": 10, "v": 5, "vw": 10.1, "n": 3},
    ]
    document = {
        "ticker": "SPY", "adjusted": False, "queryCount": 3, "resultsCount": 3, "status": "OK",
        "request_id": "r", "count": 3, "results": bars,
    }  # fmt: skip
    place = bench()
    place.wire = ScriptedWire(place.clock, answer(200, document))
    report = place.run(BARS, ["SPY"])
    assert (report.rows, report.quarantined) == (1, 2)
    bad = place.lake.tables.scan("ops.quarantine").collect()
    assert bad.height == 2
    assert bad.get_column("dataset").unique().to_list() == [BARS]


def test_every_generated_task_ends_in_exactly_one_way(bench):
    """Defect ssot 3.3: units pulled and then refused were lost (27 of 31 ran)."""
    faults = [
        Fault(kind="error_5xx", probability=0.3),
        Fault(kind="storm_429", probability=0.2),
        Fault(kind="html_body", probability=0.1),
    ]
    place = bench(faults=faults)
    plan = place.plan("bars_1d", None)
    report = place.fetch(plan)
    assert sum(report.tasks.values()) == len(plan.tasks) == 24
    assert report.completed + report.remaining == plan.pending
    runs = place.lake.control.tasks
    with place.lake.control.database.read() as connection:
        from sqlalchemy import text

        run = connection.execute(text("select distinct run from tasks")).scalar_one()
    counts = runs.counts(run)
    assert counts.open == 0
    assert counts.generated == counts.done + counts.failed + counts.deferred == 24


def test_the_calls_of_one_command_can_be_capped(bench):
    place = bench(settings={"massive.calls_per_session": 3, "massive.max_in_flight": 2})
    report = place.run("bars_1d", None)
    assert len(place.wire.calls) == report.calls == 3
    assert report.remaining == 21
    assert "used up" in report.stopped[0]


def test_gzip_is_the_transports_business_not_ours(bench):
    """A body that is still compressed is no JSON: it must not pass as empty."""
    place = bench()
    place.wire = ScriptedWire(place.clock, answer(200, body=gzip.compress(EMPTY.body)))
    place.run(BARS, ["SPY"])
    states = place.states(BARS, ["SPY"], SESSIONS)
    assert not (states == CellState.EMPTY).any()


def test_the_moment_of_receipt_is_the_injected_clock(bench):
    place = bench()
    place.run("bars_1d", ["SPY"])
    rows = place.lake.tables.scan("bronze.massive_bars_1d").collect()
    received = rows.get_column("ts_recv").dt.epoch("ns")
    assert isinstance(place, Bench)
    assert ((received >= NOW) & (received < NOW + 60_000_000_000)).all()
