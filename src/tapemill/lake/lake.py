"""The lake as its users see it: open, scan as of a moment, query, look after."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tapemill.clock.injected import SYSTEM_CLOCK, Clock
from tapemill.contracts import DATASETS, contract
from tapemill.errors import LakeError
from tapemill.lake.adjust import Adjustment
from tapemill.lake.asof import AsOf, Day
from tapemill.lake.compaction import RETENTION_DAYS, Compaction, compact_table
from tapemill.lake.marker import read_marker, require_new, write_marker
from tapemill.lake.places import LocalPlace, Place, open_place
from tapemill.lake.purge import PurgeReport, purge_raw, purge_table
from tapemill.lake.quarantine import quarantine_rows
from tapemill.lake.raw import RawStore
from tapemill.lake.reader import Reader
from tapemill.lake.tables import TableStore
from tapemill.lake.verification import Finding, verify_marker, verify_raw, verify_table

if TYPE_CHECKING:
    from tapemill.lake.control import ControlState

__all__ = ["Lake"]


class Lake:
    """Raw objects, tables and control state under one root. Make one with :meth:`open`.

    Attributes
    ----------
    raw : RawStore
        Every answer and file as it came.
    tables : TableStore
        The datasets at rest.
    location : str
        Absolute path or ``s3://`` address.
    """

    def __init__(self, place: Place, clock: Clock, control_url: str) -> None:
        self.location = place.uri
        self.clock = clock
        self.raw = RawStore(place.at("raw"))
        self.tables = TableStore(place.at("tables"), clock)
        self._place = place
        self._control_url = control_url
        self._reader = Reader(self.tables, clock)

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        create: bool = False,
        control_url: str = "",
        storage_options: Mapping[str, str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Lake:
        """Open the lake at a folder or ``s3://bucket/prefix``.

        Parameters
        ----------
        location : str or Path
        create : bool
            Make it if nothing is there yet. Several processes may try at once.
        control_url : str
            SQLAlchemy URL of the control state; empty: SQLite inside the lake's folder.
        storage_options : mapping
            Endpoint and credentials of the object store (``AWS_ENDPOINT_URL`` …).
        clock : Clock

        Raises
        ------
        LakeError
            There is no lake, the folder holds something else, a newer Tapemill made it, or it
            cannot be read or written.
        """
        place = open_place(str(location), storage_options)
        if read_marker(place) is None:
            if not create:
                raise LakeError(
                    "there is no lake here",
                    where=place.uri,
                    next_step="name another one with --lake or TAPEMILL_LAKE; `tapemill fetch`, "
                    "`tapemill import` and `tapemill demo` create one",
                )
            require_new(place)
            write_marker(place)
        return cls(place, clock, control_url)

    @functools.cached_property
    def control(self) -> ControlState:
        """The control state: ledger, calls, answers, batches, builds, incidents.

        Raises
        ------
        LakeError
            The lake is on an object store and no control URL was given.
        """
        from tapemill.lake.control import open_control

        if self._control_url:
            return open_control(self._control_url, self.clock)
        if not isinstance(self._place, LocalPlace):
            raise LakeError(
                "a lake on an object store needs a control URL",
                where=self.location,
                next_step="set lake.control_url (a file path or a PostgreSQL URL)",
            )
        return open_control(f"{self.location}/control.sqlite", self.clock)

    def close(self) -> None:
        """Close the connections of the control state, if it was used."""
        control = self.__dict__.pop("control", None)
        if control is not None:
            control.close()

    # -- reading -----------------------------------------------------------------------------

    def scan(
        self,
        dataset: str,
        symbols: str | Sequence[str] | None = None,
        start: Day | None = None,
        end: Day | None = None,
        as_of: AsOf | None = None,
        adjust: Adjustment | None = None,
        columns: Sequence[str] | None = None,
        *,
        strict_symbols: bool = True,
    ) -> pl.LazyFrame:
        """Rows as they were known at `as_of`.

        Parameters
        ----------
        dataset : str
            Such as ``"silver.equity_bars_1m"``.
        symbols : str or sequence of str, optional
            All of them without it.
        start, end : date or str, optional
            First and last session (New York dates, both inclusive); for datasets without sessions
            the event date.
        as_of : date, datetime, str or int, optional
            The moment of knowledge: a date means its end in New York, an integer nanoseconds UTC.
            Without it, the current versions.
        adjust : {"split", "total_return"}, optional
            Apply ``reference.adjustments`` as known then; stored prices are unadjusted. A lake that
            knows of no corporate action adjusts nothing.
        columns : sequence of str, optional
        strict_symbols : bool
            Whether a symbol of which the dataset holds no row at all is an error.

        Returns
        -------
        pl.LazyFrame
            Columns as declared; ``superseded_at`` is null. Stays readable for a week even if the
            table is compacted meanwhile. Sorted by symbol and time if adjusted.

        Raises
        ------
        UnknownNameError
            There is no such dataset, column or symbol; the message names the nearest.
        LakeError
            The dataset was never built.
        DateError, UsageError
            A date cannot be read; the question cannot be meant.
        ContractError
            A dividend in question has no factor.
        """
        return self._reader.scan(
            dataset, symbols, start, end, as_of, adjust, columns, strict_symbols=strict_symbols
        )

    def sql(self, statement: str) -> pl.DataFrame:
        """Rows of one SELECT over all tables; see :func:`tapemill.lake.sql.query`.

        Raises
        ------
        UsageError
            It is not one reading statement, or it cannot be run.
        """
        from tapemill.lake.sql import query

        return query(statement, self.tables, lambda names: self.control.frames(names))

    def datasets(self) -> list[str]:
        """Names of the datasets that have a table."""
        return self.tables.existing()

    def history(self, dataset: str) -> list[dict[str, Any]]:
        """Commits of a table, newest first; see :meth:`TableStore.history`."""
        return self.tables.history(dataset)

    def digest(self, dataset: str) -> str:
        """SHA-256 of a table's content, independent of its layout and history."""
        return self.tables.digest(dataset)

    # -- writing -----------------------------------------------------------------------------

    def quarantine(self, dataset: str, bad: pl.DataFrame, writer: str, sequence: int) -> int | None:
        """Keep rows that broke a contract, with their reasons, exactly once; the version.

        Parameters
        ----------
        dataset : str
            The contract that was broken.
        bad : pl.DataFrame
            ``reasons``, ``raw_sha256``, ``ordinal``, ``source``, ``ts_recv`` and either ``row``
            (JSON) or the row's own columns.
        writer, sequence : str, int
            As for :meth:`TableStore.append`.
        """
        rows = quarantine_rows(contract(dataset), bad)
        return self.tables.append("ops.quarantine", rows, writer=writer, sequence=sequence)

    def compact(
        self, dataset: str | None = None, *, retention_days: float = RETENTION_DAYS
    ) -> list[Compaction]:
        """Merge small files of one table or of all, and sweep what nobody can need any more."""
        names = [contract(dataset).name] if dataset else self.datasets()
        return [
            compact_table(self.tables.table(name), self.clock, retention_days=retention_days)
            for name in names
        ]

    def purge(
        self,
        dataset: str,
        before: datetime.date,
        *,
        dry_run: bool = True,
        force: bool = False,
    ) -> PurgeReport:
        """Drop rows (or raw objects, for ``"raw"``) whose event date lies before a date.

        Parameters
        ----------
        dataset : str
        before : date
            First session to keep.
        dry_run : bool
            Only count.
        force : bool
            Also what nothing else holds.
        """
        if dataset == "raw":
            return purge_raw(self.tables, self.raw, before, dry_run=dry_run, force=force)
        declared = contract(dataset)
        report = purge_table(self.tables, self.raw, declared, before, dry_run=dry_run, force=force)
        if not dry_run:
            self._reader.forget(dataset)
        return report

    def verify(self) -> list[Finding]:
        """Hash everything stored against what was recorded; an empty list means all is well."""
        findings = [*verify_marker(self._place), *verify_raw(self.raw, self._place.at("raw"))]
        for table in map(self.tables.table, DATASETS):
            if table.stored():
                findings += verify_table(table)
        findings += [Finding("control", x.subject, x.detail) for x in self.control.verify()]
        return findings
