"""Batches of a file into their tables, each exactly once, while the next one is being read.

Rows are written as soon as the file's hash is known, for they name it, and shown once its raw
object is durable: what is in a table can always be traced to bytes that are kept. A table that
holds rows of the same file by other ticks gets the new ones in their place in one commit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

import polars as pl

from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.intake.order_pieces import Batch
from tapemill.intake.order_reading import EVENTS, FEEDS, TRADES
from tapemill.intake.order_rows import depth_rows, event_rows, trade_rows
from tapemill.lake import Lake
from tapemill.lake.quarantine import quarantine_rows
from tapemill.lake.replacement import Replacement
from tapemill.lake.tables import Staged

__all__ = ["SOURCE", "OrderLander", "Origin", "raw_key_of", "with_provenance"]

SOURCE = "databento.file"
DEPTH = "silver.futures_depth"
QUARANTINE = "ops.quarantine"
_TABLES = (EVENTS, DEPTH, TRADES, *FEEDS.values(), QUARANTINE)
_UTC_US = pl.Datetime("us", "UTC")


class Origin(NamedTuple):
    """The raw object that rows come from, and when it was imported (ns UTC)."""

    sha256: str
    received_ns: int


def raw_key_of(sha256: str) -> int:
    """First 63 bits of the hash."""
    return int(sha256[:16], 16) >> 1


def with_provenance(dataset: str, rows: pl.DataFrame, origin: Origin) -> pl.DataFrame:
    """Rows of a bronze feed with the columns that the import adds."""
    received = pl.lit(origin.received_ns // 1000).cast(_UTC_US)
    known = -(-pl.col("ts_gateway") // 1000) if "ts_gateway" in rows.columns else None
    return rows.with_columns(
        source=pl.lit(SOURCE),
        raw_sha256=pl.lit(origin.sha256),
        request_id=pl.lit(None, pl.String),
        ts_recv=received,
        known_at=received if known is None else known.cast(_UTC_US),
    ).select(contract(dataset).schema.names())


class OrderLander:
    """Lands the batches of one file in a thread of its own. Use it as a context.

    Parameters
    ----------
    lake : Lake
    origin : Origin
    writer : str
        Name of this import's stream of batches.
    stored : Future
        Done once the raw object is durable.

    Attributes
    ----------
    rows : dict
        Dataset → rows of the file in it.
    """

    def __init__(self, lake: Lake, origin: Origin, writer: str, stored: Future[Any]) -> None:
        self.rows: dict[str, int] = {}
        self._lake = lake
        self._origin = origin
        self._key = raw_key_of(origin.sha256)
        self._writer = writer
        self._stored = stored
        self._waiting: list[Staged] = []
        self._last = 0
        self._landing: Future[None] | None = None
        self._turn = ThreadPoolExecutor(1, "orders-land")
        self._writers = ThreadPoolExecutor(2, "orders-write")
        self._committed: dict[str, int | None] = {}
        self._exchanges: dict[str, Replacement] = {}

    def __enter__(self) -> Self:
        for dataset in _TABLES:
            done = self._lake.tables.committed(dataset, self._writer)
            self._committed[dataset] = done
            if done is None and self._has_rows(dataset):
                predicate = f"{self._mark(dataset)[0]} = {self._mark(dataset)[1]}"
                self._exchanges[dataset] = self._lake.tables.replacement(dataset, predicate)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._turn.shutdown()
        self._writers.shutdown()

    def put(self, batch: Batch) -> None:
        """Take a batch; waits while the one before it is being written."""
        if self._landing is not None:
            self._landing.result()
        self._last = batch.number
        self._landing = self._turn.submit(self._land, batch)

    def finish(self) -> None:
        """Wait until everything is shown."""
        if self._landing is not None:
            self._landing.result()
        self._stored.result()
        self._show()
        for exchange in self._exchanges.values():
            exchange.commit(writer=self._writer, sequence=self._last)

    def _mark(self, dataset: str) -> tuple[str, str]:
        """The column that names the file in a table, and its value in SQL."""
        if "raw_key" in contract(dataset).schema:
            return "raw_key", str(self._key)
        return "raw_sha256", f"'{self._origin.sha256}'"

    def _has_rows(self, dataset: str) -> bool:
        column, value = self._mark(dataset)
        files = self._lake.tables.files(dataset)
        if f"min.{column}" in files.columns:
            wanted = pl.lit(self._key if column == "raw_key" else value.strip("'"))
            within = wanted.is_between(pl.col(f"min.{column}"), pl.col(f"max.{column}"))
            files = files.filter(within.fill_null(value=True))
        table = self._lake.tables.table(dataset)
        rows = table.scan(files["path"].to_list() if files.height else [])
        return rows.filter(pl.sql_expr(f"{column} = {value}")).head(1).collect().height > 0

    def _land(self, batch: Batch) -> None:
        days = calendar("CMES")
        makers: dict[str, Callable[[], pl.DataFrame]] = {}
        if batch.events:
            makers[EVENTS] = functools.partial(event_rows, batch.events, self._key, days)
        if any(piece.changes.side.size for piece in batch.events):
            makers[DEPTH] = functools.partial(depth_rows, batch.events, self._key, days)
        if batch.trades:
            makers[TRADES] = functools.partial(trade_rows, batch.trades, self._key, days)
        for dataset, frames in batch.feeds.items():
            good, bad = contract(dataset).split(
                with_provenance(dataset, pl.concat(frames), self._origin)
            )
            makers[dataset] = functools.partial(_itself, good)
            if bad.height:
                batch.rejected.append((dataset, bad))
        if batch.rejected:
            makers[QUARANTINE] = functools.partial(self._rejected, batch)
        writing = [
            self._writers.submit(self._write, dataset, make, batch)
            for dataset, make in makers.items()
        ]
        staged = [future.result() for future in writing]
        self._waiting += [one for one in staged if one is not None]
        if self._stored.done():
            self._show()

    def _write(self, dataset: str, make: Callable[[], pl.DataFrame], batch: Batch) -> Staged | None:
        committed = self._committed[dataset]
        if committed is not None and committed >= batch.number:
            return None
        rows = make()
        self.rows[dataset] = self.rows.get(dataset, 0) + rows.height
        if not rows.height:
            return None
        in_order = dataset in (EVENTS, DEPTH) and len({one.source for one in batch.events}) == 1
        if dataset in self._exchanges:
            token = f"{self._writer}|{batch.number}"
            self._exchanges[dataset].add(rows, token=token, presorted=in_order)
            return None
        return self._lake.tables.stage(
            dataset, rows, writer=self._writer, sequence=batch.number, presorted=in_order
        )

    def _show(self) -> None:
        """Commit what is written; the raw object is durable."""
        self._stored.result()
        waiting, self._waiting = self._waiting, []
        for staged in waiting:
            self._lake.tables.commit(staged)

    def _rejected(self, batch: Batch) -> pl.DataFrame:
        frames = []
        for dataset, rows in batch.rejected:
            provenance = rows.with_columns(
                source=pl.lit(SOURCE),
                raw_sha256=pl.lit(self._origin.sha256),
                ts_recv=pl.lit(self._origin.received_ns // 1000).cast(_UTC_US),
            )
            frames.append(quarantine_rows(contract(dataset), provenance))
        return pl.concat(frames)


def _itself(rows: pl.DataFrame) -> pl.DataFrame:
    return rows
