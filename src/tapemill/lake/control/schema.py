"""The tables of the control state, in SQL that SQLite and PostgreSQL both speak.

Only three column types are used: integers, text and bytes. Dates are ISO text and moments are
nanoseconds UTC, so that what comes back from the driver is exactly what was written and one
checksum per row (`crc`) can be taken over it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Index, MetaData, String, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import UserDefinedType

__all__ = ["SCHEMA_VERSION", "TABLES", "Bytes"]

SCHEMA_VERSION = 1
"""Raised by one with every change of the tables below; see `engine.MIGRATIONS`."""


class Bytes(UserDefinedType[bytes]):
    """Raw bytes without SQLAlchemy's conversion, which fails loudly on a damaged value."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Turn a driver's memoryview into bytes and leave everything else as it is."""

        def process(value: Any) -> Any:
            return bytes(value) if isinstance(value, memoryview) else value

        return process


@compiles(Bytes)
def _blob(element: Bytes, compiler: Any, **options: Any) -> str:
    return "BLOB"


@compiles(Bytes, "postgresql")
def _bytea(element: Bytes, compiler: Any, **options: Any) -> str:
    return "BYTEA"


TABLES = MetaData()


def _key(name: str, kind: type[BigInteger] | type[String]) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _text(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, String, nullable=null)


def _number(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, BigInteger, nullable=null)


def _bytes(name: str) -> Column[Any]:
    return Column(name, Bytes, nullable=False)


def _table(name: str, *columns: Column[Any] | Index, **options: Any) -> Table:
    return Table(name, TABLES, *columns, _number("crc"), **options)


meta = _table("meta", _key("name", String), _text("value"))

# The ledger: one blob per (dataset, symbol, year), one slot per day of the year. States are kept
# apart from the counts because plan and audit read nothing else.
ledger_states = _table(
    "ledger_states",
    _key("dataset", String),
    _key("symbol", String),
    _key("year", BigInteger),
    _bytes("states"),
    sqlite_with_rowid=False,
)
ledger_counts = _table(
    "ledger_counts",
    _key("dataset", String),
    _key("symbol", String),
    _key("year", BigInteger),
    _bytes("counts"),
)
cell_events = _table(
    "cell_events",
    _key("event_id", BigInteger),
    _text("dataset"),
    _text("symbol"),
    _text("first_session"),
    _text("last_session"),
    _bytes("days"),
    _number("state"),
    _text("reason"),
    _number("row_count"),
    _number("answer_id", null=True),
    _number("batch_id", null=True),
    _number("at_ns"),
    Index("cell_events_by_cell", "dataset", "symbol", "first_session"),
)

calls = _table(
    "calls",
    _key("call_id", BigInteger),
    _number("at_ns"),
    _text("vendor"),
    _text("dataset"),
    _text("symbol"),
    _text("first_session", null=True),
    _text("last_session", null=True),
    _text("task_key"),
    _number("page"),
    _number("attempt"),
    _text("method"),
    _text("path"),
    _number("status"),
    _text("outcome"),
    _text("reason"),
    _number("size_bytes"),
    _number("took_us"),
    _number("retry_after_ms", null=True),
    _number("answer_id", null=True),
    _text("owner"),
    Index("calls_by_cell", "dataset", "symbol", "first_session"),
    Index("calls_by_time", "vendor", "at_ns"),
)
answers = _table(
    "answers",
    _key("answer_id", BigInteger),
    _text("task_key"),
    _number("page"),
    _text("vendor"),
    _text("dataset"),
    _text("symbol"),
    _text("first_session", null=True),
    _text("last_session", null=True),
    _text("raw_sha256"),
    _number("ts_recv_ns"),
    _text("request_id", null=True),
    _text("outcome"),
    _text("reason"),
    _text("request", null=True),
    _text("next_request", null=True),
    _text("stage"),
    _number("batch_id", null=True),
    _text("owner"),
    Index("answers_by_page", "task_key", "page", "raw_sha256", unique=True),
    Index("answers_by_stage", "stage", "dataset"),
    Index("answers_by_cell", "dataset", "symbol", "first_session"),
    Index("answers_by_batch", "batch_id"),
)
batches = _table(
    "batches",
    _key("batch_id", BigInteger),
    _text("dataset"),
    _text("writer"),
    _number("sequence"),
    _text("stage"),
    _text("owner"),
    _number("token"),
    _number("lease_until_ns"),
    _number("begun_ns"),
    _number("finished_ns", null=True),
    _number("table_version", null=True),
    _number("row_count"),
    _number("quarantined"),
    Index("batches_by_stage", "stage", "dataset"),
)
writers = _table("writers", _key("writer", String), _text("dataset"), _number("last_sequence"))

contents = _table(
    "contents",
    _key("dataset", String),
    _key("raw_sha256", String),
    _key("symbol", String),
    _bytes("sessions"),
    _number("batch_id", null=True),
)
content_sums = _table(
    "content_sums",
    _key("dataset", String),
    _key("session", String),
    _bytes("digest"),
    _number("objects"),
    _number("row_count"),
)

claims = _table(
    "claims",
    _key("task_key", String),
    _text("owner"),
    _number("token"),
    _number("lease_until_ns"),
    _number("claimed_ns"),
)
tasks = _table(
    "tasks",
    _key("run", String),
    _key("task_key", String),
    _text("state"),
    _text("reason"),
    _number("at_ns"),
)
incidents = _table(
    "incidents",
    _key("incident_id", BigInteger),
    _text("kind"),
    _text("dataset"),
    _text("subject"),
    _text("detail"),
    _text("severity"),
    _number("blocks_lane"),
    _text("state"),
    _number("times"),
    _number("opened_ns"),
    _number("last_ns"),
    _number("resolved_ns", null=True),
    _text("resolution"),
    Index("incidents_by_state", "state", "dataset"),
)
builds = _table(
    "builds",
    _key("build_id", BigInteger),
    _text("dataset"),
    _text("unit"),
    _text("fingerprint"),
    _number("row_count"),
    _number("took_ns"),
    _number("at_ns"),
    Index("builds_by_unit", "dataset", "unit", "build_id"),
)
imports = _table(
    "imports",
    _key("import_id", BigInteger),
    _text("sha256"),
    _text("kind"),
    _text("options_hash"),
    _text("name"),
    _text("dataset"),
    _number("row_count"),
    _number("quarantined"),
    _text("first_session", null=True),
    _text("last_session", null=True),
    _number("at_ns"),
    Index("imports_by_object", "sha256", "kind", "options_hash", unique=True),
)
