"""Why a cell is as it is, and the control state as frames."""

from datetime import date

import polars as pl

from tapemill.lake.control import CellRecord, CellState, Effects, EventKind

BARS = "bronze.massive_bars_1m"
SILVER = "silver.equity_bars_1m"
DAY = date(2024, 3, 1)
NEXT = date(2024, 3, 4)


def live_through(control, clock):
    """A throttle, a retry, rows, a build, and an incident about another day."""
    asked = {"symbol": "AAPL", "start": DAY, "end": NEXT}
    control.calls.record_attempt(
        "massive", BARS, "/v2", status=429, outcome="rate-limited", **asked
    )
    control.ledger.record(BARS, "AAPL", [DAY, NEXT], CellState.RATE_LIMITED, reason="429")
    clock.advance(1)
    control.calls.record_attempt("massive", BARS, "/v2", status=200, outcome="data", **asked)
    answer = control.answers.store(
        "t", 1, "massive", BARS, "ab" * 32, clock.now_ns(), "r-1", "data", **asked
    )
    clock.advance(1)
    batch = control.batches.begin(BARS, [answer])
    record = CellRecord(BARS, "AAPL", [DAY, NEXT], CellState.DATA, rows=[390, 9], answer_id=answer)
    control.batches.finish(batch, Effects(cells=[record]), table_version=3, rows=399, quarantined=2)
    clock.advance(1)
    control.builds.record(SILVER, DAY.isoformat(), "cd" * 32, 390)
    control.builds.record(SILVER, NEXT.isoformat(), "ef" * 32, 9)
    clock.advance(1)
    control.incidents.open("coverage", SILVER, f"AAPL {NEXT}", "9 of 390 bars")
    own = control.incidents.open("coverage", SILVER, f"market {DAY}", "a minute is missing")
    clock.advance(1)
    control.incidents.resolve(own, "the vendor refilled it")
    control.imports.record("99" * 32, "bars", "other.csv", 1, 0, dataset=BARS, start=NEXT, end=NEXT)


def test_the_history_of_a_cell_is_whole_ordered_and_only_its_own(control, clock):
    live_through(control, clock)
    control.ledger.record(BARS, "MSFT", [DAY], CellState.TRANSIENT)
    story = control.why(BARS, "AAPL", DAY, derived=[SILVER])
    assert [event.kind for event in story] == [
        EventKind.CALL,
        EventKind.CELL,
        EventKind.CALL,
        EventKind.ANSWER,
        EventKind.BATCH,
        EventKind.CELL,
        EventKind.BUILD,
        EventKind.INCIDENT,
        EventKind.RESOLVED,
    ]
    assert [event.at_ns for event in story] == sorted(event.at_ns for event in story)
    text = "\n".join(event.summary for event in story)
    for fact in ("429", "r", "table version 3", "2 quarantined", "refilled", "became data"):
        assert fact in text
    assert story[3].facts["request_id"] == "r-1"
    later = control.why(BARS, "AAPL", NEXT, derived=[SILVER])
    assert EventKind.IMPORT in {event.kind for event in later}
    assert "9 of 390" in "\n".join(event.summary for event in later)


def test_the_market_file_is_part_of_every_symbols_story(control):
    control.ledger.record(BARS, "*", [DAY], CellState.DATA, rows=9000, raw_sha256="ab")
    (event,) = control.why(BARS, "ZZZ", DAY)
    assert event.facts["symbol"] == "*"


def test_an_untouched_cell_has_no_history(control):
    assert control.why(BARS, "AAPL", DAY) == []


def test_frames_hold_every_record_and_answer_sql(control, clock):
    live_through(control, clock)
    frames = control.frames()
    heights = {name: frame.height for name, frame in frames.items()}
    assert heights == {
        "ops.calls": 2,
        "ops.answers": 1,
        "ops.batches": 1,
        "ops.incidents": 2,
        "ops.builds": 2,
        "ops.imports": 1,
        "ops.cells": 2,
    }
    assert frames["ops.cells"].rows() == [
        (BARS, "AAPL", DAY, "data", 390, 1),
        (BARS, "AAPL", NEXT, "data", 9, 1),
    ]
    assert frames["ops.answers"]["first_session"].to_list() == [DAY]
    found = frames["ops.answers"].select("symbol", "last_session", "outcome").rows()
    assert found == [("AAPL", NEXT, "data")]


def test_empty_frames_keep_their_types(control):
    frames = control.frames(["ops.cells", "ops.imports"])
    assert list(frames) == ["ops.cells", "ops.imports"]
    assert frames["ops.cells"].schema["session"] == pl.Date
    assert frames["ops.imports"].schema["first_session"] == pl.Date
    assert frames["ops.imports"].schema["row_count"] == pl.Int64
