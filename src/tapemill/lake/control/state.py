"""The control state as one object: every record of the lake's own work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tapemill.clock.injected import SYSTEM_CLOCK, Clock
from tapemill.lake.control.answers import Answers
from tapemill.lake.control.batches import Batches
from tapemill.lake.control.builds import Builds
from tapemill.lake.control.calls import Calls
from tapemill.lake.control.cell_events import CellEvents
from tapemill.lake.control.claims import Claims
from tapemill.lake.control.contents import Contents
from tapemill.lake.control.engine import Database
from tapemill.lake.control.history import HistoryEvent, history
from tapemill.lake.control.imports import Imports
from tapemill.lake.control.incidents import Incidents
from tapemill.lake.control.ledger import Ledger
from tapemill.lake.control.owners import this_process
from tapemill.lake.control.tasks import Tasks
from tapemill.lake.control.verification import Finding, verify

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ControlState", "open_control"]


class ControlState:
    """Ledger, calls, answers, batches, contents, claims, incidents, builds, imports, tasks.

    Every method is one short transaction, safe from threads and from several processes. Wrap
    several in :meth:`transaction` to commit them together.

    Parameters
    ----------
    database : Database
        Where it is kept.
    clock : Clock
        Stamps every record and judges leases.
    owner : str
        Name of this worker in claims and batches.
    """

    def __init__(self, database: Database, clock: Clock, owner: str) -> None:
        self.database = database
        self.clock = clock
        self.owner = owner
        self.ledger = Ledger(database, clock)
        self.calls = Calls(database, clock, owner)
        self.claims = Claims(database, clock)
        self.answers = Answers(database, clock, self.claims, owner)
        self.batches = Batches(database, clock, self.ledger, self.claims, owner)
        self.contents = Contents(database)
        self.incidents = Incidents(database, clock)
        self.builds = Builds(database, clock)
        self.imports = Imports(database, clock)
        self.tasks = Tasks(database, clock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything recorded inside together, or nothing. Do not ``await`` inside."""
        with self.database.write():
            yield

    def why(
        self, dataset: str, symbol: str, session: date, *, derived: Sequence[str] = ()
    ) -> list[HistoryEvent]:
        """Everything that made one cell what it is, oldest first; see `history`."""
        events = CellEvents(self.database, self.clock)
        return history(self.database, events, dataset, symbol, session, derived=derived)

    def verify(self) -> list[Finding]:
        """Whatever differs from what was written; empty when all is well."""
        return verify(self.database)

    def frames(self, names: Sequence[str] | None = None) -> dict[str, pl.DataFrame]:
        """Tables ``ops.calls``, ``ops.answers`` … ``ops.cells`` as frames; all by default."""
        from tapemill.lake.control.frames import FRAME_NAMES, frame

        return {name: frame(self.database, name) for name in names or FRAME_NAMES}

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_control(
    location: str | Path,
    clock: Clock = SYSTEM_CLOCK,
    *,
    create: bool = True,
    owner: str | None = None,
) -> ControlState:
    """Open the control state.

    Parameters
    ----------
    location : str or Path
        A SQLite file, or a PostgreSQL URL that SQLAlchemy understands.
    clock : Clock
        Source of every moment recorded.
    create : bool
        Whether a missing file may be made.
    owner : str, optional
        Worker name; this process by default. Give ``this_process("worker-2")`` to tell several
        workers of one process apart.

    Raises
    ------
    LakeError
        Missing, foreign, read-only, or written by a newer Tapemill.
    CorruptError
        The file is damaged.
    """
    database = Database(str(location), create=create)
    return ControlState(database, clock, owner or this_process())
