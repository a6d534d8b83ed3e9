"""Batches: the bridge over which answers land in a table exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select

from tapemill.clock.injected import Clock
from tapemill.errors import ConflictError, LakeError
from tapemill.lake.control.answers import move_stage
from tapemill.lake.control.cells import CellRecord
from tapemill.lake.control.checksum import checked, checked_all, seal
from tapemill.lake.control.claims import Claims, next_token
from tapemill.lake.control.contents import ContentRecord, Contents
from tapemill.lake.control.engine import Database
from tapemill.lake.control.ledger import Ledger
from tapemill.lake.control.owners import is_dead
from tapemill.lake.control.schema import answers, batches, writers

__all__ = ["Batch", "Batches", "Effects"]

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Batch:
    """One append to the table `dataset`, known there as (`writer`, `sequence`)."""

    batch_id: int
    dataset: str
    writer: str
    sequence: int
    answer_ids: tuple[int, ...]
    owner: str
    token: int
    stage: str
    lease_until_ns: int


@dataclass(frozen=True)
class Effects:
    """What finishing a batch makes true, all of it or nothing.

    Parameters
    ----------
    cells : sequence of CellRecord
        Findings for the ledger. Their contents follow from their answers.
    contents : sequence of ContentRecord
        Contents that belong to no cell, such as listings.
    claims : sequence of (task key, token)
        Claims that must still hold.
    """

    cells: Sequence[CellRecord] = ()
    contents: Sequence[ContentRecord] = ()
    claims: Sequence[tuple[str, int]] = ()


class Batches:
    """Allots (writer, sequence) pairs and marks their work done in one transaction.

    The way of a batch: :meth:`begin`; append to the table with its writer and sequence;
    :meth:`finish`. After a crash: for each of :meth:`unfinished`, :meth:`adopt` it and append the
    same rows with the same pair (the table knows if it has them already), then finish.

    Table formats remember only the newest sequence of a writer, so a writer has at most one batch
    in flight. Writers are few and used again and again.
    """

    def __init__(
        self, database: Database, clock: Clock, ledger: Ledger, claims: Claims, owner: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._contents = Contents(database)
        self._claims = claims
        self._owner = owner

    def begin(
        self,
        dataset: str,
        answer_ids: Sequence[int],
        owner: str | None = None,
        *,
        lease_seconds: float = 60.0,
    ) -> Batch:
        """Take stored answers into a new batch.

        Parameters
        ----------
        dataset : str
            Table the rows go to.
        answer_ids : sequence of int
            Answers in stage "stored"; may be empty (imported files).
        owner : str, optional
            This process by default.
        lease_seconds : float
            How long a process on another host has to wait before it may adopt the batch.

        Raises
        ------
        ConflictError
            An answer is landed already or in another batch.
        """
        owner = owner or self._owner
        ids = tuple(dict.fromkeys(answer_ids))
        with self._database.write() as connection:
            batch_id = self._database.next_id(connection, batches)
            for answer in move_stage(self._database, connection, ids, "landing", batch_id):
                if answer.stage != "stored":
                    raise ConflictError(
                        f"answer {answer.answer_id} cannot land: it is {answer.stage}",
                        where=f"batch {answer.batch_id} of {dataset}",
                        next_step="leave it to that batch",
                    )
            self._require_all(connection, ids, batch_id)
            writer, sequence = self._allot(connection, dataset)
            now = self._clock.now_ns()
            row = {
                "batch_id": batch_id,
                "dataset": dataset,
                "writer": writer,
                "sequence": sequence,
                "stage": "landing",
                "owner": owner,
                "token": next_token(self._database, connection),
                "lease_until_ns": now + round(lease_seconds * _NANOSECONDS),
                "begun_ns": now,
                "finished_ns": None,
                "table_version": None,
                "row_count": 0,
                "quarantined": 0,
            }
            connection.execute(insert(batches), [seal(batches, row)])
            return _batch(row, ids)

    def finish(
        self,
        batch: Batch,
        effects: Effects | None = None,
        *,
        table_version: int | None = None,
        rows: int = 0,
        quarantined: int = 0,
    ) -> None:
        """Mark a batch finished, its answers landed, its cells and contents recorded: one commit.

        Raises
        ------
        ConflictError
            The batch was adopted by another process or is finished, or a claim is stale.
        """
        effects = effects or Effects()
        with self._database.write() as connection:
            row = self._current(connection, batch)
            for task_key, token in effects.claims:
                self._claims.verify(task_key, token)
            self._ledger.record_many(effects.cells, batch_id=batch.batch_id)
            self._contents.add(effects.contents, batch_id=batch.batch_id)
            move_stage(self._database, connection, batch.answer_ids, "landed", batch.batch_id)
            done = {
                "stage": "finished",
                "finished_ns": self._clock.now_ns(),
                "table_version": table_version,
                "row_count": rows,
                "quarantined": quarantined,
            }
            self._database.upsert(connection, batches, [{**row, **done}])

    def renew(self, batch: Batch, lease_seconds: float) -> Batch:
        """Extend the lease of a batch from now.

        Raises
        ------
        ConflictError
            It was adopted by another process.
        """
        with self._database.write() as connection:
            row = self._current(connection, batch)
            until = self._clock.now_ns() + round(lease_seconds * _NANOSECONDS)
            self._database.upsert(connection, batches, [{**row, "lease_until_ns": until}])
        return replace(batch, lease_until_ns=until)

    def unfinished(self, dataset: str | None = None, *, mine: bool = True) -> list[Batch]:
        """Batches left half-way, oldest first: their owner is dead or its lease has run out.

        Parameters
        ----------
        dataset : str, optional
            Only batches of this table.
        mine : bool
            Count this process's own unfinished batches too. Say False while other threads of the
            process are landing.
        """
        statement = select(batches).where(batches.c.stage == "landing")
        if dataset is not None:
            statement = statement.where(batches.c.dataset == dataset)
        now = self._clock.now_ns()
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(batches.c.batch_id)).mappings().all()
            return [
                _batch(row, self._answer_ids(connection, row["batch_id"]))
                for row in checked_all(batches, rows)
                if self._left(row, now, mine=mine)
            ]

    def adopt(self, batch: Batch, *, lease_seconds: float = 60.0) -> Batch:
        """Take over an unfinished batch; whoever held it can no longer finish it.

        Raises
        ------
        ConflictError
            It is finished, another process was faster, or its owner is alive after all.
        """
        with self._database.write() as connection:
            row = self._current(connection, batch)
            now = self._clock.now_ns()
            if not self._left(row, now, mine=True):
                raise ConflictError(
                    f"batch {batch.batch_id} is still being worked on by {row['owner']}",
                    where=f"batch {batch.batch_id} of {batch.dataset}",
                    next_step="wait for it to finish or for its lease to run out",
                )
            row = {
                **row,
                "owner": self._owner,
                "token": next_token(self._database, connection),
                "lease_until_ns": now + round(lease_seconds * _NANOSECONDS),
            }
            self._database.upsert(connection, batches, [row])
            return _batch(row, batch.answer_ids)

    def _left(self, row: dict[str, Any], now: int, *, mine: bool) -> bool:
        if row["owner"] == self._owner:
            return mine
        return row["lease_until_ns"] <= now or is_dead(row["owner"])

    def _current(self, connection: Connection, batch: Batch) -> dict[str, Any]:
        statement = select(batches).where(batches.c.batch_id == batch.batch_id)
        row = checked(batches, connection.execute(statement).mappings().one())
        if row["stage"] != "landing" or row["token"] != batch.token:
            state = row["stage"] if row["stage"] != "landing" else f"held by {row['owner']}"
            raise ConflictError(
                f"batch {batch.batch_id} is not ours any more: it is {state}",
                where=f"batch {batch.batch_id} of {batch.dataset}",
                next_step="drop this work; nothing of it was recorded",
            )
        return row

    def _allot(self, connection: Connection, dataset: str) -> tuple[str, int]:
        busy = set(
            connection.execute(
                select(batches.c.writer).where(
                    batches.c.stage == "landing", batches.c.dataset == dataset
                )
            ).scalars()
        )
        rows = connection.execute(select(writers).where(writers.c.dataset == dataset)).mappings()
        known = {row["writer"]: checked(writers, row)["last_sequence"] for row in rows.all()}
        # The name holds the dataset because quarantined rows of all datasets go to one table.
        names = (f"{dataset}:slot-{number}" for number in range(len(known) + 1))
        writer = next(name for name in names if name not in busy)
        sequence = known.get(writer, 0) + 1
        row = {"writer": writer, "dataset": dataset, "last_sequence": sequence}
        self._database.upsert(connection, writers, [row])
        return writer, sequence

    def _require_all(self, connection: Connection, ids: Sequence[int], batch_id: int) -> None:
        missing = sorted(set(ids) - set(self._answer_ids(connection, batch_id)))
        if missing:
            raise LakeError(
                f"there is no answer {missing[0]} to land",
                where="control answers",
                next_step="store the answer before beginning a batch with it",
            )

    def _answer_ids(self, connection: Connection, batch_id: int) -> tuple[int, ...]:
        statement = select(answers.c.answer_id).where(answers.c.batch_id == batch_id)
        return tuple(connection.execute(statement.order_by(answers.c.answer_id)).scalars())


def _batch(row: dict[str, Any], answer_ids: tuple[int, ...]) -> Batch:
    names = (name for name in Batch.__dataclass_fields__ if name != "answer_ids")
    return Batch(**{name: row[name] for name in names}, answer_ids=answer_ids)
