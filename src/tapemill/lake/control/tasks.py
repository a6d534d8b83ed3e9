"""Tasks: the conservation law of a run. Whatever was generated ends once, in one way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from tapemill.clock.injected import Clock
from tapemill.errors import ConflictError, LakeError
from tapemill.lake.control.checksum import checked, checked_all
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import tasks

__all__ = ["TaskCounts", "TaskState", "Tasks"]


class TaskState(StrEnum):
    """OPEN is the start; every other state is an end."""

    OPEN = "open"
    DONE = "done"
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True)
class TaskCounts:
    """Tasks of one run: `generated` always equals the sum of the others."""

    generated: int
    open: int
    done: int
    deferred: int
    failed: int


class Tasks:
    """Generated tasks of each run and how they ended."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def generate(self, run: str, task_keys: Sequence[str]) -> None:
        """Note the tasks of a run; those it already has stay as they are."""
        with self._database.write() as connection:
            known = self._rows(connection, run)
            now = self._clock.now_ns()
            rows = [
                {"run": run, "task_key": key, "state": TaskState.OPEN, "reason": "", "at_ns": now}
                for key in dict.fromkeys(task_keys)
                if key not in known
            ]
            self._database.upsert(
                connection, tasks, [{**r, "state": str(r["state"])} for r in rows]
            )

    def end(self, run: str, task_key: str, state: TaskState, reason: str = "") -> None:
        """End a task; ending it again in the same state changes nothing.

        Raises
        ------
        LakeError
            The run did not generate the task, or `state` is no end.
        ConflictError
            It ended in another way before.
        """
        where = f"run {run}, task {task_key}"
        if state == TaskState.OPEN:
            raise LakeError("open is no end of a task", where=where, next_step="give an end state")
        with self._database.write() as connection:
            row = self._rows(connection, run, task_key).get(task_key)
            if row is None:
                raise LakeError(
                    "the run did not generate this task",
                    where=where,
                    next_step="generate tasks before ending them",
                )
            if row["state"] not in (TaskState.OPEN, state):
                raise ConflictError(
                    f"the task ended as {row['state']} and cannot end as {state} too",
                    where=where,
                    next_step="drop the second result",
                )
            if row["state"] == TaskState.OPEN:
                row |= {"state": str(state), "reason": reason, "at_ns": self._clock.now_ns()}
                self._database.upsert(connection, tasks, [row])

    def counts(self, run: str) -> TaskCounts:
        """How the tasks of a run stand."""
        with self._database.read() as connection:
            rows = self._rows(connection, run)
        by_state = Counter(str(row["state"]) for row in rows.values())
        return TaskCounts(len(rows), *(by_state[state] for state in TaskState))

    def open_tasks(self, run: str) -> list[str]:
        """Keys of the tasks that have not ended, sorted."""
        with self._database.read() as connection:
            rows = self._rows(connection, run)
        return sorted(key for key, row in rows.items() if row["state"] == TaskState.OPEN)

    def _rows(
        self, connection: Connection, run: str, task_key: str | None = None
    ) -> dict[str, dict[str, object]]:
        statement = select(tasks).where(tasks.c.run == run)
        if task_key is not None:
            row = (
                connection.execute(statement.where(tasks.c.task_key == task_key))
                .mappings()
                .one_or_none()
            )
            return {} if row is None else {task_key: checked(tasks, row)}
        rows = checked_all(tasks, connection.execute(statement).mappings().all())
        return {row["task_key"]: row for row in rows}
