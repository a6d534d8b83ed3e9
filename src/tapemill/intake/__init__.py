"""Intake: from a calendar, a universe and a plan to raw objects, bronze rows and settled cells.

In: what is wanted (dataset, symbols, sessions), or files. Out: kept answers, bronze, the ledger.
Every call passes one gate per vendor that all processes share; every answer is kept before anything
is made of it; failure is written down as failure, never as emptiness.
"""

from __future__ import annotations

from tapemill.intake.catalogue import offered_names
from tapemill.intake.fetching import fetch
from tapemill.intake.files import ImportReport, import_files, parse_column_map
from tapemill.intake.plan import FetchPlan, Task, plan_fetch
from tapemill.intake.recovery import recover
from tapemill.intake.run import FetchReport, Progress
from tapemill.intake.tape_fetching import TapePlan, TapeReport, fetch_tape, plan_tape, tape_modes

__all__ = [
    "FetchPlan",
    "FetchReport",
    "ImportReport",
    "Progress",
    "TapePlan",
    "TapeReport",
    "Task",
    "fetch",
    "fetch_tape",
    "import_files",
    "offered_names",
    "parse_column_map",
    "plan_fetch",
    "plan_tape",
    "recover",
    "tape_modes",
]
