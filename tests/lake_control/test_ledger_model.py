"""The ledger beside a plain dictionary, through any sequence of findings."""

import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tapemill.clock.injected import VirtualClock
from tapemill.lake.control import CellRecord, CellState, open_control

pytestmark = pytest.mark.property

DATASETS = ["bronze.a", "bronze.b"]
SYMBOLS = ["A", "B", "*"]
DAYS = [date(2023, 12, 29) + timedelta(days=n) for n in range(6)]
RAWS = ["r1", "r2", "r3"]

days = st.lists(st.sampled_from(DAYS), min_size=1, max_size=4, unique=True)
found_states = st.sampled_from([state for state in CellState if state != CellState.PENDING])


class LedgerMachine(RuleBasedStateMachine):
    """Model: {(dataset, symbol, day): [state, rows, raws]}."""

    @initialize()
    def open(self):
        self.folder = tempfile.mkdtemp()
        self.location = Path(self.folder) / "control.sqlite"
        self.control = open_control(self.location, VirtualClock())
        self.model = {}

    def teardown(self):
        self.control.close()
        shutil.rmtree(self.folder)

    def apply(self, dataset, symbol, sessions, state, rows, raw):
        for day in sessions:
            cell = self.model.setdefault((dataset, symbol, day), [CellState.PENDING, 0, set()])
            if raw and state in (CellState.DATA, CellState.PARTIAL):
                cell[2].add(raw)
            ranks = {CellState.DATA: 2, CellState.EMPTY: 1}
            if ranks.get(state, 0) < ranks.get(cell[0], 0):
                continue
            cell[0] = state
            if state in (CellState.DATA, CellState.PARTIAL, CellState.EMPTY):
                cell[1] = rows

    @rule(
        dataset=st.sampled_from(DATASETS),
        symbol=st.sampled_from(SYMBOLS),
        sessions=days,
        state=found_states,
        rows=st.integers(0, 2**32 - 1),
        raw=st.sampled_from([None, *RAWS]),
    )
    def record(self, dataset, symbol, sessions, state, rows, raw):
        self.control.ledger.record(dataset, symbol, sessions, state, rows=rows, raw_sha256=raw)
        self.apply(dataset, symbol, sessions, state, rows, raw)

    @rule(
        dataset=st.sampled_from(DATASETS),
        findings=st.lists(
            st.tuples(st.sampled_from(SYMBOLS), days, found_states, st.sampled_from(RAWS)),
            max_size=4,
        ),
    )
    def record_together(self, dataset, findings):
        records = [
            CellRecord(dataset, symbol, sessions, state, rows=n, raw_sha256=raw)
            for n, (symbol, sessions, state, raw) in enumerate(findings)
        ]
        self.control.ledger.record_many(records)
        for n, (symbol, sessions, state, raw) in enumerate(findings):
            self.apply(dataset, symbol, sessions, state, n, raw)

    @rule(dataset=st.sampled_from(DATASETS), symbol=st.sampled_from(SYMBOLS), sessions=days)
    def reopen(self, dataset, symbol, sessions):
        self.control.ledger.reopen(dataset, symbol, sessions, reason="again")
        for day in sessions:
            cell = self.model.setdefault((dataset, symbol, day), [CellState.PENDING, 0, set()])
            cell[:2] = [CellState.PENDING, 0]

    @rule(dataset=st.sampled_from(DATASETS), sessions=days)
    def fail_half_way(self, dataset, sessions):
        with pytest.raises(ZeroDivisionError), self.control.transaction():
            self.control.ledger.record(dataset, "A", sessions, CellState.DATA, raw_sha256="lost")
            raise ZeroDivisionError

    @rule()
    def restart(self):
        self.control.close()
        self.control = open_control(self.location, VirtualClock())

    @invariant()
    def every_cell_agrees(self):
        for dataset in DATASETS:
            found = self.control.ledger.matrix(dataset, ["A", "B"], DAYS)
            pending = self.control.ledger.pending(dataset, ["A", "B"], DAYS)
            tally = dict.fromkeys(CellState, 0)
            for i, symbol in enumerate(["A", "B"]):
                for j, day in enumerate(DAYS):
                    cell = self.shown(dataset, symbol, day)
                    assert found.states[i, j] == cell[0]
                    assert found.rows[i, j] == cell[1]
                    assert found.versions[i, j] == len(cell[2])
                    assert pending[i, j] == (cell[0] not in (CellState.DATA, CellState.EMPTY))
                    tally[cell[0]] += 1
            assert self.control.ledger.audit(dataset, ["A", "B"], DAYS) == tally

    @invariant()
    def fingerprints_depend_on_members_only(self):
        assert not self.control.verify()

    def shown(self, dataset, symbol, day):
        blank = [CellState.PENDING, 0, set()]
        own = self.model.get((dataset, symbol, day), blank)
        market = self.model.get((dataset, "*", day), blank)
        done = (CellState.DATA, CellState.EMPTY)
        if own[0] in done or (own[0] != CellState.PENDING and market[0] not in done):
            return own
        return market if market[0] != CellState.PENDING else own


LedgerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestLedgerAgainstModel = LedgerMachine.TestCase
