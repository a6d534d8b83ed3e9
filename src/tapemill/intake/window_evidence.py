"""An empty past that all symbols share is the edge of the vendor's plan, not a fact.

Some plans answer questions about older sessions with an empty list instead of a refusal. One symbol
may have been listed on the day its data begin; two or more that begin on the same day, with five
empty sessions or more before it, were cut by the vendor.
"""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np

from tapemill.intake.plan import FetchPlan
from tapemill.lake import Lake
from tapemill.lake.control import MARKET, CellRecord, CellState

__all__ = ["question_empty_past"]

_SHORTEST_PREFIX = 5
_FEWEST_SYMBOLS = 2
_BARS = frozenset({"bronze.massive_bars_1m", "bronze.massive_bars_1d"})


def question_empty_past(lake: Lake, plan: FetchPlan) -> int:
    """Reopen empty cells before a first session that several symbols share.

    Returns
    -------
    int
        Cells that lost their "confirmed empty".
    """
    if plan.dataset not in _BARS or MARKET in plan.symbols or not plan.sessions:
        return 0
    ledger = lake.control.ledger
    states = ledger.matrix(plan.dataset, plan.symbols, plan.sessions).states
    first = {
        symbol: place
        for symbol, row in zip(plan.symbols, states, strict=True)
        if (place := _empty_prefix(row)) >= _SHORTEST_PREFIX
    }
    common = Counter(first.values()).most_common(1)
    if not common or common[0][1] < max(_FEWEST_SYMBOLS, len(plan.symbols) // 2):
        return 0
    place = common[0][0]
    sessions: list[date] = list(plan.sessions[:place])
    symbols = [symbol for symbol, begins in first.items() if begins == place]
    reason = (
        f"old_window_empty: {len(symbols)} symbols all begin on {plan.sessions[place]}; "
        "the vendor's plan reaches no further back"
    )
    for symbol in symbols:
        ledger.reopen(plan.dataset, symbol, sessions, reason=reason)
    ledger.record_many(
        [
            CellRecord(plan.dataset, symbol, sessions, CellState.NOT_ENTITLED, reason)
            for symbol in symbols
        ]
    )
    lake.control.incidents.open(
        "old_window_empty", plan.dataset, str(plan.sessions[place]), reason, "warning"
    )
    return len(symbols) * len(sessions)


def _empty_prefix(states: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> int:
    """Length of the run of confirmed-empty cells before the first cell with data; else 0."""
    data = np.flatnonzero(states == CellState.DATA)
    if not data.size or not (states[: data[0]] == CellState.EMPTY).all():
        return 0
    return int(data[0])
