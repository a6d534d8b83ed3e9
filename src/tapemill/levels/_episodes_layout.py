"""What the walk past zones carries: its codes and the layout of its rows."""

from __future__ import annotations

import numpy as np

__all__ = [
    "ABSENT",
    "APPROACHING",
    "ARMED",
    "BANDS",
    "CLOSE",
    "DECISION",
    "END_OF_DATA",
    "EPISODE",
    "FOREVER",
    "GAP",
    "NEVER",
    "NOW",
    "SLOT",
    "THROUGH",
    "TOUCHED",
    "TURNED",
    "WAITING",
]

FOREVER = np.iinfo(np.int64).max
"""A moment that does not come; also the ordinal of a decision after every record of its moment."""
NEVER = np.iinfo(np.int64).min
"""Before every moment."""

ABSENT, WAITING, ARMED, APPROACHING, TOUCHED = range(5)
"""Of a zone: not there; price has not been away yet; price is away; approach; touched approach."""

THROUGH, TURNED, GAP, CLOSE, END_OF_DATA = range(5)
"""Why an approach ended; places in `END_REASONS`."""

SLOT = np.dtype(
    [
        ("zone", "i8"), ("low", "f8"), ("high", "f8"), ("phase", "i8"), ("direction", "i8"),
        ("touch", "f8"), ("leave", "f8"), ("episode", "i8"), ("due_ns", "i8"), ("delay", "i8"),
        ("up_ns", "i8"), ("up_attempt", "i8"), ("up_chain", "i8"),
        ("down_ns", "i8"), ("down_attempt", "i8"), ("down_chain", "i8"),
        ("moved", "i8"), ("next_low", "f8"), ("next_high", "f8"),
    ]
)  # fmt: skip
"""A zone, its approach, its latest touches from either side, and where it was moved meanwhile."""

EPISODE = np.dtype(
    [
        ("zone", "i8"), ("direction", "i8"), ("low", "f8"), ("high", "f8"), ("sigma", "f8"),
        ("enter_ns", "i8"), ("enter_ordinal", "i8"), ("touch_ns", "i8"), ("touch_ordinal", "i8"),
        ("end_ns", "i8"), ("reason", "i8"), ("attempt", "i8"), ("chain", "i8"),
    ]
)  # fmt: skip

DECISION = np.dtype(
    [
        ("decision_ns", "i8"), ("ordinal", "i8"), ("episode", "i8"), ("zone", "i8"),
        ("delay", "i8"), ("direction", "i8"), ("low", "f8"), ("high", "f8"), ("sigma", "f8"),
        ("touch_ns", "i8"),
    ]
)  # fmt: skip

NOW = np.dtype(
    [
        ("price", "i8"), ("priced", "i8"), ("sigma", "f8"), ("floor", "i8"), ("ceiling", "i8"),
        ("due_ns", "i8"), ("slots", "i8"), ("zone_row", "i8"), ("sigma_row", "i8"),
        ("gap_row", "i8"), ("episodes", "i8"), ("decisions", "i8"), ("ended", "i8"),
        ("closed", "i8"), ("full", "i8"), ("alarm_ns", "i8"),
    ]
)  # fmt: skip
"""What the walk carries: last price, sigma, safe range of prices, places in all arrays."""

BANDS = np.dtype(
    [
        ("approach_sigma", "f8"), ("approach_ticks", "f8"), ("touch_sigma", "f8"),
        ("touch_ticks", "f8"), ("leave_sigma", "f8"), ("leave_ticks", "f8"),
        ("attempt_gap_ns", "i8"), ("close_ns", "i8"),
    ]
)  # fmt: skip
