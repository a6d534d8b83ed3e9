"""Crashes at every boundary between receiving and settling: the same rows, each once."""

import dataclasses

import pytest

from intake.bench import END, START
from tapemill.clock import calendar
from tapemill.errors import CorruptError, LakeError
from tapemill.intake import recover
from tapemill.lake.control import CellState
from tapemill.world import Fault

XNYS = calendar("XNYS")
SESSIONS = XNYS.session_dates(START, END)
DAILY = "bronze.massive_bars_1d"
BOUNDARIES = ["raw.put", "answers.store", "batches.begin", "tables.append", "batches.finish"]


class Killed(BaseException):
    """As hard as a kill can be in a test's own process."""


def die_around(place, monkeypatch, boundary, moment, nth):
    """Die before or after the nth passage of a boundary."""
    holder_name, method = boundary.split(".")
    lake = place.lake
    holder = {
        "raw": lake.raw,
        "tables": lake.tables,
        "answers": lake.control.answers,
        "batches": lake.control.batches,
    }[holder_name]
    real, passages = getattr(holder, method), []

    def watched(*arguments, **more):
        passages.append(1)
        if len(passages) == nth and moment == "before":
            raise Killed
        result = real(*arguments, **more)
        if len(passages) == nth:
            raise Killed
        return result

    monkeypatch.setattr(holder, method, watched)


@pytest.mark.crash
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_death_at_a_boundary_neither_loses_nor_doubles(bench, monkeypatch, boundary, moment):
    """ssot A15; "the same page appended twice after a failed state commit" (must show 7)."""
    place = bench(settings={"massive.max_in_flight": 1, "landing.batch_rows": 1})
    with monkeypatch.context() as patched:
        die_around(place, patched, boundary, moment, nth=3)
        with pytest.raises(Killed):
            place.run("bars_1d", None)
    calls_before = len(place.wire.calls)
    report = place.run("bars_1d", None)
    assert report.remaining == 0
    rows = place.lake.tables.scan(DAILY).collect()
    assert rows.height == rows.n_unique(["symbol", "session"]) == 4 * len(SESSIONS)
    matrix = place.lake.control.ledger.matrix(DAILY, ["*"], SESSIONS)
    assert (matrix.states == CellState.DATA).all()
    assert (matrix.rows == 4).all()
    assert (matrix.versions == 1).all()
    # An answer that was stored is never asked for again.
    assert calls_before + report.calls <= len(SESSIONS) + 1
    assert not place.lake.control.batches.unfinished()
    assert not place.lake.control.answers.unlanded()


def test_recovery_without_leftovers_does_nothing(bench):
    place = bench()
    place.run("bars_1d", None)
    digest = place.lake.tables.digest(DAILY)
    landed = recover(place.lake, place.settings, XNYS)
    assert (landed.rows, landed.cells) == (0, 0)
    assert place.lake.tables.digest(DAILY) == digest


def test_a_kept_answer_that_reads_differently_now_stops_recovery(bench, monkeypatch):
    place = bench(settings={"massive.max_in_flight": 1})
    with monkeypatch.context() as patched:
        die_around(place, patched, "answers.store", "after", nth=1)
        with pytest.raises(Killed):
            place.run("bars_1d", None)
    stored = place.lake.control.answers.unlanded()[0]
    truth = place.lake.raw.get(stored.raw_sha256)
    monkeypatch.setattr(place.lake.raw, "get", lambda _: truth[: len(truth) // 2])
    with pytest.raises(CorruptError, match="was data when it came"):
        recover(place.lake, place.settings, XNYS)


def test_a_full_disk_ends_the_run_with_one_clear_error_and_loses_nothing(bench, monkeypatch):
    place = bench(settings={"massive.max_in_flight": 2})
    with monkeypatch.context() as patched:

        def full(*_, **__):
            raise LakeError("the disk is full", next_step="free space")

        patched.setattr(place.lake.tables, "append", full)
        with pytest.raises(LakeError, match="disk is full"):
            place.run("bars_1d", None)
    assert not place.lake.control.claims.held()
    assert place.run("bars_1d", None).remaining == 0
    rows = place.lake.tables.scan(DAILY).collect()
    assert rows.height == rows.n_unique(["symbol", "session"]) == 4 * len(SESSIONS)


def test_a_listing_that_died_half_way_keeps_its_pages(bench, monkeypatch):
    place = bench()
    with monkeypatch.context() as patched:
        die_around(place, patched, "batches.finish", "before", nth=1)
        with pytest.raises(Killed):
            place.run("dividends", None)
    place.sandbox.faults.replace([Fault(kind="error_5xx")])
    recover(place.lake, place.settings, XNYS)
    states = place.states("bronze.massive_dividends", ["*"], SESSIONS)
    assert set(states.ravel().tolist()) == {CellState.DATA, CellState.EMPTY}


@pytest.mark.crash
def test_a_recovered_row_keeps_the_marks_of_its_answer(bench, monkeypatch):
    """Request id and the mark of synthetic data come in headers: kept with the body."""
    place = bench(settings={"finra.max_in_flight": 1})
    plan = place.plan("short_volume", None, via="api")
    send = place.wire.send

    async def named(call, arrived):
        answer = await send(call, arrived)
        return dataclasses.replace(
            answer, headers={**answer.headers, "finra-api-request-id": "of-this-answer"}
        )

    monkeypatch.setattr(place.wire, "send", named)
    with monkeypatch.context() as patched:
        die_around(place, patched, "answers.store", "after", nth=1)
        with pytest.raises(Killed):
            place.fetch(plan)
    assert recover(place.lake, place.settings, XNYS).rows > 0
    rows = place.lake.tables.scan("bronze.finra_short_volume").collect()
    assert set(rows["request_id"]) == {"of-this-answer"}
    assert set(rows["source"]) == {"finra.api.synthetic"}
