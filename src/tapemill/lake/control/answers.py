"""Stored answers: what a vendor said, page by page, before anything is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, insert, select

from tapemill.clock.injected import Clock
from tapemill.errors import LakeError
from tapemill.lake.control.checksum import checked, checked_all, seal
from tapemill.lake.control.claims import Claims
from tapemill.lake.control.engine import Database
from tapemill.lake.control.owners import is_dead, is_local
from tapemill.lake.control.schema import answers
from tapemill.secrets import redact

__all__ = ["FORGOTTEN_SECONDS", "LANDING_OUTCOMES", "Answers", "StoredAnswer"]

LANDING_OUTCOMES = frozenset({"data", "confirmed-empty"})
"""Outcomes whose answers have to reach the tables and the ledger."""

FORGOTTEN_SECONDS = 600
"""After this long, an answer that another host has not begun to land is anybody's."""


@dataclass(frozen=True)
class StoredAnswer:
    """One page of one task as it was received; `stage` is stored, landing, landed or kept.

    ``kept`` answers (throttles, errors) are evidence only and never land.
    """

    answer_id: int
    task_key: str
    page: int
    vendor: str
    dataset: str
    symbol: str
    start: date | None
    end: date | None
    raw_sha256: str
    ts_recv_ns: int
    request_id: str | None
    outcome: str
    reason: str
    request: str | None
    next_request: str | None
    stage: str
    batch_id: int | None
    owner: str

    @property
    def landed(self) -> bool:
        """Whether the same bytes of this page are already in the tables and the ledger."""
        return self.stage == "landed"


class Answers:
    """Every answer received, with the raw object that holds its bytes."""

    def __init__(self, database: Database, clock: Clock, claims: Claims, owner: str) -> None:
        self._database = database
        self._clock = clock
        self._claims = claims
        self._owner = owner

    def store(
        self,
        task_key: str,
        page: int,
        vendor: str,
        dataset: str,
        raw_sha256: str,
        ts_recv_ns: int,
        request_id: str | None,
        outcome: str,
        reason: str = "",
        symbol: str = "*",
        start: date | None = None,
        end: date | None = None,
        next_request: str | None = None,
        *,
        request: str | None = None,
        token: int | None = None,
    ) -> int:
        """Store one page; durable on return.

        The same bytes for the same page give the same answer: the first receipt counts. Ask
        ``get(answer_id).landed`` before landing it again.

        Parameters
        ----------
        task_key : str
            Task that asked; see `Claims`.
        page : int
            Page of the task, from 1.
        ts_recv_ns : int
            Receipt, ns UTC.
        start, end : date, optional
            Sessions that the page covers; None for listings.
        request, next_request : str, optional
            This request and the next page's, as JSON without secrets.
        token : int, optional
            Fencing token of the task's claim; verified in the same transaction.

        Raises
        ------
        ConflictError
            The claim belongs to somebody else now.
        LakeError
            A request carries a secret.
        """
        for text in (request, next_request):
            _refuse_secret(text, task_key)
        with self._database.write() as connection:
            if token is not None:
                self._claims.verify(task_key, token)
            known = select(answers.c.answer_id).where(
                answers.c.task_key == task_key,
                answers.c.page == page,
                answers.c.raw_sha256 == raw_sha256,
            )
            answer_id = connection.execute(known).scalar()
            if answer_id is not None:
                return int(answer_id)
            answer_id = self._database.next_id(connection, answers)
            row = {
                "answer_id": answer_id,
                "task_key": task_key,
                "page": page,
                "vendor": vendor,
                "dataset": dataset,
                "symbol": symbol,
                "first_session": start.isoformat() if start else None,
                "last_session": end.isoformat() if end else None,
                "raw_sha256": raw_sha256,
                "ts_recv_ns": ts_recv_ns,
                "request_id": request_id,
                "outcome": str(outcome),
                "reason": redact(reason),
                "request": request,
                "next_request": next_request,
                "stage": "stored" if _must_land(outcome) else "kept",
                "batch_id": None,
                "owner": self._owner,
            }
            connection.execute(insert(answers), [seal(answers, row)])
            return answer_id

    def get(self, answer_id: int) -> StoredAnswer:
        """One answer.

        Raises
        ------
        LakeError
            No answer has that id.
        """
        with self._database.read() as connection:
            row = (
                connection.execute(select(answers).where(answers.c.answer_id == answer_id))
                .mappings()
                .one_or_none()
            )
        if row is None:
            raise LakeError(
                f"there is no answer {answer_id}",
                where="control answers",
                next_step="list them with `tapemill sql 'select * from ops.answers'`",
            )
        return _answer(checked(answers, row))

    def unlanded(
        self, dataset: str | None = None, *, orphaned_only: bool = True
    ) -> list[StoredAnswer]:
        """Answers that no batch has taken yet, oldest first.

        Parameters
        ----------
        dataset : str, optional
            Only answers of this dataset.
        orphaned_only : bool
            Leave out answers of processes that may still be alive, except this one's own: they
            will land those themselves. A process of another host is given
            :data:`FORGOTTEN_SECONDS` after the receipt.
        """
        statement = select(answers).where(answers.c.stage == "stored")
        if dataset is not None:
            statement = statement.where(answers.c.dataset == dataset)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(answers.c.answer_id)).mappings().all()
        found = [_answer(row) for row in checked_all(answers, rows)]
        if not orphaned_only:
            return found
        gone = {owner: is_dead(owner) for owner in {answer.owner for answer in found}}
        forgotten_ns = self._clock.now_ns() - FORGOTTEN_SECONDS * 1_000_000_000
        return [
            answer
            for answer in found
            if answer.owner == self._owner
            or gone[answer.owner]
            or (not is_local(answer.owner) and answer.ts_recv_ns <= forgotten_ns)
        ]

    def of_batch(self, batch_id: int) -> list[StoredAnswer]:
        """Answers that one batch lands, oldest first."""
        return self._select(answers.c.batch_id == batch_id)

    def of_task(self, task_key: str) -> list[StoredAnswer]:
        """Every answer to one task, oldest first."""
        return self._select(answers.c.task_key == task_key)

    def resume_point(self, task_key: str) -> tuple[int, str] | None:
        """Page and request (JSON) where an interrupted paged task goes on; None to start anew."""
        landing = [a for a in self.of_task(task_key) if a.stage != "kept"]
        if not landing or landing[-1].next_request is None:
            return None
        return landing[-1].page + 1, landing[-1].next_request

    def _select(self, condition: Any) -> list[StoredAnswer]:
        statement = select(answers).where(condition).order_by(answers.c.answer_id)
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [_answer(row) for row in checked_all(answers, rows)]


def move_stage(
    database: Database,
    connection: Connection,
    answer_ids: Sequence[int],
    stage: str,
    batch_id: int | None,
) -> list[StoredAnswer]:
    """Move answers to another stage, inside the caller's transaction; returns them as they were."""
    before: list[StoredAnswer] = []
    for start in range(0, len(answer_ids), 500):
        statement = select(answers).where(
            answers.c.answer_id.in_(list(answer_ids[start : start + 500]))
        )
        rows = checked_all(answers, connection.execute(statement).mappings().all())
        before.extend(_answer(row) for row in rows)
        database.upsert(
            connection, answers, [{**row, "stage": stage, "batch_id": batch_id} for row in rows]
        )
    return before


def _must_land(outcome: str) -> bool:
    return str(outcome).lower().replace("_", "-") in LANDING_OUTCOMES


def _refuse_secret(text: str | None, task_key: str) -> None:
    if text is not None and redact(text) != text:
        raise LakeError(
            "a request to be stored carries a secret",
            where=f"task {task_key}",
            next_step="keep keys in headers; report this as a bug of the vendor's lane",
        )


def _answer(row: dict[str, Any]) -> StoredAnswer:
    values = {name: row[name] for name in StoredAnswer.__dataclass_fields__ if name in row}
    first, last = row["first_session"], row["last_session"]
    return StoredAnswer(
        **values,
        start=date.fromisoformat(first) if first else None,
        end=date.fromisoformat(last) if last else None,
    )
