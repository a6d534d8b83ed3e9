"""Control state: what the lake knows of its own work, in SQLite or PostgreSQL.

In: findings about cells, wire attempts, answers, batches, claims, builds, imports, incidents.
Out: what is pending, what is half-done, what each session is made of, and why a cell is as it is.
Every row carries a checksum. :func:`open_control` is the door.
"""

from __future__ import annotations

from tapemill.lake.control.answers import StoredAnswer
from tapemill.lake.control.batches import Batch, Effects
from tapemill.lake.control.builds import Build
from tapemill.lake.control.calls import Call, CallTotals
from tapemill.lake.control.cells import (
    COMPLETE,
    MARKET,
    Cell,
    CellMatrix,
    CellRecord,
    CellState,
)
from tapemill.lake.control.claims import Claim
from tapemill.lake.control.contents import ContentRecord
from tapemill.lake.control.history import EventKind, HistoryEvent
from tapemill.lake.control.imports import ImportedFile
from tapemill.lake.control.incidents import Incident
from tapemill.lake.control.owners import this_process
from tapemill.lake.control.state import ControlState, open_control
from tapemill.lake.control.tasks import TaskCounts, TaskState
from tapemill.lake.control.verification import Finding

__all__ = [
    "COMPLETE",
    "MARKET",
    "Batch",
    "Build",
    "Call",
    "CallTotals",
    "Cell",
    "CellMatrix",
    "CellRecord",
    "CellState",
    "Claim",
    "ContentRecord",
    "ControlState",
    "Effects",
    "EventKind",
    "Finding",
    "HistoryEvent",
    "ImportedFile",
    "Incident",
    "StoredAnswer",
    "TaskCounts",
    "TaskState",
    "open_control",
    "this_process",
]
