"""Connections and transactions of the control state: SQLite (WAL) or a PostgreSQL URL."""

from __future__ import annotations

import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry

from tapemill.errors import ConflictError, CorruptError, LakeError
from tapemill.lake.control import schema
from tapemill.lake.control.checksum import checked, seal

__all__ = ["MIGRATIONS", "Database"]

MIGRATIONS: dict[int, Callable[[Connection], None]] = {}
"""For each older schema version, the step to the next one."""

_BUSY_MILLISECONDS = 60_000
_POSTGRES_WRITE_LOCK = 7_461_706_531  # any number, the same for every Tapemill process
_WRITE_OPTION = "tapemill_write"


class Database:
    """Short transactions on the control state, safe from threads and processes.

    One writer at a time: `BEGIN IMMEDIATE` on SQLite, an advisory transaction lock on PostgreSQL.
    A `write` inside a `write` of the same thread joins it, so that rooms compose into one
    transaction. Do not ``await`` inside either: another task of the thread would join too.

    Parameters
    ----------
    location : str
        Path of a SQLite file, or a SQLAlchemy URL.
    create : bool
        Whether a missing SQLite file may be made.
    """

    def __init__(self, location: str, *, create: bool = True) -> None:
        self.location = location
        self.is_sqlite = "://" not in location
        self._joined = threading.local()
        if self.is_sqlite and not create and not Path(location).is_file():
            raise LakeError(
                "the lake has no control state",
                where=location,
                next_step="name an existing lake with --lake, or create one with `tapemill fetch`",
            )
        self._engine = self._connect_engine()
        with self._translated():
            self._prepare()

    def close(self) -> None:
        """Give back every connection; the last one folds the WAL into the file."""
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One read-write transaction; commits at the end, rolls back on any exception.

        Raises
        ------
        ConflictError
            Another writer held the lock for a minute.
        CorruptError
            The file is damaged.
        LakeError
            The disk is full, the file read-only, the server away.
        """
        outer: Connection | None = getattr(self._joined, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._translated(), self._engine.connect() as connection:
            connection = connection.execution_options(**{_WRITE_OPTION: True})
            with connection.begin():
                self._joined.connection = connection
                try:
                    yield connection
                finally:
                    self._joined.connection = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; inside a `write` of this thread, that transaction's view."""
        outer: Connection | None = getattr(self._joined, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    def upsert(
        self,
        connection: Connection,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        *,
        sealed: bool = False,
    ) -> None:
        """Insert rows with their checksums, replacing those with the same primary key."""
        if not rows:
            return
        keys = [column.name for column in table.primary_key.columns]
        insert = sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)
        statement = insert.on_conflict_do_update(
            index_elements=keys,
            set_={c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys},
        )
        connection.execute(statement, [dict(row) if sealed else seal(table, row) for row in rows])

    def next_id(self, connection: Connection, table: Table) -> int:
        """The next free id; safe because writers come one at a time."""
        (key,) = table.primary_key.columns
        return int(connection.execute(select(func.coalesce(func.max(key), 0))).scalar_one()) + 1

    def damage(self) -> list[str]:
        """What SQLite's own structure check has to say (nothing on PostgreSQL)."""
        if not self.is_sqlite:
            return []
        try:
            with self._engine.connect() as connection:
                rows = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        except exc.DatabaseError as error:
            return [str(error.orig)]
        return [str(row) for row in rows if row != "ok"] or self._definition_damage()

    def _definition_damage(self) -> list[str]:
        statement = select(schema.meta.c.value).where(schema.meta.c.name == "definitions_crc")
        try:
            with self._engine.connect() as connection:
                stored = connection.execute(statement).scalar()
                actual = str(self._definitions_crc(connection))
        except exc.DatabaseError as error:
            return [str(error.orig)]
        return [] if stored == actual else ["the table definitions differ from their checksum"]

    def raw_rows(self, table: Table) -> Iterator[dict[str, Any]]:
        """Every row as the driver gives it, undecodable text included; for verification."""
        names = [column.name for column in table.columns]
        statement = select(*table.columns).execution_options(yield_per=2_000)
        with self._translated(), self._engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            if self.is_sqlite:
                driver.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            try:
                for row in connection.execute(statement):
                    yield dict(zip(names, row, strict=True))
            finally:
                if self.is_sqlite:
                    driver.text_factory = str

    def _connect_engine(self) -> Engine:
        if not self.is_sqlite:
            engine = create_engine(self.location, pool_pre_ping=True)
            event.listen(engine, "begin", _lock_postgres_writers)
            return engine
        engine = create_engine(f"sqlite:///{self.location}", max_overflow=-1)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "connect", _remember_process)
        event.listen(engine, "checkout", _refuse_foreign_process)
        return engine

    def _prepare(self) -> None:
        if not self._version_known():
            if self.is_sqlite:
                self._create_file()
            else:
                self._create()
        self._migrate()

    def _create_file(self) -> None:
        try:
            Path(self.location).parent.mkdir(parents=True, exist_ok=True)
            # Switching to WAL answers "locked" at once when two processes do it together.
            with FileLock(f"{self.location}.creating"):
                self._create()
        except OSError as error:
            raise LakeError(
                f"the control state cannot be made: {error.strerror or error}",
                where=self.location,
                next_step="check space and permissions of the lake's folder",
            ) from error

    def _version_known(self) -> bool:
        if self.is_sqlite and not Path(self.location).exists():
            return False
        with self._engine.connect() as connection:
            return inspect(connection).has_table(schema.meta.name)

    def _create(self) -> None:
        if self._version_known():
            return
        with self._engine.connect() as connection:
            foreign = inspect(connection).get_table_names()
        if foreign:
            raise LakeError(
                f"this database holds other tables ({', '.join(sorted(foreign)[:3])} …)",
                where=self._shown_location(),
                next_step="give Tapemill a database of its own",
            )
        if self.is_sqlite:
            with self._engine.connect() as connection:
                driver: Any = connection.connection.dbapi_connection
                driver.execute("PRAGMA journal_mode=WAL")
        with self.write() as connection:
            schema.TABLES.create_all(connection)
            self._stamp(connection)

    def _migrate(self) -> None:
        version = self._stored_version()
        if version == schema.SCHEMA_VERSION:
            return
        if version > schema.SCHEMA_VERSION:
            raise LakeError(
                f"the control state has format {version}; this Tapemill reads up to "
                f"{schema.SCHEMA_VERSION}",
                where=self._shown_location(),
                next_step="upgrade Tapemill, or open the lake with the version that wrote it",
            )
        with self.write() as connection:
            for step in range(self._stored_version(), schema.SCHEMA_VERSION):
                if step not in MIGRATIONS:
                    raise LakeError(
                        f"there is no way from control format {step} to {schema.SCHEMA_VERSION}",
                        where=self._shown_location(),
                        next_step="export with the version that wrote it, then import again",
                    )
                MIGRATIONS[step](connection)
            self._stamp(connection)

    def _stamp(self, connection: Connection) -> None:
        """Note the format, and the checksum of SQLite's own table definitions."""
        values = {
            "schema_version": str(schema.SCHEMA_VERSION),
            "definitions_crc": str(self._definitions_crc(connection)),
        }
        rows = [{"name": name, "value": value} for name, value in values.items()]
        self.upsert(connection, schema.meta, rows)

    def _definitions_crc(self, connection: Connection) -> int:
        if not self.is_sqlite:
            return 0
        listing = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
        rows = connection.exec_driver_sql(listing)
        return zlib.crc32("\n".join("|".join(map(str, row)) for row in rows).encode())

    def _stored_version(self) -> int:
        statement = select(schema.meta).where(schema.meta.c.name == "schema_version")
        with self.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        if row is None:
            raise CorruptError(
                "the control state does not say which format it has",
                where=self._shown_location(),
                next_step="restore the control state from a backup",
            )
        return int(checked(schema.meta, row)["value"])

    def _shown_location(self) -> str:
        # A database URL carries a password.
        return self.location if self.is_sqlite else self._engine.url.render_as_string()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise self._typed(error) from error

    def _typed(self, error: exc.DBAPIError) -> LakeError | CorruptError:
        message = str(error.orig)
        where = self._shown_location()
        if "locked" in message or "busy" in message:
            return ConflictError(
                f"another process holds the control state: {message}",
                where=where,
                next_step="run the command again",
            )
        if any(word in message for word in ("malformed", "not a database", "decode", "corrupt")):
            return CorruptError(
                f"the control state is damaged: {message}",
                where=where,
                next_step="run `tapemill verify`, then restore the control state from a backup",
            )
        if "full" in message:
            next_step = "free some disk space and run the command again"
        elif "readonly" in message or "unable to open" in message:
            next_step = "make the lake's folder writable, or name another with --lake"
        else:
            next_step = "check the database and run the command again"
        return LakeError(f"the control state refused: {message}", where=where, next_step=next_step)


def _set_up_sqlite(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    # Tapemill begins transactions itself; the driver's implicit BEGIN would be a deferred one.
    connection.isolation_level = None
    try:
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-8000")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except UnicodeDecodeError as error:
        # The driver cannot even report what it read: SQLite quotes the damaged definition.
        raise sqlite3.DatabaseError("malformed table definitions") from error


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITE_OPTION, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _lock_postgres_writers(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITE_OPTION, False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRES_WRITE_LOCK})")


def _remember_process(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    entry.info["pid"] = os.getpid()


def _refuse_foreign_process(connection: sqlite3.Connection, entry: Any, proxy: Any) -> None:
    # A SQLite connection must not survive a fork.
    if entry.info["pid"] != os.getpid():
        entry.dbapi_connection = proxy.dbapi_connection = None
        raise exc.DisconnectionError("the connection belongs to the parent process")
