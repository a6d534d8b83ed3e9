"""Tables: every dataset of the lake as a Delta table, with exactly-once appends.

In: frames that keep their dataset's contract. Out: LazyFrames, versions, files. Several processes
may write at once; they meet in the table's log, and whoever comes second reads again.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tapemill.clock.injected import Clock
from tapemill.contracts import DATASETS, contract
from tapemill.errors import ConflictError, ContractError, CorruptError
from tapemill.lake.digest import content_digest
from tapemill.lake.history import commits
from tapemill.lake.parquet import QUICK_LEVEL
from tapemill.lake.places import Place
from tapemill.lake.pruning import day_column, prune
from tapemill.lake.replacement import Replacement, gave_up
from tapemill.lake.swap import Swap, doomed_rows
from tapemill.lake.table import Table

if TYPE_CHECKING:
    from tapemill.lake.building import FileBuilder

__all__ = ["Staged", "TableStore"]

TRIES = 40
"""How often a commit that lost against another writer is decided anew before it gives up."""


class Staged(NamedTuple):
    """Rows on disk that no version shows yet."""

    table: Table
    adds: tuple[Any, ...]
    writer: str
    sequence: int


class TableStore:
    """The tables under one place.

    Parameters
    ----------
    place : Place
        ``<lake>/tables``.
    clock : Clock
    """

    def __init__(self, place: Place, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._tables: dict[str, Table] = {}
        self._lock = threading.Lock()

    def table(self, dataset: str) -> Table:
        """The table behind a dataset; UnknownNameError if no dataset has that name."""
        declared = contract(dataset)
        with self._lock:
            if dataset not in self._tables:
                place = self._place.at(f"{declared.layer}/{declared.table}")
                self._tables[dataset] = Table(declared, place, self._clock)
            return self._tables[dataset]

    # -- writing -----------------------------------------------------------------------------

    def append(
        self,
        dataset: str,
        frame: pl.DataFrame,
        *,
        writer: str,
        sequence: int,
        presorted: bool = False,
    ) -> int | None:
        """Add rows exactly once and durably.

        Parameters
        ----------
        dataset : str
        frame : pl.DataFrame
            Rows that keep the contract; sorted and split into partitions here.
        writer : str
            Name of the stream of batches.
        sequence : int
            Grows by batch within the writer. A batch whose number is not above the writer's last
            committed one is taken as already there.
        presorted : bool
            The rows are in the dataset's order already.

        Returns
        -------
        int or None
            The table version that holds the rows; None if it was committed before.

        Raises
        ------
        ContractError
            The frame does not keep the contract.
        ConflictError
            Other writers were faster many times in a row.
        LakeError
            Disk full, read-only, unreachable, damaged.
        """
        table = self.table(dataset)
        frame = table.conform(frame)
        with table.lock:
            committed = table.create(fresh=False).transaction_version(writer)
        if committed is not None and committed >= sequence:
            return None
        return self.commit(
            self.stage(dataset, frame, writer=writer, sequence=sequence, presorted=presorted)
        )

    def stage(
        self,
        dataset: str,
        frame: pl.DataFrame,
        *,
        writer: str,
        sequence: int,
        presorted: bool = False,
    ) -> Staged:
        """Write rows durably without showing them: :meth:`commit` does that.

        What is never committed stays on disk until a compaction sweeps it. Parameters and errors
        are those of :meth:`append`.
        """
        table = self.table(dataset)
        rows = table.conform(frame)
        table.create(fresh=False)
        token = f"{writer}|{sequence}"
        adds = table.write_files(rows, token, level=QUICK_LEVEL, presorted=presorted)
        return Staged(table, tuple(adds), writer, sequence)

    def builder(self, dataset: str, *, writer: str, sequence: int) -> FileBuilder:
        """Files that grow by frames; `Staged` of what they become can be committed.

        For tables of whole numbers only. Many more rows than fit into memory can land in one
        commit this way.
        """
        from tapemill.lake.building import FileBuilder  # pyarrow is slow to import

        table = self.table(dataset)
        table.create(fresh=False)
        return FileBuilder(table, f"{writer}|{sequence}")

    def staged(self, dataset: str, adds: Sequence[Any], *, writer: str, sequence: int) -> Staged:
        """What :meth:`FileBuilder.finish` wrote, as a batch to :meth:`commit`."""
        return Staged(self.table(dataset), tuple(adds), writer, sequence)

    def commit(self, staged: Staged) -> int | None:
        """Show what was staged, exactly once; as :meth:`append` returns and raises."""
        table, adds, writer, sequence = staged
        token = f"append|{writer}|{sequence}"
        for attempt in range(TRIES):
            with table.lock:
                delta = table.create(fresh=attempt > 0)
                committed = delta.transaction_version(writer)
                if committed is not None and committed >= sequence:
                    return None
                try:
                    return table.commit(delta, adds, token=token, transaction=(writer, sequence))
                except ConflictError:
                    continue
        raise gave_up(table, TRIES)

    def replace(
        self,
        dataset: str,
        frame: pl.DataFrame,
        *,
        sessions: Sequence[datetime.date] | None = None,
        predicate: str | None = None,
        writer: str = "build",
        sequence: int | None = None,
    ) -> int:
        """Swap whole sessions (or the rows of an SQL `predicate`, or everything) in one commit.

        Readers see the old rows or the new ones, never both or neither. Files that hold only
        replaced rows are dropped without being read.

        Parameters
        ----------
        dataset : str
        frame : pl.DataFrame
            The new rows; each must itself lie in the replaced sessions or meet the predicate.
        sessions : sequence of date, optional
            Exchange dates to replace. With neither this nor `predicate`, the whole table.
        predicate : str, optional
            SQL condition on the dataset's columns.
        writer : str
        sequence : int, optional
            With it, the swap happens exactly once for (writer, sequence).

        Returns
        -------
        int
            The table version.

        Raises
        ------
        ContractError
            The frame breaks the contract or holds rows outside of what is replaced.
        ConflictError
            Other writers were faster many times in a row.
        """
        table = self.table(dataset)
        frame = table.conform(frame)
        doomed = doomed_rows(table.dataset, sessions, predicate)
        if frame.select((~doomed).fill_null(value=True).any()).item():
            raise ContractError(
                f"{dataset}: new rows lie outside of the sessions they replace",
                where=f"sessions {sorted(map(str, sessions or []))}, predicate {predicate!r}",
                next_step="name every session of the frame, or filter the frame",
            )
        days = frozenset(sessions) if sessions is not None and predicate is None else None
        return self._exchange(table, Swap(doomed, days, predicate), frame, writer, sequence)

    def replacement(self, dataset: str, predicate: str) -> Replacement:
        """An exchange of the rows of an SQL `predicate` whose new rows come in batches.

        Raises
        ------
        ContractError
            The predicate is not SQL.
        """
        table = self.table(dataset)
        doomed = doomed_rows(table.dataset, None, predicate)
        return Replacement(table, Swap(doomed, predicate=predicate), TRIES)

    def drop(self, dataset: str, doomed: pl.Expr, *, before: datetime.date, writer: str) -> int:
        """Remove the rows of `doomed` that lie before a date; the table version.

        Only `Lake.purge` may decide that.
        """
        table = self.table(dataset)
        swap = Swap(doomed & (pl.col(day_column(table.dataset)) < before), before=before)
        return self._exchange(table, swap, table.dataset.empty(), writer, None)

    def _exchange(
        self, table: Table, swap: Swap, frame: pl.DataFrame, writer: str, sequence: int | None
    ) -> int:
        for _ in range(TRIES):
            with table.lock:
                delta = table.create()
                committed = delta.transaction_version(writer) if sequence is not None else None
                if sequence is not None and committed is not None and committed >= sequence:
                    return delta.version()
                token = f"replace|{writer}|{sequence}|{delta.version()}"
                try:
                    return table.commit(
                        delta,
                        swap.actions(table, frame, token),
                        token=token,
                        transaction=None if sequence is None else (writer, sequence),
                        exclusive=True,
                    )
                except ConflictError:
                    continue
        raise gave_up(table, TRIES)

    # -- reading -----------------------------------------------------------------------------

    def scan(
        self,
        dataset: str,
        *,
        symbols: Sequence[str] | None = None,
        start: datetime.date | None = None,
        end: datetime.date | None = None,
    ) -> pl.LazyFrame:
        """All rows of the newest version (all row versions too), in the declared column order.

        `symbols`, `start` and `end` only spare files that cannot hold such rows; filter as well.
        A dataset without a table yet has no rows. The frame stays readable for the time-travel
        window even if the table is compacted meanwhile.
        """
        table = self.table(dataset)
        files = prune(table.dataset, table.files(), symbols=symbols, start=start, end=end)
        return table.scan(files["path"].to_list())

    def exists(self, dataset: str) -> bool:
        """Whether the dataset has a table (it may hold no rows)."""
        return self.table(dataset).handle() is not None

    def existing(self) -> list[str]:
        """Names of all datasets that have a table."""
        return [name for name in DATASETS if self.exists(name)]

    def version(self, dataset: str) -> int:
        """Newest version of the table; LakeError if there is no table."""
        return self.table(dataset).require().version()

    def history(self, dataset: str) -> list[dict[str, Any]]:
        """Commits, newest first: version, at, operation, rows, files_added/_removed, writer.

        Raises
        ------
        LakeError
            The dataset has no table.
        """
        table = self.table(dataset)
        return commits(table.place, table.require().version())

    def committed(self, dataset: str, writer: str) -> int | None:
        """The last sequence number that `writer` committed, or None."""
        delta = self.table(dataset).handle()
        return None if delta is None else delta.transaction_version(writer)

    def files(self, dataset: str) -> pl.DataFrame:
        """Live data files: path, size_bytes, num_records, partition and statistics."""
        return self.table(dataset).files()

    def uris(self, dataset: str) -> list[str]:
        """Full addresses of the live data files."""
        table = self.table(dataset)
        return [f"{table.place.uri}/{path}" for path in table.files()["path"]]

    def rows(self, dataset: str) -> int:
        """Rows of the newest version, from the files' statistics."""
        files = self.files(dataset)
        return int(files["num_records"].sum()) if files.height else 0

    def digest(self, dataset: str) -> str:
        """SHA-256 of the table's content, whatever its files, their order and its history.

        Raises
        ------
        CorruptError
            A data file cannot be read.
        """
        table = self.table(dataset)
        files = table.files()
        key = f"partition.{table.dataset.partition}"
        groups: list[list[str]] = [files["path"].to_list()]
        if table.dataset.partition and files.height:
            groups = (
                files.sort(key).group_by(key, maintain_order=True).agg("path")["path"].to_list()
            )
        try:
            return content_digest(table.dataset, (table.scan(paths).collect() for paths in groups))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise CorruptError(
                f"a data file of {dataset} cannot be read",
                where=str(error).splitlines()[0],
                next_step="`tapemill verify` names it; restore it from a backup",
            ) from error
