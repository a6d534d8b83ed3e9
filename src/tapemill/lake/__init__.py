"""The lake: raw objects, tables with versions, as-of reads, control state, retention.

In: raw bytes and frames that keep their contract. Out: LazyFrames as they were known at a moment,
SQL, findings of verification.
"""

from __future__ import annotations
