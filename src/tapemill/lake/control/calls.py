"""Calls: every attempt that went over the wire, whatever came back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import Select, delete, func, insert, select

from tapemill.clock.injected import Clock
from tapemill.lake.control.checksum import checked_all, seal
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import calls
from tapemill.secrets import redact

__all__ = ["Call", "CallTotals", "Calls", "path_without_secrets"]

_SECRET_WORDS = ("key", "token", "secret", "signature", "credential", "password", "auth")


@dataclass(frozen=True)
class Call:
    """One attempt; `at_ns` is when it was sent (ns UTC), `path` carries no host and no key."""

    call_id: int
    at_ns: int
    vendor: str
    dataset: str
    symbol: str
    start: date | None
    end: date | None
    task_key: str
    page: int
    attempt: int
    method: str
    path: str
    status: int
    outcome: str
    reason: str
    size_bytes: int
    took_us: int
    retry_after_ms: int | None
    answer_id: int | None
    owner: str


@dataclass(frozen=True)
class CallTotals:
    """Calls of one vendor with one outcome."""

    vendor: str
    outcome: str
    calls: int
    size_bytes: int
    last_ns: int


class Calls:
    """Log of wire attempts, retries included."""

    def __init__(self, database: Database, clock: Clock, owner: str) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner

    def record_attempt(
        self,
        vendor: str,
        dataset: str,
        path: str,
        *,
        status: int,
        outcome: str,
        reason: str = "",
        at_ns: int | None = None,
        method: str = "GET",
        task_key: str = "",
        page: int = 1,
        attempt: int = 1,
        symbol: str = "*",
        start: date | None = None,
        end: date | None = None,
        size_bytes: int = 0,
        took_us: int = 0,
        retry_after: float | None = None,
        answer_id: int | None = None,
    ) -> int:
        """Record one attempt; `path` may be a whole URL, of which path and harmless params stay.

        Parameters
        ----------
        status : int
            HTTP status; 0 when no answer arrived.
        at_ns : int, optional
            When it was sent, ns UTC; now by default.
        retry_after : float, optional
            Seconds that the vendor asked to wait.
        """
        with self._database.write() as connection:
            call_id = self._database.next_id(connection, calls)
            row = {
                "call_id": call_id,
                "at_ns": self._clock.now_ns() if at_ns is None else at_ns,
                "vendor": vendor,
                "dataset": dataset,
                "symbol": symbol,
                "first_session": start.isoformat() if start else None,
                "last_session": end.isoformat() if end else None,
                "task_key": task_key,
                "page": page,
                "attempt": attempt,
                "method": method,
                "path": path_without_secrets(path),
                "status": status,
                "outcome": str(outcome),
                "reason": redact(reason),
                "size_bytes": size_bytes,
                "took_us": took_us,
                "retry_after_ms": None if retry_after is None else round(retry_after * 1000),
                "answer_id": answer_id,
                "owner": self._owner,
            }
            connection.execute(insert(calls), [seal(calls, row)])
            return call_id

    def covering(self, dataset: str, symbol: str, session: date) -> list[Call]:
        """Calls that asked for one cell, for the symbol or for the whole market, oldest first."""
        iso = session.isoformat()
        return self._select(
            select(calls).where(
                calls.c.dataset == dataset,
                calls.c.symbol.in_([symbol, "*"]),
                calls.c.first_session <= iso,
                calls.c.last_session >= iso,
            )
        )

    def recent(self, vendor: str | None = None, limit: int = 50) -> list[Call]:
        """The newest calls, oldest of them first."""
        statement = select(calls).order_by(calls.c.call_id.desc()).limit(limit)
        if vendor is not None:
            statement = statement.where(calls.c.vendor == vendor)
        return sorted(self._select(statement), key=lambda call: call.call_id)

    def totals(self, since_ns: int = 0) -> list[CallTotals]:
        """Calls by vendor and outcome sent at or after `since_ns` (ns UTC)."""
        statement = (
            select(
                calls.c.vendor,
                calls.c.outcome,
                func.count(),
                func.sum(calls.c.size_bytes),
                func.max(calls.c.at_ns),
            )
            .where(calls.c.at_ns >= since_ns)
            .group_by(calls.c.vendor, calls.c.outcome)
            .order_by(calls.c.vendor, calls.c.outcome)
        )
        with self._database.read() as connection:
            return [
                CallTotals(vendor, outcome, int(count), int(size), int(last))
                for vendor, outcome, count, size, last in connection.execute(statement)
            ]

    def forget_before(self, before_ns: int) -> int:
        """Remove calls sent before a moment (ns UTC); returns how many."""
        with self._database.write() as connection:
            return connection.execute(delete(calls).where(calls.c.at_ns < before_ns)).rowcount

    def _select(self, statement: Select[Any]) -> list[Call]:
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        found = [_call(row) for row in checked_all(calls, rows)]
        return sorted(found, key=lambda call: call.call_id)


def path_without_secrets(url: str) -> str:
    """Path and parameters of a URL, without host and without whatever could be a key."""
    parts = urlsplit(url)
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not any(word in name.lower() for word in _SECRET_WORDS)
    ]
    return redact(parts.path + (f"?{urlencode(kept)}" if kept else ""))


def _call(row: dict[str, Any]) -> Call:
    first, last = row["first_session"], row["last_session"]
    values = {name: row[name] for name in Call.__dataclass_fields__ if name in row}
    return Call(
        **values,
        start=date.fromisoformat(first) if first else None,
        end=date.fromisoformat(last) if last else None,
    )
