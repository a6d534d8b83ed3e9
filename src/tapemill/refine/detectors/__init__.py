"""Detectors of known defect patterns, each under its own name.

In: coverage cells, bars, daily bars, bronze rows, ledger states. Out: findings with the rows that
show them. Every detector is a pure function of frames.
"""

from __future__ import annotations

from tapemill.refine.detectors.findings import Finding
from tapemill.refine.detectors.lanes import (
    old_window_empty,
    page_appended_twice,
    replay_incomplete,
    start_anchor_ignored,
)
from tapemill.refine.detectors.refusals import refused_answers
from tapemill.refine.detectors.sessions import (
    bars_end_at_noon,
    closing_bar_missing,
    minute_file_absent,
    session_cut_1530,
    vendor_incident,
)
from tapemill.refine.detectors.values import (
    off_exchange_prints,
    sentinel_value,
    split_unadjusted,
)

__all__ = [
    "Finding",
    "bars_end_at_noon",
    "closing_bar_missing",
    "minute_file_absent",
    "off_exchange_prints",
    "old_window_empty",
    "page_appended_twice",
    "refused_answers",
    "replay_incomplete",
    "sentinel_value",
    "session_cut_1530",
    "split_unadjusted",
    "start_anchor_ignored",
    "vendor_incident",
]
