"""Several processes on one lake, on disk and on an S3-compatible store: the exact union."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.rows import BRONZE, MINUTE
from lake.worker import DAYS, batch, built
from tapemill import Lake

SCHEDULES = int(os.environ.get("TAPEMILL_SCHEDULES", "3"))
WORKER = Path(__file__).with_name("worker.py")


def start(location, options, worker, workers, seed, batches, *more):
    command = [location, json.dumps(options), worker, workers, seed, batches, *more]
    return subprocess.Popen(
        [sys.executable, str(WORKER), *map(str, command)],
        stderr=subprocess.PIPE,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
    )


def check_union(lake, batches):
    expected = pl.concat(batch(number) for number in range(batches))
    assert_frame_equal(lake.tables.scan(BRONZE).collect(), expected, check_row_order=False)
    if lake.tables.exists(MINUTE):
        found = lake.tables.scan(MINUTE).collect()
        days = found["session"].unique().sort().to_list()
        assert days, "a replacement leaves its session whole"
        assert_frame_equal(found, pl.concat(built(day, 0) for day in days), check_row_order=False)


def race(location, options, workers, seed, batches=12):
    running = [
        start(location, options, worker, workers, seed, batches) for worker in range(workers)
    ]
    errors = [process.communicate(timeout=300)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0] * workers, "\n".join(errors)
    lake = Lake.open(location, storage_options=options)
    check_union(lake, batches)
    return lake


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_workers_on_one_folder_write_the_exact_union(tmp_path, seed):
    lake = race(str(tmp_path / "lake"), {}, workers=2 + seed % 4, seed=seed)
    assert lake.verify() == []
    lake.control.close()
    assert len(DAYS) >= len(lake.tables.files(MINUTE))


@pytest.mark.acceptance
@pytest.mark.s3
@pytest.mark.parametrize("seed", range(max(1, SCHEDULES // 2)))
def test_workers_on_one_bucket_write_the_exact_union(s3_options, seed, tmp_path):
    lake = race(f"s3://lake/schedule-{seed}", s3_options, workers=2 + seed % 4, seed=seed)
    url = str(tmp_path / "control.sqlite")
    again = Lake.open(lake.location, storage_options=s3_options, control_url=url)
    assert again.verify() == []
    again.control.close()


@pytest.mark.soak
@pytest.mark.parametrize("block", range(10))
def test_many_schedules(tmp_path, block):
    for seed in range(100 + 20 * block, 120 + 20 * block):
        race(str(tmp_path / f"lake-{seed}"), {}, workers=2 + seed % 4, seed=seed)


@pytest.mark.soak
@pytest.mark.s3
def test_many_schedules_on_one_bucket(s3_options):
    for seed in range(100, 140):
        race(f"s3://lake/soak-{seed}", s3_options, workers=2 + seed % 4, seed=seed)
