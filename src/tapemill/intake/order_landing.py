"""Stretches of a file into their tables, each batch exactly once, while the next is being read.

Rows are encoded as soon as the file's hash is known, for they name it, and shown once its raw
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
from tapemill.intake.order_pieces import STRETCHES_A_BATCH, Stretch
from tapemill.intake.order_reading import EVENTS, FEEDS, TRADES
from tapemill.intake.order_rows import depth_rows, event_rows, trade_rows
from tapemill.lake import Lake
from tapemill.lake.building import FileBuilder
from tapemill.lake.quarantine import quarantine_rows
from tapemill.lake.replacement import Replacement
from tapemill.lake.tables import Staged

__all__ = ["SOURCE", "OrderLander", "Origin", "raw_key_of", "with_provenance"]

SOURCE = "databento.file"
DEPTH = "silver.futures_depth"
QUARANTINE = "ops.quarantine"
_TABLES = (EVENTS, DEPTH, TRADES, *FEEDS.values(), QUARANTINE)
_UTC_US = pl.Datetime("us", "UTC")
_WRITERS = 3
"""Two encode while one waits for the disk."""


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
    """Lands the stretches of one file in threads of its own. Use it as a context.

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
        Dataset → rows landed now.
    """

    def __init__(self, lake: Lake, origin: Origin, writer: str, stored: Future[Any]) -> None:
        self.rows: dict[str, int] = {}
        self._lake = lake
        self._origin = origin
        self._key = raw_key_of(origin.sha256)
        self._writer = writer
        self._stored = stored
        self._batch = 1
        self._builders: dict[str, FileBuilder] = {}
        self._frames: dict[str, list[pl.DataFrame]] = {}
        self._landing: Future[None] | None = None
        self._writing: list[Future[Staged | None]] = []
        self._waiting: list[Staged] = []
        self._turn = ThreadPoolExecutor(1, "orders-land")
        self._writers = ThreadPoolExecutor(_WRITERS, "orders-write")
        self._committed: dict[str, int] = {}
        self._exchanges: dict[str, Replacement] = {}

    def __enter__(self) -> Self:
        for dataset in _TABLES:
            done = self._lake.tables.committed(dataset, self._writer)
            self._committed[dataset] = done or 0
            column, value = self._mark(dataset)
            if done is None and self._has_rows(dataset, column, value):
                condition = f"{column} = {value}"
                self._exchanges[dataset] = self._lake.tables.replacement(dataset, condition)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._turn.shutdown(cancel_futures=True)
        self._writers.shutdown(cancel_futures=True)

    def put(self, stretch: Stretch) -> None:
        """Take a stretch; waits while the one before it is being encoded."""
        if self._landing is not None:
            self._landing.result()
        self._landing = self._turn.submit(self._land, stretch)

    def finish(self) -> None:
        """Wait until everything is shown."""
        if self._landing is not None:
            self._landing.result()
        self._close_batch()
        self._collect(self._writing)
        self._stored.result()
        self._show()
        for exchange in self._exchanges.values():
            exchange.commit(writer=self._writer, sequence=self._batch)

    def _mark(self, dataset: str) -> tuple[str, str]:
        """The column that names the file in a table, and its value in SQL."""
        if "raw_key" in contract(dataset).schema:
            return "raw_key", str(self._key)
        return "raw_sha256", f"'{self._origin.sha256}'"

    def _has_rows(self, dataset: str, column: str, value: str) -> bool:
        files = self._lake.tables.files(dataset)
        if f"min.{column}" in files.columns:
            ours = pl.lit(self._key if column == "raw_key" else self._origin.sha256)
            within = ours.is_between(pl.col(f"min.{column}"), pl.col(f"max.{column}"))
            files = files.filter(within.fill_null(value=True))
        rows = self._lake.tables.table(dataset).scan(files["path"].to_list())
        return rows.filter(pl.sql_expr(f"{column} = {value}")).head(1).collect().height > 0

    # -- a stretch ---------------------------------------------------------------------------

    def _land(self, stretch: Stretch) -> None:
        batch = (stretch.number - 1) // STRETCHES_A_BATCH + 1
        if batch != self._batch:
            self._close_batch()
            self._batch = batch
        days = calendar("CMES")
        makers: dict[str, Callable[[], pl.DataFrame]] = {}
        if stretch.events:
            makers[EVENTS] = functools.partial(event_rows, stretch.events, self._key, days)
            makers[DEPTH] = functools.partial(depth_rows, stretch.events, self._key, days)
        if stretch.trades:
            makers[TRADES] = functools.partial(trade_rows, stretch.trades, self._key, days)
        wanted = {name: make for name, make in makers.items() if self._committed[name] < batch}
        sources = {piece.source for piece in stretch.events}
        sources |= {piece.source for piece in stretch.trades}
        mixed = len(sources) > 1
        encoding = [
            self._writers.submit(self._encode, self._builder(dataset), dataset, make, mixed)
            for dataset, make in wanted.items()
        ]
        self._keep_frames(stretch)
        for future in encoding:
            future.result()

    def _builder(self, dataset: str) -> FileBuilder:
        if dataset not in self._builders:
            self._builders[dataset] = self._lake.tables.builder(
                dataset, writer=self._writer, sequence=self._batch
            )
        return self._builders[dataset]

    def _encode(
        self, builder: FileBuilder, dataset: str, make: Callable[[], pl.DataFrame], mixed: bool
    ) -> None:
        rows = make()
        if mixed:  # the rows come instrument by instrument
            rows = rows.sort(contract(dataset).order)
        builder.add(rows)
        self.rows[dataset] = self.rows.get(dataset, 0) + rows.height

    def _keep_frames(self, stretch: Stretch) -> None:
        """Rows of feeds and rows set aside: few, so they wait for their batch as they are."""
        rejected = [*stretch.rejected]
        for dataset, frames in stretch.feeds.items():
            rows = with_provenance(dataset, pl.concat(frames), self._origin)
            good, bad = contract(dataset).split(rows)
            self._frames.setdefault(dataset, []).append(good)
            if bad.height:
                rejected.append((dataset, bad))
        for dataset, rows in rejected:
            provenance = rows.with_columns(
                source=pl.lit(SOURCE),
                raw_sha256=pl.lit(self._origin.sha256),
                ts_recv=pl.lit(self._origin.received_ns // 1000).cast(_UTC_US),
            )
            shaped = quarantine_rows(contract(dataset), provenance)
            self._frames.setdefault(QUARANTINE, []).append(shaped)

    # -- a batch -----------------------------------------------------------------------------

    def _close_batch(self) -> None:
        """Send the files of a batch to the disk, and show those of the batch before."""
        earlier, batch = self._writing, self._batch
        builders, self._builders = self._builders, {}
        frames, self._frames = self._frames, {}
        self._writing = [
            self._writers.submit(self._write, dataset, builder.finish, batch)
            for dataset, builder in builders.items()
        ]
        for dataset, parts in frames.items():
            if self._committed[dataset] < batch:
                rows = pl.concat(parts)
                self.rows[dataset] = self.rows.get(dataset, 0) + rows.height
                make = functools.partial(self._file, dataset, rows, batch)
                self._writing.append(self._writers.submit(self._write, dataset, make, batch))
        self._collect(earlier)
        if self._stored.done():
            self._show()

    def _collect(self, writing: list[Future[Staged | None]]) -> None:
        self._waiting += [one for future in writing if (one := future.result()) is not None]

    def _file(self, dataset: str, rows: pl.DataFrame, batch: int) -> tuple[Any, ...]:
        return self._lake.tables.stage(dataset, rows, writer=self._writer, sequence=batch).adds

    def _write(self, dataset: str, make: Callable[[], Any], batch: int) -> Staged | None:
        adds = make()
        if dataset in self._exchanges:
            self._exchanges[dataset].take(adds)
            return None
        if not adds:
            return None
        return self._lake.tables.staged(dataset, adds, writer=self._writer, sequence=batch)

    def _show(self) -> None:
        """Commit what is written; the raw object is durable."""
        self._stored.result()
        waiting, self._waiting = self._waiting, []
        for staged in waiting:
            self._lake.tables.commit(staged)
