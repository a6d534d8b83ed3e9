"""Builds: from which inputs each unit of a derived dataset was last made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select

from tapemill.clock.injected import Clock
from tapemill.lake.control.checksum import checked, checked_all, seal
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import builds

__all__ = ["Build", "Builds"]


@dataclass(frozen=True)
class Build:
    """One build of one unit (a session, a month or the whole table)."""

    build_id: int
    dataset: str
    unit: str
    fingerprint: str
    rows: int
    took_ns: int
    at_ns: int


class Builds:
    """History of builds; the newest one of a unit says what it is made of."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, dataset: str, unit: str) -> str | None:
        """Fingerprint of the newest build of one unit, or None if it was never built."""
        statement = (
            select(builds)
            .where(builds.c.dataset == dataset, builds.c.unit == unit)
            .order_by(builds.c.build_id.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else str(checked(builds, row)["fingerprint"])

    def fingerprints(self, dataset: str) -> dict[str, str]:
        """Fingerprint of the newest build of every unit of a dataset."""
        newest = (
            select(func.max(builds.c.build_id))
            .where(builds.c.dataset == dataset)
            .group_by(builds.c.unit)
        )
        statement = select(builds).where(builds.c.build_id.in_(newest)).order_by(builds.c.unit)
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return {row["unit"]: row["fingerprint"] for row in checked_all(builds, rows)}

    def record(self, dataset: str, unit: str, fingerprint: str, rows: int, ns: int = 0) -> None:
        """Record that a unit was built (`ns`: how long it took)."""
        self.record_many(dataset, [(unit, fingerprint, rows)], ns=ns)

    def record_many(
        self, dataset: str, units: Sequence[tuple[str, str, int]], *, ns: int = 0
    ) -> None:
        """Record several units, (unit, fingerprint, rows) each, in one transaction."""
        if not units:
            return
        now = self._clock.now_ns()
        with self._database.write() as connection:
            first = self._database.next_id(connection, builds)
            rows = [
                {
                    "build_id": build_id,
                    "dataset": dataset,
                    "unit": unit,
                    "fingerprint": fingerprint,
                    "row_count": row_count,
                    "took_ns": ns,
                    "at_ns": now,
                }
                for build_id, (unit, fingerprint, row_count) in enumerate(units, start=first)
            ]
            connection.execute(insert(builds), [seal(builds, row) for row in rows])

    def history(self, dataset: str | None = None, unit: str | None = None) -> list[Build]:
        """Builds, oldest first."""
        statement = select(builds).order_by(builds.c.build_id)
        if dataset is not None:
            statement = statement.where(builds.c.dataset == dataset)
        if unit is not None:
            statement = statement.where(builds.c.unit == unit)
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [_build(row) for row in checked_all(builds, rows)]


def _build(row: dict[str, Any]) -> Build:
    names = (name for name in Build.__dataclass_fields__ if name != "rows")
    return Build(**{name: row[name] for name in names}, rows=row["row_count"])
