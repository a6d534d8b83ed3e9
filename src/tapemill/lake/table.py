"""One Delta table of the lake: its handle, its files, its commits.

Data files are written here, not by the table library, because their names carry the SHA-256 of
their bytes (`verify` needs no other record) and because they are fsynced before the commit names
them. The commit itself, its conflict check and its log are delta-rs'.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, PostCommitHookProperties, RemoveAction

from tapemill.clock.injected import Clock
from tapemill.contracts import Dataset
from tapemill.errors import ConflictError, LakeError
from tapemill.lake.parquet import DENSE_LEVEL, DataFile, encode
from tapemill.lake.partitions import Part, parts
from tapemill.lake.places import Place, disk_error
from tapemill.lake.seals import Seals

__all__ = ["Table"]

FILE_ROWS = 8_388_608
"""Most rows of one data file."""
CHECKPOINT_EVERY = 50
"""Commits between checkpoints; opening a table reads at most this many log entries."""
_WRITERS = 2

_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_CONFIGURATION = {
    "delta.logRetentionDuration": "interval 8 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
_NO_SPACE = ("No space left", "StorageFull", "os error 28", "quota")
_DENIED = ("Permission denied", "Read-only file system", "os error 13", "os error 30")


class Table:
    """One dataset as a Delta table at `place`. Thread-safe; processes meet in the log.

    Parameters
    ----------
    dataset : Dataset
    place : Place
    clock : Clock
    """

    def __init__(self, dataset: Dataset, place: Place, clock: Clock) -> None:
        self.dataset = dataset
        self.place = place
        self.lock = threading.RLock()
        self._clock = clock
        self._delta: DeltaTable | None = None
        self._files: tuple[int, pl.DataFrame] | None = None
        self.seals = Seals(place)
        self._schema = dataset.schema
        self.sought = {*dataset.order, *dataset.key, *({"symbol"} & set(self._schema))}
        self._required = [column.name for column in dataset.columns if not column.nullable]

    # -- opening -----------------------------------------------------------------------------

    def handle(self) -> DeltaTable | None:
        """The table at its newest version, or None if it was never created."""
        with self.lock:
            try:
                if self._delta is None:
                    if not self.stored():
                        return None
                    self._delta = DeltaTable(
                        self.place.uri, storage_options=self.place.storage_options or None
                    )
                else:
                    self._delta.update_incremental()
            except TableNotFoundError:
                return None
            except (DeltaError, OSError, ValueError) as error:
                raise self._explain(error) from error
            return self._delta

    def stored(self) -> bool:
        """Whether a log is there, readable or not. An unfinished creation leaves none."""
        return any(
            entry.path.endswith((".json", ".parquet")) for entry in self.place.list("_delta_log")
        )

    def require(self) -> DeltaTable:
        """The table at its newest version; LakeError if it was never created."""
        delta = self.handle()
        if delta is None:
            raise LakeError(
                f"{self.dataset.name} has no table yet",
                where=self.place.uri,
                next_step="run `tapemill fetch` or `tapemill import`, then `tapemill build`",
            )
        return delta

    def create(self, *, fresh: bool = True) -> DeltaTable:
        """The table, created if need be. Any number of processes may try at once.

        Without `fresh` the version seen last will do, which spares a listing of the log: a commit
        that contradicts a newer version is refused anyway.
        """
        with self.lock:
            delta = self._delta if self._delta is not None and not fresh else self.handle()
            if delta is not None:
                return delta
            schema = Schema(
                [
                    Field(
                        field.name,
                        field.type,
                        metadata={"description": column.description, "unit": column.unit},
                    )
                    for field, column in zip(
                        Schema.from_arrow(self.dataset.schema).fields,
                        self.dataset.columns,
                        strict=True,
                    )
                ]
            )
            try:
                DeltaTable.create(
                    self.place.uri,
                    schema,
                    mode="error",
                    partition_by=[self.dataset.partition] if self.dataset.partition else None,
                    name=self.dataset.name,
                    description=self.dataset.description,
                    configuration=_CONFIGURATION,
                    storage_options=self.place.storage_options or None,
                    post_commithook_properties=_NO_HOOKS,
                )
            except (DeltaError, OSError) as error:
                if self.handle() is None:  # not merely a race that another process won
                    raise self._explain(error) from error
            self.place.sync("_delta_log/" + "0" * 20 + ".json")
            delta = self.require()
            self.seals.catch_up(delta.version())
            return delta

    def _explain(self, error: Exception) -> LakeError:
        text = str(error)
        if any(word in text for word in _NO_SPACE):
            return disk_error(OSError(28, text), self.place.uri)
        if any(word in text for word in _DENIED):
            return disk_error(OSError(13, text), self.place.uri)
        return LakeError(
            f"the table {self.dataset.name} cannot be used: {text.splitlines()[0][:300]}",
            where=self.place.uri,
            next_step="`tapemill verify` names the damaged file; restore it from a backup",
        )

    # -- reading -----------------------------------------------------------------------------

    def files(self, *, fresh: bool = True) -> pl.DataFrame:
        """Live data files: path, size_bytes, num_records, partition and min./max. statistics.

        Without `fresh`, those of the version that the handle has: what a commit on this handle
        decides must come from the version that it is checked against.
        """
        with self.lock:
            delta = self.handle() if fresh else self._delta
            if delta is None:
                return pl.DataFrame(schema={"path": pl.String, "size_bytes": pl.Int64})
            version = delta.version()
            if self._files is None or self._files[0] != version:
                frame = pl.DataFrame(delta.get_add_actions(flatten=True)).sort("path")
                self._files = (version, frame)
            return self._files[1]

    def scan(self, paths: Sequence[str]) -> pl.LazyFrame:
        """Rows of the given data files, in the declared column order."""
        dataset = self.dataset
        if not paths:
            return dataset.empty().lazy()
        partition = dataset.partition
        rows = pl.scan_parquet(
            [f"{self.place.uri}/{path}" for path in paths],
            glob=False,
            hive_partitioning=bool(partition),
            hive_schema={partition: self._schema[partition]} if partition else None,
            storage_options=self.place.storage_options or None,
        )
        return rows.select(self._schema.names())

    # -- writing -----------------------------------------------------------------------------

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` as the contract declares it; ContractError if it cannot be."""
        # Nearly every batch conforms already; the full check costs a tenth of a commit.
        same = frame.schema == self._schema
        if same and not any(frame[name].null_count() for name in self._required):
            return frame
        return self.dataset.conform(frame)

    def write_files(
        self,
        frame: pl.DataFrame,
        token: str,
        *,
        change: bool = True,
        level: int = DENSE_LEVEL,
        presorted: bool = False,
    ) -> list[AddAction]:
        """Write the rows as sorted, durable data files, one a partition; nothing is visible yet.

        `token` makes the names of this write its own: the same rows written for another reason
        are another file. `level` is zstd's. `presorted` rows are in the dataset's order already.
        """
        partition = self.dataset.partition
        order = [name for name in self.dataset.order if name != partition]

        def write(part: Part) -> list[AddAction]:
            rows = part.of(bare)
            if order and not presorted:
                rows = rows.sort(order, nulls_last=True, maintain_order=True)
            return [put(part.value, piece) for piece in rows.iter_slices(FILE_ROWS)]

        def put(value: str, rows: pl.DataFrame) -> AddAction:
            file = encode(rows, self.sought, level=level)
            return self.put_file(file, token, value, change=change)

        bare = frame.drop(partition) if partition else frame
        found = parts(frame, partition)
        if len(found) <= 1:
            return [add for part in found for add in write(part)]
        # One file is packed while another one is on its way to the disk.
        with ThreadPoolExecutor(_WRITERS) as writers:
            return [add for adds in writers.map(write, found) for add in adds]

    def put_file(self, file: DataFile, token: str, value: str, *, change: bool = True) -> AddAction:
        """Write one data file of the partition `value` durably; nothing is visible yet."""
        partition = self.dataset.partition
        prefix = hashlib.sha256(f"{self.dataset.name}|{token}".encode()).hexdigest()[:16]
        name = f"{prefix}-{hashlib.sha256(file.content).hexdigest()}.parquet"
        path = f"{partition}={value}/{name}" if partition else name
        self.place.put(path, file.content)
        return AddAction(
            path,
            len(file.content),
            {partition: value} if partition else {},
            self._clock.now_ns() // 1_000_000,
            change,
            file.stats,
        )

    def removals(self, files: pl.DataFrame, *, change: bool = True) -> list[RemoveAction]:
        """Actions that retire the given live files (rows of :meth:`files`)."""
        partition = self.dataset.partition
        now_ms = self._clock.now_ns() // 1_000_000
        return [
            RemoveAction(
                file["path"],
                change,
                now_ms,
                file["size_bytes"],
                {partition: str(file[f"partition.{partition}"])} if partition else {},
            )
            for file in files.iter_rows(named=True)
        ]

    def commit(
        self,
        delta: DeltaTable,
        actions: Sequence[AddAction | RemoveAction],
        *,
        token: str,
        transaction: tuple[str, int] | None = None,
        exclusive: bool = False,
    ) -> int:
        """Make the actions visible in one step, durably; the version they became.

        A commit that retires files is always exclusive: delta-rs would let two compactions of the
        same files pass, for they change no rows, and both results would stay.

        Parameters
        ----------
        token : str
            What this commit is, unlike any other of the table.
        transaction : tuple, optional
            (writer, sequence), refused if another commit since `delta` was read has that writer.
        exclusive : bool
            Fail on any commit made since `delta` was read, not only on a contradicting one.

        Raises
        ------
        ConflictError
            Another writer committed first; read again and decide anew.
        """
        alone = exclusive or any(isinstance(action, RemoveAction) for action in actions)
        properties = CommitProperties(
            custom_metadata={"tapemill": token},
            max_commit_retries=0 if alone else None,
            app_transactions=[Transaction(*transaction)] if transaction else None,
        )
        before = delta.version()
        try:
            delta.create_write_transaction(
                list(actions),
                "append",
                delta.schema(),
                delta.metadata().partition_columns,
                commit_properties=properties,
                post_commithook_properties=_NO_HOOKS,
            )
        except CommitFailedError as error:
            if any(word in str(error) for word in (*_NO_SPACE, *_DENIED)):
                raise self._explain(error) from error
            raise ConflictError(
                f"another writer changed {self.dataset.name} first",
                where=self.place.uri,
                next_step="nothing was committed; run the same command again",
            ) from error
        except (DeltaError, OSError) as error:
            raise self._explain(error) from error
        delta.update_incremental()
        version = self._own_version(delta, before, token)
        self.place.sync(f"_delta_log/{version:020d}.json")
        if version % CHECKPOINT_EVERY == 0:
            self.checkpoint(delta)
        return version

    def _own_version(self, delta: DeltaTable, before: int, token: str) -> int:
        """Which of the versions since `before` is ours; all of them get their seal on the way."""
        for version, entry in self.seals.catch_up(delta.version(), since=before):
            for line in entry.splitlines():
                if json.loads(line).get("commitInfo", {}).get("tapemill") == token:
                    return version
        raise LakeError(
            f"a commit to {self.dataset.name} was accepted but cannot be found in its log",
            where=self.place.uri,
            next_step="`tapemill verify`, then run the same command again",
        )

    def checkpoint(self, delta: DeltaTable) -> None:
        """Write a checkpoint of the handle's version, durably and sealed."""
        name = f"_delta_log/{delta.version():020d}.checkpoint.parquet"
        pointer = "_delta_log/_last_checkpoint"
        if not self.place.exists(name):
            try:
                delta.create_checkpoint()
            except (DeltaError, OSError) as error:
                raise self._explain(error) from error
        self.place.sync(name)
        # Another writer may be, or have been killed, between the two: the pointer only spares
        # readers a listing, and the next checkpoint writes it.
        if self.place.exists(pointer):
            self.place.sync(pointer)
        self.seals.seal_checkpoint(delta.version())
