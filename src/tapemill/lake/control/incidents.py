"""Incidents: what is wrong with a lane or a dataset until somebody resolves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import insert, select

from tapemill.clock.injected import Clock
from tapemill.errors import LakeError
from tapemill.lake.control.checksum import checked, checked_all, seal
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import incidents
from tapemill.secrets import redact

__all__ = ["Incident", "Incidents"]


@dataclass(frozen=True)
class Incident:
    """One thing that went wrong; moments in ns UTC, `times` counts how often it was seen."""

    incident_id: int
    kind: str
    dataset: str
    subject: str
    detail: str
    severity: str
    blocks_lane: bool
    state: str
    times: int
    opened_ns: int
    last_ns: int
    resolved_ns: int | None
    resolution: str


class Incidents:
    """Open and resolved incidents. Seeing one again while it is open only counts it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def open(
        self,
        kind: str,
        dataset: str,
        subject: str,
        detail: str,
        severity: Literal["warning", "error"] = "error",
        blocks_lane: bool = False,
    ) -> int:
        """Open an incident, or count one of the same (kind, dataset, subject) that is open.

        Severity and blocking only rise while it is open; `detail` becomes the newest.
        """
        now = self._clock.now_ns()
        same = select(incidents).where(
            incidents.c.kind == kind,
            incidents.c.dataset == dataset,
            incidents.c.subject == subject,
            incidents.c.state == "open",
        )
        with self._database.write() as connection:
            found = connection.execute(same).mappings().one_or_none()
            if found is not None:
                row = checked(incidents, found)
                row["times"] += 1
                row["last_ns"] = now
                row["detail"] = redact(detail)
                row["severity"] = "error" if severity == "error" else row["severity"]
                row["blocks_lane"] = max(row["blocks_lane"], int(blocks_lane))
                self._database.upsert(connection, incidents, [row])
                return int(row["incident_id"])
            incident_id = self._database.next_id(connection, incidents)
            row = {
                "incident_id": incident_id,
                "kind": kind,
                "dataset": dataset,
                "subject": subject,
                "detail": redact(detail),
                "severity": severity,
                "blocks_lane": int(blocks_lane),
                "state": "open",
                "times": 1,
                "opened_ns": now,
                "last_ns": now,
                "resolved_ns": None,
                "resolution": "",
            }
            connection.execute(insert(incidents), [seal(incidents, row)])
            return incident_id

    def resolve(self, incident_id: int, resolution: str = "") -> None:
        """Close an incident; closing one twice changes nothing.

        Raises
        ------
        LakeError
            No incident has that id.
        """
        with self._database.write() as connection:
            statement = select(incidents).where(incidents.c.incident_id == incident_id)
            found = connection.execute(statement).mappings().one_or_none()
            if found is None:
                raise LakeError(
                    f"there is no incident {incident_id}",
                    where="control incidents",
                    next_step="list them with `tapemill status`",
                )
            row = checked(incidents, found)
            if row["state"] == "open":
                row["state"] = "resolved"
                row["resolved_ns"] = self._clock.now_ns()
                row["resolution"] = redact(resolution)
                self._database.upsert(connection, incidents, [row])

    def open_incidents(self, dataset: str | None = None) -> list[Incident]:
        """Incidents not resolved yet, oldest first."""
        return [incident for incident in self.history(dataset) if incident.state == "open"]

    def lane_blocked(self, dataset: str) -> bool:
        """Whether an open incident forbids landing more rows of `dataset`."""
        return any(incident.blocks_lane for incident in self.open_incidents(dataset))

    def history(self, dataset: str | None = None) -> list[Incident]:
        """Every incident, oldest first."""
        statement = select(incidents).order_by(incidents.c.incident_id)
        if dataset is not None:
            statement = statement.where(incidents.c.dataset == dataset)
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [_incident(row) for row in checked_all(incidents, rows)]


def _incident(row: dict[str, Any]) -> Incident:
    names = (name for name in Incident.__dataclass_fields__ if name != "blocks_lane")
    return Incident(**{name: row[name] for name in names}, blocks_lane=bool(row["blocks_lane"]))
