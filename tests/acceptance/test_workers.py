"""Two to five workers with seeded schedules on one lake: the exact union, as if one had worked.

Must show 5. Workers are processes that fetch, import, build and compact in orders of their own,
on overlapping shares of the work.
"""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from acceptance.journey import NOW
from acceptance.lakes import check_ledger, check_twins, facts
from lake.conftest import s3_options, s3_server  # noqa: F401
from tapemill.clock import FixedClock
from tapemill.lake import Lake

pytestmark = pytest.mark.acceptance

DERIVED = ("silver.", "reference.")


@dataclasses.dataclass
class Alone:
    """What one worker leaves."""

    calls: int
    digests: dict[str, str]
    frames: dict[str, pl.DataFrame]


class Workplace:
    """Lakes on which several workers are let loose."""

    def __init__(self, tmp_path, fork_server, vendor, bar_files):
        self.tmp_path, self.server, self.vendor, self.files = (
            tmp_path,
            fork_server,
            vendor,
            bar_files,
        )

    def jobs(self, folder, workers, seed, **more):
        return [
            {
                "lake": str(folder),
                "address": self.vendor.base_url,
                "files": self.files,
                "seed": seed,
                "worker": worker,
                "workers": workers,
                **more,
            }
            for worker in range(workers)
        ]

    def alone(self):
        folder = self.tmp_path / "alone"
        self.vendor.restart(same_ids=True)
        (job,) = self.jobs(folder, 1, 0)
        self.server.run("walk", {**job, "phases": ["fetch", "import", "build"]})
        lake = Lake.open(folder, clock=FixedClock(NOW))
        names = lake.datasets()
        left = Alone(
            self.vendor.sandbox.calls.count(),
            {name: lake.digest(name) for name in names},
            {name: facts(lake, name) for name in names},
        )
        lake.close()
        return left

    def race(self, folder, workers, seed, alone, *, same_ids, **place):
        """Several workers at once, then one last build."""
        self.vendor.restart(same_ids=same_ids)
        jobs = self.jobs(folder, workers, seed, **place)
        ends = self.server.run("work", *jobs)
        reports = [end["told"][-1]["reports"] for end in ends]
        calls = self.vendor.sandbox.calls.count()
        # Nobody asked for what another had asked for.
        assert calls == sum(report["calls"] for report in reports) == alone.calls
        lake = Lake.open(
            str(folder),
            clock=FixedClock(NOW),
            storage_options=place.get("storage"),
            control_url=place.get("control", ""),
        )
        check_ledger(lake)
        check_twins(lake)
        self.compare(lake, alone, [n for n in alone.digests if n not in _derived(alone)], same_ids)
        self.server.run("walk", {**jobs[0], "phases": ["build"]})
        self.compare(lake, alone, _derived(alone), same_ids)
        assert lake.datasets() == list(alone.digests)
        assert lake.verify() == []
        lake.close()

    def compare(self, lake, alone, names, same_ids):
        for name in names:
            if same_ids:
                assert lake.digest(name) == alone.digests[name], name
            assert_frame_equal(facts(lake, name), alone.frames[name])


def _derived(alone):
    return [name for name in alone.digests if name.startswith(DERIVED)]


@pytest.fixture
def workplace(tmp_path, fork_server, vendor, bar_files):
    return Workplace(tmp_path, fork_server, vendor, bar_files)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, fork_server, vendor, bar_files):
    folder = tmp_path_factory.mktemp("alone")
    return Workplace(folder, fork_server, vendor, bar_files).alone()


@pytest.mark.parametrize("workers", [2, 3, 4, 5])
def test_workers_leave_what_one_would(tmp_path, workplace, alone, workers):
    workplace.race(tmp_path / "lake", workers, workers, alone, same_ids=workers % 2 == 0)


@pytest.mark.s3
@pytest.mark.parametrize("workers", [3])
def test_workers_on_a_bucket_leave_what_one_would(tmp_path, workplace, alone, s3_options, workers):  # noqa: F811
    place = {"storage": s3_options, "control": str(tmp_path / "control.sqlite")}
    folder = f"s3://lake/workers-{workers}"
    workplace.race(folder, workers, workers, alone, same_ids=True, **place)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_schedules(tmp_path, workplace, alone, seed):
    workplace.race(tmp_path / "lake", 2 + seed % 4, seed, alone, same_ids=seed % 3 == 0)


@pytest.mark.soak
@pytest.mark.s3
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_schedules_on_a_bucket(tmp_path, workplace, alone, s3_options, seed):  # noqa: F811
    place = {"storage": s3_options, "control": str(tmp_path / "control.sqlite")}
    folder = f"s3://lake/schedule-{seed}"
    workplace.race(folder, 2 + seed % 4, seed, alone, same_ids=True, **place)
