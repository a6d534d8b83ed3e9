"""Pages: repeats, loops, drift, units, and listings that resume where they stopped."""

import json
from datetime import date

import polars as pl
import pytest

from intake.bench import END, START
from intake.test_outcomes import ScriptedWire, answer
from tapemill.clock import calendar
from tapemill.lake.control import CellState
from tapemill.world import Fault

SESSIONS = calendar("XNYS").session_dates(START, END)
DIVIDENDS = "bronze.massive_dividends"
BARS = "bronze.massive_bars_1m"


def dividend(number, day):
    return {
        "id": f"E{number}", "ticker": f"S{number}", "ex_dividend_date": day.isoformat(),
        "cash_amount": 0.5, "currency": "USD", "declaration_date": "2025-12-01",
        "record_date": day.isoformat(), "pay_date": day.isoformat(), "frequency": 4,
        "dividend_type": "CD",
    }  # fmt: skip


def listing_page(number, *, last=False, rows=None):
    rows = [dividend(10 * number + n, SESSIONS[number]) for n in range(3)] if rows is None else rows
    document = {"status": "OK", "request_id": f"r{number}", "results": rows}
    if not last:
        document["next_url"] = f"https://api.massive.com/v3/reference/dividends?cursor=c{number}"
    return answer(200, document)


def cursors(wire):
    return [dict(call.params).get("cursor", "") for call in wire.calls]


def test_an_interrupted_listing_resumes_at_its_page(bench):
    """ssot A18: a three-page listing interrupted after page two resumes at three."""
    place = bench(settings={"retry.attempts": 1})
    place.wire = ScriptedWire(
        place.clock, listing_page(1), listing_page(2), answer(500, body=b"down")
    )
    report = place.run("dividends", None)
    assert report.remaining == len(SESSIONS)
    states = place.states(DIVIDENDS, ["*"], SESSIONS)
    assert (states == CellState.TRANSIENT).all()
    assert cursors(place.wire)[:3] == ["", "c1", "c2"]

    place.wire = ScriptedWire(place.clock, listing_page(3, last=True))
    report = place.run("dividends", None)
    assert cursors(place.wire) == ["c2"]
    assert report.remaining == 0
    rows = place.lake.tables.scan(DIVIDENDS).collect()
    assert rows.height == rows.n_unique("id") == 9
    # The rows of pages before the interruption count in the cells too.
    matrix = place.lake.control.ledger.matrix(DIVIDENDS, ["*"], SESSIONS)
    assert matrix.rows[0, 1:4].tolist() == [3, 3, 3]
    assert (matrix.states[0, [1, 2, 3]] == CellState.DATA).all()
    assert (matrix.states[0, 4:] == CellState.EMPTY).all()
    fingerprints = place.lake.control.contents.fingerprint(DIVIDENDS)
    assert set(fingerprints) >= set(SESSIONS[1:4])


def test_the_next_day_of_a_listing_asks_for_the_new_day_alone(bench):
    """ssot A18: the second day's calls are at most a tenth of the first."""
    place = bench()
    place.wire = ScriptedWire(place.clock, listing_page(1), listing_page(2, last=True))
    place.run("dividends", None, START, SESSIONS[-2])
    plan = place.plan("dividends", None, START, SESSIONS[-1])
    assert plan.calls == 1
    assert (plan.tasks[0].first.start, plan.tasks[0].first.end) == (SESSIONS[-1], SESSIONS[-1])


def test_a_page_served_twice_is_a_bad_answer_and_lands_once(bench):
    place = bench(settings={"retry.attempts": 1})
    same = [dividend(n, SESSIONS[1]) for n in range(3)]
    pages = [listing_page(1, rows=same), listing_page(2, rows=same)]
    place.wire = ScriptedWire(place.clock, *pages)
    report = place.run("dividends", None)
    assert report.outcomes == {"data": 1, "bad-answer": 1}
    assert place.lake.tables.scan(DIVIDENDS).collect().height == 3
    states = place.states(DIVIDENDS, ["*"], SESSIONS)
    assert (states == CellState.BAD_ANSWER).all()
    incident = place.lake.control.incidents.open_incidents()[0]
    assert "repeats page 1" in incident.detail


def test_a_cursor_loop_is_found_on_the_first_way_round(bench):
    place = bench()
    first = listing_page(1)
    back = json.loads(listing_page(2).body)
    back["next_url"] = "https://api.massive.com/v3/reference/dividends?cursor=c1"
    place.wire = ScriptedWire(place.clock, first, answer(200, back))
    report = place.run("dividends", None)
    assert len(place.wire.calls) == 3  # page one, page two, page two once more
    assert report.remaining == len(SESSIONS)
    assert "cursor loop" in place.lake.control.incidents.open_incidents()[0].detail


@pytest.mark.parametrize("kind", ["schema_missing_column", "schema_retyped"])
def test_missing_and_retyped_fields_block_their_lane_only(bench, kind):
    """Issue 2, section 3: missing or retyped blocks that lane only."""
    faults = [Fault(kind=kind, path="/v2/aggs/ticker/*")]
    place = bench(faults=faults, settings={"massive.max_in_flight": 1})
    report = place.fetch(place.plan(BARS, ["SPY", "KO", "AAPL"]), place.plan("bars_1d", None))
    assert place.lake.control.incidents.lane_blocked(BARS)
    assert not place.lake.control.incidents.lane_blocked("bronze.massive_bars_1d")
    minute_calls = [path for path in place.wire.paths() if "/minute/" in path]
    assert len(minute_calls) == 2  # one answer, fetched once more; then the lane is closed
    assert not place.lake.tables.exists(BARS) or not place.lake.tables.rows(BARS)
    assert report.tasks["failed"] == 1
    # A person looked, the vendor mended it: the lane opens again.
    place.sandbox.faults.replace([])
    for incident in place.lake.control.incidents.open_incidents():
        place.lake.control.incidents.resolve(incident.incident_id, "vendor rolled back")
    assert place.run(BARS, ["SPY", "KO", "AAPL"]).remaining == 0


def test_one_blocked_dataset_does_not_stop_the_others_of_its_vendor(bench):
    faults = [Fault(kind="schema_missing_column", path="/v2/aggs/ticker/*")]
    place = bench(faults=faults, settings={"massive.max_in_flight": 1})
    report = place.fetch(place.plan(BARS, ["SPY", "KO"]), place.plan("bars_1d", None))
    states = place.states("bronze.massive_bars_1d", ["*"], SESSIONS)
    assert (states == CellState.DATA).all()
    assert report.tasks == {"failed": 1, "deferred": 1, "done": len(SESSIONS)}
    assert "blocked by an open incident" in report.stopped[0]


def test_a_new_field_is_a_warning_and_the_rows_land(bench):
    place = bench(faults=["schema_new_column"])
    report = place.run(BARS, ["SPY"])
    assert report.remaining == 0
    incident = place.lake.control.incidents.open_incidents()[0]
    assert (incident.kind, incident.severity, incident.blocks_lane) == (
        "drift_new",
        "warning",
        False,
    )


def test_prices_in_another_unit_are_stopped_at_the_door(bench):
    place = bench()
    place.run(BARS, ["SPY"], START, SESSIONS[9])
    # Every price a thousandfold: the bars are sound by themselves.
    place.sandbox.faults.replace(
        [Fault(kind="schema_unit_change", options={"column": name}) for name in "ohlc"]
    )
    report = place.run(BARS, ["SPY"], SESSIONS[10], END)
    assert report.rows == 0
    states = place.states(BARS, ["SPY"], SESSIONS)[0]
    assert (states[10:] == CellState.BAD_ANSWER).all()
    kinds = {i.kind: i.blocks_lane for i in place.lake.control.incidents.open_incidents()}
    assert kinds["drift_unit_change"] is True


def test_clean_days_raise_no_alarm(bench, market):
    place = bench()
    plans = [
        place.plan(BARS, list(market.symbols)),
        place.plan("bars_1d", None),
        place.plan("splits", None, date(2024, 3, 1), END),
        place.plan("dividends", None, date(2024, 3, 1), END),
        place.plan("short_volume", None),
        place.plan("tickers"),
        place.plan("market_status"),
    ]
    report = place.fetch(*plans)
    assert report.incidents == report.quarantined == report.remaining == 0
    assert set(report.outcomes) <= {"data", "confirmed-empty"}


def test_records_missing_from_a_complete_answer_are_caught(bench):
    """Must show 7: a replay that reports completion with records missing."""
    place = bench(faults=["replay_incomplete"])
    report = place.fetch(place.plan(BARS, ["SPY"]), place.plan("short_volume", None))
    assert report.tasks == {"failed": 2, "done": len(SESSIONS) - 1}
    details = [i.detail for i in place.lake.control.incidents.open_incidents()]
    assert any("records missing" in detail for detail in details)
    altered = place.sandbox.truth_of("replay_incomplete").get_column("session").to_list()
    states = place.states("bronze.finra_short_volume", ["*"], SESSIONS)[0]
    bad = [day for day, state in zip(SESSIONS, states, strict=True) if state != CellState.DATA]
    assert set(bad) <= set(altered)
    assert len(bad) == 1
    assert (place.states(BARS, ["SPY"], SESSIONS) == CellState.BAD_ANSWER).all()


def test_a_start_that_the_vendor_ignores_is_caught(bench):
    """Must show 7: a start anchor silently ignored."""
    place = bench(faults=["start_anchor_ignored"])
    report = place.run(BARS, ["SPY"], date(2026, 1, 20), END)
    assert report.rows == 0
    assert "window ignored" in place.lake.control.incidents.open_incidents()[0].detail


def test_a_revision_is_asked_for_and_becomes_more_rows_never_fewer(bench):
    """ssot appendix A1: no raw object is modified; late data make new versions."""
    place = bench(faults=[Fault(kind="revised_data", vendor="finra_cdn")])
    dataset = "bronze.finra_short_volume"
    place.run(dataset, None)
    before = place.lake.tables.scan(dataset).collect()
    place.run(dataset, None, again=True)
    after = place.lake.tables.scan(dataset).collect()
    assert after.height > before.height
    assert after.join(before, on=["raw_sha256", "ordinal"], how="semi").height == before.height
    versions = place.lake.control.ledger.matrix(dataset, ["*"], SESSIONS).versions
    assert (versions >= 1).all()
    assert (versions == 2).any()


def test_asking_again_for_the_same_bytes_adds_nothing(bench):
    place = bench()
    dataset = "bronze.finra_short_volume"
    place.run(dataset, None)
    before = place.lake.tables.scan(dataset).collect()
    report = place.run(dataset, None, again=True)
    assert (report.calls, report.rows) == (len(SESSIONS), 0)
    assert place.lake.tables.scan(dataset).collect().height == before.height


def test_reopened_cells_land_again_although_the_bytes_are_known(bench):
    place = bench()
    dataset = "bronze.finra_short_volume"
    place.run(dataset, None, START, START)
    place.lake.control.ledger.reopen(dataset, "*", [START], reason="purged")
    report = place.run(dataset, None, START, START)
    assert report.rows == 4
    assert place.states(dataset, ["*"], [START])[0, 0] == CellState.DATA


def test_a_page_that_ends_inside_a_session_settles_only_what_it_passed(bench):
    """ssot 2.2: a silently cut page must not close the sessions behind it."""

    def bar(ms):
        return {"t": ms, "o": 10, "h": 11, "l": 9, "c": 10, "v": 5, "vw": 10.1, "n": 3}

    opening = [1767709800000 + n * 60_000 for n in range(30)]  # 2026-01-06 09:30 ET
    bars = [bar(1767623400000 + n * 60_000) for n in range(30)] + [bar(ms) for ms in opening]
    document = {
        "ticker": "SPY", "adjusted": False, "queryCount": 60, "resultsCount": 60, "count": 60,
        "status": "OK", "request_id": "r1", "results": bars,
        "next_url": "https://api.massive.com/v2/aggs/ticker/SPY/range/1/minute/1/2?cursor=c1",
    }  # fmt: skip
    place = bench(settings={"retry.attempts": 1})
    place.wire = ScriptedWire(place.clock, answer(200, document), answer(500, body=b"down"))
    place.run(BARS, ["SPY"])
    states = place.states(BARS, ["SPY"], SESSIONS)[0]
    assert states[0] == CellState.DATA
    assert states[1] in (CellState.PARTIAL, CellState.TRANSIENT)
    assert (states[2:] == CellState.TRANSIENT).all()
    assert place.lake.tables.scan(BARS).select(pl.len()).collect().item() == 60
    assert place.plan(BARS, ["SPY"]).tasks[0].first.start == SESSIONS[1]
