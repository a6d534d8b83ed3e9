"""The ledger: what is known of every (dataset, symbol, session)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, select

from tapemill.clock.injected import Clock
from tapemill.errors import LakeError
from tapemill.lake.control.cell_events import CellEvents
from tapemill.lake.control.cells import (
    COMPLETE,
    MARKET,
    Cell,
    CellMatrix,
    CellRecord,
    CellState,
    SessionSlots,
    overlay,
)
from tapemill.lake.control.contents import ContentRecord, Contents
from tapemill.lake.control.engine import Database
from tapemill.lake.control.pages import Page, Pages, stream_counts, stream_states
from tapemill.lake.control.schema import answers

__all__ = ["Ledger"]

_HOLDING_ROWS = (CellState.DATA, CellState.PARTIAL)


class Ledger:
    """One cell per (dataset, symbol, session), kept as one blob per (dataset, symbol, year).

    A complete cell (data, or confirmed empty) stays complete: a later failure is an event in its
    history, not a step back. Only :meth:`reopen` makes it pending again.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._contents = Contents(database)
        self._events = CellEvents(database, clock)
        self._pages = Pages(database)

    def record(
        self,
        dataset: str,
        symbol: str,
        sessions: Sequence[date],
        state: CellState,
        *,
        reason: str = "",
        rows: int | Sequence[int] = 0,
        answer_id: int | None = None,
        raw_sha256: str | None = None,
    ) -> None:
        """Record one finding; see :class:`CellRecord` for the arguments.

        Raises
        ------
        DateError
            A session is given twice.
        LakeError
            `rows` does not match `sessions`, or the answer does not exist.
        """
        self.record_many(
            [CellRecord(dataset, symbol, sessions, state, reason, rows, answer_id, raw_sha256)]
        )

    def record_many(self, records: Sequence[CellRecord], *, batch_id: int | None = None) -> None:
        """Record findings in one transaction, in the order given.

        A cell's version rises by one whenever rows come from a raw object that had not touched it.
        """
        records = [record for record in records if len(record.sessions)]
        if not records:
            return
        with self._database.write() as connection:
            raws = self._raw_objects(connection, records)
            fresh = self._add_contents(records, raws, batch_id)
            pages = self._pages.load(
                connection,
                {(r.dataset, r.symbol, day.year) for r in records for day in r.sessions},
            )
            for record, news in zip(records, fresh, strict=True):
                _apply(pages, record, news)
            self._pages.save(connection, pages)
            self._events.add(connection, records, batch_id=batch_id)

    def reopen(self, dataset: str, symbol: str, sessions: Sequence[date], *, reason: str) -> None:
        """Make cells pending again, whatever they were: their data is gone or not to be believed.

        Their contents stay recorded: the raw objects have touched them.
        """
        with self._database.write() as connection:
            record = CellRecord(dataset, symbol, sessions, CellState.PENDING, reason)
            pages = self._pages.load(connection, {(dataset, symbol, d.year) for d in sessions})
            for year, (_, slots) in SessionSlots(sessions).by_year.items():
                pages[dataset, symbol, year].states[slots] = CellState.PENDING
                pages[dataset, symbol, year].rows[slots] = 0
            self._pages.save(connection, pages)
            self._events.add(connection, [record], batch_id=None)

    def matrix(self, dataset: str, symbols: Sequence[str], sessions: Sequence[date]) -> CellMatrix:
        """States, rows and versions of `symbols` (axis 0) by `sessions` (axis 1).

        Raises
        ------
        CorruptError
            A stored blob differs from its checksum.
        """
        slots = SessionSlots(sessions)
        with self._database.read() as connection:
            own = self._states(connection, dataset, symbols, slots)
            states, from_market = overlay(own, self._market(connection, dataset, slots), symbols)
            rows, versions = self._counts(connection, dataset, symbols, slots)
            market_rows, market_versions = self._counts(connection, dataset, [MARKET], slots)
        return CellMatrix(
            states,
            np.where(from_market, market_rows, rows),
            np.where(from_market, market_versions, versions),
        )

    def pending(
        self, dataset: str, symbols: Sequence[str], sessions: Sequence[date]
    ) -> npt.NDArray[np.bool_]:
        """Where a cell is not complete: bool array [symbol, session]."""
        slots = SessionSlots(sessions)
        incomplete = np.ones((len(symbols), slots.count), dtype=np.bool_)
        for start, states in self._stream(dataset, symbols, slots):
            block = incomplete[start : start + len(states)]
            for state in COMPLETE:
                block &= states != state
        return incomplete

    def audit(
        self, dataset: str, symbols: Sequence[str], sessions: Sequence[date]
    ) -> dict[CellState, int]:
        """Cells by state; the counts add up to ``len(symbols) * len(sessions)``."""
        counts = np.zeros(len(CellState), dtype=np.int64)
        for _, states in self._stream(dataset, symbols, SessionSlots(sessions)):
            for state in CellState:
                counts[state] += np.count_nonzero(states == state)
        return {state: int(counts[state]) for state in CellState}

    def cell(self, dataset: str, symbol: str, session: date) -> Cell:
        """One cell with the reason and moment of its last event (times in ns UTC)."""
        with self._database.read() as connection:
            found = self.matrix(dataset, [symbol], [session])
            own = self._states(connection, dataset, [symbol], SessionSlots([session]))
            shown = symbol if own[0, 0] == found.states[0, 0] else MARKET
            event = self._events.last(connection, dataset, shown, session)
        return Cell(
            CellState(int(found.states[0, 0])),
            event.reason if event else "",
            int(found.rows[0, 0]),
            int(found.versions[0, 0]),
            event.at_ns if event else None,
        )

    def symbols(self, dataset: str) -> list[str]:
        """Symbols with any cell of the dataset, "*" included, sorted."""
        with self._database.read() as connection:
            return self._pages.symbols(connection, dataset)

    def _stream(
        self, dataset: str, symbols: Sequence[str], slots: SessionSlots
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Blocks of states with the market laid under them, so that memory stays bounded."""
        with self._database.read() as connection:
            market = self._market(connection, dataset, slots)
            any_market = bool(market.any())
            for start, states in stream_states(connection, dataset, symbols, slots):
                names = symbols[start : start + len(states)]
                yield start, overlay(states, market, names)[0] if any_market else states

    def _states(
        self, connection: Connection, dataset: str, symbols: Sequence[str], slots: SessionSlots
    ) -> npt.NDArray[np.uint8]:
        whole = np.zeros((len(symbols), slots.count), dtype=np.uint8)
        for start, states in stream_states(connection, dataset, symbols, slots):
            whole[start : start + len(states)] = states
        return whole

    def _market(
        self, connection: Connection, dataset: str, slots: SessionSlots
    ) -> npt.NDArray[np.uint8]:
        market: npt.NDArray[np.uint8] = self._states(connection, dataset, [MARKET], slots)[0]
        return market

    def _counts(
        self, connection: Connection, dataset: str, symbols: Sequence[str], slots: SessionSlots
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
        rows = np.zeros((len(symbols), slots.count), dtype=np.uint32)
        versions = np.zeros((len(symbols), slots.count), dtype=np.uint16)
        for start, block_rows, block_versions in stream_counts(connection, dataset, symbols, slots):
            rows[start : start + len(block_rows)] = block_rows
            versions[start : start + len(block_rows)] = block_versions
        return rows, versions

    def _raw_objects(
        self, connection: Connection, records: Sequence[CellRecord]
    ) -> list[str | None]:
        asked = sorted({r.answer_id for r in records if r.answer_id is not None})
        known: dict[int, str] = {}
        for start in range(0, len(asked), 500):
            statement = select(answers.c.answer_id, answers.c.raw_sha256).where(
                answers.c.answer_id.in_(asked[start : start + 500])
            )
            known.update({row[0]: row[1] for row in connection.execute(statement)})
        missing = [answer_id for answer_id in asked if answer_id not in known]
        if missing:
            raise LakeError(
                f"the ledger was told of answer {missing[0]}, which is not stored",
                where="control answers",
                next_step="store the answer before recording what it covers",
            )
        return [r.raw_sha256 if r.answer_id is None else known[r.answer_id] for r in records]

    def _add_contents(
        self,
        records: Sequence[CellRecord],
        raws: Sequence[str | None],
        batch_id: int | None,
    ) -> list[npt.NDArray[np.bool_]]:
        fresh = [np.zeros(len(record.sessions), dtype=np.bool_) for record in records]
        places: list[int] = []
        found: list[ContentRecord] = []
        for place, (record, raw) in enumerate(zip(records, raws, strict=True)):
            if raw is not None and record.state in _HOLDING_ROWS:
                rows = _rows(record).tolist()
                found.append(
                    ContentRecord(record.dataset, record.sessions, raw, rows, record.symbol)
                )
                places.append(place)
        for place, news in zip(places, self._contents.add(found, batch_id=batch_id), strict=True):
            fresh[place] = news
        return fresh


def _rows(record: CellRecord) -> npt.NDArray[np.uint32]:
    rows = np.asarray(record.rows, dtype=np.uint32)
    if rows.ndim == 0:
        return np.full(len(record.sessions), rows, dtype=np.uint32)
    if len(rows) != len(record.sessions):
        raise LakeError(
            f"{len(rows)} row counts were given for {len(record.sessions)} sessions",
            where=f"ledger {record.dataset}/{record.symbol}",
            next_step="give one count for all sessions, or one each",
        )
    return rows


def _apply(
    pages: dict[tuple[str, str, int], Page], record: CellRecord, fresh: npt.NDArray[np.bool_]
) -> None:
    rows = _rows(record)
    for year, (columns, slots) in SessionSlots(record.sessions).by_year.items():
        page = pages[record.dataset, record.symbol, year]
        before = page.states[slots]
        # Data outranks everything, confirmed emptiness everything but data.
        allowed = before != CellState.DATA
        if record.state == CellState.DATA:
            allowed = np.ones_like(allowed)
        elif record.state != CellState.EMPTY:
            allowed &= before != CellState.EMPTY
        page.states[slots[allowed]] = record.state
        if record.state in _HOLDING_ROWS or record.state == CellState.EMPTY:
            page.rows[slots[allowed]] = rows[columns][allowed]
        # A counter that wrapped to zero would say "never seen".
        risen = page.versions[slots].astype(np.uint32) + fresh[columns]
        page.versions[slots] = np.minimum(risen, np.iinfo(np.uint16).max)
