"""The control state as Polars frames, for `sql` and reports."""

from __future__ import annotations

import numpy as np
import polars as pl
from sqlalchemy import BigInteger, Table, select

from tapemill.lake.control.blobs import decode_counts, require_sound
from tapemill.lake.control.cells import CellState
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import answers, batches, builds, calls, imports, incidents
from tapemill.lake.control.schema import ledger_counts as counts_table
from tapemill.lake.control.schema import ledger_states as states_table

__all__ = ["FRAME_NAMES", "cells_frame", "frame"]

_TABLES = {
    "ops.calls": calls,
    "ops.answers": answers,
    "ops.batches": batches,
    "ops.incidents": incidents,
    "ops.builds": builds,
    "ops.imports": imports,
}
FRAME_NAMES = (*_TABLES, "ops.cells")

_CELL_SCHEMA = {
    "dataset": pl.String(),
    "symbol": pl.String(),
    "session": pl.Date(),
    "state": pl.String(),
    "rows": pl.UInt32(),
    "versions": pl.UInt16(),
}


def frame(database: Database, name: str) -> pl.DataFrame:
    """One of :data:`FRAME_NAMES` as it stands now; moments are Int64 ns UTC with a `_ns` name."""
    return cells_frame(database) if name == "ops.cells" else _table_frame(database, _TABLES[name])


def _table_frame(database: Database, table: Table) -> pl.DataFrame:
    columns = [column for column in table.columns if column.name != "crc"]
    with database.read() as connection:
        rows = [tuple(row) for row in connection.execute(select(*columns))]
    schema = {
        column.name: pl.Int64() if isinstance(column.type, BigInteger) else pl.String()
        for column in columns
    }
    sessions = [name for name in ("first_session", "last_session") if name in schema]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.col(sessions).str.to_date("%Y-%m-%d")
    )


def cells_frame(database: Database) -> pl.DataFrame:
    """Every cell that is not pending: dataset, symbol, session, state, rows, versions."""
    names = np.array([state.name.lower() for state in CellState])
    statement = select(
        states_table.c.dataset,
        states_table.c.symbol,
        states_table.c.year,
        states_table.c.states,
        states_table.c.crc,
        counts_table.c.counts,
        counts_table.c.crc,
    ).join(
        counts_table,
        (states_table.c.dataset == counts_table.c.dataset)
        & (states_table.c.symbol == counts_table.c.symbol)
        & (states_table.c.year == counts_table.c.year),
    )
    parts: list[pl.DataFrame] = []
    with database.read() as connection:
        rows = connection.execute(statement.execution_options(yield_per=500))
        for dataset, symbol, year, states, crc, counts, counts_crc in rows:
            require_sound(dataset, symbol, year, states, crc)
            require_sound(dataset, symbol, year, counts, counts_crc)
            row_counts, versions = decode_counts(counts)
            cells = np.frombuffer(states, dtype=np.uint8)
            (slots,) = np.nonzero(cells != CellState.PENDING)
            parts.append(
                pl.DataFrame(
                    {
                        "session": np.datetime64(f"{year}-01-01", "D") + slots,
                        "state": names[cells[slots]],
                        "rows": row_counts[slots],
                        "versions": versions[slots],
                    }
                ).select(
                    pl.lit(dataset).alias("dataset"),
                    pl.lit(symbol).alias("symbol"),
                    pl.col("session").cast(pl.Date),
                    "state",
                    "rows",
                    "versions",
                )
            )
    if not parts:
        return pl.DataFrame(schema=_CELL_SCHEMA)
    whole = pl.concat(parts).cast(dict(_CELL_SCHEMA))  # type: ignore[arg-type]
    return whole.sort("dataset", "symbol", "session")
