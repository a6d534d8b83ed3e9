"""Which raw objects each (dataset, session) is made of, as a fingerprint for incremental builds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, select

from tapemill.lake.control.cells import MARKET, days_of
from tapemill.lake.control.checksum import checked
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import content_sums, contents

__all__ = ["ContentRecord", "Contents", "decode_sessions", "session_digest"]

_SESSION_ROWS = np.dtype([("day", "<i4"), ("rows", "<u4")])
_MODULUS = 1 << 256


@dataclass(frozen=True)
class ContentRecord:
    """Rows that one raw object gave to sessions of a dataset.

    `sessions` and `rows` run in step; `symbol` "*" means that the object covers the market.
    """

    dataset: str
    sessions: Sequence[date]
    raw_sha256: str
    rows: Sequence[int]
    symbol: str = MARKET


class Contents:
    """The set of (raw object, symbol, rows) behind every session of every dataset.

    Each session carries the sum, modulo 2**256, of the hashes of its members: adding is O(1), the
    order of adding does not matter, and adding a member twice changes nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def fingerprint(self, dataset: str, sessions: Sequence[date] | None = None) -> dict[date, str]:
        """Fingerprint per session that has content; sessions without any are absent.

        Parameters
        ----------
        dataset : str
            Name of a bronze dataset.
        sessions : sequence of date, optional
            Only these; every session by default.
        """
        statement = select(content_sums).where(content_sums.c.dataset == dataset)
        if sessions:
            statement = statement.where(
                content_sums.c.session.between(min(sessions).isoformat(), max(sessions).isoformat())
            )
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(content_sums.c.session)).mappings().all()
        wanted = None if sessions is None else set(sessions)
        found = {
            date.fromisoformat(row["session"]): checked(content_sums, row)["digest"].hex()
            for row in rows
        }
        return {day: digest for day, digest in found.items() if wanted is None or day in wanted}

    def members(self, dataset: str, session: date) -> dict[tuple[str, str], int]:
        """Rows per (raw object, symbol) of one session."""
        day = np.datetime64(session, "D").astype(np.int64)
        statement = select(contents).where(contents.c.dataset == dataset)
        found: dict[tuple[str, str], int] = {}
        with self._database.read() as connection:
            for row in connection.execute(statement).mappings():
                values = checked(contents, row)
                table = np.frombuffer(values["sessions"], dtype=_SESSION_ROWS)
                for rows in table["rows"][table["day"] == day]:
                    found[values["raw_sha256"], values["symbol"]] = int(rows)
        return found

    def add(
        self, records: Sequence[ContentRecord], *, batch_id: int | None = None
    ) -> list[npt.NDArray[np.bool_]]:
        """Add members; returns for each record which of its sessions had not known the object."""
        if not records:
            return []
        with self._database.write() as connection:
            stored = self._load(connection, records)
            news: list[npt.NDArray[np.bool_]] = []
            changes: dict[tuple[str, str], list[int]] = {}
            for record in records:
                members = stored[_key(record)]
                fresh = np.zeros(len(record.sessions), dtype=np.bool_)
                for place, (session, rows) in enumerate(
                    zip(record.sessions, record.rows, strict=True)
                ):
                    before = members.get(session)
                    fresh[place] = before is None
                    if before != rows:
                        _note(changes, record, session, before, rows)
                        members[session] = rows
                news.append(fresh)
            self._save(connection, stored, batch_id)
            self._apply(connection, changes)
        return news

    def _load(
        self, connection: Connection, records: Sequence[ContentRecord]
    ) -> dict[tuple[str, str, str], dict[date, int]]:
        stored: dict[tuple[str, str, str], dict[date, int]] = {_key(r): {} for r in records}
        hashes = sorted({record.raw_sha256 for record in records})
        for start in range(0, len(hashes), 500):
            statement = select(contents).where(
                contents.c.dataset.in_(sorted({record.dataset for record in records})),
                contents.c.raw_sha256.in_(hashes[start : start + 500]),
            )
            for row in connection.execute(statement).mappings():
                values = checked(contents, row)
                key = (values["dataset"], values["raw_sha256"], values["symbol"])
                if key in stored:
                    stored[key] = decode_sessions(values["sessions"])
        return stored

    def _save(
        self,
        connection: Connection,
        stored: dict[tuple[str, str, str], dict[date, int]],
        batch_id: int | None,
    ) -> None:
        rows = [
            {
                "dataset": dataset,
                "raw_sha256": raw_sha256,
                "symbol": symbol,
                "sessions": _encode(members),
                "batch_id": batch_id,
            }
            for (dataset, raw_sha256, symbol), members in stored.items()
            if members
        ]
        self._database.upsert(connection, contents, rows)

    def _apply(self, connection: Connection, changes: dict[tuple[str, str], list[int]]) -> None:
        sums = self._sums(connection, sorted({dataset for dataset, _ in changes}), changes)
        for key, (digest, objects, rows) in changes.items():
            before = sums.get(key)
            total = digest if before is None else digest + int.from_bytes(before["digest"], "big")
            sums[key] = {
                "dataset": key[0],
                "session": key[1],
                "digest": (total % _MODULUS).to_bytes(32, "big"),
                "objects": objects + (before["objects"] if before else 0),
                "row_count": rows + (before["row_count"] if before else 0),
            }
        self._database.upsert(connection, content_sums, [sums[key] for key in changes])

    def _sums(
        self,
        connection: Connection,
        datasets: Sequence[str],
        changes: dict[tuple[str, str], list[int]],
    ) -> dict[tuple[str, str], dict[str, Any]]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for dataset in datasets:
            days = [session for name, session in changes if name == dataset]
            statement = select(content_sums).where(
                content_sums.c.dataset == dataset,
                content_sums.c.session.between(min(days), max(days)),
            )
            for row in connection.execute(statement).mappings():
                found[dataset, row["session"]] = checked(content_sums, row)
        return found


def session_digest(raw_sha256: str, symbol: str, session: date, rows: int) -> int:
    """The number that one member adds to the sum of its session."""
    text = f"{raw_sha256}|{symbol}|{session.isoformat()}|{rows}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def decode_sessions(blob: bytes) -> dict[date, int]:
    """Rows per session of one stored member."""
    table = np.frombuffer(blob, dtype=_SESSION_ROWS)
    days: list[date] = table["day"].astype("datetime64[D]").tolist()
    return dict(zip(days, table["rows"].tolist(), strict=True))


def _encode(members: dict[date, int]) -> bytes:
    table = np.zeros(len(members), dtype=_SESSION_ROWS)
    days = sorted(members)
    table["day"] = days_of(days).astype(np.int32)
    table["rows"] = [members[day] for day in days]
    return table.tobytes()


def _key(record: ContentRecord) -> tuple[str, str, str]:
    return record.dataset, record.raw_sha256, record.symbol


def _note(
    changes: dict[tuple[str, str], list[int]],
    record: ContentRecord,
    session: date,
    before: int | None,
    rows: int,
) -> None:
    change = changes.setdefault((record.dataset, session.isoformat()), [0, 0, 0])
    change[0] += session_digest(record.raw_sha256, record.symbol, session, rows)
    change[2] += rows
    if before is None:
        change[1] += 1
    else:
        change[0] -= session_digest(record.raw_sha256, record.symbol, session, before)
        change[2] -= before
