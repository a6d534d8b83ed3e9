"""The causal history of one cell: what `tapemill why` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, Table, select

from tapemill.lake.control.cell_events import CellEvents
from tapemill.lake.control.cells import MARKET
from tapemill.lake.control.checksum import checked_all
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import answers, batches, builds, calls, imports, incidents

__all__ = ["EventKind", "HistoryEvent", "history"]


class EventKind(StrEnum):
    """What an event of a cell's history tells of."""

    CALL = "call"
    ANSWER = "answer"
    IMPORT = "import"
    BATCH = "batch"
    CELL = "cell"
    BUILD = "build"
    INCIDENT = "incident"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class HistoryEvent:
    """One event at `at_ns` (ns UTC); `facts` are the columns of the record behind it."""

    at_ns: int
    kind: EventKind
    summary: str
    facts: dict[str, Any] = field(default_factory=dict)


def history(
    database: Database,
    events: CellEvents,
    dataset: str,
    symbol: str,
    session: date,
    *,
    derived: Sequence[str] = (),
) -> list[HistoryEvent]:
    """Everything that made one cell what it is, oldest first.

    Parameters
    ----------
    dataset, symbol, session
        The cell. Findings, calls and answers about the whole market of the session count as well.
    derived : sequence of str
        Datasets made from `dataset`, whose builds of the session belong to the story.
    """
    reader = _Reader(database, events, dataset, symbol, session)
    with database.read():
        told = [
            *reader.calls(),
            *reader.answers(),
            *reader.cells_and_imports(),
            *reader.batches(),
            *reader.builds([dataset, *derived]),
            *reader.incidents([dataset, *derived]),
        ]
    order = list(EventKind)
    return sorted(told, key=lambda event: (event.at_ns, order.index(event.kind)))


class _Reader:
    """Events of one cell, one kind a method."""

    def __init__(
        self, database: Database, events: CellEvents, dataset: str, symbol: str, session: date
    ) -> None:
        self._database = database
        self._events = events
        self._dataset = dataset
        self._symbols = list(dict.fromkeys([symbol, MARKET]))
        self._session = session

    def calls(self) -> Iterator[HistoryEvent]:
        for row in self._rows(calls, self._covering(calls).order_by(calls.c.call_id)):
            text = f"call {row['call_id']} to {row['vendor']}: {row['method']} {row['path']}"
            text += f" → {row['status'] or 'no answer'} {row['outcome']}"
            yield HistoryEvent(row["at_ns"], EventKind.CALL, _because(text, row["reason"]), row)

    def answers(self) -> Iterator[HistoryEvent]:
        for row in self._rows(answers, self._covering(answers).order_by(answers.c.answer_id)):
            text = f"answer {row['answer_id']}, page {row['page']}: {row['outcome']}"
            text += f", raw {row['raw_sha256'][:12]}, {row['stage']}"
            event = HistoryEvent(
                row["ts_recv_ns"], EventKind.ANSWER, _because(text, row["reason"]), row
            )
            yield event

    def cells_and_imports(self) -> Iterator[HistoryEvent]:
        with self._database.read() as connection:
            found = self._events.of(connection, self._dataset, self._symbols, self._session)
        for event in found:
            text = f"{self._dataset} {event.symbol} became {event.state.name.lower()}"
            text += f" with {event.cells} cell(s) and {event.rows} row(s) in the finding"
            facts = dict(vars(event))
            yield HistoryEvent(event.at_ns, EventKind.CELL, _because(text, event.reason), facts)
        iso = self._session.isoformat()
        statement = select(imports).where(
            imports.c.dataset == self._dataset,
            imports.c.first_session <= iso,
            imports.c.last_session >= iso,
        )
        for row in self._rows(imports, statement.order_by(imports.c.import_id)):
            text = f"import of {row['name']} as {row['kind']}: {row['row_count']} row(s)"
            text += f", {row['quarantined']} quarantined, raw {row['sha256'][:12]}"
            yield HistoryEvent(row["at_ns"], EventKind.IMPORT, text, row)

    def batches(self) -> Iterator[HistoryEvent]:
        ids = {row["batch_id"] for row in self._rows(answers, self._covering(answers))}
        with self._database.read() as connection:
            found = self._events.of(connection, self._dataset, self._symbols, self._session)
        ids |= {event.batch_id for event in found}
        statement = select(batches).where(batches.c.batch_id.in_(sorted(ids - {None})))
        for row in self._rows(batches, statement.order_by(batches.c.batch_id)):
            text = f"batch {row['batch_id']} ({row['writer']} #{row['sequence']}) {row['stage']}"
            if row["stage"] == "finished":
                text += f": {row['row_count']} row(s), {row['quarantined']} quarantined"
            if row["table_version"] is not None:
                text += f", table version {row['table_version']}"
            at = row["begun_ns"] if row["finished_ns"] is None else row["finished_ns"]
            yield HistoryEvent(at, EventKind.BATCH, text, row)

    def builds(self, datasets: Sequence[str]) -> Iterator[HistoryEvent]:
        iso = self._session.isoformat()
        statement = select(builds).where(
            builds.c.dataset.in_(list(datasets)),
            builds.c.unit.in_([iso, iso[:7], iso[:4], "table", MARKET])
            | builds.c.unit.contains(iso),
        )
        for row in self._rows(builds, statement.order_by(builds.c.build_id)):
            text = f"build {row['build_id']} of {row['dataset']} {row['unit']}"
            text += f": {row['row_count']} row(s) from {row['fingerprint'][:12]}"
            yield HistoryEvent(row["at_ns"], EventKind.BUILD, text, row)

    def incidents(self, datasets: Sequence[str]) -> Iterator[HistoryEvent]:
        statement = select(incidents).where(incidents.c.dataset.in_(list(datasets)))
        for row in self._rows(incidents, statement.order_by(incidents.c.incident_id)):
            if not self._concerned(row["subject"]):
                continue
            text = f"incident {row['incident_id']} ({row['severity']}) {row['kind']}"
            text += f" on {row['subject']}"
            yield HistoryEvent(
                row["opened_ns"], EventKind.INCIDENT, _because(text, row["detail"]), row
            )
            if row["resolved_ns"] is not None:
                text = f"incident {row['incident_id']} {row['kind']} resolved"
                yield HistoryEvent(
                    row["resolved_ns"], EventKind.RESOLVED, _because(text, row["resolution"]), row
                )

    def _concerned(self, subject: str) -> bool:
        """Whether an incident's subject is about this cell: it names symbol or session, or neither.

        A subject that names another session of the dataset is somebody else's story.
        """
        words = subject.replace("/", " ").replace(",", " ").split()
        dates = [word for word in words if _is_date(word)]
        if dates:
            return self._session.isoformat() in dates
        return True

    def _covering(self, table: Table) -> Select[Any]:
        iso = self._session.isoformat()
        return select(table).where(
            table.c.dataset == self._dataset,
            table.c.symbol.in_(self._symbols),
            table.c.first_session <= iso,
            table.c.last_session >= iso,
        )

    def _rows(self, table: Table, statement: Select[Any]) -> list[dict[str, Any]]:
        with self._database.read() as connection:
            return checked_all(table, connection.execute(statement).mappings().all())


def _because(text: str, reason: str) -> str:
    return f"{text} ({reason})" if reason else text


def _is_date(word: str) -> bool:
    try:
        date.fromisoformat(word)
    except ValueError:
        return False
    return True
