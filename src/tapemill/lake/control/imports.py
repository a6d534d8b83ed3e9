"""Imports: which files were taken in, by what their bytes are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from typing import Any

from sqlalchemy import insert, select

from tapemill.clock.injected import Clock
from tapemill.lake.control.checksum import checked, checked_all, seal
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import imports

__all__ = ["ImportedFile", "Imports"]


@dataclass(frozen=True)
class ImportedFile:
    """One file, known by its content, the kind it was read as, and the options of reading."""

    import_id: int
    sha256: str
    kind: str
    options_hash: str
    name: str
    dataset: str
    rows: int
    quarantined: int
    start: date | None
    end: date | None
    at_ns: int


class Imports:
    """Record of imported files: the same bytes read the same way are imported once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def seen(self, sha256: str, kind: str, options_hash: str = "") -> ImportedFile | None:
        """The import of these bytes read as this kind with these options, if there was one."""
        statement = select(imports).where(
            imports.c.sha256 == sha256,
            imports.c.kind == kind,
            imports.c.options_hash == options_hash,
        )
        with self._database.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else _imported(checked(imports, row))

    def record(
        self,
        sha256: str,
        kind: str,
        name: str,
        rows: int,
        quarantined: int,
        *,
        options_hash: str = "",
        dataset: str = "",
        start: date | None = None,
        end: date | None = None,
    ) -> int:
        """Record an import; the first record of the same bytes, kind and options stays.

        Only the last part of `name` is kept, since the folders above it are nobody's business.
        """
        with self._database.write() as connection:
            known = self.seen(sha256, kind, options_hash)
            if known is not None:
                return known.import_id
            import_id = self._database.next_id(connection, imports)
            row = {
                "import_id": import_id,
                "sha256": sha256,
                "kind": kind,
                "options_hash": options_hash,
                "name": PurePath(name).name,
                "dataset": dataset,
                "row_count": rows,
                "quarantined": quarantined,
                "first_session": start.isoformat() if start else None,
                "last_session": end.isoformat() if end else None,
                "at_ns": self._clock.now_ns(),
            }
            connection.execute(insert(imports), [seal(imports, row)])
            return import_id

    def history(self) -> list[ImportedFile]:
        """Every import, oldest first."""
        statement = select(imports).order_by(imports.c.import_id)
        with self._database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [_imported(row) for row in checked_all(imports, rows)]


def _imported(row: dict[str, Any]) -> ImportedFile:
    first, last = row["first_session"], row["last_session"]
    return ImportedFile(
        row["import_id"],
        row["sha256"],
        row["kind"],
        row["options_hash"],
        row["name"],
        row["dataset"],
        row["row_count"],
        row["quarantined"],
        date.fromisoformat(first) if first else None,
        date.fromisoformat(last) if last else None,
        row["at_ns"],
    )
