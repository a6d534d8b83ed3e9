"""kill -9 anywhere between the first call and the last compaction, then the same command again.

Must show 3. A forked child fetches (minutes, grouped dailies, FINRA, listings), imports a file,
builds and compacts, against a sandbox that lives on in the test; it is killed at seeded points: at
named seams of input and output (half), or after a seeded time (half).
"""

from __future__ import annotations

import dataclasses
import random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from acceptance.journey import IN_FLIGHT, NOW, SEAMS
from acceptance.lakes import check_ledger, check_twins, facts
from tapemill.clock import FixedClock
from tapemill.lake import Lake

pytestmark = [pytest.mark.acceptance, pytest.mark.crash]

WAY = ["fetch", "import", "build", "compact"]
KILLS_A_LAKE = {"fetch": 9, "import": 2, "build": 8, "compact": 5}
WIRES = 2
"""Vendors with calls of their own in flight: Massive and FINRA."""


@dataclasses.dataclass
class Undisturbed:
    """What a run without any kill leaves."""

    calls: int
    phases: dict[str, dict]
    digests: dict[str, str]
    frames: dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, fork_server, vendor, bar_files):
    folder = tmp_path_factory.mktemp("undisturbed") / "lake"
    vendor.restart(same_ids=True)
    job = {"lake": str(folder), "address": vendor.base_url, "files": bar_files, "phases": WAY}
    (end,) = fork_server.run("survey", job)
    lake = Lake.open(folder, clock=FixedClock(NOW))
    names = lake.datasets()
    assert {"silver.equity_bars_1m", "silver.coverage", "reference.adjustments"} <= set(names)
    found = Undisturbed(
        vendor.sandbox.calls.count(),
        end["told"][-1],
        {name: lake.digest(name) for name in names},
        {name: facts(lake, name) for name in names},
    )
    check_ledger(lake)
    lake.close()
    # A survey that never passes a seam would leave that seam untested.
    passed = [sum(phase["passages"][seam] for phase in found.phases.values()) for seam in SEAMS]
    assert all(passed), dict(zip(SEAMS, passed, strict=True))
    return found


def draw(dice, phase):
    """Where to kill: a seam, as often early as late, or a moment."""
    if dice.random() < 0.5:
        return {"seconds": dice.uniform(0.0, 1.1 * phase["seconds"])}
    seam = dice.choice([seam for seam, count in phase["passages"].items() if count])
    nth = round(phase["passages"][seam] ** dice.random())
    return {"seam": seam, "moment": dice.choice(["before", "after"]), "nth": nth}


class Torture:
    """Lakes that are worked on by children that are killed."""

    def __init__(self, tmp_path, server, vendor, files, undisturbed):
        self.tmp_path, self.server, self.vendor = tmp_path, server, vendor
        self.files, self.undisturbed = files, undisturbed
        self.kills = 0

    def job(self, folder, phases, **more):
        address = self.vendor.base_url
        return {"lake": folder, "address": address, "files": self.files, "phases": phases, **more}

    def one_lake(self, seed):
        """Kill, resume, kill …, then let one child finish; everything is as if undisturbed."""
        dice, folder = random.Random(seed), str(self.tmp_path / f"lake-{seed}")
        same_ids = seed % 2 == 0
        self.vendor.restart(same_ids=same_ids)
        killed_fetching = 0
        for phase, count in KILLS_A_LAKE.items():
            for _ in range(count):
                kill = draw(dice, self.undisturbed.phases[phase])
                (end,) = self.server.run("walk", self.job(folder, [phase], kill=kill))
                self.kills += end["killed"]
                killed_fetching += end["killed"] and phase == "fetch"
                if phase == "fetch" and dice.random() < 0.4:
                    # What a killed fetch committed may be merged before it is taken up again.
                    self.server.run("walk", self.job(folder, ["compact"]))
            self.server.run("walk", self.job(folder, [phase]))
        (end,) = self.server.run("walk", self.job(folder, [*WAY, "build"]))
        assert end["told"][-1]["reports"]["build"]["builds"] == 0
        calls = self.vendor.sandbox.calls.count()
        assert calls <= self.undisturbed.calls + killed_fetching * WIRES * IN_FLIGHT
        lake = Lake.open(folder, clock=FixedClock(NOW))
        written_down = sum(total.calls for total in lake.control.calls.totals())
        assert 0 <= calls - written_down <= killed_fetching * WIRES * IN_FLIGHT
        self.compare(lake, same_ids=same_ids)
        lake.close()

    def compare(self, lake, *, same_ids):
        assert lake.verify() == []
        check_ledger(lake)
        check_twins(lake)
        assert lake.datasets() == list(self.undisturbed.digests)
        for name, digest in self.undisturbed.digests.items():
            if same_ids:
                assert lake.digest(name) == digest, name
            assert_frame_equal(facts(lake, name), self.undisturbed.frames[name])

    def go_on(self, kills, seed):
        """Lakes until that many children were killed."""
        while self.kills < kills:
            self.one_lake(seed)
            seed += 1


@pytest.fixture
def torture(tmp_path, fork_server, vendor, bar_files, undisturbed):
    return Torture(tmp_path, fork_server, vendor, bar_files, undisturbed)


@pytest.mark.parametrize("seed", [100, 103])
def test_a_hundred_kills_leave_no_trace(torture, seed):
    """Fifty each, so that two workers share the longest test of all."""
    torture.go_on(kills=50, seed=seed)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(10))
def test_a_thousand_kills_leave_no_trace(torture, block):
    torture.go_on(kills=100, seed=1000 * (block + 1))
