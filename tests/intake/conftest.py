"""The market that is fetched from, and benches to fetch on."""

from __future__ import annotations

from datetime import date

import pytest

from intake.bench import Bench
from tapemill.world import Market


@pytest.fixture(scope="session")
def market():
    return Market(7, symbols=4, start=date(2024, 1, 2), end=date(2026, 2, 6))


@pytest.fixture
def bench(tmp_path, market):
    made = []

    def make(**more):
        bench = Bench(tmp_path / f"bench-{len(made)}", market, **more)
        made.append(bench)
        return bench

    yield make
    for bench in made:
        bench.lake.control.close()
