"""What must hold of a lake however it came about, and the vendor that fed it."""

from __future__ import annotations

import dataclasses

import polars as pl

from acceptance.journey import FIRST, LANES, LAST, NOW, settings_for
from tapemill.clock import FixedClock
from tapemill.intake import plan_fetch
from tapemill.lake.control.owners import is_dead
from tapemill.world import Sandbox

PROVENANCE = ("raw_sha256", "request_id")


@dataclasses.dataclass
class Vendor:
    """The sandbox behind an address.

    With the same ids, an answer is the same bytes however often a question is asked: then lakes are
    compared with their provenance. Without, every answer has a request id of its own, as vendors
    do: then a row that came twice cannot hide behind the hash of its answer.
    """

    sandbox: Sandbox
    base_url: str

    def restart(self, *, same_ids):
        self.sandbox.reset()
        self.sandbox.calls.__dict__.pop("nth", None)
        if same_ids:
            self.sandbox.calls.nth = lambda _: 1


def facts(lake, name):
    """Rows without what differs between two answers to one question."""
    frame = lake.tables.scan(name).collect()
    frame = frame.drop([column for column in PROVENANCE if column in frame.columns])
    return frame.sort(pl.all())


def check_ledger(lake):
    """Every wanted cell is settled, and the ledger counts the rows that bronze holds."""
    control, settings = lake.control, settings_for("http://127.0.0.1:1")
    for lane, symbols in LANES.items():
        plan = plan_fetch(lake, settings, FixedClock(NOW), lane, symbols, FIRST, LAST)
        assert not plan.tasks, lane
        counted = control.ledger.matrix(plan.dataset, plan.symbols, plan.sessions).rows
        held = 0
        if lake.tables.exists(plan.dataset):
            held = lake.tables.scan(plan.dataset).select(pl.len()).collect().item()
        assert int(counted.sum()) == held, lane
    assert not control.batches.unfinished()
    assert not control.answers.unlanded(orphaned_only=False)
    assert all(is_dead(claim.owner) for claim in control.claims.held())


def check_twins(lake):
    """No row of an answer is in bronze twice."""
    for name in lake.datasets():
        if name.startswith("bronze."):
            rows = lake.tables.scan(name).group_by("raw_sha256", "ordinal").len()
            assert rows.filter(pl.col("len") > 1).collect().is_empty(), name
