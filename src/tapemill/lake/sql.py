"""SQL over the lake: every dataset a DuckDB view, one reading statement at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb
import polars as pl

from tapemill.contracts import DATASETS, Dataset
from tapemill.errors import UsageError, did_you_mean
from tapemill.lake.control.frames import FRAME_NAMES
from tapemill.lake.places import LocalPlace
from tapemill.lake.tables import TableStore

__all__ = ["query"]

ControlFrames = Callable[[Sequence[str]], Mapping[str, pl.DataFrame]]

_VERSIONS = "_versions"
_READING = {"SELECT", "EXPLAIN"}
_EVERY_TABLE = (
    "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables ORDER BY 1"
)


class _Stream:
    """A result as a bare Arrow stream.

    Polars keeps the types it is handed; DuckDB's own result type, kept so, is reported as leaked
    when the interpreter ends.
    """

    def __init__(self, result: duckdb.DuckDBPyRelation) -> None:
        self._result = result

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._result.__arrow_c_stream__(requested_schema)


def query(statement: str, tables: TableStore, control: ControlFrames) -> pl.DataFrame:
    """Run one SELECT (or WITH, DESCRIBE, SHOW, EXPLAIN) and return its rows.

    ``silver.x`` and ``reference.x`` hold current rows; ``silver.x_versions`` holds every version.
    ``ops.x`` holds the control state's tables as they are at the start of the query.

    Parameters
    ----------
    statement : str
    tables : TableStore
    control : callable
        Gives the control tables of the names asked for.

    Raises
    ------
    UsageError
        Not exactly one reading statement, an unknown table or column, or an SQL error.
    """
    connection = duckdb.connect(":memory:")
    staging = tempfile.TemporaryDirectory(prefix="tapemill-sql-")
    try:
        named = _tables_of(connection, statement)
        # SHOW and DESCRIBE without a table list everything, so everything has to be there.
        everything = not named and statement.lstrip().upper().startswith(("SHOW", "DESCRIBE"))
        views = _Views(connection, tables, Path(staging.name))
        views.define(control, None if everything else named)
        _lock(connection, views.folders)
        if statement.strip().rstrip(";").upper() == "SHOW TABLES":
            statement = _EVERY_TABLE  # DuckDB's own looks in one schema only
        return pl.DataFrame(_Stream(connection.sql(statement)))
    except duckdb.Error as error:
        raise _explain(error, statement) from error
    finally:
        connection.close()
        staging.cleanup()


def _tables_of(connection: duckdb.DuckDBPyConnection, statement: str) -> set[str]:
    statements = connection.extract_statements(statement)
    kinds = [str(parsed.type.name) for parsed in statements]
    if len(statements) != 1 or kinds[0] not in _READING:
        raise UsageError(
            f"one SELECT at a time, please; this is {', '.join(kinds) or 'nothing'}",
            where=statement.strip()[:200],
            next_step="the lake is written by fetch, import, build and purge only",
        )
    return {name.replace('"', "") for name in connection.get_table_names(statement, qualified=True)}


class _Views:
    """Makes views over data files; what is no data file is staged as one.

    DuckDB reads Parquet itself. Handing it frames needs pyarrow, which is no dependency, and its
    S3 reader is an extension that would have to be downloaded.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, tables: TableStore, staging: Path
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._staging = staging
        self.folders = [str(staging)]

    def define(self, control: ControlFrames, named: set[str] | None) -> None:
        """Make the views that are named; all of them if None."""
        for layer in sorted({dataset.layer for dataset in DATASETS.values()} | {"ops"}):
            self._connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{layer}"')
        for dataset in DATASETS.values():
            if named is None or named & {dataset.name, dataset.name + _VERSIONS}:
                self._define_dataset(dataset)
        wanted = [name for name in FRAME_NAMES if named is None or name in named]
        for name, frame in (control(wanted) if wanted else {}).items():
            self._view(name, f"FROM {self._stage(name, frame)}")

    def _view(self, name: str, source: str) -> None:
        layer, _, table = name.partition(".")
        self._connection.execute(f'CREATE VIEW "{layer}"."{table}" AS {source}')

    def _stage(self, name: str, frame: pl.DataFrame) -> str:
        file = self._staging / f"{name}.parquet"
        frame.write_parquet(file)
        return f"read_parquet({_quoted(str(file))})"

    def _define_dataset(self, dataset: Dataset) -> None:
        table = self._tables.table(dataset.name)
        uris = self._tables.uris(dataset.name)
        if uris and isinstance(table.place, LocalPlace):
            self.folders.append(table.place.uri)
            kind = "INTEGER" if dataset.partition == "year" else "VARCHAR"
            hive = (
                f", hive_partitioning = true, hive_types = {{'{dataset.partition}': {kind}}}"
                if dataset.partition
                else ""
            )
            rows = f"read_parquet([{', '.join(map(_quoted, uris))}]{hive})"
        else:
            rows = self._stage(dataset.name, self._tables.scan(dataset.name).collect())
        columns = ", ".join(f'"{name}"' for name in dataset.schema.names())
        current = " WHERE superseded_at IS NULL" if dataset.versioned else ""
        self._view(dataset.name, f"FROM {rows} SELECT {columns}{current}")
        if dataset.versioned:
            self._view(dataset.name + _VERSIONS, f"FROM {rows} SELECT {columns}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _lock(connection: duckdb.DuckDBPyConnection, folders: list[str]) -> None:
    """From here on the statement reads the lake's tables and nothing else of the machine."""
    quoted = ", ".join(map(_quoted, folders))
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_directories = [{quoted}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _explain(error: duckdb.Error, statement: str) -> UsageError:
    text = str(error).splitlines()[0]
    known = [
        *DATASETS,
        *FRAME_NAMES,
        *(f"{d.name}{_VERSIONS}" for d in DATASETS.values() if d.versioned),
    ]
    hint = ""
    if isinstance(error, duckdb.CatalogException):
        words = [word.strip('(),;"') for word in statement.split()]
        hint = next((did_you_mean(word, known) for word in words if "." in word), "")
    return UsageError(
        f"the statement cannot be run: {text}",
        where=statement.strip()[:200],
        next_step=hint or '`tapemill sql "SHOW ALL TABLES"` lists every table and its columns',
    )
