"""Every finding about cells, in order: the history behind the ledger's present."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, insert, select

from tapemill.clock.injected import Clock
from tapemill.lake.control.cells import CellRecord, CellState, days_of
from tapemill.lake.control.checksum import checked, seal
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import cell_events
from tapemill.secrets import redact

__all__ = ["CellEvent", "CellEvents"]


@dataclass(frozen=True)
class CellEvent:
    """One finding that touched a cell; `rows` counts all cells of the finding."""

    event_id: int
    symbol: str
    state: CellState
    reason: str
    rows: int
    cells: int
    answer_id: int | None
    batch_id: int | None
    at_ns: int


class CellEvents:
    """Append-only history of the ledger; one row per finding, however many cells it touched."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, connection: Connection, records: Sequence[CellRecord], *, batch_id: int | None
    ) -> None:
        """Append one event per record, inside the transaction that changes the cells."""
        first = self._database.next_id(connection, cell_events)
        now = self._clock.now_ns()
        rows = []
        for event_id, record in enumerate(records, start=first):
            counts = np.broadcast_to(np.asarray(record.rows), (len(record.sessions),))
            days = np.sort(days_of(record.sessions))
            row = {
                "event_id": event_id,
                "dataset": record.dataset,
                "symbol": record.symbol,
                "first_session": str(days[0]),
                "last_session": str(days[-1]),
                "days": _encode(days),
                "state": int(record.state),
                "reason": redact(record.reason),
                "row_count": int(counts.sum()),
                "answer_id": record.answer_id,
                "batch_id": batch_id,
                "at_ns": now,
            }
            rows.append(seal(cell_events, row))
        connection.execute(insert(cell_events), rows)

    def of(
        self, connection: Connection, dataset: str, symbols: Sequence[str], session: date
    ) -> list[CellEvent]:
        """Events that touched the cells of `symbols` on `session`, oldest first."""
        iso = session.isoformat()
        statement = (
            select(cell_events)
            .where(
                cell_events.c.dataset == dataset,
                cell_events.c.symbol.in_(list(symbols)),
                cell_events.c.first_session <= iso,
                cell_events.c.last_session >= iso,
            )
            .order_by(cell_events.c.event_id)
        )
        day = np.datetime64(session, "D").astype(np.int32)
        found = []
        for row in connection.execute(statement).mappings():
            values = checked(cell_events, row)
            days = _decode(values["days"])
            if day in days:
                found.append(
                    CellEvent(
                        values["event_id"],
                        values["symbol"],
                        CellState(values["state"]),
                        values["reason"],
                        values["row_count"],
                        len(days),
                        values["answer_id"],
                        values["batch_id"],
                        values["at_ns"],
                    )
                )
        return found

    def last(
        self, connection: Connection, dataset: str, symbol: str, session: date
    ) -> CellEvent | None:
        """The newest event of one cell."""
        events = self.of(connection, dataset, [symbol], session)
        return events[-1] if events else None


def _encode(days: npt.NDArray[np.datetime64]) -> bytes:
    # Sessions follow each other closely, so their steps compress to almost nothing.
    steps = np.diff(days.astype(np.int64), prepend=0)
    return zlib.compress(steps.astype("<i4").tobytes(), 1)


def _decode(blob: bytes) -> npt.NDArray[np.int64]:
    days: npt.NDArray[np.int64] = np.cumsum(np.frombuffer(zlib.decompress(blob), dtype="<i4"))
    return days
