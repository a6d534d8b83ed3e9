"""Imports of order data killed with SIGKILL at seeded seams, resumed, and compared."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from intake.orders_made import ESH4, SPREAD, dbn, definitions, orders, trades, write
from tapemill.lake import Lake

TABLES = (
    "silver.futures_events",
    "silver.futures_depth",
    "silver.futures_trades",
    "bronze.databento_definitions",
    "bronze.databento_files",
    "ops.quarantine",
)
KILLS = int(os.environ.get("TAPEMILL_KILLS", "8"))


def killed_lakes(folder, seed, kills):
    instruments = (ESH4, SPREAD)
    records = orders(1900, instruments, seed=seed)
    records["price"][[100, 1800]] += 3
    write(folder, "a.definition.dbn", definitions(instruments[:1]))
    write(folder, "b.mbo.dbn.zst", dbn("mbo", records, instruments))
    write(folder, "c.trades.dbn", dbn("trades", trades(700)))
    child = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("orders_child.py")),
            str(folder),
            str(seed),
            str(kills),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "POLARS_MAX_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
    )
    assert child.returncode == 0, child.stderr
    told = json.loads(child.stdout)
    assert told["killed"] >= kills
    return [folder / f"torn-{number + 1}" for number in range(told["lakes"])]


def check(folder, lakes):
    whole = Lake.open(folder / "whole")
    expected = {name: whole.digest(name) for name in TABLES}
    assert whole.tables.rows("silver.futures_events") == 1898
    assert whole.tables.rows("ops.quarantine") == 2
    for location in lakes:
        lake = Lake.open(location)
        assert {name: lake.digest(name) for name in TABLES} == expected
        assert lake.verify() == []
        assert sorted(one.sha256 for one in lake.raw) == sorted(one.sha256 for one in whole.raw)
        assert len(lake.control.imports.history()) == 3
        lake.close()
    whole.close()


@pytest.mark.crash
@pytest.mark.acceptance
def test_killed_imports_resume_to_the_same_rows(tmp_path):
    check(tmp_path, killed_lakes(tmp_path, 1, KILLS))


@pytest.mark.soak
@pytest.mark.crash
@pytest.mark.parametrize("seed", range(2, 5))
def test_hundreds_of_killed_imports(tmp_path, seed):
    check(tmp_path, killed_lakes(tmp_path, seed, 200))
