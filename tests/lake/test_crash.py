"""Processes killed with SIGKILL at seeded points of append, replace, checkpoint and compaction."""

import itertools
import json
import math
import os
import random

import pytest

from lake.test_concurrency import check_union, start
from tapemill import Lake

KILLS = int(os.environ.get("TAPEMILL_KILLS", "30"))
BATCHES = 8


def steps(rng, count):
    """When to kill: half by the count of disk calls, as often early as late; half by the time."""
    by_call = [int(math.exp(rng.uniform(0, math.log(160)))) for _ in range(count)]
    by_time = [round(rng.uniform(0.02, 0.8), 4) for _ in range(count)]
    return [rng.choice(pair) for pair in zip(by_call, by_time, strict=True)]


def killed_lakes(tmp_path, seed, kills):
    """Work through one lake after the other until that many writers were killed."""
    rng = random.Random(seed)
    left = kills
    for number in itertools.count():
        if left <= 0:
            return
        location = str(tmp_path / f"lake-{number}")
        drawn = steps(rng, min(left, 20))
        process = start(location, {}, 0, 1, seed * 1000 + number, BATCHES, json.dumps(drawn))
        _, error = process.communicate(timeout=300)
        assert process.returncode <= len(drawn), error.decode()
        left -= process.returncode
        yield location


def check(location):
    lake = Lake.open(location)
    check_union(lake, BATCHES)
    assert lake.verify() == []
    lake.compact()
    check_union(lake, BATCHES)
    lake.control.close()


@pytest.mark.crash
@pytest.mark.acceptance
def test_killed_writers_lose_nothing_repeat_nothing_tear_nothing(tmp_path):
    for location in killed_lakes(tmp_path, 1, KILLS):
        check(location)


@pytest.mark.soak
@pytest.mark.crash
@pytest.mark.parametrize("seed", range(2, 5))
def test_hundreds_of_kills(tmp_path, seed):
    for location in killed_lakes(tmp_path, seed, 200):
        check(location)
