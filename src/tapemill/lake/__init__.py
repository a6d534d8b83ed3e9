"""The lake: raw objects, tables with versions, as-of reads, control state, retention.

In: raw bytes and frames that keep their contract. Out: LazyFrames as they were known at a moment,
SQL, findings of verification.
"""

from __future__ import annotations

from tapemill.lake.compaction import Compaction
from tapemill.lake.lake import Lake
from tapemill.lake.purge import PurgeReport
from tapemill.lake.raw import RawRef, RawStore
from tapemill.lake.tables import TableStore
from tapemill.lake.verification import Finding

__all__ = [
    "Compaction",
    "Finding",
    "Lake",
    "PurgeReport",
    "RawRef",
    "RawStore",
    "TableStore",
]
