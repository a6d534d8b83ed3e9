"""What a fetch of order data tells."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from tapemill.errors import TapemillError

__all__ = ["FuturesReport"]


@dataclasses.dataclass
class FuturesReport:
    """What came of a fetch of order data.

    Parameters
    ----------
    calls : int
        On the wire, those that cost nothing included.
    cost_usd : float
        What the vendor said that the pending cells would cost.
    paid_usd : float
        The part of it that was asked for, attempts that broke included: an upper estimate.
    reused : int
        Files of an earlier run that were imported without asking again.
    completed, remaining : int
        Cells closed by this run, and still open though their range is over.
    not_yet, out_of_window : int
        Cells whose range has not ended, or that the vendor does not have yet; and those from
        before the vendor's history.
    rows : dict
        Dataset → rows landed.
    states : Counter
        How the asked cells ended.
    refused, failed : list of str
        Requests that cannot be meant, and what else kept cells open, in the vendor's words.
    notes : list of str
        What the vendor warned of and the import remarked.
    halted : TapemillError or None
        What ended the run early.
    """

    calls: int = 0
    bytes: int = 0
    cost_usd: float = 0.0
    paid_usd: float = 0.0
    files: int = 0
    reused: int = 0
    records: int = 0
    rows: Counter[str] = dataclasses.field(default_factory=Counter)
    quarantined: int = 0
    completed: int = 0
    remaining: int = 0
    not_yet: int = 0
    out_of_window: int = 0
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    states: Counter[str] = dataclasses.field(default_factory=Counter)
    refused: list[str] = dataclasses.field(default_factory=list)
    failed: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    interrupted: bool = False
    halted: TapemillError | None = None

    def summary(self) -> dict[str, Any]:
        """The report in plain values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        counters = {name: dict(values[name]) for name in ("rows", "outcomes", "states")}
        halted = "" if self.halted is None else self.halted.what
        return {**values, **counters, "halted": halted}
