"""Claims: which process works on which task, with fencing tokens."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from tapemill.clock.injected import Clock
from tapemill.errors import ConflictError
from tapemill.lake.control.checksum import checked
from tapemill.lake.control.engine import Database
from tapemill.lake.control.owners import is_dead
from tapemill.lake.control.schema import claims, meta

__all__ = ["Claim", "Claims", "next_token"]

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Claim:
    """Who holds a task, since when and until when (ns UTC)."""

    task_key: str
    owner: str
    token: int
    lease_until_ns: int
    claimed_ns: int


class Claims:
    """At most one live holder per task.

    A claim falls to another process at once when its holder is a dead process of this host, and
    otherwise when its lease has run out by the injected clock. Every claim gets a token larger
    than all before it; work handed in with an older token is refused.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def claim(self, task_key: str, owner: str, lease_seconds: float) -> int | None:
        """Take a task: its fencing token, or None while somebody (even `owner`) holds it."""
        with self._database.write() as connection:
            held = self._get(connection, task_key)
            now = self._clock.now_ns()
            if held is not None and held.lease_until_ns > now and not is_dead(held.owner):
                return None
            token = next_token(self._database, connection)
            until = now + round(lease_seconds * _NANOSECONDS)
            self._put(connection, Claim(task_key, owner, token, until, now))
            return token

    def renew(self, task_key: str, token: int, lease_seconds: float) -> None:
        """Extend the lease from now.

        Raises
        ------
        ConflictError
            The task belongs to somebody else now; stop working on it.
        """
        with self._database.write() as connection:
            held = self.verify(task_key, token)
            until = self._clock.now_ns() + round(lease_seconds * _NANOSECONDS)
            self._put(connection, Claim(task_key, held.owner, token, until, held.claimed_ns))

    def release(self, task_key: str, token: int) -> bool:
        """Give a task back; False if somebody else holds it by now (then nothing changes)."""
        with self._database.write() as connection:
            held = self._get(connection, task_key)
            if held is None or held.token != token:
                return False
            connection.execute(delete(claims).where(claims.c.task_key == task_key))
            return True

    def verify(self, task_key: str, token: int) -> Claim:
        """The claim, if `token` is still the newest for its task.

        Raises
        ------
        ConflictError
            It is stale: the task was released or taken over.
        """
        with self._database.read() as connection:
            held = self._get(connection, task_key)
        if held is None or held.token != token:
            now = "nobody" if held is None else f"{held.owner} with token {held.token}"
            raise ConflictError(
                f"the claim with token {token} is stale; the task is held by {now}",
                where=f"task {task_key}",
                next_step="drop this work; the present holder does it",
            )
        return held

    def held(self) -> list[Claim]:
        """Every claim, by task."""
        with self._database.read() as connection:
            rows = connection.execute(select(claims).order_by(claims.c.task_key)).mappings()
            return [_claim(checked(claims, row)) for row in rows]

    def _get(self, connection: Connection, task_key: str) -> Claim | None:
        statement = select(claims).where(claims.c.task_key == task_key)
        row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else _claim(checked(claims, row))

    def _put(self, connection: Connection, claim: Claim) -> None:
        self._database.upsert(connection, claims, [vars(claim)])


def next_token(database: Database, connection: Connection) -> int:
    """A fencing token larger than every one before, inside the caller's transaction."""
    row = connection.execute(select(meta).where(meta.c.name == "fence")).mappings().one_or_none()
    token = 1 if row is None else int(checked(meta, row)["value"]) + 1
    database.upsert(connection, meta, [{"name": "fence", "value": str(token)}])
    return token


def _claim(row: dict[str, object]) -> Claim:
    return Claim(**{name: row[name] for name in Claim.__dataclass_fields__})  # type: ignore[arg-type]
