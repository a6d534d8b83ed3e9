"""Cells: what is recorded is what is read, and completeness never steps back."""

from datetime import date, timedelta

import numpy as np
import pytest

from tapemill.errors import CorruptError, DateError, LakeError
from tapemill.lake.control import MARKET, CellRecord, CellState

BARS = "bronze.massive_bars_1m"
DAYS = [date(2024, 12, 30), date(2024, 12, 31), date(2025, 1, 2)]
LEAP = [date(2024, 2, 29), date(2024, 12, 31), date(2023, 12, 31), date(2024, 1, 1)]


def states(control, symbols, days=DAYS):
    return control.ledger.matrix(BARS, symbols, days).states.tolist()


def test_cells_come_back_in_the_order_asked_for(control):
    control.ledger.record(BARS, "AAPL", LEAP, CellState.DATA, rows=[1, 2, 3, 4])
    order = [LEAP[2], LEAP[0], LEAP[3], LEAP[1]]
    found = control.ledger.matrix(BARS, ["MSFT", "AAPL"], order)
    assert found.rows.tolist() == [[0, 0, 0, 0], [3, 1, 4, 2]]
    assert found.states.dtype == np.uint8
    assert found.rows.dtype == np.uint32
    assert found.versions.dtype == np.uint16
    assert control.ledger.pending(BARS, ["AAPL", "MSFT"], order).tolist() == [
        [False] * 4,
        [True] * 4,
    ]


def test_a_later_failure_does_not_reopen_a_complete_cell(control):
    control.ledger.record(BARS, "AAPL", DAYS[:1], CellState.DATA, rows=390)
    control.ledger.record(BARS, "AAPL", DAYS[1:2], CellState.EMPTY, reason="no trades")
    for failure in (CellState.TRANSIENT, CellState.NOT_ENTITLED, CellState.PARTIAL):
        control.ledger.record(BARS, "AAPL", DAYS, failure, reason="failed", rows=7)
        assert states(control, ["AAPL"]) == [[CellState.DATA, CellState.EMPTY, failure]]
    assert control.ledger.matrix(BARS, ["AAPL"], DAYS).rows.tolist() == [[390, 0, 7]]


def test_data_outranks_emptiness_and_emptiness_never_data(control):
    control.ledger.record(BARS, "AAPL", DAYS[:2], CellState.EMPTY)
    control.ledger.record(BARS, "AAPL", DAYS[:1], CellState.DATA, rows=5)
    control.ledger.record(BARS, "AAPL", DAYS[:1], CellState.EMPTY)
    assert states(control, ["AAPL"]) == [[CellState.DATA, CellState.EMPTY, CellState.PENDING]]
    assert control.ledger.cell(BARS, "AAPL", DAYS[0]).rows == 5


def test_only_data_and_confirmed_emptiness_complete_a_cell(control):
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(len(CellState))]
    for day, state in zip(days, CellState, strict=True):
        if state != CellState.PENDING:
            control.ledger.record(BARS, "AAPL", [day], state)
    complete = ~control.ledger.pending(BARS, ["AAPL"], days)[0]
    assert [s for s, done in zip(CellState, complete, strict=True) if done] == [
        CellState.DATA,
        CellState.EMPTY,
    ]


def test_the_market_cell_covers_every_symbol(control):
    control.ledger.record(BARS, MARKET, DAYS[:2], CellState.DATA, rows=[9000, 9001], raw_sha256="f")
    control.ledger.record(BARS, "AAPL", DAYS[1:], CellState.BAD_ANSWER)
    control.ledger.record(BARS, "SPY", DAYS[:1], CellState.DATA, rows=390)
    found = control.ledger.matrix(BARS, ["AAPL", "SPY", "ZZZ"], DAYS)
    assert found.states.tolist() == [[1, 1, 7], [1, 1, 0], [1, 1, 0]]
    assert found.rows.tolist() == [[9000, 9001, 0], [390, 9001, 0], [9000, 9001, 0]]
    assert found.versions.tolist() == [[1, 1, 0], [0, 1, 0], [1, 1, 0]]
    assert not control.ledger.pending(BARS, ["NEW"], DAYS[:2]).any()


def test_a_failed_market_file_shows_only_where_the_symbol_knows_nothing(control):
    control.ledger.record(BARS, MARKET, DAYS, CellState.TRANSIENT, reason="timed out")
    control.ledger.record(BARS, "AAPL", DAYS[:1], CellState.NOT_ENTITLED, reason="plan")
    assert states(control, ["AAPL", "MSFT"]) == [[3, 6, 6], [6, 6, 6]]
    assert control.ledger.cell(BARS, "AAPL", DAYS[0]).reason == "plan"
    assert control.ledger.cell(BARS, "AAPL", DAYS[1]).reason == "timed out"


def test_versions_count_raw_objects_not_repetitions(control):
    for raw in ("aa", "aa", "bb", "aa"):
        control.ledger.record(BARS, "AAPL", DAYS[:1], CellState.DATA, rows=3, raw_sha256=raw)
    control.ledger.record(BARS, "AAPL", DAYS, CellState.DATA, rows=3, raw_sha256="bb")
    assert control.ledger.matrix(BARS, ["AAPL"], DAYS).versions.tolist() == [[2, 1, 1]]


def test_audit_adds_up_to_every_cell(control):
    control.ledger.record(BARS, "AAPL", DAYS, CellState.DATA, rows=1)
    control.ledger.record(BARS, "MSFT", DAYS[:1], CellState.TRANSIENT)
    symbols = [f"S{n}" for n in range(230)] + ["AAPL", "MSFT"]
    counts = control.ledger.audit(BARS, symbols, DAYS)
    assert sum(counts.values()) == len(symbols) * len(DAYS)
    assert (counts[CellState.DATA], counts[CellState.TRANSIENT]) == (3, 1)


def test_reopen_is_the_only_way_back(control, clock):
    control.ledger.record(BARS, "AAPL", DAYS, CellState.DATA, rows=390, raw_sha256="aa")
    clock.advance(5)
    control.ledger.reopen(BARS, "AAPL", DAYS[1:2], reason="raw object is corrupt")
    cell = control.ledger.cell(BARS, "AAPL", DAYS[1])
    assert (cell.state, cell.rows, cell.reason) == (CellState.PENDING, 0, "raw object is corrupt")
    assert cell.updated_ns == clock.now_ns()
    assert control.ledger.cell(BARS, "AAPL", DAYS[0]).state == CellState.DATA
    assert control.ledger.pending(BARS, ["AAPL"], DAYS).tolist() == [[False, True, False]]


def test_an_untouched_cell_is_pending_and_has_no_moment(control):
    cell = control.ledger.cell(BARS, "AAPL", DAYS[0])
    assert (cell.state, cell.reason, cell.updated_ns) == (CellState.PENDING, "", None)


def test_the_same_session_twice_is_refused(control):
    with pytest.raises(DateError, match="twice"):
        control.ledger.record(BARS, "AAPL", [DAYS[0], DAYS[0]], CellState.DATA)
    with pytest.raises(DateError, match="twice"):
        control.ledger.matrix(BARS, ["AAPL"], [DAYS[0], DAYS[0]])


def test_row_counts_must_fit_the_sessions(control):
    with pytest.raises(LakeError, match="2 row counts were given for 3 sessions"):
        control.ledger.record(BARS, "AAPL", DAYS, CellState.DATA, rows=[1, 2])
    assert control.ledger.symbols(BARS) == []


def test_an_unknown_answer_is_refused_and_nothing_is_recorded(control):
    with pytest.raises(LakeError, match="answer 99"):
        control.ledger.record_many(
            [
                CellRecord(BARS, "AAPL", DAYS, CellState.DATA),
                CellRecord(BARS, "MSFT", DAYS, CellState.DATA, answer_id=99),
            ]
        )
    assert states(control, ["AAPL"]) == [[0, 0, 0]]


def test_a_flipped_bit_is_refused_with_its_place(control):
    control.ledger.record(BARS, "AAPL", DAYS, CellState.DATA, rows=1)
    with control.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE ledger_states SET states = zeroblob(366) WHERE year = 2024"
        )
    with pytest.raises(CorruptError, match="massive_bars_1m AAPL 2024") as caught:
        control.ledger.pending(BARS, ["AAPL"], DAYS)
    assert caught.value.where == f"ledger {BARS}/AAPL/2024"
    control.ledger.pending(BARS, ["AAPL"], DAYS[2:])


def test_a_blob_in_the_wrong_row_is_refused(control):
    control.ledger.record(BARS, "AAPL", DAYS, CellState.DATA, rows=1)
    with control.database.write() as connection:
        connection.exec_driver_sql("UPDATE ledger_states SET symbol = 'AMZN'")
    with pytest.raises(CorruptError, match="AMZN"):
        control.ledger.audit(BARS, ["AMZN"], DAYS)
