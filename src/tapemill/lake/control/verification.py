"""Verification: every row of the control state against its checksum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Table

from tapemill.errors import CorruptError, FaultError
from tapemill.lake.control import schema
from tapemill.lake.control.blobs import require_sound
from tapemill.lake.control.checksum import describe_row, is_sound
from tapemill.lake.control.contents import decode_sessions, session_digest
from tapemill.lake.control.engine import Database

__all__ = ["Finding", "verify"]

_MODULUS = 1 << 256


@dataclass(frozen=True)
class Finding:
    """One thing that is not what it was when it was written."""

    kind: str
    subject: str
    detail: str


def verify(database: Database) -> list[Finding]:
    """Check structure, every row's checksum, every ledger blob, and the sums of contents."""
    findings = [
        Finding("control-structure", database.location, message) for message in database.damage()
    ]
    for table in schema.TABLES.sorted_tables:
        try:
            findings.extend(_check_table(database, table))
        except FaultError as error:
            findings.append(Finding("control-structure", table.name, error.what))
    return findings or _check_sums(database)


def _check_table(database: Database, table: Table) -> Iterator[Finding]:
    for row in database.raw_rows(table):
        if table in (schema.ledger_states, schema.ledger_counts):
            detail = _blob_fault(table, row)
        else:
            detail = "" if is_sound(table, row) else "the row differs from its checksum"
        if detail:
            yield Finding("control-row", describe_row(table, row), detail)


def _blob_fault(table: Table, row: Mapping[str, Any]) -> str:
    blob = row["states"] if table is schema.ledger_states else row["counts"]
    try:
        require_sound(row["dataset"], row["symbol"], row["year"], blob, row["crc"])
    except CorruptError as error:
        return error.what
    return ""


def _check_sums(database: Database) -> list[Finding]:
    """Recompute what each session's fingerprint must be; rows are known to be sound by now."""
    expected: dict[tuple[str, str], tuple[int, int, int]] = {}
    for row in database.raw_rows(schema.contents):
        for session, rows in decode_sessions(row["sessions"]).items():
            key = (row["dataset"], session.isoformat())
            digest, objects, total = expected.get(key, (0, 0, 0))
            digest = (digest + _digest(row, session, rows)) % _MODULUS
            expected[key] = (digest, objects + 1, total + rows)
    stored = {
        (row["dataset"], row["session"]): (
            int.from_bytes(row["digest"], "big"),
            row["objects"],
            row["row_count"],
        )
        for row in database.raw_rows(schema.content_sums)
    }
    return [
        Finding("control-contents", f"{dataset} {session}", "the fingerprint is not of its members")
        for dataset, session in sorted(expected.keys() | stored.keys())
        if expected.get((dataset, session)) != stored.get((dataset, session))
    ]


def _digest(row: Mapping[str, Any], session: date, rows: int) -> int:
    return session_digest(row["raw_sha256"], row["symbol"], session, rows)
